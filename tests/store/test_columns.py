"""The column catalogue: exact counts whatever is known of the runs' shapes, and what it says of values."""

from __future__ import annotations

import time
from collections import Counter

import pytest
from tests.store.population import Seen, number, populate

from runlore.api.dashboard import ColumnCatalogue, GetColumns
from runlore.api.runs import (
    CreateRun,
    DeleteRun,
    DeleteTag,
    LogBatch,
    LogParam,
    MetricPoint,
    ParamEntry,
    RestoreRun,
    SetTag,
    UpdateRun,
)
from runlore.store.base import Store, open_store
from runlore.store.sql import columns
from runlore.store.sql.store import SqlStore


def wait_for_shapes(store: Store) -> None:
    """Until every run that has ended has a shape. Only a store in this process can be looked into."""
    if isinstance(store, SqlStore):
        until = time.monotonic() + 20
        while time.monotonic() < until:
            with store._database.read() as db:
                row = db.one("SELECT COUNT(*) FROM run WHERE shape IS NULL AND status IN ('FINISHED', 'FAILED', 'KILLED')")
            if row == (0,):
                return
            time.sleep(0.01)
        raise AssertionError("The writer does not compute shapes.")


def counted(runs: list[Seen]) -> Counter[str]:
    found: Counter[str] = Counter()
    for run in runs:
        for kind in ("params", "tags", "metrics"):
            found.update(f"{kind}.{key}" for key in getattr(run, kind))
    return found


def counts(catalogue: ColumnCatalogue) -> dict[str, int]:
    return {column.name: column.runs for column in catalogue.columns if column.kind != "attributes"}


def test_counts_are_those_of_the_cells(store: Store) -> None:
    experiments, runs = populate(store)
    shown = [run for run in runs if not run.deleted]
    for moment in ("before", "after"):
        if moment == "after":
            wait_for_shapes(store)
        for chosen in ([], experiments, experiments[:1], experiments[1:], ["999"]):
            inside = [run for run in shown if not chosen or run.experiment_id in chosen]
            catalogue = store.call(GetColumns(experiment_ids=chosen))
            assert counts(catalogue) == counted(inside), (moment, chosen)
            assert {c.runs for c in catalogue.columns if c.kind == "attributes"} == ({len(inside)} if inside else set())
            assert catalogue.ranges_over == len(inside)


def test_what_is_said_of_values(store: Store) -> None:
    _, runs = populate(store)
    shown = [run for run in runs if not run.deleted]
    wait_for_shapes(store)
    found = {column.name: column for column in store.call(GetColumns()).columns}
    values = [run.params["lr"] for run in shown if "lr" in run.params]
    numeric = all(number(value) is not None for value in values)
    assert (found["params.lr"].distinct, found["params.lr"].numeric) == (len(set(values)), numeric)
    assert found["metrics.loss"].numeric


def test_every_write_is_seen_at_once(store: Store) -> None:
    run = store.call(CreateRun()).run.info.run_id
    expected: Counter[str] = Counter({"tags.mlflow.runName": 1})

    def check() -> None:
        wait_for_shapes(store)
        assert counts(store.call(GetColumns())) == +expected

    check()
    store.call(UpdateRun(run_id=run, status="FINISHED"))
    check()
    store.call(LogParam(run_id=run, key="a", value="1"))
    expected["params.a"] = 1
    check()
    store.call(SetTag(run_id=run, key="b", value="x"))
    expected["tags.b"] = 1
    check()
    store.call(SetTag(run_id=run, key="b", value="y"))
    check()
    store.call(LogBatch(run_id=run, metrics=[MetricPoint(key="c", value=1, timestamp=1)]))
    expected["metrics.c"] = 1
    check()
    store.call(DeleteTag(run_id=run, key="b"))
    expected["tags.b"] = 0
    check()
    store.call(DeleteRun(run_id=run))
    assert counts(store.call(GetColumns())) == {}
    store.call(RestoreRun(run_id=run))
    check()


def test_a_param_is_numeric_when_it_is_so_in_every_run(store: Store) -> None:
    for value in ("1", "2.5", "x"):
        run = store.call(CreateRun()).run.info.run_id
        store.call(LogBatch(run_id=run, params=[ParamEntry(key="a", value=value), ParamEntry(key="b", value="3")]))
        store.call(UpdateRun(run_id=run, status="FINISHED"))
        wait_for_shapes(store)
        found = {column.name: column for column in store.call(GetColumns()).columns}
        assert found["params.b"].numeric
        assert (found["params.b"].minimum, found["params.b"].maximum, found["params.b"].distinct) == (3, 3, 1)
        assert found["params.a"].numeric == (value != "x")
    assert (found["params.a"].minimum, found["params.a"].distinct) == (None, 3)


def test_ranges_are_those_of_the_newest_runs(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "NEWEST", 2)
    for start, value in ((1, 100.0), (3, 2.0), (2, 1.0)):
        run = store.call(CreateRun(start_time=start)).run.info.run_id
        store.call(LogBatch(run_id=run, metrics=[MetricPoint(key="m", value=value, timestamp=1)]))
        if start == 1:
            store.call(LogParam(run_id=run, key="old", value="1"))
    catalogue = store.call(GetColumns())
    found = {column.name: column for column in catalogue.columns}
    assert catalogue.ranges_over == 2
    assert (found["metrics.m"].runs, found["metrics.m"].minimum, found["metrics.m"].maximum) == (3, 1, 2)
    assert (found["params.old"].runs, found["params.old"].distinct, found["params.old"].minimum) == (1, None, None)


def test_a_run_that_rests_gets_a_shape(sqlite_uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runlore.store.sql.shapes.REST_MILLIS", -1)
    store = open_store(sqlite_uri)
    try:
        store.call(CreateRun())
        until = time.monotonic() + 20
        shapes = None
        while shapes != (0,) and time.monotonic() < until:
            with store._database.read() as db:  # type: ignore[attr-defined]
                shapes = db.one("SELECT COUNT(*) FROM run WHERE shape IS NULL")
        assert shapes == (0,)
    finally:
        store.close()
