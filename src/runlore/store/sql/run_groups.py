"""Which runs a chart takes together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from runlore.api.series import QuerySeries
from runlore.exceptions import InvalidParameter
from runlore.query import Field, parse_column
from runlore.store.sql.database import Transaction
from runlore.store.sql.run_conditions import run_source
from runlore.store.sql.run_rows import run_key

_RUN = run_source("x")


class RunGroup(NamedTuple):
    """A group, the values of the columns that make it one, and its runs in the order of the request."""

    name: str
    values: list[str | None]
    run_ids: list[str]


def run_groups(db: Transaction, op: QuerySeries) -> list[RunGroup]:
    """The groups of a chart: those of the request in their order, or by the values of columns, numbers by size, None last.

    Raises `InvalidParameter` for columns that can not make groups, and for groups with runs that are not in the request.
    """
    assert op.grouping is not None
    asked = dict.fromkeys(run_id.lower() for run_id in op.run_ids)
    if op.grouping.groups:
        if op.grouping.by:
            raise InvalidParameter("Give either `by` or `groups` in `grouping`, not both.")
        groups = [RunGroup(group.name, [], list(dict.fromkeys(map(str.lower, group.run_ids)))) for group in op.grouping.groups]
        for group in groups:
            if unknown := [run_id for run_id in group.run_ids if run_id not in asked]:
                raise InvalidParameter(f"Group {group.name!r} holds run {unknown[0]}, which is not among `run_ids`.")
        return groups
    fields = [_field(name) for name in op.grouping.by]
    columns = [_values(db, field, list(asked)) for field in fields]
    members: dict[tuple[str | None, ...], list[str]] = {}
    for run_id in asked:
        members.setdefault(tuple(column.get(run_id) for column in columns), []).append(run_id)
    names = [field.key for field in fields]
    return [
        RunGroup(", ".join(f"{name} = {value}" for name, value in zip(names, values, strict=True)), list(values), run_ids)
        for values, run_ids in sorted(members.items(), key=lambda item: [_rank(value) for value in item[0]])
    ]


def _field(name: str) -> Field:
    field = parse_column(name)
    if field.kind == "metric":
        raise InvalidParameter(f"Runs can not be grouped by {name!r}. Use params, tags or attributes.")
    return field


def _values(db: Transaction, field: Field, run_ids: Sequence[str]) -> dict[str, str]:
    """The value of a column for each run that has one."""
    ids = {run_key(run_id): run_id for run_id in run_ids}
    condition, parameter = db.among("x.run_key", list(ids))
    if field.kind == "attribute":
        sql, values = f"SELECT x.run_key, {_RUN.columns[field.key].text} FROM run x WHERE {condition}", (parameter,)
    else:
        table = "param" if field.kind == "param" else "run_tag"
        sql = f"SELECT x.run_key, x.value FROM {table} x WHERE {condition} AND x.key = ?"
        return {ids[key]: value for key, value in db.all(sql, (parameter, field.key))}
    return {ids[key]: str(value) for key, value in db.all(sql, values) if value is not None}


def _rank(value: str | None) -> tuple[int, float, str]:
    if value is None:
        return 2, 0.0, ""
    try:
        number = float(value)
    except ValueError:
        return 1, 0.0, value
    return (0, number, value) if math.isfinite(number) else (1, 0.0, value)
