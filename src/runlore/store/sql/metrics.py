"""Metrics: append points, keep a summary of each metric, read histories back.

A log call leaves one packed row in `metric_tail` and updates one summary row per metric in `metric`; it never touches old
points. A point that is there already (same key, step, time, value; NaN equals NaN) is not stored again. Most points are
newer than anything seen, which the summary tells (`summaries.py`); only the others are looked up (`points.py`).
"""

from __future__ import annotations

import os
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping, Sequence
from itertools import repeat
from typing import Any

from runlore.api.metrics import (
    GetMetricHistory,
    GetMetricHistoryBulk,
    GetMetricHistoryBulkInterval,
    LogMetric,
    MetricHistoryReply,
)
from runlore.entities import Empty, Metric
from runlore.exceptions import InvalidParameter, NotFound
from runlore.series.chunk import Points, Reference, Row, encode_row
from runlore.series.sample import sample
from runlore.series.tail import take
from runlore.store.sql.arrays import MetricArrays, PointArrays
from runlore.store.sql.database import Transaction
from runlore.store.sql.folding import FOLD_POINTS, FOLD_ROWS
from runlore.store.sql.handlers import handles
from runlore.store.sql.points import INSERT_TAIL, Identity, identity, read_for_sample, read_points, stored_identities
from runlore.store.sql.run_rows import ACTIVITY_MILLIS, active_run, existing_run
from runlore.store.sql.run_rows import run_key as key_of
from runlore.store.sql.summaries import (
    Columns,
    Point,
    Summary,
    SummaryMemory,
    new_summary,
    read_summaries,
    write_summaries,
)
from runlore.store.sql.tags import checked_name

_TAIL_ROW_POINTS = 8_192
_MANY = 16  # points of a metric in one call, on average, from which on columns are faster than points

_LOCK = (
    "UPDATE run SET next_tail = next_tail + ?, loose_points = loose_points + ?, tail_token = ?, "
    "latest_time = CASE WHEN latest_time < ? THEN ? ELSE latest_time END WHERE run_key = ?"
)
_RUN = " RETURNING next_tail, next_series, merged_tail, loose_points, latest_time"
_LOCK_ANY = _LOCK + _RUN
_LOCK_REMEMBERED = f"{_LOCK} AND tail_token = ?{_RUN}"
# The last three conditions: what `active_run` finds of a run that is being written to, where it has nothing to note.
_LOCK_ACTIVE = (
    f"{_LOCK} AND tail_token = ? AND run_id = ? AND deleted_time IS NULL AND shape IS NULL AND last_activity >= ?{_RUN}"
)
_MODEL_METRIC = (
    "INSERT INTO model_metric (model_id, run_key, key, dataset_name, dataset_digest, value, step, time) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (model_id, key, run_key, dataset_name, dataset_digest) DO UPDATE SET "
    "value = excluded.value, step = excluded.step, time = excluded.time "
    "WHERE excluded.step > model_metric.step OR (excluded.step = model_metric.step AND excluded.time >= model_metric.time)"
)

_memory = SummaryMemory()


@handles(LogMetric, short=True)
def log_metric(db: Transaction, op: LogMetric) -> Empty:
    """Append one point."""
    log_points(db, op.run_id, (op,))
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
    return MetricHistoryReply(metrics=entities(op.metric_key, points), next_page_token=token)


@handles(GetMetricHistoryBulk)
def get_metric_history_bulk(db: Transaction, op: GetMetricHistoryBulk) -> MetricHistoryReply:
    """Reads no more than is answered."""
    metrics: list[Metric] = []
    for run_id, run_key in [(run_id, existing_run(db, run_id)) for run_id in op.run_id]:
        row = db.one("SELECT series, folded, count FROM metric WHERE run_key = ? AND key = ?", (run_key, op.metric_key))
        rest = op.max_results - len(metrics)
        if row is not None and rest > 0:
            series, folded, count = row
            metrics += entities(op.metric_key, read_points(db, run_key, series, folded, 0, min(rest, count)), run_id.lower())
    return MetricHistoryReply(metrics=metrics)


