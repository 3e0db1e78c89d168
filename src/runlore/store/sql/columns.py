"""The column catalogue of the runs table: which columns there are, how many runs have each, what is in them.

Counts are exact. They come from the shapes of runs (`shapes.py`): one group of runs with the same keys at a time, and from the
cells of those few runs whose shape is not known. What is in a column is said of the newest runs.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from runlore.api.dashboard import ColumnCatalogue, ColumnInfo, GetColumns
from runlore.query import RUN_TABLE, parse_filter
from runlore.store.sql.conditions import Sql, both
from runlore.store.sql.database import Transaction
from runlore.store.sql.handlers import handles
from runlore.store.sql.run_conditions import RUN
from runlore.store.sql.search import lifecycle
from runlore.store.sql.search_runs import RunSearch
from runlore.store.sql.shapes import Name, names_of

NEWEST = 500
"""Runs whose values are looked at."""
_EXAMPLES = 1_000
"""Runs whose keys are read in one statement."""
_FINITE = 1.7976931348623157e308

Stats = dict[str, dict[str, Any]]


@handles(GetColumns)
def get_columns(db: Transaction, op: GetColumns) -> ColumnCatalogue:
    """Counts over all runs that match; ranges and distinct values over the newest ones."""
    within: list[Sql] = []
    experiments = sorted({int(item) for item in op.experiment_ids}) or None
    if op.filter.strip():
        tree = parse_filter(op.filter, RUN_TABLE, db.now)
        within.append(RunSearch(tree, (), experiments, op.view_type, numbers=True).condition(db, scan=True))
    elif experiments:
        text, parameter = db.among("r.experiment_id", experiments)
        within.append(Sql(text, (parameter,)))
    runs = both([lifecycle("r", op.view_type), *within])
    # the plus keeps SQLite on the index that holds the shapes
    total, counts = _counts(db, both([lifecycle("+r", op.view_type), *within]))
    found = [ColumnInfo(name=f"attributes.{name}", kind="attributes", runs=total) for name in RUN.columns] if total else []
    newest = [
        key
        for (key,) in db.all(
            f"SELECT r.run_key FROM run r WHERE {runs.text} ORDER BY r.start_time DESC LIMIT {NEWEST}", runs.values
        )
    ]
    stats = _stats(db, newest) if total else {}
    for kind, key in {(name.kind, name.key) for name in counts}:
        numbers = counts[Name(kind, key, True)]
        of_all = numbers + counts[Name(kind, key, False)]
        name = f"{kind}.{key}"
        info = stats.get(name, {})
        if numbers < of_all:
            info = info | {"minimum": None, "maximum": None}
        found.append(ColumnInfo(name=name, kind=kind, runs=of_all, numeric=numbers == of_all, **info))
    wanted = op.q.casefold()
    found = [column for column in found if wanted in column.name.casefold()]
    found.sort(key=lambda column: (-column.runs, column.name))
    return ColumnCatalogue(columns=found[: op.limit], total=len(found), ranges_over=min(total, NEWEST))


def _counts(db: Transaction, counted: Sql) -> tuple[int, Counter[Name]]:
    """How many runs there are, and how many have each key."""
    sql = f"SELECT r.shape, COUNT(*), MIN(r.run_key) FROM run r WHERE {counted.text} GROUP BY r.shape"
    groups = db.all(sql, counted.values)
    counts: Counter[Name] = Counter()
    known = {example: count for shape, count, example in groups if shape is not None}
    examples = list(known)
    for start in range(0, len(examples), _EXAMPLES):
        for example, names in names_of(db, examples[start : start + _EXAMPLES]).items():
            for name in names:
                counts[name] += known[example]
    if any(shape is None for shape, _, _ in groups):
        _count_cells(db, both([counted, Sql("r.shape IS NULL")]), counts)
    return sum(count for _, count, _ in groups), counts


def _count_cells(db: Transaction, runs: Sql, counts: Counter[Name]) -> None:
    """Count the keys of runs without a shape."""
    for kind, table, number in (("metrics", "metric", "1"), ("params", "param", "x.number"), ("tags", "run_tag", "NULL")):
        rows = db.all(
            f"SELECT x.key, COUNT(*), COUNT({number}) FROM run r CROSS JOIN {table} x WHERE x.run_key = r.run_key "
            f"AND {runs.text} GROUP BY x.key",
            runs.values,
        )
        for key, count, numbers in rows:
            counts[Name(kind, key, True)] += numbers  # type: ignore[arg-type]  # one of the three
            counts[Name(kind, key, False)] += count - numbers  # type: ignore[arg-type]


def _stats(db: Transaction, run_keys: list[int]) -> Stats:
    """What is in the columns of some runs."""
    among, parameter = db.among("x.run_key", run_keys)
    finite = f"CASE WHEN x.last_value BETWEEN -{_FINITE!r} AND {_FINITE!r} THEN x.last_value END"
    found: Stats = {}
    for key, low, high in db.all(
        f"SELECT x.key, MIN({finite}), MAX({finite}) FROM metric x WHERE {among} GROUP BY x.key", (parameter,)
    ):
        found[f"metrics.{key}"] = {"minimum": low, "maximum": high}
    for kind, table, number in (("params", "param", "x.number"), ("tags", "run_tag", "NULL")):
        for key, distinct, low, high in db.all(
            f"SELECT x.key, COUNT(DISTINCT x.value), MIN({number}), MAX({number}) FROM {table} x WHERE {among} GROUP BY x.key",
            (parameter,),
        ):
            found[f"{kind}.{key}"] = {"distinct": distinct, "minimum": low, "maximum": high}
    return found
