"""Comparisons as text: the way back from a field and a value to a filter in Runlore's grammar.

The grammar's quotes can not hold every text. What is written is read again, and given out only when it means what it should.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from runlore.exceptions import RunloreError
from runlore.query.ast import And, Comparison, Field
from runlore.query.fields import RUN_TABLE
from runlore.query.parser import parse_filter

_ENTITY = {"attribute": "attributes", "metric": "metrics", "param": "params", "tag": "tags"}
_QUOTES = ("`", '"', "'")


def written_comparison(field: Field, operator: str, value: str | float | None = None) -> str | None:
    """`field operator value` as a filter; None when there is no way to write it.

    A text is compared as a text except where it is a param that is a number; a number is compared as one.
    """
    for name in _names(field):
        for right in _values(value):
            text = f"{name} {operator} {right}".rstrip()
            if _means(text, field, operator, value):
                return text
    return None


def written_number(value: float) -> str:
    """A number as the grammar reads it: exactly, infinities too."""
    if math.isinf(value):
        return "1e999" if value > 0 else "-1e999"
    return repr(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)


def _names(field: Field) -> Iterator[str]:
    suffix = f"@{field.aggregate}" if field.kind == "metric" and field.aggregate != "last" else ""
    if field.kind == "attribute":
        yield f"attributes.{field.key}"
        return
    for quote in _QUOTES:
        yield f"{_ENTITY[field.kind]}.{quote}{field.key}{quote}{suffix}"


def _values(value: str | float | None) -> Iterator[str]:
    if value is None:
        yield ""
    elif isinstance(value, str):
        yield "'" + value.replace("'", "''") + "'"
        yield '"' + value.replace('"', '""') + '"'
    else:
        yield written_number(value)


def _means(text: str, field: Field, operator: str, value: str | float | None) -> bool:
    try:
        tree = parse_filter(text, RUN_TABLE)
        twice = parse_filter(f"{text} AND {text}", RUN_TABLE)  # a quote may end elsewhere when more quotes follow
    except RunloreError:
        return False
    if not isinstance(tree, Comparison) or (tree.field, tree.operator) != (field, operator) or twice != And((tree, tree)):
        return False
    if isinstance(value, float) and isinstance(tree.value, int | float):
        return tree.value == value
    return value is None or str(tree.value) == value
