"""What a dataset is: a name, a digest, a source, and JSON texts that describe it."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from typing import Any, ClassVar

from runlore.data.sources import DatasetSource, source_of
from runlore.entities import Dataset as DatasetEntity
from runlore.exceptions import InvalidParameter

DIGEST_DIGITS = 32
"""Hexadecimal digits of the SHA-256 that are kept: MLflow's limit is 36 characters."""


class Dataset:
    """A dataset that can be logged with `log_input`. Equal content has an equal digest, on every machine."""

    def __init__(
        self, source: str | DatasetSource | None, name: str | None, digest: str, schema: Any, profile: dict[str, Any]
    ) -> None:
        self.source = source_of(source)
        self.name = name or "dataset"
        self.digest = digest
        self.schema = schema
        self.profile = profile

    def to_entity(self) -> DatasetEntity:
        """The dataset as it is stored."""
        return DatasetEntity(
            name=self.name,
            digest=self.digest,
            source_type=self.source.kind,
            source=self.source.to_json(),
            schema=None if self.schema is None else json.dumps(self.schema),
            profile=json.dumps(self.profile),
        )

    def to_dict(self) -> dict[str, Any]:
        """The dataset as it is stored, as a dictionary."""
        return self.to_entity().to_dictionary()

    def to_json(self) -> str:
        """The dataset as it is stored, as JSON."""
        return json.dumps(self.to_dict())


class FrameDataset(Dataset, ABC):
    """A dataset that is a frame with named columns; `targets` and `predictions` name two of them."""

    library: ClassVar[str]

    def __init__(
        self,
        df: Any,
        source: str | DatasetSource | None,
        targets: str | None,
        name: str | None,
        digest: str | None,
        predictions: str | None,
    ) -> None:
        for argument, column in (("targets", targets), ("predictions", predictions)):
            if column is not None and column not in df.columns:
                raise InvalidParameter(
                    f"The specified {self.library} DataFrame does not contain the {argument} column {column!r}."
                )
        self.df, self.targets, self.predictions = df, targets, predictions
        rows, columns = df.shape
        profile = {"num_rows": rows, "num_elements": rows * columns}
        super().__init__(source, name, digest or self.frame_digest(df), {"mlflow_colspec": self.colspecs(df)}, profile)

    @staticmethod
    @abstractmethod
    def frame_digest(df: Any) -> str:
        """A digest of names, types and every value of a frame."""

    @staticmethod
    @abstractmethod
    def colspecs(df: Any) -> list[dict[str, Any]]:
        """Type, name and completeness of each column, in MLflow's words."""


def dataset_entity(dataset: Dataset | DatasetEntity) -> DatasetEntity:
    """The stored form of a dataset in either form."""
    if isinstance(dataset, DatasetEntity):
        return dataset
    if isinstance(dataset, Dataset):
        return dataset.to_entity()
    raise InvalidParameter(
        f"Expected a dataset, got {type(dataset).__name__}. hint: runlore.data.from_pandas(frame, source='…') makes one."
    )


def column_type(dtype: Any) -> str:
    """The MLflow type name of a numpy or pandas dtype."""
    kind, size = getattr(dtype, "kind", "O"), getattr(dtype, "itemsize", 8)
    if kind in "iu":
        return "integer" if size <= 4 else "long"
    if kind == "f":
        return "float" if size <= 4 else "double"
    return {"b": "boolean", "M": "datetime"}.get(kind, "string")
