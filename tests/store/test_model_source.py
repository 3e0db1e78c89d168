"""Sources of model versions: what is believed, where it leads, and every spelling of what is refused."""

from __future__ import annotations

import pytest

from runlore.api.logged_models import CreateLoggedModel, DeleteLoggedModel
from runlore.api.registry import (
    CreateModelVersion,
    CreateRegisteredModel,
    DeleteModelVersion,
    GetModelVersionDownloadUri,
    GetRegisteredModel,
    RenameRegisteredModel,
    SetRegisteredModelAlias,
    TransitionModelVersionStage,
)
from runlore.api.runs import CreateRun
from runlore.entities import LoggedModel, ModelVersion, RunInfo
from runlore.exceptions import InvalidParameter, NotFound
from runlore.store.base import Store

NOBODY = "f" * 32


@pytest.fixture
def run(store: Store) -> RunInfo:
    store.call(CreateRegisteredModel(name="m"))
    return store.call(CreateRun(user_id="ann")).run.info


@pytest.fixture
def model(store: Store, run: RunInfo) -> LoggedModel:
    return logged(store, run)


def logged(store: Store, run: RunInfo, name: str = "model") -> LoggedModel:
    return store.call(CreateLoggedModel(experiment_id="0", name=name, source_run_id=run.run_id)).model


def add(store: Store, source: str, **fields: object) -> ModelVersion:
    return store.call(CreateModelVersion(**{"name": "m", "source": source, **fields})).model_version  # type: ignore[arg-type]


def place(store: Store, made: ModelVersion) -> str:
    return store.call(GetModelVersionDownloadUri(name=made.name, version=made.version)).artifact_uri


def test_a_logged_model_is_pinned_to_its_files(store: Store, run: RunInfo, model: LoggedModel) -> None:
    for fields in ({}, {"model_id": model.model_id}, {"run_id": run.run_id, "model_id": model.model_id}):
        made = add(store, model.model_uri, **fields)
        assert (made.source, made.model_id, made.run_id) == (model.model_uri, model.model_id, run.run_id)
        assert made.user_id == "ann"
        assert place(store, made) == model.artifact_location
    store.call(DeleteLoggedModel(model_id=model.model_id))
    assert place(store, made) == model.artifact_location


def test_a_path_of_a_run_is_pinned_to_the_run(store: Store, run: RunInfo) -> None:
    for fields in ({}, {"run_id": run.run_id}, {"run_id": run.run_id.upper()}):
        made = add(store, f"runs:/{run.run_id}/deep/model", **fields)
        assert (made.run_id, made.model_id, made.user_id) == (run.run_id, None, "ann")
        assert place(store, made) == f"{run.artifact_uri}/deep/model"


def test_a_path_of_a_run_that_names_its_logged_model_leads_there(store: Store, run: RunInfo, model: LoggedModel) -> None:
    made = add(store, f"runs:/{run.run_id}/model")
    assert (made.model_id, place(store, made)) == (model.model_id, model.artifact_location)
    inner = add(store, f"runs:/{run.run_id}/model/part")
    assert place(store, inner) == f"{model.artifact_location}/part"
    other = store.call(CreateRun()).run.info
    assert place(store, add(store, f"runs:/{other.run_id}/model")) == f"{other.artifact_uri}/model"


def test_the_place_where_mlflow_2_would_have_put_a_model_leads_to_the_logged_model(
    store: Store, run: RunInfo, model: LoggedModel
) -> None:
    made = add(store, f"{run.artifact_uri}/model", run_id=run.run_id)
    assert (made.model_id, place(store, made)) == (model.model_id, model.artifact_location)
    assert place(store, add(store, f"{run.artifact_uri}/other")) == f"{run.artifact_uri}/other"


def test_of_two_models_of_one_name_the_named_one_is_meant(store: Store, run: RunInfo, model: LoggedModel) -> None:
    second = logged(store, run)
    for wanted in (model, second):
        made = add(store, f"runs:/{run.run_id}/model", model_id=wanted.model_id)
        assert (made.model_id, place(store, made)) == (wanted.model_id, wanted.artifact_location)
    with pytest.raises(InvalidParameter, match="The model_id request parameter"):
        add(store, f"runs:/{run.run_id}/else", model_id=model.model_id)


