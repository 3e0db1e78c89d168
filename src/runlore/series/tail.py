"""Tail rows of a run taken together: the points of some series out of many small rows, and of all series for folding."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from runlore.series.chunk import Block, Points, Reference, References, decode_row, is_row

if TYPE_CHECKING:
    from numpy.typing import NDArray


def gather(rows: Iterable[bytes], wanted: set[int]) -> dict[int, Points]:
    """The points of the wanted series, each in order of arrival. Series without points are left out."""
    import numpy as np

    found: dict[int, _Columns] = {}
    for data in rows:
        if is_row(data):
            row = decode_row(data)
            for index, number in enumerate(row.series):
                if number in wanted:
                    column = found.get(number) or found.setdefault(number, _Columns())
                    column.add(row.steps[index], row.times[index], row.values[index])
                    if row.references is not None and row.references[index] is not None:
                        column.refer(row.references[index])
            continue
        block = Block(data)
        numbers = block.series
        places = [(number, np.flatnonzero(numbers == number)) for number in wanted]
        present = [(number, place) for number, place in places if len(place)]
        if present:
            points = block.points
            for number, place in present:
                found.setdefault(number, _Columns()).extend(take(points, place))
    return {number: columns.points() for number, columns in found.items()}


def gather_all(rows: Iterable[bytes]) -> tuple[NDArray[Any], Points]:
    """Series number and columns of all points, in order of arrival."""
    import numpy as np

    numbers: list[NDArray[Any]] = []
    parts: list[Points] = []
    for data in rows:
        if is_row(data):
            row = decode_row(data)
            numbers.append(np.array(row.series, np.int64))
            columns = np.array(row.steps, np.int64), np.array(row.times, np.int64), np.array(row.values, np.float64)
            parts.append(Points(*columns, row.references))
        else:
            block = Block(data)
            numbers.append(block.series)
            parts.append(block.points)
    return np.concatenate(numbers) if numbers else np.empty(0, np.int64), concatenate(parts)


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


class _Columns:
    """Columns of one series while they are gathered."""

    __slots__ = ("references", "steps", "times", "values")

    def __init__(self) -> None:
        self.steps: list[int] = []
        self.times: list[int] = []
        self.values: list[float] = []
        self.references: dict[int, Reference | None] = {}

    def add(self, step: int, time: int, value: float) -> None:
        self.steps.append(step)
        self.times.append(time)
        self.values.append(value)

    def refer(self, reference: Reference | None) -> None:
        """Give the last point its reference."""
        self.references[len(self.values) - 1] = reference

    def extend(self, points: Points) -> None:
        start = len(self.values)
        self.steps += points.steps.tolist()
        self.times += points.times.tolist()
        self.values += points.values.tolist()
        self.references.update({start + index: reference for index, reference in enumerate(points.references or ())})

    def points(self) -> Points:
        import numpy as np

        references: References = None
        if any(self.references.values()):
            references = [self.references.get(index) for index in range(len(self.values))]
        columns = np.array(self.steps, np.int64), np.array(self.times, np.int64), np.array(self.values, np.float64)
        return Points(*columns, references)
