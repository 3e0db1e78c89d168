"""Answers get lost, requests arrive twice and out of order: the store looks as if nothing had happened."""

from __future__ import annotations

import random
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from tests.faults.load import client, load
from tests.faults.oracle import Ledger, batch, check_file, check_http, creation, history, run_id_of
from tests.faults.proxy import proxied
from tests.faults.served import serving
from tests.faults.sizes import size

from runlore.api.registry import CreateModelVersion, CreateRegisteredModel
from runlore.api.runs import CreateRun, GetRun, LogBatch, MetricPoint
from runlore.entities import RunInfo
from runlore.settings import Settings
from runlore.store.http import HttpStore

LOSS = 0.3


def test_lost_answers_leave_no_second_point(tmp_path: Path) -> None:
    ledger = Ledger()
    with serving(str(tmp_path / "store"), tmp_path) as served:
        with proxied(served.port, LOSS) as proxy:
            with load(ledger, proxy.url, pause=0.0) as work:
                work.wait_for(size(800, 30_000), seconds=600)
            assert proxy.cut > size(20, 1_000)
            print(f"{len(ledger):,} points acknowledged, {proxy.cut:,} answers lost")
        check_http(ledger, served.url)
        served.stop()
    check_file(ledger, tmp_path / "store" / "runlore.db")


@pytest.mark.parametrize("kind", ["runlore", "stock"])
def test_lost_answers_leave_no_second_run(tmp_path: Path, kind: str) -> None:
    ids = [uuid4().hex for _ in range(size(12, 1_000))]
    with serving(str(tmp_path / "store"), tmp_path) as served, proxied(served.port, LOSS) as proxy:
        with closing(client(kind, proxy.url)) as sender, ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(lambda run_id: sender.call(CreateRun(client_run_id=run_id)), ids))
        assert len(answers) == len(ids)
        assert proxy.cut > 0
        served.stop()
    with closing(sqlite3.connect(tmp_path / "store" / "runlore.db")) as connection:
        assert sorted(run_id for (run_id,) in connection.execute("SELECT run_id FROM run")) == sorted(ids)


def test_lost_answers_leave_no_second_version(tmp_path: Path) -> None:
    """Each creation carries a key, and what came of it the first time is answered when it comes again."""
    calls = size(40, 1_000)
    with serving(str(tmp_path / "store"), tmp_path) as served, proxied(served.port, LOSS) as proxy:
        with closing(HttpStore(served.url, Settings())) as direct:
            direct.call(CreateRegisteredModel(name="fruit"))
            info = direct.call(CreateRun()).run.info
        with closing(HttpStore(proxy.url, Settings(), patience=30.0)) as store:
            answers = [store.call(_version(info, number)).model_version for number in range(calls)]
        assert proxy.cut > calls / 10
        served.stop()
    assert [(answer.version, answer.description) for answer in answers] == [(str(n + 1), str(n)) for n in range(calls)]
    with closing(sqlite3.connect(tmp_path / "store" / "runlore.db")) as connection:
        made = [int(text) for (text,) in connection.execute("SELECT description FROM model_version ORDER BY version")]
    assert made == list(range(calls))


def _version(info: RunInfo, number: int) -> CreateModelVersion:
    return CreateModelVersion(name="fruit", source=f"{info.artifact_uri}/m", run_id=info.run_id, description=str(number))


def _contents(url: str, path: Path, writers: range) -> list[Any]:
    """What a store holds, whatever the order in which it came: runs as answered, points and summaries as stored."""
    with closing(HttpStore(url, Settings())) as store:
        runs = [store.call(GetRun(run_id=run_id_of(writer))).run.data for writer in writers]
        points = [sorted(history(store, writer)) for writer in writers]
    columns = (
        "run_id, key, count, non_finite, last_value, last_step, last_time, min_value, min_step, max_value, max_step, "
        "sum_value, metric.max_time, greatest_step"
    )
    with closing(sqlite3.connect(path)) as connection:
        summaries = connection.execute(f"SELECT {columns} FROM metric JOIN run USING (run_key) ORDER BY 1, 2").fetchall()
    return [[(data.metrics, data.params) for data in runs], points, summaries]


def test_repeated_and_reordered_batches_change_nothing(tmp_path: Path) -> None:
    writers, batches = range(4), size(25, 1_000)
    window = 20
    clean: list[LogBatch] = []
    for writer in writers:
        for number in range(batches):
            whole = batch(writer, number * 10, 10)
            odd = [
                MetricPoint(key="odd", value=value, timestamp=number, step=-number) for value in (float("nan"), float(number))
            ]
            clean.append(LogBatch(run_id=whole.run_id, metrics=[*whole.metrics, *odd], params=whole.params))
    chance = random.Random(7)
    places = sorted((number + chance.uniform(0, window), number) for number in range(len(clean)) for _ in range(3))
    orders = {"clean": [(clean, 1)], "disturbed": [([clean[number] for _, number in places], 4)]}
    found = {}
    for name, work in orders.items():
        with serving(str(tmp_path / name), tmp_path / name) as served:
            with closing(HttpStore(served.url, Settings())) as store:
                for writer in writers:
                    store.call(creation(writer))
                for deliveries, connections in work:
                    with ThreadPoolExecutor(connections) as pool:
                        list(pool.map(store.call, deliveries))
            found[name] = _contents(served.url, tmp_path / name / "runlore.db", writers)
            served.stop()
    assert found["disturbed"] == found["clean"]
