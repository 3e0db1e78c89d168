"""From a stored series to the buckets of a chart: read as few pyramid nodes as will do.

Starting at the top level, a node that lies in one bucket is added to it; a node outside the window is dropped; a node that
straddles an edge is opened: its children are looked at, and below the lowest level the points themselves. So min, max and
count of each bucket are exact, and the cost depends on the number of buckets, not of points.

Where steps are uneven, every edge lies inside a node, and a chart of a hundred long lines would wait for most of their points.
Such lines are *blurred*: a node that straddles an edge is added whole where its middle lies, if it is no wider than half a
bucket. Then a point may be counted in the neighbouring bucket, at most a quarter of a bucket away, and none is lost.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal, Protocol

from runlore.series.chunk import CHUNK_POINTS
from runlore.series.frame import AnyGrid, Buckets
from runlore.series.pyramid import LOWEST, PAGE, levels, node_count
from runlore.series.tail import starts

if TYPE_CHECKING:
    from numpy.typing import NDArray

Axis = Literal["step", "time"]
Nodes = Mapping[str, "NDArray[Any]"]
BLUR = 0.25
"""How far outside of its bucket a point of a blurred line may lie, in widths of the bucket."""
_LEAVES = CHUNK_POINTS >> LOWEST  # lowest nodes of a chunk
_STRIDE = 3  # levels to go down where nodes straddle edges: a page of children costs the same whether 2 or 8 are needed
_BATCH = 64  # chunks
_OF_BUCKETS = ("min", "max", "sum", "count", "nan", "plus", "minus")
NAMES: Mapping[str, frozenset[str]] = {
    axis: frozenset((*_OF_BUCKETS, f"min_{axis}", f"max_{axis}")) for axis in ("step", "time")
}
"""What buckets need of a node."""


class Source(Protocol):
    """Where the folded points of one series are."""

    folded: int
    """Number of points in chunks."""

    def pages(self, level: int, numbers: list[int], names: frozenset[str]) -> dict[str, NDArray[Any]]:
        """Columns of the nodes of pages of a level, in the order of `numbers`."""
        ...

    def chunks(self, numbers: list[int]) -> Iterable[tuple[NDArray[Any], NDArray[Any]]]:
        """x (of the axis that is asked for) and values of chunks, in the order of `numbers`."""
        ...


def fill(buckets: Buckets, source: Source, axis: Axis, grid: AnyGrid, shift: int = 0, blurred: bool = False) -> bool:
    """Add the folded points of a series to the buckets of a grid, x being the step or time less `shift`.

    Returns whether any point may be counted in the neighbouring bucket, which is never so unless `blurred`.
    """
    import numpy as np

    was_blurred = False
    if not source.folded:
        return was_blurred
    level = levels(source.folded)[-1]
    numbers = np.arange(node_count(source.folded, level))
    while len(numbers):
        nodes = read_nodes(source, level, numbers, NAMES[axis])
        least, most = nodes[f"min_{axis}"], nodes[f"max_{axis}"]
        low, high = grid.places(least, shift), grid.places(most, shift)
        seen = (high >= 0) & (low < grid.size)
        whole = seen & (low == high)
        buckets.add_nodes(low[whole], {name: nodes[name][whole] for name in _OF_BUCKETS})
        opened = seen & ~whole
        spans = most[opened].astype(np.float64) - least[opened].astype(np.float64)
        ratios = spans / grid.widths(low[opened])
        if blurred and (narrow := ratios <= 2 * BLUR).any():
            there = np.flatnonzero(opened)[narrow]
            middle = least[there] + (most[there] - least[there]) // 2
            places = np.clip(grid.places(middle, shift), 0, grid.size - 1)
            buckets.add_nodes(places, {name: nodes[name][there] for name in _OF_BUCKETS})
            opened[there], was_blurred = False, True
            ratios = ratios[~narrow]
        numbers = numbers[opened]
        if level == LOWEST:
            for x, values in points_below(source, numbers):
                buckets.add_points(grid.places(x, shift), values)
            break
        down = min(_descent(ratios, blurred), level - LOWEST)
        numbers = children(numbers, down, node_count(source.folded, level - down))
        level -= down
    return was_blurred


def extent(source: Source, axis: Axis) -> tuple[int, int] | None:
    """Least and greatest step or time of the folded points."""
    if not source.folded:
        return None
    level = levels(source.folded)[-1]
    page = source.pages(level, [0], frozenset((f"min_{axis}", f"max_{axis}")))
    return int(page[f"min_{axis}"].min()), int(page[f"max_{axis}"].max())


def points_between(source: Source, axis: Axis, low: int, high: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """x and values of the folded points with `low` ≤ x ≤ `high`, in order of arrival."""
    import numpy as np

    parts: list[tuple[NDArray[Any], NDArray[Any]]] = [(np.empty(0, np.int64), np.empty(0))]
    if source.folded:
        level = levels(source.folded)[-1]
        numbers = np.arange(node_count(source.folded, level))
        while len(numbers):
            nodes = read_nodes(source, level, numbers, frozenset((f"min_{axis}", f"max_{axis}")))
            numbers = numbers[(nodes[f"max_{axis}"] >= low) & (nodes[f"min_{axis}"] <= high)]
            if level == LOWEST:
                parts += points_below(source, numbers)
                break
            down = min(_STRIDE, level - LOWEST)
            level, numbers = level - down, children(numbers, down, node_count(source.folded, level - down))
    x, values = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    mask = (x >= low) & (x <= high)
    return x[mask], values[mask]


def read_nodes(source: Source, level: int, numbers: NDArray[Any], names: frozenset[str]) -> dict[str, NDArray[Any]]:
    """Columns of some nodes of a level."""
    import numpy as np

    pages = numbers // PAGE
    wanted = pages[starts(pages)]
    columns = source.pages(level, wanted.tolist(), names)
    # All pages but the last one are full, so a node's place follows from the rank of its page.
    places = np.searchsorted(wanted, pages) * PAGE + numbers % PAGE
    if len(places) == len(columns["count"] if "count" in columns else next(iter(columns.values()))):
        return columns
    return {name: column[places] for name, column in columns.items()}


def children(numbers: NDArray[Any], down: int, count: int) -> NDArray[Any]:
    """The nodes `down` levels below some nodes, where that level has `count` nodes."""
    import numpy as np

    below: NDArray[Any] = ((numbers[:, None] << down) + np.arange(1 << down)).ravel()
    return below[below < count]


def points_below(source: Source, leaves: NDArray[Any]) -> Iterable[tuple[NDArray[Any], NDArray[Any]]]:
    """x and values of the points below some nodes of the lowest level, some chunks at a time."""
    import numpy as np

    if not len(leaves):
        return
    owners = leaves // _LEAVES
    chunks = owners[starts(owners)]
    mask = np.zeros((len(chunks), _LEAVES), bool)
    mask[np.searchsorted(chunks, owners), leaves % _LEAVES] = True
    # Several chunks a call; not all of them, because shuffled steps open every node of a series.
    for first in range(0, len(chunks), _BATCH):
        part = slice(first, first + _BATCH)
        columns: tuple[list[NDArray[Any]], list[NDArray[Any]]] = ([], [])
        for row, (x, values) in zip(mask[part], source.chunks(chunks[part].tolist()), strict=True):
            chosen: Any = slice(None)
            if not row.all():
                chosen = np.repeat(row, 1 << LOWEST)[: len(values)]
            columns[0].append(x[chosen])
            columns[1].append(values[chosen])
        yield np.concatenate(columns[0]), np.concatenate(columns[1])


def _descent(ratios: NDArray[Any], blurred: bool) -> int:
    """How many levels to go down, by the widths of nodes in buckets: to where most nodes lie in one bucket or are narrow enough
    to be blurred, or fast where nodes straddle edges."""
    import numpy as np

    if not len(ratios):
        return 1
    ratio = float(np.sort(ratios)[len(ratios) // 2])
    if blurred:
        return max(1, math.ceil(math.log2(ratio / (2 * BLUR))))
    return max(1, round(math.log2(ratio))) if ratio > 1.4 else _STRIDE
