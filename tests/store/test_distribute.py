"""Spreading a PostgreSQL store by Citus, as far as it shows without Citus.

The rules of Citus that the schema must keep are checked on PostgreSQL's catalogue. The statements run against functions of
Citus's names that only note what they are asked for: they show order, repetition and failure, not what Citus makes of them.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from runlore.api.runs import CreateRun, GetRun, LogBatch, MetricPoint
from runlore.exceptions import InvalidState
from runlore.store.base import open_store
from runlore.store.sql.distribute import LOCAL, Plan, distribute, plan
from runlore.store.sql.migrate import migrate, migrations
from runlore.store.sql.postgresql import PostgresDatabase
from runlore.store.sql.sqlite import SqliteDatabase

Connection = psycopg.Connection[tuple[Any, ...]]

_STAND_IN = """
SET allow_system_table_mods = on;
INSERT INTO pg_extension (oid, extname, extowner, extnamespace, extrelocatable, extversion)
VALUES (99999, 'citus', 10, 'pg_catalog'::regnamespace, false, '12.1-1');
CREATE SCHEMA stand_in;
CREATE TABLE stand_in.pg_dist_partition (logicalrelid regclass, partmethod "char", repmodel "char", number SERIAL);
CREATE FUNCTION stand_in.create_reference_table(text) RETURNS void LANGUAGE sql AS
$$ INSERT INTO stand_in.pg_dist_partition VALUES ($1::regclass, 'n', 't') $$;
CREATE FUNCTION stand_in.create_distributed_table(text, text, colocate_with text) RETURNS void LANGUAGE plpgsql AS
$$ BEGIN
  IF $2 <> 'run_key' OR EXISTS (SELECT 1 FROM pg_constraint WHERE contype = 'f' AND $1::regclass IN (conrelid, confrelid)) THEN
    RAISE EXCEPTION 'not like this: %', $1;
  END IF;
  INSERT INTO stand_in.pg_dist_partition VALUES ($1::regclass, 'h', 's');
END $$;
"""
_FOREIGN_KEYS = (
    "SELECT conrelid::regclass::text, conname::text, pg_get_constraintdef(oid), convalidated FROM pg_constraint "
    "WHERE contype = 'f' ORDER BY 1, 2"
)


@pytest.fixture
def catalogue(postgres_uri: str) -> Iterator[Connection]:
    """The catalogue of a store's database."""
    with psycopg.connect(postgres_uri, autocommit=True) as connection:
        yield connection


@pytest.fixture
def with_citus(postgres_uri: str, catalogue: Connection) -> str:
    """A store's database with the stand-in for Citus in it."""
    catalogue.execute(_STAND_IN)
    return f"{postgres_uri}&options=-csearch_path%3Dpublic,stand_in"


def planned(uri: str) -> Plan:
    with closing(PostgresDatabase(uri)) as database, database.read() as db:
        return plan(db)


def distributed(uri: str) -> Plan:
    with closing(PostgresDatabase(uri)) as database:
        transaction = database.write()
        try:
            database.migrate_lock(transaction)
            done = distribute(transaction)
            transaction.commit()
        finally:
            transaction.rollback()
    return done


def names(of: Plan, kind: str) -> set[str]:
    return {table.name for table in of.tables if table.wanted == kind}


def test_unique_constraints_of_per_run_tables_contain_the_run(postgres_uri: str, catalogue: Connection) -> None:
    """Citus can only keep what is unique on one machine."""
    unique = catalogue.execute(
        "SELECT i.indrelid::regclass::text, array_agg(a.attname::text) FROM pg_index i "
        "JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey) "
        "WHERE i.indisunique GROUP BY i.indexrelid, 1"
    ).fetchall()
    per_run = names(planned(postgres_uri), "distributed")
    assert {"run", "metric", "metric_tail", "param", "run_tag"} <= per_run
    assert per_run <= {table for table, _ in unique}
    assert [table for table, columns in unique if table in per_run and "run_key" not in columns] == []


def test_foreign_keys_are_such_as_citus_allows(postgres_uri: str, catalogue: Connection) -> None:
    """Within a run or to a reference table; from a reference table only to another; local tables have none."""
    place = {table.name: table.wanted for table in planned(postgres_uri).tables}
    keys = catalogue.execute(
        "SELECT conrelid::regclass::text, confrelid::regclass::text, "
        "ARRAY(SELECT attname::text FROM pg_attribute WHERE attrelid = conrelid AND attnum = ANY(conkey)), "
        "ARRAY(SELECT attname::text FROM pg_attribute WHERE attrelid = confrelid AND attnum = ANY(confkey)) "
        "FROM pg_constraint WHERE contype = 'f'"
    ).fetchall()
    assert keys
    for table, other, columns, referred in keys:
        if place[other] == "distributed":
            assert place[table] == "distributed", (table, other)
            assert "run_key" in columns, table
            assert "run_key" in referred, other
        else:
            assert place[other] == "reference", (table, other)
            assert place[table] != "local", table


def test_local_tables_exist(postgres_uri: str) -> None:
    assert names(planned(postgres_uri), "local") == LOCAL


