"""Deliveries of journals: records are applied once, because the mark of run and writer moves with the rows.

The rows of a delivery and its mark are one transaction, so a delivery that is repeated finds the mark behind its records and
passes them over. A record that the store refuses in part (a param that has another value) is named in the reply and never
holds up the others.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, NamedTuple

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
from runlore.api.runs import LogBatch, MetricPoint, UpdateRun
from runlore.entities import RunStatus
from runlore.exceptions import InvalidParameter, RunloreError, Unavailable
from runlore.store.sql.arrays import PointArrays
from runlore.store.sql.database import Transaction
from runlore.store.sql.handlers import HANDLERS, handles
from runlore.store.sql.metrics import append_arrays, append_points
from runlore.store.sql.params import keep_late, put_params, refuse_duplicates
from runlore.store.sql.resume import begin_again, without_replaced
from runlore.store.sql.run_rows import active_run, run_key
from runlore.store.sql.tags import checked_name

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ARRAYS_FROM, _POINTS_A_KEY = 512, 64
"""Points in a delivery, and points for each of its keys, from which on arrays are faster than objects."""
_AT_ONCE = 8_000

_MARK = (
    "SELECT run.generation, writer_mark.next_seq, writer_mark.generation FROM run LEFT JOIN writer_mark "
    "ON writer_mark.run_key = run.run_key AND writer_mark.writer_id = ? WHERE run.run_key = ?"
)
_PUT_MARK = (
    "INSERT INTO writer_mark (run_key, writer_id, next_seq, last_heard, ended, generation) VALUES (?, ?, ?, ?, ?, ?) "
    "ON CONFLICT (run_key, writer_id) DO UPDATE SET next_seq = excluded.next_seq, ended = excluded.ended, "
    "generation = excluded.generation, "
    "last_heard = CASE WHEN excluded.ended = 1 THEN writer_mark.last_heard ELSE excluded.last_heard END"
)


@handles(Deliver)
def deliver(db: Transaction, op: Deliver) -> Delivered:
    """Points come after the other records; the order among those is kept."""
    key = active_run(db, op.run_id)
    row = db.one(_MARK, (op.writer_id, key))
    assert row is not None
    mark = int(row[1] or 0)
    if mark < op.after:
        return Delivered(next_seq=mark, generation=int(row[2] or 0))
    known = row[2] if row[2] is not None else 0 if op.left_behind else row[0]
    said = known if op.generation is None else op.generation
    run = _Generation(db, key, op.run_id, min(said, row[0]), row[0])  # nobody is ahead: it would cut what is resumed later
    numbers, points = _new_arrays(op.points, mark) if _are_many(op.points) else _new_points(op.points, mark)
    records = [record for record in op.records if record.seq >= mark]
    if run.resumed and mark < op.next_seq:
        batches = [record.log_batch.metrics for record in records if record.log_batch is not None]
        keys = op.points.keys if len(points) else []
        begin_again(db, key, run.number, op.replaces, (*keys, *(point.key for points in batches for point in points)))
    elif run.is_earlier and len(points):
        loose = points.points() if isinstance(points, PointArrays) else points
        numbers, points = without_replaced(db, key, run.number, numbers, loose)
    refused = [refusal for record in records if (refusal := _apply(run, record))]
    for first in range(0, len(points), _AT_ONCE):
        part = slice(first, first + _AT_ONCE)
        refused += _append(db, key, numbers[part], points[part])
    mark = max(mark, op.next_seq)
    ended = int(op.left_behind or any(_ends(record) for record in records))
    db.execute(_PUT_MARK, (key, op.writer_id, mark, db.now, ended, run.number))
    return Delivered(next_seq=mark, refused=refused, generation=run.number)


def _ends(record: JournalRecord) -> bool:
    """Whether the writer ends its run with a record: it is not taken for living any more, unless it goes on."""
    update = record.update_run
    return update is not None and update.status is not None and RunStatus.is_terminated(update.status)


class _Generation(NamedTuple):
    """The generation of a run that records belong to, and the present one."""

    db: Transaction
    key: int
    run_id: str
    number: int
    present: int

    @property
    def resumed(self) -> bool:
        return self.number > 0 and not self.is_earlier

    @property
    def is_earlier(self) -> bool:
        return self.number < self.present

    def carry_out(self, operation: Operation[Any]) -> None:
        """One part of a record. What an earlier generation said late does not change what has been said since."""
        if isinstance(operation, LogBatch) and operation.params and self.resumed:
            active_run(self.db, self.run_id)
            refuse_duplicates(operation.params)
            put_params(self.db, self.key, self.run_id, operation.params, self.number)
            return
        if self.is_earlier and isinstance(operation, UpdateRun):
            return
        if self.is_earlier and isinstance(operation, LogBatch):
            operation = self._late(operation)
        HANDLERS[type(operation)](self.db, operation)

    def _late(self, batch: LogBatch) -> LogBatch:
        if batch.metrics:
            _, points = without_replaced(self.db, self.key, self.number, [0] * len(batch.metrics), batch.metrics)
            return LogBatch(run_id=batch.run_id, metrics=points)
        if batch.params:
            return LogBatch(run_id=batch.run_id, params=keep_late(self.db, self.key, self.number, batch.params))
        condition, parameter = self.db.among("key", [tag.key for tag in batch.tags])
        rows = self.db.all(f"SELECT key FROM run_tag WHERE run_key = ? AND {condition}", (self.key, parameter))
        there = {key for (key,) in rows}
        return LogBatch(run_id=batch.run_id, tags=[tag for tag in batch.tags if tag.key not in there])


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


def _apply(run: _Generation, record: JournalRecord) -> RefusedRecord | None:
    given = (record.log_batch, record.log_inputs, record.log_outputs, record.update_run)
    operations = [operation for operation in given if operation is not None]
    if len(operations) != 1 or operations[0].run_id.lower() != run.run_id.lower():
        return _refusal(record.seq, InvalidParameter(f"Record {record.seq} must be one operation on the run {run.run_id}."))
    refusal = None
    for operation in _parts(operations[0]):
        try:
            run.carry_out(operation)
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
        "SELECT run.run_id, run.status, run.generation, MAX(writer_mark.last_heard), "
        "MAX(CASE WHEN writer_mark.ended = 0 THEN writer_mark.last_heard ELSE 0 END) FROM run LEFT JOIN writer_mark "
        f"ON writer_mark.run_key = run.run_key WHERE {condition} GROUP BY run.run_id, run.status, run.generation",
        (parameter,),
    )
    found = {
        run_id: RunLife(
            run_id=run_id,
            status=_shown(status, None if heard is None else living, db.now),
            last_heard=heard,
            generation=generation,
        )
        for run_id, status, generation, heard, living in rows
    }
    return RunLives(runs=[found[run_id] for run_id in dict.fromkeys(ids) if run_id in found])


def _shown(status: Any, last_heard: int | None, now: int) -> Any:
    lost = status == RunStatus.RUNNING and last_heard is not None and now - last_heard > LOST_AFTER_MILLIS
    return "LOST" if lost else status


LOST = (
    "EXISTS (SELECT 1 FROM writer_mark w WHERE w.run_key = r.run_key) AND NOT EXISTS "
    "(SELECT 1 FROM writer_mark w WHERE w.run_key = r.run_key AND w.ended = 0 AND w.last_heard >= ?)"
)
"""The same rule as a condition on a running run `r`; its parameter is the present time less `LOST_AFTER_MILLIS`."""
