"""What the columns of a table of runs mean: which is a param, which a metric, which one names the run."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Literal

import msgspec

from runlore.cli.table_files import Cell, TableFile
from runlore.exceptions import InvalidParameter

Layout = Literal["runs", "steps", "points"]
"""A row for each run; a row for each step, with a column for each metric; a row for each metric point."""

_PREFIXES = {"params": "param", "param": "param", "config": "param", "metrics": "metric", "metric": "metric",
             "summary": "metric", "tags": "tag", "tag": "tag"}  # fmt: skip
_NAMES = {
    "run": ("run_id", "run_uuid", "run"),
    "name": ("run_name", "attributes.run_name", "tags.mlflow.runname", "name"),
    "status": ("status", "attributes.status", "state"),
    "start": ("start_time", "attributes.start_time", "started", "created"),
    "end": ("end_time", "attributes.end_time", "ended"),
    "user": ("user_id", "attributes.user_id", "user"),
    "step": ("step", "_step", "global_step", "iteration", "iter", "epoch"),
    "time": ("timestamp", "_timestamp", "wall_time", "time"),
    "key": ("key", "metric", "metric_name"),
    "value": ("value",),
}
"""Columns by what they mean, in any case, with blanks or underscores; of several the first one that is there."""
_IGNORED = {
    "attributes.experiment_id", "experiment_id", "experiment", "attributes.duration", "duration", "runtime", "_runtime",
    "attributes.artifact_uri", "artifact_uri", "attributes.lifecycle_stage", "lifecycle_stage",
    "tags.mlflow.user", "source_type", "sweep",
}  # fmt: skip
_POINTS, _STEPS, _RUNS = ("run", "step", "time", "key", "value"), ("run", "name", "step", "time"), ("run", "name", "status",
    "start", "end", "user")  # fmt: skip
_MEANINGS: dict[Layout, tuple[str, ...]] = {"points": _POINTS, "steps": _STEPS, "runs": _RUNS}
_NUMBER = re.compile(r"\s*[+-]?(\d|\.\d|inf|nan)", re.IGNORECASE)


class Wishes(msgspec.Struct, frozen=True):
    """What a user says of columns. Names may hold `*`."""

    layout: Layout | None = None
    meanings: Mapping[str, str] = {}
    """Meaning ("run", "step", "time" …) -> column."""
    kinds: Mapping[str, Sequence[str]] = {}
    """"param", "metric", "tag" and "ignore" -> columns."""


class Columns(msgspec.Struct, frozen=True):
    """The meaning of every column of a table."""

    layout: Layout
    meanings: dict[str, str]
    """Meaning -> column."""
    params: dict[str, str]
    metrics: dict[str, str]
    tags: dict[str, str]
    """Column -> key."""
    ignored: list[str]

    @classmethod
    def of(cls, table: TableFile, wishes: Wishes) -> Columns:
        """Find out what the columns mean. Reads the whole table where numbers have to be told from texts.

        Raises `InvalidParameter` for wishes that no column fulfils.
        """
        for column in wishes.meanings.values():
            if column not in table.columns:
                raise InvalidParameter(f"{table.path.name} has no column {column!r}. It has: {', '.join(table.columns)}.")
        layout = wishes.layout or _layout(table, wishes)
        meanings = _meanings(table.columns, layout, wishes)
        for needed in {"points": ("key", "value"), "steps": ("step",), "runs": ()}[layout]:
            if needed not in meanings:
                raise InvalidParameter(
                    f"Which column of {table.path.name} holds the {needed}? hint: --{needed} COLUMN, or another --layout."
                )
        rest = [column for column in table.columns if column not in meanings.values()]
        chosen = {column: kind for column in rest if (kind := _chosen(column, wishes))}
        open_ones = [column for column in rest if column not in chosen]
        numbers = numeric(table, open_ones) if open_ones and layout != "points" else set()
        kinds = {column: chosen.get(column) or ("metric" if column in numbers else "param") for column in rest}
        if layout == "points":
            kinds = {column: chosen.get(column, "ignore") for column in rest}

        def named(kind: str) -> dict[str, str]:
            return {column: _key(column, kind) for column in rest if kinds[column] == kind}

        return cls(layout, meanings, named("param"), named("metric"), named("tag"), [c for c in rest if kinds[c] == "ignore"])


def numeric(table: TableFile, columns: Iterable[str]) -> set[str]:
    """The columns in which every cell that is not empty is a number, and at least one is."""
    left, seen = set(columns), set[str]()
    for row in table.rows():
        for column in left & row.cells.keys():
            try:
                number(row.cells[column])
                seen.add(column)
            except ValueError:
                left.discard(column)
        if not left:
            break
    return left & seen


def number(cell: Cell) -> float:
    """A cell as a number: "nan" and "inf" too, but neither true nor 1_000. Raises `ValueError`."""
    if isinstance(cell, bool) or cell is None or (isinstance(cell, str) and ("_" in cell or not _NUMBER.match(cell))):
        raise ValueError(f"{cell!r} is no number")
    return float(cell)


def whole(cell: Cell) -> int:
    """A cell as a step: a whole number, which may be written as 3.0. Raises `ValueError`."""
    found = number(cell)
    if not math.isfinite(found) or found != int(found):
        raise ValueError(f"{cell!r} is no whole number")
    return int(cell) if isinstance(cell, str) and cell.strip().lstrip("+-").isdigit() else int(found)


def millis(cell: Cell) -> int:
    """A cell as Unix milliseconds: seconds, milliseconds, micro- or nanoseconds by their size, or ISO 8601 (UTC without an
    offset). What is less than three years counts from the beginning of a run. Raises `ValueError`."""
    try:
        found = number(cell)
    except ValueError:
        moment = datetime.fromisoformat(str(cell).strip())
        return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1_000)
    if not math.isfinite(found) or found < 0:
        raise ValueError(f"{cell!r} is no time")
    for most, factor in ((1e11, 1_000.0), (1e14, 1.0), (1e17, 1e-3)):
        if found < most:
            return round(found * factor)
    return round(found * 1e-6)


def _layout(table: TableFile, wishes: Wishes) -> Layout:
    names = {_plain(column) for column in table.columns} | set(wishes.meanings)
    if ("value" in names or "value" in wishes.meanings) and any(name in names for name in _NAMES["key"]):
        return "points"
    steps = "step" in wishes.meanings or any(name in names for name in _NAMES["step"])
    if not steps or any("." in name and name.partition(".")[0] in _PREFIXES for name in names):
        return "runs"
    run = wishes.meanings.get("run") or _meanings(table.columns, "steps", wishes).get("run")
    if run is None:
        return "steps"
    first = [row.cells.get(run) for row, _ in zip(table.rows(), range(2), strict=False)]
    return "steps" if len(set(first)) < len(first) else "runs"


def _meanings(columns: Sequence[str], layout: Layout, wishes: Wishes) -> dict[str, str]:
    found = {meaning: column for meaning, column in wishes.meanings.items() if meaning in _MEANINGS[layout]}
    plain = {_plain(column): column for column in reversed(columns)}
    for meaning in _MEANINGS[layout]:
        for name in _NAMES[meaning]:
            if meaning not in found and name in plain and not _chosen(plain[name], wishes, known=False):
                found[meaning] = plain[name]
    return found


def _chosen(column: str, wishes: Wishes, known: bool = True) -> str | None:
    """The kind of a column by a wish, its prefix, or its name; None where its cells decide."""
    for kind, patterns in wishes.kinds.items():
        if any(column == pattern or fnmatchcase(column, pattern) for pattern in patterns):
            return kind
    if not known:
        return None
    if _plain(column) in _IGNORED:
        return "ignore"
    prefix, sign, rest = _split(column)
    return _PREFIXES.get(prefix.lower()) if sign and rest else None


def _key(column: str, kind: str) -> str:
    prefix, sign, rest = _split(column)
    key = (rest if sign and rest and _PREFIXES.get(prefix.lower()) == kind else column).strip()
    return key[1:-1] if len(key) > 2 and key[0] == key[-1] == "`" else key


def _split(column: str) -> tuple[str, str, str]:
    found = re.match(r"\s*([A-Za-z]+)([.:])(.+)", column, re.DOTALL)
    return (found[1], found[2], found[3]) if found else (column, "", "")


def _plain(column: str) -> str:
    return re.sub(r"[ _]+", "_", column.strip().lower()) if column[:1] != "_" else column.strip().lower()
