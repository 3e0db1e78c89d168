"""Runs as a table: `search_runs`, with MLflow's columns."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Literal, overload

from runlore.client import RunloreClient
from runlore.client.base import all_pages
from runlore.client.tables import pandas_module
from runlore.entities import Run, ViewType
from runlore.exceptions import InvalidParameter
from runlore.fluent import context

if TYPE_CHECKING:
    import pandas

PAGE = 1_000
INFO_COLUMNS = ("run_id", "experiment_id", "status", "artifact_uri")
TIME_COLUMNS = ("start_time", "end_time")

logger = logging.getLogger("runlore")


@overload
def search_runs(
    experiment_ids: list[str] | None = ...,
    filter_string: str = ...,
    run_view_type: int | str = ...,
    max_results: int = ...,
    order_by: list[str] | None = ...,
    output_format: Literal["pandas"] = ...,
    search_all_experiments: bool = ...,
    experiment_names: list[str] | None = ...,
) -> pandas.DataFrame: ...


@overload
def search_runs(
    experiment_ids: list[str] | None = ...,
    filter_string: str = ...,
    run_view_type: int | str = ...,
    max_results: int = ...,
    order_by: list[str] | None = ...,
    *,
    output_format: Literal["list"],
    search_all_experiments: bool = ...,
    experiment_names: list[str] | None = ...,
) -> list[Run]: ...


def search_runs(
    experiment_ids: list[str] | None = None,
    filter_string: str = "",
    run_view_type: int | str = ViewType.ACTIVE_ONLY,
    max_results: int = 100000,
    order_by: list[str] | None = None,
    output_format: str = "pandas",
    search_all_experiments: bool = False,
    experiment_names: list[str] | None = None,
) -> pandas.DataFrame | list[Run]:
    """The runs that match a filter, newest first unless `order_by` says otherwise.

    Looks into the given experiments (by ids or by names), into all with `search_all_experiments=True`, else into the active
    one. `output_format="pandas"` gives a frame with one row per run and the columns run_id, experiment_id, status,
    artifact_uri, start_time, end_time (UTC), `metrics.*` (NaN where missing), `params.*` and `tags.*` (texts);
    `"list"` gives the runs themselves and needs no pandas.
    """
    if output_format not in ("pandas", "list"):
        raise ValueError(f"Unsupported output format: {output_format}. Supported string values are 'pandas' or 'list'")
    if output_format == "pandas":
        pandas_module("search_runs(output_format='pandas')")  # before the search, not after it
    client = RunloreClient()
    ids = _experiments(client, experiment_ids, experiment_names, search_all_experiments)
    runs = (
        all_pages(
            lambda token, size: client.search_runs(ids, filter_string, run_view_type, size, order_by, token), max_results, PAGE
        )
        if ids
        else []
    )
    return runs if output_format == "list" else _frame(runs)


def _experiments(client: RunloreClient, ids: list[str] | None, names: list[str] | None, everywhere: bool) -> list[str]:
    if ids and names:
        raise InvalidParameter("Only experiment_ids or experiment_names can be used, but not both")
    if ids:
        return [ids] if isinstance(ids, str) else [str(experiment_id) for experiment_id in ids]
    if names:
        found = [(name, client.get_experiment_by_name(name)) for name in ([names] if isinstance(names, str) else names)]
        for name, experiment in found:
            if experiment is None:
                logger.warning("Cannot retrieve experiment by name %s", name)
        return [experiment.experiment_id for _, experiment in found if experiment is not None]
    if everywhere:
        every = all_pages(lambda token, size: client.search_experiments(max_results=size, page_token=token), None, PAGE)
        return [experiment.experiment_id for experiment in every]
    return [context.current_experiment_id()]


def _frame(runs: list[Run]) -> Any:
    pd = pandas_module("search_runs")
    columns: dict[str, Any] = {name: [getattr(run.info, name) for run in runs] for name in INFO_COLUMNS}
    for name in TIME_COLUMNS:
        columns[name] = pd.to_datetime([getattr(run.info, name) for run in runs], unit="ms", utc=True)
    for kind, missing in (("metrics", float("nan")), ("params", None), ("tags", None)):
        values = [getattr(run.data, kind) for run in runs]
        keys = dict.fromkeys(key for mapping in values for key in mapping)
        for key in keys:
            columns[f"{kind}.{key}"] = [mapping.get(key, missing) for mapping in values]
    return pd.DataFrame(columns)
