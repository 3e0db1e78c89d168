"""Comparing runs: what differs and what does not, by key, on every store."""

from __future__ import annotations

import math

import pytest

from runlore.api.compare import ComparedTexts, CompareRuns, RunComparison
from runlore.api.runs import CreateRun, DeleteRun, LogBatch, LogInputs, MetricPoint, ParamEntry, TagEntry, UpdateRun
from runlore.entities import Dataset, DatasetInput, InputTag
from runlore.exceptions import InvalidParameter, NotFound
from runlore.store.base import Store


def new_run(store: Store, **data: dict[str, object]) -> str:
    """A run with the given params, tags and metrics (a list of values, at steps 0, 1 …)."""
    run_id = store.call(CreateRun(run_name="same", user_id="ada", start_time=1)).run.info.run_id
    points = [
        MetricPoint(key=key, value=value, timestamp=step, step=step)
        for key, values in data.get("metrics", {}).items()
        for step, value in enumerate(values)  # type: ignore[arg-type, var-annotated]
    ]
    params = [ParamEntry(key=key, value=str(value)) for key, value in data.get("params", {}).items()]
    tags = [TagEntry(key=key, value=str(value)) for key, value in data.get("tags", {}).items()]
    store.call(LogBatch(run_id=run_id, metrics=points, params=params, tags=tags))
    return run_id


def compare(store: Store, *run_ids: str, **fields: object) -> RunComparison:
    return store.call(CompareRuns(run_ids=list(run_ids), **fields))  # type: ignore[arg-type]


def rows(section: ComparedTexts | None) -> dict[str, list[object]]:
    assert section is not None
    return dict(zip(section.keys, section.values, strict=True))


def test_params_that_differ_are_told_and_the_others_counted(store: Store) -> None:
    one = new_run(store, params={"lr": "0.1", "opt": "adam", "seed": "1", "old": "x"})
    two = new_run(store, params={"lr": "0.2", "opt": "adam", "seed": "2", "new": "y"})
    three = new_run(store, params={"lr": "0.2", "opt": "adam", "seed": "3"})
    reply = compare(store, two, one, three)
    assert reply.run_ids == [two, one, three]
    assert rows(reply.params) == {
        "lr": ["0.2", "0.1", "0.2"],
        "new": ["y", None, None],
        "old": [None, "x", None],
        "seed": ["2", "1", "3"],
    }
    assert reply.params is not None
    assert (reply.params.equal, reply.params.differing) == (1, 4)
    assert reply.params.differs == [True] * 4


def test_spellings_of_one_number_are_equal(store: Store) -> None:
    one = new_run(store, params={"lr": "0.1", "n": "1", "text": "a", "big": "1e3", "half": "0.5"})
    two = new_run(store, params={"lr": "1e-1", "n": "one", "text": "A", "big": "1000.0"})
    reply = compare(store, one, two)
    assert list(rows(reply.params)) == ["half", "n", "text"]
    assert rows(compare(store, one, two, differences_only=False).params)["lr"] == ["0.1", "1e-1"]


def test_metrics_differ_in_last_least_or_greatest(store: Store) -> None:
    one = new_run(store, metrics={"same": [1, 2, 3], "peak": [1, 9, 3], "nan": [math.nan], "inf": [math.inf], "only": [4]})
    two = new_run(store, metrics={"same": [2, 1, 3], "peak": [1, 8, 3], "nan": [math.nan], "inf": [-math.inf]})
    metrics = compare(store, one, two).metrics
    assert metrics is not None
    assert metrics.keys == ["inf", "only", "peak"]
    assert metrics.last == [[math.inf, -math.inf], [4.0, None], [3.0, 3.0]]
    assert metrics.last_step == [[0, 0], [0, None], [2, 2]]
    assert metrics.maximum == [[None, None], [4.0, None], [9.0, 8.0]]
    assert metrics.maximum_step == [[None, None], [0, None], [1, 1]]
    assert metrics.minimum[2] == [1.0, 1.0]
    assert metrics.minimum_step[2] == [0, 0]
    assert (metrics.equal, metrics.differing) == (2, 3)
    whole = compare(store, one, two, differences_only=False).metrics
    assert whole is not None
    assert whole.keys == ["inf", "nan", "only", "peak", "same"]
    assert whole.differs == [True, False, True, True, False]
    assert all(math.isnan(value) for value in whole.last[1] if value is not None)


def test_tags_attributes_and_datasets(store: Store) -> None:
    one, two = new_run(store, tags={"team": "a", "x": "1"}), new_run(store, tags={"team": "b", "x": "1.0"})
    store.call(UpdateRun(run_id=two, status="FINISHED", end_time=11))
    for run_id, digest in ((one, "d1"), (two, "d2")):
        inputs = [
            DatasetInput(
                dataset=Dataset(name=name, digest=own, source_type="local", source="x"),
                tags=[InputTag(key="mlflow.data.context", value="training")] if name == "fruit" else [],
            )
            for name, own in (("fruit", digest), ("same", "d"))
        ]
        store.call(LogInputs(run_id=run_id, datasets=inputs))
    reply = compare(store, one, two)
    assert rows(reply.tags) == {"team": ["a", "b"], "x": ["1", "1.0"]}
    assert rows(reply.attributes) == {"status": ["RUNNING", "FINISHED"], "end_time": [None, 11], "duration": [None, 10]}
    assert rows(reply.datasets) == {"fruit (training)": ["d1", "d2"]}
    assert reply.datasets is not None
    assert reply.datasets.equal == 1


def test_equal_runs_have_no_differences(store: Store) -> None:
    data: dict[str, dict[str, object]] = {"params": {"a": "1"}, "metrics": {"m": [1.0]}, "tags": {"t": "1"}}
    one, two = new_run(store, **data), new_run(store, **data)
    reply = compare(store, one, two)
    for section in (reply.params, reply.metrics, reply.tags, reply.attributes, reply.datasets):
        assert section is not None
        assert (section.keys, section.differing) == ([], 0)
    assert rows(compare(store, one, one).params) == {}


def test_sections_and_windows_can_be_chosen(store: Store) -> None:
    one = new_run(store, params={f"p{number}": "1" for number in range(5)})
    two = new_run(store)
    reply = compare(store, one, two, sections=["params"], offset=1, limit=2)
    assert list(rows(reply.params)) == ["p1", "p2"]
    assert reply.params is not None
    assert (reply.params.equal, reply.params.differing) == (0, 5)
    assert reply.tags is reply.metrics is reply.attributes is reply.datasets is None


def test_deleted_runs_can_be_compared_and_unknown_ones_not(store: Store) -> None:
    one, two = new_run(store, params={"a": "1"}), new_run(store, params={"a": "2"})
    store.call(DeleteRun(run_id=two))
    assert rows(compare(store, one, two).params) == {"a": ["1", "2"]}
    with pytest.raises(NotFound):
        compare(store, one, "0" * 32)
    with pytest.raises(InvalidParameter):
        compare(store, one)
