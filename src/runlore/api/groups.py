"""Grouping the runs table: runs that share values become one row, so that seeds are averaged."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, field

from runlore.api.dashboard import Cell, Column
from runlore.api.operation import ExperimentId, Filter, Operation, Route, View, ViewTypeWord
from runlore.entities import Entity, Value


class GroupKey(Value):
    """A column to group by. With `bins`, numbers that fall into one of so many equal bins, from the smallest to the greatest
    number of all runs, are one group."""

    column: Column
    bins: Annotated[int, Meta(ge=1, le=100)] | None = None


class GroupSort(Value):
    """What groups are sorted by: `size`, a column they are grouped by, or the mean of another. Groups without a value come
    last in both directions."""

    column: Column = "size"
    descending: bool = True


class GroupedColumn(Value):
    """One column over the members of each group: over `count[i]` finite numbers in group `i` their mean, standard deviation
    (of a sample: n - 1), smallest and greatest; None where there are too few. `value[i]` is the value that all members share,
    None where they differ or lack it."""

    count: list[int] = field(default_factory=list)
    mean: list[float | None] = field(default_factory=list)
    std: list[float | None] = field(default_factory=list)
    minimum: list[float | None] = field(default_factory=list)
    maximum: list[float | None] = field(default_factory=list)
    value: list[Cell] = field(default_factory=list)


class GroupTable(Entity):
    """A window of the groups. `keys[column][i]` is what the members of group `i` share (of bins: the lower edge, and
    `upper_edges[column][i]` the upper one), `sizes[i]` how many they are, and `filters[i]` the filter that finds them, for
    `QueryRuns` (None where the grammar's quotes can not hold a value). `total` counts all groups, `runs` all runs in them."""

    keys: dict[str, list[Cell]] = field(default_factory=dict)
    upper_edges: dict[str, list[float | None]] = field(default_factory=dict)
    sizes: list[int] = field(default_factory=list)
    filters: list[str | None] = field(default_factory=list)
    columns: dict[str, GroupedColumn] = field(default_factory=dict)
    total: int = 0
    runs: int = 0


class GroupRuns(Operation[GroupTable]):
    """Groups of the runs that match a filter, of the given experiments (none given: all).

    Params that are the same number in another spelling are the same. Runs that lack a column are a group of their own, and so
    are those with a NaN. At most 200,000 runs are grouped in one call.
    """

    route = Route("POST", "runs/group", needs=View("experiment_ids"), base="v1")
    by: Annotated[list[GroupKey], Meta(min_length=1, max_length=5)]
    columns: Annotated[list[Column], Meta(max_length=50)] = field(default_factory=list)
    experiment_ids: Annotated[list[ExperimentId], Meta(max_length=1_000)] = field(default_factory=list)
    filter: Filter = ""
    view_type: ViewTypeWord = "ACTIVE_ONLY"
    sort: GroupSort = field(default_factory=GroupSort)
    offset: Annotated[int, Meta(ge=0)] = 0
    limit: Annotated[int, Meta(ge=1, le=1_000)] = 200
