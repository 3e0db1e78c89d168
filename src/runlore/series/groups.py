"""Lines of several runs taken together on one grid: every run counts once in each bucket, by its mean there."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from runlore.series.cells import Cells
from runlore.series.frame import Buckets

if TYPE_CHECKING:
    from numpy.typing import NDArray

# 97.5% quantiles of Student's t for 1, 2, 3 … degrees of freedom; from 30 on the series in 1/n below is right to 1e-5.
_STUDENT = (
    12.706205, 4.302653, 3.182446, 2.776445, 2.570582, 2.446912, 2.364624, 2.306004, 2.262157, 2.228139, 2.200985, 2.178813,
    2.160369, 2.144787, 2.131450, 2.119905, 2.109816, 2.100922, 2.093024, 2.085963, 2.079614, 2.073873, 2.068658, 2.063899,
    2.059539, 2.055529, 2.051831, 2.048407, 2.045230,
)  # fmt: skip
_NORMAL = 1.959964


class Spread(NamedTuple):
    """What a group is in each bucket; NaN where no run has a finite value."""

    mean: NDArray[Any]
    median: NDArray[Any]
    min: NDArray[Any]
    max: NDArray[Any]
    std: NDArray[Any]
    ci95: NDArray[Any]
    runs: NDArray[Any]


def spread(members: Sequence[Buckets]) -> Spread:
    """Mean, median and standard deviation over the means of the runs; extremes over all points."""
    import numpy as np

    columns = [member.columns() for member in members]
    means = np.array([mean for mean, _, _ in columns])
    known = ~np.isnan(means)
    runs = known.sum(axis=0)
    some = runs > 0
    size = np.abs(means[known]).max(initial=0.0) or 1.0  # sums of huge values must not overflow
    scaled = np.where(known, means / size, 0.0)
    mean = scaled.sum(axis=0) / np.maximum(runs, 1)
    squares = np.where(known, (scaled - mean) ** 2, 0.0).sum(axis=0)
    std = np.sqrt(squares / np.maximum(runs - 1, 1))
    ordered = np.sort(np.where(known, means, math.inf), axis=0)
    each = np.arange(means.shape[1])
    lower, upper = ordered[np.maximum(runs - 1, 0) // 2, each], ordered[np.maximum(runs, 1) // 2, each]
    median = np.where(some, lower / 2 + np.where(some, upper, 0.0) / 2, math.nan)
    quantiles = np.array([student(number - 1) for number in range(len(members) + 1)])
    return Spread(
        np.where(some, mean * size, math.nan),
        median,
        np.fmin.reduce([low for _, low, _ in columns]),
        np.fmax.reduce([high for _, _, high in columns]),
        np.where(some, std * size, math.nan),
        np.where(runs > 1, quantiles[runs] * std * size / np.sqrt(np.maximum(runs, 1)), math.nan),
        runs,
    )


def student(freedom: int) -> float:
    """The 97.5% quantile of Student's t distribution; NaN below one degree of freedom."""
    if freedom < 1:
        return math.nan
    if freedom <= len(_STUDENT):
        return _STUDENT[freedom - 1]
    z = _NORMAL
    first, second = (z**3 + z) / 4, (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / freedom + second / freedom**2 + third / freedom**3


def mean_cells(members: Iterable[Buckets], bounds: NDArray[Any]) -> Cells:
    """The average run: for each bucket the mean over the runs that have points there, and how many points they have each.

    Members are looked at one after the other, so that they need not be in memory together.
    """
    import numpy as np

    size = len(bounds) - 1
    runs, counts, means = np.zeros(size), np.zeros(size), np.zeros(size)
    for member in members:
        known = member.count > 0
        runs += known
        counts += member.count
        means[known] += member.sum[known] / member.count[known]
    known = runs > 0
    count = counts[known] / runs[known]
    return Cells(bounds[:-1][known], bounds[1:][known], count, means[known] / runs[known] * count)


def total_marks(members: Sequence[Buckets]) -> list[tuple[int, int]]:
    """Marks of non-finite values of any run."""
    return sorted({mark for member in members for mark in member.marks()})
