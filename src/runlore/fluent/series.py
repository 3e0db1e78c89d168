"""Lines of charts from the store of this process: `query_series`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from runlore.client import RunloreClient
from runlore.client.series import Chart, Smoothing
from runlore.entities import Run


def query_series(
    runs: str | Run | Sequence[str | Run],
    metrics: str | Sequence[str],
    x: str = "step",
    *,
    x_range: tuple[float, float] | None = None,
    width: int = 1_024,
    log: bool = False,
    smoothing: tuple[Smoothing, float] | None = None,
    group_by: str | Sequence[str] | Mapping[str, Sequence[str]] | None = None,
    best: Literal["min", "max"] | None = None,
) -> Chart:
    """Metrics of up to 1,000 runs on one grid, as arrays: see `RunloreClient.query_series`."""
    return RunloreClient().query_series(
        runs, metrics, x, x_range=x_range, width=width, log=log, smoothing=smoothing, group_by=group_by, best=best
    )
