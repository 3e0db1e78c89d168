"""Generated filters of Runlore's grammar against pandas, on generated runs."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.store.population import TEXTS, VALUES, Seen, compare, number, populate, summary

from runlore.api.dashboard import QueryRuns
from runlore.api.runs import FindRuns, LogBatch, TagEntry
from runlore.store.base import Store

Mask = Callable[[pd.DataFrame], pd.Series]
Clause = tuple[str, Mask]
PARENT = "mlflow.parentRunId"
ROUNDED = ("mean",)
"""Aggregates whose last digits depend on the order of adding."""


def frame(runs: list[Seen]) -> pd.DataFrame:
    """One row a run; cells are Python objects, None where a run has none."""
    rows = []
    for run in runs:
        row: dict[str, Any] = {f"attributes.{key}": value for key, value in run.attributes.items()}
        end = run.attributes["end_time"]
        row["attributes.duration"] = None if end is None else end - run.attributes["start_time"]
        row |= {f"params.{key}": value for key, value in run.params.items()}
        row |= {f"tags.{key}": value for key, value in run.tags.items()}
        for key, values in run.metrics.items():
            for aggregate in ("last", "min", "max", "mean", "first", "count"):
                row[f"metrics.{key}@{aggregate}"] = summary(values, aggregate)
            for step in range(len(values)):
                row[f"metrics.{key}@step({step})"] = values[step]
        rows.append(row)
    index = [run.run_id for run in runs]
    return pd.DataFrame(rows, index=index, dtype=object).astype(object).where(lambda cells: ~missing(cells), None)


def missing(cells: pd.DataFrame) -> pd.DataFrame:
    """Where pandas has put a NaN for a key that a run lacks. Logged NaNs are floats under a metric: they stay."""
    return cells.map(lambda cell: cell is None) | cells.apply(_absent)


def _absent(column: pd.Series) -> pd.Series:
    if not str(column.name).startswith("metrics."):
        return column.map(lambda cell: isinstance(cell, float) and math.isnan(cell))
    return column.map(lambda cell: False)


def column(name: str, runs: pd.DataFrame) -> pd.Series:
    return runs[name] if name in runs else pd.Series(None, index=runs.index, dtype=object)


def has(name: str, by_id: dict[str, Seen]) -> Mask:
    """Which runs have a column: asked of the runs, since a frame can not tell a NaN from nothing."""

    def mask(runs: pd.DataFrame) -> pd.Series:
        kind, _, key = name.partition(".")
        if kind != "metrics":
            return column(name, runs).map(lambda cell: cell is not None).astype(bool)
        key, _, aggregate = key.partition("@")
        step = re.fullmatch(r"step\((\d+)\)", aggregate)
        least = int(step[1]) + 1 if step else 1
        return pd.Series([len(by_id[run_id].metrics.get(key, ())) >= least for run_id in runs.index], index=runs.index)

    return mask


def test_generated_filters(store: Store) -> None:
    _, seen = populate(store, runs=60, seed=23)
    for run, parent in zip(seen[10:40], [*seen[:10], *seen[5:25]], strict=True):
        if not run.deleted:
            run.tags[PARENT] = parent.run_id
            store.call(LogBatch(run_id=run.run_id, tags=[TagEntry(key=PARENT, value=parent.run_id)]))
    active = [run for run in seen if not run.deleted]
    by_id = {run.run_id: run for run in active}
    runs = frame(active)

    @settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck), database=None, derandomize=True)
    @given(filters(by_id))
    def check(clause: Clause) -> None:
        text, mask = clause
        expected = sorted(runs.index[mask(runs)])
        table = store.call(QueryRuns(filter=text, limit=1_000))
        assert sorted(table.run_ids) == expected, text
        assert table.total == len(expected), text
        assert sorted(run.info.run_id for run in store.call(FindRuns(filter=text)).runs) == expected, text

    check()


# -- generators -------------------------------------------------------------------------------------------------------


def quoted(text: str) -> str:
    """A text as a filter writes it."""
    return "'" + text.replace("'", "''") + "'"


def where(name: str, by_id: dict[str, Seen], holds: Callable[[Any], bool]) -> Mask:
    """Runs that have the column and of whose cell something holds."""
    there = has(name, by_id)
    return lambda runs: there(runs) & column(name, runs).map(lambda cell: cell is not None and holds(cell)).astype(bool)


NUMBERS = [value for value in VALUES if math.isfinite(value)]
ORDERS = ["=", "<", "<=", ">", ">="]
TEXT_KEYS = ["params.opt", "params.`weird key/é`", "tags.team", "tags.mlflow.user", "attributes.run_name", "status", "user_id"]
PATTERNS = ["^a", "m$", "(?i)adam", "a|e", "^$", "[^a-z]", "é", r"\d", "it's", "."]
LIKES = ["%", "a%", "%m", "_dam", "50%", "x*y?[z]", "%É%", "", "%a%a%"]


def plain(name: str) -> str:
    """The name of a frame's column."""
    name = name.replace("`", "")
    return name if "." in name else f"attributes.{name}"


