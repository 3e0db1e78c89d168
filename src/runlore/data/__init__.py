"""Datasets: what data went into a run, named and pinned by a digest of its content. The data itself is not stored."""

from __future__ import annotations

from runlore.data.dataset import Dataset, dataset_entity
from runlore.data.files import FilesDataset, from_files
from runlore.data.huggingface import HuggingFaceDataset, from_huggingface
from runlore.data.numpy import NumpyDataset, from_numpy
from runlore.data.pandas import PandasDataset, from_pandas
from runlore.data.polars import PolarsDataset, from_polars
from runlore.data.torch import from_torch

__all__ = [
    "Dataset",
    "FilesDataset",
    "HuggingFaceDataset",
    "NumpyDataset",
    "PandasDataset",
    "PolarsDataset",
    "dataset_entity",
    "from_files",
    "from_huggingface",
    "from_numpy",
    "from_pandas",
    "from_polars",
    "from_torch",
]
