"""Runs as a table: `search_runs`, with MLflow's columns."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal, overload

from runlore.client import RunloreClient
from runlore.client.base import PagedList, all_pages
from runlore.client.tables import pandas_module
from runlore.entities import Run, ViewType
from runlore.exceptions import InvalidParameter, MissingDependency, RunloreError
from runlore.fluent import context
from runlore.query import (
    RUN_TABLE,
    RUNS,
    And,
    Comparison,
    Expression,
    HasChild,
    Not,
    Or,
    ParentMatches,
    Subject,
    parse_filter,
    parse_order,
)

if TYPE_CHECKING:
    import pandas

Grammar = Literal["mlflow", "runlore"]
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
    *,
    grammar: Grammar | None = ...,
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
    grammar: Grammar | None = ...,
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
    *,
    grammar: Grammar | None = None,
) -> pandas.DataFrame | list[Run]:
    """The runs that match a filter, newest first unless `order_by` says otherwise.

    A filter and orders that MLflow understands mean what they mean there. Others are read by Runlore's wider grammar (OR, NOT,
    regular expressions, `metrics.loss@min` …: docs/guides/queries.md), except under `--as-mlflow`. The two differ in `!=`,
    `NOT IN` and params that are numbers, so `grammar="mlflow"` or `"runlore"` says which one is meant; a filter for the wider
    grammar that holds `!=` has to.

    Looks into the given experiments (by ids or by names), into all with `search_all_experiments=True`, else into the active
    one. `output_format="pandas"` gives a frame with one row per run and the columns run_id, experiment_id, status,
    artifact_uri, start_time, end_time (UTC), `metrics.*` (NaN where missing), `params.*` and `tags.*` (texts);
    `"list"` gives the runs themselves and needs no pandas. When nothing is found, a key that no run has is named in a warning.
    """
    if output_format not in ("pandas", "list"):
        raise ValueError(f"Unsupported output format: {output_format}. Supported string values are 'pandas' or 'list'")
    if output_format == "pandas":
        pandas_module("search_runs(output_format='pandas')")  # before the search, not after it
    client = RunloreClient()
    everywhere = search_all_experiments and not experiment_ids and not experiment_names
    alone = context.stands_in_for_mlflow()
    chosen = chosen_grammar(filter_string, order_by, grammar, only_mlflow=alone)
    if chosen == "mlflow":
        ids = _experiments(client, experiment_ids, experiment_names, search_all_experiments)

        def page(token: str | None, size: int) -> PagedList[Run]:
            return client.search_runs(ids, filter_string, run_view_type, size, order_by, token)
    else:
        ids = [] if everywhere else _experiments(client, experiment_ids, experiment_names, False)

        def page(token: str | None, size: int) -> PagedList[Run]:
            return client.find_runs(filter_string, ids, order_by, run_view_type, size, token)

    runs = all_pages(page, max_results, PAGE) if ids or everywhere else []
    if not runs and ids and filter_string and chosen == "mlflow" and not alone:
        _tell_of_unknown_keys(client, filter_string, ids)
    return runs if output_format == "list" else _frame(runs)


def _tell_of_unknown_keys(client: RunloreClient, filter_string: str, experiment_ids: list[str]) -> None:
    """Nothing was found: warn of a key that no run has, as `find_runs` does. MLflow's search says nothing of the kind."""
    with suppress(RunloreError):  # another server, or a filter that the wider grammar does not know
        client.find_runs(filter_string, experiment_ids, max_results=1)


def chosen_grammar(text: str, order_by: list[str] | None, grammar: str | None, only_mlflow: bool = False) -> Grammar:
    """Which grammar reads a filter and orders: the named one, else MLflow's if it can, else Runlore's.

    Raises `InvalidParameter` for what neither understands, and for a filter whose `!=` could mean either.
    """
    if grammar in ("mlflow", "runlore"):
        return grammar  # type: ignore[return-value]  # one of the two
    if grammar is not None:
        raise InvalidParameter(f"Unknown grammar {grammar!r}. Expected 'mlflow' or 'runlore'.")
    if only_mlflow or _understood(text, order_by, RUNS) is None:
        return "mlflow"
    if (error := _understood(text, order_by, RUN_TABLE)) is not None:
        raise error
    if _excludes(parse_filter(text or "", RUN_TABLE)):
        raise InvalidParameter(
            "This filter needs Runlore's grammar, where != and NOT IN are true of runs that lack the field; in MLflow's they "
            "are not. If you mean that, say so: search_runs(…, grammar='runlore')."
        )
    return "runlore"


def _understood(text: str, order_by: list[str] | None, subject: Subject) -> InvalidParameter | None:
    try:
        parse_filter(text or "", subject)
        for order in order_by or ():
            parse_order(order, subject)
    except InvalidParameter as error:
        return error
    except MissingDependency:  # the store may have it
        return None
    return None


def _excludes(tree: Expression) -> bool:
    """True when a comparison is true of runs that lack its field, in Runlore's grammar alone."""
    match tree:
        case Comparison(or_missing=missing, operator=operator):
            return missing and operator in ("!=", "NOT IN")
        case And(parts) | Or(parts):
            return any(map(_excludes, parts))
        case Not(part) | HasChild(part) | ParentMatches(part):
            return _excludes(part)
    return False


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
