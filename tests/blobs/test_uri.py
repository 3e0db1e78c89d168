"""From the URIs that people write to files, against a local store and against a server."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.blobs.conftest import content

from runlore.api.experiments import CreateExperiment
from runlore.api.logged_models import CreateLoggedModel, DeleteLoggedModel
from runlore.api.registry import (
    CreateModelVersion,
    CreateRegisteredModel,
    DeleteRegisteredModel,
    SetRegisteredModelAlias,
    TransitionModelVersionStage,
)
from runlore.api.runs import CreateRun
from runlore.blobs.base import ArtifactPath
from runlore.blobs.uri import join_uri, open_blobs, open_root, resolve
from runlore.entities import LoggedModel, RunInfo
from runlore.exceptions import InvalidParameter, NotFound
from runlore.store.base import Store, open_store

P = ArtifactPath
NOBODY = "f" * 32


@pytest.fixture(params=["local", "server"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """A store with a registered model "m" that has no versions."""
    if request.param == "server":
        store: Store = request.getfixturevalue("http_store")
        made = store
    else:
        made = store = open_store(f"sqlite:///{tmp_path / 'runlore.db'}", artifacts=str(tmp_path / "art ifacts#1"))
    store.call(CreateRegisteredModel(name="m"))
    yield store
    store.call(DeleteRegisteredModel(name="m"))
    if request.param == "local":
        with closing(made):
            pass


@pytest.fixture
def run(store: Store) -> RunInfo:
    return store.call(CreateRun()).run.info


@pytest.fixture
def model(store: Store, run: RunInfo) -> LoggedModel:
    return store.call(CreateLoggedModel(experiment_id="0", name="model", source_run_id=run.run_id)).model


def add(store: Store, source: str) -> str:
    return store.call(CreateModelVersion(name="m", source=source)).model_version.version


def test_files_of_a_run_are_below_the_artifact_root(store: Store, run: RunInfo) -> None:
    blobs = open_blobs(run.artifact_uri, store)
    blobs.write(P("a/b #1?.txt"), [b"x"])
    assert content(open_root(store), f"0/{run.run_id}/artifacts/a/b #1?.txt") == b"x"
    uri = resolve(f"runs:/{run.run_id}/a/b #1?.txt", store)
    assert uri == f"mlflow-artifacts:/0/{run.run_id}/artifacts/a/b #1?.txt"
    whole, _, name = uri.rpartition("/")
    assert content(open_blobs(whole, store), name) == b"x"


def test_a_path_of_a_run(store: Store, run: RunInfo) -> None:
    assert resolve(f"runs:/{run.run_id}", store) == run.artifact_uri
    assert resolve(f"runs:/{run.run_id}/", store) == run.artifact_uri
    assert resolve(f"runs:/{run.run_id.upper()}/a/b", store) == f"{run.artifact_uri}/a/b"
    assert resolve(f"runs:///{run.run_id}/a", store) == f"{run.artifact_uri}/a"


def test_a_name_that_is_no_file_of_the_run_is_its_logged_model(store: Store, run: RunInfo, model: LoggedModel) -> None:
    assert resolve(f"runs:/{run.run_id}/model", store) == model.artifact_location
    assert resolve(f"runs:/{run.run_id}/model/MLmodel", store) == f"{model.artifact_location}/MLmodel"
    assert resolve(f"runs:/{run.run_id}/other", store) == f"{run.artifact_uri}/other"
    newer = store.call(CreateLoggedModel(experiment_id="0", name="model", source_run_id=run.run_id)).model
    store.call(CreateLoggedModel(experiment_id="0", name="model", source_run_id=NOBODY))
    found = resolve(f"runs:/{run.run_id}/model", store)
    assert found in (newer.artifact_location, model.artifact_location)
    open_blobs(run.artifact_uri, store).write(P("model/MLmodel"), [b"x"])
    assert resolve(f"runs:/{run.run_id}/model", store) == f"{run.artifact_uri}/model"


def test_a_deleted_logged_model_is_not_meant(store: Store, run: RunInfo, model: LoggedModel) -> None:
    store.call(DeleteLoggedModel(model_id=model.model_id))
    assert resolve(f"runs:/{run.run_id}/model", store) == f"{run.artifact_uri}/model"
    with pytest.raises(NotFound):
        resolve(model.model_uri, store)


def test_every_spelling_of_a_version(store: Store, run: RunInfo, model: LoggedModel) -> None:
    first, second = f"{run.artifact_uri}/first", model.artifact_location
    assert [add(store, f"runs:/{run.run_id}/first"), add(store, model.model_uri)] == ["1", "2"]
    store.call(SetRegisteredModelAlias(name="m", alias="champion", version="1"))
    store.call(TransitionModelVersionStage(name="m", version="1", stage="Production"))
    for uri, place in {
        model.model_uri: second,
        f"{model.model_uri}/": second,
        f"{model.model_uri}/a/b": f"{second}/a/b",
        "models:/m/1": first,
        "models:///m/1": first,
        "models:/M/1": first,
        "models:/m/2": second,
        "models:/m/2/MLmodel": f"{second}/MLmodel",
        "models:/m@champion": first,
        "models:/m@champion/data/x": f"{first}/data/x",
        "models:/m/latest": second,
        "models:/m/Latest/x": f"{second}/x",
        "models:/m/Production": first,
        "models:/m/production/x": f"{first}/x",
        "models:/m/None": second,
    }.items():
        assert resolve(uri, store) == place, uri


def test_artifact_uris_pass(store: Store) -> None:
    for uri in ("mlflow-artifacts:/0/x/artifacts", "s3://bucket/a/b", "gs://bucket", "az://box/a"):
        assert resolve(uri, store) == uri


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "model",
        "/etc/passwd",
        "./model",
        "C:/model",
        "file:///etc/passwd",
        "file:/etc",
        "http://host/x",
        "https://host/x",
        "ftp://host/x",
        "dbfs:/x",
        "runs:",
        "runs:/",
        "runs:/short/model",
        "runs://{run}/model",
        "runs:/{run}/../x",
        "runs:/{run}/a/%2e%2e/b",
        "runs:/{run}//a",
        "runs:/{run}/a\\b",
        "models:",
        "models:/",
        "models:/m",
        "models:/m/",
        "models:/m/0",
        "models:/m/v1",
        "models:/m/1/..",
        "models:/m/1/%2e%2e",
        "models:/@champion",
        "models:/m@",
        "models://host/m/1",
        "mlflow-artifacts:",
        "mlflow-artifacts:x",
        "mlflow-artifacts://host/x",
        "mlflow-artifacts:/../x",
        "mlflow-artifacts:/a/../../x",
        "mlflow-artifacts:/a/%2e%2e/x",
        "mlflow-artifacts:/a\\..\\x",
        "mlflow-artifacts:/a\x00",
        "s3:/bucket/a",
        "s3:///a",
        "s3://key:secret@bucket/a",
        "s3://bucket/../a",
        "S3://bucket/a",
    ],
)
def test_everything_else_is_refused(store: Store, run: RunInfo, uri: str) -> None:
    uri = uri.replace("{run}", run.run_id)
    with pytest.raises(InvalidParameter):
        resolve(uri, store)
    with pytest.raises(InvalidParameter):
        open_blobs(uri, store, foreign=True)


def test_what_does_not_exist_is_not_found(store: Store) -> None:
    for uri in (
        f"runs:/{NOBODY}/x",
        f"models:/m-{NOBODY}",
        "models:/m/7",
        "models:/no/1",
        "models:/m/latest",
        "models:/m/Staging",
    ):
        with pytest.raises(NotFound):
            resolve(uri, store)
    with pytest.raises(InvalidParameter, match="alias no not found"):
        resolve("models:/m@no", store)


def test_foreign_stores_are_opened_only_on_demand(store: Store, tmp_path: Path) -> None:
    with pytest.raises(InvalidParameter, match="outside the artifact root"):
        open_blobs("s3://bucket/a", store)
    assert repr(open_blobs("s3://bucket/a", store, foreign=True)) == "ObjectBlobs(S3Store(bucket=\"bucket\")).under('a')"
    for uri in (f"file://{tmp_path}", f"file://{tmp_path}/runlore.db", str(tmp_path)):
        with pytest.raises(InvalidParameter):
            open_blobs(uri, store, foreign=True)


def test_resolving_for_others_does_not_look_into_foreign_stores(store: Store) -> None:
    name = f"foreign {uuid.uuid4().hex}"
    experiment_id = store.call(CreateExperiment(name=name, artifact_location="s3://bucket.invalid/e")).experiment_id
    run_id = store.call(CreateRun(experiment_id=experiment_id)).run.info.run_id
    assert resolve(f"runs:/{run_id}/model", store) == f"s3://bucket.invalid/e/{run_id}/artifacts/model"
    model = store.call(CreateLoggedModel(experiment_id=experiment_id, name="model", source_run_id=run_id)).model
    assert resolve(f"runs:/{run_id}/model", store) == model.artifact_location


def test_a_uri_inside_the_artifact_root_is_the_stores_own(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'runlore.db'}", artifacts=str(tmp_path / "artifacts"))
    with closing(store):
        open_blobs(f"{store.artifact_root}/a/b", store).write(P("f"), [b"x"])
        assert content(open_root(store), "a/b/f") == b"x"
        for uri in (f"{store.artifact_root}-other/a", f"{store.artifact_root}/../a", f"{store.artifact_root}/a/%2e%2e/b"):
            with pytest.raises(InvalidParameter):
                open_blobs(uri, store)


def test_joining() -> None:
    assert join_uri("s3://bucket/a/", "b/c") == "s3://bucket/a/b/c"
    assert join_uri("s3://bucket/a", "") == "s3://bucket/a"
    with pytest.raises(InvalidParameter):
        join_uri("s3://bucket/a", "../b")
