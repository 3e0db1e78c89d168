"""Filters on runs as SQL: the table of runs, kinship between runs, and where the comparisons come in that SQL can not make."""

from __future__ import annotations

from typing import Any

from runlore.query import And, ChildOf, Comparison, Expression, HasChild, Not, Or, ParentMatches
from runlore.store.sql.computed import Computed, is_computed
from runlore.store.sql.conditions import Column, Conditions, Source, Sql, both
from runlore.store.sql.database import Transaction
from runlore.store.sql.run_rows import run_key

PARENT_TAG = "mlflow.parentRunId"
_COLUMNS = {
    "run_id": Column("{r}.run_id", is_text=True),
    "run_name": Column("{r}.name", is_text=True),
    "experiment_id": Column("{r}.experiment_id"),
    "user_id": Column("{r}.user_id", is_text=True),
    "status": Column("{r}.status", is_text=True),
    "start_time": Column("{r}.start_time"),
    "end_time": Column("{r}.end_time", nullable=True),
    "artifact_uri": Column("{r}.artifact_uri", is_text=True),
    "lifecycle_stage": Column("(CASE WHEN {r}.deleted_time IS NULL THEN 'active' ELSE 'deleted' END)", is_text=True),
    "duration": Column("({r}.end_time - {r}.start_time)", nullable=True),
    "last_activity": Column("{r}.last_activity"),
}


def run_source(alias: str) -> Source:
    """The table of runs under an alias."""
    columns = {name: Column(c.text.format(r=alias), c.nullable, c.is_text) for name, c in _COLUMNS.items()}
    return Source(alias, ("run_key",), columns, tags="run_tag", params="param", metrics="metric")


RUN = run_source("r")
_DEEP = [RUN, *(run_source(f"r{depth}") for depth in range(1, 9))]


class RunConditions(Conditions):
    """Conditions on runs. `scope` is a condition that all runs in question satisfy, on the outermost level; what is computed in
    Python is computed for those alone, once, and kept in `computed`. `scan` says that all of them will be tested."""

    def __init__(self, db: Transaction, scope: Sql, computed: Computed, depth: int = 0, scan: bool = False) -> None:
        super().__init__(db, _DEEP[depth])
        self.scope, self.computed, self.depth, self.scan = scope, computed, depth, scan

    def condition(self, tree: Expression) -> Sql:
        """A condition on the candidate row."""
        match tree:
            case ChildOf(run_id):
                tags = f"run_tag p WHERE p.key = '{PARENT_TAG}' AND substr(p.value, 1, 32) = ? AND p.value = ?"
                return Sql(f"{self.source.alias}.run_key IN (SELECT p.run_key FROM {tags})", (run_id, run_id))
            case HasChild(part):
                return self._has_child(part)
            case ParentMatches(part):
                return self._parent_matches(part)
            case And(parts) if self.depth == 0 and any(map(is_computed, parts)):
                plain = [part for part in parts if not is_computed(part)]
                scope = both([self.scope, *map(self.condition, plain)])
                inner = RunConditions(self.db, scope, self.computed, scan=self.scan)
                return both([*map(self.condition, plain), *(inner.condition(part) for part in parts if is_computed(part))])
        return super().condition(tree)

    def comparison(self, tree: Comparison) -> Sql:
        """One comparison."""
        if not is_computed(tree):
            return super().comparison(tree)
        keys = self.computed.keys(self.db, self.source, self.scope, tree)
        text, parameter = self.db.among(f"{self.source.alias}.run_key", keys or [-1])
        negative = tree.or_missing or tree.operator == "IS NULL"
        return Sql(f"NOT ({text})" if negative else f"({text})", (parameter,))

    def _inner(self) -> RunConditions:
        """Conditions on a relative of the candidate, whatever experiment it is in."""
        alias = _DEEP[self.depth + 1].alias
        return RunConditions(self.db, Sql(f"{alias}.deleted_time IS NULL"), self.computed, self.depth + 1)

    def _has_child(self, part: Expression) -> Sql:
        inner, parent = self._inner(), self.source.alias
        child, tag = inner.source.alias, f"p{self.depth}"
        condition = inner.condition(part)
        if self.scan and self.depth == 0 and self._are_most():
            text = (
                f"{parent}.run_id IN (SELECT {tag}.value FROM run {child} CROSS JOIN run_tag {tag} WHERE "
                f"+{child}.deleted_time IS NULL AND {condition.text} AND {tag}.run_key = {child}.run_key "
                f"AND {tag}.key = '{PARENT_TAG}')"
            )
            return Sql(text, condition.values)
        text = (  # without `substr` on both sides SQLite would not use the index
            f"EXISTS (SELECT 1 FROM run_tag {tag} CROSS JOIN run {child} WHERE {tag}.key = '{PARENT_TAG}' "
            f"AND substr({tag}.value, 1, 32) = substr({parent}.run_id, 1, 32) AND {tag}.value = {parent}.run_id "
            f"AND {child}.run_key = {tag}.run_key AND {child}.deleted_time IS NULL AND {condition.text})"
        )
        return Sql(text, condition.values)

    def _are_most(self) -> bool:
        """Whether so many of all runs are to be tested that going through all children once costs SQLite less than looking for
        the children of each (100,000 runs: 100 ms against 580). PostgreSQL chooses by itself."""
        if self.db.dialect != "sqlite":
            return False
        tested = self.db.one(f"SELECT COUNT(*) FROM run {self.source.alias} WHERE {self.scope.text}", self.scope.values)
        every = self.db.one("SELECT COUNT(*) FROM run")
        return tested is not None and every is not None and 5 * tested[0] > every[0]

    def _parent_matches(self, part: Expression) -> Sql:
        """The parents come first: there are few of them beside the runs."""
        inner = self._inner()
        run = f"p.run_key = {self.source.alias}.run_key"
        tags = f"run {self.source.alias} CROSS JOIN run_tag p WHERE {run} AND p.key = '{PARENT_TAG}'"
        named = self.db.all(f"SELECT DISTINCT p.value FROM {tags} AND {self.scope.text}", self.scope.values)
        keys = [run_key(run_id) for (run_id,) in named if _is_run_id(run_id)]
        among, parameter = self.db.among(f"{inner.source.alias}.run_key", keys or [-1])
        condition = both([Sql(among, (parameter,)), inner.scope, inner.condition(part)])
        alias = inner.source.alias
        parents = self.db.all(f"SELECT {alias}.run_id FROM run {alias} WHERE {condition.text}", condition.values)
        text, ids = self.db.among("p.value", [run_id for (run_id,) in parents] or [""])
        return Sql(f"EXISTS (SELECT 1 FROM run_tag p WHERE {run} AND p.key = '{PARENT_TAG}' AND {text})", (ids,))


def _is_run_id(text: Any) -> bool:
    return len(text) == 32 and all(letter in "0123456789abcdef" for letter in text)


def clauses(tree: Expression) -> list[Expression]:
    """Parts that must all hold."""
    return [clause for part in tree.parts for clause in clauses(part)] if isinstance(tree, And) else [tree]


def fields_of(tree: Expression) -> list[Comparison]:
    """All comparisons in a tree."""
    match tree:
        case Comparison():
            return [tree]
        case And(parts) | Or(parts):
            return [found for part in parts for found in fields_of(part)]
        case Not(part) | HasChild(part) | ParentMatches(part):
            return fields_of(part)
    return []
