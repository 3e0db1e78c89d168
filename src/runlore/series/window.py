"""From a stored series to the buckets of a chart: read as few pyramid nodes as will do.

Starting at the top level, a node that lies in one bucket is added to it; a node outside the window is dropped; a node that
straddles an edge is opened: its children are looked at, and below the lowest level the points themselves. So min, max and
count of each bucket are exact, and the cost depends on the number of buckets, not of points.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal, Protocol

from runlore.series.chunk import CHUNK_POINTS
from runlore.series.frame import Buckets, Grid
from runlore.series.pyramid import LOWEST, PAGE, levels, node_count
from runlore.series.tail import starts

if TYPE_CHECKING:
    from numpy.typing import NDArray

Axis = Literal["step", "time"]
_LEAVES = CHUNK_POINTS >> LOWEST  # lowest nodes of a chunk
_STRIDE = 3  # levels to go down where nodes straddle edges: a page of children costs the same whether 2 or 8 are needed

_BATCH = 64  # chunks


class Source(Protocol):
    """Where the folded points of one series are."""

    folded: int
    """Number of points in chunks."""

    def pages(self, level: int, numbers: list[int]) -> list[NDArray[Any]]:
        """Nodes of pages of a level, in the order of `numbers`."""
        ...

    def chunks(self, numbers: list[int]) -> Iterable[tuple[NDArray[Any], NDArray[Any]]]:
        """x (of the axis that is asked for) and values of chunks, in the order of `numbers`."""
        ...


def fill(buckets: Buckets, source: Source, axis: Axis, grid: Grid, shift: int = 0) -> None:
    """Add the folded points of a series to the buckets of a grid, x being the step or time less `shift`."""
    import numpy as np

    if not source.folded:
        return
    level = levels(source.folded)[-1]
    numbers = np.arange(node_count(source.folded, level))
    while len(numbers):
        nodes = _nodes(source, level, numbers)
        low = grid.places(nodes[f"min_{axis}"], shift)
        high = grid.places(nodes[f"max_{axis}"], shift)
        seen = (high >= 0) & (low < grid.size)
        whole = seen & (low == high)
        buckets.add_nodes(low[whole], nodes[whole])
        opened = seen & ~whole
        numbers = numbers[opened]
        if level == LOWEST:
            _add_points(buckets, source, grid, shift, numbers)
            return
        down = min(_descent(nodes[opened], axis, grid), level - LOWEST)
        level -= down
        children = (numbers[:, None] << down) + np.arange(1 << down)
        numbers = children.ravel()
        numbers = numbers[numbers < node_count(source.folded, level)]


def extent(source: Source, axis: Axis) -> tuple[int, int] | None:
    """Least and greatest step or time of the folded points."""
    if not source.folded:
        return None
    level = levels(source.folded)[-1]
    (page,) = source.pages(level, [0])
    return int(page[f"min_{axis}"].min()), int(page[f"max_{axis}"].max())


def _descent(nodes: NDArray[Any], axis: Axis, grid: Grid) -> int:
    """How many levels to go down: to where a node is as wide as a bucket, or fast where nodes straddle edges."""
    import numpy as np

    if not len(nodes):
        return 1
    spans = nodes[f"max_{axis}"].astype(np.float64) - nodes[f"min_{axis}"].astype(np.float64)
    ratio = float(np.sort(spans)[len(spans) // 2]) / grid.width
    return max(1, round(np.log2(ratio))) if ratio > 1.4 else _STRIDE


def _distinct(ordered: NDArray[Any]) -> NDArray[Any]:
    values: NDArray[Any] = ordered[starts(ordered)]
    return values


def _nodes(source: Source, level: int, numbers: NDArray[Any]) -> NDArray[Any]:
    import numpy as np

    wanted = _distinct(numbers // PAGE)
    pages = np.concatenate(source.pages(level, wanted.tolist()))
    # All pages but the last one are full, so a node's place follows from the rank of its page.
    nodes: NDArray[Any] = pages[np.searchsorted(wanted, numbers // PAGE) * PAGE + numbers % PAGE]
    return nodes


def _add_points(buckets: Buckets, source: Source, grid: Grid, shift: int, leaves: NDArray[Any]) -> None:
    """Add the points below some nodes of the lowest level."""
    import numpy as np

    if not len(leaves):
        return
    chunks = _distinct(leaves // _LEAVES)
    mask = np.zeros((len(chunks), _LEAVES), bool)
    mask[np.searchsorted(chunks, leaves // _LEAVES), leaves % _LEAVES] = True
    # Several chunks a call; not all of them, because shuffled steps open every node of a series.
    for first in range(0, len(chunks), _BATCH):
        part = slice(first, first + _BATCH)
        columns: tuple[list[NDArray[Any]], list[NDArray[Any]]] = ([], [])
        for row, (x, values) in zip(mask[part], source.chunks(chunks[part].tolist()), strict=True):
            if len(values) == CHUNK_POINTS:
                columns[0].append(x.reshape(_LEAVES, -1)[row].ravel())
                columns[1].append(values.reshape(_LEAVES, -1)[row].ravel())
            else:
                chosen = np.repeat(row, 1 << LOWEST)[: len(values)]
                columns[0].append(x[chosen])
                columns[1].append(values[chosen])
        buckets.add_points(grid.places(np.concatenate(columns[0]), shift), np.concatenate(columns[1]))
