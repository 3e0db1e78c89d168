"""A line as a row of cells in the order of x: what smoothing looks at.

A cell is a point, or a pyramid node taken for points that all have its mean. Smoothing needs more than what is shown: points
before and behind the window too, the farther the coarser, or else zooming in would change the curve.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from runlore.series.pyramid import LOWEST, levels, node_count
from runlore.series.window import Axis, Source, children, points_below, read_nodes

if TYPE_CHECKING:
    from numpy.typing import NDArray

_NEAR = 4_096  # points around the window that are as fine as those in it
_STRIDE = 3
_NAMES = {axis: frozenset(("sum", "count", f"min_{axis}", f"max_{axis}")) for axis in ("step", "time")}


class Cells(NamedTuple):
    """Finite points in pieces: from which x on, up to which x (not included), how many, and their sum. Float64 columns in the
    order of x."""

    least: NDArray[Any]
    end: NDArray[Any]
    number: NDArray[Any]
    sum: NDArray[Any]

    def positions(self, x: NDArray[Any]) -> NDArray[Any]:
        """How many points lie before each x. Within a cell points are taken to be spread evenly."""
        import numpy as np

        knots = np.maximum.accumulate(np.column_stack((self.least, self.end)).ravel())
        ends = np.cumsum(self.number)
        numbers: NDArray[Any] = np.interp(x, knots, np.column_stack((ends - self.number, ends)).ravel())
        return numbers


class Need(NamedTuple):
    """Which cells a smoothing needs of a line."""

    size: int
    """Points of a cell in the window, at most; 1 = the points themselves."""
    before: float
    """Points before the window that matter, and behind it."""
    behind: float
    coarse: float
    """Points of a cell far from the window, at most."""


def read_cells(
    source: Source, loose: tuple[NDArray[Any], NDArray[Any]] | None, axis: Axis, window: tuple[int, int], need: Need
) -> Cells:
    """The cells of a line in and around a window; `loose` are x and values of its points that are not folded."""
    import numpy as np

    parts = list(_folded_cells(source, axis, window, need)) if source.folded else []
    if loose is not None:
        x, values = loose
        single = in_order(points(x.astype(np.float64), values))
        parts.append(_merged(single, need.size) if need.size > 1 else single)
    if not parts:
        return points(np.empty(0), np.empty(0))
    return in_order(Cells(*(np.concatenate([part[column] for part in parts]) for column in range(4))))


def _folded_cells(source: Source, axis: Axis, window: tuple[int, int], need: Need) -> list[Cells]:
    import numpy as np

    parts: list[Cells] = []
    lowest = max(LOWEST, int(math.log2(need.size)))
    far = max(lowest, int(math.log2(max(1.0, need.coarse))))
    level = levels(source.folded)[-1]
    numbers = np.arange(node_count(source.folded, level))
    while len(numbers):
        nodes = read_nodes(source, level, numbers, _NAMES[axis])
        distances, reached = _distances(nodes, axis, window, need)
        near = distances < _NEAR
        final = reached & np.where(near, level <= lowest, level <= far)
        if level == LOWEST and need.size == 1:
            final = reached & ~near
            parts += [points(x.astype(np.float64), values) for x, values in points_below(source, numbers[reached & near])]
        least, most, count, total = (nodes[name][final] for name in (f"min_{axis}", f"max_{axis}", "count", "sum"))
        parts.append(Cells(least.astype(np.float64), most.astype(np.float64) + 1, count.astype(np.float64), total))
        numbers = numbers[reached & ~final]
        if level == LOWEST:
            break
        nearly_all = 2 * len(numbers) > node_count(source.folded, level)  # levels between would tell nothing
        down = level - lowest if nearly_all else min(_STRIDE, level - lowest)
        level, numbers = level - down, children(numbers, down, node_count(source.folded, level - down))
    return [Cells(*(column[part.number > 0] for column in part)) for part in parts]


def _distances(
    nodes: Mapping[str, NDArray[Any]], axis: Axis, window: tuple[int, int], need: Need
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Points between each node and the window, 0 for those that touch it, and which nodes are within reach."""
    import numpy as np

    least, most, count = nodes[f"min_{axis}"], nodes[f"max_{axis}"], nodes["count"]
    distances = np.zeros(len(count))
    reached = (most >= window[0]) & (least <= window[1])
    for outside, nearness, reach in ((most < window[0], -most, need.before), (least > window[1], least, need.behind)):
        places = np.flatnonzero(outside)
        order = places[np.argsort(nearness[places], kind="stable")]
        distances[order] = np.cumsum(count[order]) - count[order]
        reached[order] = distances[order] < reach
    return distances, reached


def points(x: NDArray[Any], values: NDArray[Any], width: float = 1.0) -> Cells:
    """Cells of one finite point each, in the order in which they are given."""
    import numpy as np

    finite = np.isfinite(values) & np.isfinite(x)
    x = x[finite]
    return Cells(x, x + width, np.ones(len(x)), values[finite])


def in_order(cells: Cells) -> Cells:
    """Cells in the order of x; those with the same x stay in their order."""
    import numpy as np

    middles = cells.least + cells.end
    if (middles[1:] >= middles[:-1]).all():
        return cells
    order = np.argsort(middles, kind="stable")
    return Cells(*(column[order] for column in cells))


def _merged(cells: Cells, size: int) -> Cells:
    """Cells of one point each taken together, `size` at a time."""
    import numpy as np

    if not len(cells.number):
        return cells
    cuts = np.arange(0, len(cells.number), size)
    return Cells(
        np.minimum.reduceat(cells.least, cuts),
        np.maximum.reduceat(cells.end, cuts),
        np.add.reduceat(cells.number, cuts),
        np.add.reduceat(cells.sum, cuts),
    )
