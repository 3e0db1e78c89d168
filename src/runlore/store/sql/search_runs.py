"""The search of runs, by MLflow's grammar and by Runlore's.

Two plans, chosen by numbers and not by luck (SQLite keeps no statistics):

* *walk*: when the first sort key is the last value of a metric, read the index of that metric in order and test the filter on
  the way. A page is usually found after a few hundred runs (0.3 ms at 100,000 runs). The walk is bounded: if the first runs of
  the order do not yield a page, the other plan decides.
* *scan*: all runs of the experiments in order of run key, as the other tables are, each tested by primary-key look-ups, sorted
  in the database. A clause on a metric that few runs satisfy narrows the scan to those runs first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from runlore.api.runs import SearchRuns, SearchRunsReply
from runlore.query import RUNS, And, Comparison, Expression, Field, Order, parse_filter
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
            condition = self.condition(db, narrow=True)
            joins, terms = sorting(RUN, self.orders, self.numbers)
            sql = f"SELECT r.run_key FROM run r {joins.text} WHERE {condition.text} ORDER BY {self._terms(terms)}"
            rows = db.all(f"{sql} LIMIT ? OFFSET ?", (*joins.values, *condition.values, limit, offset))
        return [key for (key,) in rows]

    def total(self, db: Transaction) -> int:
        """How many runs there are in all."""
        condition = self.condition(db, narrow=True)
        row = db.one(f"SELECT COUNT(*) FROM run r WHERE {condition.text}", condition.values)
        return int(row[0]) if row else 0

    def condition(self, db: Transaction, narrow: bool = False) -> Sql:
        """The condition on `run r`; `narrow` lets a clause that few runs satisfy lead."""
        parts = [lifecycle("r", self.view_type)]
        if self.experiments is not None:
            text, parameter = db.among("r.experiment_id", self.experiments or [-1])
            parts.append(Sql(text, (parameter,)))
        if narrow and (few := self._narrowing(db)):
            parts.append(few)
        return both([*parts, Conditions(db, RUN).condition(self.tree)])

    def _terms(self, terms: Sequence[str]) -> str:
        ties = ["r.run_id"]
        if Field("attribute", "start_time") not in {order.field for order in self.orders}:
            ties.insert(0, "r.start_time DESC")
        return ", ".join([*terms, *ties])

    def _narrowing(self, db: Transaction) -> Sql | None:
        """A clause on the last value of a metric that few runs of the store satisfy, as a list of those runs."""
        parts = self.tree.parts if isinstance(self.tree, And) else (self.tree,)
        for part in parts:
            if not isinstance(part, Comparison) or part.field.kind != "metric" or part.field.aggregate != "last":
                continue
            if part.operator not in ("=", "<", "<=", ">", ">="):
                continue
            rows = f"SELECT n.run_key FROM metric n WHERE n.key = ? AND n.last_value {part.operator} ?"
            values = (part.field.key, part.value)
            found = db.one(f"SELECT COUNT(*) FROM ({rows} LIMIT {_FEW}) few", values)
            if found and found[0] < _FEW:
                return Sql(f"r.run_key IN ({rows})", values)
        return None

    def _walk(self, db: Transaction, offset: int, limit: int) -> list[Any] | None:
        """The window by a bounded walk; None when that does not settle it."""
        if not self.orders or self.orders[0].field.kind != "metric" or self.orders[0].field.aggregate != "last":
            return None
        first, *rest = self.orders
        bound = max(_WALK, 10 * (offset + limit))
        if bound > 10 * _WALK:
            return None
        direction, before = (" DESC", ">") if first.descending else ("", "<")
        index = "FROM metric o WHERE o.key = ? AND o.last_value IS NOT NULL"
        end = db.one(f"SELECT o.last_value {index} ORDER BY o.last_value{direction} LIMIT 1 OFFSET ?", (first.field.key, bound))
        if end is None:
            return None  # so few runs have the metric that a scan is as cheap
        condition = self.condition(db)
        joins, terms = sorting(RUN, rest, self.numbers)
        sql = (
            f"SELECT r.run_key FROM metric o CROSS JOIN run r {joins.text} WHERE o.key = ? AND o.last_value {before} ? "
            f"AND r.run_key = o.run_key AND {condition.text} "
            f"ORDER BY {self._terms((f'o.last_value{direction}', *terms))} LIMIT ? OFFSET ?"
        )
        rows = db.all(sql, (*joins.values, first.field.key, end[0], *condition.values, limit, offset))
        return rows if len(rows) == limit else None


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
