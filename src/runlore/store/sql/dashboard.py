"""What the dashboard asks, except charts (`series.py`) and columns (`columns.py`): one operation a page, tables by column.

A window of the runs table reads the keys of its rows first and then only the cells that are shown.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence

from runlore.api.dashboard import (
    ExperimentSummaries,
    ExperimentSummary,
    GetExperimentSummaries,
    GetRegisteredModelPage,
    GetRegistrySummary,
    GetRunOverview,
    MetricSummary,
    QueryRuns,
    RegisteredModelPage,
    RegistryRow,
    RegistrySummary,
    RunOverview,
    RunTable,
)
from runlore.api.delivery import LOST_AFTER_MILLIS
from runlore.exceptions import NotFound
from runlore.query import NOTE_TAG, RUN_TABLE, Field, Order, parse_column, parse_filter
from runlore.store.sql.cells import Cells
from runlore.store.sql.conditions import metric_value
from runlore.store.sql.database import Row, Transaction
from runlore.store.sql.delivery import LOST
from runlore.store.sql.handlers import handles
from runlore.store.sql.registry_rows import existing_name, read_model_versions
from runlore.store.sql.resume import changes_of
from runlore.store.sql.run_conditions import PARENT_TAG
from runlore.store.sql.run_rows import existing_run, read_runs
from runlore.store.sql.search import PROMPT_TAG, lifecycle
from runlore.store.sql.search_runs import RunSearch
from runlore.store.sql.suggestions import suggestion

# -- experiments -------------------------------------------------------------------------------------------------------


@handles(GetExperimentSummaries)
def get_experiment_summaries(db: Transaction, op: GetExperimentSummaries) -> ExperimentSummaries:
    """Three statements. Deleted runs are counted in deleted experiments alone."""
    counts = {
        row[0]: row[1:]
        for row in db.all(
            "SELECT r.experiment_id, COUNT(*), SUM(CASE WHEN r.status IN ('RUNNING', 'SCHEDULED') THEN 1 ELSE 0 END), "
            f"SUM(CASE WHEN r.status = 'RUNNING' AND {LOST} THEN 1 ELSE 0 END), MAX(r.last_activity) "
            "FROM run r JOIN experiment e ON e.experiment_id = r.experiment_id "
            "WHERE r.deleted_time IS NULL OR e.deleted_time IS NOT NULL GROUP BY r.experiment_id",
            (db.now - LOST_AFTER_MILLIS,),
        )
    }
    tags: dict[int, dict[str, str]] = defaultdict(dict)
    for key, name, value in db.all("SELECT experiment_id, key, value FROM experiment_tag ORDER BY experiment_id, key"):
        tags[key][name] = value
    rows = db.all(
        "SELECT e.experiment_id, e.name, e.creation_time, e.last_update_time, e.deleted_time FROM experiment e "
        f"WHERE {lifecycle('e', op.view_type).text}"
    )
    summaries = [_experiment_summary(row, counts.get(row[0]), tags.get(row[0], {})) for row in rows]
    summaries.sort(key=lambda item: (-(item.last_activity or 0), int(item.experiment_id)))
    return ExperimentSummaries(experiments=summaries)


def _experiment_summary(row: Row, counts: Row | None, tags: dict[str, str]) -> ExperimentSummary:
    key, name, creation_time, last_update_time, deleted_time = row
    runs, running, lost, activity = counts or (0, 0, 0, None)
    return ExperimentSummary(
        experiment_id=str(key),
        name=name,
        run_count=runs,
        running_count=int(running - lost),
        lost_count=int(lost),
        last_activity=max(activity or 0, last_update_time),
        creation_time=creation_time,
        lifecycle_stage="active" if deleted_time is None else "deleted",
        note=tags.get(NOTE_TAG),
        tag_list=tags,
    )


# -- runs table --------------------------------------------------------------------------------------------------------


def _experiments(ids: Sequence[str]) -> list[int] | None:
    """The experiments of a request; none given means all."""
    return sorted({int(item) for item in ids}) if ids else None


@handles(QueryRuns)
def query_runs(db: Transaction, op: QueryRuns) -> RunTable:
    """The keys of the window, the total, then one statement for each kind of column. Ties go by newest start."""
    orders = {field: Order(field, key.descending) for key in reversed(op.sort) if (field := parse_column(key.column))}
    search = RunSearch(
        parse_filter(op.filter, RUN_TABLE, db.now),
        tuple(orders[field] for field in dict.fromkeys(parse_column(key.column) for key in op.sort)),
        _experiments(op.experiment_ids),
        op.view_type,
        numbers=True,
    )
    columns = {name: parse_column(name) for name in op.columns}
    keys = search.keys(db, op.offset, op.limit)
    settled = (op.offset == 0 or keys) and len(keys) < op.limit
    cells = Cells(db, keys, set(columns.values()))
    total = op.offset + len(keys) if settled else search.total(db)
    return RunTable(
        run_ids=cells.column(Field("attribute", "run_id")),
        columns={name: cells.column(field) for name, field in columns.items()},
        total=total,
        hint=None if total else suggestion(db, search.tree),
    )


# -- one run -----------------------------------------------------------------------------------------------------------


@handles(GetRunOverview)
def get_run_overview(db: Transaction, op: GetRunOverview) -> RunOverview:
    """A fixed number of statements, whatever the run holds."""
    key = existing_run(db, op.run_id)
    run = read_runs(db, [key])[0]
    experiment = db.one("SELECT name FROM experiment WHERE experiment_id = ?", (int(run.info.experiment_id),))
    children = db.all(
        f"SELECT r.run_id FROM run_tag t JOIN run r ON r.run_key = t.run_key WHERE t.key = '{PARENT_TAG}' "
        "AND substr(t.value, 1, 32) = ? AND t.value = ? AND r.deleted_time IS NULL ORDER BY r.start_time, r.run_id",
        (run.info.run_id, run.info.run_id),
    )
    versions = db.all(
        "SELECT name, version FROM model_version WHERE run_id = ? OR model_id IN "
        "(SELECT model_id FROM logged_model WHERE source_run_id = ?) ORDER BY name, version DESC",
        (run.info.run_id, run.info.run_id),
    )
    return RunOverview(
        run=run,
        experiment_name=experiment[0] if experiment else "",
        metrics=_metric_summaries(db, key),
        children=[child for (child,) in children],
        parent_run_id=run.data.tags.get(PARENT_TAG),
        model_versions=read_model_versions(db, [(name, version) for name, version in versions]),
        changes=changes_of(db, key),
    )


def _metric_summaries(db: Transaction, key: int) -> list[MetricSummary]:
    rows = db.all(
        "SELECT x.key, x.last_value, x.last_step, x.min_value, x.min_step, x.max_value, x.max_step, "
        f"{metric_value(Field('metric', '', 'mean'), 'x')}, x.count, x.first_step, x.last_time, x.non_finite "
        "FROM metric x WHERE x.run_key = ? ORDER BY x.key",
        (key,),
    )
    return [
        MetricSummary(
            key=name,
            last=_or_nan(last),
            last_step=last_step,
            minimum=_or_nan(low),
            minimum_step=last_step if low_step is None else low_step,
            maximum=_or_nan(high),
            maximum_step=last_step if high_step is None else high_step,
            mean=_or_nan(mean),
            count=count,
            first_step=first_step,
            last_timestamp=time,
            non_finite=non_finite,
        )
        for name, last, last_step, low, low_step, high, high_step, mean, count, first_step, time, non_finite in rows
    ]


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value


# -- registry ----------------------------------------------------------------------------------------------------------


@handles(GetRegistrySummary)
def get_registry_summary(db: Transaction, op: GetRegistrySummary) -> RegistrySummary:
    """Four statements. Prompts of MLflow are left out, as in its own model list."""
    rows = [row for row in _registry_rows(db) if row.tags.get(PROMPT_TAG) != "true"]
    return RegistrySummary(models=sorted(rows, key=lambda row: (-(row.last_updated_timestamp or 0), row.name)))


@handles(GetRegisteredModelPage)
def get_registered_model_page(db: Transaction, op: GetRegisteredModelPage) -> RegisteredModelPage:
    """The model and all its versions."""
    name = existing_name(db, op.name)
    rows = _registry_rows(db, name)
    if not rows:
        raise NotFound(f"Registered Model with name={name} not found")
    numbers = db.all("SELECT name, version FROM model_version WHERE name = ? ORDER BY version DESC", (name,))
    return RegisteredModelPage(model=rows[0], versions=read_model_versions(db, [(model, number) for model, number in numbers]))


def _registry_rows(db: Transaction, name: str | None = None) -> list[RegistryRow]:
    only, values = ("", ()) if name is None else (" WHERE name = ?", (name,))
    counts = {
        model: (count, latest)
        for model, count, latest in db.all(
            f"SELECT name, COUNT(*), MAX(version) FROM model_version{only} GROUP BY name", values
        )
    }
    aliases: dict[str, dict[str, str]] = defaultdict(dict)
    for model, alias, version in db.all(f"SELECT name, alias, version FROM model_alias{only} ORDER BY name, alias", values):
        aliases[model][alias] = str(version)
    tags: dict[str, dict[str, str]] = defaultdict(dict)
    for model, key, value in db.all(f"SELECT name, key, value FROM registered_model_tag{only} ORDER BY name, key", values):
        tags[model][key] = value
    return [
        RegistryRow(
            name=model,
            versions=counts.get(model, (0, None))[0],
            latest_version=str(counts[model][1]) if model in counts else None,
            aliases=aliases.get(model, {}),
            description=description,
            last_updated_timestamp=changed,
            tags=tags.get(model, {}),
        )
        for model, description, changed in db.all(
            f"SELECT name, description, last_update_time FROM registered_model{only} ORDER BY name", values
        )
    ]
