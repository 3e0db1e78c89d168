"""A schema update that is killed, and servers that make it together: nothing of what was stored may change."""

from __future__ import annotations

import hashlib
import random
import shutil
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from tests.faults.served import ROOT, Served
from tests.faults.sizes import size
from tests.faults.tables import Query, querying
from tests.store.postgres import Cluster

from runlore.api.runs import GetRun, LogBatch
from runlore.settings import Settings
from runlore.store.http import HttpStore
from runlore.store.sql.database import Database
from runlore.store.sql.migrate import migrate, migrations
from runlore.store.sql.postgresql import PostgresDatabase
from runlore.store.sql.run_rows import run_key
from runlore.store.sql.sqlite import SqliteDatabase

NEWEST = migrations()[-1].number
RUNS, ROWS = size(200, 2_000), 50
"""Runs, and rows of each in each of the large tables."""
COLUMNS = {
    "experiment": "experiment_id, name, artifact_location, deleted_time, creation_time, last_update_time",
    "run": (
        "run_key, run_id, experiment_id, name, user_id, status, start_time, end_time, deleted_time, artifact_uri, "
        "next_tail, next_series, merged_tail, loose_points, latest_time, tail_token, last_activity, shape"
    ),
    "run_tag": "run_key, key, value",
    "param": "run_key, key, value, number",
    "metric": (
        "run_key, key, series, count, non_finite, last_value, last_step, last_time, first_value, first_step, "
        "first_time, min_value, min_step, max_value, max_step, sum_value, max_time, greatest_step, folded, "
        "model_id, dataset_name, dataset_digest"
    ),
    "metric_tail": "run_key, seq, min_series, max_series, min_time, latest_time, data",
}
"""The tables of the first schema whose rows are compared, with the columns that they had in it."""


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


def digest(query: Query) -> dict[str, str]:
    """What is in the columns of the first schema."""
    return {
        table: hashlib.sha256(repr(sorted(query(f"SELECT {columns} FROM {table}"), key=repr)).encode()).hexdigest()
        for table, columns in COLUMNS.items()
    }


def version(query: Query) -> int:
    return int(query("SELECT MAX(number) FROM schema_version")[0][0])


class Copies:
    """A store of the first schema, and copies of it."""

    def __init__(self, kind: str, directory: Path, cluster: Cluster) -> None:
        self._kind, self._directory, self._cluster = kind, directory, cluster
        self._number = 0
        if kind == "sqlite":
            with closing(SqliteDatabase(directory / "first.db")) as database:
                migrate(database, migrations()[:1])
                fill(database)
        else:
            self._name = cluster.database()
            with closing(PostgresDatabase(cluster.uri(self._name))) as other:
                migrate(other, migrations()[:1])
                fill(other)

    def new(self) -> tuple[str, Path]:
        """The URI of one more copy, and its directory."""
        self._number += 1
        directory = self._directory / str(self._number)
        directory.mkdir()
        if self._kind == "sqlite":
            shutil.copyfile(self._directory / "first.db", directory / "runlore.db")
            return f"sqlite:///{directory}/runlore.db", directory
        return self._cluster.uri(self._cluster.database(self._name)), directory


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_an_update_that_is_killed_changes_nothing_and_is_made_by_two_servers_at_once(
    kind: str, tmp_path: Path, own_cluster: Cluster
) -> None:
    copies = Copies(kind, tmp_path, own_cluster)
    uri, directory = copies.new()
    path = directory / "runlore.db"
    with querying(uri, path) as query:
        before = digest(query)
    chance, before_the_end = random.Random(17), 0
    for number in range(size(3, 20)):
        with querying(uri, path) as query, subprocess.Popen(_update(uri), cwd=ROOT, stdout=subprocess.DEVNULL) as process:
            while not _at_it(query, directory) and process.poll() is None:
                pass
            time.sleep(chance.uniform(0.0, 0.03))
            process.kill()
        with querying(uri, path) as query:
            assert digest(query) == before
            assert version(query) in (1, NEWEST)
            before_the_end += version(query) == 1
            done = version(query) == NEWEST
        if done and number < size(3, 20) - 1:
            uri, directory = copies.new()
            path = directory / "runlore.db"
    _start_two(uri, directory)
    with querying(uri, path) as query:
        assert version(query) == NEWEST
        after = digest(query)
    del before["run"], after["run"]  # servers note things in it
    assert after == before
    if kind == "sqlite":
        assert [found.name for found in directory.glob("*.bak")] == ["runlore.db.v1.bak"]
        with querying(uri, directory / "runlore.db.v1.bak") as query:
            assert version(query) == 1
            assert digest(query).items() >= before.items()
    print(f"{kind}: {before_the_end} of {size(3, 20)} updates were killed before their end")


def _update(uri: str) -> list[str]:
    return [sys.executable, "-m", "runlore.cli.main", "db", "migrate", "--store", uri]


def _at_it(query: Query, directory: Path) -> bool:
    """Whether an update has begun: the copy of the file is being made, or the lock on PostgreSQL is taken."""
    if (directory / "runlore.db").exists():
        return any(directory.glob("*.bak*"))
    return bool(
        query(
            "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE "
            "datname = current_database())"
        )
    )


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
