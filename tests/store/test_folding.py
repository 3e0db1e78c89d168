"""Folding changes where points are, never what anybody is answered."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runlore.api.metrics import GetMetricHistory
from runlore.api.runs import CreateRun, GetRun, MetricPoint, UpdateRun
from runlore.api.series import QuerySeries
from runlore.entities import Metric
from runlore.exceptions import Damaged
from runlore.store.sql import metrics
from runlore.store.sql.database import Database
from runlore.store.sql.folding import FOLD_POINTS, FOLD_ROWS, FOLD_ROWS_FINISHED, fold_run, fold_tails
from runlore.store.sql.metrics import append_points
from runlore.store.sql.migrate import migrate
from runlore.store.sql.run_rows import run_key
from runlore.store.sql.sqlite import SqliteDatabase
from runlore.store.sql.store import answer
from runlore.store.sql.summaries import SummaryMemory, new_summary

_numbers = count(1)


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database without a store around it: nothing folds but the test."""
    if request.param == "sqlite":
        opened: Database = SqliteDatabase(tmp_path / "runlore.db")
    else:
        from runlore.store.sql.postgresql import PostgresDatabase

        opened = PostgresDatabase(request.getfixturevalue("postgres_uri"))
    with closing(opened):
        migrate(opened)
        yield opened


def change(database: Database, work: Callable[[Any], Any]) -> Any:
    db = database.write()
    result = work(db)
    db.commit()
    return result


def new_run(database: Database) -> str:
    run_id = f"{next(_numbers):032x}"[::-1]
    change(database, lambda db: answer(db, CreateRun(client_run_id=run_id, start_time=0)))
    return run_id


def append(database: Database, run_id: str, points: list[MetricPoint]) -> None:
    change(database, lambda db: append_points(db, run_key(run_id), points))


def fold(database: Database, run_id: str) -> None:
    change(database, lambda db: fold_run(db, run_key(run_id)))


def history(database: Database, run_id: str, key: str) -> list[Metric]:
    found: list[Metric] = []
    token: str | None = ""
    while token is not None:
        with database.read() as db:
            reply = answer(db, GetMetricHistory(run_id=run_id, metric_key=key, page_token=token))
        found += reply.metrics
        token = reply.next_page_token
    return found


def rows_of(database: Database, table: str, run_id: str) -> int:
    with database.read() as db:
        return int(db.all(f"SELECT COUNT(*) FROM {table} WHERE run_key = ?", (run_key(run_id),))[0][0])


def line(key: str, size: int, start: int = 0) -> list[MetricPoint]:
    """One point a step, 37 ms apart."""
    return [
        MetricPoint(key=key, value=math.sin(step / 100), step=step, timestamp=1_700_000_000_000 + 37 * step)
        for step in range(start, start + size)
    ]


# -- any order of appending and folding ---------------------------------------------------------------------------------

_POINTS = st.lists(
    st.builds(
        MetricPoint,
        key=st.sampled_from(["a", "b", "c"]),
        value=st.sampled_from([0.0, -0.0, 1.5, math.nan, math.inf, -math.inf]) | st.floats(),
        step=st.integers(0, 3) | st.integers(-(2**63), 2**63 - 1),
        timestamp=st.integers(0, 3) | st.integers(-(2**63), 2**63 - 1),
        model_id=st.none() | st.just("m-" + "0" * 32),
    ),
    max_size=8,
)
_ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), _POINTS),
        st.tuples(st.just("burst"), st.tuples(st.sampled_from("ab"), st.sampled_from([300, 1_024, 4_096, 5_000]))),
        st.tuples(st.just("resend"), st.integers(0, 9)),
        st.tuples(st.just("fold"), st.none()),
    ),
    max_size=12,
)


def identity(point: Any) -> tuple[Any, ...]:
    return point.step, point.timestamp, None if math.isnan(point.value) else point.value


@given(actions=_ACTIONS)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_sequence_gives_back_what_went_in_once_and_in_order(database: Database, actions: list[tuple[str, Any]]) -> None:
    run_id = new_run(database)
    calls: list[list[MetricPoint]] = []
    expected: dict[str, dict[tuple[Any, ...], None]] = {"a": {}, "b": {}, "c": {}}
    for action, detail in actions:
        if action == "fold":
            fold(database, run_id)
            continue
        if action == "append":
            calls.append(detail)
        elif action == "burst":
            key, size = detail
            calls.append(line(key, size, start=1_000 * len(calls)))
        elif calls:
            calls.append(calls[detail % len(calls)])
        else:
            continue
        append(database, run_id, calls[-1])
        for point in calls[-1]:
            expected[point.key].setdefault(identity(point))

    for key, points in expected.items():
        assert [identity(metric) for metric in history(database, run_id, key)] == list(points)
    _check_summaries(database, run_id, expected)
    _check_chart(database, run_id, expected)


