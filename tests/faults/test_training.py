"""A training while its server goes: it never notices, it ends in time, and everything arrives, once."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.faults.proxy import proxied
from tests.faults.served import Served, serving

from runlore.client import RunloreClient
from runlore.client.connection import close_stores

PROGRAM = """
import os, sys, time, runlore
with runlore.start_run() as run:
    print(run.info.run_id, flush=True)
    for step in range(int(sys.argv[1])):
        runlore.log_metrics({"a": step * 2.0, "b": step * 3.0}, step=step, timestamp=step)
        if step % 100 == 0:
            print(step, flush=True)
            time.sleep(0.05)
    runlore.log_param("done", True)
"""


@pytest.fixture(autouse=True)
def spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A spool of this test's own."""
    monkeypatch.setenv("RUNLORE_SPOOL_DIR", str(tmp_path / "spool"))


def train(url: str, steps: int) -> subprocess.Popen[str]:
    environment = {**os.environ, "RUNLORE_TRACKING_URI": url}
    command = [sys.executable, "-c", PROGRAM, str(steps)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def check(url: str, run_id: str, steps: int) -> None:
    client = RunloreClient(url)
    for key, factor in (("a", 2.0), ("b", 3.0)):
        points = client.get_metric_history(run_id, key)
        assert [(p.step, p.timestamp, p.value) for p in points] == [(n, n, n * factor) for n in range(steps)]
    run = client.get_run(run_id)
    assert (run.info.status, run.data.params["done"]) == ("FINISHED", "True")
    close_stores()


def test_a_server_that_is_killed_and_comes_back(tmp_path: Path) -> None:
    with serving(str(tmp_path / "store"), tmp_path) as served:
        process = train(served.url, 4_000)
        assert process.stdout is not None
        run_id = process.stdout.readline().strip()
        for _ in range(3):
            for _ in range(5):
                process.stdout.readline()
            served.kill()
            served.start()
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
        subprocess.run([sys.executable, "-m", "runlore.cli.main", "sync"], check=True, capture_output=True)
        check(served.url, run_id, 4_000)


def test_a_server_that_does_not_come_back(tmp_path: Path) -> None:
    served = Served(str(tmp_path / "store"), tmp_path)
    served.start()
    process = train(served.url, 2_000)
    assert process.stdout is not None
    run_id = process.stdout.readline().strip()
    process.stdout.readline()
    served.kill()
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, "nothing is raised into the loop"
    assert "runlore sync" in errors
    assert "Traceback" not in errors
    served.start()
    for _ in range(2):
        subprocess.run([sys.executable, "-m", "runlore.cli.main", "sync"], check=True, capture_output=True)
    check(served.url, run_id, 2_000)
    served.stop()


def test_most_answers_are_lost(tmp_path: Path) -> None:
    """What was stored and not acknowledged is sent again, and is there once."""
    with serving(str(tmp_path / "store"), tmp_path) as served, proxied(served.port, 0.6) as proxy:
        process = train(proxy.url, 3_000)
        out, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
        deadline = time.monotonic() + 60
        while any(path.is_dir() for path in (tmp_path / "spool").iterdir()) and time.monotonic() < deadline:
            subprocess.run([sys.executable, "-m", "runlore.cli.main", "sync"], capture_output=True)
        check(served.url, out.split()[0], 3_000)


RESUME = """
import os, sys, runlore, runlore.store.http
runlore.store.http.FIRST_PATIENCE_SECONDS = 0.2  # the server is away, and no news to be waited for
first, value = int(sys.argv[2]), float(sys.argv[3])
with runlore.start_run(run_id=sys.argv[1]):
    for step in range(first, first + 20):
        runlore.log_metric("a", value, step=step)
    if len(sys.argv) > 4:
        os._exit(1)
    print("logged", flush=True)
    sys.stdin.readline()
"""


def test_resumed_twice_while_the_server_is_away(tmp_path: Path) -> None:
    """The journal of the first resume, whose process died, arrives before that of the second, whose process lives."""
    with serving(str(tmp_path / "store"), tmp_path) as served, proxied(served.port, 0) as proxy:
        run_id = train(proxy.url, 30).communicate(timeout=60)[0].split()[0]
        proxy.cut_off()
        command = [sys.executable, "-c", RESUME, run_id]
        environment = {**os.environ, "RUNLORE_TRACKING_URI": proxy.url}
        assert subprocess.run([*command, "20", "1", "die"], env=environment, timeout=60).returncode == 1
        with subprocess.Popen(
            [*command, "25", "2"], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "logged\n"
            proxy.cut_off(False)
            process.communicate("\n", timeout=60)
        subprocess.run([sys.executable, "-m", "runlore.cli.main", "sync"], capture_output=True, check=True)
        client = RunloreClient(served.url)
        points = [(point.step, point.value) for point in client.get_metric_history(run_id, "a")]
        before = [(n, n * 2.0) for n in range(20)]
        assert points == before + [(n, 1.0) for n in range(20, 25)] + [(n, 2.0) for n in range(25, 45)]
        assert client.get_run(run_id).info.status == "FINISHED"
        close_stores()
