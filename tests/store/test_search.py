"""Searches of experiments, registered models, model versions and logged models."""

from __future__ import annotations

import math
from typing import Any

import pytest

from runlore.api.experiments import CreateExperiment, DeleteExperiment, SearchExperiments, SetExperimentTag
from runlore.api.logged_models import (
    CreateLoggedModel,
    DeleteLoggedModel,
    FinalizeLoggedModel,
    ModelDataset,
    ModelOrderBy,
    SearchLoggedModels,
)
from runlore.api.metrics import LogMetric
from runlore.api.registry import (
    CreateModelVersion,
    CreateRegisteredModel,
    SearchModelVersions,
    SearchRegisteredModels,
    SetRegisteredModelAlias,
    UpdateRegisteredModel,
)
from runlore.api.runs import CreateRun
from runlore.entities import ExperimentTag, LoggedModelParameter, LoggedModelTag, ModelVersionTag, RegisteredModelTag
from runlore.exceptions import InvalidParameter
from runlore.store.base import Store

# -- experiments ------------------------------------------------------------------------------------------------------


def experiments(store: Store, text: str = "", **more: Any) -> list[str]:
    """Names of the experiments that a search finds, page by page."""
    found: list[str] = []
    token = ""
    while True:
        reply = store.call(SearchExperiments(filter=text, page_token=token, **more))
        found += [experiment.name for experiment in reply.experiments]
        if not (token := reply.next_page_token or ""):
            return found


@pytest.fixture
def three(store: Store) -> dict[str, str]:
    """Experiments alpha, Alphabet (deleted) and beta."""
    ids = {}
    for name, tags in (("alpha", {"team": "x"}), ("Alphabet", {"team": "y"}), ("beta", {"team": "X", "note": "a b"})):
        tag_list = [ExperimentTag(key=key, value=value) for key, value in tags.items()]
        ids[name] = store.call(CreateExperiment(name=name, tags=tag_list)).experiment_id
    store.call(DeleteExperiment(experiment_id=ids["Alphabet"]))
    return ids


EXPERIMENT_FILTERS = [
    ("name = 'alpha'", ["alpha"]),
    ("name != 'alpha'", ["Default", "beta"]),
    ("name LIKE 'al%'", ["alpha"]),
    ("name LIKE 'AL%'", []),
    ("name ILIKE 'AL%'", ["alpha"]),
    ("tags.team = 'x'", ["alpha"]),
    ("tags.team != 'x'", ["beta"]),
    ("tags.team ILIKE 'x'", ["alpha", "beta"]),
    ("tags.team IS NULL", ["Default"]),
    ("tags.note IS NOT NULL AND tags.team = 'X'", ["beta"]),
    ("creation_time > 0", ["Default", "alpha", "beta"]),
    ("last_update_time < 1", []),
    ("experiment_id = '0'", ["Default"]),
    ("experiment_id NOT IN ('0')", ["alpha", "beta"]),
]


@pytest.mark.usefixtures("three")
def test_experiments_that_match(store: Store) -> None:
    for text, names in EXPERIMENT_FILTERS:
        assert experiments(store, text, order_by=["name"]) == names, text


def test_experiments_are_ordered_and_paged(store: Store, three: dict[str, str]) -> None:
    assert experiments(store, order_by=["experiment_id ASC"], max_results=1) == ["Default", "alpha", "beta"]
    assert experiments(store, order_by=["name DESC"], max_results=2) == ["beta", "alpha", "Default"]
    assert experiments(store, view_type="DELETED_ONLY") == ["Alphabet"]
    assert sorted(experiments(store, view_type="ALL")) == ["Alphabet", "Default", "alpha", "beta"]
    newest = [item.creation_time for item in store.call(SearchExperiments(view_type="ALL")).experiments]
    assert newest == sorted(newest, key=lambda time: -(time or 0))
    store.call(SetExperimentTag(experiment_id=three["alpha"], key="k", value="v"))
    (found,) = store.call(SearchExperiments(filter="tags.k = 'v'")).experiments
    assert found.tags == {"team": "x", "k": "v"}


