"""Runs end as what ended them says, are heard of while they live, and are shared by processes that train together."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

import runlore
from runlore.api.delivery import GetRunLives
from runlore.client import RunloreClient
from runlore.client.connection import close_stores
from runlore.entities import Run
from runlore.spool import shipper

HEAD = "import os, sys, time, runlore\nrun = runlore.start_run()\nprint(run.info.run_id, flush=True)\n"


def after(uri: str, program: str, **more: str) -> tuple[Run, subprocess.CompletedProcess[str]]:
    """The run of a program that has ended."""
    environment = {**os.environ, "RUNLORE_TRACKING_URI": uri, **more}
    done = subprocess.run([sys.executable, "-c", HEAD + program], capture_output=True, text=True, env=environment, timeout=60)
    return RunloreClient(uri).get_run(done.stdout.split()[0]), done


def test_the_error_that_ended_a_run_is_written_down(uri: str) -> None:
    run, done = after(uri, "key = os.environ['MY_API_KEY']\nraise ValueError('no\\0 ß ' + key)", MY_API_KEY="s3cr3t-value-1234")
    assert (run.info.status, done.returncode) == ("FAILED", 1)
    assert run.data.tags["runlore.exception"] == "ValueError: no� ß ***"
    assert run.data.tags["runlore.traceback"].startswith("Traceback (most recent call last)")
    assert "s3cr3t" not in str(run)


def test_so_is_the_one_that_left_the_block(uri: str) -> None:
    runlore.set_tracking_uri(uri)
    with pytest.raises(ZeroDivisionError), runlore.start_run() as run:
        1 / 0  # noqa: B018
    tags = runlore.get_run(run.info.run_id).data.tags
    assert tags["runlore.exception"] == "ZeroDivisionError: division by zero"
    assert "1 / 0" in tags["runlore.traceback"]
    with pytest.raises(KeyboardInterrupt), runlore.start_run() as run:
        raise KeyboardInterrupt
    ended = runlore.get_run(run.info.run_id)
    assert (ended.info.status, "runlore.exception" in ended.data.tags) == ("KILLED", False)


def started(uri: str, program: str) -> tuple[subprocess.Popen[str], str]:
    environment = {**os.environ, "RUNLORE_TRACKING_URI": uri}
    process = subprocess.Popen([sys.executable, "-c", HEAD + program], stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


LOOP = """step = 0
while True:
    runlore.log_metric('m', step, step=step)
    step += 1
    os.write(1, b"%d\\n" % step)
    time.sleep(0.001)
