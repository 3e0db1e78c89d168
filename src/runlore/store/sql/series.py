"""Lines for charts: find the series, choose the grid, fill it from pyramids and tails."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from runlore.api.series import QuerySeries, SeriesColumns, SeriesFrame
from runlore.series import pyramid
from runlore.series.chunk import CHUNK_POINTS, Block, Points
from runlore.series.frame import EXACT_ENTRIES, Buckets, Grid, choose_grid, inside, needs_double, union
from runlore.series.tail import concatenate
from runlore.series.window import Axis, extent, fill
from runlore.store.sql.database import Transaction
from runlore.store.sql.handlers import handles
from runlore.store.sql.points import tail_of
from runlore.store.sql.run_rows import run_key

if TYPE_CHECKING:
    from numpy.typing import NDArray

_REGULAR_FROM = 1_024  # points from which on the step width of a line counts for the grid


@handles(QuerySeries)
def query_series(db: Transaction, op: QuerySeries) -> SeriesFrame:
    """Exact where the points fit, else buckets. Unknown runs and metrics are reported in `missing`."""
    lines, missing = _find_lines(db, op)
    low, high = _window(lines, op.x_range)
    short = all(line.count <= EXACT_ENTRIES for line in lines)
    if short and (frame := _exact(lines, low, high, missing)):
        return frame
    grid = _grid(lines, low, high, op)
    filled = [(line, line.fill(grid)) for line in lines]
    few = not short and all(buckets.points <= EXACT_ENTRIES for _, buckets in filled)
    if few and (frame := _exact(lines, low, high, missing)):
        return frame
    return SeriesFrame(
        exact=False,
        n=grid.size,
        x0=float(grid.start),
        dx=float(grid.width),
        origin=float(grid.origin),
        base=float(grid.base),
        series=[_bucketed(line, buckets) for line, buckets in filled],
        missing=missing,
    )


class Line:
    """One metric of one run as it is stored. The folded part is a `Source`; `tail` is the rest."""

    def __init__(self, db: Transaction, run: tuple[str, int, int], row: tuple[Any, ...], axis: Axis) -> None:
        self._db = db
        self.run_id, self._run_key, self.shift = run
        _, self.key, self.series, self.count, self.folded, self.first_step, self.greatest_step = row
        self.axis: Axis = axis
        self.tail: Points | None = None

    def x(self, points: Points) -> NDArray[Any]:
        """The column of the axis."""
        return points.steps if self.axis == "step" else points.times

    def extent(self) -> tuple[int, int]:
        """Least and greatest x of all points."""
        ends = list(extent(self, self.axis) or ())
        if self.tail is not None:
            ends += [int(self.x(self.tail).min()), int(self.x(self.tail).max())]
        return min(ends) - self.shift, max(ends) - self.shift

    def fill(self, grid: Grid) -> Buckets:
        """The buckets of this line."""
        buckets = Buckets(grid.size)
        fill(buckets, self, self.axis, grid, self.shift)
        if self.tail is not None:
            buckets.add_points(grid.places(self.x(self.tail), self.shift), self.tail.values)
        return buckets

    def points(self, low: int, high: int) -> tuple[NDArray[Any], NDArray[Any]]:
        """x and values of the points in the window, in order of arrival."""
        low, high = max(low + self.shift, -(2**63)), min(high + self.shift, 2**63 - 1)
        rows = []
        if self.folded:
            rows = self._db.all(
                "SELECT data FROM metric_chunk WHERE run_key = ? AND series = ? "
                f"AND max_{self.axis} >= ? AND min_{self.axis} <= ? ORDER BY first_index",
                (self._run_key, self.series, low, high),
            )
        points = concatenate([*[Block(data).points for (data,) in rows], *([self.tail] if self.tail is not None else [])])
        x, values = inside(points, self.x(points), low, high)
        return x - self.shift, values

    def pages(self, level: int, numbers: list[int]) -> list[NDArray[Any]]:
        """See `Source`."""
        condition, parameter = self._db.among("page", numbers)
        rows = self._db.all(
            f"SELECT data FROM metric_pyramid WHERE run_key = ? AND series = ? AND level = ? AND {condition} ORDER BY page",
            (self._run_key, self.series, level, parameter),
        )
        columns = pyramid.CHART_COLUMNS | {f"min_{self.axis}", f"max_{self.axis}"}
        return [pyramid.decode_page(data, columns) for (data,) in rows]

    def chunks(self, numbers: list[int]) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
        """See `Source`."""
        condition, parameter = self._db.among("first_index", [number * CHUNK_POINTS for number in numbers])
        for (data,) in self._db.all(
            f"SELECT data FROM metric_chunk WHERE run_key = ? AND series = ? AND {condition} ORDER BY first_index",
            (self._run_key, self.series, parameter),
        ):
            block = Block(data)
            yield block.steps if self.axis == "step" else block.times, block.values


def _find_lines(db: Transaction, op: QuerySeries) -> tuple[list[Line], list[tuple[str, str]]]:
    """The lines that exist in the order of the request, and the `(run id, key)` of those that do not."""
    wanted = {run_id.lower(): run_key(run_id) for run_id in op.run_ids}
    condition, parameter = db.among("run_key", list(wanted.values()))
    starts = {
        run_id: (key, start_time)
        for key, run_id, start_time in db.all(f"SELECT run_key, run_id, start_time FROM run WHERE {condition}", (parameter,))
    }
    named, names = db.among("key", op.metrics)
    rows = {
        (row[0], row[1]): row
        for row in db.all(
            f"SELECT run_key, key, series, count, folded, first_step, greatest_step FROM metric WHERE {condition} AND {named}",
            (parameter, names),
        )
    }
    axis: Axis = "step" if op.x == "step" else "time"
    lines, missing = [], []
    for run_id in wanted:
        key, start_time = starts.get(run_id, (-1, 0))
        found = [rows[key, name] for name in dict.fromkeys(op.metrics) if (key, name) in rows]
        missing += [(run_id, name) for name in dict.fromkeys(op.metrics) if (key, name) not in rows]
        tails = tail_of(db, key, [row[2] for row in found]) if found else {}
        for row in found:
            line = Line(db, (run_id, key, (start_time or 0) if op.x == "relative" else 0), row, axis)
            line.tail = tails.get(line.series)
            lines.append(line)
    return lines, missing


def _window(lines: list[Line], x_range: tuple[float, float] | None) -> tuple[int, int]:
    if x_range is not None and all(map(math.isfinite, x_range)):
        return max(math.ceil(min(x_range)), -(2**63)), min(math.floor(max(x_range)), 2**63 - 1)
    ends = [line.extent() for line in lines]
    return min((low for low, _ in ends), default=0), max((high for _, high in ends), default=0)


def _grid(lines: list[Line], low: int, high: int, op: QuerySeries) -> Grid:
    """Buckets of whole pyramid nodes where a long line has evenly spaced steps."""
    regular: list[tuple[int, int]] = []
    if op.x == "step":
        for line in lines:
            span = line.greatest_step - line.first_step
            if line.count >= _REGULAR_FROM and span > 0 and span % (line.count - 1) == 0:
                regular.append((span // (line.count - 1), line.first_step))
    base, origin = min(regular, default=(1, 0))
    return choose_grid(low, max(low, high), op.width, origin, base)


def _exact(lines: list[Line], low: int, high: int, missing: list[tuple[str, str]]) -> SeriesFrame | None:
    """All points of the window on the union of their x, or None when it has too many entries."""
    import numpy as np

    points = [line.points(low, high) for line in lines]
    entries = union([x for x, _ in points])
    if entries is None:
        return None
    series = []
    for line, (x, values) in zip(lines, points, strict=True):
        places = np.searchsorted(entries, x)
        buckets = Buckets(len(entries))
        buckets.add_points(places, values)
        mean, least, most = buckets.columns()
        several = bool((buckets.count > 1).any())
        if not several:
            finite = np.isfinite(values)
            mean[places[finite]] = values[finite]  # with their sign of zero
        series.append(
            SeriesColumns(
                run_id=line.run_id,
                key=line.key,
                points=len(values),
                total=line.count,
                mean=mean.astype("<f8").tobytes(),
                min=least.astype("<f8").tobytes() if several else b"",
                max=most.astype("<f8").tobytes() if several else b"",
                count=buckets.count.astype("<u4").tobytes() if several else b"",
                wide=True,
                non_finite=buckets.marks(),
            )
        )
    return SeriesFrame(exact=True, n=len(entries), x=entries.astype("<f8").tobytes(), series=series, missing=missing)


def _bucketed(line: Line, buckets: Buckets) -> SeriesColumns:
    mean, least, most = buckets.columns()
    wide = needs_double(least, most)
    kind = "<f8" if wide else "<f4"
    return SeriesColumns(
        run_id=line.run_id,
        key=line.key,
        points=buckets.points,
        total=line.count,
        mean=mean.astype(kind).tobytes(),
        min=least.astype(kind).tobytes(),
        max=most.astype(kind).tobytes(),
        count=buckets.count.astype("<u4").tobytes(),
        wide=wide,
        non_finite=buckets.marks(),
    )
