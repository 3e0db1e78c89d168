"""Addresses that are rights: a URL path and query that the server signed, good for one method, one file and a while.

The key belongs to the store, so that every server process of an installation knows what another one signed. Whoever holds an
address may use it until it expires, as with an object store's own; nothing else follows from it.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import quote, urlencode

from runlore.blobs.uploads import Method
from runlore.exceptions import InvalidParameter, PermissionDenied

_MAC = 32
"""Hexadecimal digits of a code: 128 bits."""


class Signed(NamedTuple):
    """What an address is for: a whole file, or one part of an upload when `upload` is not empty."""

    method: Method
    path: str
    upload: str = ""
    part: int = 0


class Signatures:
    """Signs and checks with the key of one store."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def address(self, base: str, what: Signed, seconds: int) -> str:
        """The URL below `base` that may be used for so many seconds."""
        expires = int(time.time()) + seconds
        query: dict[str, object] = {"expires": expires}
        if what.upload:
            query |= {"upload": what.upload, "part": what.part}
        query["signature"] = self._code("address", *what, expires)
        return f"{base}/{quote(what.path, safe='/')}?{urlencode(query)}"

    def check(self, method: Method, path: str, query: Mapping[str, str]) -> Signed:
        """What the address of a request is for. Raises `PermissionDenied` when it was not signed here, or has expired."""
        expires, part = query.get("expires", ""), query.get("part", "0")
        if not (expires + part).isascii() or not expires.isdigit() or not part.isdigit():
            raise PermissionDenied("This address was not signed by this server.")
        what = Signed(method, path, query.get("upload", ""), int(part[:6]))
        if not hmac.compare_digest(
            self._code("address", *what, expires), query.get("signature", "").encode().decode("latin-1")
        ):
            raise PermissionDenied("This address was not signed by this server, or for something else.")
        if int(expires[:15]) < time.time():
            raise PermissionDenied("This address has expired. Ask for a new one.")
        return what

    def upload_id(self, upload: str, path: str) -> str:
        """The id of an upload as clients know it: good for one file."""
        return f"{upload}.{self._code('upload', upload, path)}"

    def upload_of(self, upload_id: str, path: str) -> str:
        """The upload that an id means. Raises `InvalidParameter` when it is none of this file's."""
        upload = upload_id.partition(".")[0]
        if not hmac.compare_digest(self.upload_id(upload, path).encode(), upload_id.encode()):
            raise InvalidParameter(f"There is no upload {upload_id[:100]!r} of {path!r}.")
        return upload

    def _code(self, *parts: object) -> str:
        text = "\0".join(str(part) for part in parts)
        return hmac.new(self._key, text.encode("utf-8", "surrogatepass"), "sha256").hexdigest()[:_MAC]
