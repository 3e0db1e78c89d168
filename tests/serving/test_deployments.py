"""Deployments: servers on this machine that outlive who started them, and targets of plugins."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from click.testing import CliRunner

import runlore
import runlore.pyfunc
from runlore.cli.deployments import deployments
from runlore.deployments import PredictionsResponse, get_deploy_client, get_deployments_target, set_deployments_target, targets
from runlore.exceptions import AlreadyExists, InvalidParameter, InvalidState, NotFound, RunloreError
from runlore.settings import settings

PLUGIN = """
from runlore.deployments import BaseDeploymentClient

class FakeClient(BaseDeploymentClient):
    def create_deployment(self, name, model_uri, flavor=None, config=None, endpoint=None):
        return {"name": name, "flavor": flavor, "uri": self.target_uri, "config": config}
    def update_deployment(self, name, model_uri=None, flavor=None, config=None, endpoint=None):
        return {"flavor": flavor}
    def delete_deployment(self, name, config=None, endpoint=None):
        return None
    def list_deployments(self, endpoint=None):
        return [{"name": "x"}]
    def get_deployment(self, name, endpoint=None):
        return {"name": name}
    def predict(self, deployment_name=None, inputs=None, endpoint=None):
        return {"predictions": inputs}

def run_local(name, model_uri, flavor=None, config=None):
    print("ran", name, model_uri)

def target_help():
    return "Help of the fake target."
