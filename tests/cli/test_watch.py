"""`runlore watch`: a run that another process logs to, in a pipe and on a terminal."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from runlore.api.metrics import LogMetric
from runlore.api.runs import CreateRun, LogBatch, MetricPoint, UpdateRun
from runlore.cli.watch import sparkline
from runlore.store.base import open_store

WATCH = [sys.executable, "-m", "runlore.cli.main", "watch"]


def test_each_new_value_is_a_line_and_the_end_of_the_run_is_the_end(tmp_path: Path) -> None:
    with closing(open_store(str(tmp_path))) as store:
        run_id = store.call(CreateRun(experiment_id="0")).run.info.run_id
        store.call(LogMetric(run_id=run_id, key="loss", value=0.5, timestamp=1, step=1))
        command = [*WATCH, run_id[:8], "--store", str(tmp_path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "loss\t1\t0.5\n"
            store.call(LogMetric(run_id=run_id, key="loss", value=0.25, timestamp=2, step=2))
            assert process.stdout.readline() == "loss\t2\t0.25\n"
            store.call(UpdateRun(run_id=run_id, status="FINISHED"))
            assert process.stdout.read() == ""
            assert process.wait(timeout=30) == 0


def test_a_look_at_a_run(tmp_path: Path) -> None:
    with closing(open_store(str(tmp_path))) as store:
        run_id = store.call(CreateRun(experiment_id="0", run_name="brave-owl-1")).run.info.run_id
        points = [MetricPoint("loss", 1.0 / step, step, step) for step in range(1, 101)]
        store.call(LogBatch(run_id=run_id, metrics=points))
    command = [*WATCH, run_id, "--once", "--store", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=True)
    title, head, row = done.stdout.splitlines()
    assert title == "brave-owl-1  RUNNING"
    assert head.split() == ["METRIC", "LAST", "STEP", "MIN", "MAX", "CURVE"]
    assert row.split()[:5] == ["loss", "0.01", "100", "0.01", "1"]
    assert row.split()[5].startswith("█")
    assert row.split()[5].endswith("▁")


@pytest.mark.parametrize(
    ("values", "drawn"),
    [([], ""), ([1.0], "▁"), ([2.0, 2.0], "▁▁"), ([0.0, 1.0], "▁█"), ([0.0, 0.0, 7.0, 7.0], "▁▁██"), ([1e308, -1e308], "█▁")],
)
def test_curves_of_bars(values: list[float], drawn: str) -> None:
    assert sparkline(values) == drawn


def test_long_curves_are_taken_together() -> None:
    drawn = sparkline([float(value) for value in range(1_000)])
    assert len(drawn) == 24
    assert list(drawn) == sorted(drawn)
