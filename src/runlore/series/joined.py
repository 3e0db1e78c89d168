"""One metric over another one: lines whose x are values, and the grids for them.

There is no pyramid over pairs of metrics. Few points are joined step by step; of many, both metrics are taken in the same small
ranges of steps, and what the one did there is shown at the mean of the other.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from runlore.series.cells import Cells
from runlore.series.frame import Buckets

if TYPE_CHECKING:
    from numpy.typing import NDArray


class FloatEdges:
    """Buckets over numbers that are not whole: bucket i covers x from `edges[i]` up to the next edge (float64, rising)."""

    def __init__(self, edges: NDArray[Any], width: float = 0.0) -> None:
        self.edges, self.width = edges, width
        self.size = len(edges) - 1
        self.start = float(edges[0]) if len(edges) else 0.0

    def bounds(self) -> NDArray[Any]:
        """All edges."""
        return self.edges

    def finer(self, most: int) -> FloatEdges:
        """The same with each bucket cut into `most` ones of equal width."""
        import numpy as np

        numbers = np.arange(self.size * most + 1) / most
        edges = np.interp(numbers, np.arange(self.size + 1), self.edges)
        return FloatEdges(edges[np.concatenate(([True], edges[1:] > edges[:-1]))])

    def places(self, x: NDArray[Any]) -> NDArray[Any]:
        """Bucket of each x; -1 below the grid, `size` above."""
        import numpy as np

        return np.searchsorted(self.edges, x, "right") - 1


def choose_float_grid(low: float, high: float, most: int, log: bool) -> FloatEdges:
    """The finest grid with at most `most` buckets: of width 2^k with edges at its multiples; or, on a logarithmic axis (`low`
    must be above 0), 2^k of them between powers of two."""
    import numpy as np

    if not log:
        exponent = math.frexp(max(high / most - low / most, abs(high) * 1e-14, abs(low) * 1e-14, 1e-300))[1] - 1
        while math.floor(high / 2.0**exponent) - math.floor(low / 2.0**exponent) >= most:
            exponent += 1
        first, last = math.floor(low / 2.0**exponent), math.floor(high / 2.0**exponent)
        return FloatEdges(np.arange(first, last + 2) * 2.0**exponent, 2.0**exponent)
    parts = 1 << 30

    def number(x: float) -> int:
        mantissa, power = math.frexp(x)
        return power * parts + math.floor((2 * mantissa - 1) * parts)

    while parts > 1 and number(high) - number(low) >= most:
        parts //= 2
    places = np.arange(number(low), number(high) + 2)
    edges = np.ldexp(1 + (places % parts) / parts, places // parts - 1)
    while len(edges) > most + 1:
        edges = np.append(edges[:-1:2], edges[-1])
    return FloatEdges(edges)


class Pairs:
    """A metric over another one: `x` in order, and for each x points taken together (one point each, where all were joined)."""

    def __init__(self, x: NDArray[Any], contents: Buckets) -> None:
        import numpy as np

        order = np.argsort(x, kind="stable")
        self.x, self._contents = x[order], contents.at(order)

    def fill(self, grid: FloatEdges) -> Buckets:
        """The buckets of a grid."""
        buckets = Buckets(grid.size)
        places = grid.places(self.x)
        inside = (places >= 0) & (places < grid.size)
        buckets.add_nodes(places[inside], vars(self._contents.at(inside)))
        return buckets

    def cells(self) -> Cells:
        """All points in the order of x."""
        import numpy as np

        known = self._contents.count > 0
        x, contents = self.x[known], self._contents.at(known)
        return Cells(x, np.nextafter(x, np.inf), contents.count.astype(np.float64), contents.sum)


def join(x: tuple[NDArray[Any], NDArray[Any]], y: tuple[NDArray[Any], NDArray[Any]]) -> tuple[NDArray[Any], NDArray[Any], int]:
    """Pairs of values at the same step, given steps and values of both in order of arrival; and how many points of `y` have no
    partner. Of several values of `x` at one step, the last one counts."""
    import numpy as np

    order = np.argsort(x[0], kind="stable")
    steps, values = x[0][order], x[1][order]
    last = np.append(steps[1:] != steps[:-1], True) if len(steps) else np.zeros(0, bool)
    steps, values = steps[last], values[last]
    places = np.searchsorted(steps, y[0])
    found = places < len(steps)
    found[found] = (steps[places[found]] == y[0][found]) & np.isfinite(values[places[found]])
    return values[places[found]], y[1][found], int((~found).sum())


def one_each(values: NDArray[Any]) -> Buckets:
    """Buckets of one value each."""
    import numpy as np

    buckets = Buckets(len(values))
    buckets.add_points(np.arange(len(values)), values)
    return buckets
