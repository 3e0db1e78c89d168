"""The lines of a chart as they are stored: one metric of one run, or one metric over another one."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from runlore.api.series import QuerySeries
from runlore.series import pyramid
from runlore.series.cells import Cells, Need, read_cells
from runlore.series.chunk import CHUNK_POINTS, Block, Points
from runlore.series.frame import EXACT_ENTRIES, AnyGrid, Buckets, Edges, choose_grid, inside
from runlore.series.joined import FloatEdges, Pairs, join, one_each
from runlore.series.window import BLUR, Axis, extent, fill, points_between
from runlore.store.sql.database import Transaction
from runlore.store.sql.points import tail_of
from runlore.store.sql.run_rows import run_key

if TYPE_CHECKING:
    from numpy.typing import NDArray

JOINED_POINTS = 1_048_576
"""Points of a chart of one metric over another up to which they are joined step by step."""
_STEP_RANGES = 4_096
_REGULAR_FROM = 1_024  # points from which on a line can be long enough for its steps to be worth a look


class Line(Protocol):
    """What a chart asks of a line. Windows and grids are in the x of the chart."""

    run_id: str
    key: str
    count: int
    """All points that were logged."""
    exact: bool
    """Whether it is short enough to be shown point by point, whatever the window."""
    approximated: bool
    """Whether its points can not be told apart, because it was joined by ranges of steps."""
    blur: float
    left_out: int

    def extent(self) -> tuple[Any, Any]:
        """Least and greatest x of all points."""
        ...

    def points(self, low: Any, high: Any) -> tuple[NDArray[Any], NDArray[Any]]:
        """x and values of the points in the window, in order of arrival."""
        ...

    def fill(self, grid: Any, blurred: bool = False) -> Buckets:
        """The buckets of this line."""
        ...

    def cells(self, grid: Any, need: Need) -> Cells:
        """The line around a grid, for smoothing."""
        ...

    def rough(self, grid: Any) -> Buckets:
        """The buckets of this line, points being counted up to a quarter of a bucket away."""
        ...

    def before(self, start: Any) -> Buckets:
        """One bucket of all points before an x."""
        ...


class StoredLine:
    """One metric of one run over steps or times. The folded part is a `Source`; `tail` is the rest."""

    def __init__(self, db: Transaction, run: tuple[str, int, int], row: tuple[Any, ...], axis: Axis) -> None:
        self._db = db
        self.run_id, self._run_key, self.shift = run
        _, self.key, self.series, self.count, self.folded, self.first_step, self.greatest_step = row
        self.axis: Axis = axis
        self.tail: Points | None = None
        self.exact, self.approximated = self.count <= EXACT_ENTRIES, False
        self.blur = 0.0
        self.left_out = 0

    def spacing(self) -> int:
        """Distance of neighbouring points where all are equally far apart on the axis, as far as can be told; else 0."""
        span = self.greatest_step - self.first_step
        if self.axis == "step" and self.count >= _REGULAR_FROM and span > 0 and span % (self.count - 1) == 0:
            return int(span // (self.count - 1))
        return 0

    def opened_chunks(self, grid: AnyGrid) -> int:
        """About how many chunks must be read because edges of the grid lie inside of pyramid nodes."""
        spacing = self.spacing()
        if spacing and grid.base % spacing == 0 and (self.first_step - grid.origin) % (spacing << pyramid.LOWEST) == 0:
            return 0
        low, high = self.extent()
        seen = min(high, grid.end) - max(low, grid.start)
        return int(min(grid.size, self.folded / CHUNK_POINTS * max(0, seen) / max(1, high - low)))

    def x(self, points: Points) -> NDArray[Any]:
        """The column of the axis, before the shift."""
        return points.steps if self.axis == "step" else points.times

    def extent(self) -> tuple[int, int]:
        """See `Line`."""
        low, high = self._extent
        return low - self.shift, high - self.shift

    @cached_property
    def _extent(self) -> tuple[int, int]:
        ends = [*(extent(self, self.axis) or ()), *(self._tail_extent if self.tail is not None else ())]
        return min(ends), max(ends)

    @cached_property
    def _tail_extent(self) -> tuple[int, int]:
        assert self.tail is not None
        x = self.x(self.tail)
        return int(x.min()), int(x.max())

    def fill(self, grid: AnyGrid, blurred: bool = False) -> Buckets:
        """See `Line`."""
        buckets, was_blurred = self._fill(grid, blurred)
        if was_blurred:
            self.blur = BLUR
        return buckets

    def rough(self, grid: AnyGrid) -> Buckets:
        """See `Line`."""
        return self._fill(grid, True)[0]

    def _fill(self, grid: AnyGrid, blurred: bool) -> tuple[Buckets, bool]:
        buckets = Buckets(grid.size)
        was_blurred = fill(buckets, self, self.axis, grid, self.shift, blurred)
        if (
            self.tail is not None
            and self._tail_extent[1] >= grid.start + self.shift
            and self._tail_extent[0] <= grid.end + self.shift
        ):
            buckets.add_points(grid.places(self.x(self.tail), self.shift), self.tail.values)
        return buckets, was_blurred

    def cells(self, grid: AnyGrid, need: Need) -> Cells:
        """See `Line`."""
        window = grid.start + self.shift, grid.end + self.shift
        loose = None
        if self.tail is not None and (need.behind or self._tail_extent[0] <= window[1]):
            loose = self.x(self.tail), self.tail.values
        cells = read_cells(self, loose, self.axis, window, need)
        return cells._replace(least=cells.least - self.shift, end=cells.end - self.shift)

    def before(self, start: int) -> Buckets:
        """See `Line`."""
        import numpy as np

        low, _ = self.extent()
        return self.fill(Edges(np.array([low, start], np.int64))) if low < start else Buckets(1)

    def points(self, low: int, high: int) -> tuple[NDArray[Any], NDArray[Any]]:
        """See `Line`."""
        import numpy as np

        low, high = max(low + self.shift, -(2**63)), min(high + self.shift, 2**63 - 1)
        x, values = points_between(self, self.axis, low, high)
        if self.tail is not None:
            loose_x, loose = inside(self.tail, self.x(self.tail), low, high)
            x, values = np.concatenate((x, loose_x)), np.concatenate((values, loose))
        return x - self.shift, values

    def pages(self, level: int, numbers: list[int], names: frozenset[str]) -> dict[str, NDArray[Any]]:
        """See `Source`."""
        condition, parameter = self._db.among("page", numbers)
        rows = self._db.all(
            f"SELECT data FROM metric_pyramid WHERE run_key = ? AND series = ? AND level = ? AND {condition} ORDER BY page",
            (self._run_key, self.series, level, parameter),
        )
        return pyramid.read_pages([data for (data,) in rows], names)

    def chunks(self, numbers: list[int]) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
        """See `Source`."""
        condition, parameter = self._db.among("first_index", [number * CHUNK_POINTS for number in numbers])
        for (data,) in self._db.all(
            f"SELECT data FROM metric_chunk WHERE run_key = ? AND series = ? AND {condition} ORDER BY first_index",
            (self._run_key, self.series, parameter),
        ):
            block = Block(data)
            yield block.steps if self.axis == "step" else block.times, block.values


class PairLine:
    """One metric of one run over another one of the same run, both over steps."""

    def __init__(self, y: StoredLine, x: StoredLine | None, joined: bool) -> None:
        import numpy as np

        self.run_id, self.key, self.count = y.run_id, y.key, y.count
        self.blur = 0.0
        self.left_out: int
        self.exact = joined and self.count <= EXACT_ENTRIES
        self.approximated = not joined and x is not None
        if x is None or joined:
            whole = -(2**63), 2**63 - 1
            none = np.empty(0, np.int64), np.empty(0)
            places, values, self.left_out = join(none if x is None else x.points(*whole), y.points(*whole))
            self._pairs = Pairs(places, one_each(values))
            self._places, self._values = places, values
            return
        low, high = min(x.extent()[0], y.extent()[0]), max(x.extent()[1], y.extent()[1])
        grid = choose_grid(low, high, _STEP_RANGES)
        over, contents = x.fill(grid), y.fill(grid)
        known = over.count > 0
        self.left_out = contents.points - contents.at(known).points
        self._pairs = Pairs(over.columns()[0][known], contents.at(known))

    def extent(self) -> tuple[float, float]:
        """See `Line`."""
        x = self._pairs.x
        return (float(x[0]), float(x[-1])) if len(x) else (math.inf, -math.inf)

    def least_above_zero(self) -> float:
        """The least x above zero; infinite when there is none."""
        x = self._pairs.x
        return float(min(x[x > 0], default=math.inf))

    def points(self, low: float, high: float) -> tuple[NDArray[Any], NDArray[Any]]:
        """See `Line`. Only where all points were joined."""
        mask = (self._places >= low) & (self._places <= high)
        return self._places[mask], self._values[mask]

    def fill(self, grid: FloatEdges, blurred: bool = False) -> Buckets:
        """See `Line`."""
        return self._pairs.fill(grid)

    def rough(self, grid: FloatEdges) -> Buckets:
        """See `Line`."""
        return self._pairs.fill(grid)

    def cells(self, grid: FloatEdges, need: Need) -> Cells:
        """See `Line`."""
        return self._pairs.cells()

    def before(self, start: float) -> Buckets:
        """See `Line`."""
        import numpy as np

        return self._pairs.fill(FloatEdges(np.array([-math.inf, start])))


def find_lines(db: Transaction, op: QuerySeries) -> tuple[list[StoredLine] | list[PairLine], list[tuple[str, str]]]:
    """The lines that exist in the order of the request, and the `(run id, key)` of those that do not."""
    keys = list(dict.fromkeys(op.metrics))
    if op.x != "metric":
        found, missing = _stored(db, op, keys)
        return list(found.values()), missing
    assert op.x_metric is not None
    found, missing = _stored(db, op, [*keys, *({op.x_metric} - set(keys))])
    joined = sum(line.count for line in found.values()) <= JOINED_POINTS
    wanted = [line for (_, key), line in found.items() if key in keys]
    missing = [(run_id, key) for run_id, key in missing if key in keys]
    return [PairLine(line, found.get((line.run_id, op.x_metric)), joined) for line in wanted], missing


def _stored(
    db: Transaction, op: QuerySeries, keys: list[str]
) -> tuple[dict[tuple[str, str], StoredLine], list[tuple[str, str]]]:
    wanted = {run_id.lower(): run_key(run_id) for run_id in op.run_ids}
    condition, parameter = db.among("run_key", list(wanted.values()))
    starts = {
        run_id: (key, start_time)
        for key, run_id, start_time in db.all(f"SELECT run_key, run_id, start_time FROM run WHERE {condition}", (parameter,))
    }
    named, names = db.among("key", keys)
    rows = {
        (row[0], row[1]): row
        for row in db.all(
            f"SELECT run_key, key, series, count, folded, first_step, greatest_step FROM metric WHERE {condition} AND {named}",
            (parameter, names),
        )
    }
    axis: Axis = "time" if op.x in ("time", "relative") else "step"
    lines, missing = {}, []
    for run_id in wanted:
        key, start_time = starts.get(run_id, (-1, 0))
        found = [rows[key, name] for name in keys if (key, name) in rows]
        missing += [(run_id, name) for name in keys if (key, name) not in rows]
        tails = tail_of(db, key, [row[2] for row in found]) if found else {}
        for row in found:
            line = StoredLine(db, (run_id, key, (start_time or 0) if op.x == "relative" else 0), row, axis)
            line.tail = tails.get(line.series)
            lines[run_id, line.key] = line
    return lines, missing
