"""Exports: every run and every point, in files that read back as what was logged, over every store."""

from __future__ import annotations

import csv
import io
import math
import struct
from typing import Any

import msgspec
import pytest

from runlore.api.dashboard import GetColumns
from runlore.api.experiments import CreateExperiment
from runlore.api.export import ExportPoints, ExportRuns, ReadPoints, ReadRuns
from runlore.api.runs import CreateRun, DeleteRun, LogBatch, MetricPoint, ParamEntry, TagEntry, UpdateRun
from runlore.exceptions import InvalidParameter, MissingDependency
from runlore.store import export
from runlore.store.base import Store
from runlore.store.export import export_points, export_runs

ODD = [0.1, -0.0, 5e-324, 1.7976931348623157e308, 1 / 3, 1e22, math.nan, math.inf, -math.inf]
LASTS = [value for value in ODD if value]
"""Without -0.0, which SQLite takes for 0.0 outside of packed points."""
TEXTS = ["plain", "", " ", 'say "x", he said', "two\nlines", "=1+1", "@a", "-5", "é", "\t", "1e-3"]


def new_run(store: Store, number: int = 0, params: dict[str, str] | None = None, **metrics: list[float]) -> str:
    run_id = store.call(CreateRun(run_name=f"run {number}", start_time=number, user_id="ada")).run.info.run_id
    points = [
        MetricPoint(key=key, value=value, timestamp=1_000 + step, step=step)
        for key, values in metrics.items()
        for step, value in enumerate(values)
    ]
    entries = [ParamEntry(key=key, value=value) for key, value in (params or {}).items()]
    for start in range(0, max(1, len(points)), 1_000):
        store.call(LogBatch(run_id=run_id, metrics=points[start : start + 1_000], params=entries))
    return run_id


def text(store: Store, **fields: Any) -> str:
    return b"".join(export_runs(store.call, ExportRuns(**fields))).decode()


def table(raw: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(raw, newline="")))


def bits(value: float) -> bytes:
    return struct.pack("<d", value)


# -- runs --------------------------------------------------------------------------------------------------------------


def test_all_columns_of_the_runs_that_match(store: Store) -> None:
    one = new_run(store, 1, {"lr": "0.10"}, loss=[1.0, 0.5])
    two = new_run(store, 2, {"opt": "adam"}, acc=[0.25])
    store.call(LogBatch(run_id=two, tags=[TagEntry(key="team", value="red")]))
    store.call(UpdateRun(run_id=one, status="FINISHED", end_time=11))
    store.call(DeleteRun(run_id=new_run(store, 3, {"gone": "1"})))
    rows = table(text(store))
    names = [
        "run_id", "attributes.run_name", "attributes.experiment_id", "attributes.status", "attributes.user_id",
        "attributes.start_time", "attributes.end_time", "attributes.duration", "attributes.lifecycle_stage",
        "attributes.artifact_uri", "params.lr", "params.opt", "metrics.acc", "metrics.loss", "tags.mlflow.runName", "tags.team",
    ]  # fmt: skip
    assert list(rows[0]) == names
    assert [row["run_id"] for row in rows] == [two, one]
    assert [row["attributes.duration"] for row in rows] == ["", "10"]
    assert [(row["params.lr"], row["metrics.loss"], row["tags.team"]) for row in rows] == [("", "", "red"), ("0.10", "0.5", "")]
    assert list(table(text(store, filter="params.lr = 0.1"))[0])[10:] == ["params.lr", "metrics.loss", "tags.mlflow.runName"]


def test_numbers_and_texts_read_back_as_they_were(store: Store) -> None:
    for number, value in enumerate(LASTS):
        new_run(store, number, m=[value])
    rows = table(text(store, columns=["metrics.m"], order_by=["start_time"]))
    assert [bits(float(row["metrics.m"])) for row in rows] == [bits(value) for value in LASTS]
    for number, value in enumerate(TEXTS):
        new_run(store, 100 + number, {"p": value})
    chosen = {"columns": ["params.p"], "order_by": ["start_time"], "filter": "params.p IS NOT NULL"}
    assert [row["params.p"] for row in table(text(store, **chosen))] == TEXTS
    safe = [row["params.p"] for row in table(text(store, spreadsheet=True, **chosen))]
    assert safe == [f"'{value}" if value in ("=1+1", "@a", "\t") else value for value in TEXTS]
    assert ',""\r\n' in text(store, **chosen)
    lines = [msgspec.json.decode(line) for line in text(store, format="jsonl", **chosen).splitlines()]
    assert [line["params.p"] for line in lines] == TEXTS


def test_json_lines_leave_out_what_is_not_there(store: Store) -> None:
    run_id = new_run(store, 1, {"a": "1"}, x=[math.nan], y=[-math.inf], z=[0.1])
    other = new_run(store, 2)
    lines = text(store, format="jsonl", columns=["params.a", "metrics.x", "metrics.y", "metrics.z", "start_time"]).splitlines()
    assert [msgspec.json.decode(line) for line in lines] == [
        {"run_id": other, "start_time": 2},
        {"run_id": run_id, "params.a": "1", "metrics.x": "NaN", "metrics.y": "-Infinity", "metrics.z": 0.1, "start_time": 1},
    ]


def test_more_runs_than_a_page(store: Store) -> None:
    ids = [new_run(store, number) for number in range(25)]
    pages = []
    token = ""
    while True:
        page = store.call(ReadRuns(max_results=10, order_by=["start_time"], columns=["run_name"], page_token=token))
        pages.append(page)
        if not page.next_page_token:
            break
        token = page.next_page_token
    assert [len(page.run_ids) for page in pages] == [10, 10, 5]
    assert [run_id for page in pages for run_id in page.run_ids] == ids
    assert pages[2].columns == {"run_name": [f"run {number}" for number in range(20, 25)]}
    assert store.call(ReadRuns(run_ids=[ids[3].upper(), "0" * 32])).run_ids == [ids[3]]
    with pytest.raises(InvalidParameter, match="page token"):
        store.call(ReadRuns(max_results=10, page_token="x"))


