"""The nouns of experiment tracking: what the store answers, what goes over the wire, what users hold.

Each Struct has MLflow's field names on the wire. Where MLflow's Python objects show a mapping and its wire shows a list
(`run.data.params`), the Struct stores the list and a property shows the mapping. Times are Unix milliseconds.
Fields that are `None` or equal to their default are left out of JSON, as MLflow leaves unset fields out.
"""

from __future__ import annotations

from typing import Annotated, Any, dataclass_transform

import msgspec
from msgspec import Meta, field


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(msgspec.field,))
class ValueMeta(msgspec.StructMeta):
    """Tells type checkers what the base Structs below hand down: frozen and keyword-only."""


class Value(msgspec.Struct, metaclass=ValueMeta, frozen=True, kw_only=True, omit_defaults=True):
    """Base of every Struct that travels: immutable, keyword-only, compared by value, defaults left out of JSON."""


class Entity(Value):
    """Base of all nouns and replies."""

    def to_dictionary(self) -> dict[str, Any]:
        """The wire form as plain Python values."""
        result: dict[str, Any] = msgspec.to_builtins(self)
        return result


class Empty(Entity):
    """The answer of an operation that has nothing to say but "done"."""


# -- run status, view type, lifecycle: MLflow's words -----------------------------------------------------------------


class RunStatus:
    """MLflow's run states. On the wire and in Runlore a status is its word; MLflow's Python client also uses numbers."""

    RUNNING = "RUNNING"
    SCHEDULED = "SCHEDULED"
    FINISHED = "FINISHED"
    FAILED = "FAILED"
    KILLED = "KILLED"
    ALL = (RUNNING, SCHEDULED, FINISHED, FAILED, KILLED)

    @staticmethod
    def to_string(status: str | int) -> str:
        """The word for a word or for MLflow's number (1 RUNNING … 5 KILLED)."""
        return status if isinstance(status, str) else RunStatus.ALL[status - 1]

    @staticmethod
    def from_string(status: str) -> str:
        """The status itself; MLflow's clients call this to get a number."""
        return status

    @staticmethod
    def is_terminated(status: str) -> bool:
        """True when no more data is expected: FINISHED, FAILED or KILLED."""
        return status in (RunStatus.FINISHED, RunStatus.FAILED, RunStatus.KILLED)


class LifecycleStage:
    """Where an experiment or run is in its life."""

    ACTIVE = "active"
    DELETED = "deleted"


class ViewType:
    """Which lifecycle stages a search looks at."""

    ACTIVE_ONLY = "ACTIVE_ONLY"
    DELETED_ONLY = "DELETED_ONLY"
    ALL = "ALL"


class SourceType:
    """What started a run: MLflow's words for the tag `mlflow.source.type`."""

    NOTEBOOK = "NOTEBOOK"
    JOB = "JOB"
    PROJECT = "PROJECT"
    LOCAL = "LOCAL"
    UNKNOWN = "UNKNOWN"


# -- experiments -------------------------------------------------------------------------------------------------------


class ExperimentTag(Entity):
    """A key and a text value on an experiment."""

    key: str
    value: str


class Experiment(Entity):
    """A named group of runs."""

    experiment_id: str
    name: str
    artifact_location: str = ""
    lifecycle_stage: str = ""
    last_update_time: int | None = None
    creation_time: int | None = None
    tag_list: list[ExperimentTag] = field(default_factory=list, name="tags")

    @property
    def tags(self) -> dict[str, str]:
        """Tags by key."""
        return {tag.key: tag.value for tag in self.tag_list}


# -- runs ----------------------------------------------------------------------------------------------------------------


class Metric(Entity):
    """One point of a metric: value (NaN and infinities allowed), Unix milliseconds, step."""

    key: str
    value: float
    timestamp: int
    step: int = 0
    dataset_name: str | None = None
    dataset_digest: str | None = None
    model_id: str | None = None
    run_id: str | None = None


class Param(Entity):
    """An input of a run: written once, text."""

    key: str
    value: str


class RunTag(Entity):
    """A key and a text value on a run; may be overwritten and deleted."""

    key: str
    value: str


