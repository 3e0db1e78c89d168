"""Many at once: nobody gets an error, and too many are told to come back before it costs memory."""

from __future__ import annotations

import resource
import socket
import sqlite3
import threading
import time
import urllib.request
from collections import Counter
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from tests.faults.load import load
from tests.faults.oracle import Ledger, batch, check_file, check_http, creation, run_id_of
from tests.faults.served import serving
from tests.faults.sizes import size
from tests.faults.test_disk import ask_once

from runlore.api.operation import to_request
from runlore.server.dispatch import MAX_REQUESTS

READS = (
    "/api/2.0/mlflow/experiments/search?max_results=10",
    f"/api/2.0/mlflow/runs/get?run_id={run_id_of(0)}",
    f"/api/2.0/mlflow/metrics/get-history?run_id={run_id_of(1)}&metric_key=value",
)


def test_many_writers_and_readers_and_no_error(tmp_path: Path) -> None:
    """Clients here try nothing again: every status but 200 fails the test."""
    ledger, ended, reads = Ledger(), threading.Event(), []

    def look(path: str) -> None:
        while not ended.is_set():
            began = time.monotonic()
            with urllib.request.urlopen(served.url + path, timeout=30) as answer:
                answer.read()
            reads.append(time.monotonic() - began)
            time.sleep(0.1)

    with serving(str(tmp_path / "store"), tmp_path) as served:
        for writer in (0, 1):
            ask_once(served.url, creation(writer))
            ledger.send(writer, 0, 10)
            assert ask_once(served.url, batch(writer, 0, 10))[0] == 200
            ledger.acknowledge(writer, 0, 10)
        readers = [threading.Thread(target=look, args=(path,)) for path in READS]
        with load(ledger, served.url, writers=size(40, 200), points=1, pause=0.1, kind="once") as work:
            for reader in readers:
                reader.start()
            work.wait_for(size(1_000, 100_000), seconds=600)
            ended.set()
            for reader in readers:
                reader.join()
        work.seconds.sort()
        reads.sort()
        written, read = work.seconds[len(work.seconds) * 99 // 100], reads[len(reads) * 95 // 100]
        print(f"{size(40, 200)} writers: answered after {written * 1_000:,.0f} ms (99th percentile), reads after "
              f"{read * 1_000:,.0f} ms (95th), server {served.memory()} MiB")  # fmt: skip
        assert len(reads) > 10
        assert served.memory() < 400
        check_http(ledger, served.url)
        served.stop()
    check_file(ledger, tmp_path / "store" / "runlore.db")


def test_too_many_are_told_to_come_back_and_cost_no_memory(tmp_path: Path) -> None:
    """Another process holds the database's lock for a moment: requests pile up to the limit, the rest is refused at once."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    surplus = size(300, 3_000)
    files = 2 * (MAX_REQUESTS + surplus)  # a server keeps a part of them for other things than connections
    if limits[1] != resource.RLIM_INFINITY and limits[1] < files:
        pytest.skip(f"only {limits[1]} files may be open (ulimit -n)")
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, limits[1]))
    ledger = Ledger()
    try:
        with serving(str(tmp_path / "store"), tmp_path) as served, ExitStack() as stack:
            for writer in range(20):
                assert ask_once(served.url, creation(writer))[0] == 200
            before, statuses = served.memory(), Counter[bytes]()
            with closing(sqlite3.connect(tmp_path / "store" / "runlore.db", isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                began = time.monotonic()
                waiting = []
                for number in range(MAX_REQUESTS + surplus):
                    connection = stack.enter_context(socket.create_connection(("127.0.0.1", served.port)))
                    connection.sendall(_request(number % 20, number // 20 * 10))
                    waiting.append(connection)
                refused = [_status(connection) for connection in waiting[-20:]]
                waited = time.monotonic() - began
                grown = served.memory() - before
                other.execute("ROLLBACK")
            for number, connection in enumerate(waiting[:-20]):
                status = _status(connection)
                statuses[status] += 1
                ledger.send(number % 20, number // 20 * 10, 10)
                if status == b"200":
                    ledger.acknowledge(number % 20, number // 20 * 10, 10)
            print(f"{dict(statuses)} of {MAX_REQUESTS + surplus}; {grown} MiB more; refused within {waited:.1f} s")
            assert set(refused) == {b"429"}
            assert statuses.keys() <= {b"200", b"429", b"503"}
            assert statuses[b"200"] + statuses[b"503"] <= MAX_REQUESTS
            assert grown < 150
            assert ask_once(served.url, batch(0, 10_000, 10))[0] == 200
            ledger.send(0, 10_000, 10)
            ledger.acknowledge(0, 10_000, 10)
            check_http(ledger, served.url)
            served.stop()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    check_file(ledger, tmp_path / "store" / "runlore.db")


def _request(writer: int, first: int) -> bytes:
    method, path, _, body = to_request(batch(writer, first, 10))
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _status(connection: socket.socket) -> bytes:
    return connection.recv(1 << 16).split(b" ", 2)[1]
