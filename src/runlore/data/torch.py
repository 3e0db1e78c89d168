"""Datasets of PyTorch: tensors, and datasets that are made of tensors."""

from __future__ import annotations

from typing import Any

from runlore.data.numpy import NumpyDataset
from runlore.data.sources import DatasetSource
from runlore.exceptions import InvalidParameter


def from_torch(
    features: Any,
    source: str | DatasetSource | None = None,
    targets: Any = None,
    name: str | None = None,
    digest: str | None = None,
) -> NumpyDataset:
    """A dataset from a tensor, a dictionary of tensors, or a `TensorDataset` (whose last tensor is the targets).

    Schema, profile and digest are those of `from_numpy` on the same values. A dataset that makes its items on the fly has no
    digest of its own: describe the files that it reads by `from_files`.
    """
    tensors = getattr(features, "tensors", None)
    if isinstance(tensors, tuple):
        if targets is not None:
            raise InvalidParameter("A TensorDataset brings its targets: leave `targets` out.")
        *inputs, last = tensors
        features, targets = (inputs[0] if len(inputs) == 1 else {str(at): one for at, one in enumerate(inputs)}), last
        if not inputs:
            features, targets = last, None
    plain = {str(key): _array(value) for key, value in features.items()} if isinstance(features, dict) else _array(features)
    return NumpyDataset(plain, source, None if targets is None else _array(targets), name, digest)


def _array(tensor: Any) -> Any:
    if not (hasattr(tensor, "detach") and hasattr(tensor, "cpu")):
        raise InvalidParameter(f"Expected a torch tensor or a TensorDataset, got {type(tensor).__name__}.")
    return tensor.detach().cpu().numpy()