@handles(GetMetricHistoryBulkInterval)
def get_metric_history_bulk_interval(db: Transaction, op: GetMetricHistoryBulkInterval) -> MetricHistoryReply:
    """Each run is sampled by itself, in the order of step and time. Long histories are not read as a whole."""
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
            window = None if op.start_step is None or op.end_step is None else (op.start_step, op.end_step)
            points = read_for_sample(db, run_key, row, op.max_results, window)
            places = sample(points, op.max_results, op.start_step, op.end_step)
            metrics += entities(op.metric_key, take(points, places), run_id.lower())
    return MetricHistoryReply(metrics=metrics)


def entities(key: str, points: Points, run_id: str | None = None) -> list[Metric]:
    """Points as they are answered."""
    values, times, steps = points.values.tolist(), points.times.tolist(), points.steps.tolist()
    if points.references is None and run_id is None:
        return list(map(Metric, repeat(key), values, times, steps))  # a third of the time of a loop in Python
    columns = zip(values, times, steps, strict=True)
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


def log_points(db: Transaction, run_id: str, points: Sequence[Point]) -> None:
    """Append points, at least one, to a run that must be active; while it is written to, one statement finds and locks it.

    Raises what `active_run` raises.
    """
    key = key_of(run_id)
    known = _memory.take(key)
    if known is not None:
        lock = _lock(key, len(points), _latest(points))
        run = db.one(_LOCK_ACTIVE, (*lock, known[0], run_id.lower(), db.now - ACTIVITY_MILLIS))
        if run is not None:
            _append(db, lock, run, known[1], points)
            return
        _memory.put(key, *known)
    append_points(db, active_run(db, run_id), points)


def append_points(db: Transaction, run_key: int, points: Sequence[Point]) -> int:
    """Append points to metrics of a run in their order; returns how many were not there yet.

    Updating the run's row makes writers of one run wait for each other, on PostgreSQL too.
    """
    if not points:
        return 0
    lock = _lock(run_key, len(points), _latest(points))
    run, remembered = _locked(db, lock)
    return _append(db, lock, run, remembered, points)


def append_arrays(db: Transaction, run_key: int, points: PointArrays) -> int:
    """The same as `append_points`, in a tenth of the time where none of the points can be stored already."""
    if not len(points):
        return 0
    lock = _lock(run_key, len(points), points.latest)
    run, remembered = _locked(db, lock)
    next_tail, next_series, *_, latest = run
    groups = points.by_key()
    summaries = _summaries_of(db, run_key, groups, remembered, next_series)
    changed = _count_groups(groups, summaries, next_series)
    if changed is None:
        remembered.update(summaries)
        return _append(db, lock, run, remembered, points.points())
    numbers = {key: summary.series for key, summary in changed.items()}
    write_summaries(db, run_key, changed)
    for place, first in enumerate(range(0, len(points), _TAIL_ROW_POINTS)):
        part = points[first : first + _TAIL_ROW_POINTS]
        low, high, data = part.packed(numbers)
        db.later(INSERT_TAIL, [(run_key, next_tail - lock[0] + place, low, high, part.earliest, latest, data)])
    _note(db, run_key, run, max(numbers.values()))
    remembered.update(summaries)
    _memory.put(run_key, lock[2], remembered)
    return len(points)


def _latest(points: Sequence[Point]) -> int:
    return max([point.timestamp for point in points])


