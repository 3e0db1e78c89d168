"""Runs: info, data, inputs, outputs, and the files they leave."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, field

from runlore.entities.value import Entity


class Metric(Entity, gc=False, kw_only=False):
    """One point of a metric: value (NaN and infinities allowed), Unix milliseconds, step."""

    key: str
    value: float
    timestamp: int
    step: int = 0
    dataset_name: str | None = None
    dataset_digest: str | None = None
    model_id: str | None = None
    run_id: str | None = None

    def to_dictionary(self) -> dict[str, Any]:
        """Every field by its name."""
        return dict(self)


class Param(Entity, gc=False):
    """An input of a run: written once, text."""

    key: str
    value: str


class RunTag(Entity, gc=False):
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

    def to_dictionary(self) -> dict[str, Any]:
        """Every field by its name."""
        return dict(self)


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

    def to_dictionary(self) -> dict[str, Any]:
        """`metrics`, `params` and `tags`, each by key."""
        return dict(self)


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

    def to_dictionary(self) -> dict[str, Any]:
        """Datasets with their tags by key, and models."""
        datasets = [
            {"dataset": dict(given.dataset), "tags": {tag.key: tag.value for tag in given.tags}}
            for given in self.dataset_inputs
        ]
        return {"dataset_inputs": datasets, "model_inputs": [dict(model) for model in self.model_inputs]}


class RunOutputs(Entity):
    """Models that came out of a run."""

    model_outputs: list[LoggedModelOutput] = field(default_factory=list)

    def to_dictionary(self) -> dict[str, Any]:
        """Models with the steps that they were made at."""
        return {"model_outputs": [dict(model) for model in self.model_outputs]}


class Run(Entity):
    """Everything about one run except its metric histories and files."""

    info: RunInfo
    data: RunData = field(default_factory=RunData)
    inputs: RunInputs = field(default_factory=RunInputs)
    outputs: RunOutputs = field(default_factory=RunOutputs)

    def to_dictionary(self) -> dict[str, Any]:
        """Plain dictionaries: `info`, `data` with metrics, params and tags by key, `inputs`, `outputs`."""
        return {name: part.to_dictionary() for name, part in self}


class FileInfo(Entity):
    """An artifact: its path relative to the artifact root, and its size in bytes unless it is a directory. `sha256` is the
    digest of its content in hexadecimal digits, where it was noted when the file was stored."""

    path: str
    is_dir: bool
    file_size: int | None = None
    sha256: str | None = None
