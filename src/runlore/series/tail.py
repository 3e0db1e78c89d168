"""Tail rows of a run taken together: the points of some series out of many small rows, and of all series for folding.

A run has up to a thousand rows of one call each, and those of a training loop look alike: rows of one layout are read as one
table.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from runlore.series.chunk import Block, Points, Reference, RowLayout, check, decode_row, has_references, is_row

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ALIKE = 4  # rows of one layout from which on a table is faster
_LONG = 64  # points of a row from which on it is faster as a table of one row


def gather(rows: Iterable[bytes], wanted: set[int]) -> dict[int, Points]:
    """The points of the wanted series, each in order of arrival. Series without points are left out."""
    import numpy as np

    numbers, points = gather_all(rows)
    if len(wanted) == 1 and len(numbers) and (numbers == next(iter(wanted))).all():
        return {next(iter(wanted)): points}
    if len(wanted) > 4:
        among = np.flatnonzero(np.isin(numbers, np.fromiter(wanted, np.int64)))
        numbers, points = numbers[among], take(points, among)
    places = [(number, np.flatnonzero(numbers == number)) for number in wanted]
    return {number: take(points, place) for number, place in places if len(place)}


def gather_all(rows: Iterable[bytes]) -> tuple[NDArray[Any], Points]:
    """Series number and columns of all points, in order of arrival."""
    import numpy as np

    rows = list(rows)
    counts = np.array([check(data) for data in rows], np.int64)
    firsts = np.cumsum(counts) - counts
    size = int(counts.sum())
    columns = tuple(np.empty(size, kind) for kind in (np.int64, np.int64, np.int64, np.float64))
    references: dict[int, Reference | None] = {}
    for numbers, parts, known in _read(rows):
        first, count = int(firsts[numbers[0]]), int(counts[numbers[0]])
        places: Any = slice(first, first + count * len(numbers))
        if numbers[-1] - numbers[0] >= len(numbers):  # with other rows in between
            places = (firsts[numbers][:, None] + np.arange(count)).ravel()
        for column, part in zip(columns, parts, strict=True):
            column[places] = np.asarray(part).ravel()
        if known is not None:
            references.update(enumerate(known, first))
    series, steps, times, values = columns
    return series, Points(steps, times, values, [references.get(place) for place in range(size)] if references else None)


def _read(rows: list[bytes]) -> Iterable[tuple[list[int], Sequence[Any], Sequence[Reference | None] | None]]:
    """Numbers of rows of the same count; their series, steps, times and values; the references of their points."""
    alike: dict[tuple[int, bytes], list[int]] = {}
    for number, data in enumerate(rows):
        if not is_row(data):
            block = Block(data)
            yield [number], (block.series, block.steps, block.times, block.values), block.references
        elif has_references(data):
            yield [number], *_one_by_one(data)
        else:
            alike.setdefault((len(data), data[:8]), []).append(number)
    for numbers in alike.values():
        yield from _read_tables(rows, numbers)


def _read_tables(rows: list[bytes], numbers: list[int]) -> Iterable[tuple[list[int], Sequence[Any], None]]:
    """Rows of one length without references."""
    import numpy as np

    while numbers:
        layout = RowLayout(rows[numbers[0]])
        if len(numbers) < _ALIKE and layout.count < _LONG:
            for number in numbers:
                yield [number], _one_by_one(rows[number])[0], None
            return
        table = np.frombuffer(b"".join([rows[number] for number in numbers]), np.uint8).reshape(len(numbers), -1)
        same = (table[:, layout.marks] == table[0, layout.marks]).all(axis=1)
        if same.all():
            yield numbers, layout.columns(table), None
            return
        yield [number for number, like in zip(numbers, same.tolist(), strict=True) if like], layout.columns(table[same]), None
        numbers = [number for number, like in zip(numbers, same.tolist(), strict=True) if not like]


def _one_by_one(data: bytes) -> tuple[Sequence[Any], Sequence[Reference | None] | None]:
    row = decode_row(data)
    return (row.series, row.steps, row.times, row.values), row.references


def take(points: Points, places: NDArray[Any]) -> Points:
    """The points at some places, in that order."""
    references = points.references
    chosen = None if references is None else [references[place] for place in places.tolist()]
    return Points(points.steps[places], points.times[places], points.values[places], chosen)


def starts(ordered: NDArray[Any]) -> NDArray[Any]:
    """Places in an ordered array where a new value begins. (`np.unique` imports 25 ms of masked arrays.)"""
    import numpy as np

    fresh = np.ones(len(ordered), bool)
    np.not_equal(ordered[1:], ordered[:-1], out=fresh[1:])
    return np.flatnonzero(fresh)


def concatenate(parts: Sequence[Points]) -> Points:
    """Points one after the other."""
    import numpy as np

    if len(parts) == 1:
        return parts[0]
    references: list[Reference | None] | None = None
    if any(part.references is not None for part in parts):
        references = []
        for part in parts:
            references.extend(part.references or [None] * len(part.values))
    return Points(
        np.concatenate([np.empty(0, np.int64), *[part.steps for part in parts]]),
        np.concatenate([np.empty(0, np.int64), *[part.times for part in parts]]),
        np.concatenate([np.empty(0, np.float64), *[part.values for part in parts]]),
        references,
    )
