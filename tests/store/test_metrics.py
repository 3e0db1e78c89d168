"""Metrics on every store: what was logged comes back, once, in order, whatever the store did with it in between."""

from __future__ import annotations

import math
import random
import struct
from itertools import pairwise

import msgspec
import pytest

from runlore.api.dashboard import GetRunOverview
from runlore.api.logged_models import CreateLoggedModel, GetLoggedModel
from runlore.api.metrics import GetMetricHistory, GetMetricHistoryBulk, GetMetricHistoryBulkInterval, LogMetric
from runlore.api.runs import CreateRun, DeleteRun, GetRun, LogBatch, MetricPoint
from runlore.entities import Metric
from runlore.exceptions import InvalidParameter, NotFound
from runlore.store.base import Store


def new_run(store: Store) -> str:
    return store.call(CreateRun(start_time=1_000)).run.info.run_id


def log(store: Store, run_id: str, *points: tuple[str, float, int, int]) -> None:
    """Log points (key, value, step, time), a thousand a call."""
    metrics = [MetricPoint(key=key, value=value, step=step, timestamp=time) for key, value, step, time in points]
    for first in range(0, len(metrics), 1_000):
        store.call(LogBatch(run_id=run_id, metrics=metrics[first : first + 1_000]))


def history(store: Store, run_id: str, key: str, page: int = 25_000) -> list[Metric]:
    found: list[Metric] = []
    token: str | None = ""
    while token is not None:
        reply = store.call(GetMetricHistory(run_id=run_id, metric_key=key, max_results=page, page_token=token))
        assert len(reply.metrics) <= page
        found += reply.metrics
        token = reply.next_page_token
    return found


def rows(metrics: list[Metric]) -> list[tuple[bytes, int, int]]:
    return [(struct.pack("<d", metric.value), metric.step, metric.timestamp) for metric in metrics]


def last(store: Store, run_id: str, key: str) -> Metric:
    (metric,) = [metric for metric in store.call(GetRun(run_id=run_id)).run.data.metric_list if metric.key == key]
    return metric


def test_one_point_comes_back(store: Store) -> None:
    run_id = new_run(store)
    store.call(LogMetric(run_id=run_id, key="loss", value=0.5, timestamp=7, step=3))

    assert history(store, run_id, "loss") == [Metric(key="loss", value=0.5, timestamp=7, step=3)]
    assert last(store, run_id, "loss").value == 0.5
    assert history(store, run_id, "other") == []


def test_points_come_back_in_the_order_they_were_logged(store: Store) -> None:
    run_id = new_run(store)
    points = [
        ("a", 1.0, 5, 50),
        ("a", 2.0, -1, 90),
        ("b", 9.0, 0, 0),
        ("a", 3.0, 2**63 - 1, -(2**63)),
        ("a", 4.0, -(2**63), 2**63 - 1),
    ]
    log(store, run_id, *points)
    log(store, run_id, ("a", 5.0, 0, 0))

    found = [(metric.value, metric.step, metric.timestamp) for metric in history(store, run_id, "a")]
    assert found == [(value, step, time) for key, value, step, time in [*points, ("a", 5.0, 0, 0)] if key == "a"]


def test_values_that_are_no_numbers_come_back(store: Store) -> None:
    run_id = new_run(store)
    values = [math.nan, math.inf, -math.inf, -0.0, 5e-324, 1.7976931348623157e308]
    log(store, run_id, *[("x", value, step, step) for step, value in enumerate(values)])

    assert rows(history(store, run_id, "x")) == [(struct.pack("<d", value), step, step) for step, value in enumerate(values)]
    assert last(store, run_id, "x").value == values[-1]

    log(store, run_id, ("x", math.nan, 99, 99))
    assert math.isnan(last(store, run_id, "x").value)


def test_the_last_value_has_the_greatest_step_then_time_then_came_last(store: Store) -> None:
    run_id = new_run(store)
    log(store, run_id, ("x", 1.0, 10, 100), ("x", 2.0, 9, 999))
    assert last(store, run_id, "x").value == 1.0
    log(store, run_id, ("x", 3.0, 10, 99))
    assert last(store, run_id, "x").value == 1.0
    log(store, run_id, ("x", 4.0, 10, 100))
    assert last(store, run_id, "x").value == 4.0
    log(store, run_id, ("x", 5.0, 11, 0))
    assert (last(store, run_id, "x").value, last(store, run_id, "x").step) == (5.0, 11)


def test_the_same_point_is_kept_once(store: Store) -> None:
    run_id = new_run(store)
    points = [
        ("x", 1.0, 0, 0),
        ("x", math.nan, 0, 0),
        ("x", 1.0, 0, 0),
        ("x", math.nan, 0, 0),
        ("x", 1.0, 0, 1),
        ("y", 1.0, 0, 0),
    ]
    for _ in range(3):
        log(store, run_id, *points)

    assert rows(history(store, run_id, "x")) == [
        (struct.pack("<d", 1.0), 0, 0), (struct.pack("<d", math.nan), 0, 0), (struct.pack("<d", 1.0), 0, 1)
    ]  # fmt: skip
    assert len(history(store, run_id, "y")) == 1


