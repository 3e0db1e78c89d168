"""The types a value of a table or of a JSON document can have. Pure: numpy is only touched to answer a question about it."""

from __future__ import annotations

import builtins
import datetime as dt
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from runlore.exceptions import InvalidParameter, MissingDependency

if TYPE_CHECKING:
    import numpy as np

_NUMPY = {
    "boolean": "bool",
    "integer": "int32",
    "long": "int64",
    "float": "float32",
    "double": "float64",
    "string": "str",
    "binary": "bytes",
    "datetime": "datetime64[ns]",
}
_PYTHON: dict[str, type] = {
    "boolean": bool,
    "integer": int,
    "long": int,
    "float": float,
    "double": float,
    "string": str,
    "binary": bytes,
    "datetime": dt.date,
}


_SPARK = {
    "boolean": "BooleanType",
    "integer": "IntegerType",
    "long": "LongType",
    "float": "FloatType",
    "double": "DoubleType",
    "string": "StringType",
    "binary": "BinaryType",
    "datetime": "TimestampType",
}


class DataType(Enum):
    """Scalar types. The numbers are MLflow's."""

    boolean = 1
    integer = 2
    long = 3
    float = 4
    double = 5
    string = 6
    binary = 7
    datetime = 8

    def __repr__(self) -> str:
        return self.name

    def to_numpy(self) -> np.dtype[Any]:
        """The numpy type of an array of these."""
        import numpy as np

        return np.dtype(_NUMPY[self.name])

    def to_pandas(self) -> Any:
        """The type of a pandas column of these: text and bytes are Python objects."""
        return object if self in (DataType.string, DataType.binary) else self.to_numpy()

    def to_python(self) -> type:
        """The Python type of one of these."""
        return _PYTHON[self.name]

    def to_spark(self) -> Any:
        """The Spark type of one of these. Raises `MissingDependency` without pyspark."""
        try:
            from pyspark.sql import types
        except ImportError:
            raise MissingDependency("pyspark is not installed. hint: pip install pyspark") from None
        return getattr(types, _SPARK[self.name])()

    @classmethod
    def get_spark_types(cls) -> list[Any]:
        """The Spark type of every scalar type."""
        return [kind.to_spark() for kind in cls]

    @classmethod
    def check_type(cls, data_type: DataType, value: object) -> bool:
        """True when a value is of the Python or numpy type that stands for a scalar type."""
        return is_scalar_of(value, data_type)

    @classmethod
    def all_types(cls) -> list[DataType]:
        """Every scalar type."""
        return list(cls)

    @classmethod
    def from_numpy_type(cls, dtype: Any) -> DataType | None:
        """The scalar type whose numpy type is exactly `dtype`, if there is one."""
        return next((kind for kind in cls if kind.to_numpy() == dtype), None)


def to_type(value: FieldType | str) -> FieldType:
    """A type, or the name of a scalar type, as a type. Raises `InvalidParameter` for anything else."""
    if isinstance(value, str):
        if value not in DataType.__members__:
            raise InvalidParameter(f"Unsupported type '{value}'. Expected one of {[kind.name for kind in DataType]}.")
        return DataType[value]
    if not isinstance(value, DataType | Composite):
        raise InvalidParameter(f"Expected a DataType, Array, Object, Map, AnyType or a type's name, got {value!r}.")
    return value


class Composite:
    """Base of the types that are not scalar."""

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        raise NotImplementedError


FieldType = DataType | Composite


@dataclass(frozen=True, repr=False)
class AnyType(Composite):
    """Any JSON value, null too. Never validated."""

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {"type": "any"}

    def __repr__(self) -> str:
        return "Any"


@dataclass(frozen=True, repr=False)
class Array(Composite):
    """A list whose items all have the type `dtype` (a type or a scalar type's name)."""

    dtype: FieldType

    def __init__(self, dtype: FieldType | str) -> None:
        object.__setattr__(self, "dtype", to_type(dtype))

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {"type": "array", "items": type_to_dict(self.dtype)}

    def __repr__(self) -> str:
        return f"Array({self.dtype!r})"


@dataclass(frozen=True, repr=False)
class SparkMLVector(Composite):
    """A vector of Spark ML: read and written, never inferred."""

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {"type": "sparkml_vector"}

    def __repr__(self) -> str:
        return "SparkML vector"


@dataclass(frozen=True, repr=False)
class Map(Composite):
    """A dictionary with free keys whose values all have one type."""

    value_type: FieldType

    def __init__(self, value_type: FieldType | str) -> None:
        object.__setattr__(self, "value_type", to_type(value_type))

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {"type": "map", "values": type_to_dict(self.value_type)}

    def __repr__(self) -> str:
        return f"Map(str -> {self.value_type!r})"