def _lock(run_key: int, count: int, latest: int) -> tuple[int, int, int, int, int, int]:
    """The parameters of `_LOCK`: tail rows, points, a new token, the latest time (twice), the run."""
    rows = -(-count // _TAIL_ROW_POINTS)
    token = int.from_bytes(os.urandom(8), "little", signed=True) or 1  # not `random`, whose state a forked child shares
    return rows, count, token, latest, latest, run_key


def _locked(db: Transaction, lock: tuple[int, ...]) -> tuple[tuple[Any, ...], dict[str, Summary]]:
    """What `_RUN` returns of the run that is locked, and those of its summaries that are remembered."""
    run_key = lock[-1]
    known = _memory.take(run_key)
    run = None
    if known is not None:
        run = db.one(_LOCK_REMEMBERED, (*lock, known[0]))
    if run is None:
        known, run = None, db.one(_LOCK_ANY, lock)
    if run is None:
        raise NotFound(f"The run with key {run_key} is gone.")
    return run, known[1] if known else {}


def _note(db: Transaction, run_key: int, run: tuple[Any, ...], greatest_series: int) -> None:
    """Points were stored: keep the number of the next series, and hint at folding where it is worth it."""
    next_tail, next_series, merged_tail, loose_points, _ = run
    if greatest_series >= next_series:
        db.later("UPDATE run SET next_series = ? WHERE run_key = ?", [(greatest_series + 1, run_key)])
    if loose_points >= FOLD_POINTS or next_tail - merged_tail >= FOLD_ROWS:
        db.hints.add(run_key)


def _append(
    db: Transaction, lock: tuple[int, ...], run: tuple[Any, ...], remembered: dict[str, Summary], points: Sequence[Point]
) -> int:
    """Append points to a run that was locked by `lock`, which returned `run`; `remembered` are summaries that still hold."""
    rows, _, token, _, _, run_key = lock
    next_tail, next_series, _, _, latest = run
    summaries = _summaries_of(db, run_key, [point.key for point in points], remembered, next_series)
    if measured := [point for point in points if point.model_id]:
        upsert_model_metrics(db, run_key, measured)
    fresh, series, changed = _count_in(db, run_key, points, summaries, next_series)
    if fresh:
        write_summaries(db, run_key, changed)
        for first in range(0, len(fresh), _TAIL_ROW_POINTS):
            part = slice(first, first + _TAIL_ROW_POINTS)
            _insert_tail(db, (run_key, next_tail - rows + first // _TAIL_ROW_POINTS, latest), fresh[part], series[part])
        _note(db, run_key, run, max(series))
    remembered.update(summaries)
    _memory.put(run_key, token, remembered)
    return len(fresh)


def _summaries_of(
    db: Transaction, run_key: int, named: Iterable[str], remembered: dict[str, Summary], next_series: int
) -> dict[str, Summary]:
    """The summaries of the metrics of these names, without those that are new."""
    keys = dict.fromkeys(named)
    found = {key: remembered[key] for key in keys if key in remembered}
    if len(found) < len(keys) and len(remembered) < next_series:
        found |= read_summaries(db, run_key, [key for key in keys if key not in found])
    return found


def _count_in(
    db: Transaction, run_key: int, points: Sequence[Point], summaries: dict[str, Summary], next_series: int
) -> tuple[Sequence[Point], list[int], dict[str, Summary]]:
    """Count the points that are not stored yet into summaries, making those that are missing.

    Returns these points, the series number of each, and the summaries that changed.
    """
    if (counted := _count_columns(points, summaries, next_series)) is not None:
        return points, *counted
    series: list[int] = []
    changed: dict[str, Summary] = {}

    def count(point: Point, summary: Summary | None) -> None:
        nonlocal next_series
        key = point.key
        if summary is None:
            summary = summaries[checked_name(key, "name")] = new_summary(next_series, point)
            next_series += 1
        summary.add(point)
        series.append(summary.series)
        changed[key] = summary

    for index, point in enumerate(points):
        summary = summaries.get(point.key)
        if summary is not None and point.step <= summary.greatest_step and point.timestamp <= summary.max_time:
            rest = _exactly_new(db, run_key, points, index, summaries)
            for each in rest:
                count(each, summaries.get(each.key))
            return [*points[:index], *rest], series, changed
        count(point, summary)
    return points, series, changed


def _count_columns(
    points: Sequence[Point], summaries: dict[str, Summary], next_series: int
) -> tuple[list[int], dict[str, Summary]] | None:
    """The same for many points of few metrics, column by column: a third of the time. None, and nothing changed, where they are
    not many, or where one of them may be stored already."""
    if len(points) < _MANY:
        return None
    keys = [point.key for point in points]
    groups: dict[str, list[Point]] = {}
    if keys.count(keys[0]) == len(keys):
        groups[keys[0]] = list(points)
    else:
        for key, point in zip(keys, points, strict=True):
            groups.setdefault(key, []).append(point)
    if len(groups) * _MANY > len(points):
        return None
    changed = _count_groups({key: Columns(group) for key, group in groups.items()}, summaries, next_series)
    return None if changed is None else ([changed[key].series for key in keys], changed)


def _count_groups(
    groups: Mapping[str, Columns | MetricArrays], summaries: dict[str, Summary], next_series: int
) -> dict[str, Summary] | None:
    """Count points in; returns the summaries that changed. None, and nothing changed, where one may be stored already."""
    if not all(group.are_new(summaries.get(key)) for key, group in groups.items()):
        return None
    changed: dict[str, Summary] = {}
    for key, group in groups.items():
        summary = summaries.get(key)
        if summary is None:
            summary = summaries[checked_name(key, "name")] = new_summary(next_series, group.first)
            next_series += 1
        summary.add_all(group.counted())
        changed[key] = summary
    return changed


def _insert_tail(db: Transaction, place: tuple[int, int, int], points: Sequence[Point], series: list[int]) -> None:
    references = None
    if [point for point in points if point.model_id or point.dataset_name]:
        references = [_reference(point) for point in points]
    times = [point.timestamp for point in points]
    row = Row(series, [point.step for point in points], times, [point.value for point in points], references)
    run_key, seq, latest = place
    db.later(INSERT_TAIL, [(run_key, seq, min(series), max(series), min(times), latest, encode_row(row))])


def _reference(point: Point) -> Reference | None:
    if point.model_id or point.dataset_name:
        return Reference(point.model_id, point.dataset_name, point.dataset_digest)
    return None


def upsert_model_metrics(db: Transaction, run_key: int, points: Sequence[Point]) -> None:
    """Keep the last value of each (model, metric, dataset): the one with the greatest (step, time), ties by arrival."""
    rows: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    for point in points:
        place = (point.model_id, run_key, point.key, point.dataset_name or "", point.dataset_digest or "")
        known = rows.get(place)
        if known is None or (point.step, point.timestamp) >= known[1:]:
            rows[place] = (point.value if point.value == point.value else None, point.step, point.timestamp)
    db.many(_MODEL_METRIC, [place + last for place, last in rows.items()])


def _exactly_new(
    db: Transaction, run_key: int, points: Sequence[Point], start: int, summaries: dict[str, Summary]
) -> list[Point]:
    """The points from place `start` on that are neither stored nor earlier in the call."""
    wanted: dict[int, list[Identity]] = {}
    folded: dict[int, int] = {}
    for point in points[start:]:
        summary = summaries.get(point.key)
        if summary is not None and point.step <= summary.greatest_step and point.timestamp <= summary.max_time:
            wanted.setdefault(summary.series, []).append(identity(point.step, point.timestamp, point.value))
            folded[summary.series] = summary.folded
    stored = stored_identities(db, run_key, wanted, folded)
    seen = {key: stored[summary.series] for key, summary in summaries.items() if summary.series in stored}
    fresh = []
    for place, point in enumerate(points):
        known = seen.setdefault(point.key, set())
        mark = identity(point.step, point.timestamp, point.value)
        if place < start:
            known.add(mark)
        elif mark not in known:
            known.add(mark)
            fresh.append(point)
    return fresh
