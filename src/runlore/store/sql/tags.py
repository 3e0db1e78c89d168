"""Keys and values that come in a list: the contract's field types bound single ones, these functions bound the listed."""

from __future__ import annotations

from collections.abc import Iterable
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
