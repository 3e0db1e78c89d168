"""Datasets from numpy arrays."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from runlore.data.dataset import DIGEST_DIGITS, Dataset
from runlore.data.sources import DatasetSource

if TYPE_CHECKING:
    import numpy

    Arrays = numpy.ndarray[Any, Any] | dict[str, numpy.ndarray[Any, Any]]


class NumpyDataset(Dataset):
    """A dataset that is an array, or a dictionary of arrays, of features, and one of targets."""

    def __init__(
        self, features: Arrays, source: str | DatasetSource | None, targets: Arrays | None, name: str | None, digest: str | None
    ) -> None:
        self.features, self.targets = features, targets
        schema = {
            "mlflow_tensorspec": {
                "features": json.dumps(_specs(features)),
                "targets": None if targets is None else json.dumps(_specs(targets)),
            }
        }
        profile = _profile("features", features) | ({} if targets is None else _profile("targets", targets))
        super().__init__(source, name, digest or arrays_digest(features, targets), schema, profile)


def from_numpy(
    features: Arrays,
    source: str | DatasetSource | None = None,
    targets: Arrays | None = None,
    name: str | None = None,
    digest: str | None = None,
) -> NumpyDataset:
    """A dataset from numpy arrays. `source` is the path or URI that they were read from."""
    return NumpyDataset(features, source, targets, name, digest)


def arrays_digest(features: Arrays, targets: Arrays | None) -> str:
    """A digest of names, shapes, dtypes and every value of the arrays."""
    import numpy

    state = hashlib.sha256()
    for role, arrays in (("features", features), ("targets", targets)):
        for key, array in _named(arrays):
            state.update(f"{role}\0{key}\0{array.dtype.str}\0{array.shape}\0".encode())
            if array.dtype.hasobject:
                state.update(repr(array.tolist()).encode())
            else:
                content: Any = numpy.ascontiguousarray(array).reshape(-1).view(numpy.uint8)
                state.update(content)
    return state.hexdigest()[:DIGEST_DIGITS]


def _named(arrays: Arrays | None) -> list[tuple[str, Any]]:
    if arrays is None:
        return []
    return sorted(arrays.items()) if isinstance(arrays, Mapping) else [("", arrays)]


def _specs(arrays: Arrays) -> list[dict[str, Any]]:
    specs = []
    for key, array in _named(arrays):
        spec: dict[str, Any] = {"type": "tensor", "tensor-spec": {"dtype": array.dtype.name, "shape": [-1, *array.shape[1:]]}}
        specs.append({"name": key, **spec} if key else spec)
    return specs


def _profile(role: str, arrays: Arrays) -> dict[str, Any]:
    def described(measure: str) -> Any:
        values = {key: getattr(array, measure) for key, array in _named(arrays)}
        return values if isinstance(arrays, Mapping) else values[""]

    return {f"{role}_{measure}": described(measure) for measure in ("shape", "size", "nbytes")}