@st.composite
def metric_clauses(draw: st.DrawFn, by_id: dict[str, Seen]) -> Clause:
    aggregate = draw(st.sampled_from(["last", "min", "max", "mean", "first", "count", "step(0)", "step(1)", "step(2)"]))
    name = f"metrics.{draw(st.sampled_from(['loss', 'acc', 'none']))}@{aggregate}"
    written = name.removesuffix("@last") if draw(st.booleans()) else name
    if draw(st.integers(0, 5)) == 0:
        there = has(name, by_id)
        word = draw(st.sampled_from(["IS NULL", "IS NOT NULL"]))
        return f"{written} {word}", (lambda runs: ~there(runs)) if word == "IS NULL" else there
    value, other = draw(st.sampled_from(NUMBERS)), draw(st.sampled_from(NUMBERS))
    orders = ["<", ">"] if aggregate in ROUNDED else [*ORDERS, "!=", "IN", "NOT IN", "BETWEEN"]
    if aggregate in ROUNDED:
        value += 0.123
    match operator := draw(st.sampled_from(orders)):
        case "IN":
            return f"{written} IN ({value!r}, {other!r})", where(name, by_id, lambda cell: cell in (value, other))
        case "NOT IN":
            inside = where(name, by_id, lambda cell: cell in (value, other))
            return f"{written} NOT IN ({value!r}, {other!r})", lambda runs: ~inside(runs)
        case "BETWEEN":
            return f"{written} BETWEEN {value!r} AND {other!r}", where(name, by_id, lambda cell: value <= cell <= other)
        case "!=":
            equal = where(name, by_id, lambda cell: cell == value)
            return f"{written} != {value!r}", lambda runs: ~equal(runs)
    return f"{written} {operator} {value!r}", where(name, by_id, lambda cell: compare(cell, operator, value))


@st.composite
def text_clauses(draw: st.DrawFn, by_id: dict[str, Seen]) -> Clause:
    written = draw(st.sampled_from(TEXT_KEYS))
    name = plain(written)
    match operator := draw(st.sampled_from([*ORDERS, "!=", "~", "!~", "LIKE", "ILIKE", "IN", "IS NULL", "HAS"])):
        case "~" | "!~":
            pattern = draw(st.sampled_from(PATTERNS))
            found = where(name, by_id, lambda cell: re.search(pattern, cell) is not None)
            return f"{written} {operator} {quoted(pattern)}", found if operator == "~" else lambda runs: ~found(runs)
        case "LIKE" | "ILIKE":
            pattern = draw(st.sampled_from(LIKES))
            return f"{written} {operator} {quoted(pattern)}", where(name, by_id, lambda cell: compare(cell, operator, pattern))
        case "IS NULL":
            there = has(name, by_id)
            return f"{written} IS NULL", lambda runs: ~there(runs)
        case "HAS":
            return f"HAS {written}", has(name, by_id)
    text = draw(st.sampled_from([text for text in TEXTS if number(text) is None and "\\" not in text]))
    if operator == "IN":
        return f"{written} IN ({quoted(text)}, 'sgd')", where(name, by_id, lambda cell: cell in (text, "sgd"))
    if operator == "!=":
        equal = where(name, by_id, lambda cell: cell == text)
        return f"{written} != {quoted(text)}", lambda runs: ~equal(runs)
    return f"{written} {operator} {quoted(text)}", where(name, by_id, lambda cell: compare(cell, operator, text))


