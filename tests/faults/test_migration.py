"""A schema update that is killed, and servers that make it together: nothing of what was stored may change."""

from __future__ import annotations

import hashlib
import random
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.faults.served import ROOT, Served
from tests.faults.sizes import size

from runlore.api.runs import GetRun, LogBatch
from runlore.settings import Settings
from runlore.store.http import HttpStore
from runlore.store.sql.database import Database
from runlore.store.sql.migrate import migrate, migrations
from runlore.store.sql.postgresql import PostgresDatabase
from runlore.store.sql.run_rows import run_key
from runlore.store.sql.sqlite import SqliteDatabase

Query = Callable[[str], list[Any]]
NEWEST = migrations()[-1].number
RUNS, ROWS = size(200, 2_000), 50
"""Runs, and rows of each in each of the large tables."""


def run_id_of(number: int) -> str:
    """32 hexadecimal digits."""
    return hashlib.sha256(b"%d" % number).hexdigest()[:32]


def fill(database: Database) -> None:
    """Put runs into a store of the first schema, as rows: today's handlers write to today's schema."""
    db = database.write()
    run = "INSERT INTO run (run_key, run_id, experiment_id, name, user_id, status, start_time, artifact_uri, last_activity)"
    keys = {n: run_key(run_id_of(n)) for n in range(RUNS)}
    runs = [(key, run_id_of(n), 0, f"run {n}", "u", "FINISHED", n, f"mlflow-artifacts:/0/{n}", n) for n, key in keys.items()]
    db.many(f"{run} VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", runs)
    pairs = [(key, f"key {k}", f"value {n * k}") for n, key in keys.items() for k in range(ROWS)]
    db.many("INSERT INTO run_tag (run_key, key, value) VALUES (?, ?, ?)", pairs)
    db.many("INSERT INTO param (run_key, key, value) VALUES (?, ?, ?)", pairs)
    tails = [
        (key, k, 0, 0, k, k, hashlib.sha256(b"%d %d" % (n, k)).digest() * 8) for n, key in keys.items() for k in range(ROWS)
    ]
    tail = "INSERT INTO metric_tail (run_key, seq, min_series, max_series, min_time, latest_time, data)"
    db.many(f"{tail} VALUES (?, ?, ?, ?, ?, ?, ?)", tails)
    db.commit()


@contextmanager
def querying(uri: str, path: Path) -> Iterator[Query]:
    """Ask a store's tables without Runlore."""
    if uri.startswith("sqlite"):
        with closing(sqlite3.connect(path)) as connection:
            yield lambda sql: connection.execute(sql).fetchall()
    else:
        with psycopg.connect(uri) as other:
            yield lambda sql: other.execute(sql).fetchall()


def digest(query: Query) -> dict[str, str]:
    """What is in the tables of the first schema."""
    tables = ("experiment", "run", "run_tag", "param", "metric", "metric_tail")
    return {
        table: hashlib.sha256(repr(sorted(query(f"SELECT * FROM {table}"), key=repr)).encode()).hexdigest() for table in tables
    }


def version(query: Query) -> int:
    return int(query("SELECT MAX(number) FROM schema_version")[0][0])


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_an_update_that_is_killed_and_made_by_two_servers_at_once(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    path = tmp_path / "runlore.db"
    uri = f"sqlite:///{path}" if kind == "sqlite" else request.getfixturevalue("postgresql")
    database: Database = SqliteDatabase(path) if kind == "sqlite" else PostgresDatabase(uri)
    with closing(database):
        migrate(database, migrations()[:1])
        fill(database)
    with querying(uri, path) as query:
        before = digest(query)
    kills = _kill_updates(uri, path, before)
    _start_two(uri, tmp_path)
    with querying(uri, path) as query:
        assert version(query) == NEWEST
        after = digest(query)
    del before["run"], after["run"]  # servers note things in it
    assert after == before
    if kind == "sqlite":
        assert [found.name for found in tmp_path.glob("*.bak")] == ["runlore.db.v1.bak"]
        with querying(uri, tmp_path / "runlore.db.v1.bak") as query:
            assert version(query) == 1
            assert digest(query).items() >= before.items()
    print(f"{kind}: {kills} updates were killed before the end")


def _kill_updates(uri: str, path: Path, before: dict[str, str]) -> int:
    """Kill updates at random moments until one gets through, or there were enough; returns how many were killed."""
    chance, command = random.Random(RUNS), [sys.executable, "-m", "runlore.cli.main", "db", "migrate", "--store", uri]
    began = time.monotonic()
    subprocess.run([*command[:4], "status", "--store", uri], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    start = time.monotonic() - began  # without the update
    for number in range(size(4, 20)):
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL) as process:
            time.sleep(start * chance.uniform(0.6, 1.1))
            process.kill()
        with querying(uri, path) as query:
            assert digest(query) == before
            if version(query) == NEWEST:
                return number
            assert version(query) == 1
    return size(4, 20)


def _start_two(uri: str, directory: Path) -> None:
    """Two servers that start together serve what was there, and take more."""
    servers = [Served(uri, directory) for _ in range(2)]
    try:
        for served in servers:
            served.launch()
        for served in servers:
            while served.health() is None:
                assert served.process.poll() is None, served.lines
                time.sleep(0.01)
            with closing(HttpStore(served.url, Settings())) as store:
                run = store.call(GetRun(run_id=run_id_of(7))).run
                assert run.data.params == {f"key {k}": f"value {7 * k}" for k in range(ROWS)}
        with closing(HttpStore(servers[0].url, Settings())) as one, closing(HttpStore(servers[1].url, Settings())) as other:
            one.call(LogBatch(run_id=run_id_of(1), metrics=[]))
            other.call(GetRun(run_id=run_id_of(1)))
        for served in servers:
            served.stop()
    finally:
        for served in servers:
            served.kill()