# -- registry ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def models(store: Store) -> str:
    """Models a (2 versions), B (1), c (none) and a prompt; the run of one version."""
    run_id = store.call(CreateRun()).run.info.run_id
    for name, tags in (("a", {"task": "x"}), ("B", {"task": "y"}), ("c", {}), ("p", {"mlflow.prompt.is_prompt": "true"})):
        tag_list = [RegisteredModelTag(key=key, value=value) for key, value in tags.items()]
        store.call(CreateRegisteredModel(name=name, tags=tag_list))
    for name, run, stage in (("a", run_id, "1"), ("a", None, "2"), ("B", None, "1")):
        tag = ModelVersionTag(key="stage", value=stage)
        store.call(CreateModelVersion(name=name, source=f"s3://bucket/{name}/{stage}", run_id=run, tags=[tag]))
    store.call(SetRegisteredModelAlias(name="a", alias="best", version="1"))
    return run_id


MODEL_FILTERS = [
    ("", ["B", "a", "c"]),
    ("name = 'a'", ["a"]),
    ("name != 'a'", ["B", "c"]),
    ("name ILIKE 'b'", ["B"]),
    ("name LIKE 'b'", []),
    ("name IN ('a', 'c')", ["a", "c"]),
    ("name NOT IN ('a', 'c')", ["B"]),
    ("tags.task = 'x'", ["a"]),
    ("tags.task != 'x'", ["B"]),
    ("tag.`mlflow.prompt.is_prompt` != 'true'", ["B", "a", "c"]),
    ("name LIKE '%' AND tag.`mlflow.prompt.is_prompt` = 'false'", ["B", "a", "c"]),
    ("tag.`mlflow.prompt.is_prompt` = 'true'", ["p"]),
]


@pytest.mark.usefixtures("models")
def test_registered_models_that_match(store: Store) -> None:
    for text, names in MODEL_FILTERS:
        reply = store.call(SearchRegisteredModels(filter=text))
        assert [model.name for model in reply.registered_models] == names, text


@pytest.mark.usefixtures("models")
def test_registered_models_are_whole_ordered_and_paged(store: Store) -> None:
    store.call(UpdateRegisteredModel(name="c", description="changed last"))
    first = store.call(SearchRegisteredModels(order_by=["name DESC"], max_results=2))
    assert [model.name for model in first.registered_models] == ["c", "a"]
    assert first.registered_models[1].aliases == {"best": "1"}
    assert [version.version for version in first.registered_models[1].latest_versions] == ["2"]
    second = SearchRegisteredModels(order_by=["name DESC"], max_results=2, page_token=first.next_page_token or "")
    assert [model.name for model in store.call(second).registered_models] == ["B"]
    assert store.call(second).next_page_token is None
    by_time = store.call(SearchRegisteredModels(order_by=["last_updated_timestamp DESC"])).registered_models
    times = [model.last_updated_timestamp or 0 for model in by_time]
    assert times == sorted(times, reverse=True)


VERSION_FILTERS = [
    ("name = 'a'", ["a/2", "a/1"]),
    ("name ILIKE '%'", ["B/1", "a/2", "a/1"]),
    ("version_number > 1", ["a/2"]),
    ("version_number = '1'", ["B/1", "a/1"]),
    ("source_path LIKE '%/a/%'", ["a/2", "a/1"]),
    ("source_path = 's3://bucket/B/1'", ["B/1"]),
    ("tags.stage = '1'", ["B/1", "a/1"]),
    ("run_id = '{run}'", ["a/1"]),
    ("run_id IN ('{run}', 'x')", ["a/1"]),
    ("run_id NOT IN ('x')", ["a/1"]),
    ("run_id != '{run}'", []),
    ("tag.`mlflow.prompt.is_prompt` != 'true' AND name = 'B'", ["B/1"]),
]


