"""Processes that go on with a run: what they log again takes the place of what was there, and nothing else does."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path

import pytest

import runlore
from runlore.api.delivery import Deliver
from runlore.api.resume import GetReplacedPoints, GetRunChanges, RunChanges
from runlore.client import RunloreClient
from runlore.client.connection import close_stores
from runlore.entities import Metric
from runlore.exceptions import InvalidParameter

RUNLORE = [sys.executable, "-m", "runlore.cli.main"]
TRAIN = """
import os, sys, time, runlore
first, last, sign = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
run = runlore.start_run(run_id=os.environ.get("GO_ON"))
print(run.info.run_id, flush=True)
runlore.log_param("sign", sign)
for step in range(first, last):
    runlore.log_metric("loss", sign * step, step=step)
    if step % 10 == 0:
        runlore.log_metrics({"eval/a": sign, "eval/b": step}, step=step)
runlore.log_metric("first", first)
if len(sys.argv) > 4:
    print("logged", flush=True)
    time.sleep(float(sys.argv[4]))
"""


def train(uri: str, *arguments: object, **more: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "RUNLORE_TRACKING_URI": uri, "RUNLORE_CONSOLE": "0", "RUNLORE_SNAPSHOT": "0", **more}
    return subprocess.Popen(
        [sys.executable, "-c", TRAIN, *map(str, arguments)], stdout=subprocess.PIPE, text=True, env=environment
    )


def trained(uri: str, *arguments: object, **more: str) -> str:
    with train(uri, *arguments, **more) as process:
        assert process.stdout is not None
        run_id = process.stdout.readline().strip()
    assert process.returncode == 0
    return run_id


def killed(uri: str, *arguments: object, **more: str) -> str:
    """The run of a process that is killed when it has logged everything, at no matter what state of its delivery."""
    with train(uri, *arguments, 60, **more) as process:
        assert process.stdout is not None
        run_id, logged = process.stdout.readline().strip(), process.stdout.readline()
        assert logged == "logged\n"
        process.send_signal(signal.SIGKILL)
    return run_id


def losses(uri: str, run_id: str, key: str = "loss") -> list[tuple[int, float]]:
    return sorted((point.step, point.value) for point in RunloreClient(uri).get_metric_history(run_id, key))


def changes(uri: str, run_id: str) -> RunChanges:
    return RunloreClient(uri).store.call(GetRunChanges(run_id=run_id))


def due(cut: int, last: int) -> list[tuple[int, float]]:
    return [(n, 1.0 * n) for n in range(cut)] + [(n, -1.0 * n) for n in range(cut, last)]


def test_a_killed_training_is_resumed_at_its_checkpoint(uri: str) -> None:
    run_id = killed(uri, 0, 1_000, 1)
    assert trained(uri, 900, 1_050, -1, GO_ON=run_id) == run_id
    assert losses(uri, run_id) == due(900, 1_050)
    assert losses(uri, run_id, "eval/a") == [(n, 1.0) for n in range(0, 900, 10)] + [(n, -1.0) for n in range(900, 1_050, 10)]
    assert [value for _, value in losses(uri, run_id, "first")] == [0.0, 900.0], "points without a step replace nothing"
    run = RunloreClient(uri).get_run(run_id)
    assert (run.info.status, run.data.params, run.data.metrics["loss"]) == ("FINISHED", {"sign": "-1.0"}, -1_049.0)
    (resume,), (param,) = changes(uri, run_id).resumes, changes(uri, run_id).params
    assert (resume.points, resume.metrics, resume.from_step, param.key, param.value) == (120, 3, 900, "sign", "1.0")
    kept = RunloreClient(uri).store.call(GetReplacedPoints(run_id=run_id, metric_key="loss")).metrics
    assert [(point.step, point.value) for point in kept] == [(n, 1.0 * n) for n in range(900, 1_000)]


def test_again_and_again_and_killed_each_time(uri: str) -> None:
    run_id = killed(uri, 0, 300, 1)
    for number in range(1, 4):
        assert killed(uri, 100 * number, 100 * number + 300, number + 1, GO_ON=run_id) == run_id
    assert trained(uri, 400, 500, 9, GO_ON=run_id) == run_id
    values = [1.0] * 100 + [2.0] * 100 + [3.0] * 100 + [4.0] * 100 + [9.0] * 100
    assert losses(uri, run_id) == [(n, n * values[n]) for n in range(500)]
    assert [resume.points for resume in changes(uri, run_id).resumes] == [240, 240, 240, 240]


def test_a_run_that_lives_in_another_process_is_joined(uri: str) -> None:
    """A child that is given the run of its living parent, for instance."""
    with train(uri, 0, 100, 1, 60) as parent:
        assert parent.stdout is not None
        run_id, _ = parent.stdout.readline().strip(), parent.stdout.readline()
        program = "import runlore, sys\nrunlore.start_run(run_id=sys.argv[1])\n"
        program += "for n in range(50): runlore.log_metric('loss', -1 - n, step=n)"
        done = subprocess.run(
            [sys.executable, "-c", program, run_id],
            env={**os.environ, "RUNLORE_TRACKING_URI": uri},
            capture_output=True,
            text=True,
        )
        assert (done.returncode, done.stderr) == (0, "")
        parent.send_signal(signal.SIGKILL)
    RunloreClient(uri).log_metric(RunloreClient(uri).create_run("0").info.run_id, "m", 1)  # whose first delivery sweeps
    close_stores()
    assert subprocess.run([*RUNLORE, "sync", *([] if uri.startswith("http") else [uri])]).returncode == 0
    assert len(losses(uri, run_id)) == 150
    assert changes(uri, run_id).resumes == []


def test_a_process_elsewhere_may_live(uri: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a process on another machine only the store knows, and only when it was heard of."""
    runlore.set_tracking_uri(uri)
    client = RunloreClient()
    run_id = client.create_run("0").info.run_id
    client.log_batch(run_id, [Metric(key="loss", value=1.0, timestamp=1, step=n) for n in range(10)])
    close_stores()
    client.store.call(Deliver(run_id=run_id, writer_id="ab" * 16))
    with caplog.at_level(logging.WARNING), runlore.start_run(run_id=run_id):
        runlore.log_metric("loss", 2.0, step=5)
    assert "RUNLORE_RESUME=replace" in caplog.text
    assert len(losses(uri, run_id)) == 11
    client.update_run(run_id, "RUNNING")
    monkeypatch.setenv("RUNLORE_RESUME", "replace")
    with runlore.start_run(run_id=run_id):
        runlore.log_metric("loss", 3.0, step=4)
    assert losses(uri, run_id) == [(n, 1.0) for n in range(4)] + [(4, 3.0)]
    monkeypatch.setenv("RUNLORE_RESUME", "append")
    with runlore.start_run(run_id=run_id):
        runlore.log_metric("loss", 4.0, step=0)
    assert len(losses(uri, run_id)) == 6
    monkeypatch.setenv("RUNLORE_RESUME", "perhaps")
    with pytest.raises(InvalidParameter, match="perhaps"):
        runlore.start_run(run_id=run_id)


