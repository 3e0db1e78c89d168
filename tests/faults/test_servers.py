"""Several server processes on one PostgreSQL store: behind one port (`--workers`), and started by themselves."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from tests.faults.load import load
from tests.faults.oracle import START, Ledger, check_http, check_postgresql, creation, run_id_of, value_of
from tests.faults.served import ROOT, Served, serving
from tests.faults.sizes import size

from runlore.api.experiments import CreateExperiment, GetExperimentByName
from runlore.api.metrics import GetMetricHistory
from runlore.api.runs import GetRun, LogBatch, LogParam, MetricPoint
from runlore.exceptions import AlreadyExists, InvalidParameter
from runlore.settings import Settings, settings
from runlore.store.base import open_store
from runlore.store.http import HttpStore

_OURS = "FROM pg_stat_activity WHERE application_name = 'runlore' AND datname = current_database()"


def test_workers_that_are_killed_under_load_are_replaced(
    tmp_path: Path, postgresql: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNLORE_POSTGRES_READERS", "2")
    ledger, chance, most = Ledger(), random.Random(1), 0
    with (
        serving(postgresql, tmp_path, options=["--workers", "2"]) as served,
        psycopg.connect(postgresql, autocommit=True) as other,
    ):
        seen = set(_workers(served, 2))
        with load(ledger, served.url) as work:
            for _ in range(size(3, 30)):
                work.wait_for(200)
                most = max(most, other.execute(f"SELECT COUNT(*) {_OURS}").fetchone()[0])  # type: ignore[index]
                victim = chance.choice(served.children())
                os.kill(victim, signal.SIGKILL)
                work.wait_for(50)
                seen |= set(_workers(served, 2, without=victim))
        check_http(ledger, served.url)
        assert len(seen) == 2 + size(3, 30)
        assert 2 <= most <= 2 * (2 + 1)
        served.stop()
        assert not any(Path(f"/proc/{pid}").exists() for pid in seen)
    check_postgresql(ledger, postgresql)
    said = "\n".join(served.lines)
    assert "2 processes, 6 connections at most" in said
    assert f"Server process {victim} was ended by signal 9" in said


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGKILL])
def test_workers_end_with_the_process_that_started_them(tmp_path: Path, postgresql: str, ending: signal.Signals) -> None:
    with serving(postgresql, tmp_path, options=["--workers", "3"]) as served:
        workers = _workers(served, 3)
        os.kill(served.process.pid, ending)
        assert served.wait() == (0 if ending == signal.SIGTERM else -ending)
        while any(Path(f"/proc/{pid}").exists() and "Z" not in _state(pid) for pid in workers):
            time.sleep(0.01)
        assert served.health() is None


def _workers(served: Served, count: int, without: int = 0) -> list[int]:
    """The workers, when there are so many."""
    while len(workers := served.children()) < count or without in workers:
        assert served.process.poll() is None, served.lines
        time.sleep(0.01)
    return workers


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return "Z"


def test_workers_that_can_not_begin_say_why_once(tmp_path: Path, postgresql: str) -> None:
    missing = postgresql.replace("/test_", "/missing_")
    command = [sys.executable, "-m", "runlore.cli.main", "server", "--port", "0", "--workers", "4", "--store", missing]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if "Error" in line]
    assert "PostgreSQL can not be reached" in line
    assert "does not exist" in done.stderr


def test_a_port_of_workers_is_taken_for_others(tmp_path: Path, postgresql: str) -> None:
    with serving(postgresql, tmp_path, options=["--workers", "2"]) as served:
        command = [sys.executable, "-m", "runlore.cli.main", "server", "--port", str(served.port), "--workers", "2"]
        done = subprocess.run([*command, "--store", postgresql], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert f"Port {served.port} of 127.0.0.1 is taken" in done.stderr


def test_one_run_is_written_through_two_servers_at_once(tmp_path: Path, postgresql: str) -> None:
    """Each server remembers summaries of the run; both must notice what the other one wrote."""
    batches, points = size(60, 1_000), 12
    with serving(postgresql, tmp_path) as one, serving(postgresql, tmp_path) as other:
        stores = [HttpStore(served.url, Settings(), patience=60.0) for served in (one, other, one, other)]
        stores[0].call(creation(0))
        begin = threading.Barrier(len(stores))

        def write(place: int) -> None:
            begin.wait()
            for number in range(place, batches, len(stores)):
                numbers = range(number * points, (number + 1) * points)
                metrics = [MetricPoint(key=f"m{n % 3}", value=value_of(0, n), timestamp=START + n, step=n) for n in numbers] + [
                    MetricPoint(key=f"of {place}", value=1.0, timestamp=START + number, step=number)
                ]
                stores[place].call(LogBatch(run_id=run_id_of(0), metrics=metrics))

        with ThreadPoolExecutor(len(stores)) as pool:
            list(pool.map(write, range(len(stores))))
        total = batches * points
        for store in stores[:2]:
            run = store.call(GetRun(run_id=run_id_of(0))).run
            assert run.data.metrics == {f"m{key}": value_of(0, total - 3 + key) for key in range(3)} | {
                f"of {place}": 1.0 for place in range(4)
            }
            for key in range(3):
                history = store.call(GetMetricHistory(run_id=run_id_of(0), metric_key=f"m{key}", max_results=25_000)).metrics
                assert sorted((p.step, p.value) for p in history) == [(n, value_of(0, n)) for n in range(key, total, 3)]
        for store in stores:
            store.close()
        one.stop()
        other.stop()
    with psycopg.connect(postgresql) as connection:
        rows = connection.execute(
            "SELECT key, count, min_value, max_value, sum_value, greatest_step FROM metric WHERE key LIKE 'm%' ORDER BY key"
        ).fetchall()
    values = [[value_of(0, n) for n in range(key, total, 3)] for key in range(3)]
    assert rows == [
        (f"m{key}", len(column), min(column), max(column), sum(column), total - 3 + key) for key, column in enumerate(values)
    ]


def test_races_between_two_servers_have_one_winner(tmp_path: Path, postgresql: str) -> None:
    """Names of experiments and values of params: the database decides, nobody sees an error of the race itself."""
    with serving(postgresql, tmp_path) as one, serving(postgresql, tmp_path) as other:
        stores = [HttpStore(served.url, Settings(), patience=60.0) for served in (one, other)]
        stores[0].call(creation(0))
        rounds = size(25, 200)
        begin = threading.Barrier(2, timeout=60)

        def race(place: int) -> list[tuple[str, str]]:
            outcomes = []
            for number in range(rounds):
                begin.wait()
                try:
                    made = stores[place].call(CreateExperiment(name=f"e{number}")).experiment_id
                except AlreadyExists:
                    made = ""
                try:
                    stores[place].call(LogParam(run_id=run_id_of(0), key=f"p{number}", value=str(place)))
                    param = str(place)
                except InvalidParameter:
                    param = ""
                outcomes.append((made, param))
            return outcomes

        with ThreadPoolExecutor(2) as pool:
            outcomes = list(pool.map(race, range(2)))
        params = stores[0].call(GetRun(run_id=run_id_of(0))).run.data.params
        for number, ((made, param), (made_too, param_too)) in enumerate(zip(*outcomes, strict=True)):
            assert bool(made) != bool(made_too), number
            found = stores[1].call(GetExperimentByName(experiment_name=f"e{number}")).experiment
            assert found.experiment_id == made + made_too
            assert params[f"p{number}"] == param + param_too
        assert len({made + made_too for (made, _), (made_too, _) in zip(*outcomes, strict=True)}) == rounds
        for store in stores:
            store.close()


def test_two_servers_that_start_on_an_empty_database_make_one_schema(tmp_path: Path, postgresql: str) -> None:
    servers = [Served(postgresql, tmp_path, options=["--workers", "2"]) for _ in range(2)]
    try:
        for served in servers:
            served.launch()
        for served in servers:
            while served.health() is None:
                assert served.process.poll() is None, served.lines
                time.sleep(0.01)
        with closing(HttpStore(servers[0].url, Settings())) as here, closing(HttpStore(servers[1].url, Settings())) as there:
            here.call(creation(0))
            assert there.call(GetRun(run_id=run_id_of(0))).run.info.run_id == run_id_of(0)
        for served in servers:
            served.stop()
    finally:
        for served in servers:
            if served.process.returncode is None:
                served.kill()


def test_a_pool_size_that_is_none_is_refused(postgresql: str, monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        for wrong in ("0", "many", "501", "-1", "²"):
            monkeypatch.setenv("RUNLORE_POSTGRES_READERS", wrong)
            settings.cache_clear()
            with pytest.raises(InvalidParameter, match="RUNLORE_POSTGRES_READERS must be a whole number from 1 to 500"):
                open_store(postgresql, artifacts="file:///nowhere")
    finally:
        monkeypatch.undo()
        settings.cache_clear()
