"""The search of runs, by MLflow's grammar and by Runlore's.

Two plans, chosen by numbers and not by luck (SQLite keeps no statistics):

* *walk*: when the first sort key is the last value of a metric or the start of runs of one experiment, read that index in
  order and test the filter on the way. A page is usually found after a few hundred runs (0.3 ms at 100,000 runs). The walk is
  bounded: if the first runs of the order do not yield a page, the other plan decides.
* *scan*: all runs of the experiments in order of run key, as the other tables are, each tested by primary-key look-ups, sorted
  in the database. A clause on a metric that few runs satisfy narrows the scan to those runs first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from runlore.api.runs import SearchRuns, SearchRunsReply
from runlore.query import RUNS, And, Comparison, Expression, Field, Order, parse_filter
from runlore.query.ast import EVERYTHING
from runlore.store.sql.conditions import Column, Conditions, Source, Sql, both, sorting
from runlore.store.sql.database import Transaction
from runlore.store.sql.handlers import handles
from runlore.store.sql.run_rows import read_runs
from runlore.store.sql.search import lifecycle, page_of, parse_orders

RUN = Source(
    "r",
    ("run_key",),
    {
        "run_id": Column("r.run_id"),
        "run_name": Column("r.name"),
        "experiment_id": Column("r.experiment_id"),
        "user_id": Column("r.user_id"),
        "status": Column("r.status"),
        "start_time": Column("r.start_time"),
        "end_time": Column("r.end_time", nullable=True),
        "artifact_uri": Column("r.artifact_uri"),
        "lifecycle_stage": Column("(CASE WHEN r.deleted_time IS NULL THEN 'active' ELSE 'deleted' END)"),
        "duration": Column("(r.end_time - r.start_time)", nullable=True),
        "last_activity": Column("r.last_activity"),
    },
    tags="run_tag",
    params="param",
    metrics="metric",
)
_START = Field("attribute", "start_time")
_WALK = 2_000
"""Runs that a walk looks at before it gives up, at least: some milliseconds."""
_FEW = 5_000
"""A clause that fewer runs satisfy narrows a scan."""


class RunSearch(msgspec.Struct, frozen=True):
    """Which runs, in which order. `experiments` None means all of them; `numbers` sorts numeric params as numbers."""

    tree: Expression
    orders: Sequence[Order]
    experiments: Sequence[int] | None
    view_type: str
    numbers: bool = False

    def keys(self, db: Transaction, offset: int, limit: int) -> list[int]:
        """Keys of a window of the ordered runs."""
        rows = self._walk(db, offset, limit)
        if rows is None:
            condition = self.condition(db, scan=True)
            joins, terms = sorting(RUN, self.orders, self.numbers)
            sql = f"SELECT r.run_key FROM run r {joins.text} WHERE {condition.text} ORDER BY {self._terms(terms)}"
            rows = db.all(f"{sql} LIMIT ? OFFSET ?", (*joins.values, *condition.values, limit, offset))
        return [key for (key,) in rows]

    def total(self, db: Transaction) -> int:
        """How many runs there are in all."""
        condition = self.condition(db, scan=True)
        row = db.one(f"SELECT COUNT(*) FROM run r WHERE {condition.text}", condition.values)
        return int(row[0]) if row else 0

    def condition(self, db: Transaction, scan: bool = False) -> Sql:
        """The condition on `run r`. For a scan a clause that few runs satisfy leads, and the plus keeps it from following the
        index in order of time, which is out of step with the tables that it looks things up in."""
        few = self._narrowing(db) if scan else None
        looks_up = self.tree != EVERYTHING or any(order.field.kind != "attribute" for order in self.orders)
        parts = [lifecycle("+r" if scan and looks_up and few is None else "r", self.view_type)]
        if self.experiments is not None:
            text, parameter = db.among("r.experiment_id", self.experiments or [-1])
            parts.append(Sql(text, (parameter,)))
        if few is not None:
            parts.append(few)
        return both([*parts, Conditions(db, RUN).condition(self.tree)])

    def _terms(self, terms: Sequence[str]) -> str:
        ties = ["r.run_id"]
        if _START not in {order.field for order in self.orders}:
            ties.insert(0, "r.start_time DESC")
        return ", ".join([*terms, *ties])

    def _clauses(self) -> list[Comparison]:
        """Comparisons that must all hold."""
        parts = self.tree.parts if isinstance(self.tree, And) else (self.tree,)
        return [part for part in parts if isinstance(part, Comparison)]

    def _narrowing(self, db: Transaction) -> Sql | None:
        """A clause on the last value of a metric that few runs of the store satisfy, as a list of those runs."""
        for part in self._clauses():
            if not _ranges(part, part.field):
                continue
            rows = f"SELECT n.run_key FROM metric n WHERE n.key = ? AND n.last_value {part.operator} ?"
            values = (part.field.key, part.value)
            found = db.one(f"SELECT COUNT(*) FROM ({rows} LIMIT {_FEW}) few", values)
            if found and found[0] < _FEW:
                return Sql(f"r.run_key IN ({rows})", values)
        return None

    def _walk(self, db: Transaction, offset: int, limit: int) -> list[Any] | None:
        """The window by a bounded walk; None when that does not settle it."""
        bound = max(_WALK, 10 * (offset + limit))
        if bound > 10 * _WALK:
            return None
        first = self.orders[0] if self.orders else Order(_START, descending=True)
        if first.field.kind == "metric" and first.field.aggregate == "last":
            clauses = [clause for clause in self._clauses() if _ranges(clause, first.field)]
            index = both(
                [Sql("o.key = ?", (first.field.key,)), Sql("o.last_value IS NOT NULL")]
                + [Sql(f"o.last_value {clause.operator} ?", (clause.value,)) for clause in clauses]
            )
            return self._walk_from(db, Index("metric o", "o.last_value", index, first.descending), bound, (offset, limit))
        single = self.view_type == "ACTIVE_ONLY" and self.experiments is not None and len(self.experiments) == 1
        if first == Order(_START, descending=True) and single and self.tree != EVERYTHING:
            index = Sql("o.experiment_id = ? AND o.deleted_time IS NULL", tuple(self.experiments or ()))
            return self._walk_from(db, Index("run o", "o.start_time", index, descending=True), bound, (offset, limit))
        return None

    def _walk_from(self, db: Transaction, index: Index, bound: int, window: tuple[int, int]) -> list[Any] | None:
        """Test the runs at the beginning of an index, up to the value of the entry number `bound`."""
        offset, limit = window
        direction, before = (" DESC", ">") if index.descending else ("", "<")
        end = db.one(
            f"SELECT {index.value} FROM {index.table} WHERE {index.condition.text} ORDER BY {index.value}{direction} "
            "LIMIT 1 OFFSET ?",
            (*index.condition.values, bound),
        )
        if end is None:
            return None  # so few entries that a scan is as cheap
        condition = self.condition(db)
        joins, terms = sorting(RUN, self.orders[1:], self.numbers)
        order = ", ".join(dict.fromkeys((f"{index.value}{direction}", *terms, self._terms(()))))
        sql = (
            f"SELECT r.run_key FROM {index.table} CROSS JOIN run r {joins.text} WHERE {index.condition.text} "
            f"AND {index.value} {before} ? AND r.run_key = o.run_key AND {condition.text} ORDER BY {order} LIMIT ? OFFSET ?"
        )
        rows = db.all(sql, (*joins.values, *index.condition.values, *end, *condition.values, limit, offset))
        return rows if len(rows) == limit else None


class Index(NamedTuple):
    """An index to walk: a table called `o`, the value that the index is ordered by, the condition that selects its part."""

    table: str
    value: str
    condition: Sql
    descending: bool


def _ranges(clause: Comparison, field: Field) -> bool:
    """True when a clause is a range of the index on the last value of a metric."""
    metric = clause.field == field and field.kind == "metric" and field.aggregate == "last"
    return metric and clause.operator in ("=", "<", "<=", ">", ">=")


@handles(SearchRuns)
def search_runs(db: Transaction, op: SearchRuns) -> SearchRunsReply:
    """Newest first, then by run id. Without experiments the answer is empty (MLflow's rule)."""
    page = page_of(op, op.page_token, op.max_results)
    search = RunSearch(
        parse_filter(op.filter, RUNS),
        parse_orders(op.order_by, RUNS),
        sorted({int(item) for item in op.experiment_ids}),
        op.run_view_type,
    )
    keys, token = page.cut(search.keys(db, page.offset, page.size + 1))
    return SearchRunsReply(runs=read_runs(db, keys), next_page_token=token)
