"""Logged models: models as objects of their own (MLflow 3)."""

from __future__ import annotations

from msgspec import field

from runlore.entities.run import Metric
from runlore.entities.value import Entity


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
