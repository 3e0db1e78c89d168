"""Experiments and runs through the client."""

from __future__ import annotations

import math
import threading
import time
from decimal import Decimal
from enum import IntEnum
from fractions import Fraction

import numpy
import pytest

from runlore.client import MlflowClient, RunloreClient
from runlore.entities import Dataset, DatasetInput, Metric, Param, RunTag, ViewType
from runlore.exceptions import AlreadyExists, InvalidParameter, MlflowException, NotFound


def test_an_experiment_lives(client: RunloreClient) -> None:
    name = f"über {time.time_ns()}"
    experiment_id = client.create_experiment(name, tags={"team": "α", "n": 3})
    experiment = client.get_experiment(experiment_id)
    assert (experiment.name, experiment.tags) == (name, {"team": "α", "n": "3"})
    with pytest.raises(AlreadyExists):
        client.create_experiment(name)

    client.set_experiment_tag(experiment_id, "n", 4)
    client.delete_experiment_tag(experiment_id, "team")
    client.rename_experiment(experiment_id, f"{name} 2")
    found = client.get_experiment_by_name(f"{name} 2")
    assert found is not None
    assert found.tags == {"n": "4"}

    client.delete_experiment(experiment_id)
    assert experiment_id not in [e.experiment_id for e in client.search_experiments()]
    assert experiment_id in [e.experiment_id for e in client.search_experiments(ViewType.DELETED_ONLY)]
    client.restore_experiment(experiment_id)
    assert [e.experiment_id for e in client.search_experiments(filter_string=f"name = '{name} 2'")] == [experiment_id]
    assert client.get_experiment_by_name("no such experiment") is None


def test_a_run_lives(client: RunloreClient, experiment: str) -> None:
    before = int(time.time() * 1000)
    run = client.create_run(experiment, tags={"mlflow.user": "ada", "k": 1}, run_name="first run ü")
    run_id = run.info.run_id
    assert (run.info.run_name, run.info.status, run.info.experiment_id) == ("first run ü", "RUNNING", experiment)
    assert run.info.start_time is not None
    assert before <= run.info.start_time <= int(time.time() * 1000)
    assert run.data.tags["k"] == "1"

    client.update_run(run_id, name="renamed")
    client.set_terminated(run_id, "FAILED", end_time=before + 5)
    info = client.get_run(run_id).info
    assert (info.run_name, info.status, info.end_time) == ("renamed", "FAILED", before + 5)

    client.delete_run(run_id)
    assert client.search_runs([experiment]) == []
    assert [r.info.run_id for r in client.search_runs([experiment], run_view_type=ViewType.ALL)] == [run_id]
    client.restore_run(run_id)
    assert [r.info.run_id for r in client.search_runs([experiment])] == [run_id]


def test_statuses_are_words_or_mlflows_numbers(client: RunloreClient, run_id: str) -> None:
    client.set_terminated(run_id, 4)  # type: ignore[arg-type]  # what mlflow.entities.RunStatus.FAILED is there
    assert client.get_run(run_id).info.status == "FAILED"
    with pytest.raises(InvalidParameter, match="SUCCESS"):
        client.set_terminated(run_id, "SUCCESS")


class MlflowViewType(IntEnum):
    """MLflow's numbers."""

    ACTIVE_ONLY, DELETED_ONLY, ALL = 1, 2, 3


@pytest.mark.parametrize("view", [2, "DELETED_ONLY", MlflowViewType.DELETED_ONLY])
def test_view_types_are_words_numbers_or_enums(client: RunloreClient, experiment: str, run_id: str, view: int | str) -> None:
    client.delete_run(run_id)
    assert [r.info.run_id for r in client.search_runs([experiment], run_view_type=view)] == [run_id]


def test_an_unknown_view_type_is_named(client: RunloreClient, experiment: str) -> None:
    with pytest.raises(InvalidParameter, match="9"):
        client.search_runs([experiment], run_view_type=9)


def test_metrics_of_any_number_type(client: RunloreClient, run_id: str) -> None:
    values = [
        1,
        2.5,
        True,
        "0.5",
        numpy.float32(3),
        numpy.int64(4),
        numpy.array([5.0]),
        numpy.array(6),
        Decimal("7"),
        Fraction(8),
    ]
    for step, value in enumerate(values):
        client.log_metric(run_id, "m", value, timestamp=1_000 + step, step=numpy.int64(step))  # type: ignore[arg-type]
    history = client.get_metric_history(run_id, "m")
    assert [point.value for point in history] == [1.0, 2.5, 1.0, 0.5, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]
    assert [point.step for point in history] == list(range(10))
    assert [point.timestamp for point in history] == list(range(1_000, 1_010))
    assert client.get_run(run_id).data.metrics == {"m": 8.0}


def test_non_finite_metrics(client: RunloreClient, run_id: str) -> None:
    for step, value in enumerate([math.nan, math.inf, -math.inf]):
        client.log_metric(run_id, "loss", value, step=step)
    values = [point.value for point in client.get_metric_history(run_id, "loss")]
    assert math.isnan(values[0])
    assert values[1:] == [math.inf, -math.inf]


