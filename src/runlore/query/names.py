"""Names of fields: entity types, keys in and without quotes, aliases, aggregates; and suggestions for names that are wrong."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import cast, get_args

from runlore.query.ast import Aggregate, Field, Kind
from runlore.query.fields import Subject
from runlore.query.tokens import Cursor, Token

AGGREGATES: tuple[str, ...] = tuple(word for word in get_args(Aggregate) if word != "step")
DATASET_KEYS = ("name", "digest", "context")
NOTE_TAG = "mlflow.note.content"
"""The tag that is the note of a run or experiment."""
NOTE_WORDS = ("notes", "note")
"""What a note is called in filters and as a column."""


def nearest(name: str, names: list[str]) -> str:
    """A sentence that suggests the names most like `name`, or lists all of them."""
    close = get_close_matches(name, names, n=3, cutoff=0.6)
    return f" Did you mean {' or '.join(map(repr, close))}?" if close else f" Valid keys are {sorted(names)}."


class FieldReader:
    """Reads the field that comes next."""

    def __init__(self, cursor: Cursor, subject: Subject, ordering: bool = False) -> None:
        self.cursor, self.subject, self.ordering = cursor, subject, ordering

    def held(self) -> Field:
        """What follows HAS: a field, or an entity type and a key (`HAS tag best`)."""
        word = self.cursor.token
        kind = self.subject.entities.get(word.text.lower()) if word.kind == "word" else None
        if kind is None or kind in ("attribute", "dataset"):
            return self.field()
        self.cursor.take()
        key = self.cursor.take()
        if key.kind not in ("word", "text", "tick"):
            raise self.cursor.unexpected(key, f"the key of a {kind}")
        return Field(kind, key.text if key.kind == "word" else key.text[1:-1])

    def field(self) -> Field:
        """`entity.key`, or the bare key of an attribute, with quotes taken off and aliases resolved."""
        first = self.cursor.take()
        if first.is_word("AND", "OR", "NOT", "LIKE", "ILIKE", "IN", "IS", "BETWEEN") or first.kind in (
            "end",
            "operator",
            "mark",
        ):
            raise self.cursor.unexpected(first, "a field such as metrics.loss")
        entity, key = self.split(first)
        kind = self.kind(first, entity)
        if self.subject.native and kind == "attribute" and key in NOTE_WORDS:
            return Field("tag", NOTE_TAG)
        if kind == "attribute":
            return Field(kind, self.attribute(first, key))
        if kind == "dataset" and key not in DATASET_KEYS:
            message = f"Invalid dataset key '{key}' specified.{nearest(key, list(DATASET_KEYS))}"
            raise self.cursor.error(first, message, self.cursor.last)
        return Field(kind, key, *self.aggregate(kind))

    def split(self, first: Token) -> tuple[str, str]:
        """Entity type and key as written, without quotes. The entity type of a bare key is "attribute"."""
        if first.kind in ("number", "date") or first.text.startswith("'"):
            raise self.cursor.error(first, f"Invalid comparison clause. Expected 'Identifier' found '{first.text[:100]}'.")
        if first.kind in ("tick", "text"):
            word = first.text[1:-1]
            if "." in word and not self.subject.native and word not in self.subject.attributes:
                raise self.cursor.error(first, f"Invalid entity type {first.text[:100]!r}. Quote the key alone: metrics.`a b`.")
            if not (self.cursor.adjacent() and self.cursor.token.kind == "word" and self.cursor.token.text.startswith(".")):
                return "attribute", word
            rest = self.cursor.take()
            return word, rest.text[1:] or self.quoted_key(rest)
        if first.text.startswith("."):
            raise self.cursor.unexpected(first, "a field such as metrics.loss")
        entity, dot, key = first.text.partition(".")
        if not dot:
            return "attribute", entity
        return entity, key or self.quoted_key(first)

    def quoted_key(self, dotted: Token) -> str:
        """The key in quotes that follows `entity.`."""
        if not (self.cursor.adjacent() and self.cursor.token.kind in ("tick", "text")):
            raise self.cursor.unexpected(
                self.cursor.token if self.cursor.token.kind != "end" else dotted, f"a key after {dotted.text!r}"
            )
        return self.cursor.take().text[1:-1]

    def kind(self, token: Token, entity: str) -> Kind:
        """The entity type that a spelling means."""
        kind = self.subject.entities.get(entity)
        if kind is None:
            close = get_close_matches(entity, list(self.subject.entities), n=1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise self.cursor.error(
                token, f"Invalid entity type '{entity[:100]}'. Valid values are {self.subject.names()}.{hint}"
            )
        return kind

    def attribute(self, token: Token, key: str) -> str:
        """The canonical name of an attribute."""
        usable = "orderable" if self.ordering else "filterable"
        valid = {name: item for name, item in self.subject.attributes.items() if getattr(item, usable)}
        if key not in valid:
            word = "order by" if self.ordering and self.subject.noun == "registered models" else "attribute"
            message = f"Invalid {word} key '{key[:100]}' specified.{nearest(key, list(valid))}"
            if token.text == key and {"metrics", "params"} <= self.subject.entities.keys():
                message += f" A metric is written metrics.{key[:100]}, a param params.{key[:100]}."
            raise self.cursor.error(token, message, self.cursor.last)
        return valid[key].name

    def aggregate(self, kind: Kind) -> tuple[Aggregate, int]:
        """The aggregate after `@`, "last" when there is none, and the step that belongs to "step"."""
        if not (self.subject.native and self.cursor.adjacent() and self.cursor.token.is_mark("@")):
            return "last", 0
        mark = self.cursor.take()
        name = self.cursor.take()
        if kind == "metric" and name.text == "step" and mark.end == name.start:
            return "step", self.step(name)
        if kind != "metric" or name.text not in AGGREGATES or mark.end != name.start:
            message = f"Invalid aggregate '{name.text}'. A metric can be followed by @{', @'.join(AGGREGATES)} or @step(1000)."
            raise self.cursor.error(mark, message, name)
        return cast(Aggregate, name.text), 0

    def step(self, name: Token) -> int:
        """The number in parentheses after `@step`."""
        opening, number, closing = self.cursor.take(), self.cursor.take(), self.cursor.take()
        if not (opening.is_mark("(") and closing.is_mark(")") and re.fullmatch(r"[-+]?[0-9]{1,18}", number.text)):
            raise self.cursor.error(name, "@step takes a whole number in parentheses: metrics.loss@step(1000).", number)
        if self.ordering:
            raise self.cursor.error(name, "Runs can not be ordered by the value at a step.", closing)
        return int(number.text)
