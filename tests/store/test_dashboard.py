"""The dashboard's operations: one call a page, true totals, every column a sort key."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from tests.store.population import Seen, compare, number, populate, summary

from runlore.api.dashboard import (
    GetColumns,
    GetExperimentSummaries,
    GetRegisteredModelPage,
    GetRegistrySummary,
    GetRunOverview,
    QueryRuns,
    RunTable,
    SortKey,
)
from runlore.api.delivery import Deliver
from runlore.api.experiments import CreateExperiment, DeleteExperiment
from runlore.api.operation import encode
from runlore.api.registry import (
    CreateModelVersion,
    CreateRegisteredModel,
    SetRegisteredModelAlias,
    SetRegisteredModelTag,
    UpdateRegisteredModel,
)
from runlore.api.runs import CreateRun, DeleteRun, LogBatch, LogParam, MetricPoint, TagEntry, UpdateRun
from runlore.entities import ExperimentTag
from runlore.exceptions import InvalidParameter, NotFound
from runlore.store.base import Store
from runlore.store.sql import dashboard, search_runs

Term = tuple[str, str, str, Any]


# -- the runs table ---------------------------------------------------------------------------------------------------


def cell(run: Seen, column: str) -> Any:
    """What a column shows of a run."""
    kind, _, key = column.partition(".")
    if kind == "attributes":
        found = run.attributes | {"experiment_id": run.experiment_id, "name": run.attributes["run_name"]}
        end = found["end_time"]
        found["duration"] = None if end is None else end - found["start_time"]
        found["lifecycle_stage"] = "deleted" if run.deleted else "active"
        return found[key]
    if kind == "metrics":
        key, _, aggregate = key.partition("@")
        return summary(run.metrics[key], aggregate or "last") if key in run.metrics else None
    return {"params": run.params, "tags": run.tags}[kind].get(key)


def rank(run: Seen, column: str) -> tuple[int, Any]:
    """Values before NaN (or texts among numbers) before what is missing."""
    value = cell(run, column)
    if value is None:
        return 3, 0
    if column.startswith("params."):
        value = number(value) if number(value) is not None else value
        return (1, value) if isinstance(value, str) else (0, value)
    return (2, 0) if isinstance(value, float) and math.isnan(value) else (0, value)


def ordered(runs: Sequence[Seen], sort: Sequence[SortKey]) -> list[Seen]:
    runs = sorted(sorted(runs, key=lambda run: run.run_id), key=lambda run: -run.attributes["start_time"])
    for key in reversed(sort):
        groups: list[list[Seen]] = [[], [], [], []]
        for run in runs:
            groups[rank(run, key.column)[0]].append(run)
        for group in groups:
            group.sort(key=lambda run: rank(run, key.column)[1], reverse=key.descending)
        runs = [run for group in groups for run in group]
    return list(runs)


def same(left: Any, right: Any) -> bool:
    """Equal cells; a NaN crosses the wire as its word, a mean may differ in the last digits."""
    if isinstance(right, float) and not math.isfinite(right):
        return str(left).lower().replace("infinity", "inf") == str(right)
    return bool(left == right or (isinstance(right, float) and math.isclose(left, right, rel_tol=1e-12)))


COLUMNS = [
    "attributes.run_name", "attributes.status", "attributes.start_time", "attributes.end_time", "attributes.duration",
    "attributes.user_id", "attributes.experiment_id", "attributes.lifecycle_stage", "params.opt", "params.lr",
    "params.weird key/é", "tags.team", "tags.mlflow.runName", "metrics.loss", "metrics.loss@min", "metrics.loss@max",
    "metrics.loss@mean", "metrics.loss@first", "metrics.loss@count", "metrics.acc", "params.none", "metrics.none@min",
]  # fmt: skip


@pytest.fixture(params=["scan", "walk"])
def plan(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows are the same by either plan of the search."""
    if request.param == "walk":
        monkeypatch.setattr(search_runs, "_WALK", 3)


