"""Smoothed lines. All that is counted is points, in the order of x: how wide a bucket is, or how far the chart is zoomed in,
does not change a curve.

The smoothed value of a bucket is the mean of the smoothed values at its points. Cells of several points are taken for points
that all have the mean of the cell; how many points a cell may have follows from what that can be wrong (`need_of`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from runlore.series.cells import Cells, Need
from runlore.series.frame import Buckets
from runlore.series.groups import mean_cells
from runlore.series.pyramid import LOWEST

if TYPE_CHECKING:
    from numpy.typing import NDArray

FORGOTTEN = 1e-4
"""Weight below which the past of a moving average is not read."""
SIGMAS = 4.0
"""Standard deviations that a gaussian looks to either side."""
_PYRAMID_PARTS, _POINT_PARTS = 2, 16  # cells of a bucket for the mean of several lines
_ALLOWED = 0.0016  # of the range, one standard deviation, for values that are pure noise
_FARTHEST = 2.0**63 - 1_024
_NOISE = 0.29  # standard deviation of evenly spread values, of their range


def reach(kind: str, amount: float) -> tuple[float, float, float]:
    """About how many points a smoothed value depends on, and how many before and behind a point must be read."""
    if kind == "ema":
        scale = 1 / (1 - amount)
        return scale, scale * -math.log(FORGOTTEN) + 1, 0.0
    if kind == "mean":
        return amount, amount / 2 + 1, amount / 2 + 1
    return 2.5 * amount, SIGMAS * amount + 1, SIGMAS * amount + 1


def need_of(kind: str, amount: float, points: float, most_points: float, buckets: int) -> Need:
    """The cells that smoothing needs where the window holds `points` points in so many buckets.

    The points themselves where cells would be wrong by too much, if they are no more than `most_points`.
    """
    scale, before, behind = reach(kind, amount)
    each = points / max(1, buckets)
    size = 1 << LOWEST
    if points <= 4 * size or (_error(scale, size, each) > _ALLOWED and points <= most_points):
        size = 1
    else:
        while 8 * size <= each and _error(scale, 2 * size, each) <= _ALLOWED:
            size *= 2
    return Need(size, before, behind, scale / 16)


def _error(scale: float, size: float, each: float) -> float:
    """Standard deviation of what cells of `size` points make wrong in the mean of a bucket of `each` points, of the range.

    The points of a cell are weighted alike, and edges of buckets lie somewhere in cells.
    """
    alike = min(math.sqrt(scale), 0.36 * math.sqrt(size)) if scale <= size else size / math.sqrt(12 * scale)
    somewhere = math.sqrt(math.sqrt(size)) / math.sqrt(max(1.0, scale / 4))
    return _NOISE * max(alike, somewhere) / each


def smooth(cells: Cells, kind: str, amount: float, edges: NDArray[Any]) -> NDArray[Any]:
    """The mean of the smoothed line between neighbouring edges; where no point lies there, the value nearby."""
    import numpy as np

    if not len(cells.number):
        return np.full(len(edges) - 1, math.nan)
    ends = np.cumsum(cells.number)
    starts = ends - cells.number
    means = cells.sum / cells.number
    if kind == "ema":
        values = _average(means, cells.number, starts, amount)
    elif kind == "mean":
        values = _centred(means, cells.number, starts, ends, max(1.0, amount))
    else:
        starts, ends, values = _gaussian(means, starts, ends, amount)
    at = cells.positions(edges)
    integral = np.concatenate(([0.0], np.cumsum(values * (ends - starts))))
    knots = np.concatenate((starts[:1], ends))
    areas = np.diff(np.interp(at, knots, integral))
    lengths = np.diff(at)
    between = np.interp((at[:-1] + at[1:]) / 2, (starts + ends) / 2, values)
    wide = lengths > 0.999 * np.median(ends - starts) if kind == "gaussian" else lengths > 1e-6
    result: NDArray[Any] = np.where(wide, areas / np.where(wide, lengths, 1.0), between)
    return result


def smooth_buckets(cells: Cells, kind: str, amount: float, edges: NDArray[Any], buckets: Buckets) -> NDArray[Any]:
    """The smoothed line in buckets whose means are known, which corrects what cells make wrong at their edges.

    Where smoothing is slight, a bucket's smoothed value is nearly its mean; where it is strong, the cells are right.
    """
    import numpy as np

    curve = smooth(cells, kind, amount, edges)
    if not (cells.number > 1).any():
        return curve
    scale = reach(kind, amount)[0] / (1 if kind == "ema" else 2.5)
    each = np.maximum(buckets.count, 1)
    own = 1 + scale / each * np.expm1(-each / max(scale, 1e-300))
    wrong = buckets.columns()[0] - smooth(cells, "ema", 0.0, edges)
    return np.asarray(curve + own * np.where(np.isnan(wrong), 0.0, wrong))


class Rough(Protocol):
    """A line of a group, as far as its mean with others is asked for."""

    count: int

    def extent(self) -> tuple[Any, Any]:
        """Least and greatest x of all points."""
        ...

    def rough(self, grid: Any) -> Buckets:
        """The buckets of this line."""
        ...


def mean_line(lines: Sequence[Rough], members: Sequence[Buckets], grid: Any, kind: str, amount: float) -> NDArray[Any]:
    """The mean of several lines, smoothed: all are put on a finer grid that reaches as far around the shown one as matters."""
    import numpy as np

    each = sum(int(member.count.sum()) for member in members) / max(1, sum(int((m.count > 0).sum()) for m in members))
    parts = _PYRAMID_PARTS if each > 4 << LOWEST else min(_POINT_PARTS, 1 << max(0, math.ceil(math.log2(max(1.0, each)))))
    finer = grid.finer(parts)
    ends = [line.extent() for line in lines]
    low, high = min(end for end, _ in ends), max(end for _, end in ends)
    densities = [line.count / max(1e-300, end[1] - end[0]) for line, end in zip(lines, ends, strict=True)]
    density = sorted(densities)[len(densities) // 2]
    _, before, behind = reach(kind, amount)
    edges, bounds = finer.edges, finer.bounds()
    if len(edges) < 2:
        return np.empty(0)
    room = float(bounds[0] - low), float(high - bounds[-1]) + 1
    left = _margin(room[0], min(room[0], before / density), float(bounds[1] - bounds[0]))
    right = _margin(room[1], min(room[1], behind / density), float(bounds[-1] - bounds[-2]))
    outer = [bounds[0] - left[::-1], bounds[-1] + right]
    if edges.dtype.kind != "f":
        outer = [np.clip(part, -_FARTHEST, _FARTHEST) for part in outer]
    whole = np.concatenate((outer[0].astype(edges.dtype), edges, outer[1].astype(edges.dtype)))
    whole = whole[np.concatenate(([True], whole[1:] > whole[:-1]))]
    wider = type(finer)(whole)
    cells = mean_cells((line.rough(wider) for line in lines), wider.bounds())
    return smooth(cells, kind, amount, grid.bounds())


def _margin(room: float, distance: float, width: float) -> NDArray[Any]:
    """Edges outside of a grid whose outermost cell has this width: the farther the wider."""
    import numpy as np

    edges: list[float] = []
    at = 0.0
    while at < distance and len(edges) < 2_000:
        at += max(width, at / 32)
        edges.append(min(at, room + 1))
    return np.array(edges)


def _average(means: NDArray[Any], count: NDArray[Any], starts: NDArray[Any], weight: float) -> NDArray[Any]:
    """The mean over the points of each cell of an exponential moving average without bias."""
    import numpy as np

    if weight == 0:
        return means
    log = math.log(weight)
    decays = np.exp(count * log)
    averages = _recurrence(decays, (1 - decays) * means)
    known = -np.expm1(starts * log)  # how much of the average is not the zero that it began with
    before = np.concatenate(([0.0], averages[:-1])) / np.where(known > 0, known, 1.0)
    past = weight * -np.expm1(count * log) / (1 - weight) / count
    past *= known / -np.expm1((starts + (count + 1) / 2) * log)
    result: NDArray[Any] = past * before + (1 - past) * means
    return result


def _recurrence(factors: NDArray[Any], terms: NDArray[Any]) -> NDArray[Any]:
    """y[i] = factors[i] * y[i - 1] + terms[i], from zero on: first in blocks side by side, then from block to block."""
    import numpy as np

    size = len(terms)
    block = max(1, math.isqrt(size))
    rows = -(-size // block)
    factors = np.concatenate((factors, np.ones(rows * block - size))).reshape(rows, block)
    result = np.concatenate((terms, np.zeros(rows * block - size))).reshape(rows, block)
    products = factors.copy()
    for column in range(1, block):
        result[:, column] += factors[:, column] * result[:, column - 1]
        products[:, column] *= products[:, column - 1]
    carried = np.zeros(rows)
    last = 0.0
    for row, (end, product) in enumerate(zip(result[:, -1].tolist(), products[:, -1].tolist(), strict=True)):
        carried[row] = last
        last = product * last + end
    result += products * carried[:, None]
    smoothed: NDArray[Any] = result.ravel()[:size]
    return smoothed


def _centred(means: NDArray[Any], count: NDArray[Any], starts: NDArray[Any], ends: NDArray[Any], width: float) -> NDArray[Any]:
    """The mean over the points of each cell of the mean of the `width` points around each."""
    import numpy as np

    knots = np.concatenate((starts[:1], ends))
    sums = np.concatenate(([0.0], np.cumsum(means * count)))
    total = np.zeros(len(count))
    spread = (-1 / 3, 0.0, 1 / 3) if count.max() > 1 else (0.0,)
    for place in spread:
        middle = (starts + ends) / 2 + (count - 1) * place
        low, high = np.maximum(middle - width / 2, knots[0]), np.minimum(middle + width / 2, knots[-1])
        total += (np.interp(high, knots, sums) - np.interp(low, knots, sums)) / (high - low)
    return total / len(spread)


def _gaussian(
    means: NDArray[Any], starts: NDArray[Any], ends: NDArray[Any], sigma: float
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Cells of equal size with the line weighted by a bell curve around each: where they begin and end, and the values."""
    import numpy as np

    if sigma < 0.05:
        return starts, ends, means
    knots = np.concatenate((starts[:1], ends))
    typical = float(np.median(ends - starts))
    size = max(1.0 if typical == 1 else typical / 2, sigma / 8)
    if typical == 1 and size < 2:
        size = 1.0
    number = max(1, round(float(knots[-1] - knots[0]) / size))
    borders = np.linspace(knots[0], knots[-1], number + 1)
    size = float(borders[1] - borders[0])
    sums = np.concatenate(([0.0], np.cumsum(means * (ends - starts))))
    values = np.diff(np.interp(borders, knots, sums)) / size
    half = min(number, max(1, math.ceil(SIGMAS * sigma / size)))
    kernel = np.exp(-0.5 * (np.arange(-half, half + 1) * (size / sigma)) ** 2)
    weights = np.convolve(np.ones(number), kernel)[half : half + number]
    smoothed = np.convolve(values, kernel)[half : half + number] / weights
    return borders[:-1], borders[1:], smoothed
