"""Transactions and connections of both databases: the common subset, and what each does when things break."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from tests.store.postgres import Cluster, cluster

from runlore.api.runs import CreateRun, GetRun, LogParam, RunReply, SetTag
from runlore.exceptions import InvalidParameter, InvalidState, Unavailable
from runlore.store.base import Store, open_store
from runlore.store.sql.database import Database, Transaction
from runlore.store.sql.file_systems import file_system, refuse_network_file_system
from runlore.store.sql.handlers import HANDLERS, handles
from runlore.store.sql.postgresql import PostgresDatabase, placeholders
from runlore.store.sql.sqlite import FIRST_SAFE_VERSION, SqliteDatabase, driver
from runlore.store.sql.store import SqlStore


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database of each kind with one table."""
    made: Database
    if request.param == "sqlite":
        made = SqliteDatabase(tmp_path / "x.db")
    else:
        made = PostgresDatabase(request.getfixturevalue("postgres_uri"))
    with closing(made):
        transaction = made.write()
        transaction.execute(made.script("CREATE TABLE t (k BIGINT PRIMARY KEY, text TEXT, number DOUBLE PRECISION, data BLOB)"))
        transaction.commit()
        yield made


def put(database: Database, *rows: tuple[object, ...]) -> None:
    transaction = database.write()
    transaction.many("INSERT INTO t (k, text, number, data) VALUES (?, ?, ?, ?)", rows)
    transaction.commit()


# -- the common subset ------------------------------------------------------------------------------------------------------


def test_values_come_back_as_they_were(database: Database) -> None:
    rows = [
        (2**63 - 1, "ä'?%", 0.1, b"\x00\xff"),
        (-(2**63), "", float("inf"), b""),
        (0, None, None, None),
        (3, "x", -1.5e300, b"?"),
    ]
    put(database, *rows)
    with database.read() as db:
        assert sorted(db.all("SELECT k, text, number, data FROM t")) == sorted(rows)
        assert db.one("SELECT text FROM t WHERE k = ? AND text LIKE '%?\\%' ESCAPE '\\'", (2**63 - 1,)) == ("ä'?%",)
        assert db.one("SELECT k FROM t WHERE k = 77") is None


def test_numbers_of_changed_rows(database: Database) -> None:
    transaction = database.write()
    insert = "INSERT INTO t (k, text) VALUES (?, ?) ON CONFLICT (k) DO NOTHING"
    assert transaction.many(insert, [(1, "a"), (2, "b"), (1, "c")]) == 2
    assert transaction.many(insert, [(1, "d")]) == 0
    assert transaction.execute("UPDATE t SET text = 'x'") == 2
    assert transaction.one("UPDATE t SET k = k + 10 WHERE k = 1 RETURNING k, text") == (11, "x")
    transaction.rollback()
    with database.read() as db:
        assert db.all("SELECT * FROM t") == []


@pytest.mark.parametrize("count", [1, 2, 5_000])
def test_among(database: Database, count: int) -> None:
    put(database, *((2**62 + i, f"{i}", None, None) for i in range(10)))
    with database.read() as db:
        for column, values in (("k", [2**62 + i for i in range(count)]), ("text", [str(i) for i in range(count)])):
            condition, parameter = db.among(column, values)
            assert len(db.all(f"SELECT k FROM t WHERE number IS NULL AND {condition}", (parameter,))) == min(count, 10)


def test_text_sorts_by_code_point_and_like_is_case_sensitive(database: Database) -> None:
    put(database, *((i, word, None, None) for i, word in enumerate(["b", "B", "a", "ä", "_", "Z"])))
    with database.read() as db:
        assert [word for (word,) in db.all("SELECT text FROM t ORDER BY text")] == ["B", "Z", "_", "a", "b", "ä"]
        assert db.all("SELECT text FROM t WHERE text LIKE 'B%'") == [("B",)]


def test_a_savepoint_undoes_one_part(database: Database) -> None:
    transaction = database.write()
    for number in range(4):
        transaction.savepoint()
        transaction.execute("INSERT INTO t (k) VALUES (?)", (number,))
        if number % 2:
            transaction.rollback_to()
        else:
            transaction.release()
    transaction.commit()
    with database.read() as db:
        assert db.all("SELECT k FROM t ORDER BY k") == [(0,), (2,)]


