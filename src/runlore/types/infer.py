"""The schema of given data: pandas, numpy, scipy.sparse, dictionaries and lists. The rules, oddities too, are MLflow's."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from runlore.exceptions import InvalidParameter
from runlore.types.datatypes import AnyType, Array, DataType, FieldType, Object, Property, is_scalar_of, merge
from runlore.types.schema import ColSpec, ParamSchema, ParamSpec, Schema, TensorSpec


def infer_schema(data: Any) -> Schema:
    """Columns for tables, lists, dictionaries and scalars; tensors for arrays. Raises `InvalidParameter`, saying why."""
    import numpy as np

    kind = _kind(data)
    if kind == "DataFrame":
        return Schema([_column(data[name], name) for name in data.columns])
    if kind == "Series":
        return Schema([_column(data, data.name)])
    if kind in ("csr_matrix", "csc_matrix"):
        return Schema([_tensor(data.data.dtype, data.shape)])
    if isinstance(data, np.ndarray):
        return Schema([_tensor(data.dtype, data.shape)])
    if isinstance(data, dict):
        return _from_dict(data)
    if isinstance(data, list):
        return _from_list(data)
    return Schema([ColSpec(_known(infer_type(data), data))])


def infer_param_schema(parameters: dict[str, Any]) -> ParamSchema:
    """The schema of parameters of a prediction, with the given values as defaults."""
    if not isinstance(parameters, dict):
        raise InvalidParameter(f"Expected parameters to be dict, got {type(parameters).__name__}")
    return ParamSchema([_param(name, value) for name, value in parameters.items()])


def infer_type(value: Any) -> FieldType | None:
    """The type of one value: dict -> Object, list -> Array, None or empty -> AnyType, an empty numpy array -> None."""
    import numpy as np

    if is_missing(value) or (isinstance(value, list | dict) and not value):
        return AnyType()
    if isinstance(value, dict):
        kinds = {name: _known(infer_type(item), item) for name, item in value.items()}
        return Object([Property(name, kind, required=not isinstance(kind, AnyType)) for name, kind in kinds.items()])
    if isinstance(value, list | np.ndarray):
        return _item_type(value)
    return _scalar_type(value)


def is_missing(value: Any) -> bool:
    """True for None, NaN, pandas' NA and NaT."""
    if isinstance(value, float):
        return value != value
    return value is None or type(value).__name__ in ("NAType", "NaTType")


def _kind(data: Any) -> str:
    """The name of a pandas or scipy container, without importing either."""
    for kind in type(data).__mro__:
        if kind.__module__.partition(".")[0] in ("pandas", "scipy") and kind.__name__ in (
            "DataFrame", "Series", "csr_matrix", "csc_matrix",
        ):  # fmt: skip
            return kind.__name__
    return ""


def _known(kind: FieldType | None, value: Any) -> FieldType:
    if kind is None:
        raise InvalidParameter(f"An empty array has no type that a schema could name: {value!r}.")
    return kind


def _item_type(values: Iterable[Any]) -> Array | None:
    merged: FieldType | None = None
    for item in values:
        kind = infer_type(item)
        if kind is None:
            continue
        if isinstance(merged, DataType):
            if kind != merged and not isinstance(kind, AnyType):
                raise InvalidParameter(
                    f"A list holds values of several types ({merged!r}, {kind!r}). Write the signature by hand, "
                    "with Array(AnyType()), or make the values alike."
                )
        else:
            merged = kind if merged is None else merge(merged, kind)
    return None if merged is None else Array(merged)


def _scalar_type(value: Any) -> DataType:
    import numpy as np

    kinds: dict[type, DataType] = {
        bool: DataType.boolean, np.bool_: DataType.boolean, int: DataType.long, np.int64: DataType.long,
        np.int32: DataType.integer, float: DataType.double, np.float64: DataType.double, np.float32: DataType.float,
        str: DataType.string, np.str_: DataType.string, bytes: DataType.binary, np.bytes_: DataType.binary,
        bytearray: DataType.binary,
    }  # fmt: skip
    if type(value) in kinds:
        return kinds[type(value)]
    if is_scalar_of(value, DataType.datetime):
        return DataType.datetime
    raise InvalidParameter(f"A value of type {type(value).__name__} has no place in a schema: {str(value)[:200]}.")