@st.composite
def number_clauses(draw: st.DrawFn, by_id: dict[str, Seen]) -> Clause:
    """Params as numbers, times and durations."""
    operator = draw(st.sampled_from(ORDERS))
    if draw(st.booleans()):
        value = draw(st.sampled_from([0.001, 0.01, 5.0]))

        def holds(cell: Any) -> bool:
            found = number(cell)
            return found is not None and compare(found, operator, value)

        return f"params.lr {operator} {value!r}", where("params.lr", by_id, holds)
    name = draw(st.sampled_from(["start_time", "end_time", "duration"]))
    limit = draw(st.integers(0, 5)) + (0 if name == "duration" else 1_000)
    written = f"{limit}ms" if name == "duration" else f"1970-01-01T00:00:0{limit / 1000:.3f}Z"
    written = written if draw(st.booleans()) else str(limit)
    return f"{name} {operator} {written}", where(f"attributes.{name}", by_id, lambda cell: compare(cell, operator, limit))


def relatives(part: st.SearchStrategy[Clause]) -> st.SearchStrategy[Clause]:
    def child(clause: Clause) -> Clause:
        text, mask = clause

        def holds(runs: pd.DataFrame) -> pd.Series:
            parents = set(column(f"tags.{PARENT}", runs)[mask(runs)])
            return pd.Series(runs.index.isin(parents), index=runs.index)

        return f"HAS CHILD ({text})", holds

    def parent(clause: Clause) -> Clause:
        text, mask = clause

        def holds(runs: pd.DataFrame) -> pd.Series:
            return column(f"tags.{PARENT}", runs).isin(list(runs.index[mask(runs)]))

        return f"parent matches ({text})", holds

    return part.map(child) | part.map(parent)


def joined(parts: st.SearchStrategy[Clause]) -> st.SearchStrategy[Clause]:
    def both(word: str, left: Clause, right: Clause) -> Clause:
        text = f"({left[0]}) {word} ({right[0]})"
        if word == "AND":
            return text, lambda runs: left[1](runs) & right[1](runs)
        return text, lambda runs: left[1](runs) | right[1](runs)

    def without(part: Clause) -> Clause:
        return f"NOT ({part[0]})", lambda runs: ~part[1](runs)

    return st.builds(both, st.sampled_from(["AND", "OR"]), parts, parts) | parts.map(without) | relatives(parts)


def filters(by_id: dict[str, Seen]) -> st.SearchStrategy[Clause]:
    leaves = metric_clauses(by_id) | text_clauses(by_id) | number_clauses(by_id)
    return st.recursive(leaves, joined, max_leaves=5).filter(lambda clause: nesting(clause[0]) < 8)


def nesting(text: str) -> int:
    """A filter may be nested eight levels deep."""
    deepest = depth = 0
    for letter in re.sub(r"'[^']*'|step\(\d\)|NOT", lambda found: "(" if found[0] == "NOT" else "", text):
        depth += (letter == "(") - (letter == ")")
        deepest = max(deepest, depth)
    return deepest


@pytest.mark.parametrize("text", ["", "a", "(a) AND (b)", "NOT (a)"])
def test_nesting_is_counted(text: str) -> None:
    assert nesting(text) == text.count("(") - text.count(" AND ") + text.count("NOT")
