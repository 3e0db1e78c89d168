"""A folded series in memory."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from runlore.series.chunk import CHUNK_POINTS, Points
from runlore.series.pyramid import extend
from runlore.series.window import Axis


class Folded:
    """A source in memory that counts what is read from it."""

    def __init__(self, points: Points, axis: Axis = "step") -> None:
        self.folded = len(points.values)
        self._points, self._x = points, points.steps if axis == "step" else points.times
        self._pages = extend({}, 0, points)
        self.pages_read = self.chunks_read = 0

    def pages(self, level: int, numbers: list[int], names: frozenset[str]) -> dict[str, Any]:
        self.pages_read += len(numbers)
        nodes = np.concatenate([self._pages[level, number] for number in numbers])
        return {name: nodes[name] for name in names}

    def chunks(self, numbers: list[int]) -> Iterable[tuple[Any, Any]]:
        self.chunks_read += len(numbers)
        for number in numbers:
            part = slice(number * CHUNK_POINTS, (number + 1) * CHUNK_POINTS)
            yield self._x[part], self._points.values[part]
