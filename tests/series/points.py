"""Points for property tests: every number that an int64 or a float64 can be, and the ones that matter more often."""

from __future__ import annotations

import math
import struct
from typing import Any

import numpy as np
from hypothesis import strategies as st

from runlore.series.chunk import Points, Reference

INT64 = st.integers(-(2**63), 2**63 - 1) | st.sampled_from([0, 1, -1, -(2**63), 2**63 - 1]) | st.integers(0, 50)
VALUES = (
    st.floats()
    | st.sampled_from([math.nan, math.inf, -math.inf, -0.0, 0.0, 5e-324, 1.7e308, -1.7e308])
    | st.integers(0, 3).map(float)
)
TEXTS = st.none() | st.sampled_from(["", "train", "é", "0" * 300])
REFERENCES = st.none() | st.builds(Reference, TEXTS, TEXTS, TEXTS)


@st.composite
def columns(draw: st.DrawFn, least: int = 1, most: int = 60) -> tuple[list[int], list[int], list[float], Any]:
    """Steps, times, values, references."""
    count = draw(st.integers(least, most))

    def lists(kind: st.SearchStrategy[Any]) -> list[Any]:
        constant = draw(st.booleans())
        return [draw(kind)] * count if constant else draw(st.lists(kind, min_size=count, max_size=count))

    references = lists(REFERENCES) if draw(st.booleans()) else None
    return lists(INT64), lists(INT64), lists(VALUES), references


def as_points(steps: list[int], times: list[int], values: list[float], references: Any = None) -> Points:
    """Columns as arrays."""
    return Points(np.array(steps, np.int64), np.array(times, np.int64), np.array(values, np.float64), references)


def bits(values: Any) -> list[bytes]:
    """The exact bits of floats: tells -0.0 from 0.0 and finds NaN equal to NaN."""
    return [struct.pack("<d", value) for value in values]


def curve(count: int, seed: int = 0, start: int = 0) -> Points:
    """A noisy training curve as float32 frameworks log it: every step once, about ten points a second."""
    random = np.random.default_rng(seed)
    values = np.exp(-np.arange(count) / 20_000) + random.normal(0, 0.01, count)
    times = 1_700_000_000_000 + np.cumsum(random.integers(80, 121, count))
    return Points(np.arange(start, start + count), times, values.astype(np.float32).astype(np.float64))
