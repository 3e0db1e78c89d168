"""Datasets: what data went into a run, named and pinned by a digest of its content. The data itself is not stored."""

from __future__ import annotations

from runlore.data.dataset import Dataset, dataset_entity
from runlore.data.numpy import NumpyDataset, from_numpy
from runlore.data.pandas import PandasDataset, from_pandas

__all__ = ["Dataset", "NumpyDataset", "PandasDataset", "dataset_entity", "from_numpy", "from_pandas"]
