"""Keys and values: what a name may be, and the bounds of those that come in a list, which the contract's types leave open."""

from __future__ import annotations

import posixpath
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from typing import Protocol

from runlore.exceptions import InvalidParameter

MAX_KEY, MAX_PARAM_VALUE, MAX_TAG_VALUE = 250, 6_000, 8_000


class Pair(Protocol):
    """A tag or param of any noun."""

    @property
    def key(self) -> str:
        """Unique in its object."""
        ...

    @property
    def value(self) -> str:
        """Text."""
        ...


@lru_cache(10_000)
def checked_name(name: str, parameter: str = "key") -> str:
    """The name of a param, metric or tag, if it is one. `parameter` is what the request calls it.

    Names that mean another place as a path (`../x`, `a//b`) are refused in MLflow's words, so that every name can become a
    file, and control characters are. Other characters, `recall@5`, are allowed: MLflow refuses many of them.
    """
    place = posixpath.normpath(name)
    if place != name or place == "." or place.startswith(("..", "/")):
        raise InvalidParameter(
            f"Invalid value \"{name[:100]}\" for parameter '{parameter}' supplied: Names may be treated as files in certain "
            f"cases, and must not resolve to other names when treated as such. This name would resolve to '{place[:100]}'"
        )
    if not name.isprintable() and any(unicodedata.category(letter) == "Cc" for letter in name):
        raise InvalidParameter(
            f"Invalid value {name[:100]!r} for parameter '{parameter}' supplied: Names may not contain control characters."
        )
    return name


def checked_tags(tags: Iterable[Pair]) -> dict[str, str]:
    """Tags by key; of a key that comes twice the last value stays. Raises `InvalidParameter` for one that is too long."""
    return {tag.key: _checked("tag", tag, MAX_TAG_VALUE) for tag in tags}


def checked_params(params: Iterable[Pair]) -> dict[str, str]:
    """Params by key. Raises `InvalidParameter` for one that is too long, and for two values of one key."""
    found: dict[str, str] = {}
    for param in params:
        value = _checked("param", param, MAX_PARAM_VALUE)
        if found.setdefault(param.key, value) != value:
            raise InvalidParameter(f"Duplicate parameter keys have been submitted: {param.key!r} has two values.")
    return found


def _checked(kind: str, pair: Pair, limit: int) -> str:
    if not 1 <= len(pair.key) <= MAX_KEY:
        raise InvalidParameter(f"A {kind} key must have 1 to {MAX_KEY} characters; {pair.key[:100]!r} has {len(pair.key)}.")
    if len(pair.value) > limit:
        raise InvalidParameter(f"The value of {kind} {pair.key!r} has {len(pair.value):,} characters; the limit is {limit:,}.")
    return pair.value
