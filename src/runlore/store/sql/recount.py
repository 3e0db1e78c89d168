"""The summary of a metric from its stored points, after some were taken out.

Short metrics are read. Of long ones the pyramid has the extremes and sums of each chunk, so that only the chunks are read in
which the least, the greatest and the last point are.
"""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from runlore.series.chunk import CHUNK_POINTS, Block, Points
from runlore.series.pyramid import PAGE, read_pages
from runlore.store.sql.database import Transaction
from runlore.store.sql.points import read_points, tail_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LEVEL = CHUNK_POINTS.bit_length() - 1  # of pyramid nodes that cover a chunk each
_LONG = PAGE << (_LEVEL - 1)  # folded points from which on a pyramid has such nodes
_COLUMNS = frozenset(("min", "max", "sum", "count", "nan", "plus", "minus", "max_step", "max_time"))
_GREATEST = sys.float_info.max
_UPDATE = (
    "UPDATE metric SET count = ?, non_finite = ?, last_value = ?, last_step = ?, last_time = ?, first_value = ?, "
    "first_step = ?, first_time = ?, min_value = ?, min_step = ?, max_value = ?, max_step = ?, sum_value = ?, max_time = ?, "
    "greatest_step = ?, model_id = ?, dataset_name = ?, dataset_digest = ? WHERE run_key = ? AND series = ?"
)


class _Totals(NamedTuple):
    """What does not ask for single points."""

    points: int
    finite: int
    total: float
    max_time: int
    greatest_step: int


def recount(db: Transaction, run_key: int, series: int, folded: int) -> None:
    """Write the summary of a metric of which `folded` points are in chunks; a metric without points is forgotten."""
    tail = tail_of(db, run_key, (series,)).get(series)
    if folded < _LONG:
        parts = [read_points(db, run_key, series, folded)]
        if not len(parts[0].values):
            db.execute("DELETE FROM metric WHERE run_key = ? AND series = ?", (run_key, series))
            return
        totals = _totals(parts[0])
    else:
        totals, chunks = _from_pyramid(db, run_key, series, tail)
        parts = [*_read(db, run_key, series, chunks), *([] if tail is None else [tail])]
    _write(db, (run_key, series), totals, parts)


def _totals(points: Points) -> _Totals:
    import numpy as np

    finite = points.values[np.isfinite(points.values)]
    with np.errstate(over="ignore"):
        total = float(finite.sum())
    return _Totals(len(points.values), len(finite), total, int(points.times.max()), int(points.steps.max()))


def _from_pyramid(db: Transaction, run_key: int, series: int, tail: Points | None) -> tuple[_Totals, list[int]]:
    """Totals, and the chunks in which the points are that the summary names, in order."""
    rows = db.all(
        "SELECT data FROM metric_pyramid WHERE run_key = ? AND series = ? AND level = ? ORDER BY page",
        (run_key, series, _LEVEL),
    )
    nodes = read_pages([data for (data,) in rows], _COLUMNS)
    finite = int(nodes["count"].sum())
    count = finite + sum(int(nodes[name].sum()) for name in ("nan", "plus", "minus"))
    totals = _Totals(count, finite, sum(nodes["sum"].tolist()), int(nodes["max_time"].max()), int(nodes["max_step"].max()))
    if tail is not None:
        more = _totals(tail)
        totals = _Totals(
            count + more.points, finite + more.finite, totals.total + more.total, max(totals.max_time, more.max_time),
            max(totals.greatest_step, more.greatest_step),
        )  # fmt: skip
    chunks = {0, int(nodes["min"].argmin()), int(nodes["max"].argmax())}
    last = (nodes["max_step"] == nodes["max_step"].max()).nonzero()[0]
    newest = last[nodes["max_time"][last].argmax()]
    # The last point is in one of those that hold the greatest step: usually one; where all steps are equal, the newest.
    chunks.update([int(newest)] if len(last) > PAGE else last.tolist())
    return totals, sorted(chunks)


def _read(db: Transaction, run_key: int, series: int, chunks: list[int]) -> list[Points]:
    condition, parameter = db.among("first_index", [chunk * CHUNK_POINTS for chunk in chunks])
    rows = db.all(
        f"SELECT data FROM metric_chunk WHERE run_key = ? AND series = ? AND {condition} ORDER BY first_index",
        (run_key, series, parameter),
    )
    return [Block(data).points for (data,) in rows]


def _write(db: Transaction, place: tuple[int, int], totals: _Totals, parts: list[Points]) -> None:
    import numpy as np

    steps, times, values = (np.concatenate(column) for column in list(zip(*parts, strict=True))[:3])
    finite = np.flatnonzero(np.isfinite(values))
    low = high = None
    if len(finite):
        low, high = int(finite[values[finite].argmin()]), int(finite[values[finite].argmax()])
    at = np.flatnonzero(steps == steps.max())
    newest = times[at]
    last = int(at[np.flatnonzero(newest == newest.max())[-1]])
    total = totals.total if math.isfinite(totals.total) else math.copysign(_GREATEST, totals.total)
    db.execute(
        _UPDATE,
        (
            totals.points, totals.points - totals.finite, *_point(steps, times, values, last), *_point(steps, times, values, 0),
            *_extreme(steps, values, low), *_extreme(steps, values, high), total, totals.max_time, totals.greatest_step,
            *_reference(parts, last), *place,
        ),
    )  # fmt: skip


def _reference(parts: list[Points], at: int) -> tuple[str | None, str | None, str | None]:
    for part in parts:
        if at < len(part.values):
            return (part.references and part.references[at]) or (None, None, None)
        at -= len(part.values)
    return None, None, None


def _point(steps: NDArray[Any], times: NDArray[Any], values: NDArray[Any], at: int) -> tuple[float | None, int, int]:
    value = float(values[at])
    return value if value == value else None, int(steps[at]), int(times[at])


def _extreme(steps: NDArray[Any], values: NDArray[Any], at: int | None) -> tuple[float | None, int | None]:
    return (None, None) if at is None else (float(values[at]), int(steps[at]))
