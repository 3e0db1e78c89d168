"""What a delivery brings as arrays is stored as the same points are that come as objects, down to the bytes of each row."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runlore.api.delivery import Deliver, Delivered, JournalPoints
from runlore.api.runs import CreateRun
from runlore.store.sql.arrays import PointArrays
from runlore.store.sql.database import Database
from runlore.store.sql.folding import fold_run
from runlore.store.sql.metrics import append_arrays
from runlore.store.sql.migrate import migrate
from runlore.store.sql.points import read_points
from runlore.store.sql.run_rows import run_key
from runlore.store.sql.sqlite import SqliteDatabase
from runlore.store.sql.store import answer

LEAST, GREATEST = -(2**63), 2**63 - 1
SPECIAL = [0.0, -0.0, 1.0, 0.1, -2.5, 5e-324, 1.7e308, -1.7e308, float("inf"), float("-inf"), float("nan")]
KEYS = ["loss", "acc", "val/loss"]
_runs = count(1)

Point = tuple[int, int, int, float]
"""Place of the key, step, time, value."""


class Stretch(NamedTuple):
    """Points of one metric whose steps and times go up, stay or go down."""

    place: int
    points: int
    step: int
    time: int
    step_by: int
    time_by: int
    values: list[float]


class Part(NamedTuple):
    """A delivery: its points, how far it goes back into the one before, and whether the run is folded first."""

    stretches: list[Stretch]
    interleaved: bool
    repeated: bool
    overlap: int
    fold: bool


starts = st.one_of(st.integers(0, 3_000), st.sampled_from([LEAST, GREATEST, 0, -100, 2**31, 2**40, 1_700_000_000_000]))
values = st.one_of(st.sampled_from(SPECIAL), st.floats(-10, 10))
stretches = st.builds(
    Stretch,
    st.integers(0, len(KEYS) - 1),
    st.sampled_from([1, 3, 200, 600, 5_000]),
    starts,
    starts,
    st.sampled_from([1, 1, 1, 0, -1, 7, 2**33]),
    st.sampled_from([0, 1, 1, -3]),
    st.lists(values, min_size=1, max_size=8),
)
parts = st.builds(
    Part,
    st.lists(stretches, min_size=1, max_size=4),
    st.booleans(),
    st.booleans(),
    st.sampled_from([0, 0, 50, 900]),
    st.booleans(),
)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A database without a store around it: nothing folds but the test."""
    with closing(SqliteDatabase(Path(tmp_path_factory.mktemp("arrays"), "runlore.db"))) as opened:
        migrate(opened)
        yield opened


def change(database: Database, *operations: Any) -> Any:
    db = database.write()
    for each in operations:
        reply = each(db) if callable(each) else answer(db, each)
    db.commit()
    return reply


def new_run(database: Database) -> str:
    run_id = f"{next(_runs):032x}"[::-1]
    change(database, CreateRun(client_run_id=run_id, start_time=0))
    return run_id


def points_of(part: Part) -> list[Point]:
    columns = [
        [
            (
                stretch.place,
                min(max(stretch.step + at * stretch.step_by, LEAST), GREATEST),
                min(max(stretch.time + at * stretch.time_by, LEAST), GREATEST),
                stretch.values[at % len(stretch.values)],
            )
            for at in range(stretch.points)
        ]
        for stretch in part.stretches
    ]
    if part.interleaved:
        longest = max(map(len, columns))
        return [column[at] for at in range(longest) for column in columns if at < len(column)]
    return [point for column in columns for point in column]


def packed(numbered: list[tuple[int, Point]], keys: list[str]) -> JournalPoints:
    columns = [[number for number, _ in numbered], *zip(*(point for _, point in numbered), strict=True)]
    forms = ("q", "I", "q", "q", "d")
    return JournalPoints(
        keys=keys,
        data=b"".join(struct.pack(f"<{len(numbered)}{form}", *column) for form, column in zip(forms, columns, strict=True)),
    )


