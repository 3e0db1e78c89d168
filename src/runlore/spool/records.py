"""What journal records say, and how they become deliveries.

A log call of plain points is written as it came: run, time, step (nil where none was given), and the values by name. Everything
else is the operation itself, or the session (`sessions.py`). All are MessagePack.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from typing import Any

import msgspec

from runlore.api.delivery import MAX_POINTS, Deliver, JournalPoints, JournalRecord
from runlore.api.experiments import CreateExperiment
from runlore.api.metrics import LogMetric
from runlore.api.operation import Millis, Operation, RunId, Step
from runlore.api.runs import (
    CreateRun,
    LogBatch,
    LogInputs,
    LogOutputs,
    LogParam,
    MetricPoint,
    ParamEntry,
    SetTag,
    TagEntry,
    UpdateRun,
)
from runlore.spool.frames import Record
from runlore.spool.sessions import Session

POINTS = 1
_KINDS: dict[int, type[Operation[Any]] | type[Session]] = {
    2: LogBatch,
    3: LogInputs,
    4: LogOutputs,
    5: UpdateRun,
    6: CreateRun,
    7: CreateExperiment,
    8: Session,
}
_NUMBERS = {kind: number for number, kind in _KINDS.items()}
_FIELDS = {2: "log_batch", 3: "log_inputs", 4: "log_outputs", 5: "update_run"}
_MOST_RECORDS, _MOST_BYTES = 1_000, 500_000
_SYSTEM = "system/"

encode = msgspec.msgpack.Encoder().encode
_decode_points = msgspec.msgpack.Decoder(tuple[RunId, Millis, Step | None, dict[str, float]]).decode
_LAST_SEQ = 2**63 - 2

Points = tuple[str, int, int | None, dict[str, float]]
"""Run, Unix milliseconds, step (None: not given, which is 0), values by name."""


def can_be_recorded(operation: Operation[Any]) -> bool:
    """Whether there is a kind of record for it."""
    return type(operation) in _NUMBERS


def encode_operation(operation: Operation[Any] | Session) -> tuple[int, bytes]:
    """Kind and payload of the record of an operation or a session."""
    return _NUMBERS[type(operation)], encode(operation)


def decode(record: Record) -> Points | Operation[Any] | Session:
    """What a record says. Raises `msgspec.MsgspecError` for one of a kind or form that this Runlore does not know."""
    if record.seq > _LAST_SEQ:
        raise msgspec.ValidationError(f"{record.seq} is no number of a record.")
    if record.kind == POINTS:
        return _decode_points(record.payload)
    kind = _KINDS.get(record.kind)
    if kind is None:
        raise msgspec.ValidationError(f"Record {record.seq} is of the unknown kind {record.kind}.")
    try:
        operation: Operation[Any] | Session = msgspec.msgpack.decode(record.payload, type=kind)
    except RecursionError as error:
        raise msgspec.DecodeError(f"Record {record.seq} is nested too deeply.") from error
    return operation


def as_batch(operation: Operation[Any]) -> Operation[Any]:
    """The forms that single entries have in the journal."""
    match operation:
        case LogParam(run_id=run_id, key=key, value=value, rest=rest):
            return LogBatch(run_id=run_id, params=[ParamEntry(key=key, value=value, rest=rest)])
        case SetTag(run_id=run_id, key=key, value=value):
            return LogBatch(run_id=run_id, tags=[TagEntry(key=key, value=value)])
        case LogMetric():
            point = MetricPoint(
                key=operation.key, value=operation.value, timestamp=operation.timestamp, step=operation.step,
                model_id=operation.model_id, dataset_name=operation.dataset_name, dataset_digest=operation.dataset_digest,
            )  # fmt: skip
            return LogBatch(run_id=operation.run_id, metrics=[point])
    return operation


class _Places(dict[str, int]):
    """Numbers given to names in the order in which they come."""

    def __missing__(self, key: str) -> int:
        self[key] = place = len(self)
        return place


class Parcel:
    """Records of one run that go in one delivery."""

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id
        self.records: list[JournalRecord] = []
        self.next_seq = 0
        self._size = self._calls = 0
        self._places = _Places()
        self._numbers, self._keys, self._steps, self._times = array("q"), array("I"), array("q"), array("q")
        self._values = array("d")
        # Log calls one after the other that have the same names; a training loop makes hundreds of them.
        self._names: list[str] = []
        self._same: list[tuple[int, int, int]] = []  # number, step, time
        self._stepped = False  # whether one of them gave a step
        self._first_steps: dict[str, int] = {}

    def add_points(self, seq: int, points: Points) -> None:
        """Add the points of one log call."""
        _, time, step, values = points
        names = list(values)
        if names != self._names:
            self._spread()
            self._names, self._stepped = names, False
        if step is None:
            step = 0
        elif not self._stepped:
            self._stepped = True
            for name in names:
                self._first_steps.setdefault(name, step)
        self._same.append((seq, step, time))
        self._values.extend(values.values())
        self._calls += bool(names)
        self.next_seq = seq + 1

    def _spread(self) -> None:
        """Bring number, step and time of the last log calls into the columns, once for each point."""
        calls, count = len(self._same), len(self._names)
        self._keys.extend(array("I", map(self._places.__getitem__, self._names)) * calls)
        if calls < 2:  # also where each call has other names
            for seq, step, time in self._same:
                self._numbers.extend([seq] * count)
                self._steps.extend([step] * count)
                self._times.extend([time] * count)
            self._same.clear()
            return
        for column, numbers in zip((self._numbers, self._steps, self._times), zip(*self._same, strict=True), strict=True):
            single = array("q", numbers)
            spread = array("q", bytes(8 * calls * count))
            for place in range(count):
                spread[place::count] = single
            column.extend(spread)
        self._same.clear()

    def _columns(self) -> tuple[array[int], array[int], array[int], array[int], array[float]]:
        self._spread()
        return self._numbers, self._keys, self._steps, self._times, self._values

    def add(self, record: Record, operation: Operation[Any]) -> None:
        """Add another record."""
        entry: Any = {_FIELDS[record.kind]: operation}
        self.records.append(JournalRecord(seq=record.seq, **entry))
        self._size += len(record.payload)
        self.next_seq = record.seq + 1
        if isinstance(operation, LogBatch):
            for point in operation.metrics:
                if point.step:  # 0 may be what MLflow's API makes of no step
                    self._first_steps.setdefault(point.key, point.step)

    def first_steps(self) -> dict[str, int]:
        """The first step that was given for each metric. System metrics count on by themselves and are left out."""
        return {key: step for key, step in self._first_steps.items() if not key.startswith(_SYSTEM)}

    @property
    def count(self) -> int:
        """Log calls in it."""
        return self._calls + len(self.records)

    def others(self) -> list[tuple[int, Operation[Any]]]:
        """What is in it beside points, with the numbers of the records."""
        return [(record.seq, _operation(record)) for record in self.records]

    def points(self) -> list[tuple[int, str, int, int, float]]:
        """The points as (record number, key, step, Unix milliseconds, value)."""
        numbers, places, steps, times, values = self._columns()
        keys = list(self._places)
        return list(zip(numbers, (keys[place] for place in places), steps, times, values, strict=True))

    def said(self, seq: int) -> Any:
        """What the record of that number says."""
        said: list[Any] = [operation for number, operation in self.others() if number == seq]
        return said + [point for point in self.points() if point[0] == seq]

    @property
    def full(self) -> bool:
        """Whether another log call could be too much."""
        return len(self._values) > MAX_POINTS - 2_000 or len(self.records) >= _MOST_RECORDS or self._size >= _MOST_BYTES

    def delivery(self, writer_id: str, after: int, **more: Any) -> Deliver:
        """The operation that delivers it; `more` are further fields of it."""
        data = b"".join(_little_endian(column) for column in self._columns())
        points = JournalPoints(keys=list(self._places), data=data)
        return Deliver(
            run_id=self.run_id, writer_id=writer_id, after=after, next_seq=self.next_seq, records=self.records, points=points,
            **more,
        )  # fmt: skip


def _operation(record: JournalRecord) -> Operation[Any]:
    given = (record.log_batch, record.log_inputs, record.log_outputs, record.update_run)
    return next(operation for operation in given if operation is not None)


def _little_endian(column: array[Any]) -> bytes:
    import sys

    if sys.byteorder == "big":
        column.byteswap()
    return column.tobytes()


def in_parcels(records: Iterable[Record]) -> list[Parcel | Record]:
    """Records in the form in which they are delivered, in an order that keeps that of each run.

    What stays a record makes something (a run, an experiment), opens a session, or can not be read.
    """
    ready: list[Parcel | Record] = []
    open_parcels: dict[str, Parcel] = {}
    for record in records:
        try:
            said = decode(record)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            ready.append(record)
            continue
        if isinstance(said, Session):
            if (before := open_parcels.pop(said.run_id, None)) is not None:
                ready.append(before)
            ready.append(record)
            continue
        if not isinstance(said, tuple) and record.kind not in _FIELDS:
            ready += open_parcels.values()
            open_parcels.clear()
            ready.append(record)
            continue
        run_id = said[0] if isinstance(said, tuple) else said.run_id  # type: ignore[attr-defined]  # those in _FIELDS have one
        parcel = open_parcels.get(run_id)
        if parcel is None:
            parcel = open_parcels[run_id] = Parcel(run_id)
        if isinstance(said, tuple):
            parcel.add_points(record.seq, said)
        else:
            parcel.add(record, said)
        if parcel.full:
            ready.append(open_parcels.pop(run_id))
    return ready + list(open_parcels.values())