"""


@pytest.fixture
def doubling(tmp_path: Path) -> Path:
    """A model without a library, so that its server starts at once."""

    def double(model_input: Any) -> Any:
        return model_input * 2

    runlore.pyfunc.save_model(tmp_path / "doubling", python_model=double)
    return tmp_path / "doubling"


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(targets, "_chosen", None)
    settings.cache_clear()
    yield
    for item in get_deploy_client("local").list_deployments():
        get_deploy_client("local").delete_deployment(item["name"])


def run(*arguments: str) -> str:
    answer = CliRunner().invoke(deployments, list(arguments))
    assert answer.exit_code == 0, (answer.output, answer.exception)
    return answer.stdout


def test_a_server_is_started_asked_listed_updated_and_stopped(doubling: Path, tmp_path: Path) -> None:
    started = subprocess.run(
        [sys.executable, "-m", "runlore.cli.main", "deployments", "create", "--name", "twice", "-m", str(doubling), "--json"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert started.returncode == 0, started.stderr
    facts = json.loads(started.stdout)
    client = get_deploy_client("local")
    assert client.get_deployment("twice") == facts
    assert (facts["name"], facts["flavor"], facts["status"]) == ("twice", "python_function", "RUNNING")
    answer = client.predict("twice", np.array([1.5, 2]))
    assert answer.get_predictions("ndarray").tolist() == [3.0, 4.0]
    assert client.predict("twice", {"instances": [1, 2]}).get_predictions().to_dict("list") == {0: [2, 4]}
    with pytest.raises(RunloreError, match="twice: The model could not predict"):
        client.predict("twice", {"a": "text"})
    with pytest.raises(AlreadyExists, match="already"):
        client.create_deployment("twice", str(doubling))
    (tmp_path / "rows.json").write_text(json.dumps({"inputs": [5]}))
    assert json.loads(run("predict", "--name", "twice", "-I", str(tmp_path / "rows.json"))) == {"predictions": [10]}
    assert "RUNNING" in run("list")

    os.kill(facts["pid"], signal.SIGKILL)
    psutil.wait_procs([process for process in psutil.process_iter() if process.pid == facts["pid"]], timeout=30)
    assert client.get_deployment("twice")["status"] == "STOPPED"
    with pytest.raises(InvalidState, match="does not run"):
        client.predict("twice", [1])
    again = client.update_deployment("twice", config={"threads": "1"})
    assert again["pid"] != facts["pid"]
    assert again["config"] == {"threads": "1"}
    assert client.predict("twice", [7])["predictions"] == [14]
    run("delete", "--name", "twice")
    assert not psutil.pid_exists(again["pid"])
    assert client.list_deployments() == []
    client.delete_deployment("twice")
    with pytest.raises(NotFound, match="no deployment 'twice'"):
        client.get_deployment("twice")


def test_a_server_that_does_not_start_leaves_nothing(tmp_path: Path) -> None:
    client = get_deploy_client()
    with pytest.raises(InvalidState, match=r"(?s)did not start.*MLmodel"):
        client.create_deployment("broken", str(tmp_path))
    assert client.list_deployments() == []


@pytest.mark.parametrize(
    ("name", "config", "reason"),
    [
        ("../x", {}, "no name of a deployment"),
        ("x", {"colour": "red"}, "no settings"),
        ("x", {"model_uri": "other"}, "no settings"),
        ("x", {"threads": "many"}, "wrong value"),
    ],
)
def test_what_a_deployment_can_not_be(name: str, config: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidParameter, match=reason):
        get_deploy_client("local").create_deployment(name, "models:/x/1", config=config)


def test_targets_of_plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "fake_target.py").write_text(PLUGIN)
    (tmp_path / "half_target.py").write_text("def run_local(*_): ...\n")
    information = tmp_path / "fake-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: fake\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text("[mlflow.deployments]\nfake = fake_target\nhalf = half_target\n")
    monkeypatch.syspath_prepend(tmp_path)
    client = get_deploy_client("fake:/somewhere")
    assert client.create_deployment("x", "models:/x/1", config={"a": 1}) == {
        "name": "x", "flavor": None, "uri": "fake:/somewhere", "config": {"a": 1},
    }  # fmt: skip
    with pytest.raises(RunloreError, match=r"does not offer explain\(\)"):
        client.explain("x")
    runlore.deployments.run_local("fake", "x", "models:/x/1")
    assert capsys.readouterr().out == "ran x models:/x/1\n"
    assert run("help", "-t", "fake") == "Help of the fake target.\nTargets: fake, half, local.\n"
    assert json.loads(run("create", "-t", "fake", "--name", "y", "-m", "models:/y/1", "-C", "a=b", "--json"))["config"] == {
        "a": "b"
    }
    with pytest.raises(InvalidParameter, match="lacks target_help"):
        get_deploy_client("half")
    with pytest.raises(NotFound, match="Known: fake, half, local"):
        get_deploy_client("sagemaker:/x")
    set_deployments_target("fake")
    assert get_deployments_target() == "fake"
    assert get_deploy_client().list_deployments() == [{"name": "x"}]


def test_the_target_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RunloreError, match="No deployments target"):
        get_deployments_target()
    monkeypatch.setenv("MLFLOW_DEPLOYMENTS_TARGET", "local")
    settings.cache_clear()
    assert get_deployments_target() == "local"


def test_predictions_in_the_forms_of_mlflow(tmp_path: Path) -> None:
    answer = PredictionsResponse.from_json('{"predictions": [{"a": 1}, {"a": 2}]}')
    assert answer.get_predictions().to_dict("list") == {"a": [1, 2]}
    assert PredictionsResponse(predictions=[1, 2]).get_predictions("ndarray", "float32").dtype == "float32"
    assert PredictionsResponse(predictions="text").get_predictions().to_dict("list") == {0: ["text"]}
    assert PredictionsResponse(predictions={"a": 1}).get_predictions().to_dict("list") == {"a": [1]}
    assert answer.to_json() == '{"predictions": [{"a": 1}, {"a": 2}]}'
    answer.to_json(tmp_path / "out.json")
    assert json.loads((tmp_path / "out.json").read_text()) == answer
    with pytest.raises(InvalidParameter, match="dataframe or ndarray"):
        answer.get_predictions("list")
    for text in ("[1]", "{", "{}"):
        with pytest.raises(RunloreError, match="Expected a JSON object with predictions"):
            PredictionsResponse.from_json(text)
