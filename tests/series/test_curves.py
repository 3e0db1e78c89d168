"""Smoothed curves are those of the points, whatever the zoom; groups are what numpy makes of the runs."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.series.folded import Folded

from runlore.series.cells import points, read_cells
from runlore.series.chunk import Points
from runlore.series.curves import need_of, smooth, smooth_buckets
from runlore.series.frame import Buckets, Grid, choose_grid
from runlore.series.groups import spread, student
from runlore.series.window import fill

COUNT = 1_000_000


def brute(values: Any, kind: str, amount: float) -> Any:
    """The smoothed value at each point, by definition."""
    if kind == "ema":
        smoothed, average = [], 0.0
        for number, value in enumerate(values.tolist(), 1):
            average = amount * average + (1 - amount) * value
            smoothed.append(average / (1 - amount**number))
        return np.array(smoothed)
    if kind == "mean":
        half, places = (int(amount) - 1) // 2, np.arange(len(values))
        sums = np.concatenate(([0], np.cumsum(values)))
        low, high = np.maximum(places - half, 0), np.minimum(places + half + 1, len(values))
        return (sums[high] - sums[low]) / (high - low)
    half = math.ceil(4 * amount)
    kernel, size = np.exp(-0.5 * (np.arange(-half, half + 1) / amount) ** 2), len(values) + 2 * half

    def weighted(column: Any) -> Any:
        return np.fft.irfft(np.fft.rfft(column, size) * np.fft.rfft(kernel, size), size)[half : half + len(values)]

    return weighted(values) / weighted(np.ones(len(values)))


@cache
def noise(even: bool) -> tuple[Any, Any, Folded]:
    random = np.random.default_rng(0)
    steps = np.arange(COUNT) if even else np.cumsum(random.integers(1, 5, COUNT))
    values = random.random(COUNT)
    return steps, values, Folded(Points(steps, steps, values))


def shown(source: Folded, grid: Grid, kind: str, amount: float) -> tuple[Any, Any]:
    """The smoothed line on a grid, and the places of its buckets that are not empty."""
    buckets = Buckets(grid.size)
    fill(buckets, source, "step", grid)
    known = np.flatnonzero(buckets.count)
    need = need_of(kind, amount, int(buckets.count.sum()), 2_500_000, len(known))
    cells = read_cells(source, None, "step", (grid.start, grid.end), need)
    return smooth_buckets(cells, kind, amount, grid.bounds(), buckets)[known], known


@pytest.mark.parametrize("even", [True, False])
@pytest.mark.parametrize(
    ("kind", "amount"),
    [
        ("ema", 0.5),
        ("ema", 0.97),
        ("ema", 0.9999),
        ("mean", 1),
        ("mean", 101),
        ("mean", 50_001),
        ("gaussian", 2),
        ("gaussian", 300),
    ],
)
def test_smoothing_is_within_a_hundredth_of_brute_force_at_every_zoom(even, kind, amount):
    steps, values, source = noise(even)
    truth = brute(values, kind, amount)
    for zoom in (1, 3, 12, 100, 3_000):
        low = int(steps[int(COUNT * 0.4)]) if zoom > 1 else int(steps[0])
        grid = choose_grid(low, low + int(steps[-1] - steps[0]) // zoom, 1_024)
        got, known = shown(source, grid, kind, amount)
        places = grid.places(steps)
        inside = (places >= 0) & (places < grid.size)
        sums = np.bincount(places[inside], truth[inside], grid.size)
        counts = np.bincount(places[inside], minlength=grid.size)
        assert np.abs(got - (sums / np.maximum(counts, 1))[known]).max() < 0.01


@pytest.mark.parametrize(("kind", "amount"), [("ema", 0.999), ("mean", 3_001), ("gaussian", 700)])
def test_a_smoothed_curve_is_the_same_in_every_window(kind, amount):
    _, _, source = noise(True)
    wide, _ = shown(source, Grid(0, 1, 400_000, 512, 1_000), kind, amount)
    narrow, _ = shown(source, Grid(0, 1, 400_000 + 512 * 300, 512, 40), kind, amount)

    assert np.abs(wide[300:340] - narrow).max() < 0.002


@given(
    st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=80),
    st.sampled_from([("ema", 0.0), ("ema", 0.9), ("mean", 7.0), ("gaussian", 1.5)]),
)
@settings(deadline=None)
def test_points_themselves_are_smoothed_exactly(values, how):
    x, column = np.arange(float(len(values))), np.array(values)
    got = smooth(points(x, column), *how, np.arange(len(values) + 1.0))

    assert np.allclose(got, brute(column, *how), rtol=1e-9, atol=1e-5 * (1e-4 + np.abs(column).max()))


def test_points_that_are_not_finite_are_passed_over():
    x, values = np.arange(6.0), np.array([1.0, math.nan, 3.0, math.inf, -math.inf, 5.0])
    got = smooth(points(x, values), "ema", 0.5, np.arange(7.0))

    assert np.allclose(got[[0, 2, 5]], brute(np.array([1.0, 3.0, 5.0]), "ema", 0.5))


# -- groups -----------------------------------------------------------------------------------------------------------------


@given(st.lists(st.lists(st.floats(-1e9, 1e9) | st.none(), min_size=4, max_size=4), min_size=1, max_size=9))
def test_a_group_is_what_numpy_makes_of_the_runs(rows):
    members = []
    for row in rows:
        buckets = Buckets(4)
        for place, value in enumerate(row):
            if value is not None:
                buckets.add_points(np.array([place, place]), np.array([value - 1, value + 1]))
        members.append(buckets)
    group = spread(members)
    for place in range(4):
        means = np.array([row[place] for row in rows if row[place] is not None], float)
        assert group.runs[place] == len(means)
        if not len(means):
            assert np.isnan(
                [group.mean[place], group.median[place], group.min[place], group.max[place], group.std[place]]
            ).all()
            continue
        size = np.abs(means).max() + 1
        assert math.isclose(group.mean[place], means.mean(), abs_tol=1e-9 * size)
        assert math.isclose(group.median[place], np.median(means), abs_tol=1e-9 * size)
        assert (group.min[place], group.max[place]) == (means.min() - 1, means.max() + 1)
        deviation = means.std(ddof=1) if len(means) > 1 else 0.0
        assert math.isclose(group.std[place], deviation, abs_tol=1e-6 * size)
        if len(means) > 1:
            half = student(len(means) - 1) * deviation / math.sqrt(len(means))
            assert math.isclose(group.ci95[place], half, abs_tol=1e-5 * size)
        else:
            assert math.isnan(group.ci95[place])


@pytest.mark.parametrize(
    ("freedom", "quantile"), [(1, 12.7062), (4, 2.7764), (29, 2.0452), (30, 2.0423), (60, 2.0003), (1_000, 1.9623)]
)
def test_quantiles_of_student(freedom, quantile):
    assert student(freedom) == pytest.approx(quantile, abs=5e-5)
    assert math.isnan(student(0))
