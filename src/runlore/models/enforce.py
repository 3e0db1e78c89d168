"""Making data fit a signature before a prediction: names, order, types, shapes.

Missing values are allowed wherever they occur: an integer column with gaps stays a float column. Whole numbers may become
floats, floats become integers only when every one of them is whole; nothing else is converted.
"""

from __future__ import annotations

from typing import Any

from runlore.exceptions import InvalidParameter
from runlore.types.datatypes import DataType, FieldType
from runlore.types.schema import ColSpec, ParamSchema, Schema, TensorSpec

_NUMBERS = {
    DataType.boolean: "bool",
    DataType.integer: "int32",
    DataType.long: "int64",
    DataType.float: "float32",
    DataType.double: "float64",
}


def enforce_schema(data: Any, schema: Schema | None) -> Any:
    """The data as the schema describes it. Raises `InvalidParameter` naming what is missing or of another type."""
    if schema is None:
        return data
    if schema.is_tensor_spec():
        return _tensors(data, schema)
    if not schema.has_input_names() and len(schema) == 1 and isinstance(data, str | bytes | bool | int | float | list):
        return data
    return _table(data, schema)


def validate_schema(data: Any, expected_schema: Schema) -> None:
    """Raise `InvalidParameter`, saying what is missing or of another type, unless data fit a schema."""
    enforce_schema(data, expected_schema)


def enforce_params(params: dict[str, Any] | None, schema: ParamSchema | None) -> dict[str, Any] | None:
    """The given parameters over the signature's defaults. Raises `InvalidParameter` for names that the signature lacks."""
    if schema is None:
        return params
    specs = {spec.name: spec for spec in schema}
    if unknown := sorted((params or {}).keys() - specs.keys()):
        raise InvalidParameter(f"The model has no parameters {unknown}; it has {sorted(specs)}.")
    return {name: spec.validate(params[name]) if params and name in params else spec.default for name, spec in specs.items()}


def _table(data: Any, schema: Schema) -> Any:
    import numpy as np
    import pandas as pd

    if isinstance(data, pd.Series):
        data = data.to_frame()
    elif isinstance(data, np.ndarray | dict | list) or type(data).__name__ in ("csr_matrix", "csc_matrix"):
        data = pd.DataFrame(data.toarray() if hasattr(data, "toarray") else data)
        if schema.has_input_names() and list(data.columns) == list(range(len(schema))):
            data.columns = pd.Index(schema.input_names())
    if not isinstance(data, pd.DataFrame):
        raise InvalidParameter(f"Expected input to be a table, an array, a dictionary or a list, got {type(data).__name__}.")
    if not schema.has_input_names():
        return _by_position(data, schema)
    if is_exact(data, schema):
        return data.copy()
    if missing := [name for name in schema.required_input_names() if name not in data.columns]:
        raise InvalidParameter(f"Model is missing inputs {missing}. It got the columns {list(data.columns)}.")
    present = [spec for spec in schema if spec.name in data.columns]
    return pd.DataFrame({spec.name: _column(data[spec.name], spec) for spec in present}, index=data.index)


def is_exact(table: Any, schema: Schema) -> bool:
    """Whether a table has the columns of a schema of named numbers and truth values, in its order and types: as most requests
    to a served model have them, and nothing is left to do."""
    if len(table.columns) != len(schema) or table.columns.tolist() != schema.input_names():
        return False
    found = table.dtypes.tolist()
    return all(
        isinstance(spec.type, DataType) and str(kind) == _NUMBERS.get(spec.type)
        for spec, kind in zip(schema, found, strict=True)
    )


def _by_position(data: Any, schema: Schema) -> Any:
    if len(data.columns) < len(schema):
        raise InvalidParameter(f"Model inference is missing inputs: {len(schema)} columns expected, got {len(data.columns)}.")
    table = data.iloc[:, : len(schema)].copy()
    for position, spec in enumerate(schema):
        table.isetitem(position, _column(table.iloc[:, position], spec))
    return table


def _column(values: Any, spec: ColSpec) -> Any:
    kind: FieldType = spec.type
    if not isinstance(kind, DataType) or kind is DataType.binary:
        return values
    found = values.dtype.kind
    if kind in (DataType.integer, DataType.long):
        return _whole(values, kind, spec)
    if kind in (DataType.float, DataType.double) and (found in "iuf" or _numbers(values)):
        return values.astype(kind.to_numpy())
    if kind is DataType.datetime and found in "MOTU":
        import pandas as pd

        return pd.to_datetime(values)
    fits = {DataType.boolean: (bool,), DataType.string: (str,)}.get(kind)
    if fits is not None and (found == "b" if kind is DataType.boolean else False):
        return values
    if fits is not None and all(isinstance(value, fits) for value in values.dropna()):
        return values
    raise _wrong(values, spec)


def _whole(values: Any, kind: DataType, spec: ColSpec) -> Any:
    """Integers; with gaps, the floats that hold them."""
    if values.dtype.kind not in "iuf" and not _numbers(values):
        raise _wrong(values, spec)
    present = values.dropna()
    if not (present % 1 == 0).all():
        raise _wrong(values, spec)
    width = 31 if kind is DataType.integer else 63
    if len(present) and not (-(2**width) <= present.min() and present.max() < 2**width):
        raise _wrong(values, spec)
    return values.astype(kind.to_numpy() if len(present) == len(values) else "float64")


def _numbers(values: Any) -> bool:
    return values.dtype.kind == "O" and all(type(value) in (int, float) for value in values.dropna())


def _wrong(values: Any, spec: ColSpec) -> InvalidParameter:
    return InvalidParameter(
        f"Incompatible input types for column {spec.name}. Can not safely convert {values.dtype} to {spec.type!r}."
    )


def _tensors(data: Any, schema: Schema) -> Any:
    if not schema.has_input_names():
        return _tensor(data, schema.inputs[0])
    if not hasattr(data, "keys"):
        raise InvalidParameter(
            f"Expected a dictionary of arrays with the names {schema.input_names()}, got {type(data).__name__}."
        )
    if missing := [name for name in schema.input_names() if name not in data]:
        raise InvalidParameter(f"Model is missing inputs {missing}. It got {list(data)}.")
    return {spec.name: _tensor(data[spec.name], spec) for spec in schema}


def _tensor(data: Any, spec: TensorSpec) -> Any:
    import numpy as np

    if type(data).__name__ in ("csr_matrix", "csc_matrix"):
        return data
    array = np.asarray(data)
    if array.dtype != spec.type and array.dtype.char not in "US":
        if not np.can_cast(array.dtype, spec.type, casting="same_kind"):
            raise InvalidParameter(f"dtype of input {array.dtype} does not match expected dtype {spec.type}")
        array = array.astype(spec.type)
    fits = len(array.shape) == len(spec.shape) and all(
        want in (-1, size) for want, size in zip(spec.shape, array.shape, strict=True)
    )
    if not fits:
        raise InvalidParameter(f"Shape of input {array.shape} does not match expected shape {spec.shape}.")
    return array
