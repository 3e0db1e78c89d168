"""Starting, nesting, resuming and ending runs."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy
import pytest

import runlore
from runlore.entities import Run
from runlore.exceptions import InvalidParameter, MlflowException


def status(run_id: str) -> str:
    return runlore.get_run(run_id).info.status


def test_a_with_block_starts_and_ends_a_run(experiment: str) -> None:
    with runlore.start_run(run_name="primera", tags={"k": 1}, description="a note") as run:
        assert runlore.active_run() is run
        assert isinstance(run, Run)
        assert run.info.experiment_id == experiment
        assert status(run.info.run_id) == "RUNNING"
    assert runlore.active_run() is None
    ended = runlore.get_run(run.info.run_id)
    assert (ended.info.run_name, ended.info.status) == ("primera", "FINISHED")
    assert (ended.data.tags["k"], ended.data.tags["mlflow.note.content"]) == ("1", "a note")
    assert ended.info.end_time is not None
    assert ended.info.start_time is not None
    assert ended.info.end_time >= ended.info.start_time


def test_an_exception_fails_the_run_and_goes_on(experiment: str) -> None:
    with pytest.raises(ZeroDivisionError), runlore.start_run() as run:
        1 / 0  # noqa: B018
    assert status(run.info.run_id) == "FAILED"


def test_a_second_run_needs_nested(experiment: str) -> None:
    with runlore.start_run() as outer:
        with pytest.raises(MlflowException, match=f"Run with UUID {outer.info.run_id} is already active.*nested=True"):
            runlore.start_run()
        with runlore.start_run(nested=True) as inner:
            runlore.log_metric("m", 1)
        assert runlore.active_run() is outer
    parent = runlore.get_parent_run(inner.info.run_id)
    assert parent is not None
    assert parent.info.run_id == outer.info.run_id
    assert runlore.get_run(inner.info.run_id).data.metrics == {"m": 1}
    assert runlore.get_run(outer.info.run_id).data.metrics == {}


def test_inner_runs_left_open_end_with_the_outer_one(experiment: str) -> None:
    with runlore.start_run() as outer:
        inner = runlore.start_run(nested=True)
    assert (status(outer.info.run_id), status(inner.info.run_id)) == ("FINISHED", "FINISHED")
    assert runlore.active_run() is None


def test_a_parent_can_be_named(experiment: str) -> None:
    with runlore.start_run() as parent:
        pass
    child = runlore.start_run(parent_run_id=parent.info.run_id)
    with pytest.raises(MlflowException, match="does not match the specified parent_run_id"):
        runlore.start_run(nested=True, parent_run_id=parent.info.run_id)
    runlore.end_run()
    found = runlore.get_parent_run(child.info.run_id)
    assert found is not None
    assert found.info.run_id == parent.info.run_id
    runlore.delete_run(parent.info.run_id)
    with pytest.raises(MlflowException, match="deleted"):
        runlore.start_run(parent_run_id=parent.info.run_id)


def test_a_run_is_resumed(experiment: str) -> None:
    with runlore.start_run() as first:
        runlore.log_metric("m", 1, step=1)
    with runlore.start_run(run_id=first.info.run_id, run_name="again", tags={"round": 2}) as again:
        assert again.info.run_id == first.info.run_id
        assert status(again.info.run_id) == "RUNNING"
        runlore.log_metric("m", 2, step=2)
    run = runlore.get_run(first.info.run_id)
    assert (run.info.status, run.info.run_name, run.data.tags["round"], run.data.metrics) == (
        "FINISHED",
        "again",
        "2",
        {"m": 2},
    )
    assert len(runlore.MlflowClient().get_metric_history(first.info.run_id, "m")) == 2


@pytest.mark.parametrize("variable", ["RUNLORE_RUN_ID", "MLFLOW_RUN_ID"])
def test_a_run_of_the_environment_is_resumed_once(experiment: str, variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with runlore.start_run() as first:
        pass
    monkeypatch.setenv(variable, first.info.run_id)
    with runlore.start_run() as again:
        assert again.info.run_id == first.info.run_id
        assert variable not in os.environ
    with runlore.start_run() as other:
        assert other.info.run_id != first.info.run_id


def test_a_deleted_run_is_not_resumed_until_it_is_restored(experiment: str) -> None:
    with runlore.start_run() as run:
        pass
    runlore.delete_run(run.info.run_id)
    with pytest.raises(MlflowException, match="deleted state"):
        runlore.start_run(run_id=run.info.run_id)
    runlore.restore_run(run.info.run_id)
    with runlore.start_run(run_id=run.info.run_id):
        pass


def test_a_run_of_another_experiment_is_not_resumed_by_mistake(experiment: str) -> None:
    with runlore.start_run(experiment_id="0") as run:
        pass
    with pytest.raises(MlflowException, match="does not match"):
        runlore.start_run(run_id=run.info.run_id)


def test_a_description_is_given_once(experiment: str) -> None:
    with pytest.raises(InvalidParameter, match="Description is already set"):
        runlore.start_run(description="a", tags={"mlflow.note.content": "b"})


def test_the_last_run_is_remembered(experiment: str) -> None:
    with runlore.start_run() as run:
        runlore.log_param("p", 1)
    last = runlore.last_active_run()
    assert last is not None
    assert (last.info.run_id, last.data.params) == (run.info.run_id, {"p": "1"})


def test_end_run_takes_a_status_and_needs_no_run(experiment: str) -> None:
    runlore.end_run()
    run = runlore.start_run()
    runlore.end_run("KILLED")
    assert status(run.info.run_id) == "KILLED"


def test_logging_starts_a_run(experiment: str) -> None:
    runlore.log_metric("m", 1)
    run = runlore.active_run()
    assert run is not None
    assert runlore.get_run(run.info.run_id).data.metrics == {"m": 1}


def test_each_thread_has_its_own_active_run(experiment: str) -> None:
    names: dict[int, str | None] = {}
    barrier = threading.Barrier(4)

    def work(worker: int) -> None:
        with runlore.start_run(run_name=f"w{worker}") as run:
            barrier.wait()
            for step in range(10):
                runlore.log_metric("m", worker, step=step)
            active = runlore.active_run()
            names[worker] = active.info.run_name if active else None
            assert run.info.run_name == names[worker]

    with runlore.start_run(run_name="main") as main:
        threads = [threading.Thread(target=work, args=(worker,)) for worker in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert runlore.active_run() is main
    assert names == {worker: f"w{worker}" for worker in range(4)}
    runs = runlore.search_runs([experiment], output_format="list")
    assert {run.info.run_name: run.data.metrics.get("m") for run in runs} == {
        "main": None, "w0": 0.0, "w1": 1.0, "w2": 2.0, "w3": 3.0,
    }  # fmt: skip
    assert {run.info.status for run in runs} == {"FINISHED"}


def test_an_open_run_stays_with_its_store(tmp_path: Path) -> None:
    run = runlore.start_run()
    here = runlore.get_tracking_uri()
    runlore.set_tracking_uri(tmp_path / "other")
    runlore.log_metric("m", 1)
    runlore.end_run()
    runlore.set_tracking_uri(here)
    found = runlore.get_run(run.info.run_id)
    assert (found.data.metrics, found.info.status) == ({"m": 1}, "FINISHED")


def test_runs_are_tagged_with_where_they_come_from(tmp_path: Path) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    project = tmp_path / "projekt ß"
    (project / ".git" / "refs" / "heads").mkdir(parents=True)
    (project / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    (project / ".git" / "packed-refs").write_text(f"# pack-refs\n{commit} refs/heads/main\n")
    (project / "train.py").write_text("import runlore\nwith runlore.start_run(): pass\n")
    environment = {**os.environ, "LOGNAME": "ada"}
    subprocess.run([sys.executable, "train.py"], cwd=project, check=True, env=environment, timeout=60)
    runlore.set_tracking_uri(project / ".runlore")
    [run] = runlore.search_runs(output_format="list")
    tags = run.data.tags
    assert (tags["mlflow.user"], tags["mlflow.source.name"], tags["mlflow.source.type"]) == ("ada", "train.py", "LOCAL")
    assert tags["mlflow.source.git.commit"] == commit
    assert run.info.user_id == "ada"


END = {
    "plain": ("", 0, "FINISHED"),
    "exception": ("raise ValueError('boom')", 1, "FAILED"),
    "interrupt": ("raise KeyboardInterrupt", -2, "KILLED"),
    "exit": ("import sys; sys.exit(3)", 3, "FINISHED"),
    "ended": ("runlore.end_run('KILLED')", 0, "KILLED"),
}


@pytest.mark.parametrize("ending", END)
def test_runs_end_with_the_process(ending: str, tracking_uri: str) -> None:
    last_line, code, expected = END[ending]
    program = f"import runlore\nrun = runlore.start_run()\nrunlore.log_metric('m', 1)\nprint(run.info.run_id)\n{last_line}\n"
    environment = {**os.environ, "RUNLORE_TRACKING_URI": tracking_uri}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, timeout=60)
    assert done.returncode == code, done.stderr
    assert ("Traceback" in done.stderr) == (ending in ("exception", "interrupt"))
    run = runlore.get_run(done.stdout.strip())
    assert (run.info.status, run.data.metrics) == (expected, {"m": 1})


def test_two_processes_log_into_one_local_store(tmp_path: Path) -> None:
    program = """
