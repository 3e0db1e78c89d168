"""Buckets read through the pyramid are the buckets of the points, and cost the pixels and not the points."""

from __future__ import annotations

import bisect
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.series.folded import Folded
from tests.series.points import curve

from runlore.series.chunk import Points
from runlore.series.frame import Buckets, Edges, Grid, choose_grid, choose_log_grid, needs_double, union
from runlore.series.pyramid import LOWEST, PAGE, levels, node_count
from runlore.series.window import BLUR, Axis, extent, fill


def edges_of(grid: Grid | Edges) -> list[int]:
    if isinstance(grid, Edges):
        return grid.edges.tolist()
    return [grid.start + place * grid.width for place in range(grid.size + 1)]


def check(points: Points, grid: Grid | Edges, axis: Axis = "step", shift: int = 0) -> Folded:
    """Compare each bucket with the points in it, found by Python's own whole numbers."""
    source, buckets = Folded(points, axis), Buckets(grid.size)
    fill(buckets, source, axis, grid, shift)
    x = points.steps if axis == "step" else points.times
    edges = edges_of(grid)
    contents: dict[int, list[float]] = {}
    for each, value in zip(x.tolist(), points.values.tolist(), strict=True):
        place = bisect.bisect_right(edges, each - shift) - 1
        if 0 <= place < grid.size:
            contents.setdefault(place, []).append(value)
    mean, low, high = buckets.columns()
    marks = []
    for place in range(grid.size):
        values = contents.get(place, [])
        finite = [value for value in values if math.isfinite(value)]
        assert buckets.count[place] == len(finite)
        if finite:
            assert (low[place], high[place]) == (min(finite), max(finite))
            assert abs(mean[place] - math.fsum(finite) / len(finite)) <= 1e-12 * max(map(abs, finite))
            assert low[place] <= mean[place] <= high[place]
        else:
            assert np.isnan([mean[place], low[place], high[place]]).all()
        kinds = {0 if math.isnan(value) else int(math.copysign(1, value)) for value in values if not math.isfinite(value)}
        marks += [(place, kind) for kind in sorted(kinds)]
    assert buckets.marks() == marks
    assert buckets.points == sum(map(len, contents.values()))
    return source