class RunInfo(Entity):
    """Who, when, where and how it ended."""

    run_id: str
    run_uuid: str = ""
    run_name: str = ""
    experiment_id: str = ""
    user_id: str = ""
    status: str = ""
    start_time: int | None = None
    end_time: int | None = None
    artifact_uri: str = ""
    lifecycle_stage: str = ""


class RunData(Entity):
    """Last value of each metric, params and tags."""

    metric_list: list[Metric] = field(default_factory=list, name="metrics")
    param_list: list[Param] = field(default_factory=list, name="params")
    tag_list: list[RunTag] = field(default_factory=list, name="tags")

    @property
    def metrics(self) -> dict[str, float]:
        """Last value by key."""
        return {metric.key: metric.value for metric in self.metric_list}

    @property
    def params(self) -> dict[str, str]:
        """Value by key."""
        return {param.key: param.value for param in self.param_list}

    @property
    def tags(self) -> dict[str, str]:
        """Value by key."""
        return {tag.key: tag.value for tag in self.tag_list}


class Dataset(Entity):
    """What data went in: name, digest of its content, where it came from. `schema` and `profile` are JSON texts."""

    name: Annotated[str, Meta(min_length=1, max_length=500)]
    digest: Annotated[str, Meta(min_length=1, max_length=36)]
    source_type: Annotated[str, Meta(max_length=250)]
    source: Annotated[str, Meta(max_length=65_535)]
    schema: Annotated[str, Meta(max_length=1_048_575)] | None = None
    profile: Annotated[str, Meta(max_length=16_777_215)] | None = None


class InputTag(Entity):
    """A key and a text value on the use of a dataset by a run (`mlflow.data.context` = "training" …)."""

    key: Annotated[str, Meta(min_length=1, max_length=255)]
    value: Annotated[str, Meta(max_length=500)]


class DatasetInput(Entity):
    """A dataset as used by one run."""

    dataset: Dataset
    tags: Annotated[list[InputTag], Meta(max_length=100)] = field(default_factory=list)


class LoggedModelInput(Entity):
    """A logged model that a run read."""

    model_id: Annotated[str, Meta(pattern=r"^m-[0-9a-f]{32}\Z")]


class LoggedModelOutput(Entity):
    """A logged model that a run produced, and the step at which it did."""

    model_id: Annotated[str, Meta(pattern=r"^m-[0-9a-f]{32}\Z")]
    step: int = 0


class RunInputs(Entity):
    """Datasets and models that went into a run."""

    dataset_inputs: list[DatasetInput] = field(default_factory=list)
    model_inputs: list[LoggedModelInput] = field(default_factory=list)


class RunOutputs(Entity):
    """Models that came out of a run."""

    model_outputs: list[LoggedModelOutput] = field(default_factory=list)


class Run(Entity):
    """Everything about one run except its metric histories and files."""

    info: RunInfo
    data: RunData = field(default_factory=RunData)
    inputs: RunInputs = field(default_factory=RunInputs)
    outputs: RunOutputs = field(default_factory=RunOutputs)


class FileInfo(Entity):
    """An artifact: its path relative to the artifact root, and its size in bytes unless it is a directory."""

    path: str
    is_dir: bool
    file_size: int | None = None


# -- logged models (MLflow 3) ---------------------------------------------------------------------------------------------


class LoggedModelStatus:
    """States of a logged model. The wire carries MLflow's words with the prefix `LOGGED_MODEL_`."""

    PENDING = "PENDING"
    READY = "READY"
    FAILED = "FAILED"
    PREFIX = "LOGGED_MODEL_"


class LoggedModelTag(Entity):
    """A key and a text value on a logged model."""

    key: str
    value: str


class LoggedModelParameter(Entity):
    """A param of a logged model."""

    key: str
    value: str


class LoggedModelRegistration(Entity):
    """A registered version that was made from a logged model."""

    name: str
    version: str


class LoggedModelInfo(Entity):
    """Identity, place and state of a logged model. `status` is `LOGGED_MODEL_PENDING`, `…_READY` or `…_UPLOAD_FAILED`."""

    model_id: str
    experiment_id: str = ""
    name: str = ""
    creation_timestamp_ms: int = 0
    last_updated_timestamp_ms: int = 0
    artifact_uri: str = ""
    status: str = ""
    creator_id: str | None = None
    model_type: str | None = None
    source_run_id: str | None = None
    status_message: str | None = None
    tag_list: list[LoggedModelTag] = field(default_factory=list, name="tags")
    registrations: list[LoggedModelRegistration] = field(default_factory=list)


