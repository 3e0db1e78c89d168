"""The pyramid says the same as the points, however they came in."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.series.points import INT64, as_points, bits, curve

from runlore.exceptions import Damaged
from runlore.series.chunk import Points
from runlore.series.pyramid import LOWEST, PAGE, decode_page, encode_page, extend, levels, node_count
from runlore.series.tail import concatenate


def build(parts: list[Points]) -> dict[tuple[int, int], np.ndarray]:
    """All pages after folding the parts one after the other, by way of their bytes."""
    pages: dict[tuple[int, int], np.ndarray] = {}
    before = 0
    for part in parts:
        last = {level: pages[level, (node_count(before, level) - 1) // PAGE] for level in levels(before)}
        for place, nodes in extend(last, before, part).items():
            pages[place] = decode_page(encode_page(nodes))
        before += len(part.values)
    return pages


def check(points: Points, pages: dict[tuple[int, int], np.ndarray]) -> None:
    count = len(points.values)
    assert {level for level, _ in pages} == set(levels(count))
    for level in levels(count):
        numbers = sorted(page for each, page in pages if each == level)
        nodes = np.concatenate([pages[level, page] for page in numbers])
        assert len(nodes) == node_count(count, level)
        assert all(len(pages[level, page]) == PAGE for page in numbers[:-1])
        for index, node in enumerate(nodes):
            part = slice(index << level, (index + 1) << level)
            steps, times, values = points.steps[part], points.times[part], points.values[part]
            finite = values[np.isfinite(values)]
            assert (node["min"], node["max"]) == (finite.min(initial=math.inf), finite.max(initial=-math.inf))
            assert (node["count"], node["nan"]) == (len(finite), np.isnan(values).sum())
            assert (node["plus"], node["minus"]) == ((values == math.inf).sum(), (values == -math.inf).sum())
            assert bits([node["first"], node["last"]]) == bits([values[0], values[-1]])
            assert (node["min_step"], node["max_step"]) == (steps.min(), steps.max())
            assert (node["min_time"], node["max_time"]) == (times.min(), times.max())
            assert math.isclose(node["sum"], math.fsum(finite), rel_tol=1e-9, abs_tol=1e-6)


@given(st.lists(st.integers(1, 400), min_size=1, max_size=8), st.integers(0, 2**32))
@settings(max_examples=25, deadline=None)
def test_folding_in_parts_gives_the_nodes_of_the_whole(sizes, seed):
    random = np.random.default_rng(seed)
    parts = []
    for size in sizes:
        values = random.choice([0.5, -2.0, math.nan, math.inf, -math.inf, 3.0, -0.0], size)
        parts.append(Points(random.integers(-9, 9, size), random.integers(-(2**63), 2**63 - 1, size), values))

    check(concatenate(parts), build(parts))


@pytest.mark.parametrize(
    "sizes", [[64], [63, 1], [65, 64], [16_384, 1], [16_383, 2, 5], [16_384, 16_384, 100], [70_000], [1_000] * 40]
)
def test_levels_and_pages_begin_where_they_should(sizes):
    whole = curve(sum(sizes))
    edges = np.cumsum([0, *sizes])
    parts = [Points(*(column[start:end] for column in whole[:3])) for start, end in pairwise(edges.tolist())]

    check(whole, build(parts))


@given(INT64, INT64)
def test_extreme_steps_and_times_survive(step, time):
    points = as_points([step, 0], [0, time], [1.0, 2.0])
    check(points, build([points]))


def test_the_top_level_always_fits_in_one_page():
    for count in (1, 64 * PAGE, 64 * PAGE + 1, 10**6, 10**9):
        top = levels(count)[-1]
        assert node_count(count, top) <= PAGE
        assert top == LOWEST or node_count(count, top - 1) > PAGE


def test_a_changed_byte_is_noticed():
    raw = encode_page(build([curve(1_000)])[LOWEST, 0])
    for place in range(0, len(raw), 5):
        with pytest.raises(Damaged):
            decode_page(raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :])
        with pytest.raises(Damaged):
            decode_page(raw[:place])


def test_the_pyramid_costs_about_a_byte_a_point():
    pages = build([curve(200_000)])
    assert sum(len(encode_page(nodes)) for nodes in pages.values()) < 1.0 * 200_000
