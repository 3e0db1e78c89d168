"""Transactions and connections: what SQLite and PostgreSQL have in common.

All SQL in this package is written once, with `?` placeholders, in the subset that both databases understand (ON CONFLICT,
RETURNING, common table expressions, window functions). `TEXT` sorts by code point on both (PostgreSQL: COLLATE "C"), `LIKE`
is case-sensitive on both, and a NaN is stored as NULL. What differs is in `sqlite.py` and `postgresql.py`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Generic, Literal, Protocol, TypeVar

from runlore.exceptions import Unavailable

Dialect = Literal["sqlite", "postgresql"]
Row = tuple[Any, ...]

EARLIER_RUNS = -1
"""The hint that every store begins with: look for runs that were left unfolded before it was opened."""
READERS = 8
"""Connections of one process that read, at most, where nobody says otherwise."""
READ_SECONDS = 30
"""How long one read may take. A longer one would keep SQLite's write-ahead log from being reused."""


def clock() -> int:
    """Now, in Unix milliseconds."""
    return time.time_ns() // 1_000_000


class LostConnection(Unavailable):
    """The connection broke before the commit was sent: the same transaction may be tried on a new one."""


class Conflict(Unavailable):
    """The transaction lost a race against another process (deadlock, duplicate key): it may be tried again."""


class InDoubt(Unavailable):
    """The commit was begun and its outcome is not known: the operation may have been carried out.

    The status is not the 503 of `Unavailable`, after which clients repeat even what must not happen twice.
    """

    status = 504


class DiskFailure(Unavailable):
    """The disk refused a write. Nothing more may be acknowledged by this process; a new one reads what is really there."""


class DamagedFile(DiskFailure):
    """The database file is damaged. Nothing more may be written; what can be read may be read, and a new process is no help."""


class Hints(set[int]):
    """What is remembered between the transactions of one database: keys of runs, and what `alerts.py` watches."""

    alerts: Any = None


class Transaction(Protocol):
    """One transaction: everything in it is seen by others at once or not at all.

    Parameters are `None`, `int`, `float` (no NaN), `str` or `bytes`. Integers arrive as 64-bit numbers.
    """

    dialect: Dialect
    now: int
    """Server time in Unix milliseconds, the same for the whole transaction."""
    hints: Hints
    """Word from handlers to chores, shared by all transactions of the writer: keys of runs whose metric tails grew, and at
    first `EARLIER_RUNS`. Hints are forgotten at restart and may name runs whose change was rolled back."""
    for_update: str
    """`" FOR UPDATE"` where a SELECT must ask for row locks, `""` on SQLite, whose writers come one at a time anyway."""

    def execute(self, sql: str, params: Sequence[Any] = ()) -> int:
        """Run one statement; returns the number of rows it changed."""
        ...

    def one(self, sql: str, params: Sequence[Any] = ()) -> Row | None:
        """The first row, or None."""
        ...

    def all(self, sql: str, params: Sequence[Any] = ()) -> list[Row]:
        """All rows."""
        ...

    def many(self, sql: str, params: Sequence[Sequence[Any]]) -> int:
        """Run one statement for each sequence of parameters; returns the number of rows changed by all of them.

        No two of them may change the same row: PostgreSQL does them all at once.
        """
        ...

    def later(self, sql: str, params: Sequence[Sequence[Any]]) -> None:
        """As `many`, at the latest with the next statement or the commit: on PostgreSQL this saves a round trip.

        What is wrong with it comes out there, too.
        """
        ...

    def among(self, column: str, values: Sequence[int] | Sequence[str]) -> tuple[str, Any]:
        """A condition "column is one of these" and its one parameter: the text is the same for any number of values."""
        ...


class WriteTransaction(Transaction, Protocol):
    """The writer's transaction: operations in it can be undone one by one."""

    def savepoint(self) -> None:
        """Mark the state to go back to."""
        ...

    def release(self) -> None:
        """Forget the mark, keep the changes."""
        ...

    def rollback_to(self) -> None:
        """Undo everything since the mark."""
        ...

    def commit(self) -> None:
        """Put everything on stable storage. Raises when that is not certain."""
        ...

    def rollback(self) -> None:
        """Undo everything. Never raises."""
        ...