@pytest.mark.usefixtures("plan")
def test_windows_show_what_was_logged_in_order(store: Store) -> None:
    experiments, runs = populate(store)
    chance = random.Random(11)
    shown = [run for run in runs if not run.deleted]
    for _ in range(60):
        names = list(dict.fromkeys(chance.choice(COLUMNS) for _ in range(chance.randrange(3))))
        sort = [SortKey(column=name, descending=chance.random() < 0.5) for name in names]
        offset, limit = chance.choice([(0, 1_000), (0, 5), (3, 4), (30, 20), (1_000, 5)])
        columns = chance.sample(COLUMNS, chance.randrange(1, 12))
        table = store.call(QueryRuns(experiment_ids=experiments, sort=sort, columns=columns, offset=offset, limit=limit))
        expected = ordered(shown, sort)[offset : offset + limit]
        assert table.run_ids == [run.run_id for run in expected], (sort, offset)
        assert table.total == len(shown)
        assert list(table.columns) == columns
        for name, cells in table.columns.items():
            assert len(cells) == len(expected)
            for got, run in zip(cells, expected, strict=True):
                assert same(got, cell(run, name)), (name, got, cell(run, name))


TERMS: list[Term] = [
    ("metrics", "loss", ">", 0.5), ("metrics", "loss", "!=", 0.5), ("metrics", "loss@min", "<=", 0.5),
    ("metrics", "loss@count", "IN", (2, 3)), ("metrics", "acc@mean", ">", 0.0), ("metrics", "acc", "IS NULL", None),
    ("params", "opt", "=", "adam"), ("params", "opt", "!=", "adam"), ("params", "lr", "=", 0.001), ("params", "lr", "<", 1),
    ("params", "lr", "!=", 0.001), ("params", "opt", "NOT IN", ("adam", "sgd")), ("params", "opt", "IS NOT NULL", None),
    ("tags", "team", "ILIKE", "é%"), ("tags", "team", "!=", "sgd"), ("attributes", "status", "IN", ("RUNNING", "FAILED")),
    ("attributes", "end_time", "!=", 1_003), ("attributes", "end_time", "IS NULL", None), ("attributes", "duration", ">", 1),
]  # fmt: skip


def holds(run: Seen, term: Term) -> bool:
    kind, key, operator, value = term
    left = cell(run, f"{kind}.{key}")
    if operator in ("IS NULL", "IS NOT NULL"):
        return (left is None) == (operator == "IS NULL")
    if left is None:
        return operator in ("!=", "NOT IN")
    if kind == "params" and isinstance(value, int | float):
        left = number(left)
        return operator == "!=" if left is None else compare(left, operator, value)
    if isinstance(left, float) and math.isnan(left):
        return operator in ("!=", "NOT IN")
    return compare(left, operator, value)


def written(term: Term) -> str:
    kind, key, operator, value = term
    if value is None:
        return f"{kind}.{key} {operator}"
    if isinstance(value, tuple):
        return f"{kind}.{key} {operator} ({', '.join(map(repr, value))})"
    return f"{kind}.{key} {operator} {value!r}"


def test_native_filters_nest(store: Store) -> None:
    experiments, runs = populate(store)
    runs = [run for run in runs if not run.deleted]
    chance = random.Random(5)
    for _ in range(100):
        a, b, c = chance.sample(TERMS, 3)
        text, test = chance.choice(
            [
                (f"{written(a)}", lambda run, a=a: holds(run, a)),
                (f"NOT {written(a)}", lambda run, a=a: not holds(run, a)),
                (f"{written(a)} OR {written(b)}", lambda run, a=a, b=b: holds(run, a) or holds(run, b)),
                (
                    f"({written(a)} OR {written(b)}) AND NOT {written(c)}",
                    lambda run, a=a, b=b, c=c: (holds(run, a) or holds(run, b)) and not holds(run, c),
                ),
                (
                    f"NOT ({written(a)} AND {written(b)}) OR {written(c)}",
                    lambda run, a=a, b=b, c=c: not (holds(run, a) and holds(run, b)) or holds(run, c),
                ),
            ]
        )
        table = store.call(QueryRuns(experiment_ids=experiments, filter=text, limit=5))
        expected = [run.run_id for run in ordered([run for run in runs if test(run)], [])]
        assert (table.run_ids, table.total) == (expected[:5], len(expected)), text


def test_no_experiments_means_all_of_them(store: Store) -> None:
    _, runs = populate(store, runs=10)
    assert store.call(QueryRuns()).total == sum(not run.deleted for run in runs)
    assert store.call(QueryRuns(view_type="DELETED_ONLY")).total == sum(run.deleted for run in runs)
    assert store.call(QueryRuns(experiment_ids=["999"])).total == 0


def test_a_nan_in_a_table_goes_over_the_wire_as_its_word() -> None:
    table = RunTable(run_ids=["a", "b", "c"], columns={"metrics.x": [math.nan, None, math.inf], "params.y": ["1", None, "z"]})
    assert msgspec.json.decode(encode(table))["columns"] == {
        "metrics.x": ["NaN", None, "Infinity"],
        "params.y": ["1", None, "z"],
    }


