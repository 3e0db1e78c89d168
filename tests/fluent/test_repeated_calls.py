"""Logging what was logged before takes a short way into the journal; what it does is the same."""

from __future__ import annotations

import os
import threading
from typing import Any

import numpy
import pytest

import runlore
from runlore.entities import Metric
from runlore.exceptions import InvalidParameter


def points(run_id: str, key: str) -> list[tuple[int, float]]:
    return [(point.step, point.value) for point in runlore.MlflowClient().get_metric_history(run_id, key)]


@pytest.fixture
def run_id(experiment: str) -> str:
    """An active run in which `m` has been logged once."""
    run = runlore.start_run()
    runlore.log_metric("m", 0.5, step=1)
    return run.info.run_id


@pytest.mark.parametrize("value", [2.5, 3, True, "4.5", numpy.float64(5), numpy.float32(0.5), numpy.array([6.0]), float("inf")])
def test_every_kind_of_number_goes_on_being_one(run_id: str, value: Any) -> None:
    expected = float(value.item() if hasattr(value, "item") else value)
    runlore.log_metric("m", value, step=2)
    runlore.log_metrics({"m": value}, step=3)
    assert points(run_id, "m") == [(1, 0.5), (2, expected), (3, expected)]


@pytest.mark.parametrize(
    ("step", "stored"), [(None, 0), (7, 7), (numpy.int64(7), 7), (7.0, 7), (-(2**63), -(2**63)), (2**63 - 1, 2**63 - 1)]
)
def test_every_kind_of_step_goes_on_being_one(run_id: str, step: Any, stored: int) -> None:
    runlore.log_metric("m", 1.5, step=step)
    runlore.log_metrics({"m": 2.5}, step=step)
    assert points(run_id, "m") == [(1, 0.5), (stored, 1.5), (stored, 2.5)]


@pytest.mark.parametrize("step", [2**63, -(2**63) - 1, 1.5, "2"])
def test_a_wrong_step_goes_on_being_refused(run_id: str, step: Any) -> None:
    with pytest.raises(InvalidParameter, match="tep"):
        runlore.log_metric("m", 1.5, step=step)
    with pytest.raises(InvalidParameter, match="tep"):
        runlore.log_metrics({"m": 1.5}, step=step)
    assert points(run_id, "m") == [(1, 0.5)]


@pytest.mark.parametrize("value", [None, "much", object()])
def test_what_is_no_number_goes_on_being_refused(run_id: str, value: Any) -> None:
    with pytest.raises(InvalidParameter, match="metric 'm'"):
        runlore.log_metric("m", value, step=2)
    with pytest.raises(InvalidParameter, match="metric 'm'"):
        runlore.log_metrics({"m": value}, step=2)
    assert points(run_id, "m") == [(1, 0.5)]


def test_more_metrics_than_a_record_holds() -> None:
    run_id = runlore.start_run().info.run_id
    values = {f"k{number}": float(number) for number in range(2_500)}
    for step in (1, 2):
        runlore.log_metrics(values, step=step)
    assert points(run_id, "k0") == [(1, 0.0), (2, 0.0)]
    assert points(run_id, "k2499") == [(1, 2499.0), (2, 2499.0)]


def test_the_points_are_those_of_the_active_run(run_id: str) -> None:
    with runlore.start_run(nested=True) as child:
        runlore.log_metric("m", 7.5, step=1)
        runlore.log_metric("m", 8.5, step=2)
    runlore.log_metric("m", 9.5, step=2)
    assert points(child.info.run_id, "m") == [(1, 7.5), (2, 8.5)]
    assert points(run_id, "m") == [(1, 0.5), (2, 9.5)]


def test_points_go_on_being_linked_to_a_model_that_becomes_active(run_id: str) -> None:
    model = runlore.set_active_model(name="the-model")
    runlore.log_metric("m", 1.5, step=2)
    runlore.clear_active_model()
    runlore.log_metric("m", 2.5, step=3)
    found: list[Metric] = runlore.MlflowClient().get_metric_history(run_id, "m")
    assert [point.model_id for point in found] == [None, model.model_id, None]


def test_a_deleted_run_takes_nothing_more(run_id: str) -> None:
    runlore.delete_run(run_id)
    with pytest.raises(InvalidParameter, match="deleted"):
        runlore.log_metric("m", 1.5, step=2)
    with pytest.raises(InvalidParameter, match="deleted"):
        runlore.log_metrics({"m": 1.5}, step=2)
    runlore.MlflowClient().restore_run(run_id)
    runlore.log_metric("m", 2.5, step=2)
    assert points(run_id, "m") == [(1, 0.5), (2, 2.5)]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_logs_into_the_run_too(run_id: str) -> None:
    child = os.fork()
    if child == 0:
        try:
            runlore.log_metric("m", 1.5, step=2)
            runlore.log_metric("m", 2.5, step=3)
            runlore.MlflowClient().flush()
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    runlore.log_metric("m", 3.5, step=4)
    assert sorted(points(run_id, "m")) == [(1, 0.5), (2, 1.5), (3, 2.5), (4, 3.5)]


def test_many_threads_log_the_same_metric(run_id: str) -> None:
    def log(number: int) -> None:
        with runlore.start_run(run_id=run_id):
            for step in range(200):
                runlore.log_metric("m", float(number), step=step)

    threads = [threading.Thread(target=log, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(points(run_id, "m")) == 1 + 8 * 200
