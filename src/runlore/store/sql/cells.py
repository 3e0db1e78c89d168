"""The cells of a window of the runs table: one statement for each kind of column."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from runlore.api.dashboard import Cell
from runlore.query import Field
from runlore.store.sql.conditions import Sql, both, metric_value
from runlore.store.sql.database import Row, Transaction
from runlore.store.sql.run_conditions import run_source

_CELL = run_source("x")


class Cells:
    """The cells of some columns for some runs."""

    def __init__(self, db: Transaction, keys: Sequence[int], fields: set[Field]) -> None:
        self.db, self.keys = db, keys
        self.by_field: dict[Field, dict[int, Cell]] = defaultdict(dict)
        if keys:
            self._attributes({field for field in fields if field.kind == "attribute"} | {Field("attribute", "run_id")})
            for kind, table in (("param", "param"), ("tag", "run_tag")):
                self._texts(table, [field for field in fields if field.kind == kind])
            self._metrics([field for field in fields if field.kind == "metric"])

    def column(self, field: Field) -> list[Any]:
        """Values in the order of the runs, None where a run has none."""
        values = self.by_field.get(field, {})
        return [values.get(key) for key in self.keys]

    def _rows(self, columns: str, table: str, names: Iterable[str] = ()) -> list[Row]:
        condition, parameter = self.db.among("x.run_key", self.keys)
        parts = [Sql(condition, (parameter,))]
        if names:
            parts.append(Sql(*_one(self.db.among("x.key", sorted(set(names))))))
        where = both(parts)
        return self.db.all(f"SELECT x.run_key, {columns} FROM {table} x WHERE {where.text}", where.values)

    def _attributes(self, fields: set[Field]) -> None:
        chosen = sorted(fields, key=lambda field: field.key)
        texts = ", ".join(_CELL.columns[field.key].text for field in chosen)
        for key, *values in self._rows(texts, "run"):
            for field, value in zip(chosen, values, strict=True):
                self.by_field[field][key] = str(value) if field.key == "experiment_id" else value

    def _texts(self, table: str, fields: Sequence[Field]) -> None:
        if not fields:
            return
        by_key = {field.key: self.by_field[field] for field in fields}
        for key, name, value in self._rows("x.key, x.value", table, by_key):
            by_key[name][key] = value

    def _metrics(self, fields: Sequence[Field]) -> None:
        if not fields:
            return
        aggregates = sorted({field.aggregate for field in fields})
        values = ", ".join(metric_value(Field("metric", "", aggregate), "x") for aggregate in aggregates)
        wanted: dict[str, list[tuple[int, dict[int, Cell]]]] = defaultdict(list)
        for field in fields:
            wanted[field.key].append((aggregates.index(field.aggregate), self.by_field[field]))
        for key, name, *row in self._rows(f"x.key, {values}", "metric", wanted):
            for position, cells in wanted[name]:
                cells[key] = math.nan if row[position] is None else row[position]


def _one(pair: tuple[str, Any]) -> tuple[str, tuple[Any, ...]]:
    return pair[0], (pair[1],)
