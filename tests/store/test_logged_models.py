"""Logged models: creation, state, params, tags, metrics, the trash."""

from __future__ import annotations

import math

import pytest

from runlore.api.experiments import CreateExperiment, DeleteExperiment
from runlore.api.logged_models import (
    CreateLoggedModel,
    DeleteLoggedModel,
    DeleteLoggedModelTag,
    FinalizeLoggedModel,
    GetLoggedModel,
    LogLoggedModelParams,
    SetLoggedModelTags,
)
from runlore.api.metrics import LogMetric
from runlore.api.registry import CreateModelVersion, CreateRegisteredModel
from runlore.api.runs import CreateRun
from runlore.entities import LoggedModel, LoggedModelParameter, LoggedModelTag
from runlore.exceptions import InvalidParameter, NotFound
from runlore.store.base import Store

UNKNOWN = "m-" + "f" * 32


def create(store: Store, **fields: object) -> LoggedModel:
    return store.call(CreateLoggedModel(**{"experiment_id": "0", **fields})).model  # type: ignore[arg-type]


def get(store: Store, model_id: str) -> LoggedModel:
    return store.call(GetLoggedModel(model_id=model_id)).model


def test_what_was_created_comes_back(store: Store) -> None:
    run = store.call(CreateRun(user_id="ann")).run.info
    made = create(
        store,
        name="ünï model",
        model_type="tree",
        source_run_id=run.run_id,
        params=[LoggedModelParameter(key="depth", value="3")],
        tags=[LoggedModelTag(key="a", value="1"), LoggedModelTag(key="a", value="2")],
    )
    assert made == get(store, made.model_id)
    assert made.model_id.startswith("m-")
    assert len(made.model_id) == 34
    assert (made.name, made.model_type, made.source_run_id) == ("ünï model", "tree", run.run_id)
    assert (made.status, made.info.status, made.experiment_id) == ("PENDING", "LOGGED_MODEL_PENDING", "0")
    assert (made.params, made.tags, made.info.creator_id) == ({"depth": "3"}, {"a": "2"}, None)
    assert made.creation_timestamp == made.last_updated_timestamp > 0
    assert made.artifact_location == f"mlflow-artifacts:/0/models/{made.model_id}/artifacts"


def test_files_lie_below_the_place_of_the_experiment(store: Store) -> None:
    experiment_id = store.call(CreateExperiment(name="e", artifact_location="s3://bucket/e/")).experiment_id
    made = create(store, experiment_id=experiment_id)
    assert made.artifact_location == f"s3://bucket/e/models/{made.model_id}/artifacts"


@pytest.mark.parametrize("name", ["a/b", "a:b", "a.b", "a%b", "a'b", 'a"b', "", ".."])
def test_a_name_that_urls_and_filters_would_misread_is_refused(store: Store, name: str) -> None:
    with pytest.raises(InvalidParameter):
        create(store, name=name)


def test_a_missing_or_deleted_experiment_takes_no_models(store: Store) -> None:
    with pytest.raises(NotFound):
        create(store, experiment_id="4711")
    experiment_id = store.call(CreateExperiment(name="gone")).experiment_id
    store.call(DeleteExperiment(experiment_id=experiment_id))
    with pytest.raises(InvalidParameter, match="must be in the 'active' state"):
        create(store, experiment_id=experiment_id)


@pytest.mark.parametrize(
    ("status", "word"),
    [("LOGGED_MODEL_READY", "READY"), ("LOGGED_MODEL_UPLOAD_FAILED", "FAILED"), ("LOGGED_MODEL_PENDING", "PENDING")],
)
def test_finalizing_sets_the_status_and_again_changes_nothing(store: Store, status: str, word: str) -> None:
    model_id = create(store).model_id
    first = store.call(FinalizeLoggedModel(model_id=model_id, status=status)).model  # type: ignore[arg-type]
    assert (first.info.status, first.status) == (status, word)
    assert store.call(FinalizeLoggedModel(model_id=model_id, status=status)).model == first == get(store, model_id)  # type: ignore[arg-type]


def test_params_are_written_once(store: Store) -> None:
    model_id = create(store, params=[LoggedModelParameter(key="a", value="1")]).model_id
    more = LogLoggedModelParams(
        model_id=model_id, params=[LoggedModelParameter(key="a", value="1"), LoggedModelParameter(key="b", value="2")]
    )
    store.call(more)
    store.call(more)
    with pytest.raises(InvalidParameter, match="Changing param values is not allowed"):
        store.call(
            LogLoggedModelParams(
                model_id=model_id, params=[LoggedModelParameter(key="c", value="3"), LoggedModelParameter(key="b", value="X")]
            )
        )
    assert get(store, model_id).params == {"a": "1", "b": "2"}
    with pytest.raises(InvalidParameter, match="two values"):
        create(store, params=[LoggedModelParameter(key="a", value="1"), LoggedModelParameter(key="a", value="2")])