@dataclass(frozen=True, repr=False)
class Property:
    """One named value of an `Object`; `required` says that it may not be missing."""

    name: str
    dtype: FieldType
    required: bool = True

    def __init__(self, name: str, dtype: FieldType | str, required: bool = True) -> None:
        if not isinstance(name, str):
            raise InvalidParameter(f"The name of a property must be text, got {name!r}.")
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "dtype", to_type(dtype))
        object.__setattr__(self, "required", required)

    def to_dict(self) -> dict[str, Any]:
        """The JSON form, as one entry of an object's properties."""
        return {self.name: {**type_to_dict(self.dtype), "required": self.required}}

    def __repr__(self) -> str:
        return f"{self.name}: {self.dtype!r} ({'required' if self.required else 'optional'})"


@dataclass(frozen=True, repr=False)
class Object(Composite):
    """A dictionary with known keys, kept in the order of their names."""

    properties: tuple[Property, ...]

    def __init__(self, properties: list[Property] | tuple[Property, ...]) -> None:
        names = [item.name for item in properties]
        if not names or len(set(names)) != len(names):
            raise InvalidParameter(f"An Object needs at least one property and no two of one name, got {names}.")
        object.__setattr__(self, "properties", tuple(sorted(properties, key=lambda item: item.name)))

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {"type": "object", "properties": {key: form for item in self.properties for key, form in item.to_dict().items()}}

    def __repr__(self) -> str:
        return "{" + ", ".join(map(repr, self.properties)) + "}"


def type_to_dict(kind: FieldType) -> dict[str, Any]:
    """The JSON form of any type."""
    return {"type": kind.name} if isinstance(kind, DataType) else kind.to_dict()


def type_from_dict(form: Any) -> FieldType:
    """The type that a JSON form means. Raises `InvalidParameter` when it means none."""
    try:
        match form["type"]:
            case "array":
                return Array(type_from_dict(form["items"]))
            case "map":
                return Map(type_from_dict(form["values"]))
            case "object":
                return Object([property_from_dict(name, item) for name, item in form["properties"].items()])
            case "any":
                return AnyType()
            case "sparkml_vector":
                return SparkMLVector()
            case name:
                return to_type(name)
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InvalidParameter(f"Not a type of a schema: {str(form)[:200]} ({error!r}).") from None


def property_from_dict(name: str, form: Any) -> Property:
    """One property of an object's JSON form."""
    return Property(name, type_from_dict(form), required=form.get("required", True))


def merge(one: FieldType, other: FieldType) -> FieldType:
    """The type that fits values of both: what is only sometimes there becomes optional. Raises `InvalidParameter`."""
    if isinstance(other, AnyType) or one == other:
        return _optional(one) if isinstance(other, AnyType) else one
    if isinstance(one, AnyType):
        return other if isinstance(other, DataType) else merge(other, one)
    if isinstance(one, Array) and isinstance(other, Array):
        return Array(merge(one.dtype, other.dtype))
    if isinstance(one, Map) and isinstance(other, Map):
        return Map(merge(one.value_type, other.value_type))
    if isinstance(one, Object) and isinstance(other, Object):
        return _merge_objects(one, other)
    raise InvalidParameter(f"Values of different types in one place: {one!r} and {other!r}.")


def _optional(kind: FieldType) -> FieldType:
    """What an `Object` becomes when it is sometimes missing: all its properties optional."""
    if not isinstance(kind, Object):
        return kind
    return Object([Property(item.name, item.dtype, required=False) for item in kind.properties])


def _merge_objects(one: Object, other: Object) -> Object:
    left = {item.name: item for item in one.properties}
    right = {item.name: item for item in other.properties}
    merged = []
    for name in left.keys() | right.keys():
        if name in left and name in right:
            required = left[name].required and right[name].required
            merged.append(Property(name, merge(left[name].dtype, right[name].dtype), required))
        else:
            merged.append(Property(name, (left.get(name) or right[name]).dtype, required=False))
    return Object(merged)


def is_scalar_of(value: object, kind: DataType) -> bool:
    """True when `value` is exactly of a Python or numpy type that stands for `kind`."""
    import numpy as np

    kinds: list[builtins.type] = [kind.to_python(), kind.to_numpy().type]
    if kind is DataType.datetime:
        kinds += [np.datetime64, dt.datetime]
    if kind is DataType.binary:
        kinds.append(bytearray)
    return type(value) in kinds or (kind is DataType.datetime and type(value).__name__ == "Timestamp")
