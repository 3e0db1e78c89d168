"""Schemas of model inputs, outputs and parameters, in MLflow's JSON form."""

from __future__ import annotations

from runlore.types.datatypes import AnyType, Array, DataType, Map, Object, Property
from runlore.types.schema import ColSpec, ParamSchema, ParamSpec, Schema, TensorSpec

__all__ = [
    "AnyType", "Array", "ColSpec", "DataType", "Map", "Object", "ParamSchema", "ParamSpec", "Property", "Schema", "TensorSpec",
]  # fmt: skip