def _check_summaries(database: Database, run_id: str, expected: dict[str, dict[tuple[Any, ...], None]]) -> None:
    with database.read() as db:
        last = {metric.key: metric for metric in answer(db, GetRun(run_id=run_id)).run.data.metric_list}
        extremes = db.all(
            "SELECT key, count, non_finite, min_value, min_step, max_value, max_step FROM metric WHERE run_key = ?",
            (run_key(run_id),),
        )
    assert set(last) == {key for key, points in expected.items() if points}
    for key, number, non_finite, least, least_step, most, most_step in extremes:
        points = list(expected[key])
        newest = max(range(len(points)), key=lambda place: (*points[place][:2], place))
        assert identity(last[key]) == points[newest]
        finite = [(value, step) for step, _, value in points if value is not None and math.isfinite(value)]
        assert (number, non_finite) == (len(points), len(points) - len(finite))
        if finite:
            first = dict(reversed(finite))
            assert (least, least_step) == (min(first), first[min(first)])
            assert (most, most_step) == (max(first), first[max(first)])
        else:
            assert (least, least_step, most, most_step) == (None, None, None, None)


def _check_chart(database: Database, run_id: str, expected: dict[str, dict[tuple[Any, ...], None]]) -> None:
    with database.read() as db:
        frame = answer(db, QuerySeries(run_ids=[run_id], metrics=list(expected), width=64))
    assert {key for _, key in frame.missing} == {key for key, points in expected.items() if not points}
    for column in frame.series:
        points = list(expected[column.key])
        finite = [value for _, _, value in points if value is not None and math.isfinite(value)]
        assert column.points == column.total == len(points)
        greatest = np.frombuffer(column.max or column.mean, "<f8" if column.wide else "<f4")
        assert (float(np.nanmax(greatest)) if finite else None) == (float(greatest.dtype.type(max(finite))) if finite else None)


# -- what folding makes --------------------------------------------------------------------------------------------------


def test_long_series_move_to_full_chunks_and_short_ones_share_rows(database: Database) -> None:
    run_id = new_run(database)
    points = line("long", 10_000)
    for first in range(0, 10_000, 100):
        short = [MetricPoint(key=f"m{number}", value=first + number, step=first, timestamp=first) for number in range(20)]
        append(database, run_id, points[first : first + 100] + short)
    before = {key: history(database, run_id, key) for key in ("long", "m0", "m19")}
    fold(database, run_id)

    assert rows_of(database, "metric_chunk", run_id) == 3
    assert rows_of(database, "metric_tail", run_id) == 1
    assert {key: history(database, run_id, key) for key in before} == before

    append(database, run_id, line("long", 3_000, start=10_000))
    fold(database, run_id)
    assert rows_of(database, "metric_chunk", run_id) == 4
    assert history(database, run_id, "long") == before["long"] + [
        Metric(key="long", value=point.value, step=point.step, timestamp=point.timestamp)
        for point in line("long", 3_000, start=10_000)
    ]


def test_a_thousand_metrics_of_one_point_are_one_row(database: Database) -> None:
    run_id = new_run(database)
    for number in range(1_000):
        append(database, run_id, [MetricPoint(key=f"m{number}", value=number, step=0, timestamp=number)])
    fold(database, run_id)

    assert rows_of(database, "metric_tail", run_id) == 1
    assert rows_of(database, "metric_chunk", run_id) == 0
    assert [metric.value for metric in history(database, run_id, "m700")] == [700.0]
    fold(database, run_id)
    assert rows_of(database, "metric_tail", run_id) == 1


def test_the_chore_folds_runs_that_grew_large(database: Database) -> None:
    many_rows, many_points, small = new_run(database), new_run(database), new_run(database)
    for step in range(FOLD_ROWS):
        append(database, many_rows, [MetricPoint(key="x", value=1.0, step=step, timestamp=step)])
    append(database, many_points, line("x", FOLD_POINTS))
    append(database, small, line("x", 100))
    while change(database, fold_tails):
        pass

    assert rows_of(database, "metric_tail", many_rows) == rows_of(database, "metric_tail", many_points) == 0
    assert rows_of(database, "metric_chunk", many_points) == FOLD_POINTS // 4_096
    assert (rows_of(database, "metric_tail", small), rows_of(database, "metric_chunk", small)) == (1, 0)


def test_a_run_that_has_ended_is_folded_early(database: Database) -> None:
    run_id = new_run(database)
    for step in range(FOLD_ROWS_FINISHED):
        append(database, run_id, line("x", 1, start=step))
    change(database, fold_tails)
    assert rows_of(database, "metric_tail", run_id) == FOLD_ROWS_FINISHED
    change(database, lambda db: answer(db, UpdateRun(run_id=run_id, status="FINISHED")))
    change(database, fold_tails)
    assert rows_of(database, "metric_tail", run_id) == 1
    assert len(history(database, run_id, "x")) == FOLD_ROWS_FINISHED


