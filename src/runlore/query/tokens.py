"""Cuts a filter into tokens and draws the line under the one that is wrong."""

from __future__ import annotations

import re
from typing import Literal

import msgspec

from runlore.exceptions import InvalidParameter

MAX_FILTER = 8_192
"""Characters in a filter."""

TokenKind = Literal["date", "number", "text", "tick", "span", "word", "operator", "mark", "end"]

# Quotes as MLflow reads them: doubled or after a backslash they do not end the text. Words may hold dots, dashes, slashes and
# colons (`metrics.val/loss`); a word that begins with a dot continues a quoted entity type (`` `metrics`.loss ``). Digits are
# taken all or none (`++`): trying fewer of them would take quadratic time.
_TOKEN = re.compile(
    r"""\s*(?:
      (?P<date>\d{4}-\d\d-\d\d(?:T[\d:.]++(?:Z|[-+]\d\d:?\d\d)?)?(?![\w.\-/:]))
    | (?P<number>[-+]?(?:\d++\.?\d*+|\.\d++)(?:[eE][-+]?\d++)?(?![\w.]))
    | (?P<text>'(?:''|\\'|[^'])*'|"(?:""|\\"|[^"])*")
    | (?P<tick>`[^`]*`)
    | (?P<span>[-+]?(?:\d++(?:\.\d++)?[A-Za-z]++)++(?![\w.\-/:]))
    | (?P<word>[\w.][\w.\-/:]*)
    | (?P<operator>==|<>|!=|<=|>=|!~|[=<>~])
    | (?P<mark>[(),@])
    )""",
    re.VERBOSE,
)


class Token(msgspec.Struct, frozen=True):
    """A piece of the filter: `text` is as written, quotes included."""

    kind: TokenKind
    text: str
    start: int
    end: int

    def is_word(self, *words: str) -> bool:
        """True for one of these keywords, in any letter case."""
        return self.kind == "word" and self.text.upper() in words

    def is_mark(self, mark: str) -> bool:
        """True for this punctuation mark."""
        return self.kind == "mark" and self.text == mark


def checked(source: str, what: str, limit: int = MAX_FILTER) -> str:
    """The text itself, when it is short enough and can be stored by both databases."""
    if len(source) > limit:
        raise InvalidParameter(f"The {what} has {len(source)} characters; at most {limit} are allowed.")
    if "\x00" in source:
        raise InvalidParameter(f"The {what} contains a NUL character, which no stored text can contain.")
    if not source.isascii() and any("\ud800" <= character <= "\udfff" for character in source):
        raise InvalidParameter(f"The {what} is not valid Unicode: it contains half of a surrogate pair.")
    return source


class Cursor:
    """The tokens of one text and how many of them are read.

    `problem` begins the message when the text does not fit the grammar at all ("Invalid clause(s) in filter string").
    """

    def __init__(self, source: str, problem: str) -> None:
        self.source, self.problem = source, problem
        self.tokens = self._tokenize()
        self.position = 0

    def _tokenize(self) -> list[Token]:
        source, tokens = self.source, []
        position, length = 0, len(self.source.rstrip())
        while position < length:
            match = _TOKEN.match(source, position, length)
            if match is None:
                start = position + len(source[position:]) - len(source[position:].lstrip())
                if source[start] in "'\"`":
                    raise self.error(
                        Token("mark", "", start, length), f"{self.problem}: a quote is opened here and never closed."
                    )
                raise self.error(
                    Token("mark", "", start, start + 1), f"{self.problem}: {source[start]!r} is not understood here."
                )
            kind: TokenKind = match.lastgroup  # type: ignore[assignment]  # the groups are named after the kinds
            tokens.append(Token(kind, match[kind], match.start(kind), match.end(kind)))
            position = match.end()
        tokens.append(Token("end", "", length, length))
        return tokens

    @property
    def token(self) -> Token:
        """The token to read next."""
        return self.tokens[self.position]

    @property
    def last(self) -> Token:
        """The token read last."""
        return self.tokens[max(0, self.position - 1)]

    def take(self) -> Token:
        """The token to read next, read. The end can be read again and again."""
        token = self.tokens[self.position]
        self.position = min(self.position + 1, len(self.tokens) - 1)
        return token

    def words(self, *words: str) -> bool:
        """Read these keywords if all of them come next."""
        following = self.tokens[self.position : self.position + len(words)]
        if len(following) < len(words) or not all(token.is_word(word) for token, word in zip(following, words, strict=True)):
            return False
        self.position += len(words)
        return True

    def adjacent(self) -> bool:
        """True when no space precedes the token to read next."""
        return self.position > 0 and self.token.kind != "end" and self.last.end == self.token.start

    def error(self, token: Token, message: str, until: Token | None = None) -> InvalidParameter:
        """The message and the text, with the token underlined (up to the end of `until`)."""
        start, end = token.start, max(token.end, (until or token).end)
        begin = max(0, start - 60)
        shown = re.sub(r"[^\S ]|[\x00-\x1f]", " ", self.source[begin : max(end, start + 1) + 40])
        width = max(1, min(end, begin + len(shown)) - start)
        return InvalidParameter(f"{message}\n  {shown}\n  {' ' * (start - begin)}{'^' * width}")

    def unexpected(self, token: Token, expected: str) -> InvalidParameter:
        """The error for a token that does not fit the grammar."""
        found = "the end" if token.kind == "end" else f"'{token.text[:100]}'"
        return self.error(token, f"{self.problem}: {found}. Expected {expected}.")
