"""Type hints of a hand-written prediction: the schema they mean, and inputs that fit them.

The hint of the input is a list, because a prediction takes several examples: `list[str]`, `list[dict[str, float]]`, a list of
pydantic models. What is inside may be `int`, `float`, `str`, `bool`, `bytes`, `datetime`, `list[...]`, `dict[str, ...]`, a
pydantic model or `Any`. Any other hint (`pandas.DataFrame`, say) means that nothing is checked.
"""

from __future__ import annotations

import datetime as dt
import functools
import inspect
import types
import typing
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Union

from runlore.exceptions import InvalidParameter
from runlore.models.signature import ModelSignature
from runlore.types import AnyType, Array, ColSpec, DataType, Map, Object, Property, Schema
from runlore.types.datatypes import FieldType

_SCALARS: dict[Any, DataType] = {
    int: DataType.long, float: DataType.double, str: DataType.string, bool: DataType.boolean, bytes: DataType.binary,
    dt.datetime: DataType.datetime,
}  # fmt: skip
_KNOWN = "int, float, str, bool, bytes, datetime, list[...], dict[str, ...], pydantic models and Any are understood"
_UNHINTED = ("pandas.", "numpy.", "scipy.", "polars.")


@dataclass(frozen=True)
class TypeHints:
    """The hints of a prediction: its input (always a list) and its output; None where nothing can be made of them."""

    input: Any = None
    output: Any = None


class UnsupportedHint(InvalidParameter):
    """A type hint that no schema can be made of."""


def checked(function: Callable[..., Any]) -> Callable[..., Any]:
    """The prediction with its inputs checked by its type hints; the same function where it has none that can be checked."""
    if read_hints(function).input is None or not inspect.isfunction(function):
        return function
    place = list(inspect.signature(function).parameters).index(_input_name(function))

    @functools.wraps(function)
    def predict(*arguments: Any, **named: Any) -> Any:
        hint = read_hints(function).input
        name = _input_name(function)
        if name in named:
            named[name] = fit(named[name], hint)
        elif len(arguments) > place:
            arguments = (*arguments[:place], fit(arguments[place], hint), *arguments[place + 1 :])
        return function(*arguments, **named)

    predict._checks = True  # type: ignore[attr-defined]  # pickles keep the function that is wrapped
    return predict


def read_hints(function: Callable[..., Any]) -> TypeHints:
    """The hints of a prediction. A hint that no schema can be made of warns and counts as none."""
    name = _input_name(function)
    if name is None:
        return TypeHints()
    try:
        hints = typing.get_type_hints(inspect.unwrap(function))
    except (NameError, TypeError):  # a name that is not defined here: nothing can be checked by it
        return TypeHints()
    hint = hints.get(name)
    if hint is None or hint is Any or f"{getattr(hint, '__module__', '')}.".startswith(_UNHINTED):
        return TypeHints()
    try:
        element_type(hint)
    except UnsupportedHint as error:
        if _is_optional(typing.get_args(hint)[0] if typing.get_origin(hint) is list else hint):
            raise
        warnings.warn(f"Inputs are not checked by the type hint of {name}: {error.message}", stacklevel=3)
        return TypeHints()
    return TypeHints(hint, hints.get("return"))


