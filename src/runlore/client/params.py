"""Params in the forms that people have them: nested dictionaries, dataclasses, the result of argparse, and long texts."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from typing import Any

from runlore.api.runs import ParamEntry
from runlore.client.base import MAX_PARAM, key_text, param_text
from runlore.exceptions import InvalidParameter
from runlore.settings import read_settings

LONGEST_PARAM = 100_000
"""Characters of a param that Runlore's store keeps; MLflow's keeps the first 6,000 of them."""
logger = logging.getLogger("runlore")

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


def param_entry(key: Any, value: Any) -> ParamEntry:
    """A param as it is sent. Values beyond 100,000 characters are cut, with a warning.

    Who has set `RUNLORE_TRUNCATE_LONG_VALUES` gets MLflow's limit of 6,000: "true" cuts, with a warning, "false" refuses.
    """
    name, text = key_text(key, "param"), str(value)
    if len(text) <= MAX_PARAM or read_settings().truncate_long_values is not None:
        return ParamEntry(key=name, value=param_text(name, text, cut=True))
    if len(text) > LONGEST_PARAM:
        logger.warning(
            "Param value of %r, %r… (%d characters), is truncated to %d characters. hint: log_text stores it whole.",
            name, text[:40], len(text), LONGEST_PARAM,
        )  # fmt: skip
    return ParamEntry(key=name, value=text[:MAX_PARAM], rest=text[MAX_PARAM:LONGEST_PARAM])


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
