"""Charts and samples of series so long that they are not read as a whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import numpy as np
import pytest

from runlore.api.metrics import GetMetricHistoryBulkInterval
from runlore.api.runs import CreateRun, MetricPoint
from runlore.api.series import QuerySeries, SeriesFrame, SeriesSmoothing
from runlore.store.sql.database import Database
from runlore.store.sql.folding import fold_run
from runlore.store.sql.metrics import append_points
from runlore.store.sql.migrate import migrate
from runlore.store.sql.run_rows import run_key
from runlore.store.sql.sqlite import SqliteDatabase
from runlore.store.sql.store import answer

COUNT, SPIKE = 560_000, 345_678
TABLES = ("metric", "metric_chunk", "metric_pyramid", "metric_tail")


@pytest.fixture(scope="module")
def curve() -> tuple[Any, Any]:
    """Uneven steps and noisy values in float32 with one spike."""
    random = np.random.default_rng(0)
    values = random.normal(size=COUNT).astype(np.float32).astype(float)
    values[SPIKE] = 99.0
    return np.cumsum(random.integers(1, 6, COUNT)), values


@pytest.fixture(scope="module")
def database(curve: tuple[Any, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """Twelve runs with the same folded points."""
    steps, values = curve
    with closing(SqliteDatabase(tmp_path_factory.mktemp("long") / "runlore.db")) as opened:
        migrate(opened)
        db = opened.write()
        for number in range(12):
            answer(db, CreateRun(client_run_id=run_id(number), start_time=0))
        columns = zip(values.tolist(), (steps * 100).tolist(), steps.tolist(), strict=True)
        points = [MetricPoint(key="x", value=value, timestamp=time, step=step) for value, time, step in columns]
        for first in range(0, COUNT, 100_000):
            append_points(db, run_key(run_id(0)), points[first : first + 100_000])
            fold_run(db, run_key(run_id(0)))
        for table in TABLES:
            names = ", ".join(str(row[1]) for row in db.all(f"PRAGMA table_info({table})") if row[1] != "run_key")
            for number in range(1, 12):
                db.execute(
                    f"INSERT INTO {table} (run_key, {names}) SELECT ?, {names} FROM {table} WHERE run_key = ?",
                    (run_key(run_id(number)), run_key(run_id(0))),
                )
        db.commit()
        yield opened


def run_id(number: int) -> str:
    return f"{number + 1:x}{'0' * 31}"[:32]


def ask(database: Database, operation: Any) -> Any:
    with database.read() as db:
        return answer(db, operation)


def column(line: Any, name: str) -> Any:
    return np.frombuffer(getattr(line, name), "<u4" if name == "count" else "<f8" if line.wide else "<f4")


def test_a_folded_point_takes_less_than_eight_bytes(database: Database) -> None:
    with database.read() as db:
        size = sum(int(db.all(f"SELECT COALESCE(SUM(LENGTH(data)), 0) FROM {table}")[0][0]) for table in TABLES[1:])
    assert size / (12 * COUNT) < 8


def test_a_sample_of_a_long_history_has_its_extremes_and_its_ends(database: Database, curve: tuple[Any, Any]) -> None:
    steps, values = curve
    sample = ask(database, GetMetricHistoryBulkInterval(run_ids=[run_id(3)], metric_key="x", max_results=320)).metrics

    places = np.searchsorted(steps, [metric.step for metric in sample])
    assert 200 < len(sample) <= 320
    assert (np.diff(places) > 0).all()
    assert [(metric.value, metric.timestamp) for metric in sample] == [(values[place], steps[place] * 100) for place in places]
    assert {0, SPIKE, COUNT - 1, int(values.argmin())} <= set(places.tolist())


@pytest.mark.parametrize("width", [1_000_000, 20_000, 50])
def test_a_sample_of_a_window_of_a_long_history_stays_in_it(database: Database, curve: tuple[Any, Any], width: int) -> None:
    steps, _ = curve
    low, high = int(steps[SPIKE]) - width // 2, int(steps[SPIKE]) + width // 2
    ask_for = GetMetricHistoryBulkInterval(run_ids=[run_id(0)], metric_key="x", max_results=320, start_step=low, end_step=high)
    sample = ask(database, ask_for).metrics

    inside = steps[(steps >= low) & (steps <= high)]
    found = [metric.step for metric in sample]
    assert set(found) <= set(inside.tolist())
    assert (found[0], found[-1], max(metric.value for metric in sample)) == (inside[0], inside[-1], 99.0)
    if len(inside) <= 320:
        assert found == inside.tolist()


def chart(number: int) -> Callable[..., QuerySeries]:
    def query(**fields: Any) -> QuerySeries:
        return QuerySeries(run_ids=[run_id(run) for run in range(number)], metrics=["x"], **fields)

    return query


def test_one_long_line_with_uneven_steps_is_exact(database: Database, curve: tuple[Any, Any]) -> None:
    steps, _ = curve
    frame: SeriesFrame = ask(database, chart(1)(width=512))
    places = (steps - int(frame.x0)) // int(frame.dx)
    assert (frame.approximated, frame.series[0].blur) == (False, 0)
    assert column(frame.series[0], "count").tolist() == np.bincount(places, minlength=frame.n).tolist()


@pytest.mark.parametrize("fields", [{}, {"x": "relative"}, {"scale": "log"}])
def test_many_long_lines_with_uneven_steps_say_that_they_are_blurred_and_keep_every_point(
    database: Database, fields: dict[str, Any]
) -> None:
    frame: SeriesFrame = ask(database, chart(12)(width=1_024, **fields))
    assert frame.approximated
    for line in frame.series:
        assert (line.blur, line.points, int(column(line, "count").sum())) == (0.25, COUNT, COUNT)
        assert np.nanmax(column(line, "max")) == 99.0


def test_many_long_lines_are_smoothed_alike_at_every_zoom(database: Database, curve: tuple[Any, Any]) -> None:
    steps, values = curve
    averages, average = [], 0.0
    for value in values.tolist():
        average = 0.999 * average + 0.001 * value
        averages.append(average)
    truth = np.array(averages) / (1 - 0.999 ** np.arange(1, COUNT + 1))
    for window in (None, (400_000, 900_000), (600_000, 640_000)):
        how = SeriesSmoothing(kind="ema", amount=0.999)
        frame: SeriesFrame = ask(database, chart(12)(width=256, smoothing=how, x_range=window))
        places = (steps - int(frame.x0)) // int(frame.dx)
        inside = (places >= 0) & (places < frame.n)
        sums = np.bincount(places[inside], truth[inside], frame.n)
        expected = sums / np.bincount(places[inside], minlength=frame.n)
        assert np.abs(column(frame.series[7], "smooth") - expected).max() < 0.01 * (99 - values.min())
