"""Operations on runs, their params, tags, inputs and outputs."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, field

from runlore.api.operation import (
    Edit,
    ExperimentId,
    Filter,
    IdempotencyKey,
    Key,
    Manage,
    Millis,
    ModelId,
    Operation,
    OrderBy,
    PageToken,
    ParamValue,
    Route,
    RunId,
    Step,
    TagValue,
    View,
    ViewTypeWord,
)  # fmt: skip
from runlore.entities import DatasetInput, Empty, Entity, LoggedModelInput, LoggedModelOutput, Run, RunInfo, Value

Status = Literal["RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED"]


class MetricPoint(Value, gc=False):
    """One point to append."""

    key: Key
    value: float
    timestamp: Millis
    step: Step = 0
    dataset_name: str | None = None
    dataset_digest: str | None = None
    model_id: ModelId | None = None


ParamRest = Annotated[str, Meta(max_length=94_000, description="what a value has beyond 6,000 characters")]
"""Runlore's clients send long values in two pieces: MLflow's server does not know the second, and keeps the first."""


class ParamEntry(Value, gc=False):
    """One param to write. Its whole value is `value` and `rest`, one after the other."""

    key: Key
    value: ParamValue
    rest: ParamRest = ""

    @property
    def text(self) -> str:
        """The whole value."""
        return self.value + self.rest


class TagEntry(Value, gc=False):
    """One tag to set."""

    key: Key
    value: TagValue


class RunReply(Entity):
    """One run."""

    run: Run


class UpdateRunReply(Entity):
    """The run's info after the change."""

    run_info: RunInfo


class SearchRunsReply(Entity):
    """One page of runs."""

    runs: list[Run] = field(default_factory=list)
    next_page_token: str | None = None


class FoundRuns(Entity):
    """One page of runs. When no run matches, `hint` names a key of the filter that no run has, and keys like it."""

    runs: list[Run] = field(default_factory=list)
    next_page_token: str | None = None
    hint: str | None = None


class CreateRun(Operation[RunReply]):
    """Start a run. Without a name (and without a tag `mlflow.runName`) it gets a random one such as "calm-otter-512".

    `client_run_id` lets a client make the id itself: creating the same id again answers the same run (safe to retry).
    """

    route = Route("POST", "runs/create", needs=Edit("experiment_id"))
    experiment_id: ExperimentId = "0"
    user_id: Annotated[str, Meta(max_length=256)] = ""
    run_name: Annotated[str, Meta(max_length=500)] = ""
    start_time: Millis | None = None
    tags: Annotated[list[TagEntry], Meta(max_length=1_000)] = field(default_factory=list)
    client_run_id: RunId | None = None
    idempotency_key: IdempotencyKey | None = None


class GetRun(Operation[RunReply]):
    """One run with the last value of each metric, deleted ones too."""

    route = Route("GET", "runs/get", needs=View("run_id"))
    run_id: RunId


class UpdateRun(Operation[UpdateRunReply]):
    """Change status, end time or name of a run."""

    route = Route("POST", "runs/update", needs=Edit("run_id"))
    run_id: RunId
    status: Status | None = None
    end_time: Millis | None = None
    run_name: Annotated[str, Meta(max_length=500)] | None = None


class DeleteRun(Operation[Empty]):
    """Move a run to the trash."""

    route = Route("POST", "runs/delete", needs=Manage("run_id"))
    run_id: RunId


class RestoreRun(Operation[Empty]):
    """Take a run out of the trash."""

    route = Route("POST", "runs/restore", needs=Manage("run_id"))
    run_id: RunId


class LogParam(Operation[Empty]):
    """Write one param. The same value again is fine; another value is refused (MLflow's rule)."""

    route = Route("POST", "runs/log-parameter", needs=Edit("run_id"))
    run_id: RunId
    key: Key
    value: ParamValue
    rest: ParamRest = ""


class SetTag(Operation[Empty]):
    """Set one tag, replacing its value. `mlflow.runName` renames the run."""

    route = Route("POST", "runs/set-tag", needs=Edit("run_id"))
    run_id: RunId
    key: Key
    value: TagValue


class DeleteTag(Operation[Empty]):
    """Remove one tag. The tag must exist."""

    route = Route("POST", "runs/delete-tag", needs=Edit("run_id"))
    run_id: RunId
    key: Key


class LogBatch(Operation[Empty]):
    """Metrics, params and tags in one transaction: all or nothing."""

    route = Route("POST", "runs/log-batch", needs=Edit("run_id"))
    run_id: RunId
    metrics: Annotated[list[MetricPoint], Meta(max_length=1_000)] = field(default_factory=list)
    params: Annotated[list[ParamEntry], Meta(max_length=100)] = field(default_factory=list)
    tags: Annotated[list[TagEntry], Meta(max_length=100)] = field(default_factory=list)


class LogInputs(Operation[Empty]):
    """Say which datasets and models a run read."""

    route = Route("POST", "runs/log-inputs", needs=Edit("run_id"))
    run_id: RunId
    datasets: Annotated[list[DatasetInput], Meta(max_length=1_000)] = field(default_factory=list)
    models: Annotated[list[LoggedModelInput], Meta(max_length=1_000)] = field(default_factory=list)


class LogOutputs(Operation[Empty]):
    """Say which logged models a run produced."""

    route = Route("POST", "runs/outputs", needs=Edit("run_id"))
    run_id: RunId
    models: Annotated[list[LoggedModelOutput], Meta(max_length=1_000)] = field(default_factory=list)


class LogModel(Operation[Empty]):
    """Note that a model's files are in the run's artifacts (MLflow 2). `model_json` is its MLmodel file as JSON.

    Kept in the tag `mlflow.log-model.history`, a JSON list: the newest models that fit in a tag.
    """

    route = Route("POST", "runs/log-model", needs=Edit("run_id"))
    run_id: RunId
    model_json: Annotated[str, Meta(max_length=1_000_000)]


class SearchRuns(Operation[SearchRunsReply]):
    """Runs of the given experiments that match a filter (MLflow's grammar), newest first unless ordered otherwise."""

    route = Route("POST", "runs/search", needs=View("experiment_ids"))
    experiment_ids: Annotated[list[ExperimentId], Meta(max_length=10_000)] = field(default_factory=list)
    filter: Filter = ""
    run_view_type: ViewTypeWord = "ACTIVE_ONLY"
    max_results: Annotated[int, Meta(ge=1, le=50_000)] = 1_000
    order_by: OrderBy = field(default_factory=list)
    page_token: PageToken = ""


class FindRuns(Operation[FoundRuns]):
    """Runs of the given experiments (none given: all) that match a filter in Runlore's grammar, newest first unless ordered
    otherwise. Orders are in Runlore's grammar too: `metrics.loss@min DESC`."""

    route = Route("POST", "runs/search", needs=View("experiment_ids"), base="v1")
    experiment_ids: Annotated[list[ExperimentId], Meta(max_length=10_000)] = field(default_factory=list)
    filter: Filter = ""
    run_view_type: ViewTypeWord = "ACTIVE_ONLY"
    max_results: Annotated[int, Meta(ge=1, le=50_000)] = 1_000
    order_by: OrderBy = field(default_factory=list)
    page_token: PageToken = ""