def _from_dict(data: dict[Any, Any]) -> Schema:
    import numpy as np

    if all(isinstance(values, np.ndarray) for values in data.values()):
        return Schema([_tensor(array.dtype, array.shape, name) for name, array in data.items()])
    if not all(isinstance(name, str) for name in data):
        raise InvalidParameter(f"The keys of a dictionary of inputs must be text, got {list(data)[:10]}.")
    return Schema([ColSpec(_known(infer_type(item), item), name, not _has_missing(item)) for name, item in data.items()])


def _from_list(data: list[Any]) -> Schema:
    if not data:
        return Schema([ColSpec(DataType.string)])
    if not all(isinstance(item, dict) for item in data):
        return Schema([ColSpec(_array_items(data))])
    names = list(dict.fromkeys(name for item in data for name in item))
    return Schema([
        ColSpec(
            _array_items([item[name] for item in data if name in item]),
            name,
            all(item.get(name) is not None for item in data),
        )
        for name in names
    ])  # fmt: skip


def _array_items(values: list[Any]) -> FieldType:
    kind = _known(infer_type(values), values)
    return kind.dtype if isinstance(kind, Array) else kind


def _has_missing(value: Any) -> bool:
    return any(map(is_missing, value)) if isinstance(value, list) else is_missing(value)


def _tensor(dtype: Any, shape: tuple[int, ...], name: str | None = None) -> TensorSpec:
    import numpy as np

    if not shape:
        raise InvalidParameter("An array without dimensions has no rows: a schema can not describe it.")
    text = {"U": "str", "S": "bytes"}.get(dtype.char)
    return TensorSpec(np.dtype(text) if text else dtype, (-1, *shape[1:]), name)


def _column(column: Any, name: Any) -> ColSpec:
    if len(column.shape) > 1:
        raise InvalidParameter(f"Two columns are named {name!r}: a schema needs distinct names.")
    return ColSpec(_column_type(column), name, not column.isna().any())


def _column_type(column: Any) -> FieldType:
    if column.dtype.kind == "O":
        column = column.infer_objects()
    if column.dtype.kind != "O":
        return _numpy_type(column.dtype)
    try:
        return _array_items(column.to_list())
    except InvalidParameter:
        import pandas as pd

        if pd.api.types.is_string_dtype(column):
            return DataType.string
        raise


def _numpy_type(dtype: Any) -> DataType:
    kind, size = dtype.kind, dtype.itemsize
    if kind in "iu" and (size < 4 or (kind == "i" and size == 4)):
        return DataType.integer
    if kind in "iu" and (size < 8 or kind == "i"):
        return DataType.long
    if kind == "f" and size <= 8:
        return DataType.float if size <= 4 else DataType.double
    plain = {"b": DataType.boolean, "U": DataType.string, "S": DataType.binary, "M": DataType.datetime}
    if kind in plain:
        return plain[kind]
    raise InvalidParameter(f"Data of type {dtype} has no place in a schema.")


def _param(name: str, value: Any) -> ParamSpec:
    import numpy as np

    if isinstance(value, dict):
        kind = infer_type(value)
        if not isinstance(kind, Object):
            raise InvalidParameter(f"The parameter {name!r} is an empty dictionary.")
        return ParamSpec(name, kind, value)
    shape = (-1,) if isinstance(value, list | np.ndarray) else None
    items = value if shape else [value]
    if len(items) and all(is_scalar_of(item, DataType.datetime) for item in items):
        return ParamSpec(name, DataType.datetime, value, shape)
    if np.array(items).ndim != 1 or (shape is None and not np.isscalar(value)):
        raise InvalidParameter(f"The parameter {name!r} must be a scalar, a flat list or a dictionary, got {value!r}.")
    return ParamSpec(name, _numpy_type(np.array(items).dtype), value, shape)


__all__ = ["infer_param_schema", "infer_schema", "infer_type", "is_missing"]