def test_a_reader_sees_one_state_and_can_not_write(database: Database) -> None:
    with database.read() as db:
        assert db.one("SELECT COUNT(*) FROM t") == (0,)
        put(database, (1, "new", None, None))
        assert db.one("SELECT COUNT(*) FROM t") == (0,)
        with pytest.raises(Exception, match=r"(?i)read.?only"):
            db.execute("DELETE FROM t")
    with database.read() as db:
        assert db.one("SELECT COUNT(*) FROM t") == (1,)


def test_many_threads_share_the_readers(database: Database) -> None:
    put(database, *((i, None, None, None) for i in range(100)))

    def read(_: int) -> int:
        with database.read() as db:
            return len(db.all("SELECT k FROM t"))

    with ThreadPoolExecutor(32) as pool:
        assert set(pool.map(read, range(300))) == {100}


def test_a_reader_is_of_use_after_an_error(database: Database) -> None:
    for _ in range(20):
        with pytest.raises(Exception, match="nowhere"), database.read() as db:
            db.all("SELECT * FROM nowhere")
        with database.read() as db:
            assert db.one("SELECT COUNT(*) FROM t") == (0,)


@pytest.mark.parametrize(("column", "value"), [("text", "\ud800"), ("k", 2**63)])
def test_values_that_can_not_be_stored_are_refused(database: Database, column: str, value: object) -> None:
    transaction = database.write()
    with pytest.raises(InvalidParameter, match="can not be stored"):
        transaction.execute(f"INSERT INTO t ({column}) VALUES (?)", (value,))
    transaction.rollback()


def test_placeholders() -> None:
    assert (
        placeholders("SELECT '?%', ? WHERE a LIKE '%it''s?' AND b = ?") == "SELECT '?%%', %s WHERE a LIKE '%%it''s?' AND b = %s"
    )


def test_a_handler_has_the_name_of_its_operation() -> None:
    with pytest.raises(TypeError, match="handled by 'get_run', not by 'fetch_run'"):

        @handles(GetRun)
        def fetch_run(db: Transaction, op: GetRun) -> RunReply:
            raise AssertionError

    with pytest.raises(TypeError, match="two handlers"):

        @handles(GetRun)
        def get_run(db: Transaction, op: GetRun) -> RunReply:
            raise AssertionError

    assert HANDLERS[GetRun].__module__ == "runlore.store.sql.runs"


# -- SQLite -----------------------------------------------------------------------------------------------------------------


def test_sqlite_waits_for_the_disk(tmp_path: Path) -> None:
    with closing(SqliteDatabase(tmp_path / "x.db")) as database:
        transaction = database.write()
        found = {
            name: transaction.one(f"PRAGMA {name}") for name in ("journal_mode", "synchronous", "mmap_size", "foreign_keys")
        }
        transaction.rollback()
    assert found == {"journal_mode": ("wal",), "synchronous": (2,), "mmap_size": (0,), "foreign_keys": (1,)}


def test_sqlite_files_are_their_owners(tmp_path: Path) -> None:
    with closing(open_store(str(tmp_path / "new"))) as store:
        store.call(CreateRun())
        modes = {
            path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "new").iterdir() if path.name.startswith("runlore")
        }
    assert set(modes) == {"runlore.db", "runlore.db-wal", "runlore.db-shm", "runlore.db.lock"}
    assert set(modes.values()) == {0o600}
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700


def test_an_unsafe_sqlite_is_left_alone_with_the_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    if sqlite3.sqlite_version_info >= FIRST_SAFE_VERSION or driver() is sqlite3:
        pytest.skip("needs an old SQLite in the standard library and pysqlite3")
    with closing(SqliteDatabase(tmp_path / "x.db", sqlite3)):
        assert "can corrupt a database" in caplog.text
        for module in (sqlite3, driver()):
            with pytest.raises(InvalidState, match="pip install pysqlite3"):
                SqliteDatabase(tmp_path / "x.db", module)
    with (
        closing(SqliteDatabase(tmp_path / "x.db")),
        closing(SqliteDatabase(tmp_path / "x.db")),
        pytest.raises(InvalidState, match="open in another process"),
    ):
        SqliteDatabase(tmp_path / "x.db", sqlite3)


def test_a_file_that_is_no_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    path.write_bytes(b"these are somebody's notes, " * 100)
    with pytest.raises(Unavailable, match="not a database"):
        open_store(f"sqlite:///{path}")
    assert path.read_bytes() == b"these are somebody's notes, " * 100


