"""The examples do what they say: locally, in MLflow's place, and as the start of a dashboard."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from runlore.client import MlflowClient

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a user works: an empty directory."""
    place = tmp_path / "my work"
    place.mkdir()
    return place


def python(folder: Path, *arguments: str) -> str:
    """What a Python process in `folder` prints."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "RUNLORE_", "XDG_"))}
    environment["RUNLORE_CONFIG_DIR"] = str(folder.parent / "config")
    done = subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def check_guide(folder: Path, printed: str) -> None:
    """The run, its param and metric, the version and the predictions are there."""
    client = MlflowClient(folder / ".runlore")
    (run,) = client.search_runs(["0"])
    assert (run.info.status, run.data.params, run.data.metrics) == ("FINISHED", {"n_estimators": "100"}, {"accuracy": 1.0})
    assert client.get_model_version("RandomForestModel", "1").run_id == run.info.run_id
    assert f"Run {run.info.run_id}: accuracy 1.000" in printed
    assert "Registered RandomForestModel, version 1" in printed
    assert re.search(r"Predictions: \[1 0 2 1 1 0 1 2 1 1\]", printed)


def test_the_guide_runs_on_a_local_store(folder: Path) -> None:
    check_guide(folder, python(folder, str(EXAMPLES / "guide.py")))


def test_the_guide_written_for_mlflow_runs_without_mlflow(folder: Path) -> None:
    assert importlib.util.find_spec("mlflow") is None
    check_guide(folder, python(folder, "-m", "runlore.cli.main", "run", "--as-mlflow", str(EXAMPLES / "guide_mlflow.py")))


def test_both_guides_are_one_text() -> None:
    ours, theirs = ((EXAMPLES / name).read_text().partition("iris = ")[2] for name in ("guide.py", "guide_mlflow.py"))
    assert ours.replace("runlore.", "mlflow.") == theirs


@pytest.fixture
def demo(folder: Path) -> Path:
    """The store that `make run` shows, trained by make in a clone."""
    (folder / ".git").mkdir()  # a store without a name would go here
    shutil.copy(EXAMPLES.parent / "Makefile", folder)
    shutil.copytree(EXAMPLES, folder / "examples")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "RUNLORE_", "MAKE"))}
    environment["MLFLOW_TRACKING_URI"] = "http://localhost:1"  # what a user of MLflow has in the environment
    environment["RUNLORE_CONFIG_DIR"] = str(folder.parent / "config")
    made = ["-o", ".venv/.ready", "-o", "src/runlore/server/static/index.html", f"RUN={sys.executable}"]
    subprocess.run(["make", "--silent", "demo", *made], cwd=folder, env=environment, check=True, timeout=280)
    assert not (folder / ".runlore").exists()
    return folder / "demo" / ".runlore"


def test_make_run_fills_a_dashboard(demo: Path) -> None:
    client = MlflowClient(demo)
    assert {model.name for model in client.search_registered_models()} == {"RandomForestModel", "digits"}
    experiment = client.get_experiment_by_name("digits")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    (sweep,) = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    children = [run for run in runs if run is not sweep]
    assert len(children) == 6
    for run in children:
        assert run.data.tags["mlflow.parentRunId"] == sweep.info.run_id
        assert len(client.get_metric_history(run.info.run_id, "batch/loss")) == 16 * 21
        assert len(client.get_metric_history(run.info.run_id, "test/accuracy")) == 16
        files = {file.path for file in client.list_artifacts(run.info.run_id)}
        assert files == {"runlore", "report.txt", "summary.json", "mistakes.md", "confusion_matrix.png"}
        assert len(run.outputs.model_outputs) == 1
    best = client.get_model_version("digits", "1").run_id
    assert best == sweep.data.tags["best_run"]
    assert (
        max(run.data.metrics["test/accuracy"] for run in children) == client.get_run(best or "").data.metrics["test/accuracy"]
    )
