"""Folding: the many small tail rows of a run become few, off the request path.

Series with at least `CHUNK_FROM` points in the tail move to compressed chunks and their pyramid; the points of all others are
merged, sorted by series, into a few larger tail rows (a thousand metrics of one point each cost one row, not a thousand
chunks). One transaction does all of it for one run, so a crash undoes the whole and a reader sees either before or after.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runlore.entities import RunStatus
from runlore.series import pyramid
from runlore.series.chunk import CHUNK_POINTS, Block, Points, Row, encode_block, encode_row
from runlore.series.tail import concatenate, gather_all, starts, take
from runlore.store.sql.database import EARLIER_RUNS, Transaction
from runlore.store.sql.handlers import chore
from runlore.store.sql.points import INSERT_TAIL

if TYPE_CHECKING:
    from numpy.typing import NDArray

FOLD_ROWS = 1_024
"""Tail rows, one per call, from which on a run is folded."""
FOLD_POINTS = 65_536
"""Points in such rows from which on a run is folded."""
FOLD_ROWS_FINISHED = 16
"""The same for a run that has ended."""
CHUNK_FROM = 1_024
"""Points in the tail from which on a series moves to chunks."""
MERGED_POINTS = 16_384
"""Points of one merged tail row."""
_BLOCK_FROM = 128  # points from which on a block is smaller than a packed row


@chore
def fold_tails(db: Transaction) -> bool:
    """Fold one of the runs that were hinted at, where it is worth it. True while hints are left."""
    if db.hints:
        run_key = db.hints.pop()
        if run_key == EARLIER_RUNS:
            db.hints.update(_left_unfolded(db))
            return bool(db.hints)
        run = db.one("SELECT next_tail - merged_tail, loose_points, status FROM run WHERE run_key = ?", (run_key,))
        if run is not None:
            rows, points, status = run
            enough = FOLD_ROWS_FINISHED if RunStatus.is_terminated(status) else FOLD_ROWS
            if rows >= enough or points >= FOLD_POINTS:
                fold_run(db, run_key)
    return bool(db.hints)


def _left_unfolded(db: Transaction) -> list[int]:
    """Runs that are worth folding. A script often ends right after its run, before anybody folded it."""
    going_on = ", ".join(f"'{status}'" for status in RunStatus.ALL if not RunStatus.is_terminated(status))
    rows = db.all(
        "SELECT run_key FROM run WHERE next_tail - merged_tail >= ? AND "
        f"(status NOT IN ({going_on}) OR next_tail - merged_tail >= ? OR loose_points >= ?)",
        (FOLD_ROWS_FINISHED, FOLD_ROWS, FOLD_POINTS),
    )
    return [key for (key,) in rows]


def fold_run(db: Transaction, run_key: int) -> None:
    """Fold the tail of a run. Points, their order, and what any reader is answered stay as they are."""
    import numpy as np

    # Updating the run's row keeps writers of this run out until the end of the transaction.
    run = db.execute("UPDATE run SET merged_tail = next_tail, loose_points = 0, tail_token = 0 WHERE run_key = ?", (run_key,))
    rows = db.all("SELECT seq, latest_time, data FROM metric_tail WHERE run_key = ? ORDER BY seq", (run_key,))
    if not run or not rows:
        return
    series, points = gather_all(data for _, _, data in rows)
    order = np.argsort(series, kind="stable")
    ordered = series[order]
    firsts = starts(ordered)
    pieces = list(zip(ordered[firsts].tolist(), np.split(order, firsts[1:]), strict=True))
    long = {number: places for number, places in pieces if len(places) >= CHUNK_FROM}
    folded: dict[int, int] = {}
    if long:
        folded.update(db.all("SELECT series, folded FROM metric WHERE run_key = ?", (run_key,)))
    for number, places in long.items():
        append_chunks(db, run_key, number, folded[number], take(points, places))
        db.execute("UPDATE metric SET folded = folded + ? WHERE run_key = ? AND series = ?", (len(places), run_key, number))
    db.execute("DELETE FROM metric_tail WHERE run_key = ?", (run_key,))
    rest = [places for number, places in pieces if number not in long]
    if rest:
        _merge(db, run_key, rows, series, points, np.concatenate(rest))


def _merge(db: Transaction, run_key: int, rows: list[Any], series: NDArray[Any], points: Points, order: NDArray[Any]) -> None:
    """Write the points at `order` (sorted by series) as few rows, which take the place of `rows`."""
    # At most as many rows as there were, so that the seq numbers of the old ones suffice.
    size = max(MERGED_POINTS, -(-len(order) // len(rows)))
    for number, start in enumerate(range(0, len(order), size)):
        places = order[start : start + size]
        part, numbers = take(points, places), series[places]
        data = _packed(part, numbers) if len(places) < _BLOCK_FROM else encode_block(part, numbers)
        ranges = int(numbers[0]), int(numbers[-1]), int(part.times.min()), rows[-1][1]
        db.execute(INSERT_TAIL, (run_key, rows[number][0], *ranges, data))


def _packed(points: Points, series: NDArray[Any]) -> bytes:
    columns = series.tolist(), points.steps.tolist(), points.times.tolist(), points.values.tolist()
    return encode_row(Row(*columns, points.references))


def append_chunks(db: Transaction, run_key: int, series: int, folded: int, points: Points) -> None:
    """Append points to the chunks and the pyramid of one series. All chunks but the last one are full."""
    _extend_pyramid(db, run_key, series, folded, points)
    first = folded - folded % CHUNK_POINTS
    if first < folded:
        row = db.one(
            "SELECT data FROM metric_chunk WHERE run_key = ? AND series = ? AND first_index = ?", (run_key, series, first)
        )
        assert row is not None, f"run {run_key}, series {series}: chunk {first} is missing"
        points = concatenate([Block(row[0]).points, points])
    rows = []
    for start in range(0, len(points.values), CHUNK_POINTS):
        part = slice(start, start + CHUNK_POINTS)
        steps, times = points.steps[part], points.times[part]
        references = points.references[part] if points.references else None
        chunk = Points(steps, times, points.values[part], references)
        ranges = int(steps.min()), int(steps.max()), int(times.min()), int(times.max())
        rows.append((run_key, series, first + start, len(steps), *ranges, encode_block(chunk)))
    db.many(
        "INSERT INTO metric_chunk (run_key, series, first_index, points, min_step, max_step, min_time, max_time, data) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (run_key, series, first_index) DO UPDATE SET "
        "points = excluded.points, min_step = excluded.min_step, max_step = excluded.max_step, "
        "min_time = excluded.min_time, max_time = excluded.max_time, data = excluded.data",
        rows,
    )


def _extend_pyramid(db: Transaction, run_key: int, series: int, folded: int, points: Points) -> None:
    last_pages = {}
    for level in pyramid.levels(folded):
        page = (pyramid.node_count(folded, level) - 1) // pyramid.PAGE
        row = db.one(
            "SELECT data FROM metric_pyramid WHERE run_key = ? AND series = ? AND level = ? AND page = ?",
            (run_key, series, level, page),
        )
        assert row is not None, f"run {run_key}, series {series}: page {page} of level {level} is missing"
        last_pages[level] = pyramid.decode_page(row[0])
    changed = pyramid.extend(last_pages, folded, points)
    db.many(
        "INSERT INTO metric_pyramid (run_key, series, level, page, data) VALUES (?, ?, ?, ?, ?) "
        "ON CONFLICT (run_key, series, level, page) DO UPDATE SET data = excluded.data",
        [(run_key, series, level, page, pyramid.encode_page(nodes)) for (level, page), nodes in changed.items()],
    )
