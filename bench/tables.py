"""What the tables of the dashboard cost in the store itself: comparison, histograms, groups.

    python bench/tables.py                        # 10,000 runs of 10 metrics and 10 params; on SQLite
    python bench/tables.py --runs 100000
    python bench/tables.py --store postgresql://…/an_empty_database

The least of some repetitions, in milliseconds; encoding the answer as JSON is part of it.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from pathlib import Path
from typing import Any

from search_store import ask, fill, milliseconds

from runlore.api.compare import CompareRuns
from runlore.api.dashboard import QueryRuns, SortKey
from runlore.api.groups import GroupKey, GroupRuns
from runlore.api.histograms import GetHistograms
from runlore.api.operation import Operation
from runlore.store.sql.database import Database
from runlore.store.sql.migrate import migrate
from runlore.store.sql.postgresql import PostgresDatabase
from runlore.store.sql.sqlite import SqliteDatabase

COMPARED, PARAMS, DIFFERENT = 50, 5_000, 50


def fill_compared(database: Database) -> list[str]:
    """50 runs of 5,000 params, 50 of which differ."""
    chance = random.Random(3)
    ids = sorted(f"{chance.getrandbits(128):032x}" for _ in range(COMPARED))
    db = database.write()
    columns = "run_key, run_id, experiment_id, name, user_id, status, start_time, artifact_uri, last_activity"
    db.many(
        f"INSERT INTO run ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [(int(i[:16], 16) >> 1, i, 0, "calm-otter", "ada", "FINISHED", 1, "mlflow-artifacts:/0", 1) for i in ids],
    )
    rows = [
        (int(i[:16], 16) >> 1, f"section{k % 100}.key{k:05}", str(chance.random()) if k < DIFFERENT else f"value {k}", None)
        for i in ids
        for k in range(PARAMS)
    ]
    db.many("INSERT INTO param (run_key, key, value, number) VALUES (?, ?, ?, ?)", rows)
    db.commit()
    return ids


def questions(compared: list[str]) -> dict[str, Operation[Any]]:
    """What is measured."""
    columns = [f"{kind}.{kind[:-1]}_{k}" for kind in ("metrics", "params") for k in range(10)]
    scope = ["1"]
    metrics = [f"metrics.metric_{k}" for k in range(5)]
    by = [GroupKey(column="params.param_0"), GroupKey(column="params.param_1")]
    return {
        f"compare {COMPARED} runs of {PARAMS:,} params, {DIFFERENT} of which differ": CompareRuns(run_ids=compared),
        "the same, all params": CompareRuns(run_ids=compared, differences_only=False, sections=["params"]),
        "histograms of 20 columns": GetHistograms(columns=columns, experiment_ids=scope),
        "the same of half the runs": GetHistograms(columns=columns, experiment_ids=scope, filter="metrics.metric_0 > 0.5"),
        "group by two params, five metrics": GroupRuns(by=by, columns=metrics, experiment_ids=scope),
        "group by bins of a metric": GroupRuns(
            by=[GroupKey(column="metrics.metric_0", bins=10)], columns=["metrics.metric_1@min"], experiment_ids=scope
        ),
        "has child": QueryRuns(filter="has child (metrics.metric_1 > 0.9)"),
        "table in order of a least value": QueryRuns(sort=[SortKey(column="metrics.metric_1@min")], experiment_ids=scope),
    }


def main() -> None:
    """Fill a store and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10_000, help="runs of one experiment")
    parser.add_argument("--times", type=int, default=5, help="repetitions")
    parser.add_argument("--store", help="an empty PostgreSQL database; a SQLite file in a temporary directory by default")
    parser.add_argument("--directory", help="where the SQLite file is, or was by an earlier call")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(options.directory or scratch) / "runlore.db"
        database: Database = PostgresDatabase(options.store) if options.store else SqliteDatabase(path)
        migrate(database)
        with database.read() as db:
            compared = [run for (run,) in db.all("SELECT run_id FROM run WHERE experiment_id = 0 ORDER BY run_id")]
        if not compared:
            compared = fill_compared(database)
            fill(database, options.runs, options.runs, 10)
        if options.store:
            db = database.write()
            db.execute("ANALYZE")
            db.commit()
        print(f"{database.dialect}, {options.runs:,} runs; milliseconds\n| | |\n|---|---|")
        for name, operation in questions(compared).items():
            figure = milliseconds(lambda op=operation: ask(database, op), options.times)
            print(f"| {name} | {figure:.1f} |", flush=True)
        database.close()


if __name__ == "__main__":
    main()
