"""A damaged database: whoever asks is told, what is sound is still read, and nothing is replaced by something new."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path

from tests.faults.load import load
from tests.faults.oracle import Ledger, batch, check_store, creation, history, problems_of
from tests.faults.served import Served, serving
from tests.faults.sizes import size
from tests.faults.test_backup import RUNLORE
from tests.faults.test_disk import ask_once

from runlore.exceptions import RunloreError
from runlore.settings import Settings
from runlore.store.base import open_store
from runlore.store.http import HttpStore

PAGE = 4_096
WRITERS = 8


def filled(directory: Path) -> tuple[Ledger, bytes]:
    """What was acknowledged, and the database file that holds it."""
    ledger = Ledger()
    with serving(str(directory / "store"), directory) as served:
        with load(ledger, served.url, writers=WRITERS, points=50, pause=0.0) as work:
            work.wait_for(6_000)
        served.stop()
    return ledger, (directory / "store" / "runlore.db").read_bytes()


def answers_of(served: Served, ledger: Ledger) -> tuple[int, int]:
    """Read every run; returns how many were right and how many were refused. An answer that is wrong fails the test."""
    right = refused = 0
    for writer in ledger.sent:
        own = Ledger()
        own.sent[writer] = ledger.sent[writer]
        own.acknowledged = [entry for entry in ledger.acknowledged if entry[0] == writer]
        store = HttpStore(served.url, Settings(), patience=0.0)
        try:
            check_store(own, store)
            right += 1
        except RunloreError as error:
            if error.status < 500:
                raise
            refused += 1
        finally:
            store.close()
    return right, refused


def test_damaged_pages_are_reported_and_never_replaced(tmp_path: Path) -> None:
    ledger, sound = filled(tmp_path)
    path, chance = tmp_path / "store" / "runlore.db", random.Random(19)
    seen = []
    for _ in range(size(3, 40)):
        damaged = bytearray(sound)
        pages = len(sound) // PAGE
        for page in chance.sample(range(2, pages), min(200, max(1, round(pages * chance.choice((0.02, 0.1, 0.5)))))):
            damaged[page * PAGE : page * PAGE + 12] = chance.randbytes(12)  # the head of a node of a tree
        path.write_bytes(damaged)
        served = Served(str(tmp_path / "store"), tmp_path)
        served.launch()
        while served.health() is None and served.process.poll() is None:
            time.sleep(0.01)
        if served.process.poll() is not None:
            assert served.wait() == 1
            assert "damaged" in served.lines[-1]
            seen.append((0, WRITERS))
            continue
        seen.append(answers_of(served, ledger))
        served.kill()
        assert len(path.read_bytes()) >= len(sound)
    assert sum(refused for _, refused in seen) > 0
    print(f"runs read and refused: {seen}")


def test_a_damaged_database_takes_no_more_writes(tmp_path: Path) -> None:
    """The server stays, for what can be read: a restart would not help."""
    ledger, sound = filled(tmp_path)
    path = tmp_path / "store" / "runlore.db"
    root = _root_of(path, "metric_tail")
    path.write_bytes(sound[: (root - 1) * PAGE] + bytes(12) + sound[(root - 1) * PAGE + 12 :])
    with serving(str(tmp_path / "store"), tmp_path) as served:
        assert ask_once(served.url, batch(0, ledger.sent[0], 10))[0] == 504
        status, body, _ = ask_once(served.url, creation(99))
        assert status == 503
        assert "restore a backup" in body
        assert served.health() == 503
        assert served.health("/api/2.0/mlflow/experiments/get?experiment_id=0") == 200
        assert served.process.poll() is None


def _root_of(path: Path, table: str) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()[0])


def test_a_database_that_is_gone_is_not_made_anew_beside_its_log(tmp_path: Path) -> None:
    path = tmp_path / "store" / "runlore.db"
    with serving(str(tmp_path / "store"), tmp_path) as served:
        assert ask_once(served.url, creation(0))[0] == 200
        served.kill()
        log = path.with_name("runlore.db-wal").read_bytes()
        for damage in (path.unlink, path.touch):
            damage()
            served.launch()
            assert served.wait() == 1
            assert "missing or empty" in served.lines[-1]
            assert path.with_name("runlore.db-wal").read_bytes() == log


def test_doctor_finds_the_points_that_are_not_what_was_written(tmp_path: Path) -> None:
    """One byte changes somewhere in the file: the points are right, or reading them fails, or `runlore doctor` says it."""
    ledger, sound = filled(tmp_path)
    path, chance = tmp_path / "store" / "runlore.db", random.Random(190)
    found = 0
    for _ in range(size(6, 300)):
        place = chance.randrange(PAGE, len(sound))
        path.write_bytes(sound[:place] + bytes([sound[place] ^ (1 << chance.randrange(8))]) + sound[place + 1 :])
        for extra in ("runlore.db-wal", "runlore.db-shm"):
            path.with_name(extra).unlink(missing_ok=True)
        try:
            with closing(open_store(str(tmp_path / "store"))) as store:
                problems = [one for writer in ledger.sent for one in problems_of(writer, history(store, writer), ledger)]
        except RunloreError:
            problems = ["an error"]
        if problems:
            found += 1
            done = subprocess.run([*RUNLORE, "doctor", str(tmp_path / "store")], capture_output=True, text=True)
            assert done.returncode == 1, (place, problems, done.stdout)
    print(f"{found} changes harmed points; doctor named each")
