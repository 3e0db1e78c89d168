"""Summaries of metrics: one row per run and metric with last, least, greatest, sum and count, kept at write time.

Reading the summaries of a run before each call would be a third of the cost of the call, so they are remembered. What is
remembered holds as long as the run's `tail_token` is the one that was written with it: every append and every fold writes a
new one, and a transaction that is undone takes its token with it.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable
from itertools import islice
from operator import lt
from threading import Lock
from typing import Any, NamedTuple

from runlore.api.metrics import LogMetric
from runlore.api.runs import MetricPoint
from runlore.store.sql.alerts import watch_metrics
from runlore.store.sql.database import Row, Transaction

Point = MetricPoint | LogMetric
_Reference = tuple[str | None, str | None, str | None]

REMEMBERED = 20_000
"""Summaries to remember, at most: about 12 MB."""

_GREATEST = sys.float_info.max
_NO_REFERENCE: _Reference = (None, None, None)

_INSERT = (
    "INSERT INTO metric (run_key, key, series, count, non_finite, last_value, last_step, last_time, first_value, first_step, "
    "first_time, min_value, min_step, max_value, max_step, sum_value, max_time, greatest_step, model_id, dataset_name, "
    f"dataset_digest) VALUES ({', '.join('?' * 21)})"
)
_SELECT = (
    "SELECT key, series, count, last_step, last_time, min_value, max_value, sum_value, max_time, greatest_step, "
    "folded, model_id, dataset_name, dataset_digest FROM metric WHERE run_key = ? AND "
)
# Binding parameters and rewriting columns is most of the cost of a summary: on SQLite the usual update, of 7 columns, takes
# 1.4 µs, a row of all columns 4.4 µs.
_UPDATE = (
    "UPDATE metric SET count = ?, last_value = ?, last_step = ?, last_time = ?, sum_value = ?, max_time = ?, greatest_step = ?"
)
_EXTREMES = ", min_value = ?, max_value = ?, min_step = COALESCE(?, min_step), max_step = COALESCE(?, max_step)"
_REST = ", non_finite = non_finite + ?, model_id = ?, dataset_name = ?, dataset_digest = ?"
_WHERE = " WHERE run_key = ? AND key = ?"
_UPDATE_LAST = _UPDATE + _WHERE
_UPDATE_EXTREMES = _UPDATE + _EXTREMES + _WHERE
_UPDATE_REST = _UPDATE + _EXTREMES + _REST + _WHERE


class Counted(NamedTuple):
    """What many points of one metric add to its summary.

    `last` is the point with the greatest (step, time), ties by arrival; `finite` the finite values in order of arrival; `low`
    and `high` the least and the greatest of them and the step where each came first.
    """

    added: int
    last: Point
    greatest_step: int
    max_time: int
    finite: list[float]
    low: tuple[float, int] | None
    high: tuple[float, int] | None


class Columns:
    """Points of one metric in order of arrival, as columns."""

    __slots__ = ("points", "steps", "times", "values")

    def __init__(self, points: list[Point]) -> None:
        self.points = points
        self.steps = [point.step for point in points]
        self.times = [point.timestamp for point in points]
        self.values = [point.value for point in points]

    def are_new(self, summary: Summary | None) -> bool:
        """True where steps or times rise all along from beyond those of the metric: then none of the points can be a repeat."""
        steps, times = self.steps, self.times
        return ((summary is None or steps[0] > summary.greatest_step) and _rises(steps)) or (
            (summary is None or times[0] > summary.max_time) and _rises(times)
        )

    @property
    def first(self) -> Point:
        """The point that came first."""
        return self.points[0]

    def counted(self) -> Counted:
        """What they add to the summary."""
        values, low, high = self.values, None, None
        finite = values if math.isfinite(sum(values)) else [value for value in values if math.isfinite(value)]
        if finite:
            least, greatest = min(finite), max(finite)
            low, high = (least, self.steps[values.index(least)]), (greatest, self.steps[values.index(greatest)])
        greatest_step, max_time = max(self.steps), max(self.times)
        return Counted(len(values), self._last(greatest_step, max_time), greatest_step, max_time, finite, low, high)

    def _last(self, greatest_step: int, max_time: int) -> Point:
        steps, times = self.steps, self.times
        if steps[-1] == greatest_step and times[-1] == max_time:
            return self.points[-1]
        pairs = list(zip(steps, times, strict=True))
        pairs.reverse()
        return self.points[len(pairs) - 1 - pairs.index(max(pairs))]


def _rises(numbers: list[int]) -> bool:
    return all(map(lt, numbers, islice(numbers, 1, None)))


class Summary:
    """What is known of one metric of one run, and what a call changes in it.

    `last_value` is only known where this call set it (`newer`); the other values are those of the row.
    """

    __slots__ = (
        "count", "extremes", "first", "folded", "greatest_step", "last_step", "last_time", "last_value", "max_step",
        "max_time", "max_value", "min_step", "min_value", "newer", "non_finite", "reference", "referred", "series",
        "sum_value",
    )  # fmt: skip

    def __init__(self, row: Row) -> None:
        (
            self.series, self.count, self.last_step, self.last_time, self.min_value, self.max_value, self.sum_value,
            self.max_time, self.greatest_step, self.folded, *reference,
        ) = row  # fmt: skip
        self.reference = tuple(reference)
        self.first: Point | None = None
        self.last_value: float | None = None
        self.settle()

    def settle(self) -> None:
        """Forget the changes: they are written."""
        self.first = None  # the first point, of a metric that has no row yet
        self.extremes = self.referred = self.newer = False
        self.non_finite = 0  # of this call
        self.min_step: int | None = None  # None = unchanged
        self.max_step: int | None = None

    def add_all(self, counted: Counted) -> None:
        """Count many points in: the same as `add` for each of them."""
        self.count += counted.added
        self._see_last(counted.last)
        self.greatest_step = max(self.greatest_step, counted.greatest_step)
        self.max_time = max(self.max_time, counted.max_time)
        finite, low, high = counted.finite, counted.low, counted.high
        self.non_finite += counted.added - len(finite)
        total = sum(finite, self.sum_value)
        if math.isfinite(total):
            self.sum_value = total
        else:
            for value in finite:
                self.sum_value = _clamped(self.sum_value + value)
        if low is not None and (self.min_value is None or low[0] < self.min_value):
            (self.min_value, self.min_step), self.extremes = low, True
        if high is not None and (self.max_value is None or high[0] > self.max_value):
            (self.max_value, self.max_step), self.extremes = high, True

    def _see_last(self, point: Point) -> None:
        """Note a point that may be the last one."""
        step, time = point.step, point.timestamp
        if step > self.last_step or (step == self.last_step and time >= self.last_time):
            self.last_step, self.last_time, self.newer = step, time, True
            self.last_value = point.value if point.value == point.value else None
            reference = (point.model_id, point.dataset_name, point.dataset_digest)
            if reference != self.reference:
                self.reference, self.referred = reference, True

    def add(self, point: Point) -> None:
        """Count a point in."""
        value, step, time = point.value, point.step, point.timestamp
        self.count += 1
        self._see_last(point)
        if step > self.greatest_step:
            self.greatest_step = step
        if time > self.max_time:
            self.max_time = time
        if not math.isfinite(value):
            self.non_finite += 1
            return
        self.sum_value = _clamped(self.sum_value + value)
        if self.min_value is None or value < self.min_value:
            self.min_value, self.min_step, self.extremes = value, step, True
        if self.max_value is None or value > self.max_value:
            self.max_value, self.max_step, self.extremes = value, step, True


def _clamped(total: float) -> float:
    """A sum that is infinite could become NaN, which SQLite can not hold."""
    return total if -_GREATEST <= total <= _GREATEST else math.copysign(_GREATEST, total)


def new_summary(series: int, first: Point) -> Summary:
    """The summary of a metric that has no points yet; its first one is about to be added."""
    step, time = first.step, first.timestamp
    summary = Summary((series, 0, step, time, None, None, 0.0, time, step, 0, *_NO_REFERENCE))
    summary.first = first
    return summary


def read_summaries(db: Transaction, run_key: int, keys: Iterable[str]) -> dict[str, Summary]:
    """The summaries of those metrics that exist."""
    condition, parameter = db.among("key", list(keys))
    return {row[0]: Summary(row[1:]) for row in db.all(_SELECT + condition, (run_key, parameter))}


def write_summaries(db: Transaction, run_key: int, summaries: dict[str, Summary]) -> None:
    """Write summaries that changed, and settle them."""
    watch_metrics(db, run_key, summaries)
    batches: dict[str, list[tuple[Any, ...]]] = {_INSERT: [], _UPDATE_LAST: [], _UPDATE_EXTREMES: [], _UPDATE_REST: []}
    for key, s in summaries.items():
        if s.first is not None:
            batches[_INSERT].append(_new_row(run_key, key, s, s.first))
            s.settle()
            continue
        if not s.newer:  # an old point came late: the last value stays, and it is not known here
            _write_late(db, run_key, key, s)
        elif s.non_finite or s.referred:
            batches[_UPDATE_REST].append(
                (*_last(s), s.min_value, s.max_value, s.min_step, s.max_step, s.non_finite, *s.reference, run_key, key)
            )
        elif s.extremes:
            batches[_UPDATE_EXTREMES].append((*_last(s), s.min_value, s.max_value, s.min_step, s.max_step, run_key, key))
        else:
            batches[_UPDATE_LAST].append((*_last(s), run_key, key))
            s.newer = False
            continue
        s.settle()
    for sql, rows in batches.items():
        if rows:
            db.later(sql, rows)


def _last(s: Summary) -> tuple[Any, ...]:
    return s.count, s.last_value, s.last_step, s.last_time, s.sum_value, s.max_time, s.greatest_step


def _write_late(db: Transaction, run_key: int, key: str, s: Summary) -> None:
    counts = s.count, s.sum_value, s.max_time, s.greatest_step, s.non_finite
    db.execute(
        "UPDATE metric SET count = ?, sum_value = ?, max_time = ?, greatest_step = ?, non_finite = non_finite + ?"
        f"{_EXTREMES}{_WHERE}",
        (*counts, s.min_value, s.max_value, s.min_step, s.max_step, run_key, key),
    )


def _new_row(run_key: int, key: str, s: Summary, first: Point) -> tuple[Any, ...]:
    first_value = first.value if first.value == first.value else None
    return (
        run_key, key, s.series, s.count, s.non_finite, s.last_value, s.last_step, s.last_time,
        first_value, first.step, first.timestamp, s.min_value, s.min_step, s.max_value, s.max_step,
        s.sum_value, s.max_time, s.greatest_step, *s.reference,
    )  # fmt: skip


class SummaryMemory:
    """Summaries of the runs that were written last. Safe to use from the writers of several stores."""

    def __init__(self, limit: int = REMEMBERED) -> None:
        self._limit, self._size = limit, 0
        self._runs: dict[int, tuple[int, dict[str, Summary]]] = {}
        self._lock = Lock()

    def take(self, run_key: int) -> tuple[int, dict[str, Summary]] | None:
        """Token and summaries of a run, which are forgotten until they are put back."""
        with self._lock:
            known = self._runs.pop(run_key, None)
            if known is not None:
                self._size -= len(known[1])
            return known

    def put(self, run_key: int, token: int, summaries: dict[str, Summary]) -> None:
        """Remember a run; the runs that were written longest ago make room."""
        with self._lock:
            replaced = self._runs.pop(run_key, None)
            self._size += len(summaries) - (len(replaced[1]) if replaced else 0)
            self._runs[run_key] = token, summaries
            while self._size > self._limit:
                oldest = next(iter(self._runs))
                self._size -= len(self._runs.pop(oldest)[1])
