"""Filter and order texts to trees, by recursive descent.

    filter     = [ disjunction ]
    disjunction = conjunction { OR conjunction }            -- OR, NOT, parentheses: Runlore's grammar only
    conjunction = term { AND term }
    term       = NOT term | "(" disjunction ")" | kinship | comparison
    kinship    = CHILD OF run id | HAS CHILD "(" disjunction ")" | PARENT MATCHES "(" disjunction ")"      -- Runlore's alone
    comparison = field ( "=" | "!=" | "<" | "<=" | ">" | ">=" | LIKE | ILIKE | "~" | "!~" ) value
               | field [ NOT ] IN "(" value { "," value } ")"
               | field [ NOT ] BETWEEN value AND value                                                     -- Runlore's alone
               | field IS [ NOT ] NULL | HAS field | HAS entity key                                        -- HAS: the same
    field      = [ entity "." ] key [ "@" ( aggregate | step "(" number ")" ) ]                            -- "@": the same

Every refusal is an `InvalidParameter` with the wrong token underlined. The words that MLflow's clients and tests look for
("Invalid clause(s) in filter string", "Invalid attribute key", "Invalid comparator" …) are used where MLflow uses them.
"""

from __future__ import annotations

import re
import time
from difflib import get_close_matches
from typing import Any, cast

from runlore.exceptions import InvalidParameter
from runlore.query.ast import (
    EVERYTHING,
    Aggregate,
    And,
    ChildOf,
    Comparison,
    Expression,
    Field,
    HasChild,
    Not,
    Operator,
    Or,
    Order,
    ParentMatches,
)
from runlore.query.fields import RUN_TABLE, Subject
from runlore.query.names import AGGREGATES, NOTE_TAG, NOTE_WORDS, FieldReader, nearest
from runlore.query.tokens import Cursor, Token, checked
from runlore.query.units import DAY
from runlore.query.values import ValueReader

MAX_CLAUSES = 50
MAX_DEPTH = 8
_WORD_OPERATORS = (
    ("LIKE",), ("ILIKE",), ("IN",), ("NOT", "IN"), ("BETWEEN",), ("NOT", "BETWEEN"), ("IS", "NULL"), ("IS", "NOT", "NULL"),
)  # fmt: skip
_AND = "AND between comparisons (OR, NOT and parentheses are understood under /api/v1 alone)"
_CLAUSE = "Invalid clause(s) in filter string"


