"""The sources of datasets that runs have kept."""

from __future__ import annotations

from runlore.data.dataset import Dataset
from runlore.data.sources import CodeSource, DatasetSource, FileSource, HttpSource, HuggingFaceSource
from runlore.data.spark import DeltaSource, SparkSource
from runlore.entities import Dataset as DatasetEntity
from runlore.entities import DatasetInput
from runlore.exceptions import InvalidParameter

_KINDS: dict[str, type[DatasetSource]] = {
    kind.kind: kind for kind in (CodeSource, HttpSource, HuggingFaceSource, SparkSource, DeltaSource)
}
_FILES = (
    "local", "s3", "gs", "az", "wasb", "wasbs", "abfs", "abfss", "hdfs", "viewfs", "ftp", "sftp", "r2", "b2", "dbfs", "file",
)  # fmt: skip


def get_source(dataset: DatasetEntity | DatasetInput | Dataset) -> DatasetSource:
    """The source of a dataset that a run has kept, or of one that was just made. Its `load()` fetches the data.

    Raises `InvalidParameter` for other objects, and for a source of a kind that Runlore does not know.
    """
    if isinstance(dataset, DatasetInput):
        dataset = dataset.dataset
    if isinstance(dataset, Dataset):
        return dataset.source
    if isinstance(dataset, DatasetEntity):
        return get_dataset_source_from_json(dataset.source, dataset.source_type)
    raise InvalidParameter(
        f"Unrecognized dataset type {type(dataset)}. Expected a dataset of runlore.data, or one of run.inputs.dataset_inputs."
    )


def get_dataset_source_from_json(source_json: str, source_type: str) -> DatasetSource:
    """The source that its JSON describes. Raises `InvalidParameter` for an unknown kind, and for what is no such JSON."""
    if source_type in _FILES:
        return FileSource.from_json(source_json)
    if source_type not in _KINDS:
        known = ", ".join(sorted({*_KINDS, *_FILES}))
        raise InvalidParameter(f"Unrecognized source type: {source_type!r}. Known are {known}.")
    return _KINDS[source_type].from_json(source_json)
