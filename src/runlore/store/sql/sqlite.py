"""SQLite: one file, one writer, readers on snapshots.

Write-ahead log with `synchronous=FULL`: a commit returns when it is on the disk. The library comes from the `pysqlite3` wheel
where that is installed, because SQLite 3.7.0 to 3.51.2 can corrupt a database when two connections write or checkpoint at
the same moment; with such a version only one process may open a store (a lock file beside the database sees to it).

Locks belong to a process: where two copies of SQLite (this wheel's and the standard library's, say) open one file in one
process, closing it in one drops the locks of the other, and the file can be damaged. Look into a store's file from elsewhere.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import sqlite3
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import IO, Any

from runlore.exceptions import InvalidParameter, InvalidState, RunloreError, Unavailable
from runlore.store.sql.database import (
    EARLIER_RUNS,
    READ_SECONDS,
    READERS,
    DamagedFile,
    Dialect,
    DiskFailure,
    Hints,
    Pool,
    Row,
    Savepoints,
    Transaction,
    WriteTransaction,
    clock,
)
from runlore.store.sql.file_systems import refuse_network_file_system

FIRST_SAFE_VERSION = (3, 51, 3)
_SHARED_PRAGMAS = ("foreign_keys = ON", "case_sensitive_like = ON", "mmap_size = 0", "temp_store = MEMORY")
_WRITER_PRAGMAS = ("synchronous = FULL", "journal_size_limit = 67108864", "cache_size = -16000")
_READER_PRAGMAS = ("query_only = ON", "cache_size = -8000", "wal_autocheckpoint = 0")
_STEPS_BETWEEN_LOOKS = 200_000  # of SQLite's machine: a few milliseconds

_BUSY_SECONDS = 5.0

logger = logging.getLogger("runlore.store")


@cache
def driver() -> Any:
    """The SQLite module: `pysqlite3` where it can be imported, else the standard library's."""
    try:
        import pysqlite3
    except ImportError:
        return sqlite3
    return pysqlite3