def _input_name(function: Callable[..., Any]) -> Any:
    """The parameter that takes the input: after `self` and a context, before `params`; None when there is none."""
    try:
        names = list(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return None
    names = [name for name in names if name not in ("self", "params")]
    return names[1] if len(names) > 1 else (names[0] if names else None)


# -- schemas --------------------------------------------------------------------------------------------------------------


def signature_of(hints: TypeHints, params: Any = None) -> ModelSignature | None:
    """The signature that the hints mean, and `params` beside it; None where there is no hint."""
    if hints.input is None:
        return None
    outputs: FieldType = AnyType()
    if hints.output is not None:
        try:
            inner = hints.output
            outputs = element_type(inner) if typing.get_origin(inner) is list else field_type(inner)
        except UnsupportedHint as error:
            warnings.warn(f"The signature says nothing of what the model answers: {error.message}", stacklevel=2)
    signature = ModelSignature(Schema([ColSpec(element_type(hints.input))]), Schema([ColSpec(outputs)]), params)
    signature.from_type_hint = True
    return signature


def element_type(hint: Any) -> FieldType:
    """The type of one example of a list. Raises `UnsupportedHint`, naming what to write instead."""
    if typing.get_origin(hint) is not list or not typing.get_args(hint):
        raise UnsupportedHint(f"A prediction takes several examples: write list[{_name(hint)}] instead of {_name(hint)}.")
    return field_type(typing.get_args(hint)[0])


def field_type(hint: Any) -> FieldType:
    """The type that a hint means. Raises `UnsupportedHint`."""
    if hint in _SCALARS:
        return _SCALARS[hint]
    if hint is Any:
        return AnyType()
    if _is_optional(hint):
        raise UnsupportedHint(f"{_name(hint)} may be None: only fields of pydantic models can. Use one, or Any.")
    origin, inside = typing.get_origin(hint), typing.get_args(hint)
    if origin is list and inside:
        return Array(field_type(inside[0]))
    if origin is dict and inside:
        if inside[0] is not str:
            raise UnsupportedHint(f"The keys of {_name(hint)} must be str.")
        return Map(field_type(inside[1]))
    if _is_union(hint):
        return AnyType()
    if _is_pydantic(hint):
        return _object(hint)
    raise UnsupportedHint(f"No schema can be made of {_name(hint)}: {_KNOWN}.")


def _object(model: Any) -> Object:
    hints = typing.get_type_hints(model)
    properties = []
    for name, field in model.model_fields.items():
        hint = hints.get(name, field.annotation)
        if not _is_optional(hint):
            properties.append(Property(name, field_type(hint)))
            continue
        if field.is_required():
            raise UnsupportedHint(f"{model.__name__}.{name} may be None and needs a default: write `{name}: … = None`.")
        kinds = tuple(kind for kind in typing.get_args(hint) if kind is not type(None))
        properties.append(Property(name, field_type(kinds[0]) if len(kinds) == 1 else AnyType(), required=False))
    return Object(properties)


def _is_union(hint: Any) -> bool:
    return typing.get_origin(hint) in (Union, types.UnionType)


def _is_optional(hint: Any) -> bool:
    return _is_union(hint) and type(None) in typing.get_args(hint)


def _is_pydantic(hint: Any) -> bool:
    return isinstance(hint, type) and any(kind.__module__ == "pydantic.main" for kind in hint.__mro__)


def _name(hint: Any) -> str:
    return getattr(hint, "__name__", str(hint)) if typing.get_origin(hint) is None else str(hint).replace("typing.", "")


# -- inputs ---------------------------------------------------------------------------------------------------------------


def as_examples(data: Any) -> Any:
    """A table as the list that a hinted prediction takes: a column's values, or one dictionary for each row."""
    if type(data).__name__ == "DataFrame":
        return data.iloc[:, 0].tolist() if len(data.columns) == 1 else data.to_dict(orient="records")
    return data.tolist() if type(data).__name__ == "Series" else data


def fit(data: Any, hint: Any) -> Any:
    """The data as the hint says: dictionaries become pydantic models. Raises `InvalidParameter`, naming what does not fit."""
    problems: list[str] = []
    fitted = _fit(data, hint, "input", problems)
    if problems:
        more = f" and {len(problems) - 5} more" if len(problems) > 5 else ""
        raise InvalidParameter(f"The input does not fit the type hint {_name(hint)}: {'; '.join(problems[:5])}{more}.")
    return fitted


def _fit(value: Any, hint: Any, where: str, problems: list[str]) -> Any:
    origin, inside = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any or _is_union(hint):
        return value
    if _is_pydantic(hint):
        return _as_pydantic(value, hint, where, problems)
    kind = origin or hint
    if not isinstance(value, kind):
        problems.append(f"{where} is {value!r:.80} ({type(value).__name__}, not {_name(kind)})")
        return value
    if kind is list:
        return [_fit(item, inside[0], f"{where}[{index}]", problems) for index, item in enumerate(value)]
    if kind is dict:
        for key in value:
            if not isinstance(key, str):
                problems.append(f"{where} has the key {key!r}, which is no str")
        return {key: _fit(item, inside[1], f"{where}[{key!r}]", problems) for key, item in value.items()}
    return value


def _as_pydantic(value: Any, model: Any, where: str, problems: list[str]) -> Any:
    if isinstance(value, model):
        return value
    try:
        return model.model_validate(value, strict=True)
    except ValueError as error:  # what pydantic raises is one
        problems.append(f"{where}: {error}")
        return value
