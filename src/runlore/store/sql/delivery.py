"""Deliveries of journals: records are applied once, because the mark of run and writer moves with the rows.

The rows of a delivery and its mark are one transaction, so a delivery that is repeated finds the mark behind its records and
passes them over. A record that the store refuses in part (a param that has another value) is named in the reply and never
holds up the others.
"""

from __future__ import annotations

import struct
from typing import Any

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
from runlore.store.sql.database import Transaction
from runlore.store.sql.handlers import HANDLERS, handles
from runlore.store.sql.metrics import append_points
from runlore.store.sql.run_rows import active_run, run_key
from runlore.store.sql.tags import checked_name

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
    numbers, points = _new_points(op.points, mark)
    refused = [refusal for record in op.records if record.seq >= mark and (refusal := _apply(db, op.run_id, record))]
    for first in range(0, len(points), 8_000):
        refused += _append(db, key, numbers[first : first + 8_000], points[first : first + 8_000])
    mark = max(mark, op.next_seq)
    db.execute(_PUT_MARK, (key, op.writer_id, mark, db.now))
    return Delivered(next_seq=mark, refused=refused)


def _append(db: Transaction, key: int, numbers: list[int], points: list[MetricPoint]) -> list[RefusedRecord]:
    """Append points; those whose name can not be one are refused."""
    refused: dict[str, InvalidParameter] = {}
    for name in {point.key for point in points}:
        try:
            checked_name(name, "name")
        except InvalidParameter as error:
            refused[name] = error
    if not refused:
        append_points(db, key, points)
        return []
    append_points(db, key, [point for point in points if point.key not in refused])
    keys = [point.key for point in points]
    return [_refusal(numbers[keys.index(name)], error) for name, error in refused.items()]


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
    count, rest = divmod(len(packed.data), POINT_BYTES)
    if rest:
        raise InvalidParameter(f"points.data has {len(packed.data):,} bytes, which is no multiple of {POINT_BYTES}.")
    columns = (f"<{count}q", 0), (f"<{count}I", 8), (f"<{count}q", 12), (f"<{count}q", 20), (f"<{count}d", 28)
    numbers, places, steps, times, values = (struct.unpack_from(form, packed.data, at * count) for form, at in columns)
    if count and max(places) >= len(packed.keys):
        raise InvalidParameter(f"points.data names key {max(places)}, but points.keys has {len(packed.keys)}.")
    rows = zip(numbers, map(packed.keys.__getitem__, places), values, times, steps, strict=True)
    kept = [
        (number, MetricPoint(key=key, value=value, timestamp=time, step=step))
        for number, key, value, time, step in rows
        if number >= mark
    ]
    return [number for number, _ in kept], [point for _, point in kept]


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