class SqliteDatabase:
    """The connections to one database file. `module` is the Python SQLite module, for tests of old versions."""

    dialect: Dialect = "sqlite"
    readers = READERS

    def __init__(self, path: Path, module: Any = None) -> None:
        self.path = path
        self._module = module or driver()
        self._translate = _Translator(self._module, path)
        refuse_network_file_system(path.parent)
        self._hints = Hints({EARLIER_RUNS})
        self._pool = Pool(lambda: _Reader(self._connect(_READER_PRAGMAS)), lambda reader: reader.connection.close())
        self._watching, self._watchers = threading.Lock(), 0
        self._watcher: Any = None
        self._closed = False
        self._lock = self._lock_file()
        self._writer: Any = None
        try:
            self._writer = self._open_writer()
        except BaseException:
            self.close()
            raise

    def _open_writer(self) -> Any:
        self._refuse_a_lost_file()
        with suppress(FileExistsError):
            os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        writer = self._connect(("journal_mode = WAL", *_WRITER_PRAGMAS))
        try:
            mode = writer.execute("PRAGMA journal_mode").fetchone()[0]
        except self._translate.errors as error:
            writer.close()
            raise self._translate(error) from error
        if mode != "wal":
            writer.close()
            raise InvalidState(f"{self.path} can not use a write-ahead log (its journal is {mode!r}). Put it on a local disk.")
        writer.execute("PRAGMA busy_timeout = 0")  # waiting for others is the business of `write`
        return writer

    def _refuse_a_lost_file(self) -> None:
        """SQLite would make a new database here, and remove the write-ahead log that holds the end of the old one."""
        log = self.path.with_name(self.path.name + "-wal")
        with suppress(FileNotFoundError):
            if log.stat().st_size and not (self.path.exists() and self.path.stat().st_size):
                raise DamagedFile(
                    f"{self.path} is missing or empty, but its write-ahead log {log.name} is there. Put the file back, or "
                    "restore a backup; to begin a new store, move the log away."
                )

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """A snapshot that can not write."""
        reader = self._pool.take()
        broken = True
        try:
            reader.begin()
            yield SqliteTransaction(reader.connection, self._translate, self._hints, "BEGIN")
            broken = False
        except RunloreError:
            broken = False
            raise
        finally:
            with suppress(self._module.Error):
                reader.connection.execute("ROLLBACK")
            self._pool.give_back(reader, broken)

    def write(self) -> WriteTransaction:
        """Begin a transaction on the writing connection, after waiting for another process for up to `_BUSY_SECONDS`."""
        deadline, pause = time.monotonic() + _BUSY_SECONDS, 0.001
        while (transaction := self.write_now()) is None:
            if time.monotonic() > deadline:
                raise Unavailable("The database is busy: another process has been writing for 5 s. Try again later.")
            time.sleep(pause)
            pause = min(2 * pause, 0.05)
        return transaction

    def write_now(self) -> WriteTransaction | None:
        """Begin a transaction on the writing connection; None when another process is writing."""
        if self._writer is None:
            self._writer = self._open_writer()
        try:
            return SqliteTransaction(self._writer, self._translate, self._hints, "BEGIN IMMEDIATE")
        except _Busy:
            return None

    def version(self) -> int | str:
        """A few microseconds: SQLite looks at the head of the index of its write-ahead log."""
        with self._watching:
            if self._closed:
                raise Unavailable(f"{self.path} is closed.")
            if self._watcher is None:
                self._watcher = self._connect(_READER_PRAGMAS)
                self._watchers += 1  # each counts for itself
            try:
                return self._watchers << 32 | int(self._watcher.execute("PRAGMA data_version").fetchone()[0])
            except self._translate.errors as error:
                raise self._translate(error) from error

    def migrate_lock(self, db: Transaction) -> None:
        """Nothing to do: BEGIN IMMEDIATE is the lock."""

    def tables(self, db: Transaction) -> set[str]:
        """Names of the tables that exist."""
        return {
            name
            for (name,) in db.all(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite~_%' ESCAPE '~'"
            )
        }

    def script(self, sql: str) -> str:
        """Scripts are written in SQLite's spelling."""
        return sql

    def backup(self, name: str) -> None:
        """Copy the database to `<file>.<name>.bak` unless that exists."""
        target = self.path.with_name(f"{self.path.name}.{name}.bak")
        if target.exists():
            return
        part = target.with_name(f"{target.name}.{secrets.token_hex(4)}.part")  # other processes may be at it too
        try:
            self._writer.execute("VACUUM INTO ?", (str(part),))
            part.chmod(0o600)
            with suppress(FileExistsError):  # the first copy is the right one: nobody migrates before it is there
                os.link(part, target)
        finally:
            part.unlink(missing_ok=True)

    def copy_to(self, target: Path) -> None:
        """Write a copy as of now to a new file, private and on stable storage. Writers go on meanwhile.

        Raises `DiskFailure` when the copy is not sound: then neither is this database.
        """
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        source, copy = self._connect(_READER_PRAGMAS), self._module.connect(str(target), isolation_level=None)
        try:
            source.backup(copy)  # in one step: all of one snapshot
            found = copy.execute("PRAGMA quick_check(1)").fetchone()[0]
        except self._module.Error as error:
            raise self._translate(error) from error
        finally:
            copy.close()
            source.close()
        if found != "ok":
            raise DiskFailure(f"The copy of {self.path} is damaged: {found}. hint: runlore doctor")
        with target.open("rb+") as file:
            os.fsync(file)

    def reopened(self) -> SqliteDatabase:
        """Fresh connections to the same file."""
        return SqliteDatabase(self.path, self._module)

    def pause(self) -> None:
        """Close all connections, and open none until `resume`. The lock file stays locked."""
        self._pool.pause()
        self._close_writer()
        self._close_watcher()

    def resume(self) -> None:
        """Open connections again when they are needed."""
        self._pool.resume()

    def close(self) -> None:
        """Close all connections."""
        self._closed = True
        self._pool.close()
        self._close_writer()
        self._close_watcher()
        if self._lock:
            self._lock.close()

    def _close_writer(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()

    def _close_watcher(self) -> None:
        with self._watching:
            watcher, self._watcher = self._watcher, None
            if watcher is not None:
                watcher.close()

    def _connect(self, pragmas: tuple[str, ...]) -> Any:
        connection = None
        try:
            connection = self._module.connect(
                str(self.path), timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False, cached_statements=512
            )
            for pragma in (*_SHARED_PRAGMAS, *pragmas):
                connection.execute(f"PRAGMA {pragma}")
        except self._translate.errors as error:
            if connection is not None:
                connection.close()
            raise self._translate(error) from error
        return connection

    def _lock_file(self) -> IO[bytes] | None:
        """Keep a second process out where SQLite is too old for two; keep an old SQLite out where others are at work."""
        safe = self._module.sqlite_version_info >= FIRST_SAFE_VERSION
        if not safe:
            logger.warning(
                "SQLite %s can corrupt a database that two processes write; only one may open %s. hint: pip install pysqlite3",
                self._module.sqlite_version,
                self.path,
            )
        if sys.platform == "win32":  # where the wheel brings a safe version
            return None
        import fcntl

        lock = os.fdopen(os.open(f"{self.path}.lock", os.O_CREAT | os.O_RDWR, 0o600), "r+b")
        try:
            fcntl.flock(lock, (fcntl.LOCK_SH if safe else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            raise InvalidState(
                f"{self.path} is open in another process, and SQLite below {'.'.join(map(str, FIRST_SAFE_VERSION))} (here: "
                f"{self._module.sqlite_version}) is not safe with two. hint: pip install pysqlite3, or start `runlore server` "
                "and point all processes at it."
            ) from None
        return lock


class _Busy(Unavailable):
    """Another process is writing to the file."""


class _Reader:
    """A reading connection that cuts off what runs too long."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self._deadline = 0.0
        connection.set_progress_handler(lambda: time.monotonic() > self._deadline, _STEPS_BETWEEN_LOOKS)

    def begin(self) -> None:
        self._deadline = time.monotonic() + READ_SECONDS


class SqliteTransaction(Savepoints):
    """A transaction on one SQLite connection."""

    __slots__ = ("_execute", "_many", "_translate", "dialect", "for_update", "hints", "now")

    def __init__(self, connection: Any, translate: _Translator, hints: Hints, begin: str) -> None:
        self._execute, self._many = connection.execute, connection.executemany
        self._translate = translate
        self.dialect: Dialect = "sqlite"
        self.for_update = ""
        self.hints = hints
        self.execute(begin)
        self.now = clock()

    def execute(self, sql: str, params: Sequence[Any] = ()) -> int:
        """Run one statement; returns the number of rows it changed."""
        try:
            return self._execute(sql, params).rowcount  # type: ignore[no-any-return]
        except self._translate.errors as error:
            raise self._translate(error) from error

    def one(self, sql: str, params: Sequence[Any] = ()) -> Row | None:
        """The first row, or None."""
        try:
            cursor = self._execute(sql, params)
            row = cursor.fetchone()
            cursor.close()  # a statement that is not finished keeps its snapshot
            return row  # type: ignore[no-any-return]
        except self._translate.errors as error:
            raise self._translate(error) from error

    def all(self, sql: str, params: Sequence[Any] = ()) -> list[Row]:
        """All rows."""
        try:
            return self._execute(sql, params).fetchall()  # type: ignore[no-any-return]
        except self._translate.errors as error:
            raise self._translate(error) from error

    def many(self, sql: str, params: Sequence[Sequence[Any]]) -> int:
        """Run one statement for each sequence of parameters; returns the number of rows changed by all of them."""
        try:
            return self._many(sql, params).rowcount  # type: ignore[no-any-return]
        except self._translate.errors as error:
            raise self._translate(error) from error

    def later(self, sql: str, params: Sequence[Sequence[Any]]) -> None:
        """As `many`, now: there are no round trips to save."""
        _ = self.execute(sql, params[0]) if len(params) == 1 else self.many(sql, params)

    def among(self, column: str, values: Sequence[int] | Sequence[str]) -> tuple[str, Any]:
        """A condition "column is one of these" and its one parameter."""
        if len(values) == 1:
            return f"{column} = ?", values[0]
        return f"{column} IN (SELECT value FROM json_each(?))", json.dumps(values)

    def commit(self) -> None:
        """Put everything on stable storage."""
        self.execute("COMMIT")

    def rollback(self) -> None:
        """Undo everything. After some errors SQLite has done so by itself."""
        with suppress(*self._translate.errors):
            self._execute("ROLLBACK")


class _Translator:
    """Turns the driver's errors into ours. Errors that can only be mistakes in our own SQL pass unchanged."""

    def __init__(self, module: Any, path: Path) -> None:
        self.errors: tuple[type[Exception], ...] = (module.Error, UnicodeError, OverflowError)
        self._path = path

    def __call__(self, error: Exception) -> Exception:
        if isinstance(error, UnicodeDecodeError) or str(error).startswith("Could not decode"):  # what was stored was UTF-8
            return DamagedFile(f"The database file is damaged: {error}. Keep a copy of it, then restore a backup.")
        if isinstance(error, UnicodeEncodeError | OverflowError):
            return InvalidParameter(f"A value can not be stored: {error}.")
        code = getattr(error, "sqlite_errorcode", 0) or 0
        match code & 0xFF:  # extended codes carry the plain one in the low byte
            case 5 | 6:  # BUSY, LOCKED
                return _Busy("The database is busy: another process has been writing for 5 s. Try again later.")
            case 9:  # INTERRUPT
                return RunloreError(f"The query took longer than {READ_SECONDS} s. Ask for less at once.", "DEADLINE_EXCEEDED")
            case 13:
                return Unavailable("The disk of the database is full. Nothing was written; try again when there is space.")
            case 8:
                return Unavailable(f"The database {self._path} can not be written: {error}.")
            case 10:
                return DiskFailure(f"The database file {self._path} failed: {error}. Check the disk, then restart.")
            case 11:
                return DamagedFile(f"The database file is damaged: {error}. Keep a copy of it, then restore a backup.")
            case 26:
                return DamagedFile(f"The database file is damaged, or something else: {error}. Keep a copy, restore a backup.")
            case 14:
                return Unavailable(f"The database file {self._path} can not be opened: {error}.")
        return error
