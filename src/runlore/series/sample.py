"""A sample of a metric's points that keeps what the eye would miss."""

from __future__ import annotations

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

    order = np.lexsort((points.times, points.steps))
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
