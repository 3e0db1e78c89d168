"""Models cross over: MLflow loads what Runlore logged, Runlore loads what MLflow logged."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from tests.compat.conftest import mlflow_of

import runlore
import runlore.pyfunc
import runlore.sklearn
from runlore.evaluation import EvaluationResult
from runlore.exceptions import MissingDependency, Untrusted
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


def runlore_runs(server: str, folder: Path, script: str) -> str:
    """What a script written for MLflow prints last when Runlore stands in for MLflow."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "RUNLORE_"))}
    environment |= {"MLFLOW_TRACKING_URI": server, "RUNLORE_SNAPSHOT": "0", "RUNLORE_CONSOLE": "0"}
    environment |= {"RUNLORE_CONFIG_DIR": str(folder / "config")}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "runlore.cli.main", "run", "--as-mlflow", str(SCRIPTS / script)],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()[-1]


def test_an_evaluation_finds_what_mlflow_finds(server: str, tmp_path: Path) -> None:
    """The same script with both: names, values to 1e-9, files, tables; and MLflow's saved result is read."""
    python = mlflow_of(3)
    (tmp_path / "theirs").mkdir()
    (tmp_path / "ours").mkdir()
    with ThreadPoolExecutor() as both:
        answers = both.submit(mlflow_runs, python, server, tmp_path / "theirs", "evaluate.py")
        ours = json.loads(runlore_runs(server, tmp_path / "ours", "evaluate.py"))
        theirs = json.loads(answers.result())
    assert theirs.keys() == ours.keys()
    for name in theirs:
        for part in ("metrics", "logged"):
            assert ours[name][part] == pytest.approx(theirs[name][part], rel=1e-9), (name, part)
        assert ours[name]["artifacts"] == theirs[name]["artifacts"], name
        if theirs[name]["per_class"]:
            assert ours[name]["per_class"].keys() == theirs[name]["per_class"].keys()
            for column, values in theirs[name]["per_class"].items():
                like = values if column == "positive_class" else pytest.approx(values, rel=1e-9)
                assert ours[name]["per_class"][column] == like, column
        for table, columns in theirs[name]["tables"].items():
            assert list(ours[name]["tables"][table]) == list(columns)
            for column, values in columns.items():
                assert ours[name]["tables"][table][column] == pytest.approx(values, abs=1e-8), column
    saved = EvaluationResult.load(tmp_path / "theirs" / "result")
    assert saved.metrics == pytest.approx(theirs["a line, measured further"]["metrics"])
    assert len(saved.tables["eval_results_table"]) == 442


PYTHON_MODELS = ("hinted", "configured", "streamed", "function", "from code")


def test_models_written_by_hand_cross_over(mlflow_python: Path, server: str, tmp_path: Path) -> None:
    """Python models of MLflow load in Runlore and the other way round, though neither is installed beside the other."""
    kinds = PYTHON_MODELS[1:] if is_2(mlflow_python) else PYTHON_MODELS
    (tmp_path / "theirs").mkdir()
    (tmp_path / "ours").mkdir()
    told = json.loads(mlflow_runs(mlflow_python, server, tmp_path / "theirs", "python_models.py", "write", *kinds))
    for kind in kinds:
        place = tmp_path / "theirs" / kind
        with pytest.raises(Untrusted, match="allow_pickle=True"):
            runlore.pyfunc.load_model(place)
        if kind == "from code":  # which imports mlflow
            with pytest.raises(MissingDependency, match="install_as_mlflow"):
                runlore.pyfunc.load_model(place, allow_pickle=True)
            continue
        assert runlore.pyfunc.load_model(place, allow_pickle=True).predict(["a", "bb"]) == told[kind], kind
    assert list(runlore.pyfunc.load_model(tmp_path / "theirs/streamed", allow_pickle=True).predict_stream("x")) == ["x", "!"]
    assert runlore.pyfunc.load_model(tmp_path / "theirs/configured", allow_pickle=True, model_config={"word": "other"}).predict(
        ["a"]
    ) == ["a other"]
    program = """import runlore; runlore.install_as_mlflow()
print(runlore.pyfunc.load_model("from code", allow_pickle=True, model_config={"word": "there"}).predict(["a"]))"""
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path / "theirs", capture_output=True, text=True, check=True)
    assert done.stdout == "['a there']\n"
    script = [sys.executable, "-W", "ignore", "-m", "runlore.cli.main", "run", "--as-mlflow", str(SCRIPTS / "python_models.py")]
    environment = os.environ | {"MLFLOW_TRACKING_URI": server, "RUNLORE_SNAPSHOT": "0"}
    subprocess.run([*script, "write", *kinds], cwd=tmp_path / "ours", env=environment, check=True, capture_output=True)
    read = json.loads(mlflow_runs(mlflow_python, server, tmp_path / "ours", "python_models.py", "read", *kinds))
    assert read == told
