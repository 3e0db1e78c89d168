"""What is in the columns of the runs table: the small pictures in its headers."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, field

from runlore.api.dashboard import Column
from runlore.api.operation import ExperimentId, Filter, Operation, Route, View, ViewTypeWord
from runlore.entities import Entity, Value


class TopValue(Value):
    """A value and how many runs have it."""

    value: str
    runs: int


class ColumnHistogram(Value):
    """The values of one column. `runs` have one.

    Of a numeric column, `counts` are those of equal bins from `minimum` to `maximum` (the last one includes it; one bin when
    all values are the same), and `non_finite` counts NaN and infinities. Of another, `top` are the most frequent values, most
    frequent first, and `others` counts the runs with the rest. `distinct` counts distinct values of either.
    """

    runs: int = 0
    numeric: bool = False
    distinct: int = 0
    minimum: float | None = None
    maximum: float | None = None
    counts: list[int] = field(default_factory=list)
    non_finite: int = 0
    top: list[TopValue] = field(default_factory=list)
    others: int = 0


class Histograms(Entity):
    """A histogram for each column, over `runs` runs."""

    columns: dict[str, ColumnHistogram] = field(default_factory=dict)
    runs: int = 0


class GetHistograms(Operation[Histograms]):
    """Histograms of columns over the runs that match a filter, of the given experiments (none given: all).

    A column of params is numeric when all its values are numbers. Of texts longer than 200 characters the beginning is given.
    """

    route = Route("POST", "columns/histograms", needs=View("experiment_ids"), base="v1")
    columns: Annotated[list[Column], Meta(min_length=1, max_length=200)]
    experiment_ids: Annotated[list[ExperimentId], Meta(max_length=1_000)] = field(default_factory=list)
    filter: Filter = ""
    view_type: ViewTypeWord = "ACTIVE_ONLY"
    bins: Annotated[int, Meta(ge=1, le=200)] = 20
    top: Annotated[int, Meta(ge=0, le=100)] = 5
