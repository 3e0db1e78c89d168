"""A power-of-two pyramid over a metric's points, so that a chart costs the pixels and not the points.

A node of level k covers 2^k points in order of arrival and says what a chart must know of them: extremes (a spike of one point
is in every node above it), sum and count, first and last, non-finite values, and the range of steps and times. Levels are kept
from `LOWEST` up to the first one that fits in a page; the last node of a level may be incomplete and is rewritten when more
points are folded.

A level costs half of the one below it, so all levels cost twice the lowest one. Measured on a noisy float32 curve with uneven
times, in bytes a point: lowest level 4 (16 points a node) 2.7, 5 1.4, 6 0.70, 7 0.35, 8 0.18; the points themselves take 4.1.
Level 6 leaves room for values that do not compress (7 bytes a point) within 8 bytes a point, and a chart of 1,024 buckets needs
no points from 65,536 points on; below that at most 16 chunks are decoded, which takes less than a millisecond.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from runlore.exceptions import Damaged
from runlore.series.chunk import Points, pack_column, skip_column, unpack_column

if TYPE_CHECKING:
    from numpy.typing import NDArray

LOWEST = 6
"""Nodes of the lowest level cover 2^6 = 64 points."""
PAGE = 256
"""Nodes of one page."""

_VERSION = 1
_MAGIC = b"P"
_INTEGERS = ("count", "nan", "plus", "minus", "min_step", "max_step", "min_time", "max_time")
_FLOATS = ("min", "max", "sum", "first", "last")
_ALL = frozenset((*_FLOATS, *_INTEGERS))
_COUNTS = ("count", "nan", "plus", "minus")


@cache
def node_type() -> Any:
    """The numpy type of a node. `count` is of finite values; `min` and `max` are ±Inf where there is none."""
    import numpy as np

    return np.dtype([(name, "<f8") for name in _FLOATS] + [(name, "<i8") for name in _INTEGERS])


def levels(points: int) -> range:
    """The levels that a pyramid over so many points has."""
    if points <= 0:
        return range(LOWEST, LOWEST)
    top = LOWEST
    while node_count(points, top) > PAGE:
        top += 1
    return range(LOWEST, top + 1)


def node_count(points: int, level: int) -> int:
    """Nodes of one level over so many points, the incomplete one too."""
    return -(-points >> level)


# -- building -----------------------------------------------------------------------------------------------------------------


def extend(last_pages: Mapping[int, NDArray[Any]], before: int, points: Points) -> dict[tuple[int, int], NDArray[Any]]:
    """The pages that change when `points` follow the first `before` ones: nodes by (level, page number).

    `last_pages` holds the last page of each level of the pyramid over the first `before` points.
    """
    import numpy as np

    after = before + len(points.values)
    changed: dict[tuple[int, int], NDArray[Any]] = {}
    nodes = np.empty(0, node_type())  # of the level below, from number `start` on
    start = 0
    for level in levels(after):
        known = last_pages.get(level)
        base = (node_count(before, level) - 1) // PAGE * PAGE if known is not None else 0
        if known is None:
            known = np.empty(0, node_type())
        if level == LOWEST:
            fresh_from = before >> LOWEST
            fresh = _leaves(points, (-before) % (1 << LOWEST))
            if before % (1 << LOWEST):
                fresh = np.concatenate([known[-1:], fresh])
                fresh = merge(fresh, np.concatenate([[0], np.arange(2, len(fresh))]).astype(np.intp))
        else:
            fresh_from = start // 2
            fresh = merge(nodes, np.arange(0, len(nodes), 2))
        page = np.concatenate([known[: fresh_from - base], fresh])
        for offset in range((fresh_from - base) // PAGE * PAGE, len(page), PAGE):
            changed[level, (base + offset) // PAGE] = page[offset : offset + PAGE]
        even = fresh_from - fresh_from % 2
        nodes, start = page[even - base :], even
        if level + 1 not in last_pages:  # the level above is new: it needs all nodes of this one
            nodes, start = page, base
    return changed


def shortened(pages: Mapping[int, NDArray[Any]], points: int) -> dict[int, NDArray[Any]]:
    """The last page of each level of the pyramid over the first `points` points, which is a multiple of 2^`LOWEST`.

    `pages` holds, of a longer pyramid, the page of each level in which the last node of the shorter one is.
    """
    import numpy as np

    found: dict[int, NDArray[Any]] = {}
    for level in levels(points):
        last = node_count(points, level) - 1
        nodes = pages[level][: last % PAGE + 1].copy()
        if points % (1 << level):  # it was complete: made again from what is left below it
            nodes[-1:] = merge(found[level - 1][2 * last % PAGE :], np.zeros(1, np.intp))
        found[level] = nodes
    return found


def _leaves(points: Points, head: int) -> NDArray[Any]:
    """Nodes of the lowest level; the first `head` points complete a node that exists (0 = none does)."""
    import numpy as np

    width = 1 << LOWEST
    cuts = np.arange(head, len(points.values), width)
    if head:
        cuts = np.concatenate([[0], cuts])
    return summarise(points, cuts)


def summarise(points: Points, cuts: NDArray[Any]) -> NDArray[Any]:
    """One node for each piece of `points`; pieces start at `cuts` and are not empty."""
    import numpy as np

    values = points.values
    finite = np.isfinite(values)
    nodes = np.empty(len(cuts), node_type())
    with np.errstate(over="ignore", invalid="ignore"):
        nodes["sum"] = np.add.reduceat(np.where(finite, values, 0.0), cuts)
    nodes["min"] = np.minimum.reduceat(np.where(finite, values, math.inf), cuts)
    nodes["max"] = np.maximum.reduceat(np.where(finite, values, -math.inf), cuts)
    nodes["first"], nodes["last"] = values[cuts], values[np.append(cuts[1:], len(values)) - 1]
    kinds = {"count": finite, "nan": np.isnan(values), "plus": values == math.inf, "minus": values == -math.inf}
    for name, mask in kinds.items():
        nodes[name] = np.add.reduceat(mask.astype(np.int64), cuts)
    for name, column in (("step", points.steps), ("time", points.times)):
        nodes[f"min_{name}"] = np.minimum.reduceat(column, cuts)
        nodes[f"max_{name}"] = np.maximum.reduceat(column, cuts)
    return nodes


def merge(nodes: NDArray[Any], cuts: NDArray[Any]) -> NDArray[Any]:
    """One node for each piece of consecutive nodes; pieces start at `cuts` and are not empty."""
    import numpy as np

    merged = np.empty(len(cuts), node_type())
    for name in ("min", "min_step", "min_time"):
        merged[name] = np.minimum.reduceat(nodes[name], cuts)
    for name in ("max", "max_step", "max_time"):
        merged[name] = np.maximum.reduceat(nodes[name], cuts)
    with np.errstate(over="ignore", invalid="ignore"):
        for name in ("sum", *_COUNTS):
            merged[name] = np.add.reduceat(nodes[name], cuts)
    merged["first"] = nodes["first"][cuts]
    merged["last"] = nodes["last"][np.append(cuts[1:], len(nodes)) - 1]
    return merged


# -- bytes --------------------------------------------------------------------------------------------------------------------


def encode_page(nodes: NDArray[Any]) -> bytes:
    """Nodes as bytes: magic "P", version, count u16, the columns, crc32."""
    body: bytes = _MAGIC + bytes([_VERSION]) + len(nodes).to_bytes(2, "little")
    body += b"".join([pack_column(nodes[name]) for name in (*_FLOATS, *_INTEGERS)])
    return body + zlib.crc32(body).to_bytes(4, "little")


def decode_page(data: bytes) -> NDArray[Any]:
    """The inverse of `encode_page`. Raises `Damaged` when a byte is wrong."""
    import numpy as np

    columns = read_pages((data,), _ALL)
    nodes = np.empty(len(columns["count"]), node_type())
    for name, column in columns.items():
        nodes[name] = column
    return nodes


def read_pages(pages: Sequence[bytes], names: frozenset[str]) -> dict[str, NDArray[Any]]:
    """Some columns of the nodes of several pages, one page after the other. Raises `Damaged` when a byte is wrong.

    Decoding is what a chart of uneven steps waits for: nothing is decoded that was not asked for.
    """
    import numpy as np

    parts: dict[str, list[NDArray[Any]]] = {name: [] for name in names}
    for data in pages:
        if data[:2] != _MAGIC + bytes([_VERSION]):
            raise Damaged(f"A page of a metric's pyramid starts with {data[:2]!r}: a format that this Runlore can not read.")
        if len(data) < 8 or zlib.crc32(memoryview(data)[:-4]) != int.from_bytes(data[-4:], "little"):
            raise Damaged(f"A page of a metric's pyramid is damaged: the checksum of {len(data)} bytes does not match.")
        count, at = int.from_bytes(data[2:4], "little"), 4
        for name in (*_FLOATS, *_INTEGERS):
            if name in parts:
                column, at = unpack_column(data, at, count, "<f8" if name in _FLOATS else "<i8")
                parts[name].append(column)
            else:
                at = skip_column(data, at)
    return {name: columns[0] if len(columns) == 1 else np.concatenate(columns) for name, columns in parts.items()}
