"""What happens to a process that logs: a full disk, clocks that jump, ends of every kind, directories that take nothing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.faults.served import serving
from tests.faults.sizes import SOAK, size

from runlore.api.delivery import GetRunLives
from runlore.client import RunloreClient
from runlore.client.connection import close_stores


@pytest.fixture(autouse=True)
def spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A spool of this test's own."""
    place = tmp_path / "spool"
    monkeypatch.setenv("RUNLORE_SPOOL_DIR", str(place))
    monkeypatch.setenv("RUNLORE_SNAPSHOT", "0")
    monkeypatch.setenv("RUNLORE_CONSOLE", "0")
    return place


def started(program: str, *arguments: object, before: list[str] | None = None, **more: str) -> subprocess.Popen[str]:
    command = [*(before or []), sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **more}
    )


# -- the disk of the spool is full -------------------------------------------------------------------------------------------

FULL_DISK = """
import sys, runlore
from runlore.entities import Metric
from runlore.spool import overflow

def memory():
    return int(open("/proc/self/statm").read().split()[1]) * 4096

calls, overflow.MOST_BYTES = int(sys.argv[1]), int(sys.argv[2])
client = runlore.RunloreClient()
run = runlore.start_run(log_system_metrics=False)
names = [f"metric {number}" for number in range(100)]
runlore.log_metrics(dict.fromkeys(names, 0.0), step=0)
client.flush()
print(run.info.run_id, flush=True)
sys.stdin.readline()
before = memory()
for step in range(1, calls):
    runlore.log_metrics(dict.fromkeys(names, float(step)), step=step)
    if step % 2 == 0:
        client.log_batch(run.info.run_id, [Metric(f"system/m{n}", 1.0, step, step) for n in range(100)])
print(memory() - before, flush=True)
sys.stdin.readline()
"""


