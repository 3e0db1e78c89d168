"""Pages of a search. A page token holds where the next page begins and a fingerprint of the search it belongs to; it is not
signed, since it gives nothing that the same search does not.

Where the next page begins is the place of the last row in the order (the values it is sorted by) where the search offers
that: rows that come or go while someone pages then shift nothing. Where those values are too long for a token, it is the key of
that row; of other searches, an offset.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec

from runlore.api.operation import Operation
from runlore.exceptions import InvalidParameter

MAX_TOKEN = 4_096
Place = list[int | float | str | None]
"""Values of a row in the terms of an order."""


class _Token(msgspec.Struct, array_like=True):
    offset: int
    search: str
    after: Place | None = None
    key: int | None = None


class Page(NamedTuple):
    """Which part of a search is asked for: from `offset` on, or what comes after a row, which is given by its place or key."""

    offset: int
    size: int
    search: str
    after: Place | None = None
    key: int | None = None

    def cut(self, rows: Sequence[Any]) -> tuple[list[Any], str | None]:
        """The page itself from up to `size + 1` rows, and the token of the next page if there is one."""
        if len(rows) <= self.size:
            return list(rows), None
        return list(rows[: self.size]), _encoded(_Token(self.offset + self.size, self.search))

    def cut_keys(self, keys: Sequence[int], place: Callable[[int], Place]) -> tuple[list[int], str | None]:
        """The same of keys of rows. `place` gives the place of a row."""
        if len(keys) <= self.size:
            return list(keys), None
        page = list(keys[: self.size])
        token = _encoded(_Token(0, self.search, place(page[-1])))
        return page, token if len(token) <= MAX_TOKEN else _encoded(_Token(0, self.search, key=page[-1]))


def _encoded(token: _Token) -> str:
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(token)).decode()


def page_of(op: Operation[Any], token: str, size: int) -> Page:
    """The page that a search asks for. Raises `InvalidParameter` for a token that is broken or of another search."""
    fields = msgspec.to_builtins(op) | {"page_token": "", "max_results": 0}
    search = hashlib.blake2b(msgspec.json.encode(fields, order="sorted"), digest_size=9).hexdigest()
    if not token:
        return Page(0, size, search)
    try:
        known = msgspec.msgpack.decode(base64.b64decode(token, altchars=b"-_", validate=True), type=_Token)
    except (binascii.Error, msgspec.DecodeError, ValueError):
        raise broken(token) from None
    if known.search != search:
        raise InvalidParameter(
            "Invalid page token: it belongs to a search with another filter, order or experiment list. Start at the first page."
        )
    if not 0 <= known.offset < 2**62:
        raise InvalidParameter(f"Invalid page token: its offset is {known.offset}.")
    return Page(known.offset, size, search, known.after, known.key)


def broken(token: str) -> InvalidParameter:
    """The error for a token that nobody gave out."""
    return InvalidParameter(f"Invalid page token {token[:100]!r}. Use next_page_token of the previous answer as it is.")
