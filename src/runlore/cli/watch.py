"""`runlore watch`: the metrics of a run as they come in, in the terminal."""

from __future__ import annotations

import math
import shutil
import sys
from array import array
from collections.abc import Sequence

import click

from runlore.api.dashboard import GetRunOverview, MetricSummary, RunOverview
from runlore.api.events import GetChanges
from runlore.api.operation import encode
from runlore.api.series import QuerySeries, SeriesColumns
from runlore.cli.output import plain, print_table
from runlore.cli.stores import complete_run, find_run, json_option, opened, store_option
from runlore.entities import RunStatus
from runlore.store.base import Store
from runlore.store.watching import changes_of

_BARS = "▁▂▃▄▅▆▇█"
_WIDTH = 24
_MOST_METRICS = 50  # that one question for series may name
_LINES_AROUND = 4


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("run", shell_complete=complete_run)
@click.option("--once", is_flag=True, help="Show how it is now, and end.")
@json_option
@store_option
def watch(run: str, once: bool, as_json: bool, store: str | None) -> None:
    """Show the metrics of RUN as they come in, until it ends.

    RUN is a run id, or the first digits of one (at least four). In a pipe, each new value is a line: metric, step, value; with
    --json an object, and the run's status is the last one.

    \b
    Examples:
      runlore watch 3f2a
      runlore watch 3f2a --store http://localhost:5000
      runlore watch 3f2a | grep val/loss
      runlore watch 3f2a --json | jq -r .value
    """
    with opened(store) as opened_store:
        run_id = find_run(opened_store, run)
        screen = _Objects() if as_json else _Screen(opened_store) if sys.stdout.isatty() or once else _Lines()
        cursor = opened_store.call(GetChanges()).cursor
        overview = opened_store.call(GetRunOverview(run_id=run_id))
        screen.show(overview)
        if once or RunStatus.is_terminated(overview.run.info.status):
            return
        for changes in changes_of(opened_store, cursor):
            if changes.reset or any(change.run_id == run_id for change in changes.runs):
                overview = opened_store.call(GetRunOverview(run_id=run_id))
                screen.show(overview)
                if RunStatus.is_terminated(overview.run.info.status):
                    return


class _Lines:
    """For pipes: what is new, a line each."""

    def __init__(self) -> None:
        self._told: dict[str, tuple[int, float]] = {}

    def show(self, overview: RunOverview) -> None:
        for metric in overview.metrics:
            now = (metric.last_step, metric.last)
            if repr(self._told.get(metric.key)) != repr(now):  # NaN is NaN
                self._told[metric.key] = now
                self._tell(metric)
        sys.stdout.flush()

    def _tell(self, metric: MetricSummary) -> None:
        click.echo(f"{plain(metric.key)}\t{metric.last_step}\t{metric.last!r}")


class _Objects(_Lines):
    """For programs: the same as JSON, and at the end the status of the run."""

    def show(self, overview: RunOverview) -> None:
        super().show(overview)
        info = overview.run.info
        if RunStatus.is_terminated(info.status):
            click.echo(encode({"run_id": info.run_id, "status": info.status}))

    def _tell(self, metric: MetricSummary) -> None:
        click.echo(encode({"metric": metric.key, "step": metric.last_step, "value": metric.last}))


class _Screen(_Lines):
    """For people: a table that is drawn anew in its place."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        self._store, self._drawn = store, 0

    def show(self, overview: RunOverview) -> None:
        room = min(_MOST_METRICS, max(1, shutil.get_terminal_size().lines - _LINES_AROUND))
        metrics = overview.metrics[:room]
        curves = self._curves(overview.run.info.run_id, [metric.key for metric in metrics])
        rows = [
            (metric.key, f"{metric.last:.6g}", str(metric.last_step), f"{metric.minimum:.6g}", f"{metric.maximum:.6g}",
             sparkline(curves.get(metric.key, [])))
            for metric in metrics
        ]  # fmt: skip
        if self._drawn and sys.stdout.isatty():
            click.echo(f"\x1b[{self._drawn}F\x1b[J", nl=False)
        info = overview.run.info
        hidden = len(overview.metrics) - len(metrics)
        more = f", {hidden} more metrics" if hidden else ""
        click.echo(f"{plain(info.run_name or info.run_id)}  {info.status}{more}")
        print_table(("METRIC", "LAST", "STEP", "MIN", "MAX", "CURVE"), rows)
        self._drawn = 2 + len(rows)

    def _curves(self, run_id: str, keys: list[str]) -> dict[str, list[float]]:
        if not keys:
            return {}
        frame = self._store.call(QuerySeries(run_ids=[run_id], metrics=keys, width=_WIDTH))
        return {line.key: _values(line, wide=frame.exact or line.wide) for line in frame.series}


def _values(line: SeriesColumns, *, wide: bool) -> list[float]:
    values = array("d" if wide else "f", line.mean)
    if sys.byteorder == "big":
        values.byteswap()
    return [value for value in values if math.isfinite(value)]


def sparkline(values: Sequence[float], most: int = _WIDTH) -> str:
    """Numbers as bars, the lowest empty, the greatest full; of more than `most` the mean of neighbours."""
    count = min(most, len(values))
    parts = [values[place * len(values) // count : (place + 1) * len(values) // count] for place in range(count)]
    means = [math.fsum(value / 2 for value in part) / len(part) for part in parts]  # halves: the greatest numbers stay finite
    if not means:
        return ""
    low, span = min(means), max(means) - min(means)
    return "".join(_BARS[int((mean - low) / span * (len(_BARS) - 1) + 0.5) if span else 0] for mean in means)
