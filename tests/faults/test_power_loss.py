"""Power loss: an answer follows its sync, and whatever the disk may hold at any moment has everything that was answered."""

from __future__ import annotations

import http.client
import random
import threading
from bisect import bisect_left
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from tests.faults import trace
from tests.faults.oracle import Ledger, batch, check_file, check_store, creation, run_id_of
from tests.faults.served import serving
from tests.faults.sizes import size

from runlore.api.operation import Operation, to_request
from runlore.api.runs import UpdateRun
from runlore.store.base import open_store

WRITERS = 4
POINTS = 20


class Recorded:
    """A server's work under load: its system calls, and what was sent and answered on which connection."""

    def __init__(self, directory: Path, strace: list[str]) -> None:
        self.ledger = Ledger()
        self.ports: dict[int, int] = {}
        log = directory / "calls"
        with serving(str(directory / "store"), directory, [*strace, "-o", str(log), *trace.OPTIONS]) as served:
            threads = [threading.Thread(target=self._write, args=(served.port, writer)) for writer in range(WRITERS)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            served.kill()
        self.calls = trace.read(log)
        self.database = str(directory / "store" / "runlore.db")
        self.disk = trace.Disk(self.calls, self.database)
        self.answered = {
            writer: [answer.begin for _, answer in trace.answers(self.calls, port)] for writer, port in self.ports.items()
        }

    def _write(self, port: int, writer: int) -> None:
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
            ask(connection, creation(writer))
            self.ports[writer] = connection.sock.getsockname()[1]
            for number in range(size(50, 500)):
                self.ledger.send(writer, number * POINTS, POINTS)
                ask(connection, batch(writer, number * POINTS, POINTS))
            ask(connection, UpdateRun(run_id=run_id_of(writer), status="FINISHED"))

    def until(self, place: int) -> Ledger:
        """The ledger as it was at a place of the trace. The first answer of each writer is about its run, not about points."""
        ledger = Ledger()
        ledger.sent.update(self.ledger.sent)
        for writer, places in self.answered.items():
            batches = min(bisect_left(places, place) - 1, self.ledger.sent[writer] // POINTS)
            if batches > 0:
                ledger.acknowledge(writer, 0, batches * POINTS)
        return ledger


def ask(connection: http.client.HTTPConnection, operation: Operation[object]) -> None:
    method, path, _, body = to_request(operation)
    connection.request(method, path, body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    assert (answer.status, answer.read()) >= (200, b"{")
    assert answer.status == 200


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory, strace: list[str]) -> Recorded:
    """One recording for all tests."""
    return Recorded(tmp_path_factory.mktemp("recorded"), strace)


def test_every_answer_follows_a_sync_that_follows_its_pages(recorded: Recorded) -> None:
    log = f"{recorded.database}-wal"
    pages, syncs = recorded.disk.changes[log], recorded.disk.syncs[log]
    checked = 0
    for port in recorded.ports.values():
        for request, answer in trace.answers(recorded.calls, port):
            own = [sync for sync in syncs if sync.begin > request.end and sync.end < answer.begin]
            assert any(request.end < page.begin and page.end < sync.begin for sync in own for page in pages)
            checked += 1
    assert checked == WRITERS * (size(50, 500) + 2)


def crash_places(recorded: Recorded, count: int) -> list[int]:
    """Moments to crash: after an answer began, in the middle of a checkpoint, anywhere."""
    chance = random.Random(count)
    first = min(places[0] for places in recorded.answered.values())
    kinds = [
        [place + 1 for places in recorded.answered.values() for place in places],
        [change.begin + 1 for change in recorded.disk.changes[recorded.database] if change.begin > first],
        list(range(first, recorded.calls[-1].end)),
    ]
    assert len(kinds[1]) > 50, "no checkpoint was recorded"
    return [chance.choice(kinds[number % 3]) for number in range(count)]


def test_a_power_failure_loses_nothing_that_was_answered(recorded: Recorded, tmp_path: Path) -> None:
    images = size(60, 1_000)
    for number, place in enumerate(crash_places(recorded, images)):
        recorded.disk.crash(place, random.Random(number), tmp_path)
        ledger = recorded.until(place)
        if number % 10 == 0:  # Runlore itself opens it, and goes on
            with closing(open_store(f"sqlite:///{tmp_path / 'runlore.db'}")) as store:
                check_store(ledger, store)
                store.call(creation(WRITERS))
        check_file(ledger, tmp_path / "runlore.db")
        for path in tmp_path.iterdir():
            if path.is_file():
                path.unlink()
    print(f"{images} images of {len(recorded.calls):,} calls, {len(recorded.until(10**9)):,} points answered")


def test_a_power_failure_while_a_store_is_made_leaves_one_that_opens(recorded: Recorded, tmp_path: Path) -> None:
    first = min(places[0] for places in recorded.answered.values())
    places = [change.begin + 1 for changes in recorded.disk.changes.values() for change in changes if change.begin < first]
    chance = random.Random(17)
    for number in range(size(20, 200)):
        directory = tmp_path / str(number)
        directory.mkdir()
        recorded.disk.crash(chance.choice(places), chance, directory)
        with closing(open_store(f"sqlite:///{directory / 'runlore.db'}")) as store:
            store.call(creation(0))


def test_the_images_tell_an_early_answer(recorded: Recorded, tmp_path: Path) -> None:
    """The other tests can fail: had each answer come before its sync, images would miss points."""
    syncs = recorded.disk.syncs[f"{recorded.database}-wal"]
    places = [place for places in recorded.answered.values() for place in places[2:]]
    missing = 0
    for number, place in enumerate(random.Random(3).sample(places, 10)):
        before = max(sync.begin for sync in syncs if sync.end < place)
        recorded.disk.crash(before, random.Random(number), tmp_path)
        missing += fails(lambda place=place: check_file(recorded.until(place + 1), tmp_path / "runlore.db"))  # type: ignore[misc]
    assert missing > 2


def fails(check: Callable[[], None]) -> bool:
    try:
        check()
    except AssertionError:
        return True
    return False