def test_all_ranks_of_a_killed_job_come_back(uri: str) -> None:
    """They come in any order, the first one resumes the run and the others join it; none cuts what another one logs."""
    shared = uuid.uuid4().hex
    for first, last, sign in ((0, 200, 1), (150, 300, -1)):
        ranks = [train(uri, first, last, sign, 60, RUNLORE_RUN_ID=shared, RANK=str(rank), WORLD_SIZE="3") for rank in range(3)]
        for process in ranks:
            assert process.stdout is not None
            assert process.stdout.readline().strip() == shared
            process.stdout.readline()
        for process in ranks:
            process.send_signal(signal.SIGKILL)
            process.communicate()
    assert subprocess.run([*RUNLORE, "sync", *([] if uri.startswith("http") else [uri])]).returncode == 0
    found = losses(uri, shared)
    assert {step for step, _ in found} == set(range(300))
    assert all(value == (step if step < 150 else -step) for step, value in found)
    assert [resume.from_step for resume in changes(uri, shared).resumes] == [150]


def test_params_of_a_resumed_run_may_change(uri: str) -> None:
    runlore.set_tracking_uri(uri)
    with runlore.start_run() as run:
        runlore.log_params({"lr": 0.1, "layers": 3})
        with pytest.raises(InvalidParameter, match="Changing param values is not allowed"):
            runlore.log_param("lr", 0.2)
        with runlore.start_run(run_id=run.info.run_id, nested=True), pytest.raises(InvalidParameter, match="Changing"):
            runlore.log_param("lr", 0.2)  # open in this process: not resumed
    with runlore.start_run(run_id=run.info.run_id):
        runlore.log_params({"lr": 0.2, "new": 1})
        runlore.log_param("layers", 4, synchronous=True)
        with pytest.raises(InvalidParameter, match="Changing"):
            runlore.log_param("lr", 0.3)
        with pytest.raises(InvalidParameter, match="Changing"):
            runlore.log_param("lr", 0.3, synchronous=True)
    assert runlore.get_run(run.info.run_id).data.params == {"lr": "0.2", "layers": "4", "new": "1"}
    assert {(item.key, item.value) for item in changes(uri, run.info.run_id).params} == {("lr", "0.1"), ("layers", "3")}


