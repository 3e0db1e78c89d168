"""Migrations: all or nothing, once, and never on somebody else's database."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Barrier

import psycopg
import pytest
from tests.store.postgres import Cluster

from runlore.api.experiments import CreateExperiment, GetExperiment
from runlore.api.runs import GetRun
from runlore.api.views import CreateSavedView, GetSavedView
from runlore.exceptions import InvalidState
from runlore.store.base import open_store
from runlore.store.sql.database import Database
from runlore.store.sql.migrate import Migration, migrate, migrations
from runlore.store.sql.postgresql import PostgresDatabase
from runlore.store.sql.sqlite import SqliteDatabase

ROOT = Path(__file__).parents[2]
_FRUIT = """CREATE TABLE fruit (
  name TEXT NOT NULL PRIMARY KEY, -- a comment; with a semicolon
  data BLOB
) WITHOUT ROWID;"""
STEPS = [
    Migration(1, "fruit", _FRUIT),
    Migration(2, "pear", "INSERT INTO fruit (name) VALUES ('pear');\nCREATE INDEX fruit_data ON fruit (data);"),
    Migration(3, "time", "INSERT INTO fruit (name) VALUES ('{now}');"),
]


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """An empty database of each kind."""
    if request.param == "sqlite":
        with closing(SqliteDatabase(tmp_path / "x.db")) as sqlite:
            yield sqlite
        return
    cluster: Cluster = request.getfixturevalue("postgres")
    name = cluster.database()
    with closing(PostgresDatabase(cluster.uri(name))) as postgres:
        yield postgres
    cluster.drop(name)


def fruit(database: Database) -> list[str]:
    with database.read() as db:
        return [name for (name,) in db.all("SELECT name FROM fruit ORDER BY name DESC")]


def tables(database: Database) -> set[str]:
    with database.read() as db:
        return database.tables(db)


def test_steps_are_taken_in_order_and_once(database: Database) -> None:
    assert migrate(database, STEPS[:2]) == 2
    assert fruit(database) == ["pear"]
    assert migrate(database, STEPS[:2]) == 2
    assert migrate(database, STEPS) == 3
    names = fruit(database)
    assert names[0] == "pear"
    assert names[1].isdigit()
    with database.read() as db:
        assert db.all("SELECT number, name FROM schema_version ORDER BY number") == [(1, "fruit"), (2, "pear"), (3, "time")]


def test_a_step_that_fails_changes_nothing(database: Database) -> None:
    broken = Migration(2, "broken", "INSERT INTO fruit (name) VALUES ('plum');\nINSERT INTO nowhere VALUES (1);")
    with pytest.raises(Exception, match="nowhere"):
        migrate(database, [STEPS[0], broken])
    assert tables(database) == set()
    migrate(database, STEPS[:1])
    with pytest.raises(Exception, match="nowhere"):
        migrate(database, [STEPS[0], broken])
    assert fruit(database) == []
    assert migrate(database, STEPS) == 3


def test_a_newer_database_is_left_alone(database: Database) -> None:
    newest = migrate(database)
    transaction = database.write()
    transaction.execute("INSERT INTO schema_version (number, name, time) VALUES (?, 'future', 0)", (newest + 1,))
    transaction.commit()
    with pytest.raises(InvalidState, match=f"schema version {newest + 1}.*--upgrade runlore"):
        migrate(database)


@pytest.mark.parametrize(("table", "words"), [("alembic_version", "MLflow"), ("experiment", "another program")])
def test_the_database_of_another_program_is_left_alone(database: Database, table: str, words: str) -> None:
    transaction = database.write()
    transaction.execute(f"CREATE TABLE {table} (x BIGINT)")
    transaction.commit()
    with pytest.raises(InvalidState, match=words):
        migrate(database)
    assert tables(database) == {table}


def test_the_released_steps_are_numbered_without_gaps() -> None:
    assert [step.number for step in migrations()] == list(range(1, len(migrations()) + 1))


def test_a_sqlite_file_is_copied_before_it_is_changed(tmp_path: Path) -> None:
    with closing(SqliteDatabase(tmp_path / "x.db")) as database:
        migrate(database, STEPS[:1])
        assert list(tmp_path.glob("*.bak")) == []  # there was nothing to lose
        transaction = database.write()
        transaction.execute("INSERT INTO fruit (name) VALUES ('quince')")
        transaction.commit()
        migrate(database, STEPS)
    backup = tmp_path / "x.db.v1.bak"
    assert backup.stat().st_mode & 0o777 == 0o600
    with closing(sqlite3.connect(backup)) as copy:
        assert copy.execute("SELECT name FROM fruit").fetchall() == [("quince",)]


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_a_released_store_with_data_in_it_is_brought_up_to_date(
    kind: str, tmp_path: Path, empty_postgres: Callable[[], str]
) -> None:
    """What was there stays as it was, what is new can be used, and of a SQLite file there is a copy of before."""
    path = tmp_path / "x.db"
    uri = f"sqlite:///{path}" if kind == "sqlite" else empty_postgres()
    run_id = "0000000000000002" + "0" * 16
    with closing(SqliteDatabase(path) if kind == "sqlite" else PostgresDatabase(uri)) as database:
        assert migrate(database, migrations()[:1]) == 1
        transaction = database.write()
        transaction.execute(
            "INSERT INTO run (run_key, run_id, experiment_id, name, user_id, status, start_time, artifact_uri, last_activity) "
            "VALUES (1, ?, 0, 'old', 'me', 'FINISHED', 7, 'mlflow-artifacts:/0/x', 7)",
            (run_id,),
        )
        transaction.execute("INSERT INTO param (run_key, key, value, number) VALUES (1, 'lr', '0.1', 0.1)")
        transaction.commit()
        old = {table: rows(database, table) for table in tables(database) - {"schema_version", "run"}}
    with closing(open_store(uri)) as store:
        assert store.call(GetRun(run_id=run_id)).run.data.params == {"lr": "0.1"}
        view = store.call(CreateSavedView(name="mine", experiment_id="0", state={"a": 1})).view
        assert store.call(GetSavedView(view_id=view.view_id)).view.state == {"a": 1}
    with closing(SqliteDatabase(path) if kind == "sqlite" else PostgresDatabase(uri)) as database:
        for table, before in old.items():  # new columns come last
            assert [row[: len(was)] for row, was in zip(rows(database, table), before, strict=True)] == before, table
        assert [row[0] for row in rows(database, "schema_version")] == [step.number for step in migrations()]
    if kind == "sqlite":
        with closing(sqlite3.connect(tmp_path / "x.db.v1.bak")) as copy:
            assert copy.execute("SELECT COUNT(*), MAX(number) FROM run, schema_version").fetchall() == [(1, 1)]


def rows(database: Database, table: str) -> list[tuple[object, ...]]:
    """The rows of a table, of the table of versions the numbers alone."""
    columns = "number" if table == "schema_version" else "*"
    with database.read() as db:
        found = db.all(f"SELECT {columns} FROM {table}")
    return sorted(found, key=str)


def test_what_postgresql_makes_of_a_script(postgres: Cluster) -> None:
    name = postgres.database()
    with closing(PostgresDatabase(postgres.uri(name))) as database:
        migrate(database)
    with psycopg.connect(postgres.uri(name)) as connection:
        rows = connection.execute(
            "SELECT data_type, collation_name, COUNT(*) FROM information_schema.columns WHERE table_schema = 'public' "
            "AND data_type IN ('text', 'bytea') GROUP BY 1, 2"
        ).fetchall()
    assert {(kind, collation) for kind, collation, _ in rows} == {("text", "C"), ("bytea", None)}
    postgres.drop(name)


def test_a_migration_of_postgresql_may_take_longer_than_a_query(postgres: Cluster) -> None:
    name = postgres.database()
    step = "INSERT INTO fruit (name) VALUES (current_setting('statement_timeout') || ' ' || current_setting('lock_timeout'));"
    with closing(PostgresDatabase(postgres.uri(name))) as database:
        migrate(database, [STEPS[0], Migration(2, "settings", step)])
        assert fruit(database) == ["0 0"]
    postgres.drop(name)


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_processes_that_start_together_migrate_once(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path, empty_postgres: Callable[[], str]
) -> None:
    uri = f"sqlite:///{tmp_path / 'new' / 'x.db'}" if kind == "sqlite" else empty_postgres()
    command = [sys.executable, "-m", "tests.store.child", "nothing", uri]
    children = [subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    errors = [child.communicate()[1] for child in children]
    assert [child.returncode for child in children] == [0] * 4, errors
    with closing(open_store(uri)) as store:
        assert store.call(CreateExperiment(name="first")).experiment_id == "1"
        assert store.call(GetExperiment(experiment_id="0")).experiment.name == "Default"


_CHILD = """
import sys
from pathlib import Path
from runlore.store.sql.migrate import Migration, migrate
from runlore.store.sql.sqlite import SqliteDatabase
from tests.store.test_migrate import STEPS
database = SqliteDatabase(Path(sys.argv[1]))
numbers = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000000)"
slow = f"{numbers} INSERT INTO fruit (name) SELECT i FROM n"
print("begin", flush=True)
migrate(database, [*STEPS[:2], Migration(3, "slow", slow)])
"""


def test_a_migration_that_is_killed_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    with closing(SqliteDatabase(path)) as database:
        migrate(database, STEPS[:1])
    command = [sys.executable, "-c", _CHILD, str(path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        child.stdout.readline()
        while not (path.with_name("x.db-wal").exists() and path.with_name("x.db-wal").stat().st_size > 1_000_000):
            assert child.poll() is None
            time.sleep(0.01)
        child.kill()
    with closing(sqlite3.connect(tmp_path / "x.db.v1.bak")) as copy:
        assert copy.execute("SELECT MAX(number) FROM schema_version").fetchall() == [(1,)]
    with closing(SqliteDatabase(path)) as database:
        with database.read() as db:
            assert db.all("SELECT number FROM schema_version") == [(1,)]
        assert migrate(database, STEPS) == 3
        assert len(fruit(database)) == 2


def test_those_who_update_together_keep_one_copy_of_what_was(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    with closing(SqliteDatabase(path)) as database:
        migrate(database, STEPS[:1])
        transaction = database.write()
        transaction.many("INSERT INTO fruit (name) VALUES (?)", [(f"quince {number:0200}",) for number in range(20_000)])
        transaction.commit()
    together = Barrier(4)

    def update(_: int) -> int:
        with closing(SqliteDatabase(path)) as database:
            together.wait()
            return migrate(database, STEPS)

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(update, range(4))) == [3] * 4
    assert [entry.name for entry in tmp_path.iterdir() if "bak" in entry.name] == ["x.db.v1.bak"]
    with closing(sqlite3.connect(tmp_path / "x.db.v1.bak")) as copy:
        assert copy.execute("SELECT COUNT(*), MAX(number) FROM fruit, schema_version").fetchall() == [(20_000, 1)]


@pytest.fixture
def empty_postgres(request: pytest.FixtureRequest) -> Iterator[Callable[[], str]]:
    """Makes a PostgreSQL database with nothing in it."""
    made: list[str] = []

    def make() -> str:
        cluster: Cluster = request.getfixturevalue("postgres")
        made.append(cluster.database())
        return cluster.uri(made[-1])

    yield make
    for name in made:
        request.getfixturevalue("postgres").drop(name)


def test_the_client_of_a_migration_that_was_killed_starts_over(tmp_path: Path) -> None:
    """What a killed migration left is what an uncommitted transaction leaves: nothing."""
    with closing(SqliteDatabase(tmp_path / "x.db")) as database:
        transaction = database.write()
        transaction.execute("CREATE TABLE schema_version (number BIGINT, name TEXT, time BIGINT)")
        # no commit: the process ends here
    with closing(open_store(f"sqlite:///{tmp_path / 'x.db'}")) as store:
        assert store.call(GetExperiment(experiment_id="0")).experiment.name == "Default"
