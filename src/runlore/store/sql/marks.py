"""Marks of what changed, written with the change itself: whoever listens, in any process, finds them (`events.py`).

A mark is one row for a transaction, so a change and its mark are seen together or not at all. Writing one for every log call
would cost a few percent; but a listener does not need to hear of each point. So a mark also *covers* what this process changes
in the same parts of the same objects within the next moments: `COVER_SECONDS` from the mark on no other one is written.
Listeners tell a mark when they see it and, if anything was committed meanwhile, again, until it is older than `OPEN_SECONDS`,
which is longer: then everything it covers has been committed and told. A commit that took longer than that is noticed here and
gets a mark afterwards.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec

from runlore.api.operation import Operation
from runlore.store.sql.database import Transaction
from runlore.store.sql.touched import NAMED_METRICS, Touch, touched

COVER_SECONDS = 0.25
OPEN_SECONDS = 0.5
KEEP_SECONDS = 600
"""How long marks are kept at least: as long may a listener be away and still be told exactly what changed."""
PRUNE_SECONDS = 60
_SLICE = 5_000  # marks removed in one transaction
_REMEMBERED = 5_000  # objects whose marks may cover

_Place = tuple[str, str]

_CLOCK = "(EXTRACT(EPOCH FROM clock_timestamp()) * 1000)::bigint"
_INSERT_SQLITE = "INSERT INTO change_mark (position, at, changes) SELECT COALESCE(MAX(position), 0) + 1, ?, ? FROM change_mark"
_INSERT_POSTGRESQL = (
    "INSERT INTO change_mark (position, at, changes) "
    f"VALUES (pg_current_xact_id()::text::bigint, {_CLOCK}, ?) "
    "ON CONFLICT (position) DO UPDATE SET at = excluded.at, changes = excluded.changes"
)


class Change(msgspec.Struct, array_like=True):
    """One object in a mark: as `Touch`, in the form that is stored."""

    kind: str
    name: str
    parts: list[str]
    metrics: list[str] | None


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(list[Change])


def decode_changes(text: str) -> list[Change]:
    """What a row of `change_mark` says."""
    return _DECODER.decode(text)


def mark_clock(db: Transaction) -> int:
    """Now in ms, by the clock of marks: on SQLite that of this machine's uptime, one for all processes and set by nobody; on
    PostgreSQL that of the database server."""
    if db.dialect == "postgresql":
        row = db.one(f"SELECT {_CLOCK}")
        assert row is not None
        return int(row[0])
    return time.monotonic_ns() // 1_000_000


class _Cover(NamedTuple):
    """What a mark covers, and until when. `metrics` None: all."""

    began: float
    parts: frozenset[str]
    metrics: frozenset[str] | None

    def holds(self, touch: Touch) -> bool:
        if "created" in self.parts and "lifecycle" not in touch.parts:
            return True
        if not touch.parts <= self.parts:
            return False
        return self.metrics is None or (touch.metrics is not None and touch.metrics <= self.metrics)


class Marks:
    """The marks of one writer. Used by one thread at a time: `write` before each commit, `committed` after it."""

    def __init__(self) -> None:
        self._covers: dict[_Place, _Cover] = {}
        self._new: dict[_Place, _Cover] = {}
        self._relied_on: dict[_Place, _Cover] = {}
        self._late: dict[_Place, _Cover] = {}
        self._pruned = time.monotonic()

    def write(self, db: Transaction, done: Iterable[tuple[Operation[Any], Any]]) -> None:
        """Mark what these operations, with their replies, have changed."""
        now = time.monotonic()
        new: dict[_Place, _Cover] = {}
        relied_on: dict[_Place, _Cover] = {}
        for operation, reply in done:
            for touch in touched(operation, reply):
                place: _Place = (touch.kind, touch.name.lower() if touch.kind == "run" else touch.name)
                cover = new.get(place)
                if cover is None:
                    cover = self._covers.get(place)
                    if cover is not None and now - cover.began >= COVER_SECONDS:
                        cover = None
                    elif cover is not None and cover.holds(touch):
                        relied_on[place] = cover
                        continue
                new[place] = _joined(cover, touch, now)
        self._new, self._relied_on = new, relied_on
        for place, cover in self._late.items():
            new[place] = cover._replace(began=now)
        if new:
            _insert(db, new)

    def committed(self) -> None:
        """The transaction of the last `write` is on stable storage."""
        if self._new:
            self._covers.update(self._new)
            self._late.clear()
            if len(self._covers) > _REMEMBERED:
                limit = time.monotonic() - COVER_SECONDS
                self._covers = {place: cover for place, cover in self._covers.items() if cover.began > limit}
        if self._relied_on:
            limit = time.monotonic() - OPEN_SECONDS
            self._late = {place: cover for place, cover in self._relied_on.items() if cover.began < limit}

    def tend(self, db: Transaction) -> bool:
        """A chore: mark what was committed too late for the mark that covered it; now and then remove old marks."""
        if self._late:
            _insert(db, self._late)
            self._late = {}
        if time.monotonic() - self._pruned < PRUNE_SECONDS:
            return False
        more = prune(db)
        if not more:
            self._pruned = time.monotonic()
        return more


def prune(db: Transaction, keep_seconds: float = KEEP_SECONDS) -> bool:
    """Remove old marks, a slice of them. True while there are more.

    The newest of the old ones stays: all marks after the first that is there are there, which tells listeners what they have
    missed. Those whose time has not come yet are of an earlier start of the machine.
    """
    now, age = mark_clock(db), int(1_000 * keep_seconds)
    if db.dialect == "postgresql":  # a database that was restored into another cluster has marks of transactions yet to come
        db.execute("DELETE FROM change_mark WHERE position >= pg_snapshot_xmax(pg_current_snapshot())::text::bigint")
    newest = db.one("SELECT MAX(position) FROM change_mark WHERE at <= ? OR at > ?", (now - age, now + age))
    if newest is None or newest[0] is None:
        return False
    nth = "SELECT position FROM change_mark WHERE position < ? ORDER BY position LIMIT 1 OFFSET ?"
    end_of_slice = db.one(nth, (newest[0], _SLICE))
    db.execute("DELETE FROM change_mark WHERE position < ?", end_of_slice or newest)
    return end_of_slice is not None


def _joined(cover: _Cover | None, touch: Touch, now: float) -> _Cover:
    """What a new mark covers: the touch, and what an older mark covers now, so that two things in turn need few marks."""
    parts, metrics = touch.parts, touch.metrics
    if cover is not None:
        parts |= cover.parts
        metrics = None if metrics is None or cover.metrics is None else metrics | cover.metrics
    return _Cover(now, parts, metrics if metrics is not None and len(metrics) <= NAMED_METRICS else None)


def _insert(db: Transaction, covers: dict[_Place, _Cover]) -> None:
    changes = [
        Change(kind, name, sorted(cover.parts), None if cover.metrics is None else sorted(cover.metrics))
        for (kind, name), cover in covers.items()
    ]
    text = _ENCODER.encode(changes).decode()
    if db.dialect == "postgresql":
        db.execute(_INSERT_POSTGRESQL, (text,))
    else:
        db.execute(_INSERT_SQLITE, (mark_clock(db), text))