@pytest.mark.parametrize("value", [None, "abc", [1.0], numpy.zeros(2), object()])
def test_what_is_no_number_is_refused_by_name(client: RunloreClient, run_id: str, value: object) -> None:
    with pytest.raises(InvalidParameter, match="accuracy"):
        client.log_metric(run_id, "accuracy", value)  # type: ignore[arg-type]
    assert client.get_run(run_id).data.metrics == {}


@pytest.mark.parametrize("key", ["", None, 3, "k" * 251, "\ud800"])
def test_keys_are_checked(client: RunloreClient, run_id: str, key: str) -> None:
    for call in (client.log_metric, client.log_param, client.set_tag):
        with pytest.raises(InvalidParameter, match="key"):
            call(run_id, key, 1)  # type: ignore[operator]


def test_params_take_any_type_and_keep_their_first_value(client: RunloreClient, run_id: str) -> None:
    assert client.log_param(run_id, "layers", [1, 2]) == [1, 2]
    client.log_param(run_id, "none", None)
    client.log_param(run_id, "lr/β 1", 0.1)
    client.log_param(run_id, "layers", [1, 2])
    with pytest.raises(MlflowException, match="layers") as caught:
        client.log_param(run_id, "layers", [3])
    assert caught.value.error_code == "INVALID_PARAMETER_VALUE"
    assert client.get_run(run_id).data.params == {"layers": "[1, 2]", "none": "None", "lr/β 1": "0.1"}


def test_long_params_are_kept_whole(client: RunloreClient, run_id: str, caplog: pytest.LogCaptureFixture) -> None:
    long = "a" * 6_000 + "é" * 50_000
    client.log_param(run_id, "one", long)
    client.log_param(run_id, "one", long)  # the same value as before
    client.log_batch(run_id, params=[Param(f"p{number}", f"{number}" + "é" * 99_999) for number in range(10)])
    client.log_param(run_id, "number", "1" * 7_000)
    assert caplog.records == []
    client.log_param(run_id, "longest", "b" * 100_001)
    assert "Param value of 'longest'" in caplog.text
    data = client.get_run(run_id).data.params
    assert (data["one"], data["p7"], len(data["longest"])) == (long, "7" + "é" * 99_999, 100_000)
    [found] = client.search_runs([client.get_run(run_id).info.experiment_id], "params.p7 LIKE '7é%'")
    assert found.data.params["one"] == long
    with pytest.raises(MlflowException, match="Changing param values is not allowed"):
        client.log_param(run_id, "one", long + "!", synchronous=True)