def test_all_tables_move_at_once_and_once(with_citus: str, catalogue: Connection) -> None:
    with closing(open_store(with_citus, artifacts="file:///nowhere")) as store:
        run_id = store.call(CreateRun(experiment_id="0")).run.info.run_id
    before = catalogue.execute(_FOREIGN_KEYS).fetchall()
    done = distributed(with_citus)
    assert catalogue.execute(_FOREIGN_KEYS).fetchall() == before
    order = catalogue.execute("SELECT logicalrelid::text, partmethod::text FROM stand_in.pg_dist_partition ORDER BY number")
    kinds = order.fetchall()
    references, rest = names(done, "reference"), names(done, "distributed")
    assert {table for table, method in kinds if method == "n"} == references
    assert [table for table, _ in kinds][len(references) :] == ["run", *sorted(rest - {"run"})]
    again = distributed(with_citus)
    assert again.statements == []
    assert {table.name: table.now for table in again.tables} == {table.name: table.wanted for table in done.tables}
    with closing(open_store(with_citus, artifacts="file:///nowhere")) as store:
        store.call(LogBatch(run_id=run_id, metrics=[MetricPoint(key=f"m{n}", value=n, timestamp=1) for n in range(20)]))
        assert len(store.call(GetRun(run_id=run_id)).run.data.metrics) == 20


def test_a_new_table_moves_alone(with_citus: str, catalogue: Connection) -> None:
    distributed(with_citus)
    catalogue.execute("CREATE TABLE later (run_key BIGINT REFERENCES run (run_key) ON DELETE CASCADE, n BIGINT)")
    statements = distributed(with_citus).statements
    assert [statement.split("(")[0] for statement in statements[1:]] == [
        "ALTER TABLE later DROP CONSTRAINT later_run_key_fkey",
        "SELECT create_distributed_table",
        "ALTER TABLE later ADD CONSTRAINT later_run_key_fkey FOREIGN KEY ",
    ]


def test_a_failure_in_between_changes_nothing(with_citus: str, catalogue: Connection) -> None:
    before = catalogue.execute(_FOREIGN_KEYS).fetchall()
    catalogue.execute("ALTER TABLE stand_in.pg_dist_partition ADD CONSTRAINT no CHECK (logicalrelid <> 'param'::regclass)")
    with pytest.raises(psycopg.errors.CheckViolation):
        distributed(with_citus)
    assert catalogue.execute(_FOREIGN_KEYS).fetchall() == before
    assert catalogue.execute("SELECT COUNT(*) FROM stand_in.pg_dist_partition").fetchone() == (0,)
    catalogue.execute("ALTER TABLE stand_in.pg_dist_partition DROP CONSTRAINT no")
    distributed(with_citus)
    assert planned(with_citus).statements == []


def test_a_table_in_the_wrong_place_is_named(with_citus: str, catalogue: Connection) -> None:
    catalogue.execute("INSERT INTO stand_in.pg_dist_partition VALUES ('param'::regclass, 'n', 't')")
    with pytest.raises(InvalidState, match=r"param is a reference table.*undistribute_table\('param'\)"):
        distributed(with_citus)


# -- the commands -------------------------------------------------------------------------------------------------------------


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "runlore.cli.main", "db", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_without_citus_the_command_says_what_to_do_and_can_show_the_plan(postgres_uri: str) -> None:
    refused = run("distribute", "--store", postgres_uri)
    assert refused.returncode == 1
    assert "has no Citus" in refused.stderr
    assert "CREATE EXTENSION citus" in refused.stderr
    shown = run("distribute", "--dry-run", "--store", postgres_uri)
    assert shown.returncode == 0
    assert "create_distributed_table('run', 'run_key', colocate_with => 'none')" in shown.stdout
    answer = json.loads(run("distribute", "--dry-run", "--json", "--store", postgres_uri).stdout)
    assert answer["citus"] is None
    assert "SELECT create_reference_table('experiment')" in answer["statements"]


def test_sqlite_can_not_be_distributed(sqlite_uri: str) -> None:
    open_store(sqlite_uri).close()
    done = run("distribute", "--store", sqlite_uri)
    assert done.returncode == 1
    assert "Only a PostgreSQL store" in done.stderr


def test_status_and_migrate(tmp_path: Path, postgres_uri: str) -> None:
    with closing(SqliteDatabase(tmp_path / "runlore.db")) as database:
        migrate(database, migrations()[:1])
    newest = migrations()[-1].number
    store = ["--store", str(tmp_path)]
    status = run("status", *store)
    assert f"schema version 1; this Runlore's is {newest}" in status.stdout
    assert "runlore db migrate" in status.stdout
    assert f"1 -> {newest}" in run("migrate", *store).stdout
    assert (tmp_path / "runlore.db.v1.bak").exists()
    assert "nothing to do" in run("migrate", *store).stdout
    assert json.loads(run("migrate", "--json", *store).stdout) == {"before": newest, "after": newest}
    answer = json.loads(run("status", "--json", "--store", postgres_uri).stdout)
    assert answer.items() >= {"database": "postgresql", "schema": newest, "newest": newest, "limit": 200, "pool": 9}.items()
    assert "Connections: " in run("status", "--store", postgres_uri).stdout
    refused = run("status", "--store", "http://localhost:1")
    assert "is a server" in refused.stderr
