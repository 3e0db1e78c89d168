"""Lines of charts as arrays: what the dashboard draws, for scripts and notebooks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from runlore.api.series import (
    QuerySeries,
    SeriesColumns,
    SeriesFrame,
    SeriesGroup,
    SeriesGroupColumns,
    SeriesGrouping,
    SeriesSmoothing,
)
from runlore.client.base import ClientBase
from runlore.client.tables import pandas_module
from runlore.entities import Run
from runlore.exceptions import InvalidParameter

if TYPE_CHECKING:
    import pandas
    from numpy.typing import NDArray

Smoothing = Literal["ema", "mean", "gaussian"]
_COLUMNS = ("mean", "median", "min", "max", "std", "ci95", "count", "runs", "smooth", "best")
_INTEGERS = ("count", "runs")


@dataclass(frozen=True)
class Curve:
    """One line: a metric of a run, or of a group of runs.

    `columns` holds arrays of the same length as the chart's `x`, NaN where nothing was logged. A run has `mean`, `min`, `max`
    (float64) and `count`; a group `mean`, `median`, `min`, `max`, `std`, `ci95` and `runs`; both `smooth` and `best` where they
    were asked for. They can be read as attributes too: `curve.mean`.
    """

    key: str
    run_ids: list[str]
    """The run, or the runs of the group that have the metric."""
    points: int
    """Points in the window."""
    total: int
    """Points that were logged."""
    left_out: int
    """Points that have no place on the axis."""
    blur: float
    """How far outside of its bucket a point may lie, as a part of the bucket's width."""
    columns: dict[str, NDArray[Any]] = field(repr=False)
    non_finite: list[tuple[int, float]] = field(repr=False)
    """Place and value of NaN and infinities."""
    name: str | None = None
    """The name of a group."""
    values: list[str | None] = field(default_factory=list)
    """The values that the runs of a group have in common, in the order of `group_by`."""

    def __getattr__(self, name: str) -> NDArray[Any]:
        columns = self.__dict__.get("columns", {})
        if name in columns:
            array: NDArray[Any] = columns[name]
            return array
        raise AttributeError(f"This curve has no {name!r}. It has: {', '.join(columns)}.")


@dataclass(frozen=True)
class Chart:
    """Lines on one x-axis."""

    x: NDArray[Any] = field(repr=False)
    """x of each entry: of the points themselves when `exact`, else the middle of each bucket. Steps, or milliseconds."""
    edges: NDArray[Any] | None = field(repr=False)
    """The n + 1 edges of the buckets; None when `exact`."""
    exact: bool
    approximated: bool
    """True where points may be counted in a neighbouring bucket, or x is a metric that was joined by ranges of steps."""
    curves: list[Curve]
    missing: list[tuple[str, str]]
    """`(run id, metric)` that were asked for and do not exist."""

    def to_pandas(self) -> pandas.DataFrame:
        """One row for each curve and x where it has something: `run_id` or `group` (and the columns of `group_by`), `key`, `x`
        and the columns of the curves. Needs pandas."""
        pd = pandas_module("Chart.to_pandas()")
        frames = []
        for curve in self.curves:
            head: dict[str, Any] = {"run_id": curve.run_ids[0]} if curve.name is None else {"group": curve.name}
            frame = pd.DataFrame({**head, "key": curve.key, "x": self.x, **curve.columns})
            marked = {place for place, _ in curve.non_finite}
            known = frame["mean"].notna() | frame.index.isin(sorted(marked))
            frames.append(frame[known])
        return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=["run_id", "key", "x", "mean"])


