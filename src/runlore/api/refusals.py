"""Why a request was refused, in MLflow's words.

The contract's types say what is wrong and where (``Expected `int` >= 1 - at `$.max_results` ``); MLflow's clients, their users
and their tests know other sentences for the same. This is the only place that translates.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import msgspec

from runlore.exceptions import InvalidParameter, NotFound, RunloreError

SEE = "See the API docs for more information about request parameters."
_SHOWN = 100
"""Characters of a refused value that are told back."""

_PLACE = re.compile(r"(?P<what>.*?)(?: - at `\$(?P<place>.*)`)?", re.DOTALL)
_STEP = re.compile(r"\.([^.\[]+)|\[(\d+)\]")
_MISSING = re.compile(r"Object missing required field `(?P<field>.+)`")
_TYPE = re.compile(r"Expected `(?P<expected>.+)`, got `(?P<got>.+)`")
_LENGTH = re.compile(r"Expected `(?P<type>\w+)` of length (?P<side>[<>]=) (?P<limit>\d+)")
_RANGE = re.compile(r"Expected `\w+` (?P<side>[<>]=) (?P<limit>-?\d+)")


def refusal(error: msgspec.ValidationError, values: Callable[[], Any], batch: bool = False) -> RunloreError:
    """The error to raise for what a type refused. `values` gives the whole request; `batch` says that it is a `LogBatch`."""
    found = _PLACE.fullmatch(str(error))
    assert found is not None  # the pattern matches every text
    what, place = found["what"], (found["place"] or "").removeprefix(".")
    if missing := _MISSING.fullmatch(what):
        return _missing(f"{place}.{missing['field']}" if place else missing["field"])
    value = _at(values, found["place"] or "")
    if length := _LENGTH.fullmatch(what):
        return _length(place, value, length, batch)
    if bounds := _RANGE.fullmatch(what):
        return _outside(place, value, bounds)
    if " matching regex " in what:
        return _form(place, value)
    if wrong := _TYPE.fullmatch(what):
        hint = f"Expected {wrong['expected']}. Hint: Value was of type '{type(value).__name__}'."
        return InvalidParameter(f"Invalid value {shown(value)} for parameter '{place}' supplied: {hint} {SEE}")
    return InvalidParameter(f"Invalid value {shown(value)} for parameter '{place}' supplied: {what}. {SEE}")


def shown(value: Any) -> str:
    """A value as JSON, cut to what a message can hold."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _missing(name: str) -> InvalidParameter:
    return InvalidParameter(f"Missing value for required parameter '{name}'. {SEE}")


def _length(place: str, value: Any, found: re.Match[str], batch: bool) -> InvalidParameter:
    limit, size = int(found["limit"]), len(value) if isinstance(value, str | list | dict) else 0
    if found["side"] == ">=":
        return _missing(place)
    if found["type"] == "str":
        return InvalidParameter(f"'{place}' exceeds the maximum length of {limit} characters: it has {size}.")
    if batch and place in ("metrics", "params", "tags"):
        return InvalidParameter(
            f"A batch logging request can contain at most {limit} {place}. Got {size} {place}. "
            f"Please split up {place} across multiple requests and try again."
        )
    return InvalidParameter(f"The request must specify at most {limit} {place}. Received {size} {place}. {SEE}")


def _outside(place: str, value: Any, found: re.Match[str]) -> InvalidParameter:
    limit = int(found["limit"])
    if found["side"] == "<=":
        rule = f"It must be at most {limit}"
    else:
        rule = "It must be a positive integer" if limit == 1 else f"It must be at least {limit}"
    return InvalidParameter(f"Invalid value {shown(value)} for parameter '{place}' supplied. {rule}.")


def _form(place: str, value: Any) -> RunloreError:
    """An id that none of ours can look like names nothing; the rest is a mistake in the request."""
    text = str(value)[:_SHOWN]
    if not text:
        return _missing(place)
    if place == "run_id":
        return NotFound(f"Run with id={text} not found")
    if place == "model_id":
        return NotFound(f"Logged model with ID '{text}' not found.")
    if place.startswith("experiment_id"):
        return InvalidParameter(f"Invalid experiment ID '{text}'. Experiment ID must be a valid integer.")
    if place == "version":
        kind = "a positive integer" if re.fullmatch(r"-?\d+", text) else "an integer"
        return InvalidParameter(f"Parameter 'version' must be {kind}, got '{text}'.")
    return InvalidParameter(f"Invalid value {shown(value)} for parameter '{place}' supplied: it has not the form of one. {SEE}")


def _at(values: Callable[[], Any], place: str) -> Any:
    """The value at a place such as `.metrics[3].key`; None where there is none, or none that can be read."""
    try:
        value = values()
        for name, index in _STEP.findall(place):
            value = value[int(index)] if index else value[name]
    except (LookupError, TypeError, ValueError):  # numbers of a thousand digits are a ValueError
        return None
    return value
