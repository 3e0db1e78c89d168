"""Datasets from pandas frames."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from runlore.data.dataset import DIGEST_DIGITS, FrameDataset, column_type
from runlore.data.sources import DatasetSource

if TYPE_CHECKING:
    import pandas


class PandasDataset(FrameDataset):
    """A dataset that is a pandas frame; `targets` and `predictions` name columns."""

    library = "pandas"

    @staticmethod
    def frame_digest(df: Any) -> str:
        """A digest of labels, dtypes and every value of a frame, its index included. Reads the frame once."""
        from pandas.util import hash_pandas_object

        state = hashlib.sha256()
        for label, dtype in zip(df.columns, df.dtypes, strict=True):
            state.update(f"{label}\0{dtype}\0".encode())
        try:
            rows = hash_pandas_object(df, index=True)
        except TypeError:  # cells that pandas can not hash: lists, dictionaries
            rows = hash_pandas_object(df.map(repr), index=True)
        state.update(rows.to_numpy().tobytes())
        return state.hexdigest()[:DIGEST_DIGITS]

    @staticmethod
    def colspecs(df: Any) -> list[dict[str, Any]]:
        """Type, name and completeness of each column, in MLflow's words."""
        return [_colspec(str(label), df.iloc[:, at]) for at, label in enumerate(df.columns)]


def from_pandas(
    df: pandas.DataFrame,
    source: str | DatasetSource | None = None,
    targets: str | None = None,
    name: str | None = None,
    digest: str | None = None,
    predictions: str | None = None,
) -> PandasDataset:
    """A dataset from a pandas frame. `source` is the path or URI that it was read from."""
    return PandasDataset(df, source, targets, name, digest, predictions)


def _colspec(label: str, column: Any) -> dict[str, Any]:
    return {"type": column_type(column.dtype), "name": label, "required": not bool(column.isna().any())}
