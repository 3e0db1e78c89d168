"""Groups and histograms of the runs table, against what a few lines of Python make of the same runs."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict

import pytest
from tests.store.population import Seen, populate

from runlore.api.dashboard import QueryRuns
from runlore.api.groups import GroupKey, GroupRuns, GroupSort, GroupTable
from runlore.api.histograms import ColumnHistogram, GetHistograms
from runlore.api.runs import CreateRun, LogBatch, MetricPoint, ParamEntry, TagEntry, UpdateRun
from runlore.exceptions import InvalidParameter
from runlore.store.base import Store


def new_run(store: Store, params: dict[str, str] | None = None, **metrics: float) -> str:
    run_id = store.call(CreateRun()).run.info.run_id
    entries = [ParamEntry(key=key, value=value) for key, value in (params or {}).items()]
    points = [MetricPoint(key=key, value=value, timestamp=0) for key, value in metrics.items()]
    store.call(LogBatch(run_id=run_id, params=entries, metrics=points))
    return run_id


def group(store: Store, *by: str | GroupKey, **fields: object) -> GroupTable:
    keys = [key if isinstance(key, GroupKey) else GroupKey(column=key) for key in by]
    return store.call(GroupRuns(by=keys, **fields))  # type: ignore[arg-type]


def members(store: Store, table: GroupTable, number: int) -> set[str]:
    """The runs that the filter of a group finds."""
    found = table.filters[number]
    assert found is not None
    return set(store.call(QueryRuns(filter=found, limit=1_000)).run_ids)


def numbers(cell: object) -> object:
    """A cell of a column of numbers: over HTTP non-finite ones are words."""
    return float(cell) if isinstance(cell, str) else cell


# -- groups ------------------------------------------------------------------------------------------------------------


def test_seeds_are_averaged(store: Store) -> None:
    losses = {"adam": [0.1, 0.3, 0.2], "sgd": [1.0, 2.0]}
    ids = {opt: {new_run(store, {"opt": opt, "dim": "8"}, loss=loss) for loss in losses[opt]} for opt in losses}
    table = group(store, "params.opt", columns=["metrics.loss", "params.dim", "params.opt"])
    assert (table.keys, table.sizes, table.total, table.runs) == ({"params.opt": ["adam", "sgd"]}, [3, 2], 2, 5)
    column = table.columns["metrics.loss"]
    assert column.count == [3, 2]
    assert column.mean == [pytest.approx(statistics.mean(values)) for values in losses.values()]
    assert column.std == [pytest.approx(statistics.stdev(values)) for values in losses.values()]
    assert (column.minimum, column.maximum) == ([0.1, 1.0], [0.3, 2.0])
    assert column.value == [None, None]
    assert table.columns["params.dim"].value == [8.0, 8.0]
    assert table.columns["params.opt"].value == ["adam", "sgd"]
    assert [members(store, table, number) for number in (0, 1)] == list(ids.values())


def test_numbers_missing_values_and_nan_are_told_apart(store: Store) -> None:
    same = {new_run(store, {"lr": text}) for text in ("0.1", "1e-1", ".1")}
    text, none = {new_run(store, {"lr": "fast"})}, {new_run(store)}
    table = group(store, "params.lr", sort=GroupSort(column="params.lr", descending=False))
    assert table.keys["params.lr"] == [0.1, "fast", None]
    assert [members(store, table, number) for number in range(3)] == [same, text, none]
    nan, low, high = ({new_run(store, acc=value)} for value in (math.nan, -math.inf, math.inf))
    table = group(store, "metrics.acc", sort=GroupSort(column="metrics.acc", descending=True))
    assert [str(numbers(value)) for value in table.keys["metrics.acc"]] == ["inf", "-inf", "nan", "None"]
    assert [members(store, table, number) for number in range(3)] == [high, low, nan]
    assert table.sizes[3] == 5


def test_bins_of_a_metric(store: Store) -> None:
    ids = [new_run(store, acc=number / 10) for number in range(11)]
    nowhere = new_run(store)
    infinite = new_run(store, acc=math.inf)
    table = group(store, GroupKey(column="metrics.acc", bins=2), sort=GroupSort(column="metrics.acc", descending=False))
    assert list(map(numbers, table.keys["metrics.acc"])) == [0.0, 0.5, math.inf, None]
    assert table.upper_edges["metrics.acc"] == [0.5, 1.0, None, None]
    assert table.sizes == [5, 6, 1, 1]
    found = [members(store, table, number) for number in range(4)]
    assert found == [set(ids[:5]), set(ids[5:]), {infinite}, {nowhere}]


def test_a_small_spread_beside_a_large_mean_is_not_lost(store: Store) -> None:
    for value in (1e9, 1e9 + 0.25, 1e9 + 0.5):
        new_run(store, {"a": "1"}, time=value)
    table = group(store, "params.a", columns=["metrics.time"])
    assert table.columns["metrics.time"].std == [0.25]


def test_groups_are_sorted_and_shown_in_windows(store: Store) -> None:
    for opt, loss, times in (("a", 3.0, 1), ("b", 1.0, 3), ("c", 2.0, 2)):
        for _ in range(times):
            new_run(store, {"opt": opt}, loss=loss)
    new_run(store, {"opt": "d"})

    def order(column: str, descending: bool, **fields: object) -> list[object]:
        sort = GroupSort(column=column, descending=descending)
        return list(group(store, "params.opt", columns=["metrics.loss"], sort=sort, **fields).keys["params.opt"])

    assert order("size", True) == ["b", "c", "a", "d"]
    assert order("size", False) == ["a", "d", "c", "b"]
    assert order("params.opt", True) == ["d", "c", "b", "a"]
    assert order("metrics.loss", False) == ["b", "c", "a", "d"]
    assert order("metrics.loss", True) == ["a", "c", "b", "d"]
    assert order("metrics.loss", True, offset=1, limit=2) == ["c", "b"]
    with pytest.raises(InvalidParameter, match=r"not by 'metrics\.acc'"):
        order("metrics.acc", True)


@pytest.mark.parametrize("name", ["plain", "a b", "val/loss", "tick`", 'double"', "it's", "ä.ö@min"])
@pytest.mark.parametrize(
    "value", ["x", "it's", 'say "x"', "C:\\data", "\\'", "50% `x` '' \"\"", "", " 1 ", "123456789012345678901"]
)
def test_filters_of_groups_hold_any_text(new_store: object, name: str, value: str) -> None:
    store: Store = new_store("sqlite")  # type: ignore[operator]
    run_id = new_run(store, {name: value})
    new_run(store, {name: value + "x"})
    new_run(store)
    table = group(store, f"params.{name}")
    found = [members(store, table, number) for number, text in enumerate(table.filters) if text is not None]
    assert sorted(map(len, found)) == [1] * len(found)
    assert {run_id} in found
    assert len(found) == 3


def test_what_no_quotes_can_hold_has_no_filter(store: Store) -> None:
    for value in ("'\\'\"\\\"", "C:\\"):
        new_run(store, {"a": value})
    assert group(store, "params.a").filters == [None, None]


def test_groups_of_generated_runs(store: Store) -> None:
    experiments, seen = populate(store)
    chosen = [run for run in seen if not run.deleted and run.experiment_id == experiments[0]]
    expected: dict[tuple[object, object], list[Seen]] = defaultdict(list)
    for run in chosen:
        lr: object = run.params.get("lr")
        with_number = {"1e-3": 0.001, "0.001": 0.001}
        expected[with_number.get(str(lr), lr), run.attributes["status"]].append(run)
    table = group(store, "params.lr", "attributes.status", experiment_ids=experiments[:1], columns=["metrics.loss@max"])
    assert table.runs == len(chosen)
    assert table.total == len(expected)
    for number, key in enumerate(zip(*table.keys.values(), strict=True)):
        runs = expected[key]
        assert table.sizes[number] == len(runs)
        inside = f"({table.filters[number]}) AND attributes.experiment_id = '{experiments[0]}'"
        assert set(store.call(QueryRuns(filter=inside)).run_ids) == {run.run_id for run in runs}
        finite = [[value for value in run.metrics.get("loss", []) if math.isfinite(value)] for run in runs]
        best = [max(values) for values in finite if values]
        assert table.columns["metrics.loss@max"].count[number] == len(best)
        assert table.columns["metrics.loss@max"].mean[number] == (pytest.approx(statistics.fmean(best)) if best else None)


def test_groups_within_a_filter(store: Store) -> None:
    for number in range(4):
        new_run(store, {"a": str(number % 2)}, loss=float(number))
    table = group(store, "params.a", filter="metrics.loss >= 1 OR metrics.loss < 0")
    assert (table.sizes, table.runs) == ([2, 1], 3)
    assert [len(members(store, table, number)) for number in (0, 1)] == [2, 1]
    assert group(store, "params.a", filter="metrics.loss > 9") == GroupTable()


# -- histograms --------------------------------------------------------------------------------------------------------


def histogram(store: Store, column: str, **fields: object) -> ColumnHistogram:
    return store.call(GetHistograms(columns=[column], **fields)).columns[column]  # type: ignore[arg-type]


def test_the_histogram_of_numbers(store: Store) -> None:
    for number in range(10):
        new_run(store, {"n": str(number)}, loss=number / 9)
    for value in (math.nan, math.inf):
        new_run(store, loss=value)
    found = histogram(store, "metrics.loss", bins=5)
    assert (found.runs, found.numeric, found.distinct, found.non_finite) == (12, True, 10, 2)
    assert (found.minimum, found.maximum, found.counts) == (0.0, 1.0, [2, 2, 2, 2, 2])
    assert histogram(store, "params.n", bins=3).counts == [3, 3, 4]
    assert histogram(store, "metrics.loss", filter="metrics.loss < 0.5").runs == 5
    assert histogram(store, "metrics.nowhere") == ColumnHistogram()
    new_run(store, same=2.0)
    assert histogram(store, "metrics.same") == ColumnHistogram(
        runs=1, numeric=True, distinct=1, minimum=2.0, maximum=2.0, counts=[1]
    )


def test_the_histogram_of_texts(store: Store) -> None:
    for number in range(10):
        run_id = new_run(store, {"mixed": str(number) if number > 8 else "text", "long": "é" * 300})
        store.call(LogBatch(run_id=run_id, tags=[TagEntry(key="team", value=f"t{number % 4}")]))
    found = histogram(store, "tags.team", top=2)
    assert (found.runs, found.numeric, found.distinct, found.others) == (10, False, 4, 4)
    assert [(item.value, item.runs) for item in found.top] == [("t0", 3), ("t1", 3)]
    assert [(item.value, item.runs) for item in histogram(store, "params.mixed").top] == [("text", 9), ("9", 1)]
    assert [item.value for item in histogram(store, "params.long").top] == ["é" * 200]


def test_histograms_of_attributes(store: Store) -> None:
    first = new_run(store)
    new_run(store)
    store.call(UpdateRun(run_id=first, status="FINISHED", end_time=2**41))
    reply = store.call(GetHistograms(columns=["attributes.status", "attributes.end_time", "attributes.experiment_id"]))
    assert reply.runs == 2
    assert {item.value: item.runs for item in reply.columns["attributes.status"].top} == {"FINISHED": 1, "RUNNING": 1}
    assert (reply.columns["attributes.end_time"].runs, reply.columns["attributes.end_time"].minimum) == (1, 2.0**41)
    assert [item.value for item in reply.columns["attributes.experiment_id"].top] == ["0"]


def test_histograms_are_of_one_experiment_however_large_the_store(store: Store) -> None:
    experiments, seen = populate(store, 60)
    for experiment in experiments:
        chosen = [run for run in seen if not run.deleted and run.experiment_id == experiment]
        having = [run for run in chosen if "loss" in run.metrics]
        reply = store.call(GetHistograms(columns=["metrics.loss", "params.opt"], experiment_ids=[experiment]))
        assert reply.runs == len(chosen)
        assert reply.columns["metrics.loss"].runs == len(having)
        assert reply.columns["params.opt"].runs == sum("opt" in run.params for run in chosen)