def test_batches_that_are_sent_again_later_change_nothing(store: Store) -> None:
    run_id = new_run(store)
    calls = [[(f"m{number}", float(step), step, step // 3) for number in range(10)] for step in range(50)]
    for call in calls:
        log(store, run_id, *call)
    before = history(store, run_id, "m3"), last(store, run_id, "m3")
    for call in [*reversed(calls), [*calls[7], *calls[3]]]:
        log(store, run_id, *call)

    assert (history(store, run_id, "m3"), last(store, run_id, "m3")) == before
    assert len(before[0]) == 50


def test_many_points_of_one_moment_are_all_kept(store: Store) -> None:
    run_id = new_run(store)
    for value in range(60):
        log(store, run_id, ("x", float(value), 0, 5))
        log(store, run_id, ("x", float(value), 0, 5))
    assert [metric.value for metric in history(store, run_id, "x")] == list(range(60))


@pytest.mark.parametrize("page", [1_000, 24_999])
def test_a_long_history_comes_back_exactly_in_pages(store: Store, page: int) -> None:
    """More points than the tail may hold: the store folds some of them while this test reads."""
    run_id = new_run(store)
    points = [
        ("x", math.nan if step % 997 == 0 else math.sin(step), step, 1_700_000_000_000 + step * 37) for step in range(70_500)
    ]
    log(store, run_id, *points)

    expected = [(struct.pack("<d", value), step, time) for _, value, step, time in points]
    assert rows(history(store, run_id, "x", page)) == expected
    log(store, run_id, *points[40_000:42_000], *points[-10:])
    assert rows(history(store, run_id, "x")) == expected


def test_pages_fit_together_while_the_run_goes_on(store: Store) -> None:
    run_id = new_run(store)
    log(store, run_id, *[("x", float(step), step, step) for step in range(10)])
    first = store.call(GetMetricHistory(run_id=run_id, metric_key="x", max_results=6))
    log(store, run_id, ("x", 10.0, -5, -5))
    second = store.call(GetMetricHistory(run_id=run_id, metric_key="x", page_token=first.next_page_token or ""))

    assert [metric.value for metric in first.metrics + second.metrics] == list(range(11))
    assert second.next_page_token is None


@pytest.mark.parametrize("token", ["nonsense", "bWV0cmljOi0x", "é", "bWV0cmljOjk5OTk5OTk5OTk5OTk5OTk5OTk5"])
def test_a_page_token_of_something_else_is_refused(store: Store, token: str) -> None:
    run_id = new_run(store)
    log(store, run_id, ("x", 1.0, 0, 0))
    with pytest.raises(InvalidParameter, match="page token"):
        store.call(GetMetricHistory(run_id=run_id, metric_key="x", page_token=token))


def test_a_thousand_metrics_of_one_point(store: Store) -> None:
    run_id = new_run(store)
    log(store, run_id, *[(f"layer{number}/grad", float(number), 1, 1) for number in range(1_000)])
    log(store, run_id, *[(f"layer{number}/grad", -float(number), 2, 2) for number in range(1_000)])

    metrics = store.call(GetRun(run_id=run_id)).run.data.metrics
    assert metrics == {f"layer{number}/grad": -float(number) for number in range(1_000)}
    assert [metric.value for metric in history(store, run_id, "layer517/grad")] == [517.0, -517.0]


@pytest.mark.parametrize("seed", range(8))
def test_points_of_one_call_count_as_points_of_many(store: Store, seed: int) -> None:
    """Whichever way the store counts them: by columns, or one by one where some of them may be repeats."""
    chance = random.Random(seed)
    points = []
    for key in ("a", "b", "c")[: 1 + seed % 3]:
        step, time = 0, 1_000
        for _ in range(chance.randrange(20, 60)):
            step += chance.choice([1, 5] if seed < 4 else [1, 0, -2])
            time += chance.choice([1, 50] if seed % 4 else [0, -1, 1])
            value = chance.choice([math.nan, math.inf, -math.inf, -0.0, 1.7e308, chance.random()] if seed % 2 else [0.5, 0.25])
            points.append((key, value, step, time))
    chance.shuffle(points) if seed in (3, 7) else points.sort(key=lambda point: point[2:])
    whole, single = new_run(store), new_run(store)
    log(store, whole, ("a", 0.5, 0, 1_000), ("b", 0.5, 3, 1_000))
    log(store, single, ("a", 0.5, 0, 1_000), ("b", 0.5, 3, 1_000))

    log(store, whole, *points)
    for point in points:
        log(store, single, point)

    for one, other in zip(*(store.call(GetRunOverview(run_id=run_id)).metrics for run_id in (whole, single)), strict=True):
        assert one.mean == pytest.approx(other.mean, nan_ok=True)
        assert repr(msgspec.structs.replace(one, mean=0.0)) == repr(msgspec.structs.replace(other, mean=0.0))
    assert repr(rows(history(store, whole, "a"))) == repr(rows(history(store, single, "a")))


def test_models_and_datasets_of_points(store: Store) -> None:
    run_id = new_run(store)
    model = store.call(CreateLoggedModel(experiment_id="0", name="model", source_run_id=run_id)).model.info.model_id
    log(store, run_id, ("acc", 0.1, 0, 0))
    for value, step in [(0.5, 2), (0.4, 1)]:
        store.call(
            LogMetric(
                run_id=run_id, key="acc", value=value, timestamp=step, step=step,
                model_id=model, dataset_name="iris", dataset_digest="d1",
            )
        )  # fmt: skip

    points = history(store, run_id, "acc")
    assert [(point.model_id, point.dataset_name, point.dataset_digest) for point in points] == [
        (None, None, None), (model, "iris", "d1"), (model, "iris", "d1"),
    ]  # fmt: skip
    (measured,) = store.call(GetLoggedModel(model_id=model)).model.data.metrics
    assert (measured.value, measured.step, measured.dataset_name, measured.run_id) == (0.5, 2, "iris", run_id)


def test_samples_of_several_runs(store: Store) -> None:
    one, two = new_run(store), new_run(store)
    log(store, one, *[("x", 77.0 if step == 1_234 else math.sin(step), step, step) for step in range(3_000)])
    log(store, two, *[("x", float(step), step, step) for step in range(0, 50, 5)], ("y", 1.0, 1, 1))

    metrics = store.call(GetMetricHistoryBulkInterval(run_ids=[one, two], metric_key="x", max_results=100)).metrics
    first = [metric for metric in metrics if metric.run_id == one]
    assert 50 <= len(first) <= 100
    assert {0, 1_234, 2_999} <= {metric.step for metric in first}
    assert all(earlier.step < later.step for earlier, later in pairwise(first))
    assert [metric.step for metric in metrics if metric.run_id == two] == list(range(0, 50, 5))

    ranged = store.call(GetMetricHistoryBulkInterval(run_ids=[one, two], metric_key="x", start_step=10, end_step=20)).metrics
    assert [(metric.run_id, metric.step) for metric in ranged] == [(one, step) for step in range(10, 21)] + [
        (two, step) for step in (10, 15, 20)
    ]
    assert store.call(GetMetricHistoryBulkInterval(run_ids=[one], metric_key="none")).metrics == []


def test_whole_histories_of_several_runs(store: Store) -> None:
    one, two = sorted([new_run(store), new_run(store)])
    for run_id in (one, two):
        log(store, run_id, *[("x", float(i), i, i) for i in range(10)], ("y", 1.0, 1, 1))
    metrics = store.call(GetMetricHistoryBulk(run_id=[two, one], metric_key="x")).metrics
    assert [(metric.run_id, metric.value) for metric in metrics] == [
        (run_id, float(i)) for run_id in (two, one) for i in range(10)
    ]
    for most in (1, 9, 10, 13):
        assert store.call(GetMetricHistoryBulk(run_id=[two, one], metric_key="x", max_results=most)).metrics == metrics[:most]
    assert store.call(GetMetricHistoryBulk(run_id=[one], metric_key="none")).metrics == []
    with pytest.raises(NotFound):
        store.call(GetMetricHistoryBulk(run_id=[one, "0" * 32], metric_key="x"))


@pytest.mark.parametrize(("start", "end"), [(5, 4), (None, 4), (5, None)])
def test_a_range_of_steps_has_two_ends_in_order(store: Store, start: int | None, end: int | None) -> None:
    run_id = new_run(store)
    with pytest.raises(InvalidParameter, match="step"):
        store.call(GetMetricHistoryBulkInterval(run_ids=[run_id], metric_key="x", start_step=start, end_step=end))


def test_runs_that_do_not_exist_or_are_deleted(store: Store) -> None:
    for operation in (
        LogMetric(run_id="0" * 32, key="x", value=1.0, timestamp=0),
        GetMetricHistory(run_id="0" * 32, metric_key="x"),
        GetMetricHistoryBulkInterval(run_ids=["0" * 32], metric_key="x"),
    ):
        with pytest.raises(NotFound):
            store.call(operation)  # type: ignore[arg-type]
    run_id = new_run(store)
    log(store, run_id, ("x", 1.0, 0, 0))
    store.call(DeleteRun(run_id=run_id))
    with pytest.raises(InvalidParameter, match="deleted"):
        store.call(LogMetric(run_id=run_id, key="x", value=1.0, timestamp=0))
    assert len(history(store, run_id, "x")) == 1