@st.composite
def series(draw: st.DrawFn) -> Points:
    """Steps in order, repeated, shuffled or far apart; a few spikes and non-finite values."""
    count = draw(st.integers(1, 3_000))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    kind = draw(st.sampled_from(["in order", "every fiftieth", "repeated", "shuffled", "resumed", "extreme"]))
    steps = np.arange(count) + draw(st.integers(-5, 5))
    if kind == "every fiftieth":
        steps *= 50
    elif kind == "repeated":
        steps //= 7
    elif kind == "shuffled":
        random.shuffle(steps)
    elif kind == "resumed":
        steps[count // 2 :] -= count // 3
    elif kind == "extreme":
        steps = random.integers(-(2**63), 2**63 - 1, count)
    values = random.normal(size=count)
    values[random.integers(0, count, 3)] = [1e9, -1e9, 1.7e308]
    if draw(st.booleans()):
        values[random.integers(0, count, 9)] = [math.nan, math.inf, -math.inf] * 3
    return Points(steps, random.integers(0, 10 * count, count), values)


@given(series(), st.data())
@settings(max_examples=60, deadline=None)
def test_every_bucket_is_exact(points, data):
    steps = sorted(points.steps.tolist())
    low, high = sorted((data.draw(st.sampled_from(steps)), data.draw(st.sampled_from(steps))))
    origin, base = data.draw(st.sampled_from([(0, 1), (steps[0], 1), (3, 50)]))
    grid = choose_grid(low, high, data.draw(st.sampled_from([16, 100, 1_024])), origin, base)

    assert grid.start <= low <= high <= grid.end

    check(points, grid)


@given(series(), st.integers(-100, 10_000))
@settings(max_examples=20, deadline=None)
def test_every_bucket_of_times_is_exact(points, shift):
    grid = choose_grid(int(points.times.min()) - shift, int(points.times.max()) - shift, 200)
    check(points, grid, "time", shift)


def test_values_that_overflow_a_sum_have_a_mean_between_their_extremes():
    huge = np.array([1.7e308, 1.7e308, -1.7e308, -1.7e308] * 100)
    points = Points(np.arange(400), np.zeros(400, np.int64), huge)
    buckets = Buckets(1)
    fill(buckets, Folded(points), "step", Grid(0, 1, 0, 400, 1))
    mean, low, high = buckets.columns()
    assert (low[0], high[0]) == (-1.7e308, 1.7e308)
    assert low[0] <= mean[0] <= high[0]


@pytest.mark.parametrize("start", [0, 1, 17])
def test_a_spike_of_one_point_is_in_the_chart_at_every_zoom(start):
    points, place = curve(300_000, start=start), 123_457
    points.values[place] = 99.0
    source = Folded(points)
    for zoom in range(18):
        width = 300_000 >> zoom
        low = max(0, place - width // 3)
        grid = choose_grid(low + start, low + width + start, 512, start)
        buckets = Buckets(grid.size)
        fill(buckets, source, "step", grid)
        assert buckets.max[(place + start - grid.start) // grid.width] == 99.0
        assert (buckets.max == 99.0).sum() == 1


def test_evenly_spaced_steps_need_no_points_and_few_nodes():
    points = curve(1_000_000, start=1)
    source, buckets = Folded(points), Buckets(1_024)
    grid = choose_grid(1, 1_000_000, 1_024, origin=1)
    fill(buckets, source, "step", grid)

    assert source.chunks_read == 0
    assert source.pages_read <= 2 * 1_024 / PAGE + 1
    assert buckets.count.sum() == 1_000_000


def test_the_cost_of_uneven_steps_depends_on_the_buckets():
    count = 3_000_000
    steps = np.cumsum(np.random.default_rng(0).integers(1, 4, count))
    source, buckets = Folded(Points(steps, steps, np.ones(count))), Buckets(64)
    grid = choose_grid(int(steps[0]), int(steps[-1]), 64)
    fill(buckets, source, "step", grid)

    assert buckets.count.sum() == count
    assert source.chunks_read <= 64
    assert source.pages_read <= 64 * 4 + 8


def test_extent_is_that_of_the_points():
    points = curve(20_000, start=5)
    assert extent(Folded(points), "step") == (5, 20_004)
    assert extent(Folded(points, "time"), "time") == (points.times[0], points.times[-1])


@given(
    st.integers(-(2**63), 2**63 - 1), st.integers(-(2**63), 2**63 - 1),
    st.integers(16, 4_096), st.integers(-100, 100), st.integers(1, 1_000),
)  # fmt: skip
def test_grids_cover_the_window_with_no_more_buckets_than_asked_for(one, other, most, origin, base):
    low, high = min(one, other), max(one, other)
    grid = choose_grid(low, high, most, origin, base)

    assert grid.start <= low
    assert high <= grid.end
    assert grid.size <= most
    assert (grid.start - origin) % grid.width == 0
    assert grid.width == base or 2 * grid.size + 2 > most  # the next finer grid would have had too many
    assert math.log2(grid.width / base) % 1 == 0


def test_two_buckets_are_one_of_the_next_coarser_grid():
    points = curve(5_000, start=3)
    fine = Grid(3, 1, 3, 8, 640)
    coarse = Grid(3, 1, 3, 16, 320)
    halves, wholes = Buckets(640), Buckets(320)
    fill(halves, Folded(points), "step", fine)
    fill(wholes, Folded(points), "step", coarse)

    assert (np.minimum(halves.min[::2], halves.min[1::2]) == wholes.min).all()
    assert (np.maximum(halves.max[::2], halves.max[1::2]) == wholes.max).all()
    assert (halves.count[::2] + halves.count[1::2] == wholes.count).all()


def test_a_union_of_too_many_entries_is_none():
    assert union([np.arange(4_096), np.arange(100)]).tolist() == list(range(4_096))
    assert union([np.arange(4_096), np.array([-1])]) is None
    assert union([]).tolist() == []


@pytest.mark.parametrize(
    ("least", "most", "double"),
    [
        (0.0, 1.0, False), (1_000.0, 1_000.01, True), (1e-40, 2e-40, True), (-1e39, 1e39, True), (5.0, 5.0, True),
        (-1.0, 1e-9, False), (-1.7e308, 1.7e308, True), (math.nan, math.nan, False),
    ],
)  # fmt: skip
def test_float32_is_not_used_where_it_would_lie(least, most, double):
    assert needs_double(np.array([least, math.nan]), np.array([most, math.nan])) is double


def test_levels_of_no_points():
    assert list(levels(0)) == []
    assert node_count(65, LOWEST) == 2


# -- logarithmic axes ---------------------------------------------------------------------------------------------------------


@given(st.integers(0, 2**63 - 1), st.integers(0, 2**63 - 1), st.integers(16, 4_096), st.integers(0, 10**4), st.integers(1, 300))
@settings(max_examples=300, deadline=None)
def test_a_logarithmic_grid_covers_the_window_with_no_more_buckets_than_asked_for(one, other, most, origin, base):
    low, high = min(one, other) + origin, min(max(one, other) + origin, 2**63 - 2)
    low = min(low, high)
    grid = choose_log_grid(low, high, most, origin, base)
    edges = grid.edges.tolist()

    assert edges[0] <= low
    assert high < edges[-1]
    assert edges == sorted(set(edges))
    assert grid.size <= most


def test_a_logarithmic_grid_has_a_bucket_of_its_own_for_each_small_x():
    grid = choose_log_grid(0, 10_000_000, 1_024)
    edges = grid.edges.tolist()
    widths = np.diff(grid.edges)

    assert edges[:40] == list(range(40))
    assert (widths[1:] >= widths[:-1]).all()
    assert grid.size > 1_024 / 3
    relative = widths[64:] / grid.edges[64:-1]
    assert relative.max() < 1 / 25
    coarse = choose_log_grid(0, 10_000_000, 512).edges.tolist()
    assert set(coarse[:-1]) <= set(edges)


@given(series(), st.data())
@settings(max_examples=40, deadline=None)
def test_every_bucket_of_a_logarithmic_axis_is_exact(points, data):
    least = int(points.steps.min())
    steps = points.steps - least if least > -(2**60) and points.steps.max() < 2**60 else np.abs(points.steps // 4)
    points = points._replace(steps=steps)
    high = data.draw(st.sampled_from(sorted(steps.tolist())))
    check(points, choose_log_grid(0, high, data.draw(st.sampled_from([16, 100, 1_024]))))


def test_even_steps_on_a_logarithmic_axis_cost_the_pixels():
    source = Folded(curve(1_000_000))
    grid = choose_log_grid(0, 999_999, 1_024)
    fill(Buckets(grid.size), source, "step", grid)
    assert source.chunks_read <= 2


# -- blurred lines ------------------------------------------------------------------------------------------------------------


@given(series(), st.integers(2, 400), st.booleans())
@settings(max_examples=60, deadline=None)
def test_a_blurred_line_counts_every_point_at_most_a_quarter_of_a_bucket_away(points, most, log):
    if log:
        points = points._replace(steps=np.abs(points.steps // 4))
    low, high = int(points.steps.min()), int(points.steps.max())
    grid = choose_log_grid(low, high, max(16, most)) if log else choose_grid(low, high, most)
    exact, blurred = Buckets(grid.size), Buckets(grid.size)
    fill(exact, Folded(points), "step", grid)
    fill(blurred, Folded(points), "step", grid, blurred=True)

    assert blurred.points == exact.points
    assert (blurred.min.min(), blurred.max.max()) == (exact.min.min(), exact.max.max())
    ordered = np.sort(points.steps.astype(object))
    edges = edges_of(grid)
    for place in range(1, grid.size):
        shown = int(sum(getattr(blurred, name)[:place].sum() for name in ("count", "nan", "plus", "minus")))
        left, right = edges[place] - edges[place - 1], edges[place + 1] - edges[place]
        widest = max(left, right) * BLUR + 1
        assert (
            bisect.bisect_left(ordered, edges[place] - widest) <= shown <= bisect.bisect_right(ordered, edges[place] + widest)
        )


def test_a_blurred_line_needs_no_points_and_keeps_its_spikes():
    random = np.random.default_rng(5)
    points = curve(1_000_000)
    points.steps[:] = np.cumsum(random.integers(1, 5, 1_000_000))
    points.values[765_432] = 99.0
    source = Folded(points)
    grid = choose_grid(0, int(points.steps[-1]), 1_024)
    buckets = Buckets(grid.size)

    assert fill(buckets, source, "step", grid, blurred=True)
    assert source.chunks_read == 0
    assert source.pages_read < 40
    (found,) = np.flatnonzero(buckets.max == 99.0)
    assert abs((points.steps[765_432] - grid.start) / grid.width - found - 0.5) <= 0.5 + BLUR
