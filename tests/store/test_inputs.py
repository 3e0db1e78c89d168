"""Datasets and models that went into a run, and models that came out."""

from __future__ import annotations

import pytest

from runlore.api.experiments import CreateExperiment, DatasetSummary, SearchDatasets
from runlore.api.runs import CreateRun, DeleteRun, GetRun, LogInputs, LogOutputs
from runlore.entities import Dataset, DatasetInput, InputTag, LoggedModelInput, LoggedModelOutput, Run
from runlore.exceptions import InvalidParameter, NotFound
from runlore.store.base import Store

MODEL, OTHER = "m-" + "0" * 32, "m-" + "1" * 32


@pytest.fixture
def run_id(store: Store) -> str:
    return store.call(CreateRun()).run.info.run_id


def get(store: Store, run_id: str) -> Run:
    return store.call(GetRun(run_id=run_id)).run


def dataset(name: str, digest: str = "d1", **more: str) -> Dataset:
    return Dataset(name=name, digest=digest, source_type="local", source='{"uri": "x"}', **more)


def test_datasets_come_back_in_order_with_their_tags(store: Store, run_id: str) -> None:
    first = DatasetInput(
        dataset=dataset("zebra", schema='{"a": 1}', profile='{"rows": 3}'),
        tags=[InputTag(key="mlflow.data.context", value="training"), InputTag(key="b", value="ü")],
    )
    second = DatasetInput(dataset=dataset("ant"))
    store.call(LogInputs(run_id=run_id, datasets=[first]))
    store.call(LogInputs(run_id=run_id, datasets=[second]))
    assert get(store, run_id).inputs.dataset_inputs == [first, second]


def test_a_dataset_is_its_name_and_digest(store: Store, run_id: str) -> None:
    first = DatasetInput(dataset=dataset("a"), tags=[InputTag(key="k", value="1")])
    again = DatasetInput(dataset=dataset("a", schema="{}"), tags=[InputTag(key="k", value="2")])
    other = DatasetInput(dataset=dataset("a", digest="d2"))
    store.call(LogInputs(run_id=run_id, datasets=[first, again, other]))
    store.call(LogInputs(run_id=run_id, datasets=[again]))
    assert get(store, run_id).inputs.dataset_inputs == [first, other]


def test_models_in_and_out(store: Store, run_id: str) -> None:
    store.call(LogInputs(run_id=run_id, models=[LoggedModelInput(model_id=OTHER), LoggedModelInput(model_id=MODEL)]))
    store.call(LogInputs(run_id=run_id, models=[LoggedModelInput(model_id=MODEL)]))
    store.call(LogOutputs(run_id=run_id, models=[LoggedModelOutput(model_id=MODEL, step=3)]))
    store.call(LogOutputs(run_id=run_id, models=[LoggedModelOutput(model_id=MODEL, step=4), LoggedModelOutput(model_id=OTHER)]))
    run = get(store, run_id)
    assert [model.model_id for model in run.inputs.model_inputs] == [OTHER, MODEL]
    assert [(model.model_id, model.step) for model in run.outputs.model_outputs] == [(MODEL, 4), (OTHER, 0)]


def test_inputs_need_an_active_run(store: Store, run_id: str) -> None:
    with pytest.raises(NotFound):
        store.call(LogInputs(run_id="a" * 32, datasets=[DatasetInput(dataset=dataset("a"))]))
    store.call(DeleteRun(run_id=run_id))
    with pytest.raises(InvalidParameter, match="must be in the 'active' state"):
        store.call(LogInputs(run_id=run_id, datasets=[DatasetInput(dataset=dataset("a"))]))
    with pytest.raises(InvalidParameter, match="must be in the 'active' state"):
        store.call(LogOutputs(run_id=run_id, models=[LoggedModelOutput(model_id=MODEL)]))
    assert get(store, run_id).inputs.dataset_inputs == []


def test_model_ids_are_checked(store: Store, run_id: str) -> None:
    with pytest.raises(InvalidParameter):
        store.call(LogOutputs(run_id=run_id, models=[LoggedModelOutput(model_id="../../etc")]))


# -- datasets of experiments ----------------------------------------------------------------------------------------------


def test_datasets_of_experiments_are_listed_once_for_each_context(store: Store) -> None:
    here, there, other = (store.call(CreateExperiment(name=f"datasets {name}")).experiment_id for name in "abc")

    def log(experiment_id: str, name: str, context: str | None = None) -> str:
        run_id = store.call(CreateRun(experiment_id=experiment_id)).run.info.run_id
        tags = [InputTag(key="mlflow.data.context", value=context)] if context else []
        store.call(LogInputs(run_id=run_id, datasets=[DatasetInput(dataset=dataset(name), tags=tags)]))
        return run_id

    for _ in range(2):
        log(here, "iris", "training")
    log(here, "iris", "eval")
    log(here, "ants")
    log(there, "iris", "training")
    log(other, "wine")
    store.call(DeleteRun(run_id=log(here, "deleted")))
    found = store.call(SearchDatasets(experiment_ids=[there, here])).dataset_summaries
    assert found == [
        DatasetSummary(experiment_id=here, name="ants", digest="d1"),
        DatasetSummary(experiment_id=here, name="iris", digest="d1", context="eval"),
        DatasetSummary(experiment_id=here, name="iris", digest="d1", context="training"),
        DatasetSummary(experiment_id=there, name="iris", digest="d1", context="training"),
    ]
    with pytest.raises(InvalidParameter):
        store.call(SearchDatasets(experiment_ids=[]))
