"""Reading stored points of a metric: chunks first, then the tail, which together are the order of arrival."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from runlore.series.chunk import CHUNK_POINTS, Block, Points, decode_row, is_row
from runlore.series.pyramid import PAGE, read_pages
from runlore.series.sample import extreme_pieces
from runlore.series.tail import concatenate, gather
from runlore.store.sql.database import Transaction

if TYPE_CHECKING:
    from numpy.typing import NDArray

_CHUNK_LEVEL = CHUNK_POINTS.bit_length() - 1  # of pyramid nodes that cover a chunk each
_SAMPLED_FROM = PAGE << (_CHUNK_LEVEL - 1)  # folded points from which on a pyramid has such nodes

INSERT_TAIL = (
    "INSERT INTO metric_tail (run_key, seq, min_series, max_series, min_time, latest_time, data) VALUES (?, ?, ?, ?, ?, ?, ?)"
)

Identity = tuple[int, int, float | None]
"""What makes two points of one metric the same point: step, time, value (None = NaN)."""


def identity(step: int, time: int, value: float) -> Identity:
    """The identity of a point."""
    return step, time, value if value == value else None


def tail_of(db: Transaction, run_key: int, series: Iterable[int]) -> dict[int, Points]:
    """The points of some series that are still in the run's tail. Series without any are left out."""
    wanted = set(series)
    rows = db.all(
        "SELECT data FROM metric_tail WHERE run_key = ? AND min_series <= ? AND max_series >= ? ORDER BY seq",
        (run_key, max(wanted), min(wanted)),
    )
    return gather((data for (data,) in rows), wanted)


def read_points(db: Transaction, run_key: int, series: int, folded: int, start: int = 0, stop: int | None = None) -> Points:
    """Points of one series by arrival number, from `start` up to `stop` (None = all)."""
    parts: list[Points] = []
    end = folded if stop is None else min(stop, folded)
    if start < end:
        for first, data in db.all(
            "SELECT first_index, data FROM metric_chunk WHERE run_key = ? AND series = ? "
            "AND first_index > ? AND first_index < ? ORDER BY first_index",
            (run_key, series, start - CHUNK_POINTS, end),
        ):
            parts.append(cut(Block(data).points, max(0, start - first), end - first))
    if stop is None or stop > folded:
        tail = tail_of(db, run_key, (series,)).get(series)
        if tail is not None:
            parts.append(cut(tail, max(0, start - folded), None if stop is None else stop - folded))
    return concatenate(parts)