def test_tags_are_replaced_and_removed(store: Store) -> None:
    model_id = create(store).model_id
    store.call(SetLoggedModelTags(model_id=model_id, tags=[LoggedModelTag(key="a", value="1")]))
    after = store.call(
        SetLoggedModelTags(model_id=model_id, tags=[LoggedModelTag(key="a", value="2"), LoggedModelTag(key="b/c d", value="")])
    ).model
    assert after is not None
    assert after.tags == {"a": "2", "b/c d": ""}
    store.call(DeleteLoggedModelTag(model_id=model_id, tag_key="b/c d"))
    assert get(store, model_id).tags == {"a": "2"}
    with pytest.raises(NotFound, match="No tag with key 'b/c d'"):
        store.call(DeleteLoggedModelTag(model_id=model_id, tag_key="b/c d"))


@pytest.mark.parametrize(
    "tag",
    [
        LoggedModelTag(key="", value="x"),
        LoggedModelTag(key="k" * 251, value="x"),
        LoggedModelTag(key="k", value="v" * 8_001),
    ],
    ids=["no key", "long key", "long value"],
)
def test_listed_tags_have_the_limits_of_single_ones(store: Store, tag: LoggedModelTag) -> None:
    model_id = create(store).model_id
    with pytest.raises(InvalidParameter):
        store.call(SetLoggedModelTags(model_id=model_id, tags=[tag]))
    with pytest.raises(InvalidParameter):
        create(store, tags=[tag])


def test_metrics_logged_against_the_model_are_its_metrics(store: Store) -> None:
    model_id = create(store).model_id
    runs = [store.call(CreateRun()).run.info.run_id for _ in range(2)]
    for run_id, value in zip(runs, (0.5, math.nan), strict=True):
        store.call(LogMetric(run_id=run_id, key="acc", value=value, timestamp=1_000, step=3, model_id=model_id))
    store.call(
        LogMetric(
            run_id=runs[0], key="acc", value=0.9, timestamp=2_000, model_id=model_id, dataset_name="d", dataset_digest="123"
        )
    )
    metrics = get(store, model_id).metrics
    assert {metric.run_id for metric in metrics} == set(runs)
    assert {metric.model_id for metric in metrics} == {model_id}
    plain = {metric.run_id: metric for metric in metrics if metric.dataset_name is None}
    assert (plain[runs[0]].value, plain[runs[0]].step, plain[runs[0]].timestamp) == (0.5, 3, 1_000)
    assert math.isnan(plain[runs[1]].value)
    [on_data] = [metric for metric in metrics if metric.dataset_name]
    assert (on_data.value, on_data.dataset_name, on_data.dataset_digest) == (0.9, "d", "123")


def test_registered_versions_show_on_the_model(store: Store) -> None:
    model_id = create(store).model_id
    store.call(CreateRegisteredModel(name="r"))
    for _ in range(2):
        store.call(CreateModelVersion(name="r", source=f"models:/{model_id}"))
    registrations = get(store, model_id).info.registrations
    assert [(entry.name, entry.version) for entry in registrations] == [("r", "1"), ("r", "2")]


def test_a_deleted_model_is_gone_for_everybody(store: Store) -> None:
    model_id = create(store, tags=[LoggedModelTag(key="a", value="1")]).model_id
    for _ in range(2):  # a repeated deletion is harmless
        store.call(DeleteLoggedModel(model_id=model_id))
    store.call(CreateRegisteredModel(name="r"))
    for operation in everything_on(model_id):
        with pytest.raises(NotFound, match=f"Logged model with ID '{model_id}' not found"):
            store.call(operation)


def test_a_model_that_never_was_is_not_found(store: Store) -> None:
    store.call(CreateRegisteredModel(name="r"))
    for operation in [*everything_on(UNKNOWN), DeleteLoggedModel(model_id=UNKNOWN)]:
        with pytest.raises(NotFound, match=f"Logged model with ID '{UNKNOWN}' not found"):
            store.call(operation)


def everything_on(model_id: str) -> list[object]:
    return [
        GetLoggedModel(model_id=model_id),
        FinalizeLoggedModel(model_id=model_id, status="LOGGED_MODEL_READY"),
        LogLoggedModelParams(model_id=model_id, params=[LoggedModelParameter(key="b", value="1")]),
        SetLoggedModelTags(model_id=model_id, tags=[LoggedModelTag(key="b", value="1")]),
        DeleteLoggedModelTag(model_id=model_id, tag_key="a"),
        CreateModelVersion(name="r", source=f"models:/{model_id}"),
    ]