def test_a_version_of_another_model_is_copied_with_its_history(store: Store, run: RunInfo, model: LoggedModel) -> None:
    for _ in range(2):
        add(store, model.model_uri)
    store.call(SetRegisteredModelAlias(name="m", alias="champion", version="1"))
    store.call(TransitionModelVersionStage(name="m", version="1", stage="Production"))
    store.call(CreateRegisteredModel(name="copy"))
    for source, number in (
        ("models:/m/1", 1),
        ("models:/M/2", 2),
        ("models:/m@champion", 1),
        ("models:/m/production", 1),
        ("models:/m/latest", 2),
    ):
        made = add(store, source, name="copy")
        assert (made.source, made.run_id, made.model_id) == (f"models:/m/{number}", run.run_id, model.model_id)
        assert place(store, made) == model.artifact_location
    store.call(DeleteModelVersion(name="m", version="1"))
    store.call(RenameRegisteredModel(name="m", new_name="renamed"))
    assert place(store, made) == model.artifact_location


def test_a_place_inside_a_run_or_model_is_taken(store: Store, run: RunInfo, model: LoggedModel) -> None:
    made = add(store, f"{run.artifact_uri}/files", run_id=run.run_id)
    assert (made.run_id, place(store, made)) == (run.run_id, f"{run.artifact_uri}/files")
    assert add(store, f"{run.artifact_uri}/files").run_id == run.run_id
    for fields in ({"run_id": run.run_id}, {"model_id": model.model_id}, {}):
        made = add(store, model.artifact_location, **fields)
        assert (made.run_id, made.model_id, place(store, made)) == (run.run_id, model.model_id, model.artifact_location)


def test_an_object_store_is_kept_as_a_reference(store: Store, run: RunInfo) -> None:
    for source in ("s3://bucket/a/b", "gs://bucket/a", "az://box/a", "abfss://box@account.dfs.core.windows.net/a"):
        made = add(store, source, run_id=run.run_id)
        assert (made.source, made.run_id, place(store, made)) == (source, run.run_id, source)
    elsewhere = add(store, "s3://bucket/a", run_id=NOBODY)  # a registry may stand beside another server's runs
    assert (elsewhere.run_id, elsewhere.user_id) == (NOBODY, None)


