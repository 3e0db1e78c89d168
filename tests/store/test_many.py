"""Many rows at once: row by row on SQLite and for a few rows, as arrays on PostgreSQL. Nobody may see a difference."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from runlore.api.runs import CreateRun, GetRun, LogBatch, LogInputs, MetricPoint, ParamEntry
from runlore.entities import LoggedModelInput
from runlore.exceptions import InvalidParameter
from runlore.store.base import Store
from runlore.store.sql.bulk import WORTHWHILE
from runlore.store.sql.database import Database
from runlore.store.sql.postgresql import PostgresDatabase
from runlore.store.sql.sqlite import SqliteDatabase
from runlore.store.sql.store import SqlStore

_TABLE = "CREATE TABLE t (a BIGINT, b TEXT, number DOUBLE PRECISION, count BIGINT, data BLOB, PRIMARY KEY (a, b))"
_INSERT = "INSERT INTO t (a, b, number, count, data) VALUES (?, ?, ?, ?, ?)"
_SELECT = "SELECT a, b, number, count, data FROM t ORDER BY a, b"
_Rows = list[tuple[Any, ...]]

sizes = pytest.mark.parametrize("size", [1, 2, WORTHWHILE - 1, WORTHWHILE, 300])


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database of each kind with one table."""
    made: Database
    if request.param == "sqlite":
        made = SqliteDatabase(tmp_path / "x.db")
    else:
        made = PostgresDatabase(request.getfixturevalue("postgres_uri"))
    with closing(made):
        transaction = made.write()
        transaction.execute(made.script(_TABLE))
        transaction.commit()
        yield made


def rows_of(size: int) -> _Rows:
    """Rows with whatever a column can hold."""
    texts, numbers, data = ("x", "ä'?%s{}", "\U0001f600", ""), (0.1, None, float("inf"), -0.0, 3), (b"", b"\x00\xff", None)
    return [(i % 2, f"{texts[i % 4]}{i:04}", numbers[i % 5], (-(2**63), 2**63 - 1)[i % 2], data[i % 3]) for i in range(size)]


def change(database: Database, sql: str, rows: _Rows) -> int:
    """Run it and commit; returns the number of rows changed."""
    transaction = database.write()
    try:
        changed = transaction.many(sql, rows)
        transaction.commit()
    finally:
        transaction.rollback()
    return changed


def stored(database: Database) -> _Rows:
    with database.read() as db:
        return db.all(_SELECT)


@sizes
def test_rows_are_inserted_as_they_are(database: Database, size: int) -> None:
    rows = rows_of(size)
    assert change(database, _INSERT, rows) == size
    assert stored(database) == sorted(rows)


@sizes
def test_rows_that_are_there_are_kept_or_updated(database: Database, size: int) -> None:
    rows = rows_of(size)
    change(database, _INSERT, rows[::2])
    assert change(database, f"{_INSERT} ON CONFLICT (a, b) DO NOTHING", rows) == size // 2
    newer = [(*row[:2], 7.0, 7, b"7") for row in rows]
    update = f"{_INSERT} ON CONFLICT (a, b) DO UPDATE SET number = excluded.number, data = excluded.data WHERE excluded.a = 0"
    assert change(database, update, newer) == (size + 1) // 2
    assert stored(database) == sorted((*row[:2], *((7.0, row[3], b"7") if row[0] == 0 else row[2:])) for row in rows)


@sizes
@pytest.mark.parametrize("keys", [1, 2])
def test_rows_are_updated_by_two_keys(database: Database, size: int, keys: int) -> None:
    """With one first key they are changed in one statement on PostgreSQL, with several they are not."""
    rows = [(index % keys, f"k{index}", 1.5, index, b"x") for index in range(size)]
    change(database, _INSERT, [*rows, (5, "k0", 1.5, 0, b"x")])
    update = "UPDATE t SET data = ?, number = COALESCE(?, number), count = count + ? WHERE a = ? AND b = ?"
    changes = [(b"y%d" % i, None if i % 2 else -2.5, 10, i % keys, f"k{i}") for i in range(size)]
    assert change(database, update, [*changes, (b"", 0.0, 0, 9, "absent")]) == size
    expected = [(a, b, 1.5 if i % 2 else -2.5, i + 10, b"y%d" % i) for i, (a, b, *_) in enumerate(rows)]
    assert stored(database) == sorted([*expected, (5, "k0", 1.5, 0, b"x")])