import sys, runlore
runlore.set_experiment("shared")
with runlore.start_run(run_name=sys.argv[1]):
    for step in range(100):
        runlore.log_metric("m", step, step=step)
"""
    processes = [
        subprocess.Popen([sys.executable, "-c", program, name], stderr=subprocess.PIPE, text=True) for name in ("a", "b")
    ]
    assert [(process.communicate(timeout=120)[1], process.returncode) for process in processes] == [("", 0), ("", 0)]
    runs = runlore.search_runs(experiment_names=["shared"], output_format="list")
    assert sorted(run.info.run_name for run in runs) == ["a", "b"]
    client = runlore.RunloreClient()
    for run in runs:
        assert [point.step for point in client.get_metric_history(run.info.run_id, "m")] == list(range(100))


def test_a_first_script_says_nothing(tmp_path: Path) -> None:
    program = "import runlore\nwith runlore.start_run():\n    runlore.log_param('a', 1)\n    runlore.log_metric('m', 1)\n"
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert sorted(path.name for path in Path.cwd().iterdir()) == [".runlore"]


def test_what_is_read_becomes_plain_dictionaries() -> None:
    with runlore.start_run(run_name="read") as run:
        runlore.log_metric("loss", 0.5)
        runlore.log_param("lr", 0.1)
        runlore.log_input(runlore.data.from_numpy(numpy.zeros(2), name="zeros"), context="training")
    client = runlore.MlflowClient()
    read = client.get_run(run.info.run_id)
    plain = read.to_dictionary()
    assert list(plain) == ["data", "info", "inputs", "outputs"]
    assert plain["data"] == {"metrics": {"loss": 0.5}, "params": {"lr": "0.1"}, "tags": read.data.tags} == dict(read.data)
    assert plain["info"] == dict(read.info)
    assert plain["info"]["status"] == "FINISHED"
    [given] = plain["inputs"]["dataset_inputs"]
    assert (given["dataset"]["name"], given["tags"]["mlflow.data.context"]) == ("zeros", "training")
    assert plain["inputs"]["model_inputs"] == []
    assert plain["outputs"] == {"model_outputs": []}
    [point] = client.get_metric_history(run.info.run_id, "loss")
    assert point.to_dictionary() == dict(point)
    assert (dict(point)["step"], dict(point)["value"]) == (0, 0.5)
    client.create_registered_model("m", tags={"a": "b"})
    client.create_model_version("m", f"runs:/{run.info.run_id}/m", run.info.run_id)
    client.set_registered_model_alias("m", "champion", "1")
    version = dict(client.get_model_version("m", "1"))
    assert (version["version"], version["aliases"], version["tags"], version["description"]) == ("1", ["champion"], {}, None)
    model = dict(client.get_registered_model("m"))
    assert (model["name"], model["tags"], model["aliases"]) == ("m", {"a": "b"}, {"champion": "1"})
    assert dict(client.get_experiment("0"))["name"] == "Default"
