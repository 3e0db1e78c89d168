"""What a filter means, as a tree of immutable values.

The same tree serves MLflow's grammar (an `And` of comparisons) and Runlore's own (any nesting). Names are canonical here:
aliases (`attr.Created`, `parameter.lr`) are gone after parsing.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Kind = Literal["attribute", "metric", "param", "tag", "dataset"]
Aggregate = Literal["last", "min", "max", "mean", "first", "count", "step"]
Operator = Literal["=", "!=", "<", "<=", ">", ">=", "LIKE", "ILIKE", "IN", "NOT IN", "IS NULL", "IS NOT NULL", "~", "!~"]
Value = str | int | float | tuple[str, ...] | tuple[float, ...] | None


class Field(msgspec.Struct, frozen=True):
    """Something that can be compared or sorted by. `aggregate` matters for metrics alone, `step` for its "step" alone: the
    value that the metric had at that step, of runs that got as far."""

    kind: Kind
    key: str
    aggregate: Aggregate = "last"
    step: int = 0


class Comparison(msgspec.Struct, frozen=True):
    """`field operator value`.

    `value` is a text, a number, a tuple for IN and NOT IN, None for IS NULL and IS NOT NULL. A number against a param compares
    numbers and is never true of a param that is not one. `or_missing` makes the comparison true of objects without the field.
    """

    field: Field
    operator: Operator
    value: Value = None
    or_missing: bool = False


class And(msgspec.Struct, frozen=True):
    """True when all parts are. No parts: always true."""

    parts: tuple[Expression, ...] = ()


class Or(msgspec.Struct, frozen=True):
    """True when one of the parts is."""

    parts: tuple[Expression, ...]


class Not(msgspec.Struct, frozen=True):
    """True when the part is not."""

    part: Expression


class ChildOf(msgspec.Struct, frozen=True):
    """True of the runs whose parent is the run of this id."""

    run_id: str


class HasChild(msgspec.Struct, frozen=True):
    """True of runs with a child that the part is true of. Deleted runs are nobody's children."""

    part: Expression


class ParentMatches(msgspec.Struct, frozen=True):
    """True of runs with a parent that the part is true of. Deleted runs are nobody's parents."""

    part: Expression


Expression = Comparison | And | Or | Not | ChildOf | HasChild | ParentMatches


class Order(msgspec.Struct, frozen=True):
    """One sort key. Objects without the field come last in both directions."""

    field: Field
    descending: bool = False


EVERYTHING = And()
"""The meaning of an empty filter."""
