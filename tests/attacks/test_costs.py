"""What one request may cost: small ones that would keep a server busy are refused."""

from __future__ import annotations

import json

import pytest
from tests.server.live import House
from tests.server.wire import Answer

from runlore.api.runs import LogBatch, MetricPoint


def series(house: House, body: object) -> Answer:
    return house.ask("POST", "/api/v1/series", {"Content-Type": "application/json"}, json.dumps(body).encode())


@pytest.fixture
def runs(house: House) -> list[str]:
    """Eleven runs with ten metrics each."""
    found = [house.new_run() for _ in range(11)]
    for run_id in found:
        points = [MetricPoint(key=f"m{number}", value=1.0, timestamp=0, step=0) for number in range(10)]
        house.store.call(LogBatch(run_id=run_id, metrics=points))
    return found


def grouped(runs: list[str], groups: list[list[str]], metrics: int = 10) -> dict[str, object]:
    named = [{"name": f"g{number}", "run_ids": run_ids} for number, run_ids in enumerate(groups)]
    return {"run_ids": runs, "metrics": [f"m{number}" for number in range(metrics)], "grouping": {"groups": named}}


def test_groups_that_share_runs_can_not_make_endless_work(house: House, runs: list[str]) -> None:
    """A thousand groups of the same thousand runs fit into a request of 2 MB, and would take minutes."""
    assert series(house, grouped(runs, [runs] * 90)).status == 200  # 9,900 lines taken together
    answer = series(house, grouped(runs, [runs] * 100))
    assert (answer.status, answer.code) == (400, "INVALID_PARAMETER_VALUE")
    assert "11,000 lines together; 10,000 are the most" in answer.json()["message"]


def test_groups_are_lines_too(house: House, runs: list[str]) -> None:
    assert series(house, grouped(runs, [[runs[0]]] * 200)).status == 200
    answer = series(house, grouped(runs, [[runs[0]]] * 201))
    assert "2,010 lines; 2,000 are the most" in answer.json()["message"]
    assert series(house, grouped(runs, [[runs[0]]] * 1_000, metrics=2)).status == 200


def test_runs_without_the_metrics_do_not_count(house: House, runs: list[str]) -> None:
    empty = [house.new_run() for _ in range(20)]
    answer = series(house, grouped([*runs, *empty], [[*runs[:1], *empty]] * 200))
    assert answer.status == 200