class SeriesClient(ClientBase):
    """Lines of charts."""

    def query_series(
        self,
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
        """Metrics of up to 1,000 runs on one grid, as cheap for 10⁹ points as for 10³.

        Exact where the window holds at most 4,096 different x, else up to `width` buckets that keep every extreme.

        Args:
            runs: Run ids or runs.
            metrics: Names of metrics, at most 50.
            x: `step`, `time` (Unix milliseconds), `relative` (milliseconds since the start of each run) or `metrics.NAME`.
            x_range: The window, both ends included.
            width: Buckets at most, 16 to 4,096.
            log: Buckets that are narrow at the left and wide at the right.
            smoothing: `("ema", weight of the past)`, `("mean", points)` or `("gaussian", standard deviation in points)`.
                Counted in points, so that the curve does not depend on the window.
            group_by: Columns whose values make groups of runs (`params.opt`), or run ids by the name of a group.
            best: Adds the best value so far.

        Returns:
            The chart. Its curves are in the order of the runs, or of the groups.
        """
        several = [runs] if isinstance(runs, str | Run) else list(runs)
        if not several:
            return _chart(SeriesFrame(exact=True, n=0, series=[]), whole=True)
        return _chart(
            self._call(
                QuerySeries(
                    run_ids=[run.info.run_id if isinstance(run, Run) else run for run in several],
                    metrics=[metrics] if isinstance(metrics, str) else list(metrics),
                    x_range=x_range,
                    width=width,
                    scale="log" if log else "linear",
                    smoothing=SeriesSmoothing(kind=smoothing[0], amount=smoothing[1]) if smoothing else None,
                    grouping=_grouping(group_by),
                    best=best,
                    **_axis(x),
                )
            ),
            whole=x == "step",
        )


def _axis(x: str) -> dict[str, Any]:
    if x.startswith("metrics."):
        return {"x": "metric", "x_metric": x.removeprefix("metrics.")}
    if x not in ("step", "time", "relative"):
        raise InvalidParameter(f"{x!r} is no x-axis. Expected 'step', 'time', 'relative' or 'metrics.NAME'.")
    return {"x": x}


def _grouping(group_by: str | Sequence[str] | Mapping[str, Sequence[str]] | None) -> SeriesGrouping | None:
    if group_by is None:
        return None
    if isinstance(group_by, Mapping):
        return SeriesGrouping(groups=[SeriesGroup(name=name, run_ids=list(ids)) for name, ids in group_by.items()])
    return SeriesGrouping(by=[group_by] if isinstance(group_by, str) else list(group_by))


def _chart(frame: SeriesFrame, whole: bool) -> Chart:
    import numpy as np

    edges = None
    if frame.exact:
        x = np.frombuffer(frame.x, "<f8")
    else:
        edges = np.frombuffer(frame.edges, "<f8") if frame.edges else frame.x0 + frame.dx * np.arange(frame.n + 1)
        last = 1.0 if whole else 0.0  # a bucket of steps from 8 up to 12 holds 8, 9, 10 and 11
        x = (edges[:-1] + edges[1:] - last) / 2
    return Chart(
        x=x,
        edges=edges,
        exact=frame.exact,
        approximated=frame.approximated,
        curves=[*(_curve(line, frame.exact) for line in frame.series), *(_curve(line, frame.exact) for line in frame.groups)],
        missing=frame.missing,
    )


def _curve(line: SeriesColumns | SeriesGroupColumns, exact: bool) -> Curve:
    import numpy as np

    kind = "<f8" if exact or line.wide else "<f4"
    columns: dict[str, Any] = {}
    for name in _COLUMNS:
        if data := getattr(line, name, b""):
            columns[name] = (
                np.frombuffer(data, "<u4").astype(int) if name in _INTEGERS else np.frombuffer(data, kind).astype(float)
            )
    columns.setdefault("mean", np.empty(0))
    single = isinstance(line, SeriesColumns)
    if single and "min" not in columns:
        columns |= {"min": columns["mean"], "max": columns["mean"], "count": (~np.isnan(columns["mean"])).astype(int)}
    return Curve(
        key=line.key,
        run_ids=[line.run_id] if isinstance(line, SeriesColumns) else line.run_ids,
        points=line.points,
        total=line.total,
        left_out=line.left_out,
        blur=line.blur,
        columns={name: columns[name] for name in _COLUMNS if name in columns},
        non_finite=[(place, {0: np.nan, 1: np.inf, -1: -np.inf}[kind]) for place, kind in line.non_finite],
        name=None if isinstance(line, SeriesColumns) else line.name,
        values=[] if isinstance(line, SeriesColumns) else line.values,
    )
