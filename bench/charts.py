"""What charts cost over 10⁸ and 10⁹ points: time and CPU of the store for each kind of window, and bytes of disk a point.

    python bench/charts.py                      # 100 runs × 1,000,000 points, half of the runs with uneven steps
    python bench/charts.py --billion            # 100 runs × 10,000,000 points: 5 GB of disk, about five minutes
    python bench/charts.py --keep DIRECTORY     # leave the store there, or measure the one that is there

Points are written by `LogBatch`, as every client's are, and folded as a store folds them. Ten runs are written so; the others
are copies of their rows, which cost a reader the same. The runs go on: what is not folded yet is read too. The least of some
repetitions, reply packed for the wire included; no server and no wire.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from runlore.api.metrics import GetMetricHistoryBulkInterval
from runlore.api.operation import Operation
from runlore.api.runs import CreateRun, LogBatch, MetricPoint
from runlore.api.series import QuerySeries, SeriesGroup, SeriesGrouping, SeriesSmoothing
from runlore.store.sql.database import Transaction
from runlore.store.sql.folding import fold_tails
from runlore.store.sql.migrate import migrate
from runlore.store.sql.run_rows import run_key
from runlore.store.sql.sqlite import SqliteDatabase
from runlore.store.sql.store import answer

START = 1_700_000_000_000
WRITTEN = 10  # runs that are written point by point
Columns = tuple["np.ndarray[Any, Any]", "np.ndarray[Any, Any]", "np.ndarray[Any, Any]"]
POINTS_TABLES = ("metric_tail", "metric_chunk", "metric_pyramid")


def curve(points: int, seed: int) -> Columns:
    """Steps, times and values of a noisy training curve in float32; of every other run the steps are uneven."""
    random = np.random.default_rng(seed)
    steps = np.arange(points) if seed % 2 == 0 else np.cumsum(random.integers(1, 5, points))
    times = START + np.cumsum(random.integers(80, 121, points))
    values = np.exp(-np.arange(points) * (5 / points)) + random.normal(0, 0.01, points)
    values[random.integers(0, points, 3)] = 9.0
    return steps, times, values.astype(np.float32).astype(np.float64)


def write(db: Transaction, run_id: str, columns: Columns) -> None:
    """Log a curve in batches of a thousand."""
    for first in range(0, len(columns[0]), 1_000):
        part = [column[first : first + 1_000].tolist() for column in columns]
        points = [
            MetricPoint(key="loss", value=value, timestamp=moment, step=step) for step, moment, value in zip(*part, strict=True)
        ]
        answer(db, LogBatch(run_id=run_id, metrics=points))
        fold_tails(db)


def fill(database: SqliteDatabase, runs: int, points: int) -> float:
    """The runs of the store; returns the CPU seconds that a million written points cost."""
    written: list[str] = []
    spent = 0.0
    for number in range(runs):
        db = database.write()
        run_id = answer(db, CreateRun(experiment_id="0", start_time=START)).run.info.run_id
        if number < WRITTEN:
            columns = curve(points, number)
            begin = time.process_time()
            write(db, run_id, columns)
            spent += time.process_time() - begin
            written.append(run_id)
        else:
            copy(db, written[number % WRITTEN], run_id)
        db.commit()
    return spent / (len(written) * points) * 1e6


def copy(db: Transaction, source: str, target: str) -> None:
    """Give a run the points of another one."""
    for table in ("metric", *POINTS_TABLES):
        names = [str(row[1]) for row in db.all(f"PRAGMA table_info({table})") if row[1] != "run_key"]
        columns = ", ".join(names)
        db.execute(
            f"INSERT INTO {table} (run_key, {columns}) SELECT ?, {columns} FROM {table} WHERE run_key = ?",
            (run_key(target), run_key(source)),
        )


def bytes_of_points(database: SqliteDatabase) -> int:
    """Bytes of the packed columns of all points and their pyramids."""
    with database.read() as db:
        return sum(int(db.all(f"SELECT COALESCE(SUM(LENGTH(data)), 0) FROM {table}")[0][0]) for table in POINTS_TABLES)


def questions(even: list[str], uneven: list[str], points: int) -> dict[str, Operation[Any]]:
    """What is measured: of all runs at once unless it is said."""
    both = even + uneven

    def ask(run_ids: list[str], **fields: Any) -> QuerySeries:
        return QuerySeries(run_ids=run_ids, metrics=["loss"], **fields)

    tenth = (0.45 * points, 0.55 * points)
    groups = SeriesGrouping(groups=[SeriesGroup(name=f"group {n}", run_ids=even[n::5] + uneven[n::5]) for n in range(5)])
    ema = SeriesSmoothing(kind="ema", amount=0.99)
    return {
        "even steps, whole": ask(even),
        "uneven steps, whole": ask(uneven),
        "all, whole": ask(both),
        "all, a tenth": ask(both, x_range=tenth),
        "all, a hundredth": ask(both, x_range=(0.45 * points, 0.46 * points)),
        "all, 2,000 steps": ask(both, x_range=(0.45 * points, 0.45 * points + 2_000)),
        "all, relative time": ask(both, x="relative"),
        "all, logarithmic": ask(both, scale="log"),
        "all, logarithmic time": ask(both, scale="log", x="relative"),
        "all, moving average": ask(both, smoothing=ema),
        "all, moving average, a tenth": ask(both, smoothing=ema, x_range=tenth),
        "all, mean of 500 points": ask(both, smoothing=SeriesSmoothing(kind="mean", amount=500)),
        "all, gaussian of 5,000 points": ask(both, smoothing=SeriesSmoothing(kind="gaussian", amount=5_000)),
        "all, best so far, a tenth": ask(both, best="min", x_range=tenth),
        "all, 5 groups": ask(both, grouping=groups),
        "all, 5 groups, moving average": ask(both, grouping=groups, smoothing=ema),
        "20 runs, moving average, a hundredth": ask(both[:20], smoothing=ema, x_range=(0.45 * points, 0.46 * points)),
        "1 run with uneven steps": ask(uneven[:1]),
        "all, MLflow's sampled history": GetMetricHistoryBulkInterval(
            run_ids=(even + uneven)[:100], metric_key="loss", max_results=320
        ),
    }


def measure(database: SqliteDatabase, operation: Operation[Any], times: int) -> tuple[float, float, int]:
    """Least wall and CPU milliseconds, and bytes of the reply."""
    walls, processors, size = [], [], 0
    for _ in range(times):
        wall, processor = time.perf_counter(), time.process_time()
        with database.read() as db:
            size = len(msgspec.msgpack.encode(answer(db, operation)))
        walls.append(time.perf_counter() - wall)
        processors.append(time.process_time() - processor)
    return min(walls) * 1e3, min(processors) * 1e3, size


def report(database: SqliteDatabase, path: Path, times: int, only: str) -> None:
    """Print the table."""
    with database.read() as db:
        rows = db.all("SELECT r.run_id, m.count, m.greatest_step FROM run r JOIN metric m ON m.run_key = r.run_key")
    points = max(count for _, count, _ in rows)
    total = sum(count for _, count, _ in rows)
    stored = bytes_of_points(database)
    print(f"{len(rows)} runs × {points:,} points = {total:,}; SQLite. Half of the runs have uneven steps.")
    print(f"Points and pyramids: {stored / total:.2f} bytes a point; the whole file {path.stat().st_size / total:.2f}.\n")
    print("| Chart, 1,024 buckets | ms | CPU ms | reply, kB |\n|---|---|---|---|")
    even = sorted(run_id for run_id, count, step in rows if step == count - 1)
    uneven = sorted(run_id for run_id, count, step in rows if step != count - 1)
    for name, operation in questions(even, uneven, points).items():
        if only in name:
            wall, processor, size = measure(database, operation, times)
            print(f"| {name} | {wall:.0f} | {processor:.0f} | {size / 1e3:,.0f} |", flush=True)
    print(f"\nMemory at most: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB.")


def main() -> None:
    """Fill a store, unless one is there, and measure it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--points", type=int, default=1_000_000, help="of each run")
    parser.add_argument("--billion", action="store_true", help="100 runs of 10,000,000 points")
    parser.add_argument("--times", type=int, default=5, help="repetitions")
    parser.add_argument("--only", default="", help="measure the charts with this in their name")
    parser.add_argument("--keep", type=Path, help="directory of the store")
    options = parser.parse_args()
    points = 10_000_000 if options.billion else options.points
    with tempfile.TemporaryDirectory() as directory:
        path = (options.keep or Path(directory)) / "charts.db"
        path.parent.mkdir(parents=True, exist_ok=True)
        there = path.exists()
        database = SqliteDatabase(path)
        if not there:
            migrate(database)
            cost = fill(database, options.runs, points)
            print(f"Written and folded: {cost:.1f} µs of CPU a point.")
        report(database, path, options.times, options.only)
        database.close()


if __name__ == "__main__":
    main()
