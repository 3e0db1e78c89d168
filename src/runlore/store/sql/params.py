"""Params: written once, and changed only by a run that was resumed, which keeps the values that they had."""

from __future__ import annotations

import math
from collections.abc import Sequence

from runlore.api.runs import ParamEntry
from runlore.exceptions import InvalidParameter
from runlore.store.sql.database import Row, Transaction
from runlore.store.sql.tags import MAX_PARAM_VALUE, checked_name

_INSERT = (
    "INSERT INTO param (run_key, key, value, number, generation) VALUES (?, ?, ?, ?, ?) ON CONFLICT (run_key, key) DO NOTHING"
)
_KEEP = "INSERT INTO param_former (run_key, key, generation, value, until) VALUES (?, ?, ?, ?, ?)"
_CHANGE = "UPDATE param SET value = ?, number = ?, generation = ? WHERE run_key = ? AND key = ?"


def put_params(db: Transaction, key: int, run_id: str, params: Sequence[ParamEntry], generation: int = 0) -> None:
    """Write params, each key once. One that is there with the same value is fine.

    Another value is refused: a param is what a run was started with. A generation of a resumed run may replace values that
    earlier ones have logged; these are kept.
    """
    rows = [(key, checked_name(param.key), param.text, number(param.value), generation) for param in params]
    if db.many(_INSERT, rows) == len(rows):
        return
    condition, parameter = db.among("key", [param.key for param in params])
    found = db.all(f"SELECT key, value, generation FROM param WHERE run_key = ? AND {condition}", (key, parameter))
    logged: dict[str, Row] = {row[0]: row for row in found}
    changed = [param for param in params if logged[param.key][1] != param.text]
    for param in changed:
        _, value, since = logged[param.key]
        if since >= generation:
            raise InvalidParameter(
                f"Changing param values is not allowed. Param with key='{param.key}' was already logged with "
                f"value='{value[:MAX_PARAM_VALUE]}' for run ID='{run_id}'. Attempted logging new value '{param.value}'."
            )
    if changed:
        db.many(_KEEP, [(key, param.key, generation, logged[param.key][1], db.now) for param in changed])
        db.many(_CHANGE, [(param.text, number(param.value), generation, key, param.key) for param in changed])


def keep_late(db: Transaction, key: int, generation: int, params: Sequence[ParamEntry]) -> list[ParamEntry]:
    """Params of an earlier generation without those that were changed since: what these say is a former value."""
    condition, parameter = db.among("key", [param.key for param in params])
    sql = f"SELECT key, generation FROM param WHERE run_key = ? AND generation > ? AND {condition}"
    since: dict[str, int] = dict(db.all(sql, (key, generation, parameter)))
    late = {param.key: (key, param.key, since[param.key], param.text, db.now) for param in params if param.key in since}
    if late:
        db.many(f"{_KEEP} ON CONFLICT DO NOTHING", list(late.values()))
    return [param for param in params if param.key not in since]


def refuse_duplicates(params: Sequence[ParamEntry]) -> None:
    """Raise `InvalidParameter` for a key that is given twice."""
    if len({param.key for param in params}) < len(params):
        seen: set[str] = set()
        twice = [param.key for param in params if param.key in seen or seen.add(param.key)]  # type: ignore[func-returns-value]
        raise InvalidParameter(f"Duplicate parameter keys have been submitted: {twice}. Give one value for each key.")


def number(text: str) -> float | None:
    """A param's value as a finite number, or None: searches compare and sort by it."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and "_" not in text else None
