"""Runs side by side, in groups, and as files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from runlore.api.compare import CompareRuns, RunComparison
from runlore.api.export import ExportPoints, ExportRuns, PointFormat, RunFormat
from runlore.api.groups import GroupKey, GroupRuns, GroupSort, GroupTable
from runlore.api.histograms import GetHistograms, Histograms
from runlore.client.base import ClientBase, view_type_word
from runlore.entities import ViewType
from runlore.store.export import export_points, export_runs, written


class CompareClient(ClientBase):
    """Comparing, grouping and exporting runs. Filters and orders are in Runlore's grammar; no experiments means all."""

    def compare_runs(self, run_ids: Sequence[str], differences_only: bool = True) -> RunComparison:
        """What differs between 2 to 100 runs: attributes, params, metrics (last, min, max and their steps), tags, datasets."""
        return self._call(CompareRuns(run_ids=list(run_ids), differences_only=differences_only))

    def group_runs(
        self,
        by: Sequence[str | GroupKey],
        columns: Sequence[str] = (),
        filter_string: str = "",
        experiment_ids: Sequence[str] = (),
        sort: GroupSort | None = None,
        max_results: int = 1_000,
    ) -> GroupTable:
        """Groups of runs with the same values in the columns `by` (`params.opt`, or a `GroupKey` with bins), the largest first
        unless `sort` says otherwise: size, keys, a filter that finds the members, and of each of `columns` count, mean,
        standard deviation, min and max."""
        keys = [GroupKey(column=key) if isinstance(key, str) else key for key in by]
        operation = GroupRuns(
            by=keys,
            columns=list(columns),
            filter=filter_string,
            experiment_ids=list(map(str, experiment_ids)),
            sort=sort or GroupSort(),
            limit=max_results,
        )
        return self._call(operation)

    def get_histograms(
        self, columns: Sequence[str], filter_string: str = "", experiment_ids: Sequence[str] = (), bins: int = 20
    ) -> Histograms:
        """How the values of columns are distributed over the runs that match."""
        ids = list(map(str, experiment_ids))
        return self._call(GetHistograms(columns=list(columns), filter=filter_string, experiment_ids=ids, bins=bins))

    def export_runs(
        self,
        path: str | Path | IO[bytes],
        filter_string: str = "",
        experiment_ids: Sequence[str] = (),
        columns: Sequence[str] = (),
        order_by: Sequence[str] = (),
        run_view_type: int | str = ViewType.ACTIVE_ONLY,
        format: RunFormat = "csv",
    ) -> int:
        """Write all runs that match to a file (or to something that takes bytes), however many they are: a row a run, with
        `run_id` and `columns`, or all columns. Returns how many runs there were.

        `format` is "csv", "jsonl" or "parquet" (with pyarrow or polars). Numbers read back exactly. A path gets the file when
        it is whole.
        """
        operation = ExportRuns(
            experiment_ids=list(map(str, experiment_ids)),
            filter=filter_string,
            columns=list(columns),
            order_by=list(order_by),
            view_type=view_type_word(run_view_type),
            format=format,
        )
        return written(path, lambda progress: export_runs(self._call, operation, progress))

    def export_points(
        self,
        path: str | Path | IO[bytes],
        filter_string: str = "",
        experiment_ids: Sequence[str] = (),
        run_ids: Sequence[str] = (),
        metrics: Sequence[str] = (),
        format: PointFormat = "csv",
    ) -> int:
        """Write every metric point of all runs that match: run_id, key, step, timestamp (Unix ms), value. Returns how many
        points there were. `run_ids` and `metrics` choose some; the rest is as for `export_runs`."""
        operation: Any = ExportPoints(
            experiment_ids=list(map(str, experiment_ids)),
            filter=filter_string,
            run_ids=list(run_ids),
            metrics=list(metrics),
            format=format,
        )
        return written(path, lambda progress: export_points(self._call, operation, progress))
