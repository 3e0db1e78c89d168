"""Operations on registered models and their versions."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, field

from runlore.api.operation import (
    Alias,
    Edit,
    Filter,
    IdempotencyKey,
    Key,
    Manage,
    ModelId,
    ModelName,
    Operation,
    OrderBy,
    PageToken,
    Route,
    RunId,
    TagValue,
    Text,
    Uri,
    Version,
    View,
)  # fmt: skip
from runlore.entities import Empty, Entity, ModelVersion, ModelVersionTag, RegisteredModel, RegisteredModelTag

Stage = Annotated[str, Meta(max_length=50)]


class RegisteredModelReply(Entity):
    """One registered model."""

    registered_model: RegisteredModel


class SearchRegisteredModelsReply(Entity):
    """One page of registered models."""

    registered_models: list[RegisteredModel] = field(default_factory=list)
    next_page_token: str | None = None


class ModelVersionReply(Entity):
    """One model version."""

    model_version: ModelVersion


class ModelVersionsReply(Entity):
    """Model versions."""

    model_versions: list[ModelVersion] = field(default_factory=list)


class SearchModelVersionsReply(Entity):
    """One page of model versions."""

    model_versions: list[ModelVersion] = field(default_factory=list)
    next_page_token: str | None = None


class DownloadUriReply(Entity):
    """Where the files of a version are."""

    artifact_uri: str


class CreateRegisteredModel(Operation[RegisteredModelReply]):
    """Make a registered model. Names that differ only in letter case are one name."""

    route = Route("POST", "registered-models/create", needs=Edit())
    name: ModelName
    tags: Annotated[list[RegisteredModelTag], Meta(max_length=1_000)] = field(default_factory=list)
    description: Text = ""
    idempotency_key: IdempotencyKey | None = None


class GetRegisteredModel(Operation[RegisteredModelReply]):
    """One registered model with the latest version of each stage."""

    route = Route("GET", "registered-models/get", needs=View("name"))
    name: ModelName


class RenameRegisteredModel(Operation[RegisteredModelReply]):
    """Rename a registered model and all its versions."""

    route = Route("POST", "registered-models/rename", needs=Manage("name"))
    name: ModelName
    new_name: ModelName


class UpdateRegisteredModel(Operation[RegisteredModelReply]):
    """Change the description."""

    route = Route("PATCH", "registered-models/update", needs=Edit("name"))
    name: ModelName
    description: Text = ""


class DeleteRegisteredModel(Operation[Empty]):
    """Delete a registered model and its versions; the source models and runs stay."""

    route = Route("DELETE", "registered-models/delete", needs=Manage("name"))
    name: ModelName


class SearchRegisteredModels(Operation[SearchRegisteredModelsReply]):
    """Registered models that match a filter, by name unless ordered otherwise."""

    route = Route("GET", "registered-models/search", needs=View())
    filter: Filter = ""
    max_results: Annotated[int, Meta(ge=1, le=1_000)] = 100
    order_by: OrderBy = field(default_factory=list)
    page_token: PageToken = ""


class GetLatestVersions(Operation[ModelVersionsReply]):
    """The newest version of each of the given stages (all stages when none is given)."""

    route = Route("POST", "registered-models/get-latest-versions", needs=View("name"), also=("GET",))
    name: ModelName
    stages: Annotated[list[Stage], Meta(max_length=10)] = field(default_factory=list)


class SetRegisteredModelTag(Operation[Empty]):
    """Set one tag, replacing its value."""

    route = Route("POST", "registered-models/set-tag", needs=Edit("name"))
    name: ModelName
    key: Key
    value: TagValue


class DeleteRegisteredModelTag(Operation[Empty]):
    """Remove one tag."""

    route = Route("DELETE", "registered-models/delete-tag", needs=Edit("name"))
    name: ModelName
    key: Key


class SetRegisteredModelAlias(Operation[Empty]):
    """Point an alias at a version, moving it when it exists."""

    route = Route("POST", "registered-models/alias", needs=Manage("name"))
    name: ModelName
    alias: Alias
    version: Version


class DeleteRegisteredModelAlias(Operation[Empty]):
    """Remove an alias. An alias that does not exist is no error (MLflow's rule)."""

    route = Route("DELETE", "registered-models/alias", needs=Manage("name"))
    name: ModelName
    alias: Alias


class GetModelVersionByAlias(Operation[ModelVersionReply]):
    """The version an alias points at."""

    route = Route("GET", "registered-models/alias", needs=View("name"))
    name: ModelName
    alias: Alias


class CreateModelVersion(Operation[ModelVersionReply]):
    """Add a version. `source` is `runs:/…`, `models:/…`, `mlflow-artifacts:/…` or an object-store URI; local paths are refused.

    The files that the version will serve are pinned at creation: a source that names a logged model resolves to that
    model's artifact location.
    """

    route = Route("POST", "model-versions/create", needs=Edit("name"))
    name: ModelName
    source: Uri
    run_id: RunId | None = None
    tags: Annotated[list[ModelVersionTag], Meta(max_length=1_000)] = field(default_factory=list)
    run_link: Uri = ""
    description: Text = ""
    model_id: ModelId | None = None
    idempotency_key: IdempotencyKey | None = None


class GetModelVersion(Operation[ModelVersionReply]):
    """One version."""

    route = Route("GET", "model-versions/get", needs=View("name"))
    name: ModelName
    version: Version


class UpdateModelVersion(Operation[ModelVersionReply]):
    """Change the description."""

    route = Route("PATCH", "model-versions/update", needs=Edit("name"))
    name: ModelName
    version: Version
    description: Text = ""


class TransitionModelVersionStage(Operation[ModelVersionReply]):
    """Move a version to a stage: None, Staging, Production or Archived, in any letter case."""

    route = Route("POST", "model-versions/transition-stage", needs=Manage("name"))
    name: ModelName
    version: Version
    stage: Stage
    archive_existing_versions: bool = False


class DeleteModelVersion(Operation[Empty]):
    """Delete one version and its aliases."""

    route = Route("DELETE", "model-versions/delete", needs=Manage("name"))
    name: ModelName
    version: Version


class SearchModelVersions(Operation[SearchModelVersionsReply]):
    """Versions that match a filter, changed last first unless ordered otherwise."""

    route = Route("GET", "model-versions/search", needs=View())
    filter: Filter = ""
    max_results: Annotated[int, Meta(ge=1, le=200_000)] = 200_000
    order_by: OrderBy = field(default_factory=list)
    page_token: PageToken = ""


class GetModelVersionDownloadUri(Operation[DownloadUriReply]):
    """Where the files of a version are: its storage location."""

    route = Route("GET", "model-versions/get-download-uri", needs=View("name"))
    name: ModelName
    version: Version


class SetModelVersionTag(Operation[Empty]):
    """Set one tag, replacing its value."""

    route = Route("POST", "model-versions/set-tag", needs=Edit("name"))
    name: ModelName
    version: Version
    key: Key
    value: TagValue


class DeleteModelVersionTag(Operation[Empty]):
    """Remove one tag."""

    route = Route("DELETE", "model-versions/delete-tag", needs=Edit("name"))
    name: ModelName
    version: Version
    key: Key
