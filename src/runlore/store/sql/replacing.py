"""Taking points of a metric out, because a resumed run has logged these steps again.

The tail is folded first, so that what is left of it is a few rows. Chunks are moved as they are where all of their points go;
from the first one that loses points on, the rest is written anew, and the pyramid is cut to what stands before it. Cost: what
is replaced, one chunk, and of very long metrics the few chunks in which extremes are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from runlore.api.runs import MetricPoint
from runlore.series import pyramid
from runlore.series.chunk import CHUNK_POINTS, Block, Points, decode_row, encode_block, is_row
from runlore.series.tail import concatenate, take
from runlore.store.sql.database import Transaction
from runlore.store.sql.folding import append_chunks, fold_run
from runlore.store.sql.metrics import upsert_model_metrics
from runlore.store.sql.points import read_points
from runlore.store.sql.recount import recount

if TYPE_CHECKING:
    from numpy.typing import NDArray

_KEEP = "INSERT INTO metric_replaced (run_key, key, generation, part, points, data) VALUES (?, ?, ?, ?, ?, ?)"
_AT_ONCE = 65_536


class Cut(NamedTuple):
    """What to take out of a metric: of its points that arrived as one of the first `earlier`, those from a step on."""

    key: str
    from_step: int
    earlier: int


class Kept:
    """Puts points that are taken out where they can be read. One for each metric and generation."""

    def __init__(self, db: Transaction, run_key: int, key: str, generation: int) -> None:
        self._db, self._place = db, (run_key, key, generation)
        row = db.one("SELECT COUNT(*) FROM metric_replaced WHERE run_key = ? AND key = ? AND generation = ?", self._place)
        self._part: int = row[0] if row else 0
        self.count = 0
        self.models: set[str] = set()
        """Logged models that points among them were measured on."""

    def put(self, points: Points, data: bytes | None = None) -> None:
        """Keep points; `data` is a block of just them, if there is one."""
        for first in range(0, len(points.values), CHUNK_POINTS):
            places = slice(first, first + CHUNK_POINTS)
            references = points.references[places] if points.references else None
            part = Points(points.steps[places], points.times[places], points.values[places], references)
            block = encode_block(part) if data is None else data
            self._db.execute(_KEEP, (*self._place, self._part, len(part.values), block))
            self._part += 1
            self.count += len(part.values)
            self.models.update(reference.model_id for reference in references or () if reference and reference.model_id)


def take_out(db: Transaction, run_key: int, generation: int, cuts: Sequence[Cut]) -> dict[str, int]:
    """Take points out of metrics of a run that is locked; returns how many, by key. A metric without points is gone."""
    fold_run(db, run_key)
    condition, parameter = db.among("key", [cut.key for cut in cuts])
    rows = db.all(f"SELECT key, series, folded FROM metric WHERE run_key = ? AND {condition}", (run_key, parameter))
    found = {row[0]: row[1:] for row in rows}
    if not found:
        return {}
    kept = {cut.key: Kept(db, run_key, cut.key, generation) for cut in cuts if cut.key in found}
    metrics = {found[cut.key][0]: (cut, found[cut.key][1]) for cut in cuts if cut.key in found}
    folded = {
        series: _from_chunks(db, run_key, series, cut, before, kept[cut.key]) for series, (cut, before) in metrics.items()
    }
    _from_tail(db, run_key, {series: (cut, before, kept[cut.key]) for series, (cut, before) in metrics.items()})
    for series, (cut, _) in metrics.items():
        if kept[cut.key].count:
            recount(db, run_key, series, folded[series])
            if kept[cut.key].models:
                left = read_points(db, run_key, series, folded[series])
                _recount_models(db, run_key, cut.key, left, kept[cut.key].models)
    return {key: each.count for key, each in kept.items()}


def _goes(cut: Cut, first: int, steps: NDArray[Any]) -> NDArray[Any]:
    """Which of the points from arrival number `first` on go."""
    import numpy as np

    goes: NDArray[Any] = (steps >= cut.from_step) & (np.arange(first, first + len(steps)) < cut.earlier)
    return goes


def _from_chunks(db: Transaction, run_key: int, series: int, cut: Cut, folded: int, kept: Kept) -> int:
    """Take points out of chunks and pyramid; returns how many points are in chunks now."""
    row = db.one(
        "SELECT MIN(first_index) FROM metric_chunk WHERE run_key = ? AND series = ? AND max_step >= ? AND first_index < ?",
        (run_key, series, cut.from_step, cut.earlier),
    )
    if row is None or row[0] is None:
        return folded
    start: int = row[0]
    left: list[Points] = []
    for first, data in _chunks(db, run_key, series, start):
        points = Block(data).points
        goes = _goes(cut, first, points.steps)
        if goes.all():
            kept.put(points, data)
            continue
        kept.put(take(points, goes.nonzero()[0]))
        left.append(take(points, (~goes).nonzero()[0]))
    if not kept.count:
        return folded
    db.execute("DELETE FROM metric_chunk WHERE run_key = ? AND series = ? AND first_index >= ?", (run_key, series, start))
    _shorten_pyramid(db, run_key, series, folded, start)
    if left:
        rest = concatenate(left)
        append_chunks(db, run_key, series, start, rest)
        start += len(rest.values)
    db.execute("UPDATE metric SET folded = ? WHERE run_key = ? AND series = ?", (start, run_key, series))
    return start


def _chunks(db: Transaction, run_key: int, series: int, start: int) -> Iterator[tuple[int, bytes]]:
    while rows := db.all(
        "SELECT first_index, data FROM metric_chunk WHERE run_key = ? AND series = ? AND first_index >= ? "
        "ORDER BY first_index LIMIT ?",
        (run_key, series, start, _AT_ONCE // CHUNK_POINTS),
    ):
        yield from rows
        start = rows[-1][0] + 1


def _shorten_pyramid(db: Transaction, run_key: int, series: int, folded: int, points: int) -> None:
    """Cut the pyramid over `folded` points to the first `points`, which are whole chunks."""
    place = "run_key = ? AND series = ? AND level = ?"
    pages: dict[int, NDArray[Any]] = {}
    for level in pyramid.levels(folded):
        last = (pyramid.node_count(points, level) - 1) // pyramid.PAGE if level in pyramid.levels(points) else -1
        db.execute(f"DELETE FROM metric_pyramid WHERE {place} AND page > ?", (run_key, series, level, last))
        if last >= 0:
            row = db.one(f"SELECT data FROM metric_pyramid WHERE {place} AND page = ?", (run_key, series, level, last))
            assert row is not None, f"run {run_key}, series {series}: page {last} of level {level} is missing"
            pages[level] = pyramid.decode_page(row[0])
    for level, nodes in pyramid.shortened(pages, points).items():
        last = (pyramid.node_count(points, level) - 1) // pyramid.PAGE
        db.execute(
            f"UPDATE metric_pyramid SET data = ? WHERE {place} AND page = ?",
            (pyramid.encode_page(nodes), run_key, series, level, last),
        )


def _from_tail(db: Transaction, run_key: int, cuts: dict[int, tuple[Cut, int, Kept]]) -> None:
    """Take points out of tail rows. `cuts`: by series, with how many points were in chunks."""
    import numpy as np

    rows = db.all(
        "SELECT seq, data FROM metric_tail WHERE run_key = ? AND min_series <= ? AND max_series >= ? ORDER BY seq",
        (run_key, max(cuts), min(cuts)),
    )
    seen = {series: folded for series, (_, folded, _) in cuts.items()}
    for seq, data in rows:
        series, points = _row(data)
        stays = np.ones(len(series), bool)
        for number, (cut, _, kept) in cuts.items():
            places = np.flatnonzero(series == number)
            if not len(places):
                continue
            gone = places[_goes(cut, seen[number], points.steps[places])]
            seen[number] += len(places)
            if len(gone):
                kept.put(take(points, gone))
                stays[gone] = False
        if not stays.any():
            db.execute("DELETE FROM metric_tail WHERE run_key = ? AND seq = ?", (run_key, seq))
        elif not stays.all():
            left = np.flatnonzero(stays)
            rest, numbers = take(points, left), series[left]
            db.execute(
                "UPDATE metric_tail SET min_series = ?, max_series = ?, min_time = ?, data = ? WHERE run_key = ? AND seq = ?",
                (int(numbers.min()), int(numbers.max()), int(rest.times.min()), encode_block(rest, numbers), run_key, seq),
            )


def _row(data: bytes) -> tuple[NDArray[Any], Points]:
    import numpy as np

    if not is_row(data):
        block = Block(data)
        return block.series, block.points
    row = decode_row(data)
    columns = np.array(row.steps, np.int64), np.array(row.times, np.int64), np.array(row.values)
    return np.array(row.series, np.int64), Points(*columns, row.references)


def _recount_models(db: Transaction, run_key: int, key: str, left: Points, models: set[str]) -> None:
    """Find the last values of logged models again, of which points were taken out."""
    for model_id in models:
        db.execute("DELETE FROM model_metric WHERE model_id = ? AND run_key = ? AND key = ?", (model_id, run_key, key))
    measured = [
        MetricPoint(
            key=key, value=value, timestamp=time, step=step, model_id=reference.model_id,
            dataset_name=reference.dataset_name, dataset_digest=reference.dataset_digest,
        )
        for step, time, value, reference in zip(
            left.steps.tolist(), left.times.tolist(), left.values.tolist(), left.references or (), strict=False
        )
        if reference and reference.model_id in models
    ]  # fmt: skip
    if measured:
        upsert_model_metrics(db, run_key, measured)
