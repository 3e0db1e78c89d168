"""What goes into a model and what comes out: columns, tensors, and parameters of a prediction."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from runlore.exceptions import InvalidParameter
from runlore.types.datatypes import (
    AnyType,
    Array,
    DataType,
    FieldType,
    Map,
    Object,
    Property,
    SparkMLVector,
    is_scalar_of,
    to_type,
    type_from_dict,
    type_to_dict,
)  # fmt: skip

if TYPE_CHECKING:
    import numpy as np

__all__ = [
    "AnyType", "Array", "ColSpec", "DataType", "Map", "Object", "ParamSchema", "ParamSpec", "Property", "Schema",
    "SparkMLVector", "TensorSpec",
]  # fmt: skip


@dataclass(frozen=True, repr=False)
class ColSpec:
    """One column: its type, its name (or none), and whether it must be there."""

    type: FieldType
    name: Any = None
    required: bool = True

    def __init__(self, type: FieldType | str, name: Any = None, required: bool = True) -> None:
        object.__setattr__(self, "type", to_type(type))
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "required", True if required is None else required)

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        name = {} if self.name is None else {"name": self.name}
        return {**type_to_dict(self.type), **name, "required": self.required}

    @classmethod
    def from_dict(cls, form: dict[str, Any]) -> ColSpec:
        """The column that a JSON form means."""
        return cls(type_from_dict(form), form.get("name"), form.get("required", True))

    @classmethod
    def from_json_dict(cls, **kwargs: Any) -> ColSpec:
        """The column that the keys of a JSON form mean."""
        return cls.from_dict(kwargs)

    def __repr__(self) -> str:
        name = "" if self.name is None else f"{self.name!r}: "
        return f"{name}{self.type!r} ({'required' if self.required else 'optional'})"


@dataclass(frozen=True, repr=False)
class TensorSpec:
    """One array: its numpy type, its shape with -1 where any length fits, its name (or none)."""

    type: np.dtype[Any]
    shape: tuple[int, ...]
    name: str | None = None

    def __init__(self, type: Any, shape: tuple[int, ...] | list[int], name: str | None = None) -> None:
        import numpy as np

        if not isinstance(type, np.dtype):
            raise TypeError(f"The type of a TensorSpec must be a numpy.dtype, got {type!r}.")
        if type.char in "US" and type.itemsize:
            raise InvalidParameter(f"A TensorSpec can not hold the width of texts: use np.dtype('{type.type.__name__[:-1]}').")
        object.__setattr__(self, "type", type)
        object.__setattr__(self, "shape", tuple(shape))
        object.__setattr__(self, "name", name)

    @property
    def required(self) -> bool:
        """Tensors may not be missing."""
        return True

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        name = {} if self.name is None else {"name": self.name}
        return {**name, "type": "tensor", "tensor-spec": {"dtype": self.type.name, "shape": self.shape}}

    @classmethod
    def from_dict(cls, form: dict[str, Any]) -> TensorSpec:
        """The tensor that a JSON form means."""
        import numpy as np

        try:
            spec = form["tensor-spec"]
            return cls(np.dtype(str(spec["dtype"])), tuple(int(size) for size in spec["shape"]), form.get("name"))
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidParameter(f"Not a tensor of a schema: {str(form)[:200]} ({error!r}).") from None

    @classmethod
    def from_json_dict(cls, **kwargs: Any) -> TensorSpec:
        """The tensor that the keys of a JSON form mean."""
        return cls.from_dict(kwargs)

    def __repr__(self) -> str:
        name = "" if self.name is None else f"{self.name!r}: "
        return f"{name}Tensor({self.type.name!r}, {self.shape!r})"


class Schema:
    """Columns or tensors, never both; all named or none named."""

    def __init__(self, inputs: list[ColSpec | TensorSpec] | list[ColSpec] | list[TensorSpec]) -> None:
        if reason := _schema_refusal(inputs):
            raise InvalidParameter(f"Invalid schema {inputs!r}: {reason}.")
        self._inputs: list[Any] = list(inputs)

    def __len__(self) -> int:
        return len(self._inputs)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._inputs)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Schema) and self._inputs == other._inputs

    def __repr__(self) -> str:
        return repr(self._inputs)

    @property
    def inputs(self) -> list[Any]:
        """The columns or tensors, in order."""
        return self._inputs

    def is_tensor_spec(self) -> bool:
        """True when this schema is made of tensors."""
        return isinstance(self._inputs[0], TensorSpec)

    def has_input_names(self) -> bool:
        """True when columns or tensors have names."""
        return self._inputs[0].name is not None

    def input_names(self) -> list[Any]:
        """Names, or positions where there are none."""
        return [item.name or index for index, item in enumerate(self._inputs)]

    def required_input_names(self) -> list[Any]:
        """Names (or positions) of what may not be missing."""
        return [item.name or index for index, item in enumerate(self._inputs) if item.required]

    def optional_input_names(self) -> list[Any]:
        """Names of what may be missing."""
        return [item.name or index for index, item in enumerate(self._inputs) if not item.required]

    def input_types(self) -> list[Any]:
        """The type of each column or tensor."""
        return [item.type for item in self._inputs]

    def input_dict(self) -> dict[str, Any]:
        """Columns or tensors by name. Raises `InvalidParameter` when they have none."""
        if not self.has_input_names():
            raise InvalidParameter("This schema has no names: use `inputs`.")
        return {item.name: item for item in self._inputs}

    def input_types_dict(self) -> dict[str, Any]:
        """Types by name. Raises `InvalidParameter` when there are no names."""
        return {name: item.type for name, item in self.input_dict().items()}

    def numpy_types(self) -> list[Any]:
        """The numpy type of each column or tensor. Raises `InvalidParameter` when one is not a scalar."""
        return self._each("to_numpy") if not self.is_tensor_spec() else self.input_types()

    def pandas_types(self) -> list[Any]:
        """The pandas type of each column. Raises `InvalidParameter` for tensors and for columns that are not scalar."""
        if self.is_tensor_spec():
            raise InvalidParameter("Tensors have no pandas types: use numpy_types().")
        return self._each("to_pandas")

    def _each(self, method: str) -> list[Any]:
        if not all(isinstance(kind, DataType) for kind in self.input_types()):
            raise InvalidParameter(f"Not every column is a scalar: {self._inputs!r}.")
        return [getattr(kind, method)() for kind in self.input_types()]

    def as_spark_schema(self) -> Any:
        """A Spark schema of the columns. Raises `InvalidParameter` for tensors and for columns that are not scalar."""
        if self.is_tensor_spec():
            raise InvalidParameter("Tensors have no Spark schema.")
        kinds = self._each("to_spark")
        from pyspark.sql.types import StructField, StructType

        names = [str(name) for name in self.input_names()]
        fields = zip(names, kinds, self._inputs, strict=True)
        return StructType([StructField(name, kind, not item.required) for name, kind, item in fields])

    def to_dict(self) -> list[dict[str, Any]]:
        """The JSON form as Python values."""
        return [item.to_dict() for item in self._inputs]

    def to_json(self) -> str:
        """The JSON form, as in an `MLmodel` file."""
        return json.dumps(self.to_dict())

    @classmethod
    def from_json(cls, json_str: str) -> Schema:
        """The schema that a JSON text means."""
        return cls([_input_from_dict(form) for form in _json_list(json_str)])


def _schema_refusal(inputs: Any) -> str | None:
    if not isinstance(inputs, list) or not inputs:
        return "it must be a list with at least one column or tensor"
    if not (all(isinstance(item, ColSpec) for item in inputs) or all(isinstance(item, TensorSpec) for item in inputs)):
        return "it must be all ColSpec or all TensorSpec"
    unnamed = [item for item in inputs if item.name is None]
    if not unnamed:
        return None
    if len(unnamed) != len(inputs):
        return "either all have names or none"
    if isinstance(inputs[0], TensorSpec) and len(inputs) > 1:
        return "several tensors need names"
    return None if all(item.required for item in inputs) else "what may be missing needs a name"


def _input_from_dict(form: Any) -> ColSpec | TensorSpec:
    if not isinstance(form, dict) or "type" not in form:
        raise InvalidParameter(f"Not a column or tensor of a schema: {str(form)[:200]}.")
    return TensorSpec.from_dict(form) if form["type"] == "tensor" else ColSpec.from_dict(form)


def _json_list(text: str) -> list[Any]:
    try:
        forms = json.loads(text)
    except (ValueError, TypeError, RecursionError) as error:
        raise InvalidParameter(f"A schema is not valid JSON: {error}.") from None
    if not isinstance(forms, list):
        raise InvalidParameter(f"A schema must be a JSON list, got {text[:200]!r}.")
    return forms


_WIDER = {
    DataType.long: (DataType.integer,),
    DataType.float: (DataType.integer, DataType.long),
    DataType.double: (DataType.integer, DataType.long, DataType.float),
}


@dataclass(frozen=True, repr=False)
class ParamSpec:
    """A parameter of a prediction: type, default, and shape `(-1,)` when it is a list. Binary is not allowed."""

    name: str
    dtype: DataType | Object
    default: Any
    shape: tuple[int, ...] | None = None

    def __init__(self, name: str, dtype: DataType | Object | str, default: Any, shape: Any = None) -> None:
        kind = to_type(dtype)
        if not isinstance(kind, DataType | Object) or kind is DataType.binary:
            raise InvalidParameter(f"The parameter {name!r} can not have the type {kind!r}.")
        object.__setattr__(self, "name", str(name))
        object.__setattr__(self, "dtype", kind)
        object.__setattr__(self, "shape", None if shape is None else tuple(shape))
        object.__setattr__(self, "default", self.validate(default))

    def validate(self, value: Any) -> Any:
        """The value as Python's own type. Whole numbers may become floats. Raises `InvalidParameter` for another type."""
        if self.shape is None:
            return value if isinstance(self.dtype, Object) else _param_value(value, self.dtype, self.name)
        if self.shape != (-1,) or not isinstance(self.dtype, DataType):
            raise InvalidParameter(f"The parameter {self.name!r} must have no shape or the shape (-1,), got {self.shape}.")
        import numpy as np

        if not isinstance(value, list | np.ndarray) or np.array(value).ndim != 1:
            raise InvalidParameter(f"The parameter {self.name!r} must be a flat list, got {value!r}.")
        return [_param_value(item, self.dtype, self.name) for item in value]

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        default = self.default
        if self.dtype is DataType.datetime and default is not None:
            default = [item.isoformat() for item in default] if self.shape else default.isoformat()
        return {"name": self.name, "default": default, "shape": self.shape, **type_to_dict(self.dtype)}

    @classmethod
    def from_dict(cls, form: Any) -> ParamSpec:
        """The parameter that a JSON form means. Old files say `dtype` for `type`."""
        if not isinstance(form, dict) or not {"name", "default"} <= form.keys():
            raise InvalidParameter(f"Not a parameter of a schema: {str(form)[:200]}.")
        kind = type_from_dict({**form, "type": form.get("type") or form.get("dtype")})
        if not isinstance(kind, DataType | Object):
            raise InvalidParameter(f"The parameter {form['name']!r} can not have the type {kind!r}.")
        return cls(str(form["name"]), kind, form["default"], form.get("shape"))

    @classmethod
    def from_json_dict(cls, **kwargs: Any) -> ParamSpec:
        """The parameter that the keys of a JSON form mean."""
        return cls.from_dict(kwargs)

    @classmethod
    def validate_param_spec(cls, value: Any, param_spec: ParamSpec) -> Any:
        """The value as the parameter's own type. Raises `InvalidParameter` for another type or shape."""
        return param_spec.validate(value)

    @classmethod
    def validate_type_and_shape(
        cls, spec: str, value: Any, value_type: DataType | Object, shape: tuple[int, ...] | None
    ) -> Any:
        """The value as this type; `spec` names the parameter in errors. Raises `InvalidParameter` for another type or shape."""
        return None if value is None else cls(spec, value_type, value, shape).default

    def __repr__(self) -> str:
        shape = "" if self.shape is None else f" (shape: {self.shape})"
        return f"{self.name!r}: {self.dtype!r} (default: {self.default}){shape}"


