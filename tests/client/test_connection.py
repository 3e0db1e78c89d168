"""Which store a client talks to."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import runlore
from runlore.client import RunloreClient
from runlore.exceptions import InvalidParameter, Unavailable


def test_the_nearest_directory_is_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    assert runlore.get_tracking_uri() == (Path.cwd() / ".runlore").as_uri()
    assert not runlore.is_tracking_uri_set()
    assert not Path(".runlore").exists()
    RunloreClient().create_experiment("e")
    assert Path(".runlore/runlore.db").is_file()
    Path("sub/sub").mkdir(parents=True)
    above = runlore.get_tracking_uri()
    monkeypatch.chdir("sub/sub")
    assert runlore.get_tracking_uri() == above


def test_a_set_uri_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow.example")
    assert runlore.get_tracking_uri() == "http://mlflow.example"
    monkeypatch.setenv("RUNLORE_TRACKING_URI", "http://runlore.example")
    assert runlore.get_tracking_uri() == "http://runlore.example"
    runlore.set_tracking_uri(tmp_path / "a b")
    assert runlore.get_tracking_uri() == (tmp_path / "a b").as_uri()
    assert runlore.get_registry_uri() == runlore.get_tracking_uri()
    runlore.set_registry_uri("http://registry.example")
    assert runlore.get_registry_uri() == "http://registry.example"
    runlore.set_registry_uri("")
    assert runlore.get_registry_uri() == runlore.get_tracking_uri()
    runlore.set_tracking_uri("")
    assert runlore.get_tracking_uri() == "http://mlflow.example"


@pytest.mark.parametrize("uri", ["store", "file:store", "sqlite:///store/x.db"])
def test_relative_uris_mean_the_same_after_a_change_of_directory(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    runlore.set_tracking_uri(uri)
    experiment_id = RunloreClient().create_experiment("here")
    Path("elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    assert RunloreClient().get_experiment(experiment_id).name == "here"
    assert os.listdir() == []


def test_registered_models_can_live_in_another_store(tmp_path: Path) -> None:
    client = RunloreClient(tmp_path / "runs", tmp_path / "models")
    client.create_registered_model("m")
    assert [m.name for m in RunloreClient(tmp_path / "models").search_registered_models()] == ["m"]
    assert RunloreClient(tmp_path / "runs").search_registered_models() == []


def test_what_is_no_store_is_refused() -> None:
    with pytest.raises(InvalidParameter, match="databricks"):
        RunloreClient("databricks://x").search_experiments()
    with pytest.raises(InvalidParameter, match="workspaces"):
        RunloreClient(workspace_store_uri="x")


def test_a_server_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runlore.store.http.FIRST_PATIENCE_SECONDS", 0.1)
    with pytest.raises(Unavailable, match=r"http://127.0.0.1:9.*runlore server"):
        RunloreClient("http://127.0.0.1:9").search_experiments()


def test_a_forked_child_logs_to_the_same_store(tmp_path: Path) -> None:
    program = """
import os, runlore
client = runlore.RunloreClient("store")
run_id = client.create_run("0").info.run_id
child = os.fork()
if child == 0:
    client.log_metric(run_id, "child", 1)
    os._exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
client.log_metric(run_id, "parent", 1)
assert client.get_run(run_id).data.metrics == {"child": 1, "parent": 1}
"""
    subprocess.run([sys.executable, "-c", program], check=True, cwd=tmp_path, timeout=60)
