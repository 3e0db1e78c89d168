"""The base of every Struct that travels: immutable, keyword-only, compared by value."""

from __future__ import annotations

from typing import Any, dataclass_transform

import msgspec


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(msgspec.field,))
class ValueMeta(msgspec.StructMeta):
    """Tells type checkers what the base Structs below hand down: frozen and keyword-only."""


class Value(msgspec.Struct, metaclass=ValueMeta, frozen=True, kw_only=True, omit_defaults=True):
    """Base of every Struct that travels: immutable, keyword-only, compared by value, defaults left out of JSON."""


class Entity(Value):
    """Base of all nouns and replies."""

    def to_dictionary(self) -> dict[str, Any]:
        """The wire form as plain Python values."""
        result: dict[str, Any] = msgspec.to_builtins(self)
        return result


class Empty(Entity):
    """The answer of an operation that has nothing to say but "done"."""
