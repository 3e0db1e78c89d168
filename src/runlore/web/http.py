"""A request and a reply: the thin layer between ASGI and everything else in the server.

Bodies are read once, counted while they come in, and never beyond the limit of their kind.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any

from runlore.exceptions import RunloreError

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

MAX_JSON_BODY = 2 * 2**20
"""Bytes of a JSON body."""

SLICE = 256 * 2**10
"""Bytes of a body that are handed to a connection at once: what a client that does not read costs."""

WHOLE = "runlore.response"
"""The type of a message beside ASGI's, from a reply to the security wrapper: status, headers and body in one."""
WRITE_WHOLE = "runlore.write_whole"
"""Where in the scope the protocol leaves a `Whole`, if it can write whole answers."""
Whole = Callable[[int, Headers, bytes], Awaitable[None]]

_JSON: Headers = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
_MSGPACK: Headers = [(b"content-type", b"application/msgpack"), (b"cache-control", b"no-store")]


class Refused(RunloreError):
    """A request that does not reach its endpoint, with a status of its own."""

    def __init__(self, status: int, error_code: str, message: str) -> None:
        super().__init__(message, error_code=error_code)
        self.status = status


class Disconnected(Exception):
    """The client went away in the middle of its request: there is nobody to answer."""


class Request:
    """What an endpoint may know about a request. `path` is decoded once, by the protocol, and never again."""

    __slots__ = ("_headers", "_receive", "method", "parameters", "path", "query_string", "scope")

    def __init__(self, scope: Scope, receive: Receive, parameters: dict[str, str]) -> None:
        self.scope = scope
        self._receive = receive
        self._headers: dict[bytes, bytes] | None = None
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.query_string: bytes = scope["query_string"]
        self.parameters = parameters

    def header(self, name: bytes) -> bytes | None:
        """The value of a header, by its name in lower case; the last one when there are several."""
        if self._headers is None:
            self._headers = dict(self.scope["headers"])
        return self._headers.get(name)

    async def body(self, limit: int = MAX_JSON_BODY) -> bytes:
        """The whole body. Raises `Refused` (413) as soon as it is, or says that it will be, longer than `limit` bytes."""
        declared = self.header(b"content-length")
        if declared is not None and int(declared) > limit:
            raise _too_long(limit)
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        body: bytes = message["body"]
        if not message["more_body"] and len(body) <= limit:
            return body
        parts, size = [body], len(body)
        while message["more_body"]:
            if size > limit:
                break
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise Disconnected
            parts.append(message["body"])
            size += len(message["body"])
        if size > limit:
            raise _too_long(limit)
        return b"".join(parts)

    async def pieces(self, size: int) -> AsyncIterator[bytes]:
        """The body in pieces of at least `size` bytes (the last one excepted), as they arrive.

        Raises `Disconnected` when the client goes away before the end: what came so far is not the file.
        """
        waiting = bytearray()
        more = True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise Disconnected
            waiting += message["body"]
            more = message["more_body"]
            if len(waiting) >= size or (waiting and not more):
                yield bytes(waiting)
                waiting = bytearray()


class Reply:
    """A status, headers, and a body: bytes, or an iterator of bytes of a total length that the headers give."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, body: bytes | AsyncIterator[bytes], headers: Headers, status: int = 200) -> None:
        self.status = status
        self.body = body
        self.headers = headers

    async def send(self, send: Send, receive: Receive | None = None, *, without_body: bool = False) -> None:
        """Write the reply out. `without_body` answers a HEAD request: the headers of a GET.

        A long body goes out in slices, each when the client has taken the one before. With `receive`, an iterator is left
        as soon as the client goes away: nobody reads a file to its end for nobody.
        """
        body = self.body
        headers = self.headers
        if isinstance(body, bytes) and len(body) <= SLICE and self.status >= 200 and self.status != 304 and not without_body:
            await send({"type": WHOLE, "status": self.status, "headers": headers, "body": body})
            return
        if isinstance(body, bytes) and self.status != 304:
            headers = [*headers, (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        if without_body:
            await send({"type": "http.response.body", "body": b""})
        elif isinstance(body, bytes):
            for start in range(0, len(body) - SLICE, SLICE):
                await send({"type": "http.response.body", "body": body[start : start + SLICE], "more_body": True})
            await send({"type": "http.response.body", "body": body[(len(body) - 1) // SLICE * SLICE :] if body else b""})
        else:
            await _stream(body, send, receive)


async def send_whole(status: int, headers: Headers, body: bytes, whole: Whole | None, send: Send) -> None:
    """Send an answer at once where the protocol can, else as ASGI's two messages."""
    if whole:
        await whole(status, headers, body)
        return
    headers = [*headers, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _stream(pieces: AsyncIterator[bytes], send: Send, receive: Receive | None) -> None:
    left = asyncio.ensure_future(_client_left(receive)) if receive else None
    try:
        async for piece in pieces:
            if left and left.done():
                return
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    finally:
        if left:
            left.cancel()
        if isinstance(pieces, AsyncGenerator):
            await pieces.aclose()


async def _client_left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def json_reply(body: bytes, status: int = 200) -> Reply:
    """JSON that no cache may keep."""
    return Reply(body, _JSON, status)


def packed_reply(body: bytes) -> Reply:
    """MessagePack that no cache may keep."""
    return Reply(body, _MSGPACK)


def text_reply(body: str, content_type: str = "text/plain; charset=utf-8", status: int = 200) -> Reply:
    """A short text."""
    return Reply(body.encode(), [(b"content-type", content_type.encode()), (b"cache-control", b"no-store")], status)


def error_reply(error: RunloreError) -> Reply:
    """An error in MLflow's shape; when trying again helps, with a time to wait."""
    headers = list(_JSON)
    if error.status in (429, 503):
        headers.append((b"retry-after", b"1"))
    return Reply(error.serialize_as_json().encode(), headers, error.status)


def _too_long(limit: int) -> Refused:
    return Refused(413, "INVALID_PARAMETER_VALUE", f"The body is longer than {limit:,} bytes. Send less at once.")
