"""PostgreSQL through psycopg 3: one writing connection a process, a small pool of readers, a new connection after a restart."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import Any

from runlore.exceptions import InvalidParameter, MissingDependency, RunloreError, Unavailable
from runlore.settings import settings
from runlore.store.sql.bulk import WORTHWHILE, Bulk, register
from runlore.store.sql.database import (
    EARLIER_RUNS,
    READ_SECONDS,
    READERS,
    Conflict,
    Dialect,
    Hints,
    InDoubt,
    LostConnection,
    Pool,
    Row,
    Savepoints,
    Transaction,
    WriteTransaction,
    clock,
)

_MIGRATION_LOCK = 0x72756E6C  # "runl": any number that others are not likely to take
_MOST_READERS = 500
_READ = f"-c statement_timeout={READ_SECONDS}s -c default_transaction_read_only=on -c jit=off"
_WRITE = f"-c statement_timeout={READ_SECONDS}s -c lock_timeout=10s -c jit=off"
_BEGIN_READ = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"

_PATIENCE = {
    "application_name": "runlore", "connect_timeout": 5, "keepalives": 1, "keepalives_idle": 10, "keepalives_interval": 3,
    "keepalives_count": 5, "tcp_user_timeout": 20_000,
}  # fmt: skip
"""What the URI may say otherwise. A peer that went without a word is noticed after 25 s; by default Linux takes two hours."""

_Statement = tuple[str, Sequence[Any]]

logger = logging.getLogger("runlore.store")


def psycopg() -> Any:
    """The driver module. Raises `MissingDependency` when it is not installed."""
    try:
        import psycopg
    except ImportError as error:
        raise MissingDependency(f"PostgreSQL needs psycopg ({error}). hint: pip install 'runlore[postgres]'") from error
    return psycopg


def connections_of_a_process() -> int:
    """How many connections one process has to a PostgreSQL store, at most: the readers and the writer."""
    return _readers() + 1


def _readers() -> int:
    text = settings().postgres_readers or str(READERS)
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= _MOST_READERS):
        raise InvalidParameter(f"RUNLORE_POSTGRES_READERS must be a whole number from 1 to {_MOST_READERS}, not {text!r}.")
    return int(text)


class PostgresDatabase:
    """The connections to one PostgreSQL database, named by a `postgresql://` URI."""

    dialect: Dialect = "postgresql"

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._psycopg = psycopg()
        self._translate = _Translator(self._psycopg)
        self._hints = Hints({EARLIER_RUNS})
        self._bulks: dict[str, Bulk | None] = {}
        self.readers = _readers()
        self._pool: Pool[Any] = Pool(lambda: self._connect(_READ), lambda connection: connection.close(), self.readers)
        self._writer: Any = self._connect_writer()

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """A snapshot that can not write. A connection that died while it was idle is replaced without a word."""
        connection, transaction = self._begin_read()
        broken = True
        try:
            yield transaction
            broken = False
        except RunloreError:
            broken = connection.broken
            raise
        finally:
            with suppress(self._psycopg.Error):
                connection.execute("ROLLBACK")
            self._pool.give_back(connection, broken or connection.broken)

    def _begin_read(self) -> tuple[Any, PostgresTransaction]:
        for attempt in (1, 2):
            connection = self._pool.take()
            try:
                return connection, self._begin(connection, _BEGIN_READ)
            except BaseException as error:
                self._pool.give_back(connection, broken=True)
                if attempt == 2 or not isinstance(error, LostConnection):
                    raise
        raise AssertionError("not reached")

    def write(self) -> WriteTransaction:
        """Begin a transaction on the writing connection, on a new one when the last one broke."""
        if self._writer.closed:
            self._writer = self._connect_writer()
        try:
            return self._begin(self._writer, "BEGIN")
        except LostConnection:
            self._writer.close()
            self._writer = self._connect_writer()
            return self._begin(self._writer, "BEGIN")

    def _begin(self, connection: Any, begin: str) -> PostgresTransaction:
        return PostgresTransaction(connection, self._translate, self._hints, self._bulks, begin)

    def version(self) -> int | str:
        """Which transactions of this PostgreSQL server have ended."""
        with self.read() as db:
            row = db.one("SELECT pg_current_snapshot()::text")
        assert row is not None
        return str(row[0])

    def write_now(self) -> WriteTransaction | None:
        """Never: each statement waits for the network."""
        return None

    def migrate_lock(self, db: Transaction) -> None:
        """Wait until no other process migrates this database, for as long as it takes, as may what follows."""
        db.execute("SET LOCAL lock_timeout = 0")
        db.execute("SET LOCAL statement_timeout = 0")
        db.all("SELECT pg_advisory_xact_lock(?)", (_MIGRATION_LOCK,))

    def tables(self, db: Transaction) -> set[str]:
        """Names of the tables of the current schema."""
        return {name for (name,) in db.all("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()")}

    def script(self, sql: str) -> str:
        """SQLite's spelling turned into PostgreSQL's. Text sorts by code point, as it does in SQLite."""
        sql = re.sub(r"\bBLOB\b", "BYTEA", sql)
        sql = re.sub(r"\bTEXT\b", 'TEXT COLLATE "C"', sql)
        return re.sub(r"\s*WITHOUT ROWID\b", "", sql)

    def backup(self, name: str) -> None:
        """Nothing: backups of a PostgreSQL database belong to whoever runs it."""

    def reopened(self) -> PostgresDatabase:
        """Fresh connections to the same database."""
        return PostgresDatabase(self._uri)

    def pause(self) -> None:
        """Close all connections, and open none until `resume`."""
        self._pool.pause()
        self._writer.close()

    def resume(self) -> None:
        """Open connections again when they are needed."""
        self._pool.resume()

    def close(self) -> None:
        """Close all connections."""
        self._pool.close()
        self._writer.close()

    def _connect(self, options: str) -> Any:
        try:
            given = self._psycopg.conninfo.conninfo_to_dict(self._uri)
            options = f"{given.get('options') or ''} {options}".strip()
            connection = self._psycopg.connect(
                self._uri, autocommit=True, prepare_threshold=3, **(_PATIENCE | given | {"options": options})
            )
        except self._psycopg.Error as error:
            raise Unavailable(f"PostgreSQL can not be reached: {error}") from error
        numeric = self._psycopg.types.numeric
        for dumper in (
            numeric.Int8Dumper,
            numeric.Int8BinaryDumper,
        ):  # in lists too, or a long list would be typed like a short one
            connection.adapters.register_dumper(int, dumper)
        register(connection, self._psycopg)
        connection.prepared_max = 500
        return connection

    def _connect_writer(self) -> Any:
        """A connection whose commits wait for the disk; says so loudly where the server as a whole does not."""
        writer = self._connect(_WRITE)
        unsafe = {"fsync": "off", "full_page_writes": "off", "data_sync_retry": "on"}
        settings = {name: writer.execute(f"SHOW {name}").fetchone()[0] for name in ("synchronous_commit", *unsafe)}
        waits = settings["synchronous_commit"]  # set in any case: who changes the default later does not change this session
        writer.execute(f"SET synchronous_commit = {'on' if waits == 'off' else waits}")
        for name, value in unsafe.items():
            if settings[name] == value:
                logger.warning(
                    "PostgreSQL runs with %s=%s: a power failure can lose or damage what was acknowledged.", name, value
                )
        return writer


def pool_and_limit(database: PostgresDatabase) -> dict[str, int]:
    """Connections to this database server: of Runlore, of others, how many it takes, and how many one process may open."""
    with database.read() as db:
        row = db.one(
            "SELECT COUNT(*) FILTER (WHERE application_name = 'runlore' AND datname = current_database()), COUNT(*), "
            "current_setting('max_connections')::bigint FROM pg_stat_activity WHERE backend_type = 'client backend'"
        )
    assert row is not None
    ours, everybody, limit = row
    return {"connections": ours, "others": everybody - ours, "limit": limit, "pool": connections_of_a_process()}


class PostgresTransaction(Savepoints):
    """A transaction on one PostgreSQL connection."""

    __slots__ = ("_bulks", "_connection", "_cursor", "_translate", "_waiting", "dialect", "for_update", "hints", "now")

    def __init__(
        self, connection: Any, translate: _Translator, hints: Hints, bulks: dict[str, Bulk | None], begin: str
    ) -> None:
        self._connection = connection
        self._cursor = connection.cursor(binary=True)
        self._translate = translate
        self.dialect: Dialect = "postgresql"
        self.for_update = " FOR UPDATE"
        self.hints = hints
        self._bulks = bulks
        self._waiting: list[_Statement] = []
        self.execute(begin)
        self.now = clock()

    def execute(self, sql: str, params: Sequence[Any] = ()) -> int:
        """Run one statement; returns the number of rows it changed."""
        return self._run(sql, params).rowcount  # type: ignore[no-any-return]

    def one(self, sql: str, params: Sequence[Any] = ()) -> Row | None:
        """The first row, or None."""
        return self._run(sql, params).fetchone()  # type: ignore[no-any-return]

    def all(self, sql: str, params: Sequence[Any] = ()) -> list[Row]:
        """All rows."""
        return self._run(sql, params).fetchall()  # type: ignore[no-any-return]

    def many(self, sql: str, params: Sequence[Sequence[Any]]) -> int:
        """Run one statement for each sequence of parameters, in one round trip."""
        statements = self._statements(sql, params)
        if len(statements) == 1:  # a pipeline for one statement costs more than the statement
            return self.execute(*statements[0])
        try:
            if self._waiting:
                self._send()
            self._cursor.executemany(placeholders(sql), params)
            return self._cursor.rowcount  # type: ignore[no-any-return]
        except self._translate.errors as error:
            raise self._translate(error, self._connection) from error

    def later(self, sql: str, params: Sequence[Sequence[Any]]) -> None:
        """Run it with the next statement that is waited for."""
        self._waiting += self._statements(sql, params)

    def _statements(self, sql: str, params: Sequence[Sequence[Any]]) -> list[_Statement]:
        try:
            if len(params) >= WORTHWHILE and (bulk := self._bulk(sql)) and (arrays := bulk.parameters(params)):
                return [(bulk.sql, arrays)]
        except self._translate.errors as error:
            raise self._translate(error, self._connection) from error
        return [(sql, row) for row in params]

    def _run(self, sql: str, params: Sequence[Any]) -> Any:
        """Run a statement behind those that wait; returns the cursor."""
        try:
            if not self._waiting:
                return self._cursor.execute(placeholders(sql), params)
            self._send((sql, params))
        except self._translate.errors as error:
            raise self._translate(error, self._connection) from error
        return self._cursor

    def _send(self, *last: _Statement) -> None:
        waiting, self._waiting = self._waiting, []
        with self._connection.pipeline():  # its end waits for all results
            for sql, params in (*waiting, *last):
                self._cursor.execute(placeholders(sql), params)

    def _bulk(self, sql: str) -> Bulk | None:
        """The statement for many rows; None where there is none. PostgreSQL is asked once for the types of its parameters."""
        if sql not in self._bulks:
            self._bulks[sql] = Bulk(sql, types) if Bulk.possible(sql) and Bulk.known(types := self._types(sql)) else None
        return self._bulks[sql]

    def _types(self, sql: str) -> list[int]:
        parts = sql.split("?")
        numbered = "".join(f"{part}${number}" for number, part in enumerate(parts[:-1], 1)) + parts[-1]
        self.execute(f"PREPARE types_of AS {numbered}")
        found = self.one("SELECT parameter_types::oid[] FROM pg_prepared_statements WHERE name = 'types_of'")
        self.execute("DEALLOCATE types_of")
        return [] if found is None else list(found[0])

    def among(self, column: str, values: Sequence[int] | Sequence[str]) -> tuple[str, Any]:
        """A condition "column is one of these" and its one parameter."""
        return f"{column} = ANY(?)", list(values)

    def commit(self) -> None:
        """Put everything on stable storage. PostgreSQL answers the COMMIT of a failed transaction with a quiet ROLLBACK."""
        try:
            self.execute("COMMIT")
        except LostConnection as error:  # whether it was committed is not known: it must not be tried again from here
            raise InDoubt(f"The connection to PostgreSQL broke during the commit, which may have happened: {error}") from error
        if self._cursor.statusmessage != "COMMIT":
            raise Unavailable(f"PostgreSQL did not commit: {self._cursor.statusmessage}.")

    def rollback(self) -> None:
        """Undo everything."""
        self._waiting.clear()
        with suppress(*self._translate.errors):
            self._cursor.execute("ROLLBACK")


class _Translator:
    """Turns psycopg's errors into ours. Errors that can only be mistakes in our own SQL pass unchanged."""

    def __init__(self, module: Any) -> None:
        self.errors: tuple[type[Exception], ...] = (module.Error, UnicodeEncodeError, OverflowError)
        self._module = module

    def __call__(self, error: Exception, connection: Any) -> Exception:
        known = self._module.errors
        if isinstance(error, UnicodeEncodeError | OverflowError | self._module.DataError):
            return InvalidParameter(f"A value can not be stored: {error}.")
        if connection.broken or connection.closed:
            return LostConnection(f"The connection to PostgreSQL broke: {error}. Try again later.")
        if isinstance(
            error, known.DeadlockDetected | known.SerializationFailure | known.UniqueViolation | known.ForeignKeyViolation
        ):
            return Conflict(f"Another process changed the same rows: {error}. Try again.")
        if isinstance(error, known.LockNotAvailable):
            return Unavailable("Another process has held the same rows for 10 s. Try again later.")
        if isinstance(error, known.QueryCanceled):
            return RunloreError(f"The query took longer than {READ_SECONDS} s. Ask for less at once.", "DEADLINE_EXCEEDED")
        if isinstance(error, self._module.OperationalError):  # disk full, too many connections, shutting down …
            return Unavailable(f"PostgreSQL can not do this now: {error}. Try again later.")
        return error


@lru_cache(maxsize=2_000)
def placeholders(sql: str) -> str:
    """`?` outside of text literals becomes `%s`, and `%` becomes `%%`."""
    parts = sql.replace("%", "%%").split("'")
    parts[::2] = [part.replace("?", "%s") for part in parts[::2]]
    return "'".join(parts)
