"""The search of runs, by MLflow's grammar and by Runlore's.

Two plans, chosen by numbers and not by luck (SQLite keeps no statistics):

* *walk*: when the first sort key is the last value of a metric or the start, newest first, of active runs, read that index in
  order and test the filter on the way. A page is usually found after a few hundred runs (0.3 ms at 100,000 runs). The walk is
  bounded: if the first runs of the order do not yield a page, the other plan decides.
* *scan*: all runs of the experiments in order of run key, as the other tables are, each tested by primary-key look-ups, sorted
  in the database. A clause that few runs satisfy and an index answers (the last value of a metric, a param that is a number)
  narrows the scan to those runs first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from runlore.api.runs import FindRuns, FoundRuns, SearchRuns, SearchRunsReply
from runlore.exceptions import InvalidParameter
from runlore.query import RUN_TABLE, RUNS, Comparison, Expression, Field, Order, parse_filter
from runlore.query.ast import EVERYTHING
from runlore.store.sql.computed import Computed
from runlore.store.sql.conditions import Sql, Term, beyond, both, sorting
from runlore.store.sql.database import Transaction
from runlore.store.sql.handlers import handles
from runlore.store.sql.pages import Page, Place, broken, page_of
from runlore.store.sql.params import number
from runlore.store.sql.run_conditions import RUN, RunConditions, clauses
from runlore.store.sql.run_rows import read_runs
from runlore.store.sql.search import lifecycle, parse_orders
from runlore.store.sql.suggestions import suggestion

_START = Field("attribute", "start_time")
_NEWEST = Order(_START, descending=True)
_RANGES = ("=", "<", "<=", ">", ">=")
_WALK = 4_000
"""Runs that a walk looks at before it gives up, at least: some milliseconds."""
_FEW = 5_000
"""A clause that fewer runs satisfy narrows a scan."""
_VERY_FEW = 500
"""With so few there is no walk: the scan is as cheap."""


class RunSearch(msgspec.Struct, frozen=True):
    """Which runs, in which order. `experiments` None means all of them; `numbers` sorts numeric params as numbers."""

    tree: Expression
    orders: Sequence[Order]
    experiments: Sequence[int] | None
    view_type: str
    numbers: bool = False
    computed: Computed = msgspec.field(default_factory=Computed)

    def keys(self, db: Transaction, offset: int, limit: int, after: Place | None = None) -> list[int]:
        """Keys of a window of the ordered runs, or of those that come after a place in the order."""
        few = self._narrowing(db)
        rows = None
        if not (few and few.size < _VERY_FEW) and not self._small(db):
            rows = self._walk(db, offset, limit, after)
        if rows is None:
            condition = self.condition(db, few, scan=True)
            joins, terms = sorting(RUN, self._orders, self.numbers)
            terms = (*terms, *self._ties)
            if after is not None:
                condition = both([condition, beyond(terms, after)])
            sql = f"SELECT r.run_key FROM run r {joins.text} WHERE {condition.text} ORDER BY {_listed(terms)}"
            rows = db.all(f"{sql} LIMIT ? OFFSET ?", (*joins.values, *condition.values, limit, offset))
        return [key for (key,) in rows]

    def total(self, db: Transaction) -> int:
        """How many runs there are in all."""
        condition = self.condition(db, self._narrowing(db), scan=True)
        row = db.one(f"SELECT COUNT(*) FROM run r WHERE {condition.text}", condition.values)
        return int(row[0]) if row else 0

    def place(self, db: Transaction, key: int) -> Place | None:
        """The place of a run in the order; None when there is no such run."""
        joins, terms = sorting(RUN, self._orders, self.numbers)
        values = ", ".join(term.value for term in (*terms, *self._ties))
        row = db.one(f"SELECT {values} FROM run r {joins.text} WHERE r.run_key = ?", (*joins.values, key))
        return None if row is None else list(row)

    def begin(self, db: Transaction, page: Page) -> Place | None:
        """The place that a page begins after. Raises `InvalidParameter` for a token that nobody gave out."""
        place = page.after if page.key is None else self.place(db, page.key)
        if place is None and page.key is not None:
            raise InvalidParameter("The run that this page begins after was deleted for good. Start at the first page.")
        if place is not None:
            terms = (*sorting(RUN, self._orders, self.numbers).terms, *self._ties)
            if len(place) != len(terms) or not all(map(_fits, terms, place)):
                raise broken("")
        return place

    def condition(self, db: Transaction, few: Few | None = None, scan: bool = False) -> Sql:
        """The condition on `run r`. For a scan a clause that few runs satisfy leads, and the plus keeps it from following the
        index in order of time, which is out of step with the tables that it looks things up in."""
        looks_up = self.tree != EVERYTHING or any(order.field.kind != "attribute" for order in self._orders)
        scope = self._scope(db, "" if self._single else "+")
        condition = RunConditions(db, scope, self.computed, scan=scan and few is None).condition(self.tree)
        parts = [self._scope(db, "+" if scan and looks_up and few is None else ""), condition]
        return both(parts if few is None else [few.runs, *parts])

    def _scope(self, db: Transaction, plus: str) -> Sql:
        parts = [lifecycle(f"{plus}r", self.view_type)]
        if self.experiments is not None:
            text, parameter = db.among("r.experiment_id", self.experiments or [-1])
            parts.append(Sql(text, (parameter,)))
        return both(parts)

    @property
    def _single(self) -> bool:
        return self.experiments is not None and len(self.experiments) == 1

    @property
    def _orders(self) -> Sequence[Order]:
        return self.orders or (_NEWEST,)

    @property
    def _ties(self) -> tuple[Term, ...]:
        """What decides between runs that are equal in all orders."""
        last = Term("r.run_id", text=True)
        if _START in {order.field for order in self._orders}:
            return (last,)
        return (Term("r.start_time", descending=True), last)

    def _clauses(self) -> list[Comparison]:
        """Comparisons that must all hold."""
        return [part for part in clauses(self.tree) if isinstance(part, Comparison)]

    def _narrowing(self, db: Transaction) -> Few | None:
        """The clause that the fewest runs of the store satisfy, of those that an index answers, if they are few."""
        found = []
        for part in self._clauses():
            if (rows := _indexed(part)) is not None:
                size = db.one(f"SELECT COUNT(*) FROM ({rows.text} LIMIT {_FEW}) few", rows.values)
                if size and size[0] < _FEW:
                    found.append(Few(size[0], Sql(f"r.run_key IN ({rows.text})", rows.values)))
        return min(found, default=None)

    def _small(self, db: Transaction) -> bool:
        """True when the experiments hold so few runs that a scan is as cheap as a walk."""
        if self.experiments is None:
            return False
        text, parameter = db.among("r.experiment_id", self.experiments or [-1])
        row = db.one(
            f"SELECT COUNT(*) FROM (SELECT 1 FROM run r WHERE {text} AND r.deleted_time IS NULL LIMIT {_WALK}) small",
            (parameter,),
        )
        return row is not None and row[0] < _WALK

    def _walk(self, db: Transaction, offset: int, limit: int, after: Place | None) -> list[Any] | None:
        """The window by a bounded walk; None when that does not settle it."""
        bound = max(_WALK, 10 * (offset + limit))
        if bound > 10 * _WALK:
            return None
        first = self._orders[0]
        window = Window(bound, offset, limit, after)
        if first.field.kind == "metric" and first.field.aggregate == "last":
            if after is not None and after[0] != 0:
                return None  # what has no value is not in the index
            ranges = [clause for clause in self._clauses() if clause.field == first.field and clause.operator in _RANGES]
            index = both(
                [Sql("o.key = ?", (first.field.key,)), Sql("o.last_value IS NOT NULL")]
                + [Sql(f"o.last_value {clause.operator} ?", (clause.value,)) for clause in ranges]
            )
            window = window._replace(after=after and after[1:])
            return self._walk_from(db, Index("metric o", "o.last_value", index, first.descending), window)
        if first == _NEWEST and self.view_type == "ACTIVE_ONLY" and self.tree != EVERYTHING:
            index = Sql("o.deleted_time IS NULL")
            if self._single:
                index = Sql("o.experiment_id = ? AND o.deleted_time IS NULL", tuple(self.experiments or ()))
            return self._walk_from(db, Index("run o", "o.start_time", index, descending=True), window)
        return None

    def _walk_from(self, db: Transaction, index: Index, window: Window) -> list[Any] | None:
        """Test the runs at the beginning of an index, up to the value of the entry number `bound`."""
        leading = Term(index.value, index.descending)
        before, since = (">", "<=") if index.descending else ("<", ">=")
        part = index.condition
        if window.after is not None:
            part = both([part, Sql(f"{index.value} {since} ?", (window.after[0],))])
        end = db.one(
            f"SELECT {index.value} FROM {index.table} WHERE {part.text} ORDER BY {leading.sql} LIMIT 1 OFFSET ?",
            (*part.values, window.bound),
        )
        if end is None:
            return None  # so few entries that a scan is as cheap
        condition = self.condition(db)
        joins, terms = sorting(RUN, self._orders, self.numbers, skip=1)
        terms = (leading, *terms, *self._ties)
        if window.after is not None:
            condition = both([condition, beyond(terms, window.after)])
        sql = (
            f"SELECT r.run_key FROM {index.table} CROSS JOIN run r {joins.text} WHERE {part.text} "
            f"AND {index.value} {before} ? AND r.run_key = o.run_key AND {condition.text} ORDER BY {_listed(terms)} "
            "LIMIT ? OFFSET ?"
        )
        values = (*joins.values, *part.values, *end, *condition.values, window.limit, window.offset)
        rows = db.all(sql, values)
        return rows if len(rows) == window.limit else None


class Few(NamedTuple):
    """Runs that satisfy a clause: how many, and the condition that a run is one of them."""

    size: int
    runs: Sql


class Window(NamedTuple):
    """What a walk looks for: how many runs from where, and how far it goes."""

    bound: int
    offset: int
    limit: int
    after: Place | None


class Index(NamedTuple):
    """An index to walk: a table called `o`, the value that the index is ordered by, the condition that selects its part."""

    table: str
    value: str
    condition: Sql
    descending: bool


def _listed(terms: Sequence[Term]) -> str:
    return ", ".join(term.sql for term in terms)


def _fits(term: Term, value: Any) -> bool:
    return value is None or isinstance(value, str) == term.text


def _indexed(clause: Comparison) -> Sql | None:
    """Keys of the runs that a clause is true of, where an index gives them."""
    field, value = clause.field, clause.value
    if clause.operator not in _RANGES:
        return None
    if field.kind == "metric" and field.aggregate == "last":
        return Sql(f"SELECT n.run_key FROM metric n WHERE n.key = ? AND n.last_value {clause.operator} ?", (field.key, value))
    if field.kind == "param" and isinstance(value, float):
        return Sql(f"SELECT n.run_key FROM param n WHERE n.key = ? AND n.number {clause.operator} ?", (field.key, value))
    if field.kind == "param" and clause.operator == "=" and (equal := number(str(value))) is not None:
        rows = "SELECT n.run_key FROM param n WHERE n.key = ? AND n.number = ? AND n.value = ?"
        return Sql(rows, (field.key, equal, value))
    return None


@handles(SearchRuns)
def search_runs(db: Transaction, op: SearchRuns) -> SearchRunsReply:
    """Newest first, then by run id. Without experiments the answer is empty (MLflow's rule)."""
    page = page_of(op, op.page_token, op.max_results)
    experiments = sorted({int(item) for item in op.experiment_ids})
    search = RunSearch(parse_filter(op.filter, RUNS), parse_orders(op.order_by, RUNS), experiments, op.run_view_type)
    keys, token = _page(db, search, page)
    return SearchRunsReply(runs=read_runs(db, keys), next_page_token=token)


@handles(FindRuns)
def find_runs(db: Transaction, op: FindRuns) -> FoundRuns:
    """Newest first, then by run id. Without experiments all are searched."""
    page = page_of(op, op.page_token, op.max_results)
    tree = parse_filter(op.filter, RUN_TABLE, db.now)
    experiments = sorted({int(item) for item in op.experiment_ids}) or None
    search = RunSearch(tree, parse_orders(op.order_by, RUN_TABLE), experiments, op.run_view_type, numbers=True)
    keys, token = _page(db, search, page)
    hint = None if keys or op.page_token else suggestion(db, tree)
    return FoundRuns(runs=read_runs(db, keys), next_page_token=token, hint=hint)


def _page(db: Transaction, search: RunSearch, page: Page) -> tuple[list[int], str | None]:
    found = search.keys(db, page.offset, page.size + 1, search.begin(db, page))

    def place(key: int) -> Place:
        return search.place(db, key) or []

    return page.cut_keys(found, place)