@pytest.mark.parametrize(
    "fields",
    [
        {"columns": ["foo.bar"]},
        {"columns": ["attributes.staus"]},
        {"sort": [SortKey(column="datasets.name")]},
        {"filter": "metrics.a >"},
        {"limit": 1_001},
        {"offset": -1},
    ],
)
def test_a_window_that_can_not_be_shown_is_refused(store: Store, fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidParameter):
        store.call(QueryRuns(experiment_ids=["0"], **fields))


# -- the column catalogue ---------------------------------------------------------------------------------------------


def test_the_catalogue_counts_the_runs_of_each_column(store: Store) -> None:
    experiments, runs = populate(store)
    for where in (experiments, experiments[1:]):
        shown = [run for run in runs if not run.deleted and run.experiment_id in where]
        catalogue = store.call(GetColumns(experiment_ids=where, limit=1_000))
        found = {column.name: column for column in catalogue.columns}
        assert catalogue.total == len(found)
        assert found["attributes.status"].runs == len(shown)
        for kind, of in (
            ("params", lambda run: run.params),
            ("tags", lambda run: run.tags),
            ("metrics", lambda run: run.metrics),
        ):
            expected = {f"{kind}.{key}": sum(key in of(run) for run in shown) for run in shown for key in of(run)}
            assert {name: item.runs for name, item in found.items() if item.kind == kind} == expected
        last = [run.metrics["loss"][-1] for run in shown if "loss" in run.metrics]
        finite = [value for value in last if math.isfinite(value)]
        loss = found["metrics.loss"]
        assert (loss.numeric, loss.minimum, loss.maximum) == (True, min(finite), max(finite))
        assert found["params.opt"].distinct == len({run.params["opt"] for run in shown if "opt" in run.params})
        assert not found["params.opt"].numeric


def test_the_catalogue_is_searched_and_cut(store: Store) -> None:
    experiments, _ = populate(store)
    assert {column.name for column in store.call(GetColumns(experiment_ids=experiments, q="LOSS")).columns} == {"metrics.loss"}
    everything = store.call(GetColumns(experiment_ids=experiments))
    cut = store.call(GetColumns(experiment_ids=experiments, limit=3))
    assert (cut.columns, cut.total) == (everything.columns[:3], everything.total)
    counts = [column.runs for column in everything.columns]
    assert counts == sorted(counts, reverse=True)
    assert store.call(GetColumns(experiment_ids=["999"])).columns == []


def test_a_param_is_numeric_when_all_its_values_are(store: Store) -> None:
    for value in ("1e-3", "20", "0.5"):
        run_id = store.call(CreateRun()).run.info.run_id
        store.call(LogParam(run_id=run_id, key="lr", value=value))
    (column,) = store.call(GetColumns(experiment_ids=["0"], q="params.")).columns
    assert (column.name, column.numeric, column.minimum, column.maximum, column.distinct) == ("params.lr", True, 0.001, 20, 3)


# -- experiments ------------------------------------------------------------------------------------------------------


