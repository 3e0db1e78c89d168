"""SqlStore: operations in, replies out, on SQLite or PostgreSQL."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from runlore.api.operation import Operation, validated
from runlore.exceptions import EndpointNotFound
from runlore.store.ingest import Ingest, Item
from runlore.store.sql import (
    bulk_edits,
    columns,
    compare,
    copies,
    dashboard,
    delivery,
    events,
    experiments,
    export,
    groups,
    histograms,
    inputs,
    logged_models,
    metrics,
    notes,
    outbox,
    purge,
    registry,
    released,
    resume,
    runs,
    search,
    search_runs,
    series,
    trash,
    views,
    webhooks,
)
from runlore.store.sql.database import Database, Transaction
from runlore.store.sql.forks import door, stores
from runlore.store.sql.handlers import CHORES, HANDLERS, SHORT
from runlore.store.sql.marks import Marks
from runlore.store.sql.migrate import migrate
from runlore.store.sql.postgresql import PostgresDatabase
from runlore.store.sql.sqlite import SqliteDatabase

# Importing a module of handlers registers them.
HANDLER_MODULES = (
    bulk_edits, columns, compare, copies, dashboard, delivery, events, experiments, export, groups, histograms, inputs,
    logged_models, metrics, notes, outbox, purge, registry, released, resume, runs, search, search_runs, series, trash, views,
    webhooks,
)  # fmt: skip

Reply = TypeVar("Reply")


class SqlStore:
    """A store in a database. Opening one brings its schema up to date.

    Reads run on a snapshot in the calling thread; writes go through one writer thread that commits them in groups. After a
    `fork()` the child gets connections of its own (`forks.py`), and leaves alone what the parent was about to write.
    """

    def __init__(self, database: Callable[[], Database], uri: str, artifact_root: str) -> None:
        self.uri, self.artifact_root = uri, artifact_root
        with door:
            opened = database()
            try:
                migrate(opened)
            except BaseException:
                opened.close()
                raise
            self._open(opened)
            stores.add(self)

    def _open(self, database: Database) -> None:
        self._database = database
        self._ingest = Ingest(database, answer, CHORES, Marks())
        self._readers = ThreadPoolExecutor(database.readers, thread_name_prefix="runlore-reader")
        self._process = os.getpid()  # last: other threads of a forked child look at it

    def call(self, operation: Operation[Reply]) -> Reply:
        """Check an operation against the limits of the contract and carry it out."""
        operation = validated(operation)
        if operation.writes():
            return self.submit(operation).result()
        self._reopen_after_fork()
        return self._read(operation)

    def _read(self, operation: Operation[Reply]) -> Reply:
        with self._database.read() as db:
            return answer(db, operation)  # type: ignore[no-any-return]

    def submit(self, operation: Operation[Reply]) -> Future[Reply]:
        """Begin an operation that has been checked. The future is done when a write is on stable storage."""
        self._reopen_after_fork()
        if operation.writes():
            return self._ingest.submit(operation)
        return self._readers.submit(self._read, operation)

    def carry_out(self, group: Sequence[Item]) -> bool:
        """Carry out short writes in the calling thread, if nothing is in the way; False when nothing was done. See `Ingest`."""
        self._reopen_after_fork()
        return self._ingest.carry_out(group)

    def is_short(self, kind: type[Operation[Any]]) -> bool:
        """Whether operations of a kind are writes for `carry_out`."""
        return kind in SHORT

    @property
    def failure(self) -> str | None:
        """Why the store takes no more writes until it is opened anew (a disk error); None while all is well."""
        return self._ingest.failure

    @property
    def must_restart(self) -> bool:
        """Whether the store failed in a way that a new process may get over: the disk refused a write."""
        return self._ingest.must_restart

    def version(self) -> int | str:
        """A value that is another one after every commit by anybody; cheap enough to ask for ten times a second."""
        self._reopen_after_fork()
        return self._database.version()

    def secret(self, name: str) -> bytes:
        """A key of this store's own, the same for every process that opens it."""
        with self._database.read() as db:
            row = db.one("SELECT value FROM secret WHERE name = ?", (name,))
        assert row is not None, f"the schema makes no secret {name!r}"
        return bytes.fromhex(row[0])

    def close(self) -> None:
        """Write what waits and close all connections."""
        with door:
            stores.discard(self)
            if os.getpid() == self._process:
                self._ingest.close()
                self._readers.shutdown()
                self._database.close()

    def pause(self) -> None:
        """Close the connections before a fork, if they are this process's."""
        if os.getpid() == self._process:
            self._ingest.pause()
            self._database.pause()

    def resume(self) -> None:
        """Go on after a fork."""
        if os.getpid() == self._process:
            self._database.resume()
            self._ingest.resume()

    def _reopen_after_fork(self) -> None:
        if os.getpid() != self._process:
            with door:
                if os.getpid() != self._process:
                    self._open(self._database.reopened())
                    stores.add(self)


def answer(db: Transaction, operation: Operation[Any]) -> Any:
    """Let the operation's handler answer it."""
    handler = HANDLERS.get(type(operation))
    if handler is None:
        raise EndpointNotFound(f"This store does not offer {type(operation).__name__}.")
    return handler(db, operation)


def open_sqlite(path: os.PathLike[str], uri: str, artifact_root: str) -> SqlStore:
    """A store in a SQLite file, made when it does not exist."""
    return SqlStore(lambda: SqliteDatabase(Path(path)), uri, artifact_root)


def open_postgresql(uri: str, artifact_root: str) -> SqlStore:
    """A store in a PostgreSQL database that exists."""
    return SqlStore(lambda: PostgresDatabase(uri), uri, artifact_root)
