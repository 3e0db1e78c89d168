"""What stands to the right of an operator: quoted texts, numbers, lists of them."""

from __future__ import annotations

import re
from typing import Any

from runlore.exceptions import InvalidParameter
from runlore.query.ast import Field, Operator, Value
from runlore.query.fields import NUMBERS, Subject
from runlore.query.regex import regex
from runlore.query.tokens import Cursor, Token
from runlore.query.units import SIZE_UNITS, SPAN_UNITS, is_day, milliseconds, moment, size

MAX_PATTERN = 256
"""Characters in a LIKE pattern or a regular expression."""
_NUMBER = re.compile(r"[-+]?(?:\d++\.?\d*+|\.\d++)(?:[eE][-+]?\d++)?\Z", re.ASCII)
_EXACT = 2**53
"""Above this, different whole numbers are equal as floats: long digit strings are compared as text."""
_WORDS = {"param": "parameter", "attribute": "attributes", "dataset": "dataset attributes"}


class ValueReader:
    """Reads the value of one comparison; which values are fit depends on the field. `now` (Unix ms) is what ages count from."""

    def __init__(self, cursor: Cursor, subject: Subject, field: Field, now: int) -> None:
        self.cursor, self.subject, self.field, self.now = cursor, subject, field, now
        self.native = subject.native
        self.attribute = subject.attributes[field.key] if field.kind == "attribute" else None
        self.form = self.attribute.form if self.attribute else ("number" if field.kind == "metric" else "text")

    def single(self, operator: Operator) -> Value:
        """The value after a comparator."""
        token = self.token("a value")
        if operator not in ("LIKE", "ILIKE", "~", "!~"):
            return self.value(token)
        pattern = self.text(token)
        if len(pattern) > MAX_PATTERN:
            raise self.cursor.error(token, f"The pattern has {len(pattern)} characters; at most {MAX_PATTERN} are allowed.")
        if operator in ("~", "!~"):
            try:
                regex(pattern)
            except InvalidParameter as error:
                raise self.cursor.error(token, error.message) from None
        return pattern

    def day(self) -> bool:
        """True when the value read last is a date without a time, which stands for the whole day."""
        token = self.cursor.last
        return self.form == "time" and is_day(token.text[1:-1] if token.kind == "text" else token.text)

    def listed(self) -> tuple[str, ...] | tuple[float, ...]:
        """The values in parentheses after IN."""
        cursor, name = self.cursor, self.field.key
        opening = cursor.take()
        what = "While parsing a list in the query, expected a non-empty list of string values, but got"
        if not opening.is_mark("("):
            raise cursor.error(opening, f"{what} '{opening.text[:100]}'. Write {name} IN ('a', 'b').")
        values: list[Any] = []
        while not cursor.token.is_mark(")"):
            token = cursor.take()
            known = ("text", "number", "span", "date", "word") if self.native and self.form != "text" else ("text", "number")
            if token.kind not in known or (token.kind == "number" and not self.native):
                found = "different type in list" if token.kind in ("number", "word", "tick") else "ill-formed list"
                raise cursor.error(token, f"{what} {found}: '{token.text[:100]}'.")
            values.append(self.value(token, in_list=True))
            if self.day():
                raise cursor.error(
                    token, f"A list can not hold whole days. Write {name} BETWEEN two dates, or join days by OR."
                )
            if cursor.token.is_mark(","):
                cursor.take()
            elif not cursor.token.is_mark(")"):
                raise cursor.error(cursor.token, f"{what} ill-formed list: a comma or a closing parenthesis is missing.")
        if not values:
            raise cursor.error(opening, f"{what} empty list.", cursor.token)
        cursor.take()
        if self.native and self.field.kind == "param":
            numbers = [_as_number(value, quoted=True) for value in values]
            values = numbers if all(isinstance(number, float) for number in numbers) else values
        return tuple(values)

    # -- one value ----------------------------------------------------------------------------------------------------------

    def token(self, expected: str) -> Token:
        """The next token, when it can be a value at all."""
        token = self.cursor.take()
        if token.kind in ("end", "operator") or token.text in (")", ",", "@"):
            raise self.cursor.unexpected(token, expected)
        if token.is_mark("("):
            message = f"Expected a quoted string value for {self.kind}. Got value '('. A list goes with IN."
            raise self.cursor.error(token, message)
        return token

    @property
    def kind(self) -> str:
        """What MLflow calls the kind of the field in its messages."""
        return _WORDS.get(self.field.kind, self.field.kind)

    def value(self, token: Token, in_list: bool = False) -> str | int | float:
        """One value in the form of the field."""
        if self.native and token.kind != "number" and self.form in ("time", "duration"):
            return self.time(token)
        if self.native and token.kind == "span" and self.field.kind in ("metric", "param"):
            return self.size(token)
        if self.form in NUMBERS:
            return self.number(token)
        if self.form == "integer":
            return self.integer(token)
        if self.form == "id":
            return self.identifier(token)
        if self.native and self.field.kind == "param" and not in_list:
            text = token.text if token.kind == "number" else self.text(token)
            return _as_number(text, quoted=token.kind != "number")
        if self.native and token.kind == "number" and self.field.kind in ("param", "tag"):
            return token.text
        return self.text(token, in_list)

    def text(self, token: Token, in_list: bool = False) -> str:
        """The text between quotes."""
        if token.kind == "text":
            inner, quote = token.text[1:-1], token.text[0]
            if self.native:
                return inner.replace("\\" + quote, quote).replace(quote * 2, quote)
            return re.sub(r"\\(['\"\\])", r"\1", inner) if in_list else inner
        if token.kind == "number":
            registry = self.subject.noun in ("registered models", "model versions") and self.field.kind == "attribute"
            choice = " or a list of quoted string values" if registry else ""
            message = f"Expected a quoted string value{choice} for {self.kind} (e.g. 'my-value'). Got value {token.text}."
        else:
            message = (
                "Parameter value is either not quoted or unidentified quote types used for string value "
                f"{token.text[:100]}. Use single or double quotes."
            )
        raise self.cursor.error(token, message)

    def number(self, token: Token) -> int | float:
        """A number: whole ones stay exact for attributes, which are stored as integers."""
        if token.kind != "number":
            what = "metric" if self.field.kind == "metric" else f"numeric attribute: {self.field.key}"
            raise self.cursor.error(token, f"Expected numeric value type for {what}. Found {token.text[:100]}.")
        if self.field.kind == "attribute" and (whole := _as_integer(token.text)) is not None:
            return whole
        return float(token.text)

    def time(self, token: Token) -> int:
        """A date, an age or a span, in milliseconds. They may be quoted."""
        text = token.text[1:-1] if token.kind == "text" else token.text
        found = moment(text, self.now) if self.form == "time" else milliseconds(text)
        if found is None:
            forms = "a date (2026-01-31, '2026-01-31 18:00'), an age (-7d), now or Unix milliseconds"
            forms = forms if self.form == "time" else "a span (90s, 2h, 1h30m) or milliseconds"
            message = f"Expected {forms} for {self.field.key}. Found {token.text[:100]}. Units are {SPAN_UNITS}."
            raise self.cursor.error(token, message)
        return found

    def size(self, token: Token) -> float:
        """A number with a unit of bytes."""
        found = size(token.text)
        if found is None:
            what = f"{self.kind} '{self.field.key}'"
            hint = " Write text in quotes." if self.field.kind == "param" else ""
            raise self.cursor.error(token, f"'{token.text[:100]}' is no number for {what}. Units are {SIZE_UNITS}.{hint}")
        return found

    def integer(self, token: Token) -> int:
        """A whole number."""
        text = token.text
        if token.kind == "text" and self.attribute and self.attribute.quotable:
            text = text[1:-1]
        elif token.kind != "number":
            return int(self.number(token))
        whole = _as_integer(text)
        if whole is None:
            raise self.cursor.error(
                token, f"Invalid value for numeric attribute '{self.field.key}': {text[:100]!r}. Use a whole number."
            )
        return whole

    def identifier(self, token: Token) -> int:
        """The decimal number of an object, in quotes."""
        text = token.text if self.native and token.kind == "number" else self.text(token)
        if not re.fullmatch(r"[0-9]{1,18}", text):
            raise self.cursor.error(token, f"Invalid value for {self.field.key}: {text[:100]!r}. Use decimal digits in quotes.")
        return int(text)


def _as_integer(text: str) -> int | None:
    """The whole number that fits in 64 bits, if the text is one."""
    if not re.fullmatch(r"[-+]?[0-9]{1,19}", text):
        return None
    whole = int(text)
    return whole if -(2**63) <= whole < 2**63 else None


def _as_number(text: str, quoted: bool) -> str | float:
    """A param's text as a number where that loses nothing."""
    if not _NUMBER.match(text):
        return text
    number = float(text)
    exact = abs(number) <= _EXACT or not re.fullmatch(r"[-+]?\d+", text)
    return number if not quoted or (exact and abs(number) != float("inf")) else text
