"""`runlore.compare_runs`: runs side by side in a notebook."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from runlore.api.compare import ComparedMetrics, ComparedTexts, RunComparison
from runlore.client import RunloreClient
from runlore.client.tables import pandas_module
from runlore.exceptions import InvalidParameter

_SECTIONS = ("attributes", "params", "metrics", "tags", "datasets")
_AGGREGATES = (("last", ""), ("minimum", "@min"), ("maximum", "@max"))


def compare_runs(run_ids: Sequence[str], differences_only: bool = True, output_format: str = "pandas") -> Any:
    """What differs between 2 to 100 runs, or with `differences_only` false all that they have.

    A DataFrame with a row for each key (`params.lr`, `metrics.loss`, `metrics.loss@min`, `tags.team` …) and a column for each
    run id; with `output_format="list"` a list of mappings, each with the key under `"key"`. What a run lacks is None. A param
    that is the same number in another spelling does not differ.
    """
    if output_format not in ("pandas", "list"):
        raise InvalidParameter(f"Unsupported output format: {output_format!r}. Supported are 'pandas' and 'list'.")
    rows = list(comparison_rows(RunloreClient().compare_runs(run_ids, differences_only)))
    if output_format == "list":
        return [{"key": key, **dict(zip(run_ids, values, strict=True))} for key, values, _ in rows]
    pd = pandas_module("compare_runs")
    index = pd.Index([key for key, _, _ in rows], name="key")
    return pd.DataFrame([values for _, values, _ in rows], index=index, columns=list(run_ids), dtype=object)


def comparison_rows(comparison: RunComparison) -> list[tuple[str, list[Any], bool]]:
    """Key, the value of each run, and whether they differ. The least and greatest value of a metric have rows of their own
    where some run has others than the last."""
    rows: list[tuple[str, list[Any], bool]] = []
    for name in _SECTIONS:
        section: ComparedTexts | ComparedMetrics | None = getattr(comparison, name)
        if isinstance(section, ComparedTexts):
            keys = [f"{name}.{key}" for key in section.keys]
            rows += zip(keys, section.values, section.differs, strict=True)
        elif section is not None:
            rows += _metric_rows(section)
    return rows


def _metric_rows(section: ComparedMetrics) -> list[tuple[str, list[Any], bool]]:
    rows: list[tuple[str, list[Any], bool]] = []
    for place, key in enumerate(section.keys):
        for column, suffix in _AGGREGATES:
            values = getattr(section, column)[place]
            if not suffix or values != section.last[place]:
                rows.append((f"metrics.{key}{suffix}", values, section.differs[place]))
    return rows