def test_threads_share_a_resumed_run(uri: str) -> None:
    runlore.set_tracking_uri(uri)
    with runlore.start_run() as run:
        for step in range(20):
            runlore.log_metric("m", 0.0, step=step)

    def work(number: int) -> None:
        with runlore.start_run(run_id=run.info.run_id):
            for step in range(10, 20):
                runlore.log_metric("m", float(number), step=step)
            barrier.wait()

    barrier = threading.Barrier(4)
    threads = [threading.Thread(target=work, args=(number,)) for number in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert losses(uri, run.info.run_id, "m") == [(n, 0.0) for n in range(10)] + sorted(
        (n, float(number)) for n in range(10, 20) for number in range(1, 5)
    )


@pytest.mark.parametrize("end", ["ended", "killed"])
def test_offline(server: str, tmp_path: Path, end: str) -> None:
    """A run that was made offline is resumed offline; the journals arrive in the order of their processes."""
    run_id = (killed if end == "killed" else trained)(server, 0, 100, 1, RUNLORE_OFFLINE="1")
    time.sleep(0.01)
    assert trained(server, 80, 120, -1, GO_ON=run_id, RUNLORE_OFFLINE="1") == run_id
    for _ in range(2):
        assert subprocess.run([*RUNLORE, "sync"]).returncode == 0
        assert losses(server, run_id) == due(80, 120)
    run = RunloreClient(server).get_run(run_id)
    assert (run.info.status, run.data.params) == ("FINISHED", {"sign": "-1.0"})
    assert [resume.points for resume in changes(server, run_id).resumes] == [24]
    assert trained(server, 110, 130, 1, GO_ON=run_id, RUNLORE_OFFLINE="1") == run_id  # of this one only the server knows
    assert subprocess.run([*RUNLORE, "sync"]).returncode == 0
    assert losses(server, run_id) == due(80, 110) + [(n, 1.0 * n) for n in range(110, 130)]


def test_made_offline_and_resumed_when_the_server_is_back(server: str) -> None:
    """The run is still in the journal of the process that was killed: the one that goes on with it delivers that first."""
    run_id = killed(server, 0, 100, 1, RUNLORE_OFFLINE="1")
    assert trained(server, 80, 120, -1, GO_ON=run_id) == run_id
    assert losses(server, run_id) == due(80, 120)


def test_the_command_line_says_what_was_changed(tmp_path: Path) -> None:
    uri = str(tmp_path / "store")
    run_id = trained(uri, 0, 100, 1)
    trained(uri, 90, 110, -1, GO_ON=run_id)
    program = [*RUNLORE, "runs"]
    text = subprocess.run([*program, "describe", run_id, "--store", uri], capture_output=True, text=True, check=True).stdout
    assert "12 points of 3 metrics replaced, from step 90" in text
    assert "before: sign" in text
    told = json.loads(
        subprocess.run([*program, "describe", run_id, "--store", uri, "--json"], capture_output=True, check=True).stdout
    )
    assert (told["info"]["run_id"], told["changes"]["resumes"][0]["points"]) == (run_id, 12)
    assert [(item["key"], item["value"]) for item in told["changes"]["params"]] == [("sign", "1.0")]
    other = trained(uri, 0, 10, 1)
    done = subprocess.run([*program, "diff", run_id, other, "--store", uri], capture_output=True, text=True)
    assert done.returncode == 1
    assert "Param sign of A was '1.0' until" in done.stderr
