"""What other libraries bring to log to MLflow logs to Runlore, unchanged and without MLflow."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import runlore
from runlore.client.connection import close_stores
from runlore.entities import Metric, Run

ALL = Path(__file__).parent / "callbacks" / "all_of_them.py"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[runlore.MlflowClient]:
    """A client of the store into which `runlore run --as-mlflow` let all the scripts log."""
    place = tmp_path_factory.mktemp("callbacks")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "RUNLORE_"))}
    environment |= {"MLFLOW_TRACKING_URI": str(place / "store"), "MLFLOW_EXPERIMENT_NAME": "transformers"}
    done = subprocess.run(
        [sys.executable, "-m", "runlore.cli.main", "run", "--as-mlflow", str(ALL)],
        cwd=place, env=environment, capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    yield runlore.MlflowClient(str(place / "store"))
    close_stores()


def runs_of(client: runlore.MlflowClient, experiment: str) -> list[Run]:
    found = client.get_experiment_by_name(experiment)
    assert found is not None
    runs = client.search_runs([found.experiment_id], order_by=["start_time"])
    assert all(run.info.status == "FINISHED" for run in runs)
    return list(runs)


def history(client: runlore.MlflowClient, run: Run, key: str) -> list[tuple[int, float]]:
    points: list[Metric] = client.get_metric_history(run.info.run_id, key)
    return [(point.step, point.value) for point in points]


def test_there_is_no_mlflow_here() -> None:
    with pytest.raises(importlib.metadata.PackageNotFoundError):
        importlib.metadata.version("mlflow")


def test_the_callback_of_transformers(client: runlore.MlflowClient) -> None:
    [run] = runs_of(client, "transformers")
    assert run.info.run_name == "tiny"
    assert [step for step, _ in history(client, run, "loss")] == list(range(1, 9))
    assert [step for step, _ in history(client, run, "eval_loss")] == [4, 8]
    assert run.data.metrics["epoch"] == 2
    assert {"num_train_epochs", "learning_rate", "hidden_dim", "n_layers"} <= run.data.params.keys()
    assert (run.data.params["hidden_dim"], run.data.params["logging_steps"]) == ("32", "1")


def test_the_logger_of_lightning(client: runlore.MlflowClient) -> None:
    [run] = runs_of(client, "lines")
    assert (run.info.run_name, run.data.tags["team"], run.data.params) == ("tiny", "a", {"rate": "0.1"})
    assert [step for step, _ in history(client, run, "train_loss")] == list(range(12))
    losses = [value for _, value in history(client, run, "val_loss")]
    assert len(losses) == 3
    assert losses[-1] < losses[0]
    [folder] = [item.path for item in client.list_artifacts(run.info.run_id) if item.path != "runlore"]
    files = {Path(item.path).name for item in client.list_artifacts(run.info.run_id, folder)}
    assert files == {f"{folder}.ckpt", "metadata.yaml", "aliases.txt"}
    point = client.download_artifacts(run.info.run_id, f"{folder}/{folder}.ckpt")
    import torch

    assert torch.load(point, weights_only=True)["epoch"] == 2


def test_the_callback_of_optuna(client: runlore.MlflowClient) -> None:
    runs = runs_of(client, "squares")
    assert [run.info.run_name for run in runs] == ["0", "1", "2", "3"]
    for run in runs:
        x = float(run.data.params["x"])
        assert run.data.metrics == pytest.approx({"inside": x, "square": x * x})
        assert (run.data.tags["direction"], run.data.tags["state"]) == ("MINIMIZE", "COMPLETE")
        assert run.data.tags["x_distribution"].startswith("FloatDistribution")


def test_the_callback_of_keras(client: runlore.MlflowClient) -> None:
    [run] = runs_of(client, "keras")
    assert run.data.metrics.keys() == {"loss", "mae", "val_loss", "val_mae", "validation_loss", "validation_mae"}
    assert [step for step, _ in history(client, run, "val_loss")] == [0, 1, 2]
    assert run.data.params["optimizer_name"] == "adam"
    assert float(run.data.params["optimizer_learning_rate"]) == pytest.approx(0.01)
    assert "dense_1" in Path(client.download_artifacts(run.info.run_id, "model_summary.txt")).read_text(encoding="utf-8")


def test_the_autologging_of_xgboost(client: runlore.MlflowClient) -> None:
    [run] = runs_of(client, "boosting")
    assert [step for step, _ in history(client, run, "train-logloss")] == list(range(5))
    assert (run.data.params["max_depth"], run.data.params["num_boost_round"]) == ("2", "5")