def test_lost_runs_are_counted_apart(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    experiment_id = store.call(CreateExperiment(name="some lost")).experiment_id
    runs = [store.call(CreateRun(experiment_id=experiment_id)).run.info.run_id for _ in range(3)]
    for run_id in runs[1:]:
        store.call(Deliver(run_id=run_id, writer_id="ab" * 16))
    store.call(UpdateRun(run_id=runs[2], status="FINISHED"))

    def counts() -> tuple[int, int]:
        summaries = store.call(GetExperimentSummaries()).experiments
        (item,) = [item for item in summaries if item.experiment_id == experiment_id]
        return item.running_count, item.lost_count

    assert counts() == (2, 0)
    monkeypatch.setattr(dashboard, "LOST_AFTER_MILLIS", -1_000)  # whoever was heard of now is late
    assert counts() == (1, 1)


def test_experiment_summaries(store: Store) -> None:
    quiet = store.call(CreateExperiment(name="quiet")).experiment_id
    tags = [ExperimentTag(key="mlflow.note.content", value="read me"), ExperimentTag(key="team", value="x")]
    busy = store.call(CreateExperiment(name="busy", tags=tags)).experiment_id
    gone = store.call(CreateExperiment(name="gone")).experiment_id
    runs = [store.call(CreateRun(experiment_id=busy)).run.info.run_id for _ in range(3)]
    store.call(CreateRun(experiment_id=gone))
    store.call(UpdateRun(run_id=runs[0], status="FINISHED"))
    store.call(DeleteRun(run_id=runs[1]))
    store.call(DeleteExperiment(experiment_id=gone))
    found = {item.experiment_id: item for item in store.call(GetExperimentSummaries()).experiments}
    assert set(found) == {"0", quiet, busy}
    item = found[busy]
    assert (item.name, item.run_count, item.running_count) == ("busy", 2, 1)
    assert (item.note, item.tag_list["team"], item.lifecycle_stage) == ("read me", "x", "active")
    assert (found[quiet].run_count, found[quiet].running_count) == (0, 0)
    activity = [item.last_activity or 0 for item in found.values()]
    assert activity == sorted(activity, reverse=True)
    (deleted,) = store.call(GetExperimentSummaries(view_type="DELETED_ONLY")).experiments
    assert (deleted.experiment_id, deleted.lifecycle_stage, deleted.run_count) == (gone, "deleted", 1)
    assert len(store.call(GetExperimentSummaries(view_type="ALL")).experiments) == 4


# -- one run ----------------------------------------------------------------------------------------------------------


def test_a_run_at_first_sight(store: Store) -> None:
    experiment = store.call(CreateExperiment(name="e")).experiment_id
    parent = store.call(CreateRun(experiment_id=experiment)).run.info.run_id
    tag = TagEntry(key="mlflow.parentRunId", value=parent)
    children = [
        store.call(CreateRun(experiment_id=experiment, start_time=start, tags=[tag])).run.info.run_id for start in (5, 3, 4)
    ]
    store.call(DeleteRun(run_id=children[2]))
    points = [(0, 4.0), (1, math.nan), (2, -1.0), (3, 9.0), (4, math.inf), (5, 2.0)]
    metrics = [MetricPoint(key="loss", value=value, timestamp=10 + step, step=step) for step, value in points]
    metrics.append(MetricPoint(key="bad", value=math.nan, timestamp=1, step=7))
    store.call(LogBatch(run_id=parent, metrics=metrics))
    store.call(CreateRegisteredModel(name="m"))
    store.call(CreateModelVersion(name="m", source="s3://b/x", run_id=parent))
    page = store.call(GetRunOverview(run_id=parent))
    assert (page.run.info.run_id, page.experiment_name, page.parent_run_id) == (parent, "e", None)
    assert page.children == [children[1], children[0]]
    assert [(version.name, version.version) for version in page.model_versions] == [("m", "1")]
    bad, loss = page.metrics
    assert (loss.last, loss.last_step, loss.last_timestamp) == (2.0, 5, 15)
    assert (loss.minimum, loss.minimum_step, loss.maximum, loss.maximum_step) == (-1.0, 2, 9.0, 3)
    assert (loss.mean, loss.count, loss.non_finite, loss.first_step) == (3.5, 6, 2, 0)
    assert all(math.isnan(value) for value in (bad.last, bad.minimum, bad.maximum, bad.mean))
    assert store.call(GetRunOverview(run_id=children[0])).parent_run_id == parent
    with pytest.raises(NotFound):
        store.call(GetRunOverview(run_id="f" * 32))


# -- registry ---------------------------------------------------------------------------------------------------------


def test_the_models_page_and_the_page_of_one_model(store: Store) -> None:
    for name in ("b", "a", "prompt"):
        store.call(CreateRegisteredModel(name=name, description=f"about {name}"))
    store.call(SetRegisteredModelTag(name="prompt", key="mlflow.prompt.is_prompt", value="true"))
    store.call(SetRegisteredModelTag(name="a", key="task", value="x"))
    for name in ("a", "a", "b"):
        store.call(CreateModelVersion(name=name, source="s3://b/x"))
    store.call(SetRegisteredModelAlias(name="a", alias="best", version="1"))
    store.call(UpdateRegisteredModel(name="a", description="new"))
    models = store.call(GetRegistrySummary()).models
    assert {model.name for model in models} == {"a", "b"}
    times = [model.last_updated_timestamp or 0 for model in models]
    assert times == sorted(times, reverse=True)
    row = next(model for model in models if model.name == "a")
    assert (row.versions, row.latest_version, row.aliases, row.tags, row.description) == (
        2, "2", {"best": "1"}, {"task": "x"}, "new",
    )  # fmt: skip
    page = store.call(GetRegisteredModelPage(name="a"))
    assert page.model == row
    assert [(version.version, version.aliases) for version in page.versions] == [("2", []), ("1", ["best"])]
    with pytest.raises(NotFound):
        store.call(GetRegisteredModelPage(name="none"))
