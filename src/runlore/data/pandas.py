"""Datasets from pandas frames."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from runlore.data.dataset import DIGEST_DIGITS, Dataset, column_type
from runlore.exceptions import InvalidParameter

if TYPE_CHECKING:
    import pandas


class PandasDataset(Dataset):
    """A dataset that is a pandas frame; `targets` and `predictions` name columns."""

    def __init__(
        self,
        df: pandas.DataFrame,
        source: str | None,
        targets: str | None,
        name: str | None,
        digest: str | None,
        predictions: str | None,
    ) -> None:
        for argument, column in (("targets", targets), ("predictions", predictions)):
            if column is not None and column not in df.columns:
                raise InvalidParameter(f"The specified pandas DataFrame does not contain the {argument} column {column!r}.")
        self.df, self.targets, self.predictions = df, targets, predictions
        schema = {"mlflow_colspec": [_colspec(str(label), df.iloc[:, at]) for at, label in enumerate(df.columns)]}
        profile = {"num_rows": len(df), "num_elements": int(df.size)}
        super().__init__(source, name, digest or frame_digest(df), schema, profile)


def from_pandas(
    df: pandas.DataFrame,
    source: str | None = None,
    targets: str | None = None,
    name: str | None = None,
    digest: str | None = None,
    predictions: str | None = None,
) -> PandasDataset:
    """A dataset from a pandas frame. `source` is the path or URI that it was read from."""
    return PandasDataset(df, source, targets, name, digest, predictions)


def frame_digest(df: pandas.DataFrame) -> str:
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


def _colspec(label: str, column: Any) -> dict[str, Any]:
    return {"type": column_type(column.dtype), "name": label, "required": not bool(column.isna().any())}