def test_model_versions_that_match(store: Store, models: str) -> None:
    for text, found in VERSION_FILTERS:
        reply = store.call(SearchModelVersions(filter=text.replace("{run}", models), order_by=["name"]))
        assert [f"{version.name}/{version.version}" for version in reply.model_versions] == found, text


@pytest.mark.usefixtures("models")
def test_model_versions_are_ordered_and_paged(store: Store) -> None:
    newest = store.call(SearchModelVersions()).model_versions
    times = [(-(version.last_updated_timestamp or 0), version.name, -int(version.version)) for version in newest]
    assert times == sorted(times)
    first = store.call(SearchModelVersions(order_by=["version_number ASC", "name DESC"], max_results=2))
    assert [f"{version.name}/{version.version}" for version in first.model_versions] == ["a/1", "B/1"]
    assert first.model_versions[0].aliases == ["best"]
    more = SearchModelVersions(
        order_by=["version_number ASC", "name DESC"], max_results=2, page_token=first.next_page_token or ""
    )
    assert [f"{version.name}/{version.version}" for version in store.call(more).model_versions] == ["a/2"]


# -- logged models ----------------------------------------------------------------------------------------------------


@pytest.fixture
def logged(store: Store) -> dict[str, str]:
    """Names by model id. m0 to m3: accuracy on two datasets, NaN for m2, none for m3; "gone" is deleted."""
    run_id = store.call(CreateRun()).run.info.run_id
    names = {}
    for position, name in enumerate(["m0", "m1", "m2", "m3", "gone"]):
        op = CreateLoggedModel(
            experiment_id="0",
            name=name,
            model_type="tree" if position % 2 else None,
            source_run_id=run_id if position == 0 else None,
            params=[LoggedModelParameter(key="depth", value=str(position))],
            tags=[LoggedModelTag(key="team", value="xy"[position % 2])],
        )
        names[store.call(op).model.model_id] = name
        for dataset, value in (("train", position / 10), ("test", 1 - position / 10)) if position < 3 else ():
            value = math.nan if (position, dataset) == (2, "train") else value
            point = {"key": "acc", "value": value, "timestamp": position, "dataset_digest": "d", "dataset_name": dataset}
            store.call(LogMetric(run_id=run_id, model_id=next(reversed(names)), **point))
    by_name = {name: model_id for model_id, name in names.items()}
    store.call(FinalizeLoggedModel(model_id=by_name["m1"], status="LOGGED_MODEL_READY"))
    store.call(FinalizeLoggedModel(model_id=by_name["m2"], status="LOGGED_MODEL_UPLOAD_FAILED"))
    store.call(DeleteLoggedModel(model_id=by_name["gone"]))
    return names


LOGGED_FILTERS = [
    ("", ["m0", "m1", "m2", "m3"]),
    ("name = 'm1'", ["m1"]),
    ("name LIKE 'M%'", []),
    ("name ILIKE 'M%' AND tags.team = 'x'", ["m0", "m2"]),
    ("name IN ('m1', 'm3', 'gone')", ["m1", "m3"]),
    ("status = 'READY'", ["m1"]),
    ("attributes.status IN ('FAILED', 'PENDING')", ["m0", "m2", "m3"]),
    ("model_type = 'tree'", ["m1", "m3"]),
    ("model_type != 'forest'", ["m1", "m3"]),
    ("source_run_id LIKE '%'", ["m0"]),
    ("params.depth = '3'", ["m3"]),
    ("params.depth NOT IN ('3', '1')", ["m0", "m2"]),
    ("creation_timestamp > 0", ["m0", "m1", "m2", "m3"]),
    ("metrics.acc > 0.85", ["m0", "m1"]),
    ("metrics.acc < 0.05", ["m0"]),
    ("metrics.acc != 1", ["m0", "m1", "m2"]),
]


