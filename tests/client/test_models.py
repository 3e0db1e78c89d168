"""Logged models and the registry through the client."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from runlore import artifacts, set_tracking_uri
from runlore.client import RunloreClient
from runlore.exceptions import AlreadyExists, InvalidParameter, NotFound


@pytest.fixture
def name() -> str:
    """A name for a registered model that no other test uses."""
    return f"model é {time.time_ns()}"


def test_a_logged_model_lives(client: RunloreClient, experiment: str, run_id: str, tmp_path: Path) -> None:
    model = client.create_logged_model(experiment, "net", run_id, tags={"a": "1"}, params={"depth": 3}, model_type="tree")  # type: ignore[dict-item]
    assert (model.name, model.status, model.source_run_id, model.model_type) == ("net", "PENDING", run_id, "tree")
    (tmp_path / "weights.bin").write_bytes(b"123")
    client.log_model_artifact(model.model_id, str(tmp_path / "weights.bin"), "data")
    client.log_model_artifacts(model.model_id, str(tmp_path), "more")
    assert [entry.path for entry in client.list_logged_model_artifacts(model.model_id)] == ["data", "more"]
    assert client.finalize_logged_model(model.model_id, "READY").status == "READY"

    client.set_logged_model_tags(model.model_id, {"b": 2})
    client.delete_logged_model_tag(model.model_id, "a")
    client.log_model_params(model.model_id, {"lr": 0.1})  # type: ignore[dict-item]
    model = client.get_logged_model(model.model_id)
    assert (model.tags, model.params) == ({"b": "2"}, {"depth": "3", "lr": "0.1"})
    client.log_metric(run_id, "acc", 0.9, model_id=model.model_id)
    assert [metric.value for metric in client.get_logged_model(model.model_id).metrics] == [0.9]

    page = client.search_logged_models(
        [experiment], "name = 'net'", order_by=[{"field_name": "creation_time", "ascending": False}]
    )
    assert [found.model_id for found in page] == [model.model_id]
    client.delete_logged_model(model.model_id)
    assert client.search_logged_models([experiment]) == []
    with pytest.raises(InvalidParameter, match="READY"):
        client.finalize_logged_model(model.model_id, "DONE")


def test_a_registered_model_lives(client: RunloreClient, name: str) -> None:
    made = client.create_registered_model(name, tags={"t": 1}, description="ünder")
    assert (made.name, made.tags, made.description) == (name, {"t": "1"}, "ünder")
    with pytest.raises(AlreadyExists):
        client.create_registered_model(name)
    client.set_registered_model_tag(name, "u", 2)
    client.delete_registered_model_tag(name, "t")
    client.update_registered_model(name, "other")
    assert client.get_registered_model(name).tags == {"u": "2"}
    client.rename_registered_model(name, f"{name}2")
    assert [m.name for m in client.search_registered_models(f"name = '{name}2'")] == [f"{name}2"]
    client.delete_registered_model(f"{name}2")
    with pytest.raises(NotFound):
        client.get_registered_model(f"{name}2")


def test_versions_aliases_and_stages(client: RunloreClient, experiment: str, run_id: str, name: str) -> None:
    client.log_text(run_id, "weights", "model/w.txt")
    client.create_registered_model(name)
    for _ in range(2):
        client.create_model_version(name, f"runs:/{run_id}/model", run_id, tags={"k": "v"}, description="d")
    version = client.get_model_version(name, "1")
    assert (version.version, version.run_id, version.status, version.tags) == ("1", run_id, "READY", {"k": "v"})

    client.set_registered_model_alias(name, "champion", 2)  # type: ignore[arg-type]  # MLflow takes numbers as well
    assert client.get_model_version_by_alias(name, "champion").version == "2"
    client.delete_registered_model_alias(name, "champion")
    with pytest.raises((NotFound, InvalidParameter)):
        client.get_model_version_by_alias(name, "champion")

    assert client.transition_model_version_stage(name, "1", "production").current_stage == "Production"
    assert [v.version for v in client.get_latest_versions(name, ["Production"])] == ["1"]
    assert client.get_model_version_stages(name, "1") == ["None", "Staging", "Production", "Archived"]
    client.set_model_version_tag(name, stage="Production", key="a", value=1)
    client.set_model_version_tag(name, "1", "b", 2)
    client.delete_model_version_tag(name, "1", "k")
    assert client.get_model_version(name, "1").tags == {"a": "1", "b": "2"}
    client.update_model_version(name, "1", "new words")
    assert client.get_model_version(name, "1").description == "new words"
    assert [
        v.version for v in client.search_model_versions(f"name = '{name}'", max_results=1, order_by=["version_number DESC"])
    ] == ["2"]

    set_tracking_uri(client.tracking_uri)
    assert artifacts.load_text(f"models:/{name}/1/w.txt") == "weights"
    assert client.get_model_version_download_uri(name, "1").endswith(f"{run_id}/artifacts/model")
    client.delete_model_version(name, "2")
    assert [v.version for v in client.search_model_versions(f"name = '{name}'")] == ["1"]


def test_a_copy_serves_the_same_files(client: RunloreClient, run_id: str, name: str) -> None:
    client.create_registered_model(name)
    client.create_model_version(name, f"runs:/{run_id}/model", run_id)
    client.set_registered_model_alias(name, "best", "1")
    copy = client.copy_model_version(f"models:/{name}@best", f"{name} prod")
    assert (copy.name, copy.version, copy.run_id) == (f"{name} prod", "1", run_id)
    assert client.copy_model_version(f"models:/{name}/1", f"{name} prod").version == "2"
    here, there = client.get_model_version_download_uri(name, "1"), client.get_model_version_download_uri(copy.name, "1")
    assert here == there
    with pytest.raises(InvalidParameter, match="runs:/x"):
        client.copy_model_version("runs:/x", name)
