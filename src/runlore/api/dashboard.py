"""The native API under `/api/v1`: what the dashboard asks, open to scripts too.

Tables are columnar: one list per column, so that a window of 200 runs × 30 columns is 30 arrays and not 6,000 objects.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, field

from runlore.api.operation import ExperimentId, Filter, ModelName, Operation, Route, RunId, View, ViewTypeWord
from runlore.api.resume import RunChanges
from runlore.entities import Entity, ModelVersion, Run, Value

Column = Annotated[str, Meta(min_length=1, max_length=300)]
"""`attributes.status`, `params.lr`, `tags.mlflow.user`, `metrics.loss` (last value) or `metrics.loss@min` (max, mean, first,
last, count)."""

Cell = str | int | float | None


class ExperimentSummary(Entity):
    """One row of the experiments page."""

    experiment_id: str
    name: str
    run_count: int = msgspec.field(default=0)
    running_count: int = 0
    """Runs that go on, without those that are lost."""
    lost_count: int = 0
    """Running runs whose process was not heard of for 90 seconds."""
    last_activity: int | None = None
    creation_time: int | None = None
    lifecycle_stage: str = "active"
    note: str | None = None
    tag_list: dict[str, str] = field(default_factory=dict, name="tags")


class ExperimentSummaries(Entity):
    """All experiments, newest activity first."""

    experiments: list[ExperimentSummary] = field(default_factory=list)


class ColumnInfo(Entity):
    """One entry of the column catalogue: how many runs have it; how many distinct values and which numeric range it has in the
    newest runs."""

    name: str
    kind: Literal["attributes", "params", "metrics", "tags"]
    runs: int
    numeric: bool = False
    distinct: int | None = None
    minimum: float | None = None
    maximum: float | None = None


class ColumnCatalogue(Entity):
    """Columns by how many runs have them, most first. `total` counts all that match, before `limit`. Ranges and distinct values
    are those of the newest `ranges_over` runs; a column that none of these has has none."""

    columns: list[ColumnInfo] = field(default_factory=list)
    total: int = 0
    ranges_over: int = 0


class RunTable(Entity):
    """A window of a table: `columns[name][i]` belongs to `run_ids[i]`. `total` counts all runs that match; when there are none,
    `hint` names a key of the filter that no run has, and keys like it."""

    run_ids: list[str] = field(default_factory=list)
    columns: dict[str, list[Cell]] = field(default_factory=dict)
    total: int = 0
    hint: str | None = None


class MetricSummary(Entity):
    """One row of a run's metrics tab."""

    key: str
    last: float
    last_step: int
    minimum: float
    minimum_step: int
    maximum: float
    maximum_step: int
    mean: float
    count: int
    first_step: int
    last_timestamp: int
    non_finite: int = 0


class RunOverview(Entity):
    """Everything the run page shows at first sight."""

    run: Run
    experiment_name: str
    metrics: list[MetricSummary] = field(default_factory=list)
    children: list[str] = field(default_factory=list)
    parent_run_id: str | None = None
    model_versions: list[ModelVersion] = field(default_factory=list)
    changes: RunChanges = field(default_factory=RunChanges)


class RegistryRow(Entity):
    """One row of the models page."""

    name: str
    versions: int
    latest_version: str | None = None
    aliases: dict[str, str] = field(default_factory=dict)
    description: str | None = None
    last_updated_timestamp: int | None = None
    tags: dict[str, str] = field(default_factory=dict)


class RegistrySummary(Entity):
    """All registered models, changed last first."""

    models: list[RegistryRow] = field(default_factory=list)


class RegisteredModelPage(Entity):
    """A registered model with all its versions, newest first."""

    model: RegistryRow
    versions: list[ModelVersion] = field(default_factory=list)


class SortKey(Value):
    """A column and a direction. Runs that lack the column come last in both directions."""

    column: Column
    descending: bool = False


class GetExperimentSummaries(Operation[ExperimentSummaries]):
    """The experiments page in one call."""

    route = Route("GET", "experiments", needs=View(), base="v1")
    view_type: ViewTypeWord = "ACTIVE_ONLY"


class GetColumns(Operation[ColumnCatalogue]):
    """The column catalogue of the given experiments (none given: all), restricted to names that contain `q`, over the runs that
    match a filter in Runlore's grammar."""

    route = Route("GET", "columns", needs=View("experiment_ids"), base="v1")
    experiment_ids: Annotated[list[ExperimentId], Meta(max_length=1_000)] = field(default_factory=list)
    q: Annotated[str, Meta(max_length=250)] = ""
    limit: Annotated[int, Meta(ge=1, le=10_000)] = 500
    filter: Filter = ""
    view_type: ViewTypeWord = "ACTIVE_ONLY"


class QueryRuns(Operation[RunTable]):
    """A window of the runs table of the given experiments (none given: all): filter in Runlore's grammar, sort, columns."""

    route = Route("POST", "runs/query", needs=View("experiment_ids"), base="v1")
    experiment_ids: Annotated[list[ExperimentId], Meta(max_length=1_000)] = field(default_factory=list)
    filter: Filter = ""
    sort: Annotated[list[SortKey], Meta(max_length=10)] = field(default_factory=list)
    columns: Annotated[list[Column], Meta(max_length=500)] = field(default_factory=list)
    offset: Annotated[int, Meta(ge=0)] = 0
    limit: Annotated[int, Meta(ge=1, le=1_000)] = 200
    view_type: ViewTypeWord = "ACTIVE_ONLY"


class GetRunOverview(Operation[RunOverview]):
    """The run page in one call."""

    route = Route("GET", "runs/{run_id}/overview", needs=View("run_id"), base="v1")
    run_id: RunId


class GetRegistrySummary(Operation[RegistrySummary]):
    """The models page in one call."""

    route = Route("GET", "models", needs=View(), base="v1")


class GetRegisteredModelPage(Operation[RegisteredModelPage]):
    """The page of one registered model in one call."""

    route = Route("GET", "models/{name}", needs=View("name"), base="v1")
    name: ModelName
