"""Operations on experiments."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, field

from runlore.api.operation import (
    Edit,
    ExperimentId,
    Filter,
    IdempotencyKey,
    Key,
    Manage,
    Name,
    Operation,
    OrderBy,
    PageToken,
    Route,
    TagValue,
    Uri,
    View,
    ViewTypeWord,
)  # fmt: skip
from runlore.entities import Empty, Entity, Experiment, ExperimentTag

_Max = Annotated[int, Meta(ge=1, le=50_000)]


class CreateExperimentReply(Entity):
    """The new id."""

    experiment_id: str


class ExperimentReply(Entity):
    """One experiment."""

    experiment: Experiment


class SearchExperimentsReply(Entity):
    """One page of experiments."""

    experiments: list[Experiment] = field(default_factory=list)
    next_page_token: str | None = None


class DatasetSummary(Entity):
    """A dataset that runs of an experiment read. `context` says what for (the input's tag `mlflow.data.context`)."""

    experiment_id: str
    name: str
    digest: str
    context: str | None = None


class SearchDatasetsReply(Entity):
    """Datasets, each with each context once."""

    dataset_summaries: list[DatasetSummary] = field(default_factory=list)


class CreateExperiment(Operation[CreateExperimentReply]):
    """Make an experiment. The name must not be that of an active one."""

    route = Route("POST", "experiments/create", needs=Edit())
    name: Name
    artifact_location: Uri = ""
    tags: list[ExperimentTag] = field(default_factory=list)
    idempotency_key: IdempotencyKey | None = None


class GetExperiment(Operation[ExperimentReply]):
    """One experiment by id, deleted ones too."""

    route = Route("GET", "experiments/get", needs=View("experiment_id"))
    experiment_id: ExperimentId


class GetExperimentByName(Operation[ExperimentReply]):
    """One experiment by name: the active one, else the one deleted last."""

    route = Route("GET", "experiments/get-by-name", needs=View("experiment_name"))
    experiment_name: Name


class SearchExperiments(Operation[SearchExperimentsReply]):
    """Experiments that match a filter, newest first unless ordered otherwise."""

    route = Route("POST", "experiments/search", needs=View(), also=("GET",))
    max_results: _Max = 1_000
    page_token: PageToken = ""
    filter: Filter = ""
    order_by: OrderBy = field(default_factory=list)
    view_type: ViewTypeWord = "ACTIVE_ONLY"


class UpdateExperiment(Operation[Empty]):
    """Rename an experiment."""

    route = Route("POST", "experiments/update", needs=Manage("experiment_id"))
    experiment_id: ExperimentId
    new_name: Name


class DeleteExperiment(Operation[Empty]):
    """Move an experiment and its runs to the trash."""

    route = Route("POST", "experiments/delete", needs=Manage("experiment_id"))
    experiment_id: ExperimentId


class RestoreExperiment(Operation[Empty]):
    """Take an experiment and the runs deleted with it out of the trash."""

    route = Route("POST", "experiments/restore", needs=Manage("experiment_id"))
    experiment_id: ExperimentId


class SetExperimentTag(Operation[Empty]):
    """Set one tag, replacing its value."""

    route = Route("POST", "experiments/set-experiment-tag", needs=Edit("experiment_id"))
    experiment_id: ExperimentId
    key: Key
    value: TagValue


class DeleteExperimentTag(Operation[Empty]):
    """Remove one tag. The tag must exist."""

    route = Route("POST", "experiments/delete-experiment-tag", needs=Edit("experiment_id"))
    experiment_id: ExperimentId
    key: Key


class SearchDatasets(Operation[SearchDatasetsReply]):
    """The datasets that active runs of some experiments read: the first thousand by experiment, name, digest and context."""

    route = Route("POST", "experiments/search-datasets", needs=View("experiment_ids"))
    experiment_ids: Annotated[list[ExperimentId], Meta(min_length=1, max_length=1_000)]
