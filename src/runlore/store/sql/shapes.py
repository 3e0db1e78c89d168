"""The shape of a run: which params (and whether they are numbers), tags and metrics it has, as one number.

Most runs of an experiment have the same keys. Grouped by shape, 100,000 runs are a few groups, and one run of each tells the
keys of all: the column catalogue reads an index instead of every cell. A shape is computed off the request path when a run has
ended or rests, and forgotten at the next write; the few runs without one are looked at one by one. Nothing is counted at write
time, so there is no counter that writers would wait for, and none that could be wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Literal, NamedTuple

import msgspec

from runlore.entities import RunStatus
from runlore.store.sql.database import Transaction
from runlore.store.sql.handlers import chore

REST_MILLIS = 600_000
"""A run that has not ended gets a shape when nothing was written to it for so long."""
BATCH = 64
"""Runs in one transaction."""

Kind = Literal["metrics", "params", "tags"]


class Name(NamedTuple):
    """One key of a run. `number` is true of metrics, and of params that are numbers."""

    kind: Kind
    key: str
    number: bool


_ENDED = ", ".join(f"'{status}'" for status in RunStatus.ALL if RunStatus.is_terminated(status))
_TABLES: tuple[tuple[Kind, str, str], ...] = (
    ("metrics", "metric", "1 = 1"),
    ("params", "param", "number IS NOT NULL"),
    ("tags", "run_tag", "1 = 0"),
)


@chore
def note_shapes(db: Transaction) -> bool:
    """Compute the shapes of some runs. True while more may be left."""
    skip = f"{db.for_update} SKIP LOCKED" if db.for_update else ""
    rows = db.all(
        f"SELECT run_key FROM run WHERE shape IS NULL AND (status IN ({_ENDED}) OR last_activity < ?) LIMIT {BATCH}{skip}",
        (db.now - REST_MILLIS,),
    )
    keys = [key for (key,) in rows]
    names = names_of(db, keys)
    if keys:
        db.many("UPDATE run SET shape = ? WHERE run_key = ?", [(shape_of(names.get(key, ())), key) for key in keys])
    return len(keys) == BATCH


def names_of(db: Transaction, run_keys: Sequence[int]) -> dict[int, list[Name]]:
    """The keys of some runs."""
    found: dict[int, list[Name]] = {key: [] for key in run_keys}
    if run_keys:
        condition, parameter = db.among("run_key", run_keys)
        for kind, table, number in _TABLES:
            for run_key, key, is_number in db.all(
                f"SELECT run_key, key, {number} FROM {table} WHERE {condition}", (parameter,)
            ):
                found[run_key].append(Name(kind, key, bool(is_number)))
    return found


def shape_of(names: Iterable[Name]) -> int:
    """63 bits of a digest of the keys, whatever their order."""
    digest = blake2b(msgspec.json.encode(sorted(names)), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
