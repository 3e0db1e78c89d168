"""Operations on logged models: models as objects of their own (MLflow 3)."""

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
    ModelId,
    Name,
    Operation,
    PageToken,
    Route,
    RunId,
    View,
)  # fmt: skip
from runlore.entities import Empty, Entity, LoggedModel, LoggedModelParameter, LoggedModelTag, Value

Status = Literal["LOGGED_MODEL_PENDING", "LOGGED_MODEL_READY", "LOGGED_MODEL_UPLOAD_FAILED"]


class LoggedModelReply(Entity):
    """One logged model."""

    model: LoggedModel


class TaggedModelReply(Entity):
    """The logged model with its new tags; MLflow's server says nothing."""

    model: LoggedModel | None = None


class SearchLoggedModelsReply(Entity):
    """One page of logged models."""

    models: list[LoggedModel] = field(default_factory=list)
    next_page_token: str | None = None


class ModelOrderBy(Value):
    """One sort key; the dataset fields pick the metric logged on that dataset."""

    field_name: Annotated[str, Meta(max_length=500)]
    ascending: bool = True
    dataset_name: str | None = None
    dataset_digest: str | None = None


class ModelDataset(Value):
    """Restricts metric filters of a search to this dataset."""

    dataset_name: str
    dataset_digest: str | None = None


class CreateLoggedModel(Operation[LoggedModelReply]):
    """Announce a model; its files follow, then `FinalizeLoggedModel`."""

    route = Route("POST", "logged-models", needs=Edit("experiment_id"))
    experiment_id: ExperimentId
    name: Name = "model"
    model_type: Annotated[str, Meta(max_length=500)] | None = None
    source_run_id: RunId | None = None
    params: Annotated[list[LoggedModelParameter], Meta(max_length=1_000)] = field(default_factory=list)
    tags: Annotated[list[LoggedModelTag], Meta(max_length=1_000)] = field(default_factory=list)
    idempotency_key: IdempotencyKey | None = None


class GetLoggedModel(Operation[LoggedModelReply]):
    """One logged model."""

    route = Route("GET", "logged-models/{model_id}", needs=View("model_id"))
    model_id: ModelId


class FinalizeLoggedModel(Operation[LoggedModelReply]):
    """Say that the files are complete, or that the upload failed."""

    route = Route("PATCH", "logged-models/{model_id}", needs=Edit("model_id"))
    model_id: ModelId
    status: Status


class DeleteLoggedModel(Operation[Empty]):
    """Move a logged model to the trash."""

    route = Route("DELETE", "logged-models/{model_id}", needs=Manage("model_id"))
    model_id: ModelId


class LogLoggedModelParams(Operation[Empty]):
    """Add params to a logged model."""

    route = Route("POST", "logged-models/{model_id}/params", needs=Edit("model_id"))
    model_id: ModelId
    params: Annotated[list[LoggedModelParameter], Meta(max_length=1_000)] = field(default_factory=list)


class SetLoggedModelTags(Operation[TaggedModelReply]):
    """Set tags, replacing their values."""

    route = Route("PATCH", "logged-models/{model_id}/tags", needs=Edit("model_id"))
    model_id: ModelId
    tags: Annotated[list[LoggedModelTag], Meta(max_length=1_000)] = field(default_factory=list)


class DeleteLoggedModelTag(Operation[Empty]):
    """Remove one tag."""

    route = Route("DELETE", "logged-models/{model_id}/tags/{tag_key}", needs=Edit("model_id"))
    model_id: ModelId
    tag_key: Key


class SearchLoggedModels(Operation[SearchLoggedModelsReply]):
    """Logged models of the given experiments that match a filter, newest first unless ordered otherwise."""

    route = Route("POST", "logged-models/search", needs=View("experiment_ids"))
    experiment_ids: Annotated[list[ExperimentId], Meta(max_length=10_000)] = field(default_factory=list)
    filter: Filter = ""
    datasets: Annotated[list[ModelDataset], Meta(max_length=100)] = field(default_factory=list)
    max_results: Annotated[int, Meta(ge=1, le=1_000)] = 50
    order_by: Annotated[list[ModelOrderBy], Meta(max_length=20)] = field(default_factory=list)
    page_token: PageToken = ""
