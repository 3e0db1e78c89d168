"""Metrics: append points, keep a summary of each metric, read histories back.

A log call leaves one packed row in `metric_tail` and updates one summary row per metric in `metric`; it never touches old
points. A point that is there already (same key, step, time, value; NaN equals NaN) is not stored again. Most points are
newer than anything seen, which the summary tells; only the others are looked up (`points.py`).
"""

from __future__ import annotations

import math
import sys
from base64 import b64decode, b64encode
from collections.abc import Iterable, Sequence
from typing import Any

from runlore.api.metrics import GetMetricHistory, GetMetricHistoryBulkInterval, LogMetric, MetricHistoryReply
from runlore.api.runs import MetricPoint
from runlore.entities import Empty, Metric
from runlore.exceptions import InvalidParameter, NotFound
from runlore.series.chunk import Points, Reference, Row, encode_row
from runlore.series.sample import sample
from runlore.series.tail import take
from runlore.store.sql.database import Transaction
from runlore.store.sql.folding import FOLD_POINTS, FOLD_ROWS
from runlore.store.sql.handlers import handles
from runlore.store.sql.points import INSERT_TAIL, Identity, identity, read_points, stored_identities
from runlore.store.sql.run_rows import active_run, existing_run

Point = MetricPoint | LogMetric

_TAIL_ROW_POINTS = 8_192
_GREATEST = sys.float_info.max

_NEW_COLUMNS = (
    "run_key, key, series, count, non_finite, last_value, last_step, last_time, first_value, first_step, first_time, "
    "min_value, min_step, max_value, max_step, sum_value, max_time, greatest_step, model_id, dataset_name, dataset_digest"
)
_INSERT = f"INSERT INTO metric ({_NEW_COLUMNS}) VALUES ({', '.join('?' * 21)})"
_SELECT = (
    "SELECT key, series, count, last_value, last_step, last_time, min_value, max_value, sum_value, max_time, greatest_step, "
    "folded, model_id, dataset_name, dataset_digest FROM metric WHERE run_key = ? AND "
)
# Binding parameters and rewriting columns is most of the cost of a summary: the usual update has 7 columns and takes 1.4 µs,
# a row of all columns 4.4 µs.
_UPDATE = (
    "UPDATE metric SET count = ?, last_value = ?, last_step = ?, last_time = ?, sum_value = ?, max_time = ?, greatest_step = ?"
)
_WHERE = " WHERE run_key = ? AND key = ?"
_EXTREMES = ", min_value = ?, max_value = ?, min_step = COALESCE(?, min_step), max_step = COALESCE(?, max_step)"
_REST = ", non_finite = non_finite + ?, model_id = ?, dataset_name = ?, dataset_digest = ?"
_UPDATE_LAST = _UPDATE + _WHERE
_UPDATE_EXTREMES = _UPDATE + _EXTREMES + _WHERE
_UPDATE_REST = _UPDATE + _EXTREMES + _REST + _WHERE
_LOCK = (
    "UPDATE run SET next_tail = next_tail + ?, loose_points = loose_points + ?, "
    "latest_time = CASE WHEN latest_time < ? THEN ? ELSE latest_time END WHERE run_key = ? "
    "RETURNING next_tail, next_series, merged_tail, loose_points, latest_time"
)
_MODEL_METRIC = (
    "INSERT INTO model_metric (model_id, run_key, key, dataset_name, dataset_digest, value, step, time) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (model_id, key, run_key, dataset_name, dataset_digest) DO UPDATE SET "
    "value = excluded.value, step = excluded.step, time = excluded.time "
    "WHERE excluded.step > model_metric.step OR (excluded.step = model_metric.step AND excluded.time >= model_metric.time)"
)


@handles(LogMetric)
def log_metric(db: Transaction, op: LogMetric) -> Empty:
    """Append one point."""
    append_points(db, active_run(db, op.run_id), (op,))
    return Empty()


