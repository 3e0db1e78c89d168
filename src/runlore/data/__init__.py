"""Datasets: what data went into a run, named and pinned by a digest of its content. The data itself is not stored."""

from __future__ import annotations

from runlore.data.dataset import Dataset, dataset_entity
from runlore.data.files import FilesDataset, from_files
from runlore.data.huggingface import HuggingFaceDataset, from_huggingface
from runlore.data.numpy import NumpyDataset, from_numpy
from runlore.data.pandas import PandasDataset, from_pandas
from runlore.data.places import get_dataset_source_from_json, get_source
from runlore.data.polars import PolarsDataset, from_polars
from runlore.data.sources import CodeSource, DatasetSource, FileSource, HttpSource, HuggingFaceSource
from runlore.data.spark import DeltaSource, SparkDataset, SparkSource, from_spark, load_delta
from runlore.data.tensorflow import TensorFlowDataset, from_tensorflow
from runlore.data.torch import from_torch

__all__ = [
    "CodeSource",
    "Dataset",
    "DatasetSource",
    "DeltaSource",
    "FileSource",
    "FilesDataset",
    "HttpSource",
    "HuggingFaceDataset",
    "HuggingFaceSource",
    "NumpyDataset",
    "PandasDataset",
    "PolarsDataset",
    "SparkDataset",
    "SparkSource",
    "TensorFlowDataset",
    "dataset_entity",
    "from_files",
    "from_huggingface",
    "from_numpy",
    "from_pandas",
    "from_polars",
    "from_spark",
    "from_tensorflow",
    "from_torch",
    "get_dataset_source_from_json",
    "get_source",
    "load_delta",
]