def read_for_sample(
    db: Transaction, run_key: int, series: tuple[int, int], most: int, window: tuple[int, int] | None
) -> Points:
    """Points of one series, given as its number and its folded points, from which to take a sample of `most` with steps in a
    window (None = all). Of long ones only the chunks with extremes are read: a spike is always among them.
    """
    number, folded = series
    low, high = window or (-(2**63), 2**63 - 1)
    condition, parameters = "max_step >= ? AND min_step <= ?", [low, high]
    if folded > _SAMPLED_FROM:
        pages = [
            data
            for (data,) in db.all(
                "SELECT data FROM metric_pyramid WHERE run_key = ? AND series = ? AND level = ? ORDER BY page",
                (run_key, number, _CHUNK_LEVEL),
            )
        ]
        nodes = read_pages(pages, frozenset(("min", "max", "min_step", "max_step")))
        chosen = extreme_pieces(nodes, low, high, max(1, most // 8))
        among, firsts = db.among("first_index", [chunk * CHUNK_POINTS for chunk in chosen])
        condition, parameters = f"{condition} AND {among}", [*parameters, firsts]
    rows = db.all(
        f"SELECT data FROM metric_chunk WHERE run_key = ? AND series = ? AND {condition} ORDER BY first_index",
        (run_key, number, *parameters),
    )
    parts = [Block(data).points for (data,) in rows]
    tail = tail_of(db, run_key, (number,)).get(number)
    return concatenate([*parts, *([] if tail is None else [tail])])


def cut(points: Points, start: int, stop: int | None) -> Points:
    """Points from `start` up to `stop`."""
    if start == 0 and (stop is None or stop >= len(points.values)):
        return points
    part = slice(start, stop)
    references = points.references
    return Points(points.steps[part], points.times[part], points.values[part], references[part] if references else None)


# -- looking for repeats -------------------------------------------------------------------------------------------------------


def stored_identities(
    db: Transaction, run_key: int, wanted: Mapping[int, list[Identity]], folded: Mapping[int, int]
) -> dict[int, set[Identity]]:
    """Which points of the steps and times in `wanted` are stored, by series; `folded` is the number of points in chunks.

    Cost: the tail rows since the oldest of these times, and of each folded series the chunks whose range holds one of them.
    """
    found: dict[int, set[Identity]] = {series: set() for series in wanted}
    _look_in_tail(db, run_key, wanted, found)
    for series, identities in wanted.items():
        if folded[series]:
            _look_in_chunks(db, run_key, series, identities, found[series])
    return found


def _look_in_tail(db: Transaction, run_key: int, wanted: Mapping[int, list[Identity]], found: dict[int, set[Identity]]) -> None:
    """Newest rows first: `latest_time` never falls from row to row, so the first row that is too old ends the search."""
    times = [time for identities in wanted.values() for _, time, _ in identities]
    oldest, newest = min(times), max(times)
    smallest, greatest = min(wanted), max(wanted)
    before, limit = 2**63 - 1, 8
    while True:
        rows = db.all(
            "SELECT seq, latest_time, min_series, max_series, data FROM metric_tail WHERE run_key = ? AND seq < ? "
            "AND min_time <= ? ORDER BY seq DESC LIMIT ?",
            (run_key, before, newest, limit),
        )
        for _, latest, low, high, data in rows:
            if latest < oldest:
                return
            if low <= greatest and high >= smallest:
                _note_row(data, wanted, found)
        if len(rows) < limit:
            return
        before, limit = rows[-1][0], 256


def _note_row(data: bytes, wanted: Mapping[int, list[Identity]], found: dict[int, set[Identity]]) -> None:
    if is_row(data):
        row = decode_row(data)
        for series, step, time, value in zip(row.series, row.steps, row.times, row.values, strict=True):
            if series in wanted:
                found[series].add(identity(step, time, value))
        return
    for series, points in gather((data,), set(wanted)).items():
        _note(points.steps, points.times, points.values, wanted[series], found[series])


def _look_in_chunks(db: Transaction, run_key: int, series: int, wanted: list[Identity], found: set[Identity]) -> None:
    steps, times = [step for step, _, _ in wanted], [time for _, time, _ in wanted]
    before = 2**63 - 1
    while True:  # one chunk at a time: a repeat of a whole history must not bring it all into memory
        row = db.one(
            "SELECT first_index, data FROM metric_chunk WHERE run_key = ? AND series = ? AND first_index < ? "
            "AND min_step <= ? AND max_step >= ? AND min_time <= ? AND max_time >= ? ORDER BY first_index DESC LIMIT 1",
            (run_key, series, before, max(steps), min(steps), max(times), min(times)),
        )
        if row is None:
            return
        before = row[0]
        block = Block(row[1])
        _note(block.steps, block.times, block.values, wanted, found)


def _note(steps: NDArray[Any], times: NDArray[Any], values: NDArray[Any], wanted: list[Identity], found: set[Identity]) -> None:
    """Add the points that share a step and a time range with wanted ones."""
    import numpy as np

    near = np.isin(steps, np.array([step for step, _, _ in wanted], np.int64))
    near &= np.isin(times, np.array([time for _, time, _ in wanted], np.int64))
    if near.any():
        columns = zip(steps[near].tolist(), times[near].tolist(), values[near].tolist(), strict=True)
        found.update(identity(*point) for point in columns)
