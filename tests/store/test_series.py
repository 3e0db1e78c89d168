"""Lines of charts: exact where they fit, honest buckets where they do not."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np
import pytest

from runlore.api.runs import CreateRun, LogBatch, MetricPoint
from runlore.api.series import QuerySeries, SeriesColumns, SeriesFrame
from runlore.store.base import Store

START = 1_700_000_000_000


def new_run(store: Store, **fields: Any) -> str:
    return store.call(CreateRun(start_time=START, **fields)).run.info.run_id


def log(store: Store, run_id: str, key: str, values: Any, steps: Any = None, times: Any = None) -> None:
    steps = range(len(values)) if steps is None else steps
    times = [START + 100 * step for step in steps] if times is None else times
    points = [
        MetricPoint(key=key, value=float(value), step=int(step), timestamp=int(time))
        for value, step, time in zip(values, steps, times, strict=True)
    ]
    for first in range(0, len(points), 1_000):
        store.call(LogBatch(run_id=run_id, metrics=points[first : first + 1_000]))


def column(frame: SeriesFrame, line: SeriesColumns, name: str) -> np.ndarray[Any, Any]:
    kind = "<u4" if name == "count" else "<f8" if frame.exact or line.wide else "<f4"
    return np.frombuffer(getattr(line, name), kind)


def x_of(frame: SeriesFrame) -> list[float]:
    return np.frombuffer(frame.x, "<f8").tolist()


def check_buckets(frame: SeriesFrame, line: SeriesColumns, x: Any, values: Any) -> None:
    """Compare a line with buckets that numpy makes from the points."""
    places = np.floor((np.asarray(x) - frame.x0) / frame.dx).astype(int)
    inside = (places >= 0) & (places < frame.n)
    assert line.points == inside.sum()
    mean, low, high, count = (column(frame, line, name) for name in ("mean", "min", "max", "count"))
    for place in range(frame.n):
        part = values[inside & (places == place)]
        assert count[place] == len(part)
        if len(part):
            assert low[place] == low.dtype.type(part.min())
            assert high[place] == high.dtype.type(part.max())
            assert math.isclose(mean[place], part.mean(), rel_tol=1e-5, abs_tol=1e-6)
        else:
            assert np.isnan([low[place], high[place], mean[place]]).all()


def test_few_points_come_as_they_are(store: Store) -> None:
    one, two = new_run(store), new_run(store)
    log(store, one, "loss", [0.5, -0.0, math.nan, 0.1], steps=[0, 10, 20, 30])
    log(store, two, "loss", [math.inf, 7.0], steps=[10, 15])
    frame = store.call(QuerySeries(run_ids=[one, two], metrics=["loss", "none"]))

    assert (frame.exact, frame.n, x_of(frame)) == (True, 5, [0, 10, 15, 20, 30])
    first, second = frame.series
    assert column(frame, first, "mean").tobytes() == np.array([0.5, -0.0, math.nan, math.nan, 0.1]).tobytes()
    assert (first.run_id, first.key, first.points, first.total, first.non_finite) == (one, "loss", 4, 4, [(3, 0)])
    assert (second.min, second.max, second.non_finite) == (b"", b"", [(1, 1)])
    assert frame.missing == [(one, "none"), (two, "none")]


def test_several_points_at_one_step_show_their_range(store: Store) -> None:
    run_id = new_run(store)
    log(store, run_id, "x", [1.0, 2.0, 6.0, 9.0], steps=[0, 5, 5, 5])
    frame = store.call(QuerySeries(run_ids=[run_id], metrics=["x"]))

    (line,) = frame.series
    assert frame.exact
    assert [column(frame, line, name)[1] for name in ("min", "mean", "max", "count")] == [2.0, 17 / 3, 9.0, 3]


def test_time_and_relative_time_are_milliseconds(store: Store) -> None:
    run_id = new_run(store)
    log(store, run_id, "x", [1.0, 2.0], times=[START + 250, START + 900])

    assert x_of(store.call(QuerySeries(run_ids=[run_id], metrics=["x"], x="time"))) == [START + 250, START + 900]
    assert x_of(store.call(QuerySeries(run_ids=[run_id], metrics=["x"], x="relative"))) == [250, 900]
    narrow = store.call(QuerySeries(run_ids=[run_id], metrics=["x"], x="relative", x_range=(250.5, 900)))
    assert x_of(narrow) == [900]


def test_windows_of_a_long_line(store: Store) -> None:
    run_id = new_run(store)
    random = np.random.default_rng(0)
    values = random.normal(size=200_000)
    values[123_456] = 40.0
    log(store, run_id, "loss", values)
    log(store, run_id, "eval", values[::1_000], steps=range(0, 200_000, 1_000))
    steps = np.arange(200_000)

    frame = store.call(QuerySeries(run_ids=[run_id], metrics=["loss", "eval"], width=512))
    loss, evaluation = frame.series
    assert not frame.exact
    assert 256 < frame.n <= 512
    check_buckets(frame, loss, steps, values)
    check_buckets(frame, evaluation, steps[::1_000], values[::1_000])
    assert (loss.total, evaluation.total) == (200_000, 200)

    for zoom in range(1, 18):
        width = 200_000 >> zoom
        window = (123_456 - width // 3, 123_456 + width // 2)
        frame = store.call(QuerySeries(run_ids=[run_id], metrics=["loss"], x_range=window, width=300))
        (loss,) = frame.series
        if frame.exact:
            assert x_of(frame) == list(range(window[0], window[1] + 1))
            assert column(frame, loss, "mean").tolist() == values[window[0] : window[1] + 1].tolist()
        else:
            assert frame.x0 <= window[0]
            assert frame.x0 + frame.n * frame.dx > window[1]
            check_buckets(frame, loss, steps, values)
            assert np.nanmax(column(frame, loss, "max")) == 40.0
    assert frame.exact


def test_lines_with_different_and_uneven_steps_share_a_grid(store: Store) -> None:
    random = np.random.default_rng(1)
    lines = {}
    for number in range(3):
        run_id = new_run(store)
        steps = np.cumsum(random.integers(1, 30, 6_000)) + 1_000 * number
        steps[4_000:] -= 20_000  # went on from a checkpoint
        lines[run_id] = steps, random.normal(size=6_000).astype(np.float32).astype(float)
        log(store, run_id, "x", lines[run_id][1], steps=steps, times=START + np.arange(6_000) * 1_000 + steps % 7)
    for x in ("step", "time", "relative"):
        frame = store.call(QuerySeries(run_ids=list(lines), metrics=["x"], x=x, width=200))
        for line in frame.series:
            steps, values = lines[line.run_id]
            times = np.arange(6_000) * 1_000 + steps % 7
            check_buckets(frame, line, steps if x == "step" else times + (START if x == "time" else 0), values)


def test_values_that_are_close_together_come_as_float64(store: Store) -> None:
    run_id = new_run(store)
    values = 1_000 + np.arange(5_000) * 1e-9
    log(store, run_id, "x", values)
    frame = store.call(QuerySeries(run_ids=[run_id], metrics=["x"], width=100))

    (line,) = frame.series
    assert (frame.exact, line.wide) == (False, True)
    check_buckets(frame, line, np.arange(5_000), values)


def test_numbers_that_are_none_are_marked_in_their_bucket(store: Store) -> None:
    run_id = new_run(store)
    values = np.ones(8_192)
    values[4_000], values[5_000], values[5_001] = math.nan, math.inf, -math.inf
    log(store, run_id, "x", values)
    frame = store.call(QuerySeries(run_ids=[run_id], metrics=["x"], width=16))

    (line,) = frame.series
    assert (frame.n, frame.dx) == (16, 512)
    assert line.non_finite == [(7, 0), (9, -1), (9, 1)]
    assert column(frame, line, "count").sum() == 8_189


def test_a_line_that_grows_keeps_its_grid_or_halves_it(store: Store) -> None:
    run_id = new_run(store)
    log(store, run_id, "x", np.ones(5_000), steps=range(1, 5_001))
    before = store.call(QuerySeries(run_ids=[run_id], metrics=["x"], width=128))
    log(store, run_id, "x", np.ones(5_000), steps=range(5_001, 10_001))
    after = store.call(QuerySeries(run_ids=[run_id], metrics=["x"], width=128))

    assert (after.origin, after.base, after.dx) == (before.origin, before.base, 2 * before.dx)
    counts = column(before, before.series[0], "count")
    merged = np.append(counts, [0] * (len(counts) % 2)).reshape(-1, 2).sum(1)
    assert (column(after, after.series[0], "count")[: len(merged) - 1] == merged[:-1]).all()


@pytest.mark.parametrize("window", [None, (5.0, 6.0), (-1e300, 1e300), (2.0, 1.0)])
def test_nothing_to_show_is_an_empty_frame(store: Store, window: tuple[float, float] | None) -> None:
    run_id = new_run(store)
    frame = store.call(QuerySeries(run_ids=[run_id, "0" * 32], metrics=["x"], x_range=window))
    assert (frame.exact, frame.n, frame.series) == (True, 0, [])
    assert frame.missing == [(run_id, "x"), ("0" * 32, "x")]


def test_the_most_distant_steps(store: Store) -> None:
    run_id = new_run(store)
    steps = [-(2**63), 2**63 - 1, 0, *range(5_000)]
    log(store, run_id, "x", np.arange(len(steps)), steps=steps, times=[START] * len(steps))
    frame = store.call(QuerySeries(run_ids=[run_id], metrics=["x"], width=16))
    (line,) = frame.series
    count = column(frame, line, "count")
    assert (count[0], count[-1], count.sum()) == (1, 1, len(steps))


def test_a_frame_survives_messagepack(store: Store) -> None:
    run_id = new_run(store)
    log(store, run_id, "x", np.arange(10))
    frame = store.call(QuerySeries(run_ids=[run_id], metrics=["x"]))
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(frame), type=SeriesFrame) == frame