@handles(GetMetricHistory)
def get_metric_history(db: Transaction, op: GetMetricHistory) -> MetricHistoryReply:
    """A page token is the number of the next point: arrival numbers never change, so pages fit together while a run goes on."""
    run_key, start = existing_run(db, op.run_id), _decode_token(op.page_token)
    metric = db.one("SELECT series, count, folded FROM metric WHERE run_key = ? AND key = ?", (run_key, op.metric_key))
    if metric is None:
        return MetricHistoryReply()
    series, count, folded = metric
    stop = min(start + op.max_results, count)
    points = read_points(db, run_key, series, folded, start, stop)
    token = _encode_token(stop) if stop < count else None
    return MetricHistoryReply(metrics=_entities(op.metric_key, points), next_page_token=token)


@handles(GetMetricHistoryBulkInterval)
def get_metric_history_bulk_interval(db: Transaction, op: GetMetricHistoryBulkInterval) -> MetricHistoryReply:
    """Each run is sampled by itself, in the order of step and time."""
    if (op.start_step is None) != (op.end_step is None):
        raise InvalidParameter("If either start step or end step are specified, both must be specified.")
    if op.start_step is not None and op.end_step is not None and op.start_step > op.end_step:
        raise InvalidParameter(
            f"end_step must be greater than start_step. Found start_step={op.start_step} and end_step={op.end_step}."
        )
    metrics: list[Metric] = []
    for run_id, run_key in [(run_id, existing_run(db, run_id)) for run_id in op.run_ids]:
        row = db.one("SELECT series, folded FROM metric WHERE run_key = ? AND key = ?", (run_key, op.metric_key))
        if row is not None:
            points = read_points(db, run_key, *row)
            places = sample(points, op.max_results, op.start_step, op.end_step)
            metrics += _entities(op.metric_key, take(points, places), run_id.lower())
    return MetricHistoryReply(metrics=metrics)


def _entities(key: str, points: Points, run_id: str | None = None) -> list[Metric]:
    columns = zip(points.values.tolist(), points.times.tolist(), points.steps.tolist(), strict=True)
    if points.references is None:
        return [Metric(key=key, value=value, timestamp=time, step=step, run_id=run_id) for value, time, step in columns]
    return [
        Metric(
            key=key, value=value, timestamp=time, step=step, run_id=run_id,
            **({} if reference is None else reference._asdict()),
        )
        for (value, time, step), reference in zip(columns, points.references, strict=True)
    ]  # fmt: skip


def _encode_token(start: int) -> str:
    return b64encode(f"metric:{start}".encode()).decode()


def _decode_token(token: str) -> int:
    if not token:
        return 0
    try:
        kind, _, start = b64decode(token, validate=True).decode("ascii").partition(":")
        if kind == "metric" and start.isdigit() and len(start) < 19:
            return int(start)
    except ValueError:
        pass
    raise InvalidParameter(f"{token!r} is not a page token of a metric history. Pass the next_page_token of the last page.")