class LoggedModelData(Entity):
    """Params of a logged model and the metrics that were logged against it."""

    params: list[LoggedModelParameter] = field(default_factory=list)
    metrics: list[Metric] = field(default_factory=list)


class LoggedModel(Entity):
    """A model as an object of its own: made by a run, measured by others, registered later."""

    info: LoggedModelInfo
    data: LoggedModelData = field(default_factory=LoggedModelData)

    @property
    def model_id(self) -> str:
        """`m-` and 32 hexadecimal digits."""
        return self.info.model_id

    @property
    def name(self) -> str:
        """The name given at logging, "model" by default."""
        return self.info.name

    @property
    def experiment_id(self) -> str:
        """The experiment it belongs to."""
        return self.info.experiment_id

    @property
    def artifact_location(self) -> str:
        """Where its files are."""
        return self.info.artifact_uri

    @property
    def model_uri(self) -> str:
        """`models:/<model_id>`."""
        return f"models:/{self.info.model_id}"

    @property
    def source_run_id(self) -> str | None:
        """The run that made it."""
        return self.info.source_run_id

    @property
    def model_type(self) -> str | None:
        """Free text of the user."""
        return self.info.model_type

    @property
    def status(self) -> str:
        """PENDING, READY or FAILED."""
        word = self.info.status.removeprefix(LoggedModelStatus.PREFIX)
        return LoggedModelStatus.FAILED if word == "UPLOAD_FAILED" else word

    @property
    def creation_timestamp(self) -> int:
        """Unix milliseconds."""
        return self.info.creation_timestamp_ms

    @property
    def last_updated_timestamp(self) -> int:
        """Unix milliseconds."""
        return self.info.last_updated_timestamp_ms

    @property
    def tags(self) -> dict[str, str]:
        """Value by key."""
        return {tag.key: tag.value for tag in self.info.tag_list}

    @property
    def params(self) -> dict[str, str]:
        """Value by key."""
        return {param.key: param.value for param in self.data.params}

    @property
    def metrics(self) -> list[Metric]:
        """Metrics logged against this model, each with its run and dataset."""
        return self.data.metrics


# -- registry --------------------------------------------------------------------------------------------------------------


class ModelVersionTag(Entity):
    """A key and a text value on a model version."""

    key: str
    value: str


class RegisteredModelTag(Entity):
    """A key and a text value on a registered model."""

    key: str
    value: str


class RegisteredModelAlias(Entity):
    """A name such as "champion" that points at one version."""

    alias: str
    version: str


class ModelVersion(Entity):
    """One version of a registered model. `version` is a decimal text, as on MLflow's wire."""

    name: str
    version: str
    creation_timestamp: int | None = None
    last_updated_timestamp: int | None = None
    user_id: str | None = None
    current_stage: str = ""
    description: str | None = None
    source: str | None = None
    run_id: str | None = None
    status: str = ""
    status_message: str | None = None
    tag_list: list[ModelVersionTag] = field(default_factory=list, name="tags")
    run_link: str | None = None
    aliases: list[str] = field(default_factory=list)
    model_id: str | None = None

    @property
    def tags(self) -> dict[str, str]:
        """Value by key."""
        return {tag.key: tag.value for tag in self.tag_list}


class RegisteredModel(Entity):
    """A named line of model versions."""

    name: str
    creation_timestamp: int | None = None
    last_updated_timestamp: int | None = None
    user_id: str | None = None
    description: str | None = None
    latest_versions: list[ModelVersion] = field(default_factory=list)
    tag_list: list[RegisteredModelTag] = field(default_factory=list, name="tags")
    alias_list: list[RegisteredModelAlias] = field(default_factory=list, name="aliases")

    @property
    def tags(self) -> dict[str, str]:
        """Value by key."""
        return {tag.key: tag.value for tag in self.tag_list}

    @property
    def aliases(self) -> dict[str, str]:
        """Version by alias."""
        return {item.alias: item.version for item in self.alias_list}
