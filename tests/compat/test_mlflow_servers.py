"""Runlore's SDK does what its users do with it, against a real MLflow server, which knows neither deliveries nor keys."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.compat.conftest import mlflow_of
from tests.running import forget_environment

import runlore
from runlore.api.runs import CreateRun
from runlore.client.connection import close_stores

pytest.importorskip("sklearn")


@pytest.fixture(scope="module")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of an MLflow 3 server on an empty SQLite store."""
    python, folder = mlflow_of(3), tmp_path_factory.mktemp("mlflow")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    store = ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", str(folder / "artifacts")]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "PYTHON"))}
    environment |= {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(
            [str(python), "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1", *store],
            cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
        try:
            url = f"http://127.0.0.1:{port}"
            _wait_for(url, server, folder / "log")
            yield url
        finally:
            os.killpg(server.pid, signal.SIGTERM)
            server.wait(timeout=30)


def _wait_for(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + 120
    while time.monotonic() < end and server.poll() is None:
        try:
            with urllib.request.urlopen(url + "/health"):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    pytest.fail(f"MLflow's server does not start:\n{log.read_text()}")


@pytest.fixture(autouse=True)
def on_mlflow(mlflow_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This process logs to it, in an experiment and with a spool of the test's own."""
    forget_environment(monkeypatch)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RUNLORE_SPOOL_DIR", str(tmp_path / "spool"))
    runlore.set_tracking_uri(mlflow_server)
    runlore.set_experiment(tmp_path.name)
    yield
    while runlore.active_run():
        runlore.end_run()
    runlore.set_tracking_uri(None)
    close_stores()


def test_a_run_without_an_experiment_is_one_of_the_default_experiment() -> None:
    assert runlore.MlflowClient().create_run(experiment_id="0").info.experiment_id == "0"
    assert runlore.MlflowClient().store.call(CreateRun()).run.info.experiment_id == "0"


def test_what_a_run_logs_arrives_whole() -> None:
    with runlore.start_run() as run:
        runlore.log_params({f"p{number}": number for number in range(250)})
        runlore.set_tags({f"t{number}": "" for number in range(250)})
        for step in range(2_500):
            runlore.log_metric("loss", step / 2, step=step)
        runlore.log_metrics({f"m{number}": number for number in range(1_500)}, step=0)
    client = runlore.MlflowClient()
    found = client.get_run(run.info.run_id)
    assert found.info.status == "FINISHED"
    assert len(found.data.params) == 250
    assert sum(key.startswith("t") for key in found.data.tags) == 250
    assert sum(key.startswith("m") for key in found.data.metrics) == 1_500
    assert [point.step for point in client.get_metric_history(run.info.run_id, "loss")] == list(range(2_500))
    assert len(runlore.search_runs(filter_string="metrics.loss > 3 AND params.p1 = '1'", output_format="list")) == 1


def test_tables_begin_and_grow() -> None:
    with runlore.start_run() as run:
        runlore.log_table({"a": [1, 2]}, "table.json")
        runlore.log_table({"a": [3]}, "table.json")
    assert list(runlore.load_table("table.json", run_ids=[run.info.run_id])["a"]) == [1, 2, 3]


def test_models_are_logged_registered_and_loaded(tmp_path: Path) -> None:
    from sklearn.linear_model import LinearRegression

    model = LinearRegression().fit([[0.0], [1.0]], [0.0, 1.0])
    with runlore.start_run() as run:
        info = runlore.sklearn.log_model(model, registered_model_name=tmp_path.name)
    client = runlore.MlflowClient()
    client.set_registered_model_alias(tmp_path.name, "best", "1")
    client.set_logged_model_tags(info.model_id, {"kind": "line"})
    assert client.get_logged_model(info.model_id).tags["kind"] == "line"
    uris = [info.model_uri, f"runs:/{run.info.run_id}/model", f"models:/{tmp_path.name}/1", f"models:/{tmp_path.name}@best"]
    for uri in uris:
        assert runlore.sklearn.load_model(uri).predict([[3.0]]).round(6) == [3.0], uri


def test_what_was_logged_offline_waits_for_a_server_that_takes_its_ids(
    mlflow_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    close_stores()
    monkeypatch.setenv("RUNLORE_OFFLINE", "1")
    runlore.set_experiment(f"{tmp_path.name} offline")
    with runlore.start_run() as run:
        runlore.log_metric("loss", 0.5)
    close_stores()
    monkeypatch.delenv("RUNLORE_OFFLINE")
    told = subprocess.run([sys.executable, "-m", "runlore.cli.main", "sync"], capture_output=True, text=True)
    assert told.returncode == 1
    assert "runlore sync --to URI" in told.stderr
    assert not list((tmp_path / "spool").glob("**/refused.jsonl"))
    runlore.set_tracking_uri(tmp_path / "store")
    close_stores()
    command = [sys.executable, "-m", "runlore.cli.main", "sync", "--to", str(tmp_path / "store")]
    assert subprocess.run(command, capture_output=True, text=True).returncode == 0
    assert runlore.get_run(run.info.run_id).data.metrics == {"loss": 0.5}
