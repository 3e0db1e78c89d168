"""Without a server everything that logs works; later, all of it arrives as if there had been one."""

from __future__ import annotations

import math
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.running import running_server

import runlore
from runlore.client import RunloreClient
from runlore.client.connection import close_stores
from runlore.exceptions import Unavailable
from runlore.store import http

RUNLORE = [sys.executable, "-m", "runlore.cli.main"]


def log_something(experiment: str) -> str:
    """A run with something of each kind; what is read back is what was written."""
    runlore.set_experiment(experiment)
    with runlore.start_run(run_name="far away", tags={"made": "offline"}) as run:
        run_id = run.info.run_id
        runlore.log_params({"lr": 0.1, "layers": [1, 2], "long": "x" * 7_000})
        for step in range(100):
            runlore.log_metrics({"loss": 1 / (step + 1), "nan": math.nan}, step=step)
        runlore.log_text("words", "notes/a.txt")
        runlore.log_dict({"k": 1}, "data.json")
        read = runlore.get_run(run_id)
        assert (read.data.params["layers"], read.data.metrics["loss"], read.data.tags["made"]) == ("[1, 2]", 0.01, "offline")
        assert len(read.data.params["long"]) == 7_000
        assert [point.step for point in RunloreClient().get_metric_history(run_id, "loss")] == list(range(100))
        with runlore.start_run(nested=True, run_name="inner"):
            runlore.log_metric("m", 1)
    assert runlore.get_run(run_id).info.status == "FINISHED"
    return run_id


def check(uri: str, run_id: str, experiment: str) -> None:
    """The run as a server has it that knew of it from the beginning."""
    client = RunloreClient(uri)
    run = client.get_run(run_id)
    found = client.get_experiment_by_name(experiment)
    assert found is not None
    assert (run.info.experiment_id, run.info.run_name, run.info.status) == (found.experiment_id, "far away", "FINISHED")
    assert (run.data.params, run.data.metrics["loss"]) == (
        {"lr": "0.1", "layers": "[1, 2]", "long": "x" * 7_000},
        0.01,
    )
    assert len(client.get_metric_history(run_id, "nan")) == 100
    assert sorted(file.path for file in client.list_artifacts(run_id)) == ["data.json", "notes"]
    assert Path(client.download_artifacts(run_id, "notes/a.txt")).read_text() == "words"
    (inner,) = client.search_runs([found.experiment_id], f"tags.`mlflow.parentRunId` = '{run_id}'")
    assert (inner.info.run_name, inner.data.metrics) == ("inner", {"m": 1.0})


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.mark.parametrize("known", [False, True], ids=["new experiment", "known experiment"])
def test_offline_by_choice(server: str, surroundings: Path, monkeypatch: pytest.MonkeyPatch, known: bool) -> None:
    experiment = f"offline {known}"
    if known:
        RunloreClient(server).create_experiment(experiment)
        close_stores()
    monkeypatch.setenv("RUNLORE_OFFLINE", "1")
    runlore.set_tracking_uri(server)
    run_id = log_something(experiment)
    with pytest.raises(Unavailable, match="runlore sync"):
        runlore.search_runs(output_format="list")
    close_stores()
    monkeypatch.delenv("RUNLORE_OFFLINE")
    for round_ in range(2):
        done = subprocess.run([*RUNLORE, "sync"], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert ("Nothing was left behind" in done.stdout) == bool(round_)
    check(server, run_id, experiment)
    assert not list(surroundings.glob("files/*"))


def test_a_server_that_is_not_there_at_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process waits a moment, goes on without it, and delivers when it comes."""
    monkeypatch.setattr(http, "FIRST_PATIENCE_SECONDS", 0.2)
    port = free_port()
    uri = f"http://127.0.0.1:{port}"
    runlore.set_tracking_uri(uri)
    run_id = log_something("late")
    with running_server(tmp_path / "late", port):
        client = RunloreClient()
        deadline = time.monotonic() + 60
        while not client.flush(1.0):
            assert time.monotonic() < deadline
        check(uri, run_id, "late")
        assert runlore.search_runs(experiment_names=["late"], output_format="list")
        close_stores()


def test_that_a_server_is_away_is_said_once(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "FIRST_PATIENCE_SECONDS", 0.2)
    runlore.set_tracking_uri(f"http://127.0.0.1:{free_port()}")
    for number in range(2):
        with runlore.start_run(run_name=f"run {number}"):
            runlore.log_metric("m", 1)
        assert caplog.text.count("have not arrived") == 1
    close_stores()
    assert caplog.text.count("have not arrived") == 2, "how many it is in the end"
    assert caplog.text.count("what is logged is kept in") == 1
    with runlore.start_run():
        pass
    told = caplog.text.count("have not arrived")
    close_stores()
    assert caplog.text.count("have not arrived") == told, "nothing came since"


def test_children_of_an_offline_process_mean_the_same_experiment(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNLORE_OFFLINE", "1")
    runlore.set_tracking_uri(server)
    runlore.set_experiment("a family")
    program = "import runlore\nwith runlore.start_run() as run:\n    runlore.log_metric('m', 1)\nprint(run.info.run_id)\n"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=dict(os.environ), check=True)
    assert "runlore sync" in done.stderr
    monkeypatch.delenv("RUNLORE_OFFLINE")
    close_stores()
    subprocess.run([*RUNLORE, "sync"], check=True, capture_output=True)
    client = RunloreClient(server)
    found = client.get_experiment_by_name("a family")
    assert found is not None
    assert client.get_run(done.stdout.strip()).info.experiment_id == found.experiment_id