@pytest.mark.parametrize(
    "source",
    [
        "",
        "model",
        "/etc",
        "/",
        "./model",
        "../model",
        "~/model",
        "C:/model",
        "C:\\model",
        "\\\\host\\share",
        "file:///etc",
        "file:/etc",
        "FILE:///etc",
        "file://localhost/etc",
        "local:/etc",
        "dbfs:/etc",
        "hdfs://host/etc",
        "ftp://host/etc",
        "sftp://host/etc",
        "http://host/api/2.0/mlflow-artifacts/artifacts/0",
        "https://host/model",
        "http:///?/../../etc",
        "http:///#/../../etc",
        "data:text/plain,x",
        "javascript:alert(1)",
        "s3:///etc",
        "s3:/bucket/a",
        "s3:bucket",
        "S3://bucket/a",
        "s3://bucket/../../etc",
        "s3://bucket/a/./b",
        "s3://bucket//etc",
        "s3://bucket/%2e%2e/etc",
        "s3://bucket/a?versionId=1",
        "s3://bucket/a#b",
        "s3://bucket/a;b",
        "s3://key:secret@bucket/a",
        "s3://bucket/a\\..\\b",
        "s3://bucket/a\x01",
        "s3://bucket/a\nb",
        "runs:/",
        "runs://host/{run}/model",
        "runs:{run}/model",
        "runs:/{run}/../{run}/model",
        "runs:/{run}/..",
        "runs:/{run}//etc",
        "runs:/{run}/a\\..\\..\\b",
        "runs:/{run}/%2e%2e/b",
        "runs:/{run}/%252e%252e/b",
        "runs:/{run}/model?x",
        "runs:/{run}/model#x",
        "runs:/{run}/model;x",
        "runs:/../etc",
        "runs:/short/model",
        "RUNS:/{run}/model",
        "models:/",
        "models:/m",
        "models:/m/0",
        "models:/m/-1",
        "models:/m/1/../..",
        "models://host/m/1",
        "models:/m@",
        "models:/{model}/../../x",
        "models:/{model}/%2e%2e",
        "mlflow-artifacts:/",
        "mlflow-artifacts:/0",
        "mlflow-artifacts:/0/models",
        "mlflow-artifacts:/etc",
        "mlflow-artifacts:///0/{run}/artifacts",
        "mlflow-artifacts://host/0/{run}/artifacts",
        "mlflow-artifacts:/0/{run}/artifacts/..",
        "mlflow-artifacts:/0/{run}/artifacts/../../x",
        "mlflow-artifacts:/0/{run}/artifacts/%2e%2e/x",
        "mlflow-artifacts:/0/{run}/artifacts/a\\..\\..",
        "mlflow-artifacts:/0/{run}/artifacts2",
        "mlflow-artifacts:/0/{run}",
        "mlflow-artifacts:/1/{run}/artifacts",
        "mlflow-artifacts:/x/0/{run}/artifacts/model",
        "mlflow-artifacts:/0/models/{model}",
        "mlflow-artifacts:/0/{run}/artifacts?x=/../..",
        "mlflow-artifacts:/0/{run}/artifacts#/../..",
    ],
)
def test_everything_else_is_refused(store: Store, run: RunInfo, model: LoggedModel, source: str) -> None:
    source = source.replace("{run}", run.run_id).replace("{model}", model.model_id)
    for fields in ({}, {"run_id": run.run_id}, {"model_id": model.model_id}):
        with pytest.raises(InvalidParameter) as caught:
            add(store, source, **fields)
        assert "source" in caught.value.message
    assert store.call(GetRegisteredModel(name="m")).registered_model.latest_versions == []


def test_a_flag_does_not_skip_the_check(store: Store, run: RunInfo) -> None:
    from runlore.entities import ModelVersionTag

    with pytest.raises(InvalidParameter):
        add(store, "file:///etc", tags=[ModelVersionTag(key="mlflow.prompt.is_prompt", value="true")])


def test_a_source_in_somebody_elses_run_is_refused(store: Store, run: RunInfo, model: LoggedModel) -> None:
    other = store.call(CreateRun()).run.info
    foreign = store.call(CreateLoggedModel(experiment_id="0", source_run_id=other.run_id)).model
    for source in (f"runs:/{run.run_id}/model", f"{run.artifact_uri}/model", model.artifact_location):
        with pytest.raises(InvalidParameter, match="The run_id request parameter must identify the resource"):
            add(store, source, run_id=other.run_id)
    for source in (model.model_uri, model.artifact_location):
        with pytest.raises(InvalidParameter, match="The model_id request parameter must identify the resource"):
            add(store, source, model_id=foreign.model_id)
    add(store, model.model_uri)
    with pytest.raises(InvalidParameter, match="must match the referenced model version"):
        add(store, "models:/m/1", run_id=other.run_id)
    with pytest.raises(InvalidParameter, match="must match the referenced model version"):
        add(store, "models:/m/1", model_id=foreign.model_id)


def test_a_source_that_does_not_exist_is_not_found(store: Store, run: RunInfo) -> None:
    for source in (
        f"runs:/{NOBODY}/model",
        f"models:/m-{NOBODY}",
        "models:/no/1",
        "models:/m/9",
        "models:/m@no",
        "models:/m/latest",
    ):
        with pytest.raises(NotFound):
            add(store, source)
    with pytest.raises(NotFound, match="Logged model with ID"):
        add(store, "s3://bucket/a", model_id=f"m-{NOBODY}")
    with pytest.raises(InvalidParameter):
        add(store, f"mlflow-artifacts:/0/{NOBODY}/artifacts")