"""


@pytest.mark.parametrize("block", [False, True], ids=["open", "with"])
def test_sigterm_ends_a_run_as_killed_and_loses_nothing(uri: str, block: bool) -> None:
    program = LOOP if not block else "with run:\n" + "".join(f"    {line}\n" for line in LOOP.splitlines())
    process, run_id = started(uri, program)
    assert process.stdout is not None
    for _ in range(50):
        process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    begin = time.monotonic()
    with process.stdout:
        rest = process.stdout.read().split()
    assert process.wait(timeout=30) == 143
    assert time.monotonic() - begin < 10
    client = RunloreClient(uri)
    assert client.get_run(run_id).info.status == "KILLED"
    steps = [point.step for point in client.get_metric_history(run_id, "m")]
    assert steps == list(range(len(steps)))
    assert len(steps) >= (int(rest[-1]) if rest else 50)


def test_a_handler_of_the_scripts_own_stays(uri: str) -> None:
    own = "import signal, sys\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(7))\n"
    done = subprocess.run(
        [sys.executable, "-c", own + HEAD + "os.kill(os.getpid(), signal.SIGTERM)\ntime.sleep(9)"],
        capture_output=True, text=True, env={**os.environ, "RUNLORE_TRACKING_URI": uri}, timeout=60,
    )  # fmt: skip
    assert done.returncode == 7


def life(uri: str, run_id: str) -> tuple[str, int | None]:
    (found,) = RunloreClient(uri).store.call(GetRunLives(run_ids=[run_id])).runs
    return found.status, found.last_heard


def test_a_run_is_heard_of_until_it_ends(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipper, "HEARTBEAT_SECONDS", 0.05)
    runlore.set_tracking_uri(uri)
    with runlore.start_run() as run:
        run_id = run.info.run_id
        heard = set()
        deadline = time.monotonic() + 20
        while len(heard) < 4 and time.monotonic() < deadline:
            heard.add(life(uri, run_id)[1])
            time.sleep(0.02)
        assert len(heard) >= 4, "nothing is logged, and the store hears of it"
    assert life(uri, run_id)[0] == "FINISHED"


def test_processes_that_train_together_share_a_run(uri: str, tmp_path: Path) -> None:
    """Each is told the id beforehand; none waits for another, and the first rank ends the run."""
    run_id = uuid.uuid4().hex
    program = "rank = os.environ['RANK']\nfor step in range(20):\n    runlore.log_metric('loss/' + rank, step, step=step)\n"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", HEAD + program + "if rank == '0': sys.stdin.readline()\n"],
            env={**os.environ, "RUNLORE_TRACKING_URI": uri, "RUNLORE_RUN_ID": run_id, "RANK": str(rank), "WORLD_SIZE": "3"},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for rank in range(3)
    ]  # fmt: skip
    client = RunloreClient(uri)
    for process in processes[1:]:
        assert process.communicate(timeout=60)[0].strip() == run_id
        assert process.returncode == 0
    assert processes[0].communicate("the others are done\n", timeout=60)[0].strip() == run_id
    run = client.get_run(run_id)
    assert (run.info.status, run.data.metrics) == ("FINISHED", {f"loss/{rank}": 19.0 for rank in range(3)})


def test_a_rank_that_comes_when_the_first_one_has_finished_leaves_the_run_finished(uri: str) -> None:
    run_id = uuid.uuid4().hex
    for rank in ("0", "1"):
        subprocess.run(
            [sys.executable, "-c", HEAD + "runlore.log_metric('loss/' + os.environ['RANK'], 1.0, step=1)\n"],
            env={**os.environ, "RUNLORE_TRACKING_URI": uri, "RUNLORE_RUN_ID": run_id, "RANK": rank, "WORLD_SIZE": "2"},
            check=True, timeout=60, stdout=subprocess.DEVNULL,
        )  # fmt: skip
    run = RunloreClient(uri).get_run(run_id)
    assert (run.info.status, run.data.metrics) == ("FINISHED", {"loss/0": 1.0, "loss/1": 1.0})


def test_forked_workers_log_into_the_run_of_their_parent(uri: str) -> None:
    program = """
import multiprocessing
client, run_id = runlore.RunloreClient(), run.info.run_id
def work(number):
    for step in range(100):
        client.log_metric(run_id, f"worker {number}", step, step=step)
context = multiprocessing.get_context("fork")
workers = [context.Process(target=work, args=(number,)) for number in range(3)]
for worker in workers: worker.start()
runlore.log_metric("parent", 1)
for worker in workers: worker.join()
print([worker.exitcode for worker in workers], runlore.active_run() is not None)
"""
    run, done = after(uri, program)
    assert "[0, 0, 0] True" in done.stdout
    assert run.data.metrics == {"parent": 1.0} | {f"worker {number}": 99.0 for number in range(3)}
    assert run.info.status == "FINISHED"
    client = RunloreClient(uri)
    assert [len(client.get_metric_history(run.info.run_id, f"worker {number}")) for number in range(3)] == [100] * 3


def test_a_run_that_a_client_has_made_lives_as_long_as_its_process(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Callbacks of other libraries make runs and log to them without opening them."""
    monkeypatch.setattr(shipper, "HEARTBEAT_SECONDS", 0.05)
    client = RunloreClient(uri)
    run_id = client.create_run("0").info.run_id
    client.log_metric(run_id, "m", 1)
    heard = set()
    deadline = time.monotonic() + 20
    while len(heard) < 4 and time.monotonic() < deadline:
        heard.add(life(uri, run_id)[1])
        time.sleep(0.02)
    assert len(heard) >= 4
    ended = client.create_run("0").info.run_id
    client.update_run(ended, "FINISHED")
    close_stores()
    assert (life(uri, run_id)[0], life(uri, ended)[0]) == ("LOST", "FINISHED"), "nobody has ended the first one"
