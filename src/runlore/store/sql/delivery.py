"""Deliveries of journals: records are applied once, because the mark of run and writer moves with the rows.

The rows of a delivery and its mark are one transaction, so a delivery that is repeated finds the mark behind its records and
passes them over. A record that the store refuses in part (a param that has another value) is named in the reply and never
holds up the others.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

from runlore.api.delivery import (
    LOST_AFTER_MILLIS,
    POINT_BYTES,
    Deliver,
    Delivered,
    GetRunLives,
    JournalPoints,
    JournalRecord,
    RefusedRecord,
    RunLife,
    RunLives,
)
from runlore.api.operation import Operation
from runlore.api.runs import LogBatch, MetricPoint
from runlore.entities import RunStatus
from runlore.exceptions import InvalidParameter, RunloreError, Unavailable
from runlore.store.sql.arrays import PointArrays
from runlore.store.sql.database import Transaction
from runlore.store.sql.handlers import HANDLERS, handles
from runlore.store.sql.metrics import append_arrays, append_points
from runlore.store.sql.run_rows import active_run, run_key
from runlore.store.sql.tags import checked_name

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ARRAYS_FROM, _POINTS_A_KEY = 512, 64
"""Points in a delivery, and points for each of its keys, from which on arrays are faster than objects."""
_AT_ONCE = 8_000

_PUT_MARK = (
    "INSERT INTO writer_mark (run_key, writer_id, next_seq, last_heard) VALUES (?, ?, ?, ?) "
    "ON CONFLICT (run_key, writer_id) DO UPDATE SET next_seq = excluded.next_seq, last_heard = excluded.last_heard"
)


@handles(Deliver)
def deliver(db: Transaction, op: Deliver) -> Delivered:
    """Points come after the other records; the order among those is kept."""
    key = active_run(db, op.run_id)
    row = db.one("SELECT next_seq FROM writer_mark WHERE run_key = ? AND writer_id = ?", (key, op.writer_id))
    mark = int(row[0]) if row else 0
    if mark < op.after:
        return Delivered(next_seq=mark)
    numbers, points = _new_arrays(op.points, mark) if _are_many(op.points) else _new_points(op.points, mark)
    refused = [refusal for record in op.records if record.seq >= mark and (refusal := _apply(db, op.run_id, record))]
    for first in range(0, len(points), _AT_ONCE):
        part = slice(first, first + _AT_ONCE)
        refused += _append(db, key, numbers[part], points[part])
    mark = max(mark, op.next_seq)
    db.execute(_PUT_MARK, (key, op.writer_id, mark, db.now))
    return Delivered(next_seq=mark, refused=refused)


def _append(
    db: Transaction, key: int, numbers: list[int] | NDArray[Any], points: list[MetricPoint] | PointArrays
) -> list[RefusedRecord]:
    """Append points; those whose name can not be one are refused."""
    if isinstance(points, PointArrays):
        if not any(_refused_name(name) for name in points.keys):
            append_arrays(db, key, points)
            return []
        points = points.points()
    refused = {name: error for name in {point.key for point in points} if (error := _refused_name(name))}
    if not refused:
        append_points(db, key, points)
        return []
    append_points(db, key, [point for point in points if point.key not in refused])
    first = {point.key: int(number) for number, point in zip(reversed(numbers), reversed(points), strict=True)}
    return [_refusal(first[name], error) for name, error in refused.items()]


def _refused_name(name: str) -> InvalidParameter | None:
    try:
        checked_name(name, "name")
    except InvalidParameter as error:
        return error
    return None


def _apply(db: Transaction, run_id: str, record: JournalRecord) -> RefusedRecord | None:
    given = (record.log_batch, record.log_inputs, record.log_outputs, record.update_run)
    operations = [operation for operation in given if operation is not None]
    if len(operations) != 1 or operations[0].run_id.lower() != run_id.lower():
        return _refusal(record.seq, InvalidParameter(f"Record {record.seq} must be one operation on the run {run_id}."))
    refusal = None
    for operation in _parts(operations[0]):
        try:
            HANDLERS[type(operation)](db, operation)
        except Unavailable:
            raise  # the database's fault: the whole delivery is tried again
        except RunloreError as error:
            refusal = _refusal(record.seq, error)
    return refusal


def _parts(operation: Operation[Any]) -> list[Operation[Any]]:
    """A batch as batches of one kind each: a param that is refused keeps no metric out."""
    if not isinstance(operation, LogBatch):
        return [operation]
    parts = (
        LogBatch(run_id=operation.run_id, params=operation.params),
        LogBatch(run_id=operation.run_id, tags=operation.tags),
        LogBatch(run_id=operation.run_id, metrics=operation.metrics),
    )
    return [part for part in parts if part.params or part.tags or part.metrics]


def _refusal(seq: int, error: RunloreError) -> RefusedRecord:
    return RefusedRecord(seq=seq, error_code=error.error_code, message=error.message)


def _new_points(packed: JournalPoints, mark: int) -> tuple[list[int], list[MetricPoint]]:
    """Numbers and points of the records from the mark on. Raises `InvalidParameter` for columns that do not fit together."""
    count = _count(packed)
    columns = (f"<{count}q", 0), (f"<{count}I", 8), (f"<{count}q", 12), (f"<{count}q", 20), (f"<{count}d", 28)
    numbers, places, steps, times, values = (struct.unpack_from(form, packed.data, at * count) for form, at in columns)
    if count:
        _check_places(packed, max(places))
    rows = zip(numbers, map(packed.keys.__getitem__, places), values, times, steps, strict=True)
    kept = [
        (number, MetricPoint(key=key, value=value, timestamp=time, step=step))
        for number, key, value, time, step in rows
        if number >= mark
    ]
    return [number for number, _ in kept], [point for _, point in kept]


def _new_arrays(packed: JournalPoints, mark: int) -> tuple[NDArray[Any], PointArrays]:
    """The same as arrays, of a delivery that brings points with different keys."""
    import numpy as np

    count = _count(packed)
    columns = ("<i8", 0), ("<u4", 8), ("<i8", 12), ("<i8", 20), ("<f8", 28)
    numbers, places, steps, times, values = (np.frombuffer(packed.data, kind, count, at * count) for kind, at in columns)
    _check_places(packed, int(places.max()))
    kept = numbers >= mark
    if not kept.all():
        numbers, places, steps, times, values = (column[kept] for column in (numbers, places, steps, times, values))
    return numbers, PointArrays(packed.keys, places, steps, times, values)


def _are_many(packed: JournalPoints) -> bool:
    """Whether points are so many that arrays are worth it. A client that names a key twice gets no arrays."""
    count, keys = len(packed.data) // POINT_BYTES, len(packed.keys)
    return count >= max(_ARRAYS_FROM, _POINTS_A_KEY * keys) and len(set(packed.keys)) == keys


def _count(packed: JournalPoints) -> int:
    count, rest = divmod(len(packed.data), POINT_BYTES)
    if rest:
        raise InvalidParameter(f"points.data has {len(packed.data):,} bytes, which is no multiple of {POINT_BYTES}.")
    return count


def _check_places(packed: JournalPoints, greatest: int) -> None:
    if greatest >= len(packed.keys):
        raise InvalidParameter(f"points.data names key {greatest}, but points.keys has {len(packed.keys)}.")


@handles(GetRunLives)
def get_run_lives(db: Transaction, op: GetRunLives) -> RunLives:
    """LOST is never stored: it is what a running run looks like until something is heard of it again."""
    ids = [run_id.lower() for run_id in op.run_ids]
    condition, parameter = db.among("run.run_key", [run_key(run_id) for run_id in ids])
    rows = db.all(
        "SELECT run.run_id, run.status, MAX(writer_mark.last_heard) FROM run "
        f"LEFT JOIN writer_mark ON writer_mark.run_key = run.run_key WHERE {condition} GROUP BY run.run_id, run.status",
        (parameter,),
    )
    found = {
        run_id: RunLife(run_id=run_id, status=_shown(status, heard, db.now), last_heard=heard) for run_id, status, heard in rows
    }
    return RunLives(runs=[found[run_id] for run_id in dict.fromkeys(ids) if run_id in found])


def _shown(status: Any, last_heard: int | None, now: int) -> Any:
    lost = status == RunStatus.RUNNING and last_heard is not None and now - last_heard > LOST_AFTER_MILLIS
    return "LOST" if lost else status
