"""Lines for charts: choose the grid, fill it from pyramids and tails, then group, smooth, and pack what was asked for."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from runlore.api.series import QuerySeries, SeriesColumns, SeriesFrame, SeriesGroupColumns
from runlore.exceptions import InvalidParameter
from runlore.series.curves import mean_line, need_of, smooth_buckets
from runlore.series.frame import EXACT_ENTRIES, Buckets, Edges, Grid, choose_grid, choose_log_grid, needs_double, union
from runlore.series.groups import spread, total_marks
from runlore.series.joined import FloatEdges, choose_float_grid
from runlore.store.sql.database import Transaction
from runlore.store.sql.handlers import handles
from runlore.store.sql.lines import Line, PairLine, StoredLine, find_lines
from runlore.store.sql.run_groups import RunGroup, run_groups

if TYPE_CHECKING:
    from numpy.typing import NDArray

_OPENED_CHUNKS = 1_500
"""Chunks of a chart that may be read to have the edges of buckets exact: about 100 ms."""
_READ_POINTS = 2_500_000
"""Points of a chart that may be read to have smoothing exact: about 100 ms."""

_LINES = 2_000
"""Lines of one chart: their columns are in memory together."""
_MEMBERS = 10_000
"""Lines that the groups of one chart take together, each as often as it is in a group."""

AnyFrameGrid = Grid | Edges | FloatEdges


class _Chart(NamedTuple):
    """Lines on their grid. `x` are the entries of an exact chart, whose grid has a bucket for each of them, and `points` those
    of each line."""

    grid: Any
    lines: Sequence[Line]
    buckets: Sequence[Buckets]
    x: NDArray[Any] | None = None
    points: Sequence[tuple[NDArray[Any], NDArray[Any]]] = ()


@handles(QuerySeries)
def query_series(db: Transaction, op: QuerySeries) -> SeriesFrame:
    """Exact where the points fit, else buckets. Unknown runs and metrics are reported in `missing`."""
    if op.x == "metric" and op.x_metric is None:
        raise InvalidParameter("x is 'metric', but `x_metric` does not say which one.")
    if op.smoothing is not None and op.smoothing.kind == "ema" and op.smoothing.amount >= 1:
        raise InvalidParameter(f"The amount of an exponential moving average must be less than 1, not {op.smoothing.amount}.")
    groups = run_groups(db, op) if op.grouping is not None else None
    lines: Sequence[Line]
    lines, missing = find_lines(db, op)
    if groups is not None:
        shown = {run_id for group in groups for run_id in group.run_ids}
        lines = [line for line in lines if line.run_id in shown]
        _check_groups(groups, lines)
    if len(lines) > _LINES:
        raise InvalidParameter(
            f"One chart would have {len(lines)} lines; {_LINES} are the most. Ask for fewer runs or metrics."
        )
    chart = _chart(lines, op)
    return SeriesFrame(
        exact=chart.x is not None,
        n=chart.grid.size,
        series=[_columns(chart, place, op) for place in range(len(lines))] if groups is None else [],
        groups=[columns for group in groups or () for columns in _group_columns(chart, group, op)],
        approximated=any(line.blur for line in lines)
        or any(isinstance(line, PairLine) and line.approximated for line in lines),
        missing=missing,
        **_axis(chart),
    )


def _check_groups(groups: Sequence[RunGroup], lines: Sequence[Line]) -> None:
    """Raise `InvalidParameter` when groups that share runs would make more of the lines than a chart can hold."""
    keys: dict[str, set[str]] = defaultdict(set)
    for line in lines:
        keys[line.run_id].add(line.key)
    members = sum(len(keys[run_id]) for group in groups for run_id in group.run_ids)
    if members > _MEMBERS:
        raise InvalidParameter(f"The groups would take {members:,} lines together; {_MEMBERS:,} are the most. Ask for fewer.")
    made = sum(len(set().union(*(keys[run_id] for run_id in group.run_ids))) for group in groups)
    if made > _LINES:
        raise InvalidParameter(
            f"One chart would have {made:,} lines; {_LINES:,} are the most. Ask for fewer groups or metrics."
        )


def _axis(chart: _Chart) -> dict[str, Any]:
    """What says where the buckets or entries are."""
    grid = chart.grid
    if chart.x is not None:
        return {"x": chart.x.astype("<f8").tobytes()}
    bounds = grid.bounds()
    if isinstance(grid, Grid):
        return {"x0": float(grid.start), "dx": float(grid.width), "origin": float(grid.origin), "base": float(grid.base)}
    if isinstance(grid, FloatEdges) and grid.width:
        return {"x0": float(bounds[0]), "dx": grid.width, "origin": 0.0, "base": grid.width}
    return {"x0": float(bounds[0]), "edges": bounds.astype("<f8").tobytes()}


# -- grids ----------------------------------------------------------------------------------------------------------------


def _chart(lines: Sequence[Line], op: QuerySeries) -> _Chart:
    low, high = _window(lines, op)
    short = all(line.exact for line in lines)
    if short and (chart := _exact(lines, low, high, op)):
        return chart
    chart = _bucketed(lines, low, high, op, op.width)
    apart = not any(line.approximated for line in lines)
    few = not short and apart and all(buckets.points <= EXACT_ENTRIES for buckets in chart.buckets)
    if few and (exact := _exact(lines, low, high, op)):
        return exact
    if op.grouping is not None and lines:
        # Runs that do not log at the same x are compared where each of them has something.
        typical = sorted(buckets.points for buckets in chart.buckets)[len(lines) // 2]
        if typical < 2 * chart.grid.size and not _share_entries([buckets.count.nonzero()[0] for buckets in chart.buckets]):
            return _bucketed(lines, low, high, op, max(16, typical // 2))
    return chart


def _window(lines: Sequence[Line], op: QuerySeries) -> tuple[Any, Any]:
    """The window in the x of the chart: what was asked for, or what there is. Notes in each line what has no place there."""
    asked = op.x_range is not None and all(map(math.isfinite, op.x_range))
    if asked and op.x_range is not None:
        low, high = min(op.x_range), max(op.x_range)
    else:
        ends = [line.extent() for line in lines]
        low, high = min((end for end, _ in ends), default=0), max((end for _, end in ends), default=0)
    if op.x == "metric":
        if op.scale == "log" and low <= 0:
            above = min((line.least_above_zero() for line in lines if isinstance(line, PairLine)), default=math.inf)
            for line in lines:
                line.left_out += line.before(above).points - line.before(low).points
            low = above
        return low, high
    low, high = max(math.ceil(low), -(2**63)), min(math.floor(high), 2**63 - 1)
    if op.scale == "log" and low < 0:
        for line in lines:
            line.left_out = line.before(min(0, high + 1)).points - line.before(low).points
        low = 0
    return low, high


def _bucketed(lines: Sequence[Line], low: Any, high: Any, op: QuerySeries, most: int) -> _Chart:
    grid: AnyFrameGrid
    if op.x == "metric":
        if not low <= high:
            return _Chart(Edges(_array([0])), lines, [Buckets(0) for _ in lines])
        grid = choose_float_grid(low, high, most, op.scale == "log")
        return _Chart(grid, lines, [line.fill(grid) for line in lines])
    stored = [line for line in lines if isinstance(line, StoredLine)]
    # Buckets of whole pyramid nodes where a long line has evenly spaced steps.
    base, origin = min(((spacing, line.first_step) for line in stored if (spacing := line.spacing())), default=(1, 0))
    high = max(low, high)
    if op.scale == "log":
        grid = choose_log_grid(low, high, most, *((origin, base) if 0 <= origin <= min(base, low) else (0, 1)))
    else:
        grid = choose_grid(low, high, most, origin, base)
    blurred = sum(line.opened_chunks(grid) for line in stored) > _OPENED_CHUNKS
    return _Chart(grid, lines, [line.fill(grid, blurred) for line in lines])


def _exact(lines: Sequence[Line], low: Any, high: Any, op: QuerySeries) -> _Chart | None:
    """All points of the window on the union of their x, or None when it has too many entries."""
    import numpy as np

    points = [line.points(low, high) for line in lines]
    entries = union([x for x, _ in points])
    if entries is None:
        return None
    if op.grouping is not None and not _share_entries([x for x, _ in points]):
        return None
    grid: AnyFrameGrid
    if entries.dtype.kind == "f":
        grid = FloatEdges(np.append(entries, np.nextafter(entries[-1:], math.inf)))
    else:
        grid = Edges(np.append(entries, np.minimum(entries[-1:], 2**63 - 2) + 1))
    buckets = []
    for x, values in points:
        each = Buckets(len(entries))
        each.add_points(np.searchsorted(entries, x), values)
        buckets.append(each)
    return _Chart(grid, lines, buckets, entries, points)


def _share_entries(columns: Sequence[NDArray[Any]]) -> bool:
    """True where most x of the lines are those of others too."""
    import numpy as np

    sizes = [len(np.unique(column)) for column in columns if len(column)]
    return len(sizes) < 2 or len(np.unique(np.concatenate(columns))) <= 1.25 * max(sizes)


def _array(values: Sequence[int]) -> NDArray[Any]:
    import numpy as np

    return np.array(values, np.int64)


# -- columns --------------------------------------------------------------------------------------------------------------


def _columns(chart: _Chart, place: int, op: QuerySeries) -> SeriesColumns:
    line, buckets = chart.lines[place], chart.buckets[place]
    mean, least, most = buckets.columns()
    several = chart.x is None or bool((buckets.count > 1).any())
    if not several:
        mean = _with_signs_of_zero(chart, place, mean)
    wide = chart.x is not None or needs_double(least, most)
    kind = "<f8" if wide else "<f4"
    return SeriesColumns(
        run_id=line.run_id,
        key=line.key,
        points=buckets.points,
        total=line.count,
        mean=mean.astype(kind).tobytes(),
        min=least.astype(kind).tobytes() if several else b"",
        max=most.astype(kind).tobytes() if several else b"",
        count=buckets.count.astype("<u4").tobytes() if several else b"",
        smooth=_smooth(chart, place, op).astype(kind).tobytes() if op.smoothing is not None else b"",
        best=_best(chart, [place], op.best).astype(kind).tobytes() if op.best is not None else b"",
        wide=wide,
        non_finite=buckets.marks(),
        left_out=line.left_out,
        blur=line.blur,
    )


def _with_signs_of_zero(chart: _Chart, place: int, mean: NDArray[Any]) -> NDArray[Any]:
    import numpy as np

    x, values = chart.points[place]
    finite = np.isfinite(values)
    mean[np.searchsorted(chart.x, x[finite])] = values[finite]  # type: ignore[arg-type]  # an exact chart has x
    return mean


def _smooth(chart: _Chart, place: int, op: QuerySeries) -> NDArray[Any]:
    import numpy as np

    assert op.smoothing is not None
    buckets, kind, amount = chart.buckets[place], op.smoothing.kind, op.smoothing.amount
    known = buckets.count > 0
    if not known.any():
        return np.full(len(known), math.nan)
    need = need_of(kind, amount, int(buckets.count.sum()), _READ_POINTS / len(chart.lines), int(known.sum()))
    cells = chart.lines[place].cells(chart.grid, need)
    return np.where(known, smooth_buckets(cells, kind, amount, chart.grid.bounds(), buckets), math.nan)


def _best(chart: _Chart, places: Sequence[int], which: str | None) -> NDArray[Any]:
    """The running extreme of some lines, from their first points to their last ones."""
    import numpy as np

    begins = chart.grid.bounds()[:-1]
    sign = 1.0 if which == "min" else -1.0
    result = np.full(len(begins), math.inf)
    for place in places:
        line, buckets = chart.lines[place], chart.buckets[place]
        if len(begins):
            before = line.before(chart.grid.start)
            column = np.concatenate([before.min, buckets.min] if which == "min" else [-before.max, -buckets.max])
            so_far = np.minimum.accumulate(column)[1:]
            result = np.minimum(result, np.where(begins > line.extent()[1], math.inf, so_far))
    result = np.minimum.accumulate(result) if len(places) > 1 else result
    return np.where(np.isfinite(result), sign * result, math.nan)


def _group_columns(chart: _Chart, group: RunGroup, op: QuerySeries) -> list[SeriesGroupColumns]:
    """One for each metric that a run of the group has."""
    import numpy as np

    found = []
    of_group = set(group.run_ids)
    mine = [(place, line.key) for place, line in enumerate(chart.lines) if line.run_id in of_group]
    for key in dict.fromkeys(op.metrics):
        places = [place for place, name in mine if name == key]
        if not places:
            continue
        lines, members = [chart.lines[place] for place in places], [chart.buckets[place] for place in places]
        columns = spread(members)
        wide = chart.x is not None or needs_double(columns.min, columns.max)
        kind = "<f8" if wide else "<f4"
        smoothed = b""
        if op.smoothing is not None:
            curve = mean_line(lines, members, chart.grid, op.smoothing.kind, op.smoothing.amount)
            smoothed = np.where(columns.runs > 0, curve, math.nan).astype(kind).tobytes()
        packed = {name: getattr(columns, name).astype(kind).tobytes() for name in columns._fields if name != "runs"}
        found.append(
            SeriesGroupColumns(
                name=group.name,
                key=key,
                values=group.values,
                run_ids=[line.run_id for line in lines],
                points=sum(member.points for member in members),
                total=sum(line.count for line in lines),
                runs=columns.runs.astype("<u4").tobytes(),
                smooth=smoothed,
                best=_best(chart, places, op.best).astype(kind).tobytes() if op.best is not None else b"",
                wide=wide,
                non_finite=total_marks(members),
                left_out=sum(line.left_out for line in lines),
                blur=max(line.blur for line in lines),
                **packed,
            )
        )
    return found
