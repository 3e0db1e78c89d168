"""Lines of charts: any number of runs × metrics on one grid, as cheap for 10⁹ points as for 10³.

Sent as MessagePack with binary columns (little-endian), which a browser reads without parsing numbers. What is done to a line
is done in this order: lines of a group are taken together, then smoothed, then cut to the window. So the window never changes
what is in it.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, field

from runlore.api.operation import Key, Operation, Route, RunId, View
from runlore.entities import Value

GroupColumn = Annotated[str, Meta(min_length=1, max_length=300)]
"""`params.opt`, `tags.team` or an attribute of a run such as `attributes.status`."""


class SeriesSmoothing(Value):
    """What the `smooth` column holds: for each bucket the mean of the smoothed value at each of its points.

    `amount` counts points of the line, in the order of x, whatever is shown: so zoom, width and axis do not change the curve.
    Points that are not finite are passed over.
    """

    kind: Literal["ema", "mean", "gaussian"]
    """`ema`: exponential moving average, without the bias of its start, as TensorBoard has it; looks back only. `mean`: of the
    points around each point. `gaussian`: the same, near points counting more."""
    amount: Annotated[float, Meta(ge=0, le=1e12)]
    """`ema`: weight of the past, 0 ≤ amount < 1 (0.99 looks about 100 points back). `mean`: points taken together. `gaussian`:
    standard deviation in points."""


class SeriesGroup(Value):
    """Runs to be taken together under a name. A run may be in several groups."""

    name: Annotated[str, Meta(max_length=500)]
    run_ids: Annotated[list[RunId], Meta(min_length=1, max_length=1_000)]


class SeriesGrouping(Value):
    """Which lines become one: those of runs with the same values in the columns `by`, or those of the runs of each group."""

    by: Annotated[list[GroupColumn], Meta(max_length=10)] = field(default_factory=list)
    groups: Annotated[list[SeriesGroup], Meta(max_length=1_000)] = field(default_factory=list)
    """Where given, `by` must be empty. Their runs must be among `run_ids`; other runs are not shown."""


class SeriesColumns(Value):
    """One line of a chart. Its columns are float64 when the reply is exact or `wide`, float32 otherwise.

    Bucketed: one entry per bucket, NaN where the bucket has no finite value; `count` (uint32) is the number of finite values
    in it. Exact: `mean` holds the values themselves, one per entry of the reply's `x`, NaN where the line has no point;
    `min`, `max` and `count` are there only when several points share an `x`.
    """

    run_id: str
    key: str
    points: int
    """Points in the window, non-finite ones too."""
    mean: bytes
    min: bytes = b""
    max: bytes = b""
    count: bytes = b""
    smooth: bytes = b""
    """The smoothed line, where `smoothing` was asked for."""
    best: bytes = b""
    """The least or greatest value up to the end of each bucket, where `best` was asked for; NaN before the first one."""
    total: int = 0
    """Points that were logged, inside the window and outside."""
    wide: bool = False
    """True where float32 could not tell neighbouring values apart: the columns are float64 then."""
    non_finite: list[tuple[int, int]] = field(default_factory=list)
    """`[bucket or index into x, kind]`, kind 0 = NaN, 1 = +Inf, -1 = -Inf."""
    left_out: int = 0
    """Points that have no place on the axis: below zero on a logarithmic one, or without a finite `x_metric` at their step."""
    blur: float = 0.0
    """How far outside of its bucket a point may lie, as a part of the bucket's width; 0 = nowhere. More than 0 where many long
    lines with uneven x are shown at once."""


class SeriesGroupColumns(Value):
    """The lines of one metric in one group of runs, taken together. In each entry every run counts once, by its mean there.

    One entry per bucket or x, as for `SeriesColumns`; NaN where no run has a finite value. The standard error is
    `std / sqrt(runs)`.
    """

    name: str
    key: str
    values: list[str | None]
    """The values of the columns `by`, in their order; None where the runs have none."""
    run_ids: list[str]
    """Runs of the group that have the metric."""
    points: int
    mean: bytes
    """Mean over the runs."""
    median: bytes
    """Median over the runs."""
    min: bytes
    """Least value of any point of any run."""
    max: bytes
    """Greatest value of any point of any run."""
    std: bytes
    """Standard deviation over the runs (of a sample: n - 1); 0 where there is one run."""
    ci95: bytes
    """Half of the width of the 95% confidence interval of `mean` (Student's t); NaN where there is one run."""
    runs: bytes
    """How many runs have a finite value in each entry (uint32)."""
    smooth: bytes = b""
    """`mean` smoothed; a point of a group is a point of the average run."""
    best: bytes = b""
    total: int = 0
    wide: bool = False
    non_finite: list[tuple[int, int]] = field(default_factory=list)
    left_out: int = 0
    blur: float = 0.0


class SeriesFrame(Value):
    """Lines on one grid: `x` (float64) when exact, else `n` buckets of width `dx`, the first one starting at `x0`.

    Bucket edges lie at `origin + i * dx`, and `dx` is `base` times a power of two. So two neighbouring buckets, the first
    with an even `i`, merge into one bucket of the next coarser grid, and a growing live run needs no refetch.
    On a logarithmic axis `edges` are the n + 1 edges of the buckets instead (float64): between two powers of two they are
    evenly spaced, so they nest in the same way. For x = time and relative, the unit is milliseconds; relative counts
    from the start of each run.
    """

    exact: bool
    n: int
    series: list[SeriesColumns]
    """One for each run and metric in the order of the request; empty where `grouping` was asked for."""
    groups: list[SeriesGroupColumns] = field(default_factory=list)
    """One for each group and metric, where `grouping` was asked for: groups in the order of their values or of the request."""
    x: bytes = b""
    x0: float = 0.0
    dx: float = 1.0
    edges: bytes = b""
    origin: float = 0.0
    base: float = 1.0
    approximated: bool = False
    """True where `x_metric` has so many points that it was joined by small ranges of steps and not by each step, or where a
    line has `blur`."""
    missing: list[tuple[str, str]] = field(default_factory=list)
    """`[run id, key]` pairs that were asked for and do not exist."""


class QuerySeries(Operation[SeriesFrame]):
    """Lines for one chart: every given run × metric on one grid. Exact when the window's union of x has ≤ 4,096 entries.

    `x_range` (both ends included) picks a window; buckets that it cuts are shown whole. No more than `width` buckets are
    returned, and more than `width / 2` where the data spans as many (a third of it on a logarithmic axis). Groups whose runs
    do not share their x are always bucketed, no finer than their runs log. One chart has at most 2,000 lines, groups or not;
    groups that share runs take at most 10,000 together.
    """

    route = Route("POST", "series", needs=View("run_ids"), base="v1", packed=True)
    run_ids: Annotated[list[RunId], Meta(min_length=1, max_length=1_000)]
    metrics: Annotated[list[Key], Meta(min_length=1, max_length=50)]
    x: Literal["step", "time", "relative", "metric"] = "step"
    x_metric: Key | None = None
    """The metric whose values are x, for x = metric: a point's x is its last value at the same step of the same run."""
    x_range: tuple[float, float] | None = None
    width: Annotated[int, Meta(ge=16, le=4_096)] = 1_024
    scale: Literal["linear", "log"] = "linear"
    """How the buckets are spread over x. On a logarithmic axis x = 0 has a bucket of its own, [0, 1)."""
    smoothing: SeriesSmoothing | None = None
    grouping: SeriesGrouping | None = None
    best: Literal["min", "max"] | None = None
    """Adds the best value so far, counted from the beginning of each line."""