def test_what_was_left_unfolded_is_found_when_a_store_is_opened(database: Database) -> None:
    ended, going_on, short, abandoned = (new_run(database) for _ in range(4))
    for run_id, size in ((ended, FOLD_ROWS_FINISHED), (going_on, FOLD_ROWS_FINISHED), (short, 3), (abandoned, FOLD_ROWS)):
        for step in range(size):
            append(database, run_id, line("x", 1, start=step))
    for run_id in (ended, short):
        change(database, lambda db, run_id=run_id: answer(db, UpdateRun(run_id=run_id, status="KILLED")))
    with closing(database.reopened()) as later:
        while change(later, fold_tails):
            pass
        rows = {run_id: rows_of(later, "metric_tail", run_id) for run_id in (ended, going_on, short, abandoned)}
        assert rows == {ended: 1, going_on: FOLD_ROWS_FINISHED, short: 3, abandoned: 0}
        assert len(history(later, ended, "x")) == FOLD_ROWS_FINISHED


def test_writers_of_two_processes_and_undone_writes_do_not_confuse_what_is_remembered(database: Database) -> None:
    """Another process writes to the run behind this one's back; a fold and an undone append lie between."""
    run_id = new_run(database)
    append(database, run_id, line("x", 10))
    db = database.write()
    append_points(db, run_key(run_id), line("x", 5, start=10))
    db.rollback()
    append(database, run_id, line("x", 5, start=10))
    memory = metrics._memory
    metrics._memory = SummaryMemory()  # the other process
    append(database, run_id, line("x", 2_000, start=15))
    append(database, run_id, line("y", 3))
    metrics._memory = memory
    append(database, run_id, [*line("x", 20), *line("z", 1), *line("y", 4)])
    fold(database, run_id)
    append(database, run_id, line("x", 2_020))

    assert [metric.step for metric in history(database, run_id, "x")] == list(range(2_020))
    assert [len(history(database, run_id, key)) for key in "yz"] == [4, 1]
    with database.read() as reading:
        rows = reading.all(
            "SELECT key, series, count, last_step FROM metric WHERE run_key = ? ORDER BY key", (run_key(run_id),)
        )
    assert rows == [("x", 0, 2_020, 2_019), ("y", 1, 4, 3), ("z", 2, 1, 0)]


def test_runs_written_longest_ago_are_forgotten_first() -> None:
    memory = SummaryMemory(limit=3)
    for run in range(4):
        memory.put(run, 100 + run, {f"k{run}": new_summary(0, MetricPoint(key=f"k{run}", value=0.0, timestamp=0))})
    assert memory.take(0) is None
    assert [known[0] for run in (3, 1, 2) if (known := memory.take(run))] == [103, 101, 102]
    assert memory.take(3) is None


def test_a_fold_that_is_undone_leaves_everything_as_it_was(database: Database) -> None:
    run_id = new_run(database)
    append(database, run_id, line("x", 5_000))
    before = history(database, run_id, "x")
    db = database.write()
    fold_run(db, run_key(run_id))
    db.rollback()

    assert history(database, run_id, "x") == before
    assert rows_of(database, "metric_chunk", run_id) == rows_of(database, "metric_pyramid", run_id) == 0


def test_a_reader_keeps_its_view_while_a_run_is_folded(database: Database) -> None:
    run_id = new_run(database)
    append(database, run_id, line("x", 5_000))
    with database.read() as db:
        first = answer(db, GetMetricHistory(run_id=run_id, metric_key="x", max_results=2_000))
        fold(database, run_id)
        append(database, run_id, line("x", 10, start=5_000))
        rest = answer(db, GetMetricHistory(run_id=run_id, metric_key="x", page_token=first.next_page_token))

    assert [metric.step for metric in first.metrics + rest.metrics] == list(range(5_000))
    assert rest.next_page_token is None


def test_damaged_bytes_are_reported_and_nothing_is_invented(database: Database) -> None:
    run_id = new_run(database)
    append(database, run_id, line("x", 5_000))
    fold(database, run_id)
    with database.read() as db:
        ((data,),) = db.all("SELECT data FROM metric_chunk WHERE run_key = ? AND first_index = 0", (run_key(run_id),))
    data = bytearray(data)
    data[len(data) // 2] ^= 4
    change(
        database,
        lambda db: db.execute(
            "UPDATE metric_chunk SET data = ? WHERE run_key = ? AND first_index = 0", (bytes(data), run_key(run_id))
        ),
    )

    with pytest.raises(Damaged, match="checksum"):
        history(database, run_id, "x")
