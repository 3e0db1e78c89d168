"""What changed since a cursor, read from the marks that writers leave (`marks.py`).

A cursor must find what was committed since, not what was begun since. On SQLite writers come one at a time, so the number of
the last mark is enough. On PostgreSQL transactions end in another order than they begin: there a cursor is a snapshot, and new
is what the snapshot did not see. Both also carry the oldest mark that was still *open*, that is, that may cover later changes:
from there on everything is told again.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec

from runlore.api.events import (
    Changes,
    ExperimentChange,
    GetChanges,
    LoggedModelChange,
    RegisteredModelChange,
    RunChange,
)
from runlore.exceptions import InvalidParameter
from runlore.store.sql.database import Row, Transaction
from runlore.store.sql.handlers import handles
from runlore.store.sql.marks import OPEN_SECONDS, Change, decode_changes, mark_clock
from runlore.store.sql.run_rows import run_key

MOST_MARKS = 5_000
"""Marks that one answer is made of; a cursor that is behind by more is told to begin anew."""
MOST_OBJECTS = 10_000
"""Objects in one answer; the same goes for more."""
_RECENT = 1_000  # marks in which open ones are looked for

_CURSOR = re.compile(
    r"(?P<store>[0-9a-f]{8})\.(?P<seen>[0-9]{1,19}(?::[0-9]{1,19}:(?:[0-9]{1,19}(?:,[0-9]{1,19}){0,200})?)?)"
    r"(?:\.(?P<open>[0-9]{1,19}))?"
)


class _Place(NamedTuple):
    """What a cursor says. `seen`: the last mark, or a snapshot `xmin:xmax:those in progress`. `open`: the oldest open mark."""

    store: str
    seen: str
    open: int | None

    @property
    def low(self) -> int:
        """All marks below this one have been told."""
        first = int(self.seen.partition(":")[0])
        unseen = first if ":" in self.seen else first + 1
        return unseen if self.open is None else min(unseen, self.open)

    def __str__(self) -> str:
        return f"{self.store}.{self.seen}" + ("" if self.open is None else f".{self.open}")


@handles(GetChanges)
def get_changes(db: Transaction, op: GetChanges) -> Changes:
    """Costs an index look-up where nothing has changed."""
    here = _here(db)
    cursor = Changes(cursor=str(here), settled=here.open is None)
    if not op.cursor:
        return cursor
    since = _read(op.cursor)
    marks = _marks_since(db, since, here)
    if marks is None:
        return msgspec.structs.replace(cursor, reset=True)
    merged = _merged(change for (text,) in marks for change in decode_changes(text))
    if len(merged) > MOST_OBJECTS:
        return msgspec.structs.replace(cursor, reset=True)
    return _answer(db, cursor, merged)


def _read(cursor: str) -> _Place:
    found = _CURSOR.fullmatch(cursor)
    if found is None:
        raise InvalidParameter(f"{cursor[:100]!r} is no cursor. Pass the cursor of the last answer, or none to begin now.")
    return _Place(found["store"], found["seen"], int(found["open"]) if found["open"] else None)


def _here(db: Transaction) -> _Place:
    """The place of now."""
    secret = db.one("SELECT value FROM secret WHERE name = 'addresses'")
    assert secret is not None
    store = hashlib.sha256(secret[0].encode()).hexdigest()[:8]
    recent = db.all("SELECT position, at FROM change_mark ORDER BY position DESC LIMIT ?", (_RECENT,))
    if db.dialect == "postgresql":
        row = db.one("SELECT pg_current_snapshot()::text")
        assert row is not None
        seen = _bounded(str(row[0]))
    else:
        seen = str(recent[0][0] if recent else 0)
    now = mark_clock(db) if recent else 0
    limit = now - int(1_000 * OPEN_SECONDS)
    return _Place(store, seen, min((position for position, at in recent if limit < at <= now), default=None))


def _bounded(snapshot: str) -> str:
    """The snapshot or, where very many transactions were in progress, one that has seen less."""
    oldest = snapshot.partition(":")[0]
    return snapshot if snapshot.count(",") < 200 else f"{oldest}:{oldest}:"


def _marks_since(db: Transaction, since: _Place, here: _Place) -> list[Row] | None:
    """The marks that a cursor has not told yet, or has to tell again; None when some of them may be gone, or are too many."""
    if since.store != here.store or (":" in since.seen) != (":" in here.seen):
        return None
    condition, values = _unseen(since)
    if ":" in here.seen:
        end = int(here.seen.split(":")[1])
        if int(since.seen.split(":")[1]) > end:
            return None
        first = db.one("SELECT MIN(position) FROM change_mark WHERE position < ?", (end,))
        condition, values = f"{condition} AND position < ?", [*values, end]
    else:
        if int(since.seen) > int(here.seen):
            return None
        first = db.one("SELECT MIN(position) FROM change_mark")
    if first is None or first[0] is None or since.low < first[0]:
        return None
    rows = db.all(f"SELECT changes FROM change_mark WHERE {condition} ORDER BY position LIMIT ?", (*values, MOST_MARKS + 1))
    return rows if len(rows) <= MOST_MARKS else None


def _unseen(since: _Place) -> tuple[str, list[Any]]:
    if ":" not in since.seen:
        return "position >= ?", [since.low]
    told = "position >= ? AND (NOT pg_visible_in_snapshot(position::text::xid8, CAST(? AS pg_snapshot)) OR position >= ?)"
    return told, [since.low, since.seen, 2**63 - 1 if since.open is None else since.open]


def _merged(changes: Iterable[Change]) -> dict[tuple[str, str], Change]:
    """One change for each object."""
    merged: dict[tuple[str, str], Change] = {}
    for change in changes:
        known = merged.setdefault((change.kind, change.name), change)
        if known is not change:
            known.parts = sorted({*known.parts, *change.parts})
            known.metrics = (
                None if known.metrics is None or change.metrics is None else sorted({*known.metrics, *change.metrics})
            )
    return merged


def _answer(db: Transaction, cursor: Changes, merged: dict[tuple[str, str], Change]) -> Changes:
    of: dict[str, list[Any]] = {"run": [], "experiment": [], "registered_model": [], "logged_model": [], "other": []}
    for change in merged.values():
        of[change.kind].append(change)
    return Changes(
        cursor=cursor.cursor,
        settled=cursor.settled,
        runs=_runs(db, of["run"]),
        experiments=[ExperimentChange(experiment_id=each.name, changed=each.parts) for each in of["experiment"]],
        registered_models=[RegisteredModelChange(name=each.name, changed=each.parts) for each in of["registered_model"]],
        logged_models=[LoggedModelChange(model_id=each.name, changed=each.parts) for each in of["logged_model"]],
        other=[each.name for each in of["other"]],
    )


def _runs(db: Transaction, changes: list[Change]) -> list[RunChange]:
    """With the experiment and status of now."""
    if not changes:
        return []
    condition, parameter = db.among("run_key", [run_key(each.name) for each in changes])
    rows = db.all(f"SELECT run_id, experiment_id, status FROM run WHERE {condition}", (parameter,))
    now = {run_id: (str(experiment_id), status) for run_id, experiment_id, status in rows}
    found = []
    for each in changes:
        experiment_id, status = now.get(each.name, (None, None))
        parts: Any = each.parts if experiment_id is not None else sorted({*each.parts, "purged"})
        metrics = each.metrics if "metrics" in each.parts else None
        found.append(RunChange(run_id=each.name, changed=parts, experiment_id=experiment_id, status=status, metrics=metrics))
    return found
