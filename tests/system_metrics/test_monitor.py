"""System metrics of runs."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.running import forget_environment

import runlore
from runlore.client.connection import close_stores
from runlore.exceptions import InvalidParameter
from runlore.settings import SYSTEM_METRICS

MACHINE = {
    "cpu_utilization_percentage", "system_memory_usage_megabytes", "system_memory_usage_percentage", "disk_usage_percentage",
    "disk_usage_megabytes", "disk_available_megabytes", "process_cpu_utilization_percentage", "process_memory_usage_megabytes",
    "process_count",
}  # fmt: skip
"""What every machine has."""


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    forget_environment(monkeypatch)
    for names in SYSTEM_METRICS.values():
        for name in names:
            monkeypatch.setenv(name, "")
    runlore.set_tracking_uri(tmp_path / "store")
    yield
    while runlore.active_run():
        runlore.end_run()
    close_stores()


def logged(run_id: str) -> dict[str, float]:
    return runlore.get_run(run_id).data.metrics


def test_a_run_that_wants_them_has_them_even_when_it_is_short() -> None:
    with runlore.start_run(log_system_metrics=True) as run:
        pass
    metrics = logged(run.info.run_id)
    assert {f"system/{name}" for name in MACHINE} <= metrics.keys()
    assert metrics["system/process_count"] >= 1
    assert 1 < metrics["system/process_memory_usage_megabytes"] < metrics["system/system_memory_usage_megabytes"]
    assert 0 < metrics["system/disk_usage_percentage"] <= 100


def test_nothing_is_recorded_unless_asked_for() -> None:
    with runlore.start_run() as run:
        pass
    assert logged(run.info.run_id) == {}


def test_all_runs_or_none() -> None:
    runlore.enable_system_metrics_logging()
    with runlore.start_run() as every:
        pass
    with runlore.start_run(log_system_metrics=False) as not_this:
        pass
    runlore.disable_system_metrics_logging()
    with runlore.start_run() as none:
        pass
    assert (bool(logged(every.info.run_id)), logged(not_this.info.run_id), logged(none.info.run_id)) == (True, {}, {})


@pytest.mark.parametrize("prefix", ["RUNLORE", "MLFLOW_ENABLE"])
def test_the_environment_turns_them_on(prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "RUNLORE_SYSTEM_METRICS" if prefix == "RUNLORE" else "MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING"
    monkeypatch.setenv(name, "true")
    with runlore.start_run() as run:
        pass
    assert "system/cpu_utilization_percentage" in logged(run.info.run_id)


def test_samples_are_points_of_growing_step_with_a_node_in_their_name() -> None:
    runlore.system_metrics.set_system_metrics_sampling_interval(0.1)
    runlore.system_metrics.set_system_metrics_node_id("node-3")
    client = runlore.MlflowClient()
    with runlore.start_run(log_system_metrics=True) as run:
        key = "system/node-3/cpu_utilization_percentage"
        while len(client.get_metric_history(run.info.run_id, key)) < 3:
            time.sleep(0.05)
    steps = [point.step for point in client.get_metric_history(run.info.run_id, key)]
    assert steps == list(range(len(steps)))
    assert all(name.startswith("system/node-3/") for name in logged(run.info.run_id))


def test_children_count_as_this_process() -> None:
    command = [sys.executable, "-c", "input()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as child:
        with runlore.start_run(log_system_metrics=True) as run:
            pass
        child.communicate(b"\n")
    assert logged(run.info.run_id)["system/process_count"] >= 2


def test_settings_that_make_no_sense_are_refused(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidParameter, match="Invalid sampling interval 0"):
        runlore.set_system_metrics_sampling_interval(0)
    with pytest.raises(InvalidParameter, match="Invalid number of samples 0"):
        runlore.set_system_metrics_samples_before_logging(0)
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "often")
    with runlore.start_run(log_system_metrics=True):
        pass
    assert "RUNLORE_SYSTEM_METRICS_SAMPLING_INTERVAL (or MLFLOW_…) is 'often'" in caplog.text


def test_choices_reach_child_processes() -> None:
    runlore.set_system_metrics_sampling_interval(7)
    runlore.set_system_metrics_sampling_interval(None)
    assert "RUNLORE_SYSTEM_METRICS_SAMPLING_INTERVAL" not in os.environ
    runlore.set_system_metrics_samples_before_logging(3)
    assert os.environ["RUNLORE_SYSTEM_METRICS_SAMPLES_BEFORE_LOGGING"] == "3"
