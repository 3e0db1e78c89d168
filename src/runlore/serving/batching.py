"""Several requests, one prediction: which inputs may be laid on top of each other, and how the answer is taken apart.

Only for models that treat each row by itself; nothing in a model's files says so, hence it is off unless the operator asks.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from runlore.exceptions import InvalidState
from runlore.serving.inputs import Question


def batch_key(question: Question) -> Hashable | None:
    """Equal for questions that can be joined without a change of any value: same columns, types and shapes of rows. None for
    those that stand alone: with params, scalars, dictionaries, models' own formats."""
    data = question.data
    if question.params or question.bare:
        return None
    if hasattr(data, "iloc"):
        return ("table", tuple(data.columns), tuple(data.dtypes)) if len(data) else None
    if hasattr(data, "dtype") and data.ndim > 0 and len(data) and data.dtype.kind in "biufc":
        return ("array", data.dtype.str, data.shape[1:])
    return None


def join(questions: list[Question]) -> tuple[Any, list[int]]:
    """The data of questions of one key, on top of each other, and the number of rows of each."""
    sizes = [len(question.data) for question in questions]
    parts = [question.data for question in questions]
    if hasattr(parts[0], "iloc"):
        import pandas as pd

        return pd.concat(parts, ignore_index=True), sizes
    import numpy as np

    return np.concatenate(parts), sizes


def part(predictions: Any, sizes: list[int]) -> list[Any]:
    """The predictions of each question. Raises `InvalidState` when there is not one for each row."""
    total = sum(sizes)
    rows = getattr(predictions, "iloc", predictions)
    sliceable = hasattr(predictions, "iloc") or isinstance(predictions, list | tuple) or getattr(predictions, "ndim", 0) > 0
    if not sliceable or len(predictions) != total:
        raise InvalidState("The model does not give one prediction for each row: its requests can not be batched.")
    found, start = [], 0
    for size in sizes:
        found.append(rows[start : start + size])
        start += size
    return found
