"""The limit that servers can be measured against: the same bytes, inserted by a bare loop in one process.

Plain tables without indexes, one transaction and one sync to the disk for what a server gets in one request; no server, no
HTTP, no JSON, no checks, no search, no charts. Eight connections are taken as eight requests that share one sync.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from peers import Figure, measure

from runlore.store.sql.sqlite import driver

NAME = "bare SQLite"
RUN = "f" * 32
START = 1_700_000_000_000
_TABLES = """
CREATE TABLE run (run_id TEXT, experiment TEXT, name TEXT, status TEXT, start_time INTEGER, end_time INTEGER);
CREATE TABLE metric (run_id TEXT, key TEXT, value REAL, timestamp INTEGER, step INTEGER);
CREATE TABLE param (run_id TEXT, key TEXT, value TEXT);
CREATE TABLE tag (run_id TEXT, key TEXT, value TEXT);
"""
_METRIC = "INSERT INTO metric VALUES (?, ?, ?, ?, ?)"


def points(number: int, count: int) -> list[tuple[Any, ...]]:
    """`count` metrics at one step."""
    return [(RUN, f"metric_{index}", 1 / (number + index + 1), START + number, number) for index in range(count)]


def figures(scale: float) -> dict[str, Figure]:
    """The rows of `ingest.py` that write."""
    folder = Path(tempfile.mkdtemp(prefix="runlore-bench-"))
    database = driver().connect(folder / "bare.db", isolation_level=None)
    try:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        database.executescript(_TABLES)
        return _measured(database, scale)
    finally:
        database.close()
        shutil.rmtree(folder, ignore_errors=True)


def _measured(database: Any, scale: float) -> dict[str, Figure]:
    def synced(act: Callable[[int], object]) -> Callable[[int], None]:
        def transaction(number: int) -> None:
            database.execute("BEGIN IMMEDIATE")
            act(number)
            database.execute("COMMIT")

        return transaction

    def metrics(count: int) -> Callable[[int], None]:
        return synced(lambda number: database.executemany(_METRIC, points(number, count)))

    def eight(number: int) -> None:
        database.execute("BEGIN IMMEDIATE")
        for other in range(8):
            database.executemany(_METRIC, points(8 * number + other, 10))
        database.execute("COMMIT")

    def whole_run(number: int) -> None:
        synced(
            lambda _: database.execute("INSERT INTO run VALUES (?, '0', ?, 'RUNNING', ?, NULL)", (RUN, f"run-{number}", START))
        )(number)
        synced(lambda _: _batch(database, number))(number)
        synced(lambda _: database.execute("UPDATE run SET status = 'FINISHED' WHERE rowid = ?", (number + 1,)))(number)

    return {
        "`log-metric`": _figure(int(2_000 * scale), metrics(1)),
        "`log-batch` of 10 metrics": _figure(int(2_000 * scale), metrics(10)),
        "the same, 8 connections": _figure(int(500 * scale), eight, 8),
        "create run, 10 params, 10 metrics, 3 tags, finish": _figure(int(400 * scale), whole_run),
        "`log-batch` of 1,000 metrics": _figure(int(300 * scale), metrics(1_000)),
    }


def _batch(database: Any, number: int) -> None:
    database.executemany(_METRIC, points(number, 10))
    database.executemany("INSERT INTO param VALUES (?, ?, ?)", [(RUN, f"param_{k}", str(k * number)) for k in range(10)])
    database.executemany("INSERT INTO tag VALUES (?, ?, 'x')", [(RUN, f"tag_{k}") for k in range(3)])


def _figure(times: int, act: Callable[[int], object], requests: int = 1) -> Figure:
    seconds = []
    cpu, wall = time.process_time(), time.perf_counter()
    for number in range(times):
        begin = time.perf_counter()
        act(number)
        seconds += [time.perf_counter() - begin] * requests
    return measure(seconds, time.process_time() - cpu, time.perf_counter() - wall)