def test_long_params_and_tags_are_cut_with_a_warning(
    client: RunloreClient, experiment: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRUNCATE_LONG_VALUES", "true")
    run_id = client.create_run(experiment, tags={"made": "m" * 8_001}).info.run_id
    client.log_param(run_id, "fits", "x" * 6_000)
    client.set_tag(run_id, "fits", "x" * 8_000)
    assert [record.args[1] for record in caplog.records if record.args] == ["made"]
    client.log_param(run_id, "long", "a" * 6_000 + "b")
    client.log_param(run_id, "long", "a" * 6_000 + "b")  # the same value as before
    client.set_tag(run_id, "long", "c" * 8_000 + "d")
    client.log_batch(run_id, params=[Param("batch", "é" * 7_000)], tags=[RunTag("batch", "é" * 9_000)])
    data = client.get_run(run_id).data
    assert (data.params["long"], data.params["batch"]) == ("a" * 6_000, "é" * 6_000)
    assert (data.tags["made"], data.tags["long"], data.tags["batch"]) == ("m" * 8_000, "c" * 8_000, "é" * 8_000)
    assert {record.levelname for record in caplog.records} == {"WARNING"}
    assert "Param value of 'long'" in caplog.text
    assert "(6001 characters), is truncated to 6000 characters" in caplog.text
    assert "Tag value of 'batch'" in caplog.text


@pytest.mark.parametrize("variable", ["RUNLORE_TRUNCATE_LONG_VALUES", "MLFLOW_TRUNCATE_LONG_VALUES"])
def test_long_params_and_tags_are_refused_on_demand(
    client: RunloreClient, run_id: str, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "False")
    client.log_param(run_id, "long", "x" * 6_000)
    with pytest.raises(MlflowException, match="exceeds the maximum length of 6000 characters") as caught:
        client.log_param(run_id, "longer", "x" * 6_001)
    assert caught.value.error_code == "INVALID_PARAMETER_VALUE"
    assert "log_text" in str(caught.value)
    with pytest.raises(MlflowException, match="exceeds the maximum length of 8000 characters"):
        client.set_tag(run_id, "longer", "x" * 8_001)
    monkeypatch.setenv(variable, "perhaps")
    with pytest.raises(MlflowException, match="'perhaps'"):
        client.set_tag(run_id, "longer", "x" * 8_001)


def test_long_values_of_what_is_no_run_are_refused(client: RunloreClient, experiment: str) -> None:
    with pytest.raises(MlflowException, match="exceeds the maximum length of 8000 characters"):
        client.create_experiment(f"{experiment} with a long tag", tags={"long": "x" * 8_001})


def test_times_and_steps_are_whole_numbers(client: RunloreClient, run_id: str) -> None:
    with pytest.raises(InvalidParameter, match=r"Invalid timestamp 1\.5"):
        client.log_metric(run_id, "loss", 1, timestamp=1.5)  # type: ignore[arg-type]
    with pytest.raises(InvalidParameter, match=r"Invalid step 1\.5"):
        client.log_metric(run_id, "loss", 1, step=1.5)  # type: ignore[arg-type]


def test_batches_of_any_size(client: RunloreClient, run_id: str) -> None:
    client.log_batch(
        run_id,
        metrics=[Metric(key=f"m{i % 3}", value=i, timestamp=i, step=i) for i in range(2_500)],
        params=[Param(key=f"p{i}", value=str(i)) for i in range(250)],
        tags=[RunTag(key=f"t{i}", value=str(i)) for i in range(101)],
    )
    data = client.get_run(run_id).data
    assert len(data.params) == 250
    assert data.tags["t100"] == "100"
    assert data.metrics == {"m0": 2499.0, "m1": 2497.0, "m2": 2498.0}
    assert len(client.get_metric_history(run_id, "m0")) == 834


def test_entities_are_made_with_positional_arguments_as_in_mlflow(client: RunloreClient, run_id: str) -> None:
    client.log_batch(run_id, [Metric("m", 1.0, 5, 2)], [Param("p", "1")], [RunTag("t", "x")])
    assert client.get_metric_history(run_id, "m")[0].step == 2


def test_tags(client: RunloreClient, run_id: str) -> None:
    client.set_tag(run_id, "t", 1)
    client.set_tag(run_id, "t", "ü")
    assert client.get_run(run_id).data.tags["t"] == "ü"
    client.delete_tag(run_id, "t")
    assert "t" not in client.get_run(run_id).data.tags
    with pytest.raises(NotFound):
        client.delete_tag(run_id, "t")
    client.set_tag(run_id, "mlflow.runName", "by tag")
    assert client.get_run(run_id).info.run_name == "by tag"


def test_asynchronous_calls_have_been_carried_out_when_waited_for(client: RunloreClient, run_id: str) -> None:
    pending = client.log_metric(run_id, "m", 1.0, synchronous=False)
    assert pending is not None
    pending.wait()
    assert client.get_run(run_id).data.metrics == {"m": 1.0}
    refused = client.log_param("0" * 32, "p", 1, synchronous=False)
    with pytest.raises(NotFound):
        refused.wait()


def test_inputs(client: RunloreClient, run_id: str) -> None:
    dataset = Dataset(name="iris", digest="abc", source_type="local", source="{}")
    client.log_inputs(run_id, datasets=[DatasetInput(dataset=dataset)])
    assert [item.dataset.name for item in client.get_run(run_id).inputs.dataset_inputs] == ["iris"]


def test_search_goes_over_pages(client: RunloreClient, experiment: str) -> None:
    ids = {client.create_run(experiment, run_name=f"r{i}").info.run_id for i in range(5)}
    for index, run_id in enumerate(sorted(ids)):
        client.log_metric(run_id, "score", index)
    page = client.search_runs([experiment], max_results=3, order_by=["metrics.score DESC"])
    assert [run.data.metrics["score"] for run in page] == [4.0, 3.0, 2.0]
    assert page.token
    rest = client.search_runs([experiment], max_results=3, order_by="metrics.score DESC", page_token=page.token)  # type: ignore[arg-type]
    assert [run.data.metrics["score"] for run in rest] == [1.0, 0.0]
    assert rest.token is None
    assert [r.data.metrics["score"] for r in client.search_runs([experiment], "metrics.score > 3")] == [4.0]


def test_nested_runs(client: RunloreClient, experiment: str, run_id: str) -> None:
    child = client.create_run(experiment, tags={"mlflow.parentRunId": run_id}).info.run_id
    parent = client.get_parent_run(child)
    assert parent is not None
    assert parent.info.run_id == run_id
    assert client.get_parent_run(run_id) is None


def test_one_client_serves_many_threads(client: RunloreClient, run_id: str) -> None:
    def log(worker: int) -> None:
        for step in range(20):
            client.log_metric(run_id, f"m{worker}", step, step=step)

    threads = [threading.Thread(target=log, args=(worker,)) for worker in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for worker in range(8):
        assert [point.step for point in client.get_metric_history(run_id, f"m{worker}")] == list(range(20))


def test_what_does_not_exist_is_not_found(client: RunloreClient) -> None:
    with pytest.raises(NotFound) as caught:
        client.get_run("0" * 32)
    assert caught.value.error_code == "RESOURCE_DOES_NOT_EXIST"
    with pytest.raises(NotFound):
        client.get_experiment("999999")


def test_the_client_has_mlflows_name_too() -> None:
    assert MlflowClient is RunloreClient
