"""Datasets of Hugging Face's library `datasets`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from runlore.data.dataset import DIGEST_DIGITS, Dataset
from runlore.data.sources import DatasetSource, HuggingFaceSource
from runlore.exceptions import InvalidParameter

_BATCH = 1_000
_TYPES = {
    "bool": "boolean", "int8": "integer", "int16": "integer", "int32": "integer", "uint8": "integer", "uint16": "integer",
    "uint32": "long", "int64": "long", "uint64": "long", "float16": "float", "float32": "float", "float64": "double",
    "binary": "binary", "large_binary": "binary",
}  # fmt: skip

Files = str | Sequence[str] | Mapping[str, str | Sequence[str]]


class HuggingFaceDataset(Dataset):
    """A `datasets.Dataset`; `targets` names a column."""

    def __init__(
        self, ds: Any, source: str | DatasetSource | None, targets: str | None, name: str | None, digest: str | None
    ) -> None:
        self.ds, self.targets = ds, targets
        schema = {"mlflow_colspec": [_colspec(key, feature) for key, feature in ds.features.items()]}
        profile = {"num_rows": ds.num_rows, "dataset_size": ds.dataset_size, "size_in_bytes": ds.size_in_bytes}
        name = name or getattr(ds.info, "dataset_name", None) or ds.builder_name
        super().__init__(source, name, digest or rows_digest(ds), schema, profile)


def from_huggingface(
    ds: Any,
    path: str | None = None,
    targets: str | None = None,
    data_dir: str | None = None,
    data_files: Files | None = None,
    revision: str | None = None,
    name: str | None = None,
    digest: str | None = None,
    trust_remote_code: bool | None = None,
    source: str | DatasetSource | None = None,
) -> HuggingFaceDataset:
    """A dataset from a `datasets.Dataset`.

    `path` is what it was loaded by (`load_dataset(path, …)`), with `data_dir`, `data_files`, `revision` and
    `trust_remote_code` as they were given there; `source` names another place and can not be combined with `path`. The digest
    is taken from every row, whichever files they lie in; give a `digest` to spare a large dataset that.
    """
    if path is not None and source is not None:
        raise InvalidParameter("Give from_huggingface either `path` or `source`, not both.")
    if not hasattr(ds, "features") or not hasattr(ds, "num_rows") or isinstance(ds.num_rows, Mapping):
        raise InvalidParameter(
            f"Expected a datasets.Dataset, got {type(ds).__name__}. hint: choose one split, such as ds['train']."
        )
    if targets is not None and targets not in ds.features:
        raise InvalidParameter(f"The specified Hugging Face dataset does not contain the targets column {targets!r}.")
    if path is not None:
        config = getattr(ds, "config_name", None)
        split = None if ds.split is None else str(ds.split)
        source = HuggingFaceSource(path, config, data_dir, data_files, split, revision, trust_remote_code)
    return HuggingFaceDataset(ds, source, targets, name, digest)


def rows_digest(ds: Any) -> str:
    """A digest of columns, types and every row, in order. Reads the dataset once, in Arrow's format."""
    import pyarrow

    state = hashlib.sha256()
    state.update(json.dumps({key: str(feature) for key, feature in ds.features.items()}).encode())
    for batch in ds.with_format("arrow").iter(batch_size=_BATCH):
        table = batch.combine_chunks().replace_schema_metadata(None)
        sink = pyarrow.BufferOutputStream()
        with pyarrow.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        state.update(sink.getvalue())
    return state.hexdigest()[:DIGEST_DIGITS]


def _colspec(name: str, feature: Any) -> dict[str, Any]:
    return {"type": _TYPES.get(str(getattr(feature, "dtype", "")), "string"), "name": name, "required": True}
