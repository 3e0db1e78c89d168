"""What a chart can ask for beyond plain lines: logarithmic axes, other metrics as x, smoothing, groups, the best so far."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from tests.store.test_series import START, column, log, new_run, x_of

from runlore.api.runs import LogBatch, ParamEntry
from runlore.api.series import QuerySeries, SeriesFrame, SeriesGroup, SeriesGroupColumns, SeriesGrouping, SeriesSmoothing
from runlore.exceptions import InvalidParameter
from runlore.store.base import Store


def of(frame: SeriesFrame, line: Any, name: str) -> Any:
    kind = "<u4" if name in ("count", "runs") else "<f8" if frame.exact or line.wide else "<f4"
    return np.frombuffer(getattr(line, name), kind)


def edges_of(frame: SeriesFrame) -> Any:
    if frame.edges:
        return np.frombuffer(frame.edges, "<f8")
    return frame.x0 + frame.dx * np.arange(frame.n + 1)


def moving_average(values: Any, weight: float) -> Any:
    averages, average, known = [], 0.0, 0
    for value in values:
        if math.isfinite(value):
            average, known = weight * average + (1 - weight) * value, known + 1
        averages.append(average / (1 - weight**known) if known else math.nan)
    return np.array(averages)


# -- axes -------------------------------------------------------------------------------------------------------------------


def test_a_logarithmic_axis_shows_each_of_the_first_steps(store: Store) -> None:
    run_id = new_run(store)
    values = np.random.default_rng(0).normal(size=20_000)
    values[11] = 50.0
    log(store, run_id, "loss", values)
    frame = store.call(QuerySeries(run_ids=[run_id], metrics=["loss"], scale="log", width=256))

    (line,), edges = frame.series, edges_of(frame)
    assert (frame.exact, len(edges), line.points, line.left_out) == (False, frame.n + 1, 20_000, 0)
    assert edges[:13].tolist() == list(range(13))
    assert of(frame, line, "mean")[:13].tolist() == values[:13].astype(np.float32).tolist()
    places = np.searchsorted(edges, np.arange(20_000), "right") - 1
    assert of(frame, line, "count").tolist() == np.bincount(places, minlength=frame.n).tolist()
    assert [of(frame, line, "max")[place] for place in (11, places[-1])] == [
        50.0,
        np.float32(values[places == places[-1]].max()),
    ]

    zoomed = store.call(QuerySeries(run_ids=[run_id], metrics=["loss"], scale="log", width=256, x_range=(6_000, 19_000)))
    assert set(edges_of(zoomed)) > {edge for edge in edges if 6_100 < edge < 18_900}


def test_what_is_below_zero_is_left_out_of_a_logarithmic_axis_and_counted(store: Store) -> None:
    run_id = new_run(store)
    log(store, run_id, "x", np.arange(6.0), steps=range(-3, 3))
    frame = store.call(QuerySeries(run_ids=[run_id], metrics=["x"], scale="log"))

    assert (x_of(frame), frame.series[0].left_out, frame.series[0].points) == ([0, 1, 2], 3, 3)
    frame = store.call(QuerySeries(run_ids=[run_id], metrics=["x"], scale="log", x_range=(-2, 1)))
    assert (x_of(frame), frame.series[0].left_out) == ([0, 1], 2)


def test_another_metric_as_x_joins_at_the_step(store: Store) -> None:
    run_id, without = new_run(store), new_run(store)
    log(store, run_id, "seen", [100.0, 300.0, 200.0, math.nan, 500.0, 550.0], steps=[1, 2, 3, 4, 5, 5])
    log(store, run_id, "acc", [0.1, 0.2, 0.3, 0.4, 0.5, 0.6], steps=[1, 2, 3, 4, 5, 7])
    log(store, without, "acc", [0.9])
    ask = QuerySeries(run_ids=[run_id, without], metrics=["acc"], x="metric", x_metric="seen")
    frame = store.call(ask)

    first, second = frame.series
    assert (frame.exact, frame.approximated, x_of(frame)) == (True, False, [100, 200, 300, 550])
    assert of(frame, first, "mean").tolist() == [0.1, 0.3, 0.2, 0.5]
    assert (first.left_out, first.points, second.left_out, second.points) == (2, 4, 1, 0)
    with pytest.raises(InvalidParameter, match="x_metric"):
        store.call(QuerySeries(run_ids=[run_id], metrics=["acc"], x="metric"))


def test_many_points_over_another_metric(store: Store) -> None:
    run_id = new_run(store)
    random = np.random.default_rng(1)
    seen, values = np.cumsum(random.random(9_000)), random.normal(size=9_000)
    log(store, run_id, "seen", seen)
    log(store, run_id, "loss", values)
    for scale in ("linear", "log"):
        frame = store.call(QuerySeries(run_ids=[run_id], metrics=["loss"], x="metric", x_metric="seen", scale=scale, width=200))
        (line,), edges = frame.series, edges_of(frame)
        places = np.searchsorted(edges, seen, "right") - 1
        assert (frame.exact, frame.approximated, line.points) == (False, False, 9_000)
        assert of(frame, line, "count").tolist() == np.bincount(places, minlength=frame.n).tolist()
        assert frame.n <= 200
        assert np.nanmax(of(frame, line, "max")) == np.float32(values.max())


def test_values_of_x_that_are_not_above_zero_have_no_place_on_a_logarithmic_axis(store: Store) -> None:
    run_id = new_run(store)
    log(store, run_id, "seen", [-1.0, 0.0, 0.25, 4.0])
    log(store, run_id, "loss", [1.0, 2.0, 3.0, 4.0])
    ask = QuerySeries(run_ids=[run_id], metrics=["loss"], x="metric", x_metric="seen", scale="log")
    frame = store.call(ask)
    assert (x_of(frame), frame.series[0].left_out) == ([0.25, 4.0], 2)


# -- smoothing --------------------------------------------------------------------------------------------------------------


def test_smoothing_does_not_change_with_the_window(store: Store) -> None:
    run_id = new_run(store)
    values = np.random.default_rng(2).random(60_000)
    values[500] = math.nan
    log(store, run_id, "loss", values)
    truth = moving_average(values, 0.98)
    for window in (None, (20_000, 39_000), (30_000, 30_400)):
        for scale in ("linear", "log"):
            how = SeriesSmoothing(kind="ema", amount=0.98)
            frame = store.call(
                QuerySeries(run_ids=[run_id], metrics=["loss"], x_range=window, width=512, smoothing=how, scale=scale)
            )
            (line,) = frame.series
            x = np.frombuffer(frame.x, "<f8") if frame.exact else edges_of(frame)
            ends = np.append(x, x[-1] + 1) if frame.exact else x
            expected = [
                np.nan if high <= low else truth[int(low) : int(high)][np.isfinite(values[int(low) : int(high)])].mean()
                for low, high in zip(ends[:-1], np.minimum(ends[1:], 60_000), strict=True)
            ]
            got = of(frame, line, "smooth")
            assert np.nanmax(np.abs(got - expected)) < 0.01
            assert (np.isnan(got) == np.isnan(of(frame, line, "mean"))).all()


def test_smoothing_of_few_points_is_exact_and_looks_at_points_before_the_window(store: Store) -> None:
    run_id = new_run(store)
    values = [4.0, math.nan, 8.0, 1.0, 0.0]
    log(store, run_id, "loss", values, steps=[0, 3, 4, 100, 1_000])
    how = SeriesSmoothing(kind="ema", amount=0.5)
    frame = store.call(QuerySeries(run_ids=[run_id], metrics=["loss"], smoothing=how, x_range=(4, 2_000)))

    assert of(frame, frame.series[0], "smooth") == pytest.approx(moving_average(values, 0.5)[2:], rel=1e-9)
    how = SeriesSmoothing(kind="mean", amount=3)
    frame = store.call(QuerySeries(run_ids=[run_id], metrics=["loss"], smoothing=how))
    assert of(frame, frame.series[0], "smooth")[[0, 2, 3, 4]] == pytest.approx([6.0, 13 / 3, 3.0, 0.5])
    with pytest.raises(InvalidParameter, match="less than 1"):
        store.call(QuerySeries(run_ids=[run_id], metrics=["loss"], smoothing=SeriesSmoothing(kind="ema", amount=1)))


def test_the_best_so_far_counts_from_the_beginning(store: Store) -> None:
    run_id = new_run(store)
    values = np.random.default_rng(3).normal(size=30_000)
    values[100] = -9.0
    log(store, run_id, "loss", values)
    whole = store.call(QuerySeries(run_ids=[run_id], metrics=["loss"], best="min", width=128))
    ends = np.minimum(edges_of(whole)[1:], 30_000).astype(int)
    assert of(whole, whole.series[0], "best").tolist() == [np.float32(values[:end].min()) for end in ends]
    part = store.call(QuerySeries(run_ids=[run_id], metrics=["loss"], best="min", width=128, x_range=(20_000, 29_999)))
    assert set(of(part, part.series[0], "best")) == {-9.0}
    most = store.call(QuerySeries(run_ids=[run_id], metrics=["loss"], best="max", x_range=(50, 60)))
    assert of(most, most.series[0], "best").tolist() == [values[: step + 1].max() for step in range(50, 61)]


# -- groups -----------------------------------------------------------------------------------------------------------------


def seeds(store: Store, lengths: dict[str, list[int]]) -> dict[str, tuple[str, Any]]:
    """Runs with the param `opt`; by run id, its optimiser and its values."""
    made, random = {}, np.random.default_rng(4)
    for optimiser, counts in lengths.items():
        for count in counts:
            run_id = new_run(store)
            if optimiser != "none":
                store.call(LogBatch(run_id=run_id, params=[ParamEntry(key="opt", value=optimiser)]))
            made[run_id] = optimiser, random.normal(size=count)
            log(store, run_id, "loss", made[run_id][1])
    return made


def check_group(frame: SeriesFrame, group: SeriesGroupColumns, runs: list[Any]) -> None:
    edges = np.append(np.frombuffer(frame.x, "<f8"), math.inf) if frame.exact else edges_of(frame)
    for place, (low, high) in enumerate(pairwise(edges)):
        parts = [part for values in runs if len(part := values[int(low) : int(min(high, 10**9))])]
        parts = [part[:1] for part in parts] if frame.exact else parts
        means = [part.mean() for part in parts]
        assert of(frame, group, "runs")[place] == len(parts)
        if not parts:
            assert np.isnan(of(frame, group, "mean")[place])
            continue
        expected = {
            "mean": np.mean(means), "median": np.median(means), "min": min(part.min() for part in parts),
            "max": max(part.max() for part in parts), "std": np.std(means, ddof=1) if len(means) > 1 else 0.0,
        }  # fmt: skip
        for name, value in expected.items():
            assert math.isclose(of(frame, group, name)[place], value, rel_tol=1e-5, abs_tol=1e-6), name


def test_groups_of_runs_of_different_lengths(store: Store) -> None:
    made = seeds(store, {"sgd": [9_000, 6_000, 3_000], "adam": [9_000, 5_000], "none": [8_000]})
    by = SeriesGrouping(by=["params.opt"])
    frame = store.call(QuerySeries(run_ids=list(made), metrics=["loss"], grouping=by, width=64))

    assert frame.series == []
    assert [(group.name, group.values) for group in frame.groups] == [
        ("opt = adam", ["adam"]), ("opt = sgd", ["sgd"]), ("opt = None", [None]),
    ]  # fmt: skip
    for group in frame.groups:
        runs = [values for optimiser, values in made.values() if optimiser == (group.values[0] or "none")]
        assert group.run_ids == [run_id for run_id, (name, _) in made.items() if name == (group.values[0] or "none")]
        assert (group.key, group.points, group.total) == ("loss", sum(map(len, runs)), sum(map(len, runs)))
        check_group(frame, group, runs)
    few = store.call(QuerySeries(run_ids=list(made), metrics=["loss"], grouping=by, x_range=(4_900, 5_100)))
    assert few.exact
    assert of(few, few.groups[1], "runs").tolist() == [2] * 201


def test_named_groups_hold_the_runs_they_say(store: Store) -> None:
    made = seeds(store, {"a": [50, 50, 40]})
    one, two, three = made
    groups = [SeriesGroup(name="first", run_ids=[one, two]), SeriesGroup(name="all", run_ids=[three, one, two])]
    frame = store.call(
        QuerySeries(run_ids=list(made), metrics=["loss", "none"], grouping=SeriesGrouping(groups=groups), best="max")
    )

    assert frame.exact
    assert [(group.name, group.values, len(group.run_ids)) for group in frame.groups] == [("first", [], 2), ("all", [], 3)]
    check_group(frame, frame.groups[1], [values for _, values in made.values()])
    best = np.maximum.accumulate(np.maximum(made[one][1], made[two][1]))
    assert of(frame, frame.groups[0], "best").tolist() == best.tolist()
    other = SeriesGrouping(groups=[SeriesGroup(name="x", run_ids=["0" * 32])])
    with pytest.raises(InvalidParameter, match="not among"):
        store.call(QuerySeries(run_ids=[one], metrics=["loss"], grouping=other))
    with pytest.raises(InvalidParameter, match="grouped by"):
        store.call(QuerySeries(run_ids=[one], metrics=["loss"], grouping=SeriesGrouping(by=["metrics.loss"])))


def test_groups_of_runs_that_log_at_different_steps_have_all_runs_in_each_bucket(store: Store) -> None:
    runs = [new_run(store) for _ in range(4)]
    for offset, run_id in enumerate(runs):
        log(store, run_id, "loss", np.full(300, float(offset)), steps=range(offset * 3, 3_000, 10))
    frame = store.call(QuerySeries(run_ids=runs, metrics=["loss"], grouping=SeriesGrouping()))

    (group,) = frame.groups
    assert (frame.exact, group.name, group.values) == (False, "", [])
    assert set(of(frame, group, "runs")[:-1]) == {4}
    assert set(of(frame, group, "mean")[:-1]) == {1.5}


@pytest.mark.parametrize("window", [None, (10_000, 12_000), (15_000, 15_100)])
def test_a_group_is_smoothed_as_its_average_run(store: Store, window: tuple[float, float] | None) -> None:
    made = seeds(store, {"a": [20_000] * 3})
    average = np.mean([values for _, values in made.values()], axis=0)
    truth = moving_average(average, 0.99)
    frame = store.call(
        QuerySeries(
            run_ids=list(made), metrics=["loss"], grouping=SeriesGrouping(), width=128, x_range=window,
            smoothing=SeriesSmoothing(kind="ema", amount=0.99),
        )
    )  # fmt: skip
    (group,) = frame.groups
    edges = np.append(np.frombuffer(frame.x, "<f8"), np.frombuffer(frame.x, "<f8")[-1:] + 1) if frame.exact else edges_of(frame)
    expected = [truth[int(low) : int(min(high, 20_000))].mean() for low, high in pairwise(edges)]
    assert np.abs(of(frame, group, "smooth") - expected).max() < 0.01 * np.ptp(average)


def test_zero_is_not_empty_and_what_is_not_finite_is_marked_everywhere(store: Store) -> None:
    run_id = new_run(store)
    values = np.zeros(10_000)
    values[5_000] = math.inf
    log(store, run_id, "x", values, steps=[*range(5_000), *range(15_000, 20_000)])
    for scale in ("linear", "log"):
        frame = store.call(QuerySeries(run_ids=[run_id], metrics=["x"], width=64, scale=scale, best="min"))
        (line,), edges = frame.series, edges_of(frame)
        mean = of(frame, line, "mean")
        inside = (edges[:-1] >= 5_000) & (edges[1:] <= 15_000)
        assert np.isnan(mean[inside]).all()
        assert (mean[~inside & ~np.isnan(mean)] == 0).all()
        assert line.non_finite == [(int(np.searchsorted(edges, 15_000, "right")) - 1, 1)]
        assert of(frame, line, "best")[0] == 0


@pytest.mark.parametrize("scale", ["linear", "log"])
@pytest.mark.parametrize("values", [[1e300, -1e300, 5e-324, math.inf] * 1_100, [0.0] * 9])
def test_the_most_distant_steps_values_and_amounts(store: Store, values: list[float], scale: Any) -> None:
    run_id, other = new_run(store), new_run(store)
    steps = [*range(len(values) - 3), -(2**63), 2**63 - 1, 2**62]
    log(store, run_id, "x", values, steps=steps, times=[START] * len(values))
    log(store, other, "x", values[:5])
    amounts = [("ema", 0.0), ("ema", 1 - 1e-16), ("mean", 0.0), ("mean", 1e12), ("gaussian", 0.0), ("gaussian", 1e12)]
    for kind, amount in amounts:
        for grouping in (None, SeriesGrouping()):
            for window in ((-(2.0**63), 2.0**63), (3.0, 5.0)) if grouping else (None,):
                how = SeriesSmoothing(kind=kind, amount=amount)  # type: ignore[arg-type]
                frame = store.call(
                    QuerySeries(
                        run_ids=[run_id, other], metrics=["x"], smoothing=how, grouping=grouping, best="max", width=16,
                        scale=scale, x_range=window,
                    )
                )  # fmt: skip
                shown = [len(of(frame, line, "smooth")) for line in (*frame.series, *frame.groups)]
                assert set(shown) == {frame.n}
    frame = store.call(QuerySeries(run_ids=[run_id], metrics=["x"], x="metric", x_metric="x", scale=scale, width=16))
    assert frame.series[0].points + frame.series[0].left_out == len(values)


def test_columns_keep_their_defaults(store: Store) -> None:
    run_id = new_run(store)
    log(store, run_id, "x", [1.0, 2.0], times=[START, START + 1])
    frame = store.call(QuerySeries(run_ids=[run_id], metrics=["x"]))
    line = frame.series[0]
    assert (line.smooth, line.best, line.left_out, line.blur, frame.groups, frame.edges, frame.approximated) == (
        b"", b"", 0, 0.0, [], b"", False,
    )  # fmt: skip
    assert column(frame, line, "mean").tolist() == [1.0, 2.0]