def test_damaged_text_is_called_damage(tmp_path: Path) -> None:
    with closing(SqliteDatabase(tmp_path / "x.db")) as database:
        transaction = database.write()
        transaction.execute("CREATE TABLE t (text TEXT)")
        transaction.execute("INSERT INTO t VALUES (CAST(x'ff41' AS TEXT))")
        transaction.commit()
        with pytest.raises(Unavailable, match=r"damaged.*restore a backup"), database.read() as db:
            db.all("SELECT text FROM t")
    path = tmp_path / "x.db"
    path.write_bytes(path.read_bytes().replace(b"CREATE TABLE t (text TEXT)", b"CREATE TABLE \xff (text TEXT)"))
    with pytest.raises(Unavailable, match=r"damaged.*restore a backup"):
        SqliteDatabase(path)


def test_the_file_system_is_known() -> None:
    assert file_system(Path("/proc/self")) == "proc"
    refuse_network_file_system(Path("/proc"))


def test_a_query_that_takes_too_long_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runlore.store.sql.sqlite.READ_SECONDS", 0)
    endless = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT MAX(i) FROM n"
    with (
        closing(SqliteDatabase(tmp_path / "x.db")) as database,
        pytest.raises(Exception, match="took longer than 0 s"),
        database.read() as db,
    ):
        db.one(endless)


# -- PostgreSQL ---------------------------------------------------------------------------------------------------------------


@pytest.fixture
def own_cluster(postgres: Cluster) -> Iterator[Cluster]:
    """A server that a test may stop. (`postgres` is asked for because it skips where PostgreSQL is missing.)"""
    with cluster() as server:
        yield server


def create(store: Store) -> str:
    return store.call(CreateRun()).run.info.run_id


def test_a_store_outlives_a_restart_of_postgresql(own_cluster: Cluster) -> None:
    with closing(open_store(own_cluster.uri(own_cluster.database()), artifacts="file:///nowhere")) as store:
        run_id = create(store)
        own_cluster.stop()
        for _ in range(2):
            with pytest.raises(Unavailable):
                store.call(SetTag(run_id=run_id, key="when", value="down"))
            with pytest.raises(Unavailable):
                store.call(GetRun(run_id=run_id))
        own_cluster.start()
        store.call(SetTag(run_id=run_id, key="when", value="up again"))
        assert store.call(GetRun(run_id=run_id)).run.data.tags["when"] == "up again"


def test_connections_that_died_unnoticed_are_replaced(postgres_uri: str) -> None:
    with closing(open_store(postgres_uri, artifacts="file:///nowhere")) as store:
        run_id = create(store)
        for i in range(5):
            assert store.call(GetRun(run_id=run_id)).run.info.run_id == run_id
            with psycopg.connect(postgres_uri) as other:
                sql = (
                    "SELECT COUNT(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity "
                    "WHERE application_name = 'runlore' AND datname = current_database()"
                )
                row = other.execute(sql).fetchone()
            assert row is not None
            assert row[0] >= 2
            store.call(LogParam(run_id=run_id, key=str(i), value=""))
        assert len(store.call(GetRun(run_id=run_id)).run.data.params) == 5


def test_commits_wait_for_the_disk_whatever_the_servers_default(postgres_uri: str, caplog: pytest.LogCaptureFixture) -> None:
    with closing(PostgresDatabase(postgres_uri + "&options=-c%20synchronous_commit%3Doff")) as database:
        transaction = database.write()
        assert transaction.one("SHOW synchronous_commit") == ("on",)
        pid = transaction.one("SELECT pg_backend_pid()")
        transaction.rollback()
        with psycopg.connect(postgres_uri, autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s, 5000)", pid)
        transaction = database.write()
        assert transaction.one("SHOW synchronous_commit") == ("on",)
        transaction.rollback()
    assert "fsync=off: a power failure can lose" in caplog.text  # as this test server runs


def test_an_unreachable_postgresql_is_named(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="can not be reached"):
        open_store(f"postgresql:///x?host={tmp_path}")


@pytest.mark.parametrize("uri", ["sqlite_uri", "postgres_uri"])
def test_a_store_has_a_key_of_its_own_that_stays(request: pytest.FixtureRequest, uri: str) -> None:
    found = []
    for _ in range(2):
        with closing(open_store(request.getfixturevalue(uri), artifacts="file:///nowhere")) as store:
            assert isinstance(store, SqlStore)
            found.append(store.secret("addresses"))
    assert found[0] == found[1]
    assert len(found[0]) == 32
