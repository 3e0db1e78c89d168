"""The base of every Struct that travels: immutable, keyword-only, compared by value."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, dataclass_transform

import msgspec


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(msgspec.field,))
class ValueMeta(msgspec.StructMeta):
    """Tells type checkers what the base Structs below hand down: frozen and keyword-only."""


class Value(msgspec.Struct, metaclass=ValueMeta, frozen=True, kw_only=True, omit_defaults=True):
    """Base of every Struct that travels: immutable, keyword-only, compared by value, defaults left out of JSON."""


class Entity(Value):
    """Base of all nouns and replies. `dict(entity)` gives what it can be asked for by name, in order of the names."""

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        """Every public attribute with its value, as MLflow's entities give them."""
        fields = (name for name in self.__struct_fields__ if not name.endswith("_list"))  # those are read by a property
        properties = (name for name in dir(type(self)) if isinstance(getattr(type(self), name, None), property))
        for name in sorted({*fields, *properties}):
            if not name.startswith("_"):
                yield name, getattr(self, name)

    def to_dictionary(self) -> dict[str, Any]:
        """The wire form as plain Python values."""
        result: dict[str, Any] = msgspec.to_builtins(self)
        return result


class Empty(Entity):
    """The answer of an operation that has nothing to say but "done"."""
