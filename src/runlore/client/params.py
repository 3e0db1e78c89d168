"""Params in the forms that people have them: nested dictionaries, dataclasses, the result of argparse."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from runlore.exceptions import InvalidParameter

SEPARATOR = "."


def flat_params(params: Any, prefix: str = "") -> dict[str, Any]:
    """One level of names: `{"model": {"layers": 3}}` gives `{"model.layers": 3}`. Lists and empty dictionaries stay.

    Takes mappings, dataclass instances and `argparse.Namespace`. Raises `InvalidParameter` when two values get one name.
    """
    found: dict[str, Any] = {}
    for key, value in (as_mapping(params) or {}).items():
        name = f"{prefix}{key}"
        inner = as_mapping(value)
        values = flat_params(inner, f"{name}{SEPARATOR}") if inner else {name: value}
        if twice := found.keys() & values.keys():
            raise InvalidParameter(f"Two values have the name {sorted(twice)[0]!r} when the params are flattened.")
        found |= values
    return found


def as_mapping(value: Any) -> Mapping[str, Any] | None:
    """A value that has named parts as a mapping; None when it has none."""
    if isinstance(value, Mapping):
        return value
    argparse = sys.modules.get("argparse")  # who has one has imported it
    if argparse is not None and isinstance(value, argparse.Namespace):
        named: dict[str, Any] = vars(value)
        return named
    fields: dict[str, Any] | None = getattr(type(value), "__dataclass_fields__", None)
    return {name: getattr(value, name) for name in fields} if fields else None
