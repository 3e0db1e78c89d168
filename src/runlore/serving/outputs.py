"""Predictions as JSON, in MLflow's shapes.

Tables become lists of objects, arrays lists, times ISO texts, bytes base64. Numbers that JSON does not know (NaN, infinities)
become null: MLflow's server writes the bare words, which most readers of JSON refuse.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec


def encode(predictions: Any, *, bare: bool = False) -> bytes:
    """The body of an answer: `{"predictions": …}`, or the predictions alone. Raises `TypeError` for what has no JSON form."""
    plain = _plain(predictions)
    return _encoder.encode(plain if bare else {"predictions": plain})


def _plain(value: Any) -> Any:
    name = type(value).__name__
    if name == "ndarray":
        return value.tolist()
    if name in ("DataFrame", "Series") and hasattr(value, "iloc"):
        return (value if name == "DataFrame" else value.to_frame()).to_dict(orient="records")
    return value


def _further(value: Any) -> Any:
    """What msgspec does not know: numpy's scalars, arrays and tables inside dictionaries and lists, pandas' gaps."""
    plain = _plain(value)
    if plain is not value:
        return plain
    if type(value).__name__ in ("NAType", "NaTType"):
        return None
    if isinstance(value, dt.datetime | dt.date | dt.time):
        return value.isoformat()
    if hasattr(value, "item") and hasattr(value, "dtype"):
        return value.item()
    if hasattr(value, "model_dump"):
        return value.model_dump()
    raise TypeError(f"A prediction holds a {type(value).__name__}, which has no JSON form.")


_encoder = msgspec.json.Encoder(enc_hook=_further)
