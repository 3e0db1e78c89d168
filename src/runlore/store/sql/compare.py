"""Comparing runs.

The database tells which keys differ, and only their rows are read: 50 runs of 5,000 params are 250,000 rows of which few are
shown.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from runlore.api.compare import ComparedMetrics, ComparedTexts, CompareRuns, RunComparison
from runlore.store.sql.conditions import CONTEXT_TAG
from runlore.store.sql.database import Row, Transaction
from runlore.store.sql.handlers import handles
from runlore.store.sql.run_conditions import run_source
from runlore.store.sql.run_rows import existing_run

_ATTRIBUTES = (
    "run_name", "experiment_id", "status", "user_id", "start_time", "end_time", "duration", "lifecycle_stage",
)  # fmt: skip
_RUN = run_source("x")
_METRIC = ("x.last_value", "x.last_step", "x.min_value", "x.min_step", "x.max_value", "x.max_step")

Table = dict[int, dict[str, Any]]
"""What each run has, by key."""


@handles(CompareRuns)
def compare_runs(db: Transaction, op: CompareRuns) -> RunComparison:
    """Two statements for each section."""
    comparison = _Comparison(db, op)
    found: dict[str, Any] = {}
    for section in dict.fromkeys(op.sections):
        match section:
            case "attributes":
                found[section] = comparison.small(comparison.attributes(), _ATTRIBUTES)
            case "params":
                found[section] = comparison.texts("param", f"({_same('value')} OR {_same('number')})")
            case "tags":
                found[section] = comparison.texts("run_tag", _same("value"))
            case "datasets":
                found[section] = comparison.small(comparison.datasets())
            case "metrics":
                found[section] = comparison.metrics()
    return RunComparison(run_ids=[run_id.lower() for run_id in op.run_ids], **found)


def _same(column: str) -> str:
    """The condition that a column has one value in all rows of a group."""
    return f"(COUNT({column}) = COUNT(*) AND MIN({column}) = MAX({column}))"


def _same_or_none(column: str) -> str:
    return f"(COUNT({column}) = 0 OR {_same(column)})"


class _Chosen(NamedTuple):
    """The keys of a section that are shown, which of them differ, and how many of all do and do not."""

    keys: list[str]
    differs: list[bool]
    equal: int
    differing: int


class _Comparison:
    """The runs of one request."""

    def __init__(self, db: Transaction, op: CompareRuns) -> None:
        self.db, self.op = db, op
        self.runs = [existing_run(db, run_id) for run_id in op.run_ids]
        self.different = sorted(set(self.runs))
        self.among, self.parameter = db.among("x.run_key", self.different)

    def texts(self, table: str, same: str) -> ComparedTexts:
        """The keys of params or tags."""
        chosen = self._choose(table, same)
        found: Table = {run: {} for run in self.runs}
        for run, key, value in self._rows("x.key, x.value", table, chosen.keys):
            found[run][key] = value
        return self._side_by_side(chosen, found)

    def metrics(self) -> ComparedMetrics:
        """The keys of metrics."""
        same = " AND ".join(_same_or_none(column) for column in _METRIC[::2])
        chosen = self._choose("metric", same)
        found: Table = {run: {} for run in self.runs}
        for run, key, *values in self._rows(f"x.key, {', '.join(_METRIC)}", "metric", chosen.keys):
            found[run][key] = [math.nan if values[0] is None else values[0], *values[1:]]
        nothing = [None] * len(_METRIC)
        columns: list[Any] = [
            [[found[run].get(key, nothing)[place] for run in self.runs] for key in chosen.keys] for place in range(len(_METRIC))
        ]
        names = ("last", "last_step", "minimum", "minimum_step", "maximum", "maximum_step")
        named: dict[str, Any] = dict(zip(names, columns, strict=True))
        return ComparedMetrics(**chosen._asdict(), **named)

    def small(self, found: Table, order: Sequence[str] = ()) -> ComparedTexts:
        """Keys of what there is little of, compared here."""
        names = set().union(*found.values())
        first = found[self.runs[0]]
        differs = {name for name in names for run in self.runs if name not in found[run] or found[run][name] != first.get(name)}
        keys = [name for name in order if name in names] or sorted(names)
        return self._side_by_side(self._cut([(name, name in differs) for name in keys]), found)

    def attributes(self) -> Table:
        """Attributes that are there."""
        columns = ", ".join(_RUN.columns[name].text for name in _ATTRIBUTES)
        found: Table = {}
        for run, *values in self.db.all(f"SELECT x.run_key, {columns} FROM run x WHERE {self.among}", (self.parameter,)):
            found[run] = {name: value for name, value in zip(_ATTRIBUTES, values, strict=True) if value is not None}
            found[run]["experiment_id"] = str(found[run]["experiment_id"])
        return found

    def datasets(self) -> Table:
        """Digests by name and context. A run may have read several datasets of one name."""
        rows = self.db.all(
            f"SELECT x.run_key, x.name, x.tags, x.digest FROM run_dataset x WHERE {self.among}", (self.parameter,)
        )
        digests: dict[int, dict[str, list[str]]] = {run: defaultdict(list) for run in self.runs}
        for run, name, tags, digest in rows:
            context = msgspec.json.decode(tags).get(CONTEXT_TAG)
            digests[run][f"{name} ({context})" if context else name].append(digest)
        return {run: {name: ", ".join(sorted(values)) for name, values in of.items()} for run, of in digests.items()}

    def _choose(self, table: str, same: str) -> _Chosen:
        differs = f"CASE WHEN COUNT(*) = ? AND {same} THEN 0 ELSE 1 END"
        sql = f"SELECT x.key, {differs} FROM {table} x WHERE {self.among} GROUP BY x.key ORDER BY x.key"
        return self._cut(self.db.all(sql, (len(self.different), self.parameter)))

    def _cut(self, keys: Sequence[tuple[Any, ...]]) -> _Chosen:
        differing = [key for key, differs in keys if differs]
        shown = [(key, True) for key in differing] if self.op.differences_only else [(key, bool(d)) for key, d in keys]
        shown = shown[self.op.offset : self.op.offset + self.op.limit]
        return _Chosen([key for key, _ in shown], [differs for _, differs in shown], len(keys) - len(differing), len(differing))

    def _rows(self, columns: str, table: str, keys: Sequence[str]) -> list[Row]:
        if not keys:
            return []
        among, parameter = self.db.among("x.key", keys)
        sql = f"SELECT x.run_key, {columns} FROM {table} x WHERE {self.among} AND {among}"
        return self.db.all(sql, (self.parameter, parameter))

    def _side_by_side(self, chosen: _Chosen, found: Table) -> ComparedTexts:
        values = [[found[run].get(key) for run in self.runs] for key in chosen.keys]
        return ComparedTexts(values=values, **chosen._asdict())