def test_logged_models_that_match(store: Store, logged: dict[str, str]) -> None:
    for text, found in LOGGED_FILTERS:
        reply = store.call(SearchLoggedModels(experiment_ids=["0"], filter=text))
        assert sorted(model.name for model in reply.models) == found, text
        assert all(logged[model.model_id] == model.name for model in reply.models)


DATASET_FILTERS = [
    ("metrics.acc > 0.85", ["train"], []),
    ("metrics.acc > 0.85", ["test"], ["m0", "m1"]),
    ("metrics.acc > 0.85", ["train", "test"], ["m0", "m1"]),
    ("", ["train"], ["m0", "m1", "m2"]),
    ("", ["other"], []),
]


@pytest.mark.usefixtures("logged")
def test_datasets_restrict_metrics(store: Store) -> None:
    for text, datasets, found in DATASET_FILTERS:
        only = [ModelDataset(dataset_name=name, dataset_digest="d") for name in datasets]
        reply = store.call(SearchLoggedModels(experiment_ids=["0"], filter=text, datasets=only))
        assert sorted(model.name for model in reply.models) == found, (text, datasets)


LOGGED_ORDERS = [
    (ModelOrderBy(field_name="name"), ["m0", "m1", "m2", "m3"]),
    (ModelOrderBy(field_name="name", ascending=False), ["m3", "m2", "m1", "m0"]),
    (ModelOrderBy(field_name="metrics.acc", dataset_name="test"), ["m2", "m1", "m0", "m3"]),
    (ModelOrderBy(field_name="metrics.acc", dataset_name="test", ascending=False), ["m0", "m1", "m2", "m3"]),
    (ModelOrderBy(field_name="metrics.acc", dataset_name="train", dataset_digest="d"), ["m0", "m1", "m2", "m3"]),
    (ModelOrderBy(field_name="metrics.acc", dataset_name="train", ascending=False), ["m1", "m0", "m2", "m3"]),
]


@pytest.mark.usefixtures("logged")
def test_logged_models_are_ordered_and_paged(store: Store) -> None:
    for order, found in LOGGED_ORDERS:
        first = SearchLoggedModels(experiment_ids=["0"], order_by=[order], max_results=3)
        reply = store.call(first)
        token = reply.next_page_token or ""
        rest = store.call(SearchLoggedModels(experiment_ids=["0"], order_by=[order], max_results=3, page_token=token))
        assert [model.name for model in (*reply.models, *rest.models)] == found, order
        assert rest.next_page_token is None


@pytest.mark.parametrize(
    ("order", "message"),
    [
        (ModelOrderBy(field_name="params.depth"), "Invalid order by field name: params.depth"),
        (ModelOrderBy(field_name="nam"), "Invalid attribute key 'nam'"),
        (ModelOrderBy(field_name="metrics.acc", dataset_digest="d"), "`dataset_digest` can only be specified"),
    ],
)
def test_orders_of_logged_models_that_are_refused(store: Store, order: ModelOrderBy, message: str) -> None:
    with pytest.raises(InvalidParameter, match=message):
        store.call(SearchLoggedModels(experiment_ids=["0"], order_by=[order]))


@pytest.mark.parametrize(
    "op",
    [
        SearchExperiments(max_results=0),
        SearchExperiments(max_results=50_001),
        SearchRegisteredModels(max_results=1_001),
        SearchModelVersions(max_results=200_001),
        SearchLoggedModels(max_results=0),
        SearchExperiments(page_token="nonsense"),
        SearchRegisteredModels(page_token="nonsense"),
        SearchModelVersions(order_by=["name", "name DESC"]),
        SearchRegisteredModels(order_by=["description"]),
    ],
)
def test_searches_that_are_refused(store: Store, op: Any) -> None:
    with pytest.raises(InvalidParameter):
        store.call(op)
