"""Models cross over: MLflow loads what Runlore logged, Runlore loads what MLflow logged."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier

import runlore
import runlore.pyfunc
import runlore.sklearn
from runlore.exceptions import Untrusted
from runlore.models import get_model_info
from runlore.settings import settings

SCRIPTS = Path(__file__).parent / "scripts"
X, y = load_iris(return_X_y=True, as_frame=True)


@pytest.fixture(autouse=True)
def on_the_server(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Runlore, in this process, talks to the server as well."""
    monkeypatch.setenv("RUNLORE_TRACKING_URI", server)
    monkeypatch.setenv("RUNLORE_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.delenv("RUNLORE_EXPERIMENT_ID", raising=False)
    settings.cache_clear()
    yield
    settings.cache_clear()


@pytest.fixture(scope="module")
def forest() -> Any:
    """A fitted forest."""
    return RandomForestClassifier(4, random_state=0).fit(X, y)


def is_2(python: Path) -> bool:
    """True for the environment that holds MLflow 2."""
    return any((python.parents[1] / "lib").glob("python*/site-packages/mlflow-2.*"))


def mlflow_runs(python: Path, server: str, folder: Path, script: str, *arguments: str) -> str:
    """What a script prints last."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "RUNLORE_", "PYTHON"))}
    environment |= {"MLFLOW_TRACKING_URI": server, "MLFLOW_DISABLE_TELEMETRY": "true", "GIT_PYTHON_REFRESH": "quiet"}
    done = subprocess.run(
        [str(python), "-W", "ignore", str(SCRIPTS / script), *arguments],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()[-1]


def test_mlflow_loads_what_runlore_logged(mlflow_python: Path, server: str, tmp_path: Path, forest: Any) -> None:
    """MLflow 3 in both formats; MLflow 2, which knows no skops, as cloudpickle. By every kind of URI it knows."""
    uris = []
    with runlore.start_run() as run:
        for kind in ("cloudpickle",) if is_2(mlflow_python) else ("skops", "cloudpickle"):
            info = runlore.sklearn.log_model(
                forest, kind, serialization_format=kind, registered_model_name=f"Forest-{kind}", input_example=X.head(2)
            )
            uris += [f"runs:/{run.info.run_id}/{kind}", f"models:/Forest-{kind}/1"]
            uris += [] if is_2(mlflow_python) else [info.model_uri]
    answers = json.loads(mlflow_runs(mlflow_python, server, tmp_path, "load_models.py", *uris))
    expected = forest.predict(X).tolist()
    signature = get_model_info(uris[0]).signature
    assert signature is not None
    for uri in uris:
        assert answers[uri]["sklearn"] == answers[uri]["pyfunc"] == expected, uri
        assert answers[uri]["inputs"] == json.loads(signature.to_dict()["inputs"])
        assert answers[uri]["outputs"] == json.loads(signature.to_dict()["outputs"])
        assert answers[uri]["example"] == "dataframe"


@pytest.mark.parametrize("serialization_format", ["cloudpickle", "skops"])
def test_runlore_loads_what_mlflow_logged(mlflow_python: Path, server: str, tmp_path: Path, serialization_format: str) -> None:
    """A skops file after its checks, a pickle with the caller's word."""
    if is_2(mlflow_python) and serialization_format == "skops":
        pytest.skip("MLflow 2 has no skops format")
    told = json.loads(mlflow_runs(mlflow_python, server, tmp_path, "log_models.py", serialization_format))
    for uri in told["uris"]:
        if serialization_format == "cloudpickle":
            for load in (runlore.sklearn.load_model, runlore.pyfunc.load_model):
                with pytest.raises(Untrusted, match="allow_pickle=True"):
                    load(uri)
        consent = serialization_format == "cloudpickle"
        assert runlore.sklearn.load_model(uri, allow_pickle=consent).predict(X).tolist() == told["predictions"]
        assert runlore.pyfunc.load_model(uri, allow_pickle=consent).predict(X).tolist() == told["predictions"]
        signature = get_model_info(uri).signature
        assert signature is not None
        assert signature.to_dict() == told["signature"]


def test_a_version_that_mlflow_registers_of_a_model_of_runlore_loads(
    mlflow_python: Path, server: str, tmp_path: Path, forest: Any
) -> None:
    """MLflow 2 names a place below the run; the version leads to the logged model all the same."""
    with runlore.start_run() as run:
        info = runlore.sklearn.log_model(forest, "forest")
    told = mlflow_runs(mlflow_python, server, tmp_path, "register_model.py", f"runs:/{run.info.run_id}/forest", "Forest")
    assert told == "Forest 1"
    assert runlore.sklearn.load_model("models:/Forest/1").predict(X).tolist() == forest.predict(X).tolist()
    assert runlore.MlflowClient().get_model_version("Forest", "1").model_id == info.model_id