class Savepoints:
    """The mark of an operation within a transaction: both databases spell it alike."""

    __slots__ = ()

    def execute(self, sql: str, params: Sequence[Any] = ()) -> int:
        """Run one statement."""
        raise NotImplementedError

    def savepoint(self) -> None:
        """Mark the state to go back to."""
        self.execute("SAVEPOINT operation")

    def release(self) -> None:
        """Forget the mark, keep the changes."""
        self.execute("RELEASE operation")

    def rollback_to(self) -> None:
        """Undo everything since the mark."""
        self.execute("ROLLBACK TO operation")
        self.execute("RELEASE operation")


class Database(Protocol):
    """A database of one of the two dialects. Reading is safe from many threads; there is one writer at a time."""

    dialect: Dialect
    readers: int
    """How many transactions may read at once."""

    def read(self) -> AbstractContextManager[Transaction]:
        """A snapshot that can not write. Blocks while all readers are busy; cut off after `READ_SECONDS`."""
        ...

    def write(self) -> WriteTransaction:
        """Begin a transaction on the one writing connection. Only one thread at a time may call this."""
        ...

    def write_now(self) -> WriteTransaction | None:
        """The same where it begins at once and its commit waits for nothing but this machine's disk; else None."""
        ...

    def version(self) -> int | str:
        """A value that is another one after every commit, whichever process made it. Meaningful in this process only."""
        ...

    def migrate_lock(self, db: Transaction) -> None:
        """Wait until no other process migrates this database; released at the end of the transaction, which may take long."""
        ...

    def tables(self, db: Transaction) -> set[str]:
        """Names of the tables that exist."""
        ...

    def script(self, sql: str) -> str:
        """A migration script in this dialect."""
        ...

    def backup(self, name: str) -> None:
        """Copy the database before a migration, where that is this program's business (SQLite)."""
        ...

    def reopened(self) -> Database:
        """Fresh connections to the same place, for a process that was forked off."""
        ...

    def pause(self) -> None:
        """Wait until no transaction is open, close all connections, and open none until `resume`. Not while writing."""
        ...

    def resume(self) -> None:
        """Open connections again when they are needed."""
        ...

    def close(self) -> None:
        """Close all connections. Calling it twice is harmless."""
        ...


Connection = TypeVar("Connection")


class Pool(Generic[Connection]):
    """At most `size` connections, made when first needed, the last used one taken first."""

    def __init__(
        self, connect: Callable[[], Connection], disconnect: Callable[[Connection], None], size: int = READERS
    ) -> None:
        self._connect, self._disconnect = connect, disconnect
        self.size = size
        self._idle: list[Connection] = []
        self._permits = threading.Semaphore(size)
        self._held = 0
        self._closed = False

    def take(self) -> Connection:
        """A connection. Raises `Unavailable` when none gets free in time."""
        if not self._permits.acquire(timeout=READ_SECONDS):
            raise Unavailable(f"All {self.size} reading connections have been busy for {READ_SECONDS} s. Try again later.")
        try:
            return self._idle.pop()
        except IndexError:
            pass
        try:
            return self._connect()
        except BaseException:
            self._permits.release()
            raise

    def give_back(self, connection: Connection, broken: bool = False) -> None:
        """Return a connection; a broken one is closed, and the idle ones with it: they rarely outlive it."""
        if broken:
            self._drop_idle()
        if broken or self._closed:
            self._disconnect(connection)
        else:
            self._idle.append(connection)
        self._permits.release()

    def _drop_idle(self) -> None:
        while self._idle:
            try:
                self._disconnect(self._idle.pop())
            except IndexError:
                return

    def pause(self) -> None:
        """Wait for busy connections (no longer than they may take), close all, and give none away until `resume`."""
        deadline = time.monotonic() + READ_SECONDS
        self._held = sum(self._permits.acquire(timeout=max(0.0, deadline - time.monotonic())) for _ in range(self.size))
        self._drop_idle()

    def resume(self) -> None:
        """Give connections away again."""
        held, self._held = self._held, 0
        if held:
            self._permits.release(held)

    def close(self) -> None:
        """Close idle connections now, busy ones when they come back."""
        self._closed = True
        self._drop_idle()
