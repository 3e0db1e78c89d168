"""Comparisons that SQL can not make, or not safely: regular expressions, and metrics at a step.

They are made in Python over the runs in question, and become a list of run keys. Values are read in pages, so that their
length does not matter, and the whole is cut off like any other read that takes too long.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

from runlore.exceptions import InvalidParameter, RunloreError
from runlore.query import And, Comparison, Expression, Not, Or
from runlore.query.ast import Value
from runlore.query.regex import regex
from runlore.series.chunk import Block
from runlore.series.tail import concatenate
from runlore.store.sql.conditions import Source, Sql, dataset_value
from runlore.store.sql.database import READ_SECONDS, Row, Transaction
from runlore.store.sql.points import tail_of

MOST_RUNS = 10_000
"""Runs whose points one comparison of a metric at a step may read: some seconds."""
_PAGE = 5_000
"""Texts read at once. The longest are 8,000 characters."""
_LOOK = 256
"""Texts between two looks at the clock."""


def is_computed(tree: Expression) -> bool:
    """True of what can not be left to SQL, wherever in the tree; relatives of a run are another matter."""
    match tree:
        case Comparison(field, operator):
            return operator in ("~", "!~") or field.aggregate == "step"
        case And(parts) | Or(parts):
            return any(map(is_computed, parts))
        case Not(part):
            return is_computed(part)
    return False


class Computed:
    """The answers of one search, kept because a search makes the same comparison more than once (rows, then the total)."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str, Comparison], list[int]] = {}
        self._deadline = time.monotonic() + READ_SECONDS

    def keys(self, db: Transaction, source: Source, scope: Sql, tree: Comparison) -> list[int]:
        """Keys of the runs that have the field and, of a negative comparison, do not satisfy it; else do."""
        place = (source.alias, scope.text, tree)
        if place not in self._known:
            find = self._matching if tree.operator in ("~", "!~") else self._at_step
            self._known[place] = sorted(set(find(db, source, scope, tree)))
        return self._known[place]

    def _look_at_the_clock(self) -> None:
        if time.monotonic() > self._deadline:
            raise RunloreError(f"The query took longer than {READ_SECONDS} s. Ask for less at once.", "DEADLINE_EXCEEDED")

    def _matching(self, db: Transaction, source: Source, scope: Sql, tree: Comparison) -> Iterator[int]:
        matches = regex(str(tree.value))
        for rows in _texts(db, source, scope, tree):
            for start in range(0, len(rows), _LOOK):
                self._look_at_the_clock()
                for key, text in rows[start : start + _LOOK]:
                    if matches(text):
                        yield key

    def _at_step(self, db: Transaction, source: Source, scope: Sql, tree: Comparison) -> Iterator[int]:
        run, step = source.alias, tree.field.step
        rows = db.all(
            f"SELECT {run}.run_key, x.series, x.folded, x.greatest_step, x.first_step, x.last_value FROM run {run} "
            f"CROSS JOIN metric x WHERE x.run_key = {run}.run_key AND x.key = ? AND x.greatest_step >= ? AND {scope.text} "
            f"LIMIT {MOST_RUNS + 1}",
            (tree.field.key, step, *scope.values),
        )
        if len(rows) > MOST_RUNS:
            raise InvalidParameter(
                f"More than {MOST_RUNS:,} runs got to step {step} of {tree.field.key!r}: @step reads their points. Narrow the "
                "search to fewer experiments, or by AND with other comparisons."
            )
        holds = _predicate("=" if tree.operator == "!=" else tree.operator.removeprefix("NOT "), tree.value)
        for key, series, folded, greatest, _, last in rows:
            self._look_at_the_clock()
            known = (last,) if greatest == step else value_at(db, key, series, folded, step)
            if known and holds(known[0]):
                yield key


def _texts(db: Transaction, source: Source, scope: Sql, tree: Comparison) -> Iterator[list[Row]]:
    """Run keys and texts of a field, in pages."""
    run, field, values = source.alias, tree.field, list(scope.values)
    if field.kind == "attribute":
        yield db.all(f"SELECT {run}.run_key, {source.columns[field.key].text} FROM run {run} WHERE {scope.text}", values)
        return
    if field.kind == "dataset":
        value = dataset_value(db.dialect, field.key)
        rows = f"run {run} CROSS JOIN run_dataset x WHERE x.run_key = {run}.run_key AND {value} IS NOT NULL"
        yield db.all(f"SELECT {run}.run_key, {value} FROM {rows} AND {scope.text}", values)
        return
    table = source.params if field.kind == "param" else source.tags
    after = -1
    while True:
        page = db.all(
            f"SELECT {run}.run_key, x.value FROM run {run} CROSS JOIN {table} x WHERE x.run_key = {run}.run_key AND x.key = ? "
            f"AND {scope.text} AND {run}.run_key > ? ORDER BY {run}.run_key LIMIT {_PAGE}",
            (field.key, *values, after),
        )
        yield page
        if len(page) < _PAGE:
            return
        after = page[-1][0]


def value_at(db: Transaction, run_key: int, series: int, folded: int, step: int) -> tuple[float | None] | None:
    """The value that a metric had at a step: of the points up to it the one with the greatest (step, time), the last of equals.

    None when the metric began later; NaN is None inside the tuple. Reads the chunks that can hold that point, and the tail.
    """
    import numpy as np

    parts = []
    if folded:
        of_series = "run_key = ? AND series = ?"
        found = db.all(
            f"SELECT data FROM metric_chunk WHERE {of_series} AND min_step <= ? AND (max_step > ? OR max_step = "
            f"(SELECT MAX(max_step) FROM metric_chunk WHERE {of_series} AND max_step <= ?)) ORDER BY first_index",
            (run_key, series, step, step, run_key, series, step),
        )
        parts += [Block(data).points for (data,) in found]
    tail = tail_of(db, run_key, (series,)).get(series)
    points = concatenate([*parts, tail] if tail is not None else parts)
    places = np.flatnonzero(points.steps <= step)
    if not len(places):
        return None
    order = np.lexsort((places, points.times[places], points.steps[places]))
    value = float(points.values[places[order[-1]]])
    return (None if value != value else value,)


def _predicate(operator: str, right: Value) -> Callable[[float | None], bool]:
    """What a comparison says of a value that is there. NaN (None) equals nothing and is in no order."""
    known: dict[str, Callable[[Any], bool]] = {
        "=": lambda left: left == right,
        "<": lambda left: left is not None and left < right,
        "<=": lambda left: left is not None and left <= right,
        ">": lambda left: left is not None and left > right,
        ">=": lambda left: left is not None and left >= right,
        "IN": lambda left: left in right,  # type: ignore[operator]
        "IS NULL": lambda left: True,
        "IS NOT NULL": lambda left: True,
    }
    return known[operator]