def append_points(db: Transaction, run_key: int, points: Sequence[Point]) -> int:
    """Append points to metrics of a run in their order; returns how many were not there yet.

    Updating the run's row makes writers of one run wait for each other, on PostgreSQL too.
    """
    if not points:
        return 0
    latest = max([point.timestamp for point in points])
    rows = -(-len(points) // _TAIL_ROW_POINTS)
    run = db.one(_LOCK, (rows, len(points), latest, latest, run_key))
    if run is None:
        raise NotFound(f"The run with key {run_key} is gone.")
    next_tail, next_series, merged_tail, loose_points, latest = run
    summaries = _read_summaries(db, run_key, {point.key: None for point in points})
    if measured := [point for point in points if point.model_id]:
        _upsert_model_metrics(db, run_key, measured)
    fresh = _without_repeats(db, run_key, points, summaries)
    if not fresh:
        return 0
    series_of = _summarise(fresh, summaries, next_series)
    _write_summaries(db, run_key, summaries, next_series)
    for first in range(0, len(fresh), _TAIL_ROW_POINTS):
        part = slice(first, first + _TAIL_ROW_POINTS)
        _insert_tail(db, (run_key, next_tail - rows + first // _TAIL_ROW_POINTS, latest), fresh[part], series_of[part])
    if loose_points >= FOLD_POINTS or next_tail - merged_tail >= FOLD_ROWS:
        db.hints.add(run_key)
    return len(fresh)


def _insert_tail(db: Transaction, place: tuple[int, int, int], points: Sequence[Point], series: list[int]) -> None:
    references = None
    if [point for point in points if point.model_id or point.dataset_name]:
        references = [_reference(point) for point in points]
    times = [point.timestamp for point in points]
    row = Row(series, [point.step for point in points], times, [point.value for point in points], references)
    run_key, seq, latest = place
    db.execute(INSERT_TAIL, (run_key, seq, min(series), max(series), min(times), latest, encode_row(row)))


def _reference(point: Point) -> Reference | None:
    if point.model_id or point.dataset_name:
        return Reference(point.model_id, point.dataset_name, point.dataset_digest)
    return None


# -- summaries ---------------------------------------------------------------------------------------------------------------


class Summary:
    """What is known of one metric of one run, and what a call changes in it."""

    __slots__ = (
        "count", "extremes", "first", "folded", "greatest_step", "last_step", "last_time", "last_value", "max_step", "max_time",
        "max_value", "min_step", "min_value", "new", "non_finite", "reference", "referred", "series", "sum_value", "touched",
    )  # fmt: skip

    def __init__(self, row: Sequence[Any] | None, point: Point | None = None) -> None:
        self.touched = self.extremes = self.referred = False
        self.non_finite = 0  # added by this call
        self.min_step: int | None = None  # None = unchanged
        self.max_step: int | None = None
        self.new = row is None
        self.first = point
        if row is not None:
            (
                self.series, self.count, self.last_value, self.last_step, self.last_time, self.min_value, self.max_value,
                self.sum_value, self.max_time, self.greatest_step, self.folded, *rest,
            ) = row  # fmt: skip
            self.reference = tuple(rest)
        elif point is not None:
            self.series = self.count = self.folded = 0
            self.last_value = self.min_value = self.max_value = None
            self.sum_value = 0.0
            self.last_step = self.greatest_step = point.step
            self.last_time = self.max_time = point.timestamp
            self.reference = (None, None, None)

    def add(self, point: Point) -> None:
        """Count a point in."""
        value, step, time = point.value, point.step, point.timestamp
        self.touched = True
        self.count += 1
        if step > self.last_step or (step == self.last_step and time >= self.last_time):
            self.last_step, self.last_time = step, time
            self.last_value = value if value == value else None
            reference = (point.model_id, point.dataset_name, point.dataset_digest)
            if reference != self.reference:
                self.reference, self.referred = reference, True
        if step > self.greatest_step:
            self.greatest_step = step
        if time > self.max_time:
            self.max_time = time
        if not math.isfinite(value):
            self.non_finite += 1
            return
        # Clamped: a sum that is infinite could become NaN, which SQLite can not hold.
        self.sum_value = min(max(self.sum_value + value, -_GREATEST), _GREATEST)
        if self.min_value is None or value < self.min_value:
            self.min_value, self.min_step, self.extremes = value, step, True
        if self.max_value is None or value > self.max_value:
            self.max_value, self.max_step, self.extremes = value, step, True


def _read_summaries(db: Transaction, run_key: int, keys: Iterable[str]) -> dict[str, Summary]:
    condition, parameter = db.among("key", list(keys))
    return {row[0]: Summary(row[1:]) for row in db.all(_SELECT + condition, (run_key, parameter))}


def _summarise(points: Sequence[Point], summaries: dict[str, Summary], next_series: int) -> list[int]:
    """Count points into summaries, making those that are missing; returns the series number of each point."""
    series = []
    for point in points:
        summary = summaries.get(point.key)
        if summary is None:
            summary = summaries[point.key] = Summary(None, point)
            summary.series = next_series
            next_series += 1
        summary.add(point)
        series.append(summary.series)
    return series


def _write_summaries(db: Transaction, run_key: int, summaries: dict[str, Summary], next_series: int) -> None:
    inserts, lasts, extremes, rests = [], [], [], []
    for key, s in summaries.items():
        if not s.touched:
            continue
        if s.new and s.first is not None:
            inserts.append(_new_row(run_key, key, s, s.first))
            continue
        change = (s.count, s.last_value, s.last_step, s.last_time, s.sum_value, s.max_time, s.greatest_step)
        if s.non_finite or s.referred:
            more = (s.min_value, s.max_value, s.min_step, s.max_step, s.non_finite, *s.reference)
            rests.append((*change, *more, run_key, key))
        elif s.extremes:
            extremes.append((*change, s.min_value, s.max_value, s.min_step, s.max_step, run_key, key))
        else:
            lasts.append((*change, run_key, key))
    for sql, rows in ((_INSERT, inserts), (_UPDATE_LAST, lasts), (_UPDATE_EXTREMES, extremes), (_UPDATE_REST, rests)):
        if rows:
            db.many(sql, rows)
    if inserts:
        db.execute("UPDATE run SET next_series = ? WHERE run_key = ?", (next_series + len(inserts), run_key))


def _new_row(run_key: int, key: str, s: Summary, first: Point) -> tuple[Any, ...]:
    first_value = first.value if first.value == first.value else None
    return (
        run_key, key, s.series, s.count, s.non_finite, s.last_value, s.last_step, s.last_time,
        first_value, first.step, first.timestamp, s.min_value, s.min_step, s.max_value, s.max_step,
        s.sum_value, s.max_time, s.greatest_step, *s.reference,
    )  # fmt: skip


def _upsert_model_metrics(db: Transaction, run_key: int, points: Sequence[Point]) -> None:
    """Keep the last value of each (model, metric, dataset): the one with the greatest (step, time), ties by arrival."""
    rows: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    for point in points:
        place = (point.model_id, run_key, point.key, point.dataset_name or "", point.dataset_digest or "")
        known = rows.get(place)
        if known is None or (point.step, point.timestamp) >= known[1:]:
            rows[place] = (point.value if point.value == point.value else None, point.step, point.timestamp)
    db.many(_MODEL_METRIC, [place + last for place, last in rows.items()])


# -- repeats -----------------------------------------------------------------------------------------------------------------


def _without_repeats(db: Transaction, run_key: int, points: Sequence[Point], summaries: dict[str, Summary]) -> Sequence[Point]:
    """The points that are neither stored nor earlier in the same call, in order."""
    seen_to: dict[str, tuple[int, int]] = {}
    doubtful: list[int] = []
    for index, point in enumerate(points):
        key, step, time = point.key, point.step, point.timestamp
        bounds = seen_to.get(key)
        if bounds is None:
            summary = summaries.get(key)
            if summary is None:
                seen_to[key] = (step, time)
                continue
            bounds = (summary.greatest_step, summary.max_time)
        if step > bounds[0] or time > bounds[1]:
            seen_to[key] = (max(step, bounds[0]), max(time, bounds[1]))
        else:
            doubtful.append(index)
    if not doubtful:
        return points
    return _exactly_new(db, run_key, points, summaries, doubtful)


def _exactly_new(
    db: Transaction, run_key: int, points: Sequence[Point], summaries: dict[str, Summary], doubtful: list[int]
) -> list[Point]:
    wanted: dict[int, list[Identity]] = {}
    folded: dict[int, int] = {}
    for index in doubtful:
        point = points[index]
        summary = summaries.get(point.key)
        if summary is not None:
            wanted.setdefault(summary.series, []).append(identity(point.step, point.timestamp, point.value))
            folded[summary.series] = summary.folded
    stored = stored_identities(db, run_key, wanted, folded) if wanted else {}
    seen: dict[str, set[Identity]] = {}
    for key, summary in summaries.items():
        seen[key] = stored.get(summary.series, set())
    fresh = []
    for point in points:
        known = seen.setdefault(point.key, set())
        mark = identity(point.step, point.timestamp, point.value)
        if mark not in known:
            known.add(mark)
            fresh.append(point)
    return fresh
