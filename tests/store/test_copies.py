"""Copies of runs have everything that the runs have, and a life of their own."""

from __future__ import annotations

import pytest

from runlore.api.copies import CopyRuns
from runlore.api.experiments import CreateExperiment
from runlore.api.export import ReadPoints
from runlore.api.logged_models import CreateLoggedModel
from runlore.api.metrics import LogMetric
from runlore.api.runs import (
    CreateRun,
    DeleteRun,
    GetRun,
    LogBatch,
    LogInputs,
    LogOutputs,
    MetricPoint,
    ParamEntry,
    TagEntry,
    UpdateRun,
)
from runlore.api.trash import PurgeTrash
from runlore.entities import Dataset, DatasetInput, LoggedModelOutput, Run
from runlore.exceptions import InvalidParameter, NotFound
from runlore.store.base import Store

PARENT = "mlflow.parentRunId"


def full_run(store: Store, points: int = 20) -> Run:
    run_id = store.call(CreateRun(run_name="calm-otter", user_id="ada", start_time=5)).run.info.run_id
    metrics = [MetricPoint(key=f"m{step % 2}", value=step / 3, timestamp=step, step=step) for step in range(points)]
    for start in range(0, points, 1_000):
        store.call(LogBatch(run_id=run_id, metrics=metrics[start : start + 1_000]))
    store.call(LogBatch(run_id=run_id, params=[ParamEntry(key="lr", value="0.1")], tags=[TagEntry(key="team", value="red")]))
    dataset = Dataset(name="fruit", digest="d", source_type="local", source="x")
    store.call(LogInputs(run_id=run_id, datasets=[DatasetInput(dataset=dataset)]))
    model = store.call(CreateLoggedModel(experiment_id="0", source_run_id=run_id)).model.info.model_id
    store.call(LogOutputs(run_id=run_id, models=[LoggedModelOutput(model_id=model, step=3)]))
    store.call(UpdateRun(run_id=run_id, status="FAILED", end_time=9))
    return store.call(GetRun(run_id=run_id)).run


def copy(store: Store, *run_ids: str, to: str) -> list[Run]:
    found = store.call(CopyRuns(run_ids=list(run_ids), to_experiment_id=to)).run_ids
    return [store.call(GetRun(run_id=run_id)).run for run_id in found]


@pytest.fixture
def target(store: Store) -> str:
    """Another experiment."""
    return store.call(CreateExperiment(name="archive")).experiment_id


@pytest.mark.parametrize("points", [20, 9_000])
def test_a_copy_has_everything(store: Store, target: str, points: int) -> None:
    run = full_run(store, points)
    (made,) = copy(store, run.info.run_id.upper(), to=target)
    assert (made.data, made.inputs, made.outputs) == (run.data, run.inputs, run.outputs)
    assert made.info.run_id != run.info.run_id
    assert (made.info.experiment_id, made.info.run_name, made.info.user_id) == (target, "calm-otter", "ada")
    assert (made.info.status, made.info.start_time, made.info.end_time) == ("FAILED", 5, 9)
    assert made.info.artifact_uri == f"mlflow-artifacts:/{target}/{made.info.run_id}/artifacts"
    assert store.call(ReadPoints(run_id=made.info.run_id)) == store.call(ReadPoints(run_id=run.info.run_id))


def test_a_copy_lives_on_its_own(store: Store, target: str) -> None:
    run = full_run(store)
    (made,) = copy(store, run.info.run_id, to=target)
    for value in (7.0, 7.0, 8.0):
        store.call(LogMetric(run_id=made.info.run_id, key="m0", value=value, timestamp=100, step=int(value)))
    store.call(DeleteRun(run_id=run.info.run_id))
    while store.call(PurgeTrash()).more:
        pass
    data = store.call(GetRun(run_id=made.info.run_id)).run.data
    assert data.metrics["m0"] == 18 / 3
    points = store.call(ReadPoints(run_id=made.info.run_id, metrics=["m0"])).series[0]
    assert len(points.values) == 8 * 12


def test_families_stay_together(store: Store, target: str) -> None:
    parent = store.call(CreateRun()).run.info.run_id
    child = store.call(CreateRun(tags=[TagEntry(key=PARENT, value=parent)])).run.info.run_id
    copies = copy(store, child, parent, to=target)
    assert copies[0].data.tags[PARENT] == copies[1].info.run_id
    (alone,) = copy(store, child, to=target)
    assert alone.data.tags[PARENT] == parent
    assert [run.info.status for run in copies] == ["FINISHED"] * 2
    assert all(run.info.end_time for run in copies)


def test_what_can_not_be_copied(store: Store, target: str) -> None:
    run_id = store.call(CreateRun()).run.info.run_id
    with pytest.raises(NotFound):
        copy(store, run_id, "0" * 32, to=target)
    with pytest.raises(InvalidParameter, match="twice"):
        copy(store, run_id, run_id, to=target)
    with pytest.raises(NotFound):
        copy(store, run_id, to="99")
    once = CopyRuns(run_ids=[run_id], to_experiment_id=target, idempotency_key="k")
    assert store.call(once) == store.call(once)
