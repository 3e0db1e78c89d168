"""What only Runlore's client records of a run is seen: what it printed, where it ran, and that its process is gone."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from typing import Any

from tests.ui.seed import Rest, Seeded
from tests.ui.test_pages import serious_violations

KILLED = """
import os, sys, runlore
runlore.set_tracking_uri(sys.argv[1])
runlore.set_experiment("from the client")
run = runlore.start_run(run_name="was-killed")
runlore.log_metric("loss", 1.0, step=0)
runlore.flush_async_logging()
print(run.info.run_id, run.info.experiment_id, flush=True)
os.kill(os.getpid(), 9)
"""
SNAPSHOT = {
    "command": {"command_line": ["python", "train.py", "--name", "two words"], "working_directory": "/home/ada/work"},
    "git": {"commit": "c0ffee12" * 5, "dirty": True},
    "python": {"version": "3.11.7", "implementation": "CPython"},
    "host": {"name": "trainer-7", "cpu": "Some CPU", "cpus": 8, "memory_bytes": 64_000_000_000},
    "packages": {"numpy": "2.4.6", "torch": "2.9.0"},
}


def a_run(served: Seeded, files: dict[str, bytes]) -> str:
    """The address of a run with these files, in an experiment of its own."""
    rest = Rest(served.url)
    experiment = rest.post("experiments/create", name=f"with {len(files)} files")["experiment_id"]
    run = rest.post("runs/create", experiment_id=experiment, run_name="printed", start_time=1)["run"]["info"]["run_id"]
    for path, content in files.items():
        rest.call("PUT", f"/api/2.0/mlflow-artifacts/artifacts/{experiment}/{run}/artifacts/{path}", raw=content)
    rest.post("runs/update", run_id=run, status="FINISHED", end_time=2)
    return f"/e/{experiment}/r/{run}"


def test_what_was_printed_is_read_in_order_and_from_its_end(page: Any, served: Seeded, axe: str) -> None:
    parts = {f"runlore/console/s1/{number:012}.txt": f"part {number}\n".encode() for number in range(6)}
    parts["runlore/console/s1/000000000005.txt"] = b"\x1b[31mlast words\x1b[0m of part 5\n"
    page.goto(a_run(served, parts) + "/console")
    text = page.get_by_role("region", name="What was printed")
    text.get_by_text("last words", exact=True).wait_for()
    assert text.inner_text() == "part 2\npart 3\npart 4\nlast words of part 5\n"
    page.get_by_role("button", name="Show earlier").click()
    text.get_by_text("part 0").wait_for()
    assert text.inner_text().startswith("part 0\npart 1\npart 2\n")
    page.evaluate(axe)
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme, reduced_motion="reduce")
        assert serious_violations(page) == []


def test_a_snapshot_says_command_code_machine_and_packages(page: Any, served: Seeded) -> None:
    files = {"snapshot.json": json.dumps(SNAPSHOT).encode(), "changes.patch": b"--- a/train.py\n+++ b/train.py\n"}
    page.goto(a_run(served, {f"runlore/snapshot/{name}": content for name, content in files.items()}))
    page.get_by_text("python train.py --name 'two words'").wait_for()
    page.get_by_text("Some CPU, 8 cores, 64 GB").wait_for()
    page.get_by_text("2 packages").click()
    page.get_by_text("torch 2.9.0").wait_for()
    page.get_by_role("link", name="changes.patch", exact=True).click()
    page.get_by_text("+++ b/train.py").wait_for()


def test_a_run_whose_process_is_gone_is_lost(page: Any, served: Seeded) -> None:
    command = [sys.executable, "-c", KILLED, served.url]
    run, experiment = subprocess.run(command, capture_output=True, text=True, timeout=120).stdout.split()
    page.goto(f"/e/{experiment}/r/{run}")
    page.get_by_text("Running", exact=True).wait_for()
    with closing(sqlite3.connect(served.database, timeout=60)) as database, database:
        assert database.execute("UPDATE writer_mark SET last_heard = last_heard - 91000").rowcount > 0
    page.reload()
    page.get_by_text("Lost", exact=True).wait_for()
    page.get_by_text("last heard 1 min ago").wait_for()
    page.goto(f"/e/{experiment}/runs")
    page.get_by_role("row").filter(has_text="was-killed").get_by_text("Lost", exact=True).last.wait_for()


RESUMED = """
import runlore, sys
runlore.set_tracking_uri(sys.argv[1])
with runlore.start_run(run_name="was-resumed") as run:
    runlore.log_param("lr", 0.1)
    for step in range(20):
        runlore.log_metric("loss", 1.0, step=step)
with runlore.start_run(run_id=run.info.run_id):
    runlore.log_param("lr", 0.25)
    for step in range(15, 30):
        runlore.log_metric("loss", 0.5, step=step)
print(run.info.run_id, run.info.experiment_id)
"""


def test_a_resumed_run_says_what_was_replaced_and_changed(page: Any, served: Seeded, axe: str) -> None:
    command = [sys.executable, "-c", RESUMED, served.url]
    run, experiment = subprocess.run(command, capture_output=True, text=True, timeout=120).stdout.split()
    page.goto(f"/e/{experiment}/r/{run}")
    page.get_by_text("5 points of 1 metric replaced, from step 15").wait_for()
    page.get_by_role("row").filter(has_text="changed: was 0.1 until").get_by_text("0.25", exact=True).wait_for()
    page.goto(f"/e/{experiment}/r/{run}/params")
    page.get_by_text("changed: was 0.1 until").wait_for()
    page.evaluate(axe)
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme, reduced_motion="reduce")
        assert serious_violations(page) == []