def rows(database: Database, run_id: str) -> list[tuple[Any, ...]]:
    """Everything that is stored of the points of a run, but for the run's key and the random token."""
    found: list[tuple[Any, ...]] = []
    with database.read() as db:
        for table, order in (
            ("metric", "key"),
            ("metric_tail", "seq"),
            ("metric_chunk", "series, first_index"),
            ("metric_pyramid", "series, level, page"),
            ("model_metric", "key"),
        ):
            names = [name for _, name, *_ in db.all(f"PRAGMA table_info({table})") if name != "run_key"]
            found += db.all(
                f"SELECT '{table}', {', '.join(names)} FROM {table} WHERE run_key = ? ORDER BY {order}", (run_key(run_id),)
            )
        found += db.all(
            "SELECT next_tail, next_series, merged_tail, loose_points, latest_time FROM run WHERE run_key = ?",
            (run_key(run_id),),
        )
        found += db.all("SELECT writer_id, next_seq FROM writer_mark WHERE run_key = ? ORDER BY writer_id", (run_key(run_id),))
    return found


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.lists(parts, min_size=1, max_size=4), st.integers(1, 12))
def test_arrays_are_stored_as_objects_are(database: Database, delivered: list[Part], points_a_record: int) -> None:
    """A delivery that names a key twice is stored point by point: no client of ours sends one, and it shows the difference."""
    first, second = new_run(database), new_run(database)
    writer, mark = 0, 0
    before: list[Point] = []
    for part in delivered:
        points = points_of(part)
        if part.repeated:  # by another writer, so that the mark does not know them
            points, writer, mark = before + points, writer + 1, 0
        before = points
        start = max(0, mark - part.overlap)
        numbered = [(start + at // points_a_record, point) for at, point in enumerate(points)][:25_000]
        replies: list[Delivered] = []
        for run_id, keys in ((first, KEYS), (second, [*KEYS, KEYS[0]])):
            sent = packed(numbered, keys)
            operation = Deliver(
                run_id=run_id, writer_id=f"{writer:032x}", after=mark, next_seq=numbered[-1][0] + 1, points=sent
            )  # fmt: skip
            if part.fold:
                change(database, lambda db, run_id=run_id: fold_run(db, run_key(run_id)))
            replies.append(change(database, operation))
        assert replies[0] == replies[1]
        mark = replies[0].next_seq
        assert [repr(row) for row in rows(database, first)] == [repr(row) for row in rows(database, second)]


def test_arrays_of_more_than_one_row_are_stored_in_order(database: Database) -> None:
    import numpy as np

    run_id, length = new_run(database), 20_000
    steps = np.arange(length)
    arrays = PointArrays(["a", "b"], (steps % 2).astype("<u4"), steps, steps + 5, steps / 4)
    assert change(database, lambda db: append_arrays(db, run_key(run_id), arrays)) == length
    assert change(database, lambda db: append_arrays(db, run_key(run_id), arrays)) == 0
    change(database, lambda db: fold_run(db, run_key(run_id)))
    with database.read() as db:
        found = db.all(
            "SELECT key, series, count, folded, last_step FROM metric WHERE run_key = ? ORDER BY key", (run_key(run_id),)
        )
        tail = db.all("SELECT next_tail, loose_points FROM run WHERE run_key = ?", (run_key(run_id),))
        histories = [read_points(db, run_key(run_id), series, 10_000) for series in (0, 1)]
    assert found == [("a", 0, 10_000, 10_000, 19_998), ("b", 1, 10_000, 10_000, 19_999)]
    assert tail == [(6, 0)]
    for series, points in enumerate(histories):
        assert points.steps.tolist() == list(range(series, length, 2))
        assert points.times.tolist() == list(range(series + 5, length + 5, 2))
        assert points.values.tolist() == [step / 4 for step in range(series, length, 2)]
