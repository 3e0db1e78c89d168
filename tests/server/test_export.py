"""Exports over HTTP: streamed, by GET and POST, with errors that are errors."""

from __future__ import annotations

import json

from tests.server.live import House

from runlore.api.runs import CreateRun, LogBatch, MetricPoint, ParamEntry

JSON = {"Content-Type": "application/json"}


def fill(house: House, runs: int = 1) -> str:
    for _ in range(runs):
        run_id = house.store.call(CreateRun()).run.info.run_id
        points = [MetricPoint(key="m", value=step / 3, timestamp=step, step=step) for step in range(3)]
        house.store.call(LogBatch(run_id=run_id, metrics=points, params=[ParamEntry(key="p", value="=1")]))
    return run_id


def test_a_file_of_runs(house: House) -> None:
    run_id = fill(house)
    answer = house.ask("GET", "/api/v1/export/runs?columns=params.p&columns=metrics.m")
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="runs.csv"'
    assert answer.body.decode() == f"run_id,params.p,metrics.m\r\n{run_id},=1,{2 / 3!r}\r\n"
    body = json.dumps({"columns": ["params.p"], "format": "jsonl"}).encode()
    answer = house.ask("POST", "/api/v1/export/runs", JSON, body)
    assert json.loads(answer.body) == {"run_id": run_id, "params.p": "=1"}
    safe = house.ask("GET", "/api/v1/export/runs?columns=params.p&spreadsheet=true").body.decode()
    assert safe.endswith(f"{run_id},'=1\r\n")


def test_a_file_of_points(house: House) -> None:
    run_id = fill(house)
    answer = house.ask("GET", f"/api/v1/export/points?run_ids={run_id}&metrics=m")
    lines = answer.body.decode().splitlines()
    assert lines == ["run_id,key,step,timestamp,value", *(f"{run_id},m,{n},{n},{n / 3!r}" for n in range(3))]
    assert answer.headers["content-disposition"] == 'attachment; filename="points.csv"'


def test_what_is_wrong_is_said_before_the_file_begins(house: House) -> None:
    for path in (
        "runs?filter=metrics.m+%3C%3C+1",
        "runs?columns=nonsense.x",
        "points?format=jsonl",
        "runs?experiment_ids=x",
        "points?filter=x",
    ):
        answer = house.ask("GET", f"/api/v1/export/{path}")
        assert (answer.status, answer.code) == (400, "INVALID_PARAMETER_VALUE"), path


def test_more_than_a_page_in_pieces(house: House) -> None:
    house.store.call(CreateRun())
    run_id = house.store.call(CreateRun()).run.info.run_id
    for start in range(0, 20_000, 1_000):
        points = [MetricPoint(key="m", value=step / 7, timestamp=step, step=step) for step in range(start, start + 1_000)]
        house.store.call(LogBatch(run_id=run_id, metrics=points))
    answer = house.ask("GET", "/api/v1/export/points")
    assert "content-length" not in answer.headers
    lines = answer.body.decode().splitlines()
    assert len(lines) == 20_001
    assert [float(line.rpartition(",")[2]) for line in lines[1:]] == [step / 7 for step in range(20_000)]
