"""Datasets of TensorFlow: tensors, and `tf.data.Dataset`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from runlore.data.dataset import DIGEST_DIGITS, Dataset
from runlore.data.numpy import NumpyDataset
from runlore.data.sources import DatasetSource
from runlore.exceptions import InvalidParameter

_ENDLESS, _UNKNOWN = -1, -2


class TensorFlowDataset(Dataset):
    """A dataset that is a `tf.data.Dataset` of features, and perhaps one of targets."""

    def __init__(
        self, features: Any, targets: Any, source: str | DatasetSource | None, name: str | None, digest: str | None
    ) -> None:
        self.features, self.targets = features, targets
        parts = {"features": features} | ({} if targets is None else {"targets": targets})
        sizes = {role: int(data.cardinality().numpy()) for role, data in parts.items()}
        if digest is None and _ENDLESS in sizes.values():
            raise InvalidParameter("An endless tf.data.Dataset has no digest of its own. Give one, or leave repeat() out.")
        counted = {} if digest is not None else {role: _digest_of(data) for role, data in parts.items()}
        schema = {
            "mlflow_tensorspec": {role: _specs(parts[role]) if role in parts else None for role in ("features", "targets")}
        }
        found = {role: counted[role][0] if size == _UNKNOWN and role in counted else size for role, size in sizes.items()}
        profile = {f"{role}_cardinality": size for role, size in found.items()}
        if digest is None:
            text = json.dumps([[role, schema["mlflow_tensorspec"][role], counted[role][1]] for role in parts])
            digest = hashlib.sha256(text.encode()).hexdigest()[:DIGEST_DIGITS]
        super().__init__(source, name, digest, schema, profile)


def from_tensorflow(
    features: Any,
    source: str | DatasetSource | None = None,
    targets: Any = None,
    name: str | None = None,
    digest: str | None = None,
) -> TensorFlowDataset | NumpyDataset:
    """A dataset from a tensor, a dictionary of tensors, or a `tf.data.Dataset`; `targets` are of the same kind.

    Tensors have schema, profile and digest of `from_numpy` on the same values. A `tf.data.Dataset` is read once, from its
    first element to its last, for the digest: one that is shuffled anew each time has another one each time. Give a `digest`
    to spare a long one that.
    """
    if hasattr(features, "element_spec"):
        if targets is not None and not hasattr(targets, "element_spec"):
            raise InvalidParameter(f"Targets of a tf.data.Dataset are one too, not {type(targets).__name__}.")
        return TensorFlowDataset(features, targets, source, name, digest)
    return NumpyDataset(_arrays(features), source, None if targets is None else _arrays(targets), name, digest)


def _arrays(tensors: Any) -> Any:
    if isinstance(tensors, Mapping):
        return {str(key): _arrays(value) for key, value in tensors.items()}
    if not hasattr(tensors, "numpy"):
        raise InvalidParameter(f"Expected a tensor of TensorFlow or a tf.data.Dataset, got {type(tensors).__name__}.")
    return tensors.numpy()


def _flat(value: Any, name: str = "") -> list[tuple[str, Any]]:
    """The tensors of an element, each with the keys and numbers that lead to it."""
    if isinstance(value, Mapping):
        return [pair for key in sorted(value) for pair in _flat(value[key], f"{name}/{key}" if name else str(key))]
    if isinstance(value, tuple | list):
        return [pair for at, part in enumerate(value) for pair in _flat(part, f"{name}/{at}" if name else str(at))]
    return [(name, value)]


def _digest_of(data: Any) -> tuple[int, str]:
    """The number of elements, and a digest of all their values in order."""
    import numpy

    state, count = hashlib.sha256(), 0
    for element in data.as_numpy_iterator():
        count += 1
        for name, value in _flat(element):
            array = numpy.asarray(value)
            state.update(f"{name}\0{array.dtype.str}\0{array.shape}\0".encode())
            state.update(repr(array.tolist()).encode() if array.dtype.hasobject else numpy.ascontiguousarray(array).tobytes())
    return count, state.hexdigest()


def _specs(data: Any) -> str:
    found = []
    for name, spec in _flat(data.element_spec):
        shape = [-1 if size is None else size for size in (spec.shape.as_list() if spec.shape.rank is not None else [])]
        described = {"type": "tensor", "tensor-spec": {"dtype": spec.dtype.name, "shape": shape}}
        found.append({"name": name, **described} if name else described)
    return json.dumps(found)