def _param_value(value: Any, kind: DataType, name: str) -> Any:
    if value is None:
        return None
    if kind is DataType.datetime:
        return _param_time(value, name)
    if any(is_scalar_of(value, fits) for fits in (kind, *_WIDER.get(kind, ()))):
        return kind.to_python()(value)
    raise InvalidParameter(f"The parameter {name!r} must be of type {kind!r}, got {value!r} of {type(value).__name__}.")


def _param_time(value: Any, name: str) -> Any:
    import numpy as np

    try:
        time = np.datetime64(value).item()
    except ValueError:
        time = None
    if time is None or isinstance(time, int):
        raise InvalidParameter(f"The parameter {name!r} must be a date or time, got {value!r}.")
    return time


class ParamSchema:
    """The parameters that a prediction takes, no two of one name."""

    def __init__(self, params: list[ParamSpec]) -> None:
        names = [item.name for item in params]
        if len(set(names)) != len(names):
            raise InvalidParameter(f"Two parameters have one name: {names}.")
        self._params = list(params)

    def __len__(self) -> int:
        return len(self._params)

    def __iter__(self) -> Iterator[ParamSpec]:
        return iter(self._params)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ParamSchema) and self._params == other._params

    def __repr__(self) -> str:
        return repr(self._params)

    @property
    def params(self) -> list[ParamSpec]:
        """The parameters, in order."""
        return self._params

    def to_dict(self) -> list[dict[str, Any]]:
        """The JSON form as Python values."""
        return [item.to_dict() for item in self._params]

    def to_json(self) -> str:
        """The JSON form, as in an `MLmodel` file."""
        return json.dumps(self.to_dict())

    @classmethod
    def from_json(cls, json_str: str) -> ParamSchema:
        """The parameters that a JSON text means."""
        return cls([ParamSpec.from_dict(form) for form in _json_list(json_str)])
