"""Connections that cost something before there is a request."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from tests.server.live import House
from tests.server.wire import API, FILES

from runlore.server import artifacts
from runlore.web import protocol

BEFORE_TIME_IS_UP, AFTER = 20.0, 31.0


POST = f"POST {API}runs/create HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n".encode()
PUT = f"PUT {FILES}/0/f HTTP/1.1\r\nHost: localhost\r\n".encode()


@pytest.mark.parametrize(
    "begun",
    [
        b"",
        b"GET /health HTTP/1.1\r\nHost: loc",
        POST + b"Content-Length: 9\r\n\r\n{",
        PUT + b"Content-Length: 90000000\r\n\r\n" + b"x" * 50_000,
    ],
    ids=["nothing", "half a head", "half a body", "half an upload"],
)
def test_who_stops_in_the_middle_is_let_go(house: House, begun: bytes) -> None:
    with house.connect() as connection:
        connection.send(begun)
        assert house.ask("GET", "/health").status == 200
        house.server.pass_time(BEFORE_TIME_IS_UP)
        connection.socket.settimeout(0.2)
        with pytest.raises(TimeoutError):
            connection.ended()
        connection.socket.settimeout(30)
        house.server.pass_time(AFTER)
        assert connection.ended()
    assert not any(path.is_file() for path in house.artifacts.rglob("f"))


def test_idle_connections_between_requests_may_stay(house: House) -> None:
    with house.connect() as connection:
        assert connection.request("GET", "/health").status == 200
        house.server.pass_time(AFTER)
        assert connection.request("GET", "/health").status == 200


def test_a_dripping_body_is_let_go(house: House) -> None:
    with house.connect() as connection:
        connection.send(PUT + b"Content-Length: 90000\r\n\r\n" + b"x" * 100)
        assert house.ask("GET", "/health").status == 200
        house.server.pass_time(61.0)
        assert connection.ended()


@pytest.mark.parametrize(
    ("begun", "more"),
    [
        (b"GET /", b"a" * 10_000),
        (b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-Long: ", b"a" * 10_000),
        (b"GET /health HTTP/1.1\r\nHost: localhost\r\n", b"X-Many: 1\r\n" * 1_000),
        (PUT + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX-Trailer: ", b"a" * 10_000),
    ],
    ids=["URL", "header", "headers", "trailer"],
)
def test_heads_without_end_are_cut_off(house: House, begun: bytes, more: bytes) -> None:
    """The server must not collect them: after some more than its limit it closes, however much is sent."""
    with house.connect() as connection:
        connection.send(begun)
        with pytest.raises(OSError):
            connection.send(more * 5_000)  # 50 MB
    assert house.ask("GET", "/health").status == 200


@pytest.mark.parametrize(
    "raw",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
        b"GET / HTTP/1.1\r\nHost : localhost\r\n\r\n",
    ],
)
def test_what_is_no_http_ends_the_connection(house: House, raw: bytes) -> None:
    with house.connect() as connection:
        connection.send(raw)
        with suppress(ConnectionError):
            assert connection.socket.recv(100).startswith(b"HTTP/1.1 400")
    assert house.ask("GET", "/health").status == 200


def open_files(house: House, name: str) -> int:
    """How many descriptors of this process, which the server is part of, lead to an artifact."""
    found = 0
    for handle in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            found += handle.readlink() == house.artifacts / "0" / name
    return found


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="looks for open files in /proc")
def test_who_does_not_read_is_let_go(house: House) -> None:
    house.ask("PUT", f"{FILES}/0/large", body=b"x" * 64_000_000)
    with house.connect() as connection:
        connection.send(f"GET {FILES}/0/large HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        while not open_files(house, "large"):
            time.sleep(0.01)
        time.sleep(0.2)  # until the buffers are full
        house.server.pass_time(AFTER)
        assert house.ask("GET", "/health").status == 200
        assert open_files(house, "large") == 1
        house.server.pass_time(121.0)
        while open_files(house, "large"):
            time.sleep(0.01)
        with pytest.raises(ConnectionError):
            connection.answer()


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="looks for open files in /proc")
def test_no_file_is_read_for_who_has_left(house: House) -> None:
    """Reading on would take many seconds for a file of this (sparse) size."""
    house.ask("PUT", f"{FILES}/0/huge", body=b"x")
    os.truncate(house.artifacts / "0" / "huge", 200_000_000_000)
    with house.connect() as connection:
        connection.send(f"GET {FILES}/0/huge HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        while not open_files(house, "huge"):
            time.sleep(0.01)
    deadline = time.monotonic() + 10
    while (still_open := open_files(house, "huge")) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not still_open


def test_who_leaves_with_requests_waiting_leaves_no_trace(house: House, caplog: pytest.LogCaptureFixture) -> None:
    house.ask("PUT", f"{FILES}/0/large", body=b"x" * 9_000_000)
    for first in ("/health", f"{FILES}/0/large"):
        with house.connect() as connection:
            connection.send(f"GET {first} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            connection.send(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n" * 2_000)
            assert connection.socket.recv(1)
        assert house.ask("GET", "/health").status == 200
    house.server.pass_time(0)
    assert house.ask("GET", "/health").status == 200
    assert "Traceback" not in caplog.text
    assert caplog.records == []


def test_an_upload_does_not_wait_for_slow_ones(house: House) -> None:
    slow = [house.connect() for _ in range(100)]
    for number, connection in enumerate(slow):
        connection.send(f"PUT {FILES}/0/slow{number} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nx".encode())
    assert house.ask("PUT", f"{FILES}/0/quick", body=b"x").status == 200
    for connection in slow:
        connection.socket.close()


@pytest.mark.parametrize(
    "head",
    ["GET /health HTTP/1.0\r\nHost: localhost\r\n\r\n", "GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"],
)
def test_an_answer_says_that_it_is_the_last_one(house: House, head: str) -> None:
    with house.connect() as connection:
        connection.send(head.encode())
        answer = connection.answer()
        assert (answer.status, answer.body, answer.headers["connection"]) == (200, b"OK", "close")
        assert connection.ended()


def test_answers_come_in_the_order_of_the_requests(house: House) -> None:
    """Short answers and long ones, good ones and refusals, all sent before the first answer is read."""
    paths = ["/health", "/api/openapi.json", "/nothing/here", "/health", "/api/docs.css"]
    with house.connect() as connection:
        connection.send(b"".join(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode() for path in paths))
        answers = [connection.answer() for _ in paths]
    assert [answer.status for answer in answers] == [200, 200, 404, 200, 200]
    assert [answer.body for answer in answers] == [house.ask("GET", path).body for path in paths]
    for answer in answers:
        assert answer.headers["content-length"] == str(len(answer.body))
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "date" in answer.headers


def test_a_slow_upload_makes_room_when_others_wait(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(artifacts, "SLOW_SECONDS", 0.2)
    monkeypatch.setattr(artifacts, "LOOK_SECONDS", 0.05)
    files = house.app._artifacts
    files._writers.shutdown()
    files._writers, files._threads = ThreadPoolExecutor(2), 2
    slow = [house.connect() for _ in range(2)]
    for number, connection in enumerate(slow):
        connection.send(f"PUT {FILES}/0/slow{number} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nx".encode())
    answer = house.ask("PUT", f"{FILES}/0/quick", body=b"quick")
    assert answer.status == 200
    ended = []
    for connection in slow:
        with connection, suppress(TimeoutError):
            connection.socket.settimeout(0.5)
            ended.append(connection.answer().status)
    assert set(ended) == {408}


def test_one_upload_too_many_is_asked_to_come_back(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(artifacts, "MOST_UPLOADS", 0)
    answer = house.ask("PUT", f"{FILES}/0/f", body=b"x")
    assert (answer.status, answer.headers["retry-after"]) == (429, "1")


def test_one_connection_too_many_is_asked_to_come_back(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    with house.connect() as first:
        assert first.request("GET", "/health").status == 200
        monkeypatch.setattr(protocol, "MAX_CONNECTIONS", 0)
        with house.connect() as second:
            answer = second.answer()
            assert (answer.status, answer.headers["retry-after"]) == (503, "1")
            assert second.ended()
        assert first.request("GET", "/health").status == 200
    monkeypatch.undo()
    assert house.ask("GET", "/health").status == 200