@pytest.mark.parametrize("much", [False, True] if SOAK else [False], ids=["system metrics", "more than that"][: 1 + SOAK])
def test_a_full_disk_under_the_spool(tmp_path: Path, unshare: list[str], spool: Path, much: bool) -> None:
    """4 MB of disk, then a bounded part of memory; what is beyond it is dropped, system metrics first, and counted."""
    kept = size(2, 32) * 2**20
    calls = (4 * 2**20 + kept) // 2_880 * (14 if much else 7) // 10
    mount = ["sh", "-c", f'mkdir -p {spool} && mount -t tmpfs -o size=4m tmpfs {spool} && exec "$@"', "sh"]
    with serving(str(tmp_path / "store"), tmp_path) as served:
        process = started(FULL_DISK, calls, kept, before=[*unshare, *mount], RUNLORE_TRACKING_URI=served.url)
        assert process.stdin is not None
        assert process.stdout is not None
        run_id = process.stdout.readline().strip()
        served.kill()
        print("log", file=process.stdin, flush=True)
        grown = int(process.stdout.readline())
        served.start()
        _, said = process.communicate("end\n", timeout=120)
        assert process.returncode == 0, said
        assert grown < 64 * 2**20
        assert said.count("takes no more") == 1
        client = RunloreClient(served.url)
        accepted = 100 * calls + 100 * ((calls - 1) // 2)
        training = sum(len(client.get_metric_history(run_id, f"metric {n}")) for n in range(100))
        system = sum(len(client.get_metric_history(run_id, f"system/m{n}")) for n in range(100))
        assert (training < 100 * calls) == much
        assert system < 100 * ((calls - 1) // 2)
        run = client.get_run(run_id)
        assert int(run.data.tags["runlore.dropped"]) == accepted - training - system
        assert run.info.status == "FINISHED"
        close_stores()
        served.stop()


# -- clocks jump -------------------------------------------------------------------------------------------------------------

SHIM = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
static long offset(void) {
    static char *path; long seconds = 0; FILE *file;
    if (!path && !(path = getenv("CLOCK_OFFSET"))) return 0;
    if ((file = fopen(path, "r"))) { if (fscanf(file, "%ld", &seconds) != 1) seconds = 0; fclose(file); }
    return seconds;
}
int clock_gettime(clockid_t id, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int code = real(id, now);
    if (id == CLOCK_REALTIME) now->tv_sec += offset();
    return code;
}
int gettimeofday(struct timeval *now, void *zone) {
    struct timespec exact;
    clock_gettime(CLOCK_REALTIME, &exact);
    now->tv_sec = exact.tv_sec; now->tv_usec = exact.tv_nsec / 1000;
    return 0;
}
time_t time(time_t *now) {
    struct timespec exact;
    clock_gettime(CLOCK_REALTIME, &exact);
    if (now) *now = exact.tv_sec;
    return exact.tv_sec;
}
"""
JUMPS = (3_600, -3_600, -int(time.time()) + 60, 70 * 365 * 86_400, 1, -1, 0)
"""One hour forwards and back, 1970, 2090, a second forwards and back, right."""
CLOCK = """
import sys, time, runlore
with runlore.start_run() as run:
    print(run.info.run_id, int(time.time()), flush=True)
    for step in range(int(sys.argv[1])):
        runlore.log_metric("m", float(step), step=step)
        if step % 50 == 0:
            print(int(time.time()), flush=True)
            sys.stdin.readline()
"""


@pytest.mark.parametrize("whose", ["client", "server"])
def test_clocks_that_jump(tmp_path: Path, whose: str) -> None:
    """Nothing is lost, the order by step is as it was; a jump of the client's clock makes no run LOST."""
    if (compiler := shutil.which("gcc") or shutil.which("cc")) is None:
        pytest.skip("there is no C compiler, with which a clock is made to jump")
    (tmp_path / "shim.c").write_text(SHIM)
    subprocess.run([compiler, "-shared", "-fPIC", "-o", tmp_path / "shim.so", tmp_path / "shim.c", "-ldl"], check=True)
    offset = tmp_path / "offset"
    offset.write_text("0")
    jumpy = {"LD_PRELOAD": str(tmp_path / "shim.so"), "CLOCK_OFFSET": str(offset)}
    before = ["env", *(f"{name}={value}" for name, value in jumpy.items())]
    steps = 50 * len(JUMPS) * size(1, 5) + 1
    with serving(str(tmp_path / "store"), tmp_path, before if whose == "server" else []) as served:
        process = started(CLOCK, steps, RUNLORE_TRACKING_URI=served.url, **(jumpy if whose == "client" else {}))
        assert process.stdin is not None
        assert process.stdout is not None
        run_id = process.stdout.readline().split()[0]
        client = RunloreClient(served.url)
        for number in range(len(JUMPS) * size(1, 5) + 1):
            seen = int(process.stdout.readline())
            jump = JUMPS[number % len(JUMPS)]
            offset.write_text(str(jump))
            if whose == "client" and number:
                was = JUMPS[(number - 1) % len(JUMPS)]
                assert abs(seen - was - time.time()) < 60, "the clock does not jump"
                (life,) = client.store.call(GetRunLives(run_ids=[run_id])).runs
                assert life.status == "RUNNING"
            print("go on", file=process.stdin, flush=True)
        offset.write_text("0")
        _, said = process.communicate(timeout=60)
        assert (process.returncode, said) == (0, "")
        points = client.get_metric_history(run_id, "m")
        assert [(point.step, point.value) for point in points] == [(step, float(step)) for step in range(steps)]
        assert client.get_run(run_id).info.status == "FINISHED"
        close_stores()
        served.stop()


# -- ends of processes ---------------------------------------------------------------------------------------------------------

ENDS = {
    "end of the interpreter": "pass",
    "an exception": "raise ValueError('no')",
    "sys.exit": "sys.exit(3)",
    "SIGTERM": "os.kill(os.getpid(), signal.SIGTERM); time.sleep(30)",
    "a thread that goes on": "threading.Thread(target=lambda: time.sleep(0.5)).start()",
    "threads that log": "[threading.Thread(target=log, args=(n,)).start() for n in range(4)]",
    "forked children": "[child.start() for child in children('fork')]; [child.join() for child in CHILDREN]",
    "spawned children": "[child.start() for child in children('spawn')]; [child.join() for child in CHILDREN]",
}
END = """
import multiprocessing, os, signal, sys, threading, time, runlore
CHILDREN = []

def log(number):
    client = runlore.RunloreClient()
    for step in range(50):
        client.log_metric(RUN, f"m{number}", 1.0, step=step)

def child(run_id, number):
    global RUN
    RUN = run_id
    log(number)

def children(kind):
    context = multiprocessing.get_context(kind)
    CHILDREN.extend(context.Process(target=child, args=(RUN, number)) for number in range(2))
    return CHILDREN

if __name__ == "__main__":
    RUN = runlore.start_run().info.run_id
    runlore.log_metric("m", 0.0, step=0)
    runlore.RunloreClient().flush()
    print(RUN, flush=True)
    sys.stdin.readline()
    for step in range(1, 100):
        runlore.log_metric("m", 0.0, step=step)
    print("logged", flush=True)
    BEGUN = time.monotonic()
    exec(sys.argv[1])
"""


def test_every_end_of_a_process_with_a_server_that_is_gone(tmp_path: Path) -> None:
    """None hangs, what was accepted is there after `runlore sync`."""
    program = tmp_path / "end.py"
    program.write_text(END)
    with serving(str(tmp_path / "store"), tmp_path) as served:
        environment = {**os.environ, "RUNLORE_TRACKING_URI": served.url}
        processes = {
            name: subprocess.Popen(
                [sys.executable, str(program), code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                text=True, env=environment,
            )
            for name, code in ENDS.items()
            if SOAK or name not in ("sys.exit", "a thread that goes on")
        }  # fmt: skip
        runs = {name: process.stdout.readline().strip() for name, process in processes.items() if process.stdout}
        served.kill()
        begun = time.monotonic()
        for process in processes.values():
            assert process.stdin is not None
            print("go on", file=process.stdin, flush=True)
        said = {name: process.communicate(timeout=60) for name, process in processes.items()}
        assert time.monotonic() - begun < 45
        served.start()
        done = subprocess.run(
            [sys.executable, "-m", "runlore.cli.main", "sync", "--json"], capture_output=True, text=True, env=environment
        )
        assert json.loads(done.stdout)["waiting"] == 0, done.stderr
        client = RunloreClient(served.url)
        for name, run_id in runs.items():
            assert "logged" in said[name][0], said[name]
            assert [point.step for point in client.get_metric_history(run_id, "m")] == list(range(100)), name
            for number in {"threads that log": range(4), "forked children": range(2)}.get(name, ()):
                assert len(client.get_metric_history(run_id, f"m{number}")) == 50, name
        status = {name: client.get_run(run_id).info.status for name, run_id in runs.items()}
        assert (status["end of the interpreter"], status["an exception"], status["SIGTERM"]) == ("FINISHED", "FAILED", "KILLED")
        close_stores()
        served.stop()


def test_a_directory_that_can_not_be_written(tmp_path: Path, unshare: list[str]) -> None:
    """A server's store is at hand, but no spool can be made: the training goes on, and is told why."""
    place = tmp_path / "read only"
    place.mkdir()
    mount = ["sh", "-c", f'mount -t tmpfs -o ro,size=1m tmpfs "{place}" && exec "$@"', "sh"]
    program = "import runlore\nwith runlore.start_run() as run:\n    runlore.log_metric('m', 1.0)\nprint(run.info.run_id)\n"
    with serving(str(tmp_path / "store"), tmp_path) as served:
        process = started(
            program, before=[*unshare, *mount], RUNLORE_TRACKING_URI=served.url, RUNLORE_SPOOL_DIR=str(place / "spool")
        )
        printed, said = process.communicate(timeout=60)
        assert process.returncode == 0, said
        assert said.count("There is no place for a journal") == 1
        assert len(RunloreClient(served.url).get_metric_history(printed.strip(), "m")) == 1
        close_stores()
        served.stop()


def test_a_store_that_can_not_be_written(tmp_path: Path, unshare: list[str], spool: Path) -> None:
    """The training goes on, says why, and `runlore sync` delivers what it logged when the directory takes it."""
    place = tmp_path / "project" / ".runlore"
    place.mkdir(parents=True)
    mount = ["sh", "-c", f'mount --bind "{place}" "{place}" && mount -o remount,bind,ro "{place}" && exec "$@"', "sh"]
    program = """
import runlore
runlore.set_experiment("on a disk of others")
with runlore.start_run() as run:
    runlore.log_param("p", 1)
    for step in range(10):
        runlore.log_metric("m", 1.0, step=step)
print(run.info.run_id)
"""
    process = started(program, before=[*unshare, *mount], RUNLORE_TRACKING_URI=str(place))
    printed, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert "Read-only file system" in said
    assert "runlore sync" in said
    sync = [sys.executable, "-m", "runlore.cli.main", "sync", "--json"]
    done = subprocess.run(sync, capture_output=True, text=True, cwd=tmp_path)
    assert json.loads(done.stdout)["waiting"] == 0, done.stderr
    client = RunloreClient(str(place))
    assert len(client.get_metric_history(printed.strip(), "m")) == 10
    assert client.get_run(printed.strip()).info.status == "FINISHED"
    close_stores()
