"""Transactions and connections: what SQLite and PostgreSQL have in common, and the little that differs.

All SQL in this package is written once, with `?` placeholders, in the subset that both databases understand (ON CONFLICT,
RETURNING, common table expressions, window functions). `TEXT` sorts by code point on both (PostgreSQL: COLLATE "C"), `LIKE`
is case-sensitive on both, and a NaN is stored as NULL.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, Literal, Protocol

Dialect = Literal["sqlite", "postgresql"]
Row = tuple[Any, ...]


def clock() -> int:
    """Now, in Unix milliseconds."""
    return time.time_ns() // 1_000_000


class Transaction(Protocol):
    """One transaction: everything in it is seen by others at once or not at all.

    Parameters are `None`, `int`, `float` (no NaN), `str` or `bytes`. Integers arrive as 64-bit numbers.
    """

    dialect: Dialect
    now: int
    """Server time in Unix milliseconds, the same for the whole transaction."""
    hints: set[int]
    """Word from handlers to chores, shared by all transactions of the writer: keys of runs whose metric tails grew. Hints
    are forgotten at restart and may name runs whose change was rolled back."""
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

    def many(self, sql: str, params: Sequence[Sequence[Any]]) -> None:
        """Run one statement for each sequence of parameters."""
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


class Database(Protocol):
    """A database of one of the two dialects. Reading is safe from many threads; there is one writer at a time."""

    dialect: Dialect
    uri: str

    def read(self) -> AbstractContextManager[Transaction]:
        """A snapshot that can not write. Blocks while all readers are busy; cut off after 30 seconds."""
        ...

    def write(self) -> WriteTransaction:
        """Begin a transaction on the one writing connection. Only the writer thread calls this."""
        ...

    def close(self) -> None:
        """Close all connections."""
        ...