def test_of_one_experiment_and_deleted_runs(store: Store) -> None:
    experiment = store.call(CreateExperiment(name="fruit")).experiment_id
    run_id = store.call(CreateRun(experiment_id=experiment)).run.info.run_id
    store.call(DeleteRun(run_id=new_run(store, 1, {"gone": "1"})))
    assert [row["run_id"] for row in table(text(store, experiment_ids=[experiment]))] == [run_id]
    (deleted,) = table(text(store, view_type="DELETED_ONLY"))
    assert (deleted["attributes.lifecycle_stage"], deleted["params.gone"]) == ("deleted", "1")
    assert table(text(store, experiment_ids=[experiment], filter="metrics.m > 1")) == []
    assert store.call(GetColumns(filter="metrics.m > 1")).total == 0


# -- points ------------------------------------------------------------------------------------------------------------


def test_every_point_of_every_run(store: Store) -> None:
    one, two = new_run(store, 1, loss=ODD, acc=[1.0]), new_run(store, 2, loss=[3.0])
    rows = table(b"".join(export_points(store.call, ExportPoints())).decode())
    assert list(rows[0]) == ["run_id", "key", "step", "timestamp", "value"]
    assert [(row["run_id"], row["key"]) for row in rows] == [(two, "loss"), (one, "acc"), *[(one, "loss")] * len(ODD)]
    assert [row["step"] for row in rows[2:]] == [str(step) for step in range(len(ODD))]
    assert [row["timestamp"] for row in rows[2:]] == [str(1_000 + step) for step in range(len(ODD))]
    assert [bits(float(row["value"])) for row in rows[2:]] == [bits(value) for value in ODD]
    assert all(
        row["key"] == "acc" for row in table(b"".join(export_points(store.call, ExportPoints(metrics=["acc"]))).decode())
    )
    some = table(b"".join(export_points(store.call, ExportPoints(run_ids=[two]))).decode())
    assert [(row["run_id"], row["value"]) for row in some] == [(two, "3.0")]


def test_points_in_pages(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runlore.store.sql.export.PAGE_POINTS", 7)
    long = [number / 7 for number in range(5_000)]
    run_id = new_run(store, 1, a=[1.0, 2.0], b=[float(number) for number in range(20)], c=[3.0], empty=[])
    store.call(LogBatch(run_id=run_id, metrics=[MetricPoint(key="a", value=9.0, timestamp=5_000, step=9)]))
    found: dict[str, list[float]] = {}
    token, pages = "", 0
    while True:
        page = store.call(ReadPoints(run_id=run_id, page_token=token))
        pages += 1
        for series in page.series:
            found.setdefault(series.key, []).extend(struct.unpack(f"<{len(series.values) // 8}d", series.values))
        if not page.next_page_token:
            break
        token = page.next_page_token
    assert found == {"a": [1.0, 2.0, 9.0], "b": [float(number) for number in range(20)], "c": [3.0]}
    assert pages == 4
    monkeypatch.undo()
    folded = new_run(store, 2, m=long)
    (series,) = store.call(ReadPoints(run_id=folded)).series
    assert list(struct.unpack(f"<{len(long)}d", series.values)) == long
    assert store.call(ReadPoints(run_id=folded, metrics=["none"])).series == []
    with pytest.raises(InvalidParameter, match="page token"):
        store.call(ReadPoints(run_id=folded, page_token="x:m"))


# -- Parquet -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("library", ["pyarrow", "polars"])
def test_parquet(new_store: Any, library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module = pytest.importorskip(library)
    monkeypatch.setattr(export, "find_spec", lambda name: name == library or None)
    store: Store = new_store("sqlite")
    ids = [new_run(store, number, {"p": TEXTS[number]}, m=[value]) for number, value in enumerate(LASTS)]
    bare = new_run(store, 99)
    columns = ["params.p", "metrics.m", "start_time"]
    raw = b"".join(export_runs(store.call, ExportRuns(format="parquet", columns=columns, order_by=["start_time"])))
    if library == "pyarrow":
        from pyarrow import parquet

        found = parquet.read_table(io.BytesIO(raw)).to_pydict()
        none = parquet.read_table(io.BytesIO(_parquet(store, filter="metrics.m > 1e308 AND metrics.m < 1e308"))).to_pydict()
    else:
        found = module.read_parquet(raw).to_dict(as_series=False)
        none = module.read_parquet(_parquet(store, filter="metrics.m > 1e308 AND metrics.m < 1e308")).to_dict(as_series=False)
    assert found["run_id"] == [*ids, bare]
    assert found["params.p"] == [*TEXTS[: len(LASTS)], None]
    assert found["start_time"] == [*range(len(LASTS)), 99]
    assert [bits(value) for value in found["metrics.m"][:-1]] == [bits(value) for value in LASTS]
    assert found["metrics.m"][-1] is None
    assert none == {"run_id": [], "params.p": []}


def _parquet(store: Store, **fields: Any) -> bytes:
    return b"".join(export_runs(store.call, ExportRuns(format="parquet", columns=["params.p"], **fields)))


def test_parquet_without_its_libraries_says_what_to_install(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "find_spec", lambda name: None)
    with pytest.raises(MissingDependency, match="pip install pyarrow"):
        export_runs(store.call, ExportRuns(format="parquet", columns=["params.p"]))
