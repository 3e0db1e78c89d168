"""What searches cost in the store itself, without a server: the plans of `search_runs.py` at the sizes that matter.

    python bench/search_store.py                                  # 10,000 runs in an experiment, 100,000 in all, on SQLite
    python bench/search_store.py --runs 20000 --inside 2000 --keys 5
    python bench/search_store.py --runs 1000000 --inside 100000 --keys 4      # fills for ten minutes, 1.5 GB
    python bench/search_store.py --store postgresql://…/an_empty_database

Each run has as many metrics as params; the values come from a fixed seed. The least of some repetitions, in milliseconds; the
cost of encoding the answer as JSON is part of it.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from runlore.api.dashboard import GetColumns, QueryRuns, SortKey
from runlore.api.operation import Operation, encode
from runlore.api.runs import FindRuns, SearchRuns
from runlore.store.sql.database import Database
from runlore.store.sql.migrate import migrate
from runlore.store.sql.postgresql import PostgresDatabase
from runlore.store.sql.shapes import note_shapes
from runlore.store.sql.sqlite import SqliteDatabase
from runlore.store.sql.store import answer

START = 1_700_000_000_000
METRIC = "run_key, key, series, count, non_finite, last_value, last_step, last_time, first_value, first_step, first_time, " \
    "min_value, min_step, max_value, max_step, sum_value, max_time, greatest_step"  # fmt: skip
RUN = "run_key, run_id, experiment_id, name, user_id, status, start_time, end_time, artifact_uri, last_activity"
_UNSHAPED = 200_000  # beyond it, a catalogue without shapes takes longer than a read may
PARAMS = (0.1, 0.01, 0.001, 1.0, 2.0, 3.0)


def fill(database: Database, runs: int, inside: int, keys: int) -> None:
    """`inside` runs in experiment 1, the others in experiment 2; every fourth run is the parent of the three after it."""
    chance = random.Random(7)
    ids = [f"{chance.getrandbits(128):032x}" for _ in range(runs)]

    def key(number: int) -> int:
        return int(ids[number][:16], 16) >> 1

    db = database.write()
    columns = "experiment_id, name, artifact_location, creation_time, last_update_time"
    _insert(db, "experiment", columns, [(n, f"experiment {n}", f"mlflow-artifacts:/{n}", START, START) for n in (1, 2)])
    db.commit()
    step = 5_000
    for first in range(0, runs, step):
        part = sorted(range(first, min(first + step, runs)), key=key)
        db = database.write()
        _insert(db, "run", RUN, [
            (key(n), ids[n], 1 if n * inside // runs != (n + 1) * inside // runs else 2, f"calm-otter-{n}", "ada",
             chance.choice(["FINISHED", "FINISHED", "FAILED"]), START + n * 1_000, START + n * 1_000 + chance.randrange(10**7),
             f"mlflow-artifacts:/1/{ids[n]}/artifacts", START + n * 1_000)
            for n in part
        ])  # fmt: skip
        _insert(db, "param", "run_key, key, value, number", [
            (key(n), f"param_{k}", str(value), value) for n in part for k in range(keys) for value in (chance.choice(PARAMS),)
        ])  # fmt: skip
        _insert(db, "metric", METRIC, list(_metrics(chance, [key(n) for n in part], keys)))
        tags = [(key(n), "mlflow.runName", f"calm-otter-{n}") for n in part]
        tags += [(key(n), "mlflow.parentRunId", ids[n - n % 4]) for n in part if n % 4]
        _insert(db, "run_tag", "run_key, key, value", tags)
        db.commit()


def _insert(db: Any, table: str, columns: str, rows: list[tuple[Any, ...]]) -> None:
    db.many(f"INSERT INTO {table} ({columns}) VALUES ({', '.join('?' * len(rows[0]))})", rows)


def _metrics(chance: random.Random, run_keys: list[int], keys: int) -> Iterator[tuple[Any, ...]]:
    for run_key in run_keys:
        for number in range(keys):
            last, low, high = chance.random(), -chance.random(), 1 + chance.random()
            yield (
                run_key, f"metric_{number}", number, 100, 0, last, 99, START, 0.5, 0, START, low, 3, high, 4, 50.0, START, 99,
            )  # fmt: skip


def questions(scope: list[str]) -> dict[str, Operation[Any]]:
    """What is measured, in some experiments (none: all)."""
    old = scope or ["1", "2"]
    columns = ["attributes.run_name", "attributes.status", *(f"params.param_{k}" for k in range(4)), "metrics.metric_1@min"]

    def search(text: str, *orders: str) -> SearchRuns:
        return SearchRuns(experiment_ids=old, filter=text, order_by=list(orders), max_results=100)

    def find(text: str, *orders: str) -> FindRuns:
        return FindRuns(experiment_ids=scope, filter=text, order_by=list(orders), max_results=100)

    def table(text: str, *sort: SortKey) -> QueryRuns:
        return QueryRuns(experiment_ids=scope, filter=text, sort=list(sort), columns=columns, limit=200)

    return {
        "no filter": search(""),
        "half the runs, newest first": search("metrics.metric_0 > 0.5"),
        "half the runs, by another metric": search("metrics.metric_0 > 0.5", "metrics.metric_1 DESC"),
        "one in a thousand, by another metric": search("metrics.metric_0 > 0.999", "metrics.metric_1 DESC"),
        "one in ten thousand, newest first": search("metrics.metric_0 > 0.9999"),
        "a metric and a param, by a metric": search("metrics.metric_0 > 0.5 AND params.param_0 = '0.1'", "metrics.metric_1"),
        "a param that no run has so, newest first": search("params.param_0 = '9'"),
        "OR of two metrics": find("metrics.metric_0 > 0.9 OR metrics.metric_1 > 0.9"),
        "least value of a metric": find("metrics.metric_0@min < -0.99"),
        "NOT, a param as number": find("NOT params.param_0 > 0.05"),
        "regular expression on the name": find("name ~ '99$'"),
        "the same beside a metric": find("name ~ '99$' AND metrics.metric_0 > 0.9"),
        "has child": find("has child (metrics.metric_0 > 0.99)"),
        "parent matches": find("parent matches (metrics.metric_0 > 0.99)"),
        "started in the last days": find("start_time > 2030-01-01"),
        "table and total, by least value": table("", SortKey(column="metrics.metric_1@min")),
        "table and total, half the runs": table("metrics.metric_0 > 0.5", SortKey(column="params.param_1")),
        "column catalogue": GetColumns(experiment_ids=scope),
    }


def milliseconds(act: Callable[[], object], times: int) -> float:
    """The least time of some repetitions: other work on the machine is no cost of a search."""
    seconds = []
    for _ in range(times):
        begin = time.perf_counter()
        act()
        seconds.append(time.perf_counter() - begin)
    return min(seconds) * 1e3


def ask(database: Database, operation: Operation[Any]) -> bytes:
    """One answer, as a server would send it."""
    with database.read() as db:
        return encode(answer(db, operation))


def main() -> None:
    """Fill a store and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=100_000, help="runs in all")
    parser.add_argument("--inside", type=int, default=10_000, help="runs in the one experiment")
    parser.add_argument("--keys", type=int, default=10, help="metrics of a run, and params")
    parser.add_argument("--times", type=int, default=7, help="repetitions")
    parser.add_argument("--store", help="an empty PostgreSQL database; a SQLite file in a temporary directory by default")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        database: Database = (
            PostgresDatabase(options.store) if options.store else SqliteDatabase(Path(directory) / "runlore.db")
        )
        migrate(database)
        fill(database, options.runs, options.inside, options.keys)
        unshaped = milliseconds(lambda: ask(database, GetColumns()), 3) if options.runs <= _UNSHAPED else float("nan")
        begin = time.perf_counter()
        more = True
        while more:
            db = database.write()
            more = note_shapes(db)
            db.commit()
        noted = time.perf_counter() - begin
        if options.store:
            db = database.write()
            db.execute("ANALYZE")
            db.commit()
        print(f"{database.dialect}, {options.keys} metrics and {options.keys} params a run; milliseconds")
        print(f"| | {options.inside:,} runs in an experiment | all {options.runs:,} runs |\n|---|---|---|")
        everywhere = questions([])
        for name, operation in questions(["1"]).items():
            figures = [milliseconds(lambda op=op: ask(database, op), options.times) for op in (operation, everywhere[name])]
            print(f"| {name} | {figures[0]:.1f} | {figures[1]:.1f} |", flush=True)
        print(f"| column catalogue before any shape is known | | {unshaped:.0f} |")
        print(f"Shapes: {noted / options.runs * 1e6:.0f} µs a run, off the request path.")
        database.close()


if __name__ == "__main__":
    main()