def parse_filter(source: str, subject: Subject, now: int | None = None) -> Expression:
    """The tree of a filter; an empty filter is true of everything. Ages (`-7d`) count from `now` in Unix milliseconds.

    Raises `InvalidParameter`, and `MissingDependency` for a regular expression where RE2 is not installed; nothing else.
    """
    cursor = Cursor(checked(source, "filter"), _CLAUSE)
    if cursor.token.kind == "end":
        return EVERYTHING
    return _Parser(cursor, subject, now=time.time_ns() // 1_000_000 if now is None else now).whole()


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
    if kind == "attribute" and key in NOTE_WORDS:
        return Field("tag", NOTE_TAG)
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


class _Parser:
    """One method a rule of the grammar. Counts comparisons and depth on the way."""

    def __init__(self, cursor: Cursor, subject: Subject, ordering: bool = False, now: int = 0) -> None:
        self.cursor, self.subject, self.now = cursor, subject, now
        self.fields = FieldReader(cursor, subject, ordering)
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
        if self.subject.native:
            if self.cursor.token.is_mark("("):
                return self.group(depth)
            if self.cursor.token.is_word("NOT"):
                self.deepen(depth)
                self.cursor.take()
                return Not(self.term(depth + 1))
        self.clauses += 1
        if self.clauses > MAX_CLAUSES:
            raise self.cursor.error(self.cursor.token, f"The filter has more than {MAX_CLAUSES} comparisons.")
        kinship = self.kinship(depth) if self.subject.native else None
        return kinship or self.comparison()

    def deepen(self, depth: int) -> None:
        """Refuse what is nested too deep."""
        if depth >= MAX_DEPTH:
            raise self.cursor.error(self.cursor.token, f"The filter is nested more than {MAX_DEPTH} levels deep.")

    def group(self, depth: int) -> Expression:
        """A disjunction in parentheses."""
        self.deepen(depth)
        opening = self.cursor.take()
        if not opening.is_mark("("):
            raise self.cursor.unexpected(opening, "an opening parenthesis")
        inner = self.disjunction(depth + 1)
        if not self.cursor.token.is_mark(")"):
            raise self.cursor.unexpected(self.cursor.token, "a closing parenthesis")
        self.cursor.take()
        return inner

    def kinship(self, depth: int) -> Expression | None:
        """A term that begins with a word of its own, if one comes next."""
        if self.cursor.words("CHILD", "OF"):
            token = self.cursor.take()
            if token.kind != "text" or not re.fullmatch("[0-9a-fA-F]{32}", token.text[1:-1]):
                raise self.cursor.error(token, "CHILD OF takes the id of a run: 32 hexadecimal digits in quotes.")
            return ChildOf(token.text[1:-1].lower())
        if self.cursor.words("HAS", "CHILD"):
            return HasChild(self.group(depth))
        if self.cursor.words("PARENT", "MATCHES"):
            return ParentMatches(self.group(depth))
        if self.cursor.words("HAS"):
            return Comparison(self.fields.held(), "IS NOT NULL")
        return None

    def comparison(self) -> Expression:
        """A field, an operator and what it is compared with."""
        start = self.cursor.position
        field = self.fields.field()
        first, last = self.cursor.tokens[start], self.cursor.last
        operator = self.operator(field, first, last)
        if operator in ("IS NULL", "IS NOT NULL"):
            return Comparison(field, cast(Operator, operator))
        reader = ValueReader(self.cursor, self.subject, field, self.now)
        if operator in ("IN", "NOT IN"):
            return self.compared(field, operator, reader.listed())
        if operator in ("BETWEEN", "NOT BETWEEN"):
            return self.between(field, operator, reader)
        return self.compared(field, operator, reader.single(cast(Operator, operator)), reader.day())

    def compared(self, field: Field, operator: str, value: Any, day: bool = False) -> Expression:
        """The comparison. A date without a time stands for its whole day: `>` is after it, `<=` up to its end."""
        if day and operator in ("=", "!="):
            inside = And((Comparison(field, ">=", value), Comparison(field, "<", value + DAY)))
            return inside if operator == "=" else Not(inside)
        if day and operator in (">", "<="):
            operator, value = {">": ">=", "<=": "<"}[operator], value + DAY
        negative = operator in ("!=", "NOT IN", "!~")
        return Comparison(field, cast(Operator, operator), value, or_missing=self.subject.native and negative)

    def between(self, field: Field, operator: str, reader: ValueReader) -> Expression:
        """Both ends belong to the range."""
        low = reader.single(">=")
        lower = self.compared(field, ">=", low, reader.day())
        if not self.cursor.words("AND"):
            raise self.cursor.unexpected(self.cursor.token, "AND and the upper end of BETWEEN")
        high = reader.single("<=")
        if isinstance(low, str) != isinstance(high, str):
            raise self.cursor.error(self.cursor.last, "BETWEEN takes two numbers or two texts.")
        inside = And((lower, self.compared(field, "<=", high, reader.day())))
        return inside if operator == "BETWEEN" else Not(inside)

    def operator(self, field: Field, first: Token, last: Token) -> str:
        """The operator, when the field allows it. BETWEEN goes with what can be greater and less."""
        start = self.cursor.token
        name = self.symbol()
        if name is None:
            after = self.cursor.source[first.start : last.end][:100]
            close = get_close_matches(start.text.upper(), [words[0] for words in _WORD_OPERATORS], n=1)
            hint = f"; did you mean {close[0]}?" if close else ""
            raise self.cursor.unexpected(start, f"a comparator (=, LIKE, IN, IS NULL …) after {after!r}{hint}")
        allowed = self.allowed(field)
        between = self.subject.native and name.endswith("BETWEEN") and ">=" in allowed
        if name not in allowed and not between:
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

    # -- order ------------------------------------------------------------------------------------------------------------

    def order(self) -> Order:
        """A field and a direction."""
        if self.cursor.token.kind == "end":
            raise InvalidParameter(f"{self.cursor.problem}: it is empty.")
        start = self.cursor.token
        field = self.fields.field()
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
