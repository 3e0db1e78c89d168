"""Samples keep the first, the last and the extremes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.series.points import as_points, columns, curve

from runlore.series.sample import sample


@given(columns(most=80), st.integers(1, 60))
def test_a_sample_is_in_order_and_no_larger_than_asked_for(drawn, most):
    points = as_points(*drawn)
    places = sample(points, most)
    marks = [(points.steps[place], points.times[place], place) for place in places]

    assert marks == sorted(marks)
    assert len(set(places.tolist())) == len(places) == min(most, len(points.values)) or len(places) <= most < len(points.values)
    assert marks[-1] == max((step, time, place) for place, (step, time) in enumerate(zip(*points[:2], strict=True)))


@pytest.mark.parametrize("most", [8, 50, 320])
def test_a_spike_stays_and_so_do_the_ends(most):
    points = curve(10_000)
    points.values[4_321], points.values[77] = 50.0, -50.0
    kept = sample(points, most).tolist()
    assert {0, 77, 4_321, 9_999} <= set(kept)


def test_a_range_of_steps_includes_both_ends():
    points = curve(100)
    assert sample(points, 1_000, 10, 20).tolist() == list(range(10, 21))
    assert sample(points, 1, 10, 20).tolist() == [20]
    assert sample(points, 1_000, 500, 600).tolist() == []


def test_pieces_without_a_finite_value_are_sampled_too():
    points = curve(100)
    points.values[:] = np.nan
    assert {0, 99} <= set(sample(points, 8).tolist())
