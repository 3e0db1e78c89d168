"""What goes to the browser: one grid per chart, and for each line the extremes, sums and counts of its buckets.

All arithmetic on steps and times is on 64-bit integers, wrapping where their differences do not fit: a chart from step -2^63 to
2^63 - 1 has the right buckets.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from runlore.series.chunk import Points
from runlore.series.tail import starts

if TYPE_CHECKING:
    from numpy.typing import NDArray

EXACT_ENTRIES = 4_096
"""A chart whose lines have at most this many different x in the window shows the points themselves."""

_LOWEST, _HIGHEST = -(2**63), 2**63 - 1


class Grid(NamedTuple):
    """`size` buckets; bucket i of the grid covers x from `start + i * width` up to the next one, in whole numbers."""

    origin: int
    base: int
    start: int
    width: int
    size: int

    @property
    def end(self) -> int:
        """The greatest x of the last bucket."""
        return self.start + self.width * self.size - 1

    def widths(self, places: NDArray[Any]) -> float:
        """Width of the buckets at `places`."""
        return float(self.width)

    def bounds(self) -> NDArray[Any]:
        """All edges as float64."""
        import numpy as np

        return float(self.start) + np.arange(self.size + 1) * float(self.width)

    def finer(self, most: int) -> Edges:
        """The same with each bucket cut into up to `most` equal ones, none narrower than `base`."""
        import numpy as np

        parts = 1
        while 2 * parts <= most and self.width % (2 * parts) == 0 and self.width // (2 * parts) >= self.base:
            parts *= 2
        step = self.width // parts
        return Edges(np.array([min(self.start + i * step, _HIGHEST) for i in range(self.size * parts + 1)], np.int64))

    def places(self, x: NDArray[Any], shift: int = 0) -> NDArray[Any]:
        """Bucket of each x - `shift`; -1 below the grid, `size` above."""
        import numpy as np

        low, high = self.start + shift, self.end + shift
        bits = np.ascontiguousarray(x, np.int64).view(np.uint64)
        places = ((bits - np.uint64(low % 2**64)) // np.uint64(self.width)).astype(np.int64)
        if low > _LOWEST:
            places[x < min(low, _HIGHEST)] = -1
        if high < _HIGHEST:
            places[x > max(high, _LOWEST)] = self.size
        return places


class Edges:
    """Buckets of any width: bucket i covers x from `edges[i]` up to the next edge, in whole numbers (int64, rising)."""

    def __init__(self, edges: NDArray[Any], origin: int = 0, base: int = 1) -> None:
        self.edges, self.origin, self.base = edges, origin, base
        self.size = max(0, len(edges) - 1)
        self.start, self.end = (int(edges[0]), int(edges[-1]) - 1) if len(edges) else (0, -1)

    def bounds(self) -> NDArray[Any]:
        """All edges as float64."""
        import numpy as np

        return self.edges.astype(np.float64)

    def finer(self, most: int) -> Edges:
        """The same with each bucket cut into up to `most` ones of about equal width, none narrower than 1."""
        import numpy as np

        if most == 1:
            return self
        steps = np.floor(np.diff(self.bounds()) / most).astype(np.int64)
        inner = [self.edges[:-1] + steps * part for part in range(most)]
        edges = np.sort(np.concatenate([*inner, self.edges[-1:]]))
        return Edges(edges[starts(edges)])

    def widths(self, places: NDArray[Any]) -> NDArray[Any]:
        """Width of the buckets at `places`, of the outermost ones for places outside."""
        import numpy as np

        inside = np.clip(places, 0, self.size - 1)
        widths: NDArray[Any] = self.edges[inside + 1].astype(np.float64) - self.edges[inside].astype(np.float64)
        return widths

    def places(self, x: NDArray[Any], shift: int = 0) -> NDArray[Any]:
        """Bucket of each x - `shift`; -1 below the grid, `size` above."""
        import numpy as np

        edges = self.edges
        if shift and self.start + shift >= _LOWEST and self.end + 1 + shift <= _HIGHEST:
            edges = edges + shift
        elif shift:
            edges = np.array([min(max(edge + shift, _LOWEST), _HIGHEST) for edge in edges.tolist()], np.int64)
        return np.searchsorted(edges, x, "right") - 1


AnyGrid = Grid | Edges


def choose_log_grid(low: int, high: int, most: int, origin: int = 0, base: int = 1) -> Edges:
    """The finest logarithmic grid with at most `most` buckets from `low` to `high`, neither below `origin`.

    In u = (x - origin) / base, the range from 2^j to 2^(j + 1) has 2^q buckets of equal width, and none is narrower than 1. So
    edges are whole, do not depend on the window, and nest, as those of linear grids do; and where a line's points lie `base`
    apart from `origin` on, buckets hold whole pyramid nodes.
    """
    import numpy as np

    first, last = (low - origin) // base, (high - origin) // base

    def number(u: int, q: int) -> int:
        coarser = max(0, u.bit_length() - 1 - q)
        return (coarser << q) + (u >> coarser)

    q = 0
    while number(last, q + 1) - number(first, q + 1) < most and q < last.bit_length():
        q += 1

    def edge(place: int) -> int:
        coarser = max(0, (place >> q) - 1)
        return min(origin + base * ((place - (coarser << q)) << coarser), _HIGHEST)

    edges = [edge(place) for place in range(number(first, q), number(last, q) + 2)]
    while len(edges) > most + 1:
        edges = [*edges[:-1:2], edges[-1]]
    return Edges(np.array(edges, np.int64), origin, base)


def choose_grid(low: int, high: int, most: int, origin: int = 0, base: int = 1) -> Grid:
    """The finest grid with at most `most` buckets from `low` to `high`: width `base` × 2^k, edges at `origin` + i × width.

    Edges do not depend on the window: a shift of it keeps the buckets, and two of them are one of the next coarser grid.
    Where `base` is the distance between points and `origin` the first of them, buckets hold whole pyramid nodes.
    """
    width = base
    while (high - origin) // width - (low - origin) // width >= most:
        width *= 2
    first, last = (low - origin) // width, (high - origin) // width
    return Grid(origin, base, origin + first * width, width, last - first + 1)


class Buckets:
    """Sums over the buckets of a grid. `count` is of finite values; `min` and `max` are ±Inf in buckets without any."""

    def __init__(self, size: int) -> None:
        import numpy as np

        self.min = np.full(size, math.inf)
        self.max = np.full(size, -math.inf)
        self.sum = np.zeros(size)
        self.count = np.zeros(size, np.int64)
        self.nan = np.zeros(size, np.int64)
        self.plus = np.zeros(size, np.int64)
        self.minus = np.zeros(size, np.int64)

    def add_points(self, places: NDArray[Any], values: NDArray[Any]) -> None:
        """Add values to the buckets at `places`; places outside are passed over."""
        import numpy as np

        if len(places) and (places.min() < 0 or places.max() >= len(self.count)):
            inside = (places >= 0) & (places < len(self.count))
            places, values = places[inside], values[inside]
        finite = np.isfinite(values)
        if not finite.all():
            for kind, mask in (
                (self.nan, np.isnan(values)),
                (self.plus, values == math.inf),
                (self.minus, values == -math.inf),
            ):
                np.add.at(kind, places[mask], 1)
            places, values = places[finite], values[finite]
        if not len(places):
            return
        if (places[1:] < places[:-1]).any():
            order = np.argsort(places, kind="stable")
            places, values = places[order], values[order]
        cuts = starts(places)  # five times as fast as `ufunc.at`
        places = places[cuts]
        self.min[places] = np.minimum(self.min[places], np.minimum.reduceat(values, cuts))
        self.max[places] = np.maximum(self.max[places], np.maximum.reduceat(values, cuts))
        with np.errstate(over="ignore", invalid="ignore"):
            self.sum[places] += np.add.reduceat(values, cuts)
        self.count[places] += np.diff(cuts, append=len(values))

    def add_nodes(self, places: NDArray[Any], nodes: Mapping[str, NDArray[Any]]) -> None:
        """Add pyramid nodes, each of which lies in one bucket."""
        import numpy as np

        np.minimum.at(self.min, places, nodes["min"])
        np.maximum.at(self.max, places, nodes["max"])
        with np.errstate(over="ignore", invalid="ignore"):
            np.add.at(self.sum, places, nodes["sum"])
        np.add.at(self.count, places, nodes["count"])
        for name in ("nan", "plus", "minus"):
            if nodes[name].any():
                np.add.at(getattr(self, name), places, nodes[name])

    def at(self, places: NDArray[Any]) -> Buckets:
        """Some of the buckets: places or a mask."""
        chosen = Buckets(0)
        for name, column in vars(self).items():
            setattr(chosen, name, column[places])
        return chosen

    @property
    def points(self) -> int:
        """All points, non-finite ones too."""
        return int(self.count.sum() + self.nan.sum() + self.plus.sum() + self.minus.sum())

    def columns(self) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """Mean, min and max of each bucket, NaN where there is no finite value. The mean lies between min and max."""
        import numpy as np

        empty = self.count == 0
        low, high = np.where(empty, math.nan, self.min), np.where(empty, math.nan, self.max)
        mean = self.sum / np.where(empty, 1, self.count)
        mean = np.where(np.isnan(mean), low / 2 + high / 2, mean)  # the sum of huge values overflowed in both directions
        return np.where(empty, math.nan, np.clip(mean, low, high)), low, high

    def marks(self) -> list[tuple[int, int]]:
        """`(bucket, kind)` of non-finite values, kind 0 = NaN, 1 = +Inf, -1 = -Inf."""
        kinds = ((0, self.nan), (1, self.plus), (-1, self.minus))
        return sorted((place, kind) for kind, counts in kinds for place in counts.nonzero()[0].tolist())


def union(columns: list[NDArray[Any]]) -> NDArray[Any] | None:
    """All different x of several lines in order; None when they are more than `EXACT_ENTRIES`."""
    import numpy as np

    if not columns:
        return np.empty(0, np.int64)
    entries = np.sort(np.concatenate(columns))
    entries = entries[starts(entries)]
    return entries if len(entries) <= EXACT_ENTRIES else None


def inside(points: Points, x: NDArray[Any], low: int, high: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """x and values of the points with `low` ≤ x ≤ `high`."""
    mask = (x >= max(low, _LOWEST)) & (x <= min(high, _HIGHEST))
    return x[mask], points.values[mask]


def needs_double(low: NDArray[Any], high: NDArray[Any]) -> bool:
    """True where float32 would lie: the values differ by less than 1e-4 of their size, or are too large or small for it."""
    import numpy as np

    known = ~np.isnan(low)
    if not known.any():
        return False
    least, most = float(low[known].min()), float(high[known].max())
    size = max(abs(least), abs(most))
    return most / 2 - least / 2 < 0.5e-4 * size or not 1e-30 < size < 1e38
