"""Filter and order texts to trees, by recursive descent.

    filter     = [ disjunction ]
    disjunction = conjunction { OR conjunction }            -- OR, NOT, parentheses: Runlore's grammar only
    conjunction = term { AND term }
    term       = NOT term | "(" disjunction ")" | comparison
    comparison = field ( "=" | "!=" | "<" | "<=" | ">" | ">=" | LIKE | ILIKE ) value
               | field [ NOT ] IN "(" value { "," value } ")"
               | field IS [ NOT ] NULL
    field      = [ entity "." ] key [ "@" aggregate ]

Every refusal is an `InvalidParameter` with the wrong token underlined. The words that MLflow's clients and tests look for
("Invalid clause(s) in filter string", "Invalid attribute key", "Invalid comparator" …) are used where MLflow uses them.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import cast, get_args

from runlore.exceptions import InvalidParameter
from runlore.query.ast import EVERYTHING, Aggregate, And, Comparison, Expression, Field, Kind, Not, Operator, Or, Order
from runlore.query.fields import RUN_TABLE, Subject
from runlore.query.tokens import Cursor, Token, checked
from runlore.query.values import ValueReader

MAX_CLAUSES = 50
MAX_DEPTH = 8
AGGREGATES: tuple[str, ...] = get_args(Aggregate)
DATASET_KEYS = ("name", "digest", "context")
_WORD_OPERATORS = (("LIKE",), ("ILIKE",), ("IN",), ("NOT", "IN"), ("IS", "NULL"), ("IS", "NOT", "NULL"))
_AND = "AND between comparisons (OR, NOT and parentheses are understood by /api/v1/runs/query alone)"
_CLAUSE = "Invalid clause(s) in filter string"


def parse_filter(source: str, subject: Subject) -> Expression:
    """The tree of a filter; an empty filter is true of everything. Raises `InvalidParameter`, nothing else."""
    cursor = Cursor(checked(source, "filter"), _CLAUSE)
    return EVERYTHING if cursor.token.kind == "end" else _Parser(cursor, subject).whole()


def parse_order(source: str, subject: Subject) -> Order:
    """One sort key such as `` metrics.`val loss` DESC ``. Raises `InvalidParameter`, nothing else."""
    problem = f"Invalid order_by clause {checked(source, 'order_by clause', 1_000)!r}"
    return _Parser(Cursor(source, problem), subject, ordering=True).order()


def parse_column(name: str) -> Field:
    """The field of a column of the runs table, written without quotes: `metrics.val/loss@min`. Raises `InvalidParameter`."""
    entity, dot, key = checked(name, "column", 300).partition(".")
    if not dot:
        entity, key = "attributes", entity
    kind = RUN_TABLE.entities.get(entity)
    if kind is None or kind == "dataset":
        raise InvalidParameter(f"Invalid entity type {entity!r} in column {name!r}. Use attributes, metrics, params or tags.")
    if kind == "attribute":
        attribute = RUN_TABLE.attributes.get(key)
        if attribute is None:
            raise InvalidParameter(
                f"Invalid attribute key {key!r} in column {name!r}.{nearest(key, list(RUN_TABLE.attributes))}"
            )
        return Field(kind, attribute.name)
    stem, at, aggregate = key.rpartition("@")
    if kind == "metric" and at and aggregate in AGGREGATES:
        return Field(kind, stem, cast(Aggregate, aggregate))
    return Field(kind, key)


def nearest(name: str, names: list[str]) -> str:
    """A sentence that suggests the names most like `name`, or lists all of them."""
    close = get_close_matches(name, names, n=3, cutoff=0.6)
    return f" Did you mean {' or '.join(map(repr, close))}?" if close else f" Valid keys are {sorted(names)}."


class _Parser:
    """One method a rule of the grammar. Counts comparisons and depth on the way."""

    def __init__(self, cursor: Cursor, subject: Subject, ordering: bool = False) -> None:
        self.cursor, self.subject, self.ordering = cursor, subject, ordering
        self.clauses = 0

    # -- expressions ------------------------------------------------------------------------------------------------------

    def whole(self) -> Expression:
        """The filter up to its end."""
        tree = self.disjunction(1) if self.subject.native else self.conjunction(1)
        if self.cursor.token.kind != "end":
            raise self.cursor.unexpected(self.cursor.token, "AND or OR" if self.subject.native else _AND)
        return tree

    def disjunction(self, depth: int) -> Expression:
        """Conjunctions joined by OR."""
        parts = [self.conjunction(depth)]
        while self.cursor.token.is_word("OR"):
            self.cursor.take()
            parts.append(self.conjunction(depth))
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def conjunction(self, depth: int) -> Expression:
        """Terms joined by AND."""
        parts = [self.term(depth)]
        while self.cursor.token.is_word("AND"):
            self.cursor.take()
            parts.append(self.term(depth))
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def term(self, depth: int) -> Expression:
        """One comparison, or something in parentheses or after NOT."""
        if self.subject.native and (self.cursor.token.is_mark("(") or self.cursor.token.is_word("NOT")):
            if depth >= MAX_DEPTH:
                raise self.cursor.error(self.cursor.token, f"The filter is nested more than {MAX_DEPTH} levels deep.")
            if self.cursor.take().is_word("NOT"):
                return Not(self.term(depth + 1))
            inner = self.disjunction(depth + 1)
            if not self.cursor.token.is_mark(")"):
                raise self.cursor.unexpected(self.cursor.token, "a closing parenthesis")
            self.cursor.take()
            return inner
        self.clauses += 1
        if self.clauses > MAX_CLAUSES:
            raise self.cursor.error(self.cursor.token, f"The filter has more than {MAX_CLAUSES} comparisons.")
        return self.comparison()

    def comparison(self) -> Comparison:
        """A field, an operator and what it is compared with."""
        start = self.cursor.position
        field = self.field()
        first, last = self.cursor.tokens[start], self.cursor.last
        operator = self.operator(field, first, last)
        reader = ValueReader(self.cursor, self.subject, field)
        if operator in ("IS NULL", "IS NOT NULL"):
            return Comparison(field, operator)
        value = reader.listed() if operator in ("IN", "NOT IN") else reader.single(operator)
        return Comparison(field, operator, value, or_missing=self.subject.native and operator in ("!=", "NOT IN"))

    def operator(self, field: Field, first: Token, last: Token) -> Operator:
        """The operator, when the field allows it."""
        start = self.cursor.token
        name = self.symbol()
        if name is None:
            after = self.cursor.source[first.start : last.end][:100]
            raise self.cursor.unexpected(start, f"a comparator (=, LIKE, IN, IS NULL …) after {after!r}")
        allowed = self.allowed(field)
        if name not in allowed:
            raise self.cursor.error(start, self.bad_operator(field, name, allowed), self.cursor.last)
        return name

    def symbol(self) -> str | None:
        """The comparator that comes next, in canonical form; known or not."""
        if self.cursor.token.kind == "operator":
            return self.cursor.take().text
        for words in _WORD_OPERATORS:
            if self.cursor.words(*words):
                return " ".join(words)
        return None

    def allowed(self, field: Field) -> tuple[Operator, ...]:
        """Operators that the field can be compared with."""
        if field.kind == "attribute":
            return self.subject.attributes[field.key].operators
        return self.subject.operators[field.kind]

    def bad_operator(self, field: Field, name: str, allowed: tuple[Operator, ...]) -> str:
        """Why an operator is refused, in MLflow's words for this kind of object."""
        choice = ", ".join(allowed)
        if self.subject.noun == "logged models":
            return f"Invalid comparison operator for {field.kind}s.{field.key}: '{name}'. Expected one of {choice}."
        if name in ("IS NULL", "IS NOT NULL"):
            where = "tags and params" if "param" in self.subject.operators else "tags"
            return f"IS NULL / IS NOT NULL is only supported for {where}, not for {field.kind} '{field.key}'."
        if self.subject.noun == "runs":
            return f"Invalid comparator '{name}' not one of {choice} (the ones for {field.kind} '{field.key}')."
        return f"Invalid comparator for {field.kind}: {name}. '{field.key}' takes one of {choice}."

    # -- fields -----------------------------------------------------------------------------------------------------------

    def field(self) -> Field:
        """`entity.key`, or the bare key of an attribute, with quotes taken off and aliases resolved."""
        first = self.cursor.take()
        if first.is_word("AND", "OR", "NOT", "LIKE", "ILIKE", "IN", "IS") or first.kind in ("end", "operator", "mark"):
            raise self.cursor.unexpected(first, "a field such as metrics.loss")
        entity, key = self.split(first)
        kind = self.kind(first, entity)
        if kind == "attribute":
            return Field(kind, self.attribute(first, key))
        if kind == "dataset" and key not in DATASET_KEYS:
            message = f"Invalid dataset key '{key}' specified.{nearest(key, list(DATASET_KEYS))}"
            raise self.cursor.error(first, message, self.cursor.last)
        return Field(kind, key, self.aggregate(kind))

    def split(self, first: Token) -> tuple[str, str]:
        """Entity type and key as written, without quotes. The entity type of a bare key is "attribute"."""
        if first.kind == "number" or first.text.startswith("'"):
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
            raise self.cursor.error(token, message, self.cursor.last)
        return valid[key].name

    def aggregate(self, kind: Kind) -> Aggregate:
        """The aggregate after `@`, "last" when there is none."""
        if not (self.subject.native and self.cursor.adjacent() and self.cursor.token.is_mark("@")):
            return "last"
        mark = self.cursor.take()
        name = self.cursor.take()
        if kind != "metric" or name.text not in AGGREGATES or mark.end != name.start:
            raise self.cursor.error(
                mark, f"Invalid aggregate '{name.text}'. A metric can be followed by @{', @'.join(AGGREGATES)}.", name
            )
        return cast(Aggregate, name.text)

    # -- order ------------------------------------------------------------------------------------------------------------

    def order(self) -> Order:
        """A field and a direction."""
        if self.cursor.token.kind == "end":
            raise InvalidParameter(f"{self.cursor.problem}: it is empty.")
        start = self.cursor.token
        field = self.field()
        if field.kind not in self.subject.orderable:
            raise self.cursor.error(
                start, f"Invalid order_by entity '{field.kind}'. {self.subject.noun.capitalize()} can not be ordered by it."
            )
        direction = self.cursor.take()
        if direction.kind == "word" and not direction.is_word("ASC", "DESC"):
            message = f"Invalid ordering key in order_by clause {self.cursor.source!r}. Use ASC or DESC."
            raise self.cursor.error(direction, message)
        rest = self.cursor.take()
        if direction.kind not in ("word", "end") or rest.kind != "end":
            wrong = rest if direction.kind == "word" else direction
            raise self.cursor.unexpected(wrong, "ASC or DESC and nothing after it")
        return Order(field, direction.is_word("DESC"))
