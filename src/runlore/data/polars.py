"""Datasets from polars frames."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from runlore.data.dataset import DIGEST_DIGITS, FrameDataset
from runlore.data.sources import DatasetSource

if TYPE_CHECKING:
    import polars

_TYPES = {
    "Boolean": "boolean", "Int8": "integer", "Int16": "integer", "Int32": "integer", "UInt8": "integer", "UInt16": "integer",
    "UInt32": "long", "Int64": "long", "UInt64": "long", "Float32": "float", "Float64": "double", "Date": "datetime",
    "Datetime": "datetime", "Binary": "binary",
}  # fmt: skip

_SLICE = 100_000


class PolarsDataset(FrameDataset):
    """A dataset that is a polars frame; `targets` and `predictions` name columns."""

    library = "polars"

    @staticmethod
    def frame_digest(df: Any) -> str:
        """A digest of names, types and every value of a frame, in order. Reads the frame once."""
        state = hashlib.sha256()
        for column in df.get_columns():
            state.update(f"{column.name}\0{column.dtype}\0".encode())
            as_text = not column.dtype.is_nested() and str(column.dtype) not in ("Binary", "Object")
            for start in range(0, len(column), _SLICE):
                part = column.slice(start, _SLICE)
                if as_text:
                    state.update(part.to_frame().write_csv(include_header=False, null_value="\0").encode())
                else:
                    state.update(repr(part.to_list()).encode())
        return state.hexdigest()[:DIGEST_DIGITS]

    @staticmethod
    def colspecs(df: Any) -> list[dict[str, Any]]:
        """Type, name and completeness of each column, in MLflow's words."""
        return [_colspec(column) for column in df.get_columns()]


def from_polars(
    df: polars.DataFrame,
    source: str | DatasetSource | None = None,
    targets: str | None = None,
    name: str | None = None,
    digest: str | None = None,
    predictions: str | None = None,
) -> PolarsDataset:
    """A dataset from a polars frame. `source` is the path or URI that it was read from."""
    return PolarsDataset(df, source, targets, name, digest, predictions)


def _colspec(column: Any) -> dict[str, Any]:
    kind = type(column.dtype).__name__
    return {"type": _TYPES.get(kind, "string"), "name": column.name, "required": column.null_count() == 0}
