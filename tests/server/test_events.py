"""The stream of changes on real connections: what arrives, when it ends, and what listeners cost each other."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, Self

import pytest
from tests.running import running_server
from tests.server.live import House

from runlore.api.metrics import LogMetric
from runlore.api.runs import CreateRun, LogBatch, MetricPoint, SetTag
from runlore.server import events
from runlore.store.base import open_store
from runlore.store.sql.marks import OPEN_SECONDS, prune


class Stream:
    """A listener who reads when told to."""

    def __init__(self, port: int, cursor: str = "", query: str = "") -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.file = self.socket.makefile("rb")
        last = f"Last-Event-ID: {cursor}\r\n" if cursor else ""
        self.socket.sendall(f"GET /api/v1/events{query} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{last}\r\n".encode())
        self.status = int(self.file.readline().split()[1])
        self.headers = {}
        while line := self.file.readline().strip():
            name, _, value = line.decode().partition(": ")
            self.headers[name.lower()] = value
        self.cursor = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.file.close()
        self.socket.close()

    def _chunk(self) -> bytes:
        size = int(self.file.readline() or b"0", 16)
        data = self.file.read(size)
        self.file.readline()
        return data

    def lines(self) -> list[str]:
        """The next event, raw; [] at the end of the stream."""
        return self._chunk().decode().splitlines()

    def message(self) -> dict[str, Any]:
        """The next message; comments are passed over."""
        while True:
            lines = self.lines()
            if not lines:
                raise EOFError
            fields = dict(line.split(": ", 1) for line in lines if line and not line.startswith(":"))
            if fields:
                self.cursor = fields["id"]
                return dict(json.loads(fields["data"]))

    def until(self, run_id: str) -> dict[str, Any]:
        """The first message about a run."""
        while True:
            for run in self.message().get("runs", ()):
                if run["run_id"] == run_id:
                    return dict(run)


@pytest.fixture
def run_id(house: House) -> str:
    """A run whose creation is told already."""
    run_id = house.new_run()
    time.sleep(OPEN_SECONDS)
    return run_id


def log(house: House, run_id: str, value: int = 1, key: str = "loss") -> None:
    house.store.call(LogMetric(run_id=run_id, key=key, value=value, timestamp=1, step=value))


def wait_for(condition: Any) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_listener_hears_the_cursor_of_now_and_then_each_change(house: House, run_id: str) -> None:
    with Stream(house.port) as stream:
        assert stream.status == 200
        assert stream.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert stream.headers["cache-control"] == "no-store"
        first = stream.message()
        assert stream.cursor == first["cursor"]
        assert "runs" not in first
        log(house, run_id)
        change = stream.until(run_id)
        assert change == {
            "run_id": run_id, "experiment_id": "0", "status": "RUNNING",
            "changed": ["metrics"], "metrics": ["loss"],
        }  # fmt: skip


def test_a_point_is_told_within_half_a_second(house: House, run_id: str) -> None:
    with Stream(house.port) as stream:
        stream.message()
        delays = []
        for value in range(1, 12):
            time.sleep(0.11)  # at every phase of the server's clock, and of the marks
            log(house, run_id, value, key=f"k{value}")
            accepted = time.monotonic()
            while f"k{value}" not in stream.until(run_id).get("metrics", ()):
                pass
            delays.append(time.monotonic() - accepted)
        assert sorted(delays)[len(delays) // 2] <= 0.5


def test_there_are_at_most_four_messages_a_second(house: House, run_id: str) -> None:
    with Stream(house.port) as stream:
        stream.message()
        began, value, arrivals = time.monotonic(), 0, 0
        stream.socket.settimeout(0.01)
        raw = b""
        while time.monotonic() - began < 2.0:
            value += 1
            log(house, run_id, value)
            try:
                raw += stream.socket.recv(1 << 16)
            except TimeoutError:
                continue
        arrivals = raw.count(b"\ndata: ")
        assert 2 <= arrivals <= 9


def test_who_comes_back_hears_what_was_missed(house: House, run_id: str) -> None:
    with Stream(house.port) as stream:
        stream.message()
        log(house, run_id)
        stream.until(run_id)
        cursor = stream.cursor
    other = house.new_run()
    with Stream(house.port, cursor) as stream:
        assert other in [run["run_id"] for run in stream.message()["runs"]]
    with Stream(house.port, query=f"?cursor={cursor}") as stream:
        assert other in [run["run_id"] for run in stream.message()["runs"]]


def test_an_expired_cursor_begins_anew(house: House, run_id: str) -> None:
    with Stream(house.port) as stream:
        stream.message()
        cursor = stream.cursor
    time.sleep(0.6)
    for _ in range(3):
        house.new_run()
        time.sleep(0.3)
    db = house.store._database.write()
    prune(db, keep_seconds=0)
    db.commit()
    with Stream(house.port, cursor) as stream:
        assert stream.message()["reset"] is True


def test_a_cursor_that_is_none_is_refused(house: House) -> None:
    for cursor in ("nonsense", "1" * 4_097, "%00", "00000000.1.2.3"):
        answer = house.ask("GET", "/api/v1/events", {"Last-Event-ID": cursor})
        assert (answer.status, answer.code) == (400, "INVALID_PARAMETER_VALUE"), cursor
    assert house.app.events.listeners == 0


def test_a_hundred_listeners_hear_the_same_and_one_listener_too_many_is_asked_to_come_back(
    house: House, run_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "LISTENERS", 100)
    with ExitStack() as stack:
        streams = [stack.enter_context(Stream(house.port)) for _ in range(100)]
        for stream in streams:
            stream.message()
        refused = house.ask("GET", "/api/v1/events")
        assert (refused.status, refused.headers["retry-after"]) == (429, "1")
        log(house, run_id)
        for stream in streams:
            stream.until(run_id)
    wait_for(lambda: house.app.events.listeners == 0)


def test_a_client_that_goes_is_let_go_at_once(house: House) -> None:
    for _ in range(3):
        with Stream(house.port) as stream:
            stream.message()
            assert house.app.events.listeners == 1
        wait_for(lambda: house.app.events.listeners == 0)


def test_who_does_not_read_holds_up_nobody_and_is_told_later(house: House) -> None:
    """The server keeps two messages; the slow listener is far more behind than that, and than what sockets hold."""
    house.app.events._kept = deque(maxlen=2)
    runs = [house.store.call(CreateRun(experiment_id="0")).run.info.run_id for _ in range(100)]
    with Stream(house.port) as slow, Stream(house.port) as quick:
        slow.message()
        for value in range(1, 9):
            points = [MetricPoint(key=f"{'x' * 240}{n}", value=float(value), timestamp=1, step=value) for n in range(30)]
            for run in runs:
                house.store.call(LogBatch(run_id=run, metrics=points))
            quick.until(runs[-1])
        last = house.new_run()
        quick.until(last)
        slow.until(last)


def test_a_heartbeat_keeps_the_connection_alive(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "HEARTBEAT_SECONDS", 0.05)
    with Stream(house.port) as stream:
        stream.message()
        assert stream.lines() == [":", ""]


def test_head_does_not_wait(house: House) -> None:
    assert house.ask("HEAD", "/api/v1/events").status == 200
    wait_for(lambda: house.app.events.listeners == 0)


def test_nobody_asks_the_store_when_nobody_listens(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    version = house.store.version

    def count() -> int | str:
        asked.append(1)
        return version()

    monkeypatch.setattr(house.store, "version", count)
    with Stream(house.port) as stream:
        stream.message()
        wait_for(lambda: asked)
    wait_for(lambda: not house.app.events.following)
    before = len(asked)
    time.sleep(0.4)
    assert len(asked) == before


def test_a_writing_process_beside_the_server_is_heard(tmp_path: Path) -> None:
    """A script that logs to the same file, without the server: the case of `runlore ui` beside a training."""
    with (
        running_server(tmp_path) as url,
        closing(open_store(str(tmp_path))) as store,
        Stream(int(url.rpartition(":")[2])) as stream,
    ):
        stream.message()
        run_id = store.call(CreateRun(experiment_id="0")).run.info.run_id
        assert stream.until(run_id)["changed"] == ["created"]
        store.call(SetTag(run_id=run_id, key="a", value="b"))
        stream.until(run_id)


def test_a_server_that_stops_ends_its_streams_at_once(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "runlore.cli.main", "server", "--port", "0", "--store", str(tmp_path)]
    with _process(command) as process:
        assert process.stderr is not None
        port = int(process.stderr.readline().rpartition(":")[2])
        with Stream(port) as stream:
            stream.message()
            began = time.monotonic()
            process.send_signal(signal.SIGTERM)
            with pytest.raises(EOFError):
                stream.message()
            assert process.wait(timeout=30) == 0
            assert time.monotonic() - began < 8  # it waits 10 s for answers that do not end


@contextmanager
def _process(command: list[str]) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()
