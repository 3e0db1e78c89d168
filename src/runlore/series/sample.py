"""A sample of a metric's points that keeps what the eye would miss."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from runlore.series.chunk import Points

if TYPE_CHECKING:
    from numpy.typing import NDArray


def sample(points: Points, most: int, first_step: int | None = None, last_step: int | None = None) -> NDArray[Any]:
    """Places of at most `most` points with `first_step` ≤ step ≤ `last_step`, in the order of (step, time, arrival).

    All of them where they fit. Otherwise they are cut into pieces of equal size, and of each piece the first, the last, the
    least and the greatest (finite) value are kept. The last of all is always there.
    """
    import numpy as np

    order = in_order(points)
    if first_step is not None and last_step is not None:
        steps = points.steps[order]
        order = order[(steps >= first_step) & (steps <= last_step)]
    total = len(order)
    if total <= most:
        return order
    if most < 4:
        return order[sorted(set(np.linspace(total - 1, 0, most).round().astype(np.intp).tolist()))]
    edges = np.linspace(0, total, most // 4 + 1).round().astype(np.intp)
    values = points.values[order]
    finite = np.isfinite(values)
    kept = {total - 1}
    for start, end in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        piece, known = values[start:end], finite[start:end]
        kept |= {start, end - 1}
        if known.any():
            kept.add(start + int(np.where(known, piece, np.inf).argmin()))
            kept.add(start + int(np.where(known, piece, -np.inf).argmax()))
    return order[sorted(kept)]


def in_order(points: Points) -> NDArray[Any]:
    """Places of points in the order of (step, time, arrival). Most series come in it."""
    import numpy as np

    earlier, later = points.steps[:-1], points.steps[1:]
    if ((later > earlier) | ((later == earlier) & (points.times[1:] >= points.times[:-1]))).all():
        return np.arange(len(points.steps))
    return np.lexsort((points.times, points.steps))


def extreme_pieces(nodes: Mapping[str, NDArray[Any]], first_step: int, last_step: int, groups: int) -> list[int]:
    """Numbers of the pyramid nodes that touch a window of steps: all where they are few, else of each of so many groups of
    neighbours those with the least and the greatest value, and the outermost ones."""
    import numpy as np

    seen = np.flatnonzero((nodes["max_step"] >= first_step) & (nodes["min_step"] <= last_step))
    seen = seen[np.argsort(nodes["min_step"][seen], kind="stable")]
    if len(seen) <= 2 * groups + 2:
        return seen.tolist()
    chosen = {int(seen[0]), int(seen[-1])}
    for group in np.array_split(seen, groups):
        chosen |= {int(group[nodes["min"][group].argmin()]), int(group[nodes["max"][group].argmax()])}
    return sorted(chosen)
