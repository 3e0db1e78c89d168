"""Lines of charts: any number of runs × metrics on one grid, as cheap for 10⁹ points as for 10³.

Sent as MessagePack with binary columns (little-endian), which a browser reads without parsing numbers.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, field

from runlore.api.operation import Key, Operation, Route, RunId, View
from runlore.entities import Value


class SeriesColumns(Value):
    """One line of a chart. `mean`, `min` and `max` are float64 when the reply is exact or `wide`, float32 otherwise.

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
    total: int = 0
    """Points that were logged, inside the window and outside."""
    wide: bool = False
    """True where float32 could not tell neighbouring values apart: the columns are float64 then."""
    non_finite: list[tuple[int, int]] = field(default_factory=list)
    """`[bucket or index into x, kind]`, kind 0 = NaN, 1 = +Inf, -1 = -Inf."""


class SeriesFrame(Value):
    """Lines on one grid: `x` (float64) when exact, else `n` buckets of width `dx`, the first one starting at `x0`.

    Bucket edges lie at `origin + i * dx`, and `dx` is `base` times a power of two. So two neighbouring buckets, the first
    with an even `i`, merge into one bucket of the next coarser grid, and a growing live run needs no refetch.
    For x = time and relative, the unit is milliseconds; relative counts from the start of each run.
    """

    exact: bool
    n: int
    series: list[SeriesColumns]
    x: bytes = b""
    x0: float = 0.0
    dx: float = 1.0
    origin: float = 0.0
    base: float = 1.0
    missing: list[tuple[str, str]] = field(default_factory=list)
    """`[run id, key]` pairs that were asked for and do not exist."""


class QuerySeries(Operation[SeriesFrame]):
    """Lines for one chart: every given run × metric on one grid. Exact when the window's union of x has ≤ 4,096 entries.

    `x_range` (both ends included) picks a window; buckets that it cuts are shown whole. No more than `width` buckets are
    returned, and more than `width / 2` where the data spans as many.
    """

    route = Route("POST", "series", needs=View("run_ids"), base="v1", packed=True)
    run_ids: Annotated[list[RunId], Meta(min_length=1, max_length=1_000)]
    metrics: Annotated[list[Key], Meta(min_length=1, max_length=50)]
    x: Literal["step", "time", "relative"] = "step"
    x_range: tuple[float, float] | None = None
    width: Annotated[int, Meta(ge=16, le=4_096)] = 1_024
