"""`runlore gc` that is killed while it deletes: what lives stays whole, what goes is whole or gone, the next one goes on."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from subprocess import PIPE

import pytest
from tests.faults.served import ROOT
from tests.faults.sizes import size
from tests.faults.tables import Query, querying

from runlore.api.metrics import GetMetricHistory
from runlore.api.runs import CreateRun, DeleteRun, GetRun, LogBatch, MetricPoint, ParamEntry, SearchRuns
from runlore.store.base import Store, open_store

RUNS = size(280, 4_000)
POINTS = 10


def fill(store: Store) -> None:
    """Runs with points and params, every second one in the trash."""
    for number in range(RUNS):
        run_id = store.call(CreateRun(experiment_id="0", run_name=f"run {number}")).run.info.run_id
        metrics = [MetricPoint(key="m", value=number + step, timestamp=step, step=step) for step in range(POINTS)]
        params = [ParamEntry(key=f"p{index}", value=str(number)) for index in range(3)]
        store.call(LogBatch(run_id=run_id, metrics=metrics, params=params))
        if number % 2:
            store.call(DeleteRun(run_id=run_id))


def _runs(query: Query) -> int:
    return int(query("SELECT COUNT(*) FROM run")[0][0])


def check(store: Store) -> int:
    """Every run that is there is whole, none that lives is missing; returns how many are in the trash."""
    found = store.call(SearchRuns(experiment_ids=["0"], run_view_type="ALL", max_results=RUNS)).runs
    alive = {run.info.run_name for run in found if run.info.lifecycle_stage == "active"}
    assert alive == {f"run {number}" for number in range(0, RUNS, 2)}
    for run in found:
        number = int(run.info.run_name.split()[1])
        points = store.call(GetMetricHistory(run_id=run.info.run_id, metric_key="m")).metrics
        assert [point.value for point in points] == [number + step for step in range(POINTS)]
        assert len(store.call(GetRun(run_id=run.info.run_id)).run.data.params) == 3
    return len(found) - len(alive)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_killed_deletions_leave_nothing_half(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    uri = f"sqlite:///{tmp_path / 'runlore.db'}" if kind == "sqlite" else request.getfixturevalue("postgresql")
    artifacts, chance = str(tmp_path / "artifacts"), random.Random(20)
    left: list[int] = []
    options = ["--store", uri, "--artifacts", artifacts]
    command = [sys.executable, "-m", "runlore.cli.main", "gc", "--older-than", "0", *options]
    with closing(open_store(uri, artifacts)) as store:
        fill(store)
    while not left or left[-1]:
        with (
            querying(uri, tmp_path / "runlore.db") as query,
            subprocess.Popen([*command, "--yes"], cwd=ROOT, stdout=PIPE) as process,
        ):
            before = _runs(query)
            while _runs(query) == before and process.poll() is None:
                pass  # a slice is gone, the next one is being deleted
            time.sleep(chance.uniform(0.0, 0.01))
            process.kill()
        with closing(open_store(uri, artifacts)) as store:
            left.append(check(store))
    assert len(left) > 1
    subprocess.run([*command, "--yes"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    with closing(open_store(uri, artifacts)) as store:
        assert check(store) == 0
    doctor = [sys.executable, "-m", "runlore.cli.main", "doctor", uri, "--artifacts", artifacts]
    done = subprocess.run(doctor, cwd=ROOT, capture_output=True, text=True)
    assert "error" not in done.stdout.replace("error   PostgreSQL runs with", "")
    print(f"{kind}: in the trash after each kill: {left}")