@pytest.mark.parametrize("value", ["\ud800", "a\x00b", 2**63, -(2**63) - 1])
@pytest.mark.parametrize("size", [2, 40])
def test_a_value_that_can_not_be_stored_is_refused(database: Database, value: Any, size: int) -> None:
    if value == "a\x00b" and database.dialect == "sqlite":
        pytest.skip("SQLite can store it")
    place = 1 if isinstance(value, str) else 3
    rows = rows_of(size)
    rows[1] = (*rows[1][:place], value, *rows[1][place + 1 :])
    with pytest.raises(InvalidParameter, match="can not be stored"):
        change(database, _INSERT, rows)
    assert change(database, _INSERT, rows_of(size)) == size


def test_a_large_batch_is_as_many_small_ones(store: Store) -> None:
    """Summaries of metrics that rise, fall, are NaN or infinite, come late, or name a dataset."""
    whole, parts = (store.call(CreateRun(experiment_id="0", run_name="x")).run.info.run_id for _ in range(2))
    for step, shift in enumerate((0.0, 1.0, -1.0, float("nan"), float("inf"), 2.0)):
        metrics = [
            MetricPoint(
                key=f"m{index}", value=index + shift * (index % 3), timestamp=1_000 + step, step=(step, 9 - step)[index % 2],
                dataset_name="d" if step == 2 else None, dataset_digest="1" if step == 2 else None,
            )
            for index in range(60)
        ]  # fmt: skip
        params = [ParamEntry(key=f"p{index}", value=str(index)) for index in range(60)]
        store.call(LogBatch(run_id=whole, metrics=metrics, params=params))
        for first in range(0, 60, 7):
            store.call(LogBatch(run_id=parts, metrics=metrics[first : first + 7], params=params[first : first + 7]))
    one, other = (store.call(GetRun(run_id=run_id)).run.data for run_id in (whole, parts))
    assert len(one.metrics) == len(one.params) == 60
    assert repr(one) == repr(other)


def test_a_model_that_is_an_input_twice_is_one(store: Store) -> None:
    run_id = store.call(CreateRun(experiment_id="0")).run.info.run_id
    models = [LoggedModelInput(model_id=f"m-{index % 20:032}") for index in range(40)]
    store.call(LogInputs(run_id=run_id, models=models))
    inputs = store.call(GetRun(run_id=run_id)).run.inputs
    assert inputs is not None
    assert [model.model_id for model in inputs.model_inputs] == [f"m-{index:032}" for index in range(20)]


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_a_metric_that_can_not_be_stored_harms_no_other(kind: str, new_store: Callable[[str], Store]) -> None:
    """Statements that wait for a later one bring out what is wrong there: it must not be blamed on another operation."""
    store = new_store(kind)
    assert isinstance(store, SqlStore)
    run_ids = [store.call(CreateRun(experiment_id="0")).run.info.run_id for _ in range(5)]
    for keys in (["m"], [f"m{index}" for index in range(40)]):
        futures = [
            store.submit(
                LogBatch(run_id=run_id, metrics=[MetricPoint(key=key + wrong, value=1.0, timestamp=1) for key in keys])
            )
            for run_id in run_ids
            for wrong in ("", "\ud800")
        ]
        for place, future in enumerate(futures):
            if place % 2:
                with pytest.raises(InvalidParameter, match="can not be stored"):
                    future.result()
            else:
                future.result()
    for run_id in run_ids:
        assert len(store.call(GetRun(run_id=run_id)).run.data.metrics) == 41
