"""The path of every request: find the endpoint, decode, authorise, ask the store, encode. And the place where errors end.

Reads run on the store's reader threads. Short writes are carried out in groups by the event loop itself (`writes.py`), others
wait for the ingest queue without holding a thread: thousands of writers can wait for one commit.
"""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any, Protocol
from urllib.parse import parse_qsl

import msgspec

import runlore.api  # noqa: F401  # defines every operation
from runlore.api.operation import PREFIXES, Operation, decode, encode, from_request, operations
from runlore.exceptions import BadRequest, InvalidParameter, LimitExceeded, RunloreError
from runlore.server.auth import Access
from runlore.server.long_values import shortened
from runlore.server.routes import Endpoint, Handler, Routes
from runlore.server.writes import Writes
from runlore.store.base import Store
from runlore.web.http import (
    Disconnected,
    Receive,
    Refused,
    Reply,
    Request,
    Scope,
    Send,
    error_reply,
    json_reply,
    packed_reply,
)

MAX_DEPTH = 32
"""Lists and objects inside each other in a JSON body."""
MAX_QUERY_FIELDS = 2_000
MAX_REQUESTS = 2_000
"""Requests in the house at once; one more is asked to come back."""

_CarryOut = Callable[[Operation[Any]], Awaitable[Any]]

logger = logging.getLogger("runlore.server")

_STRINGS = re.compile(rb'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)', re.DOTALL)
"""A text up to its quote or, when there is none, up to the end: every byte is looked at once, whatever the body."""
_NESTED = re.compile(rb":[ \t\r\n]*\{")
_SHORT = 4_096
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_CURLY_AS_SQUARE = bytes.maketrans(b"{}", b"[]")


class SubmittingStore(Store, Protocol):
    """A store that answers later: what the server needs, so that a waiting write holds no thread."""

    def submit(self, operation: Operation[Any]) -> Future[Any]:
        """Begin an operation that has been checked against its limits."""
        ...

    def carry_out(self, group: Sequence[tuple[Operation[Any], Any]]) -> bool:
        """Carry out short writes now and settle their futures; False when nothing was done."""
        ...

    def is_short(self, kind: type[Operation[Any]]) -> bool:
        """Whether operations of a kind are short writes."""
        ...

    def version(self) -> int | str:
        """A value that is another one after every commit by anybody."""
        ...

    def secret(self, name: str) -> bytes:
        """A key of the store's own, the same in every process."""
        ...


class Dispatcher:
    """The ASGI application behind the security wrapper."""

    def __init__(self, routes: Routes) -> None:
        self.routes = routes
        self._inside = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        method = scope["method"]
        self._inside += 1
        try:
            reply = await self._reply(scope, receive)
            if reply:
                await reply.send(send, receive, without_body=method == "HEAD")
        finally:
            self._inside -= 1

    async def _reply(self, scope: Scope, receive: Receive) -> Reply | None:
        """The answer; None when there is nobody to hear it."""
        method, path = scope["method"], scope["path"]
        try:
            if self._inside > MAX_REQUESTS:
                raise LimitExceeded(f"{MAX_REQUESTS} requests are being answered. Try again later.")
            endpoint, parameters = self.routes.find("GET" if method == "HEAD" else method, path)
            return await endpoint.handle(Request(scope, receive, parameters))
        except RunloreError as error:
            return error_reply(error)
        except Disconnected:
            return None
        except Exception:  # noqa: BLE001  # the boundary: the log is told what went wrong, the client a number to find it by
            return _internal_error(method, path)


def add_operations(routes: Routes, store: SubmittingStore, access: Access, own: dict[type[Operation[Any]], Handler]) -> None:
    """Serve every operation of the contract under every prefix of its family. `own` answers those that no store does."""
    writes = Writes(store)

    async def submitted(operation: Operation[Any]) -> Any:
        return await asyncio.wrap_future(store.submit(operation))

    for kind in operations():
        route = kind.route
        carry_out = writes.carry_out if store.is_short(kind) else submitted
        handle = own.get(kind) or partial(_answer, kind, carry_out, access)
        for prefix in PREFIXES[route.base]:
            for method in (route.method, *route.also):
                routes.add(Endpoint(kind.__name__, method, prefix + route.path, route.needs, handle))


async def _answer(kind: type[Operation[Any]], carry_out: _CarryOut, access: Access, request: Request) -> Reply:
    reply = await carry_out(await read_operation(kind, access, request))
    return packed_reply(msgspec.msgpack.encode(reply)) if kind.route.packed else json_reply(encode(reply))


async def read_operation(kind: type[Operation[Any]], access: Access, request: Request) -> Any:
    """The operation that a request means, decoded, within its limits, and allowed to the caller."""
    operation = await parse_operation(kind, request)
    for need in (kind.route.needs, kind.route.needs_too):
        if need is not None:
            access.check(need, getattr(operation, need.field) if need.field else None, request)
    return operation


async def parse_operation(kind: type[Operation[Any]], request: Request) -> Any:
    """The operation that a request means. Nobody has been asked yet whether it is allowed: whoever calls this does."""
    if request.method in ("GET", "HEAD"):
        return from_request(kind, b"", _query(request), request.parameters)
    body = await _json_body(request)
    if "idempotency_key" in kind.__struct_fields__ and (key := request.header(b"idempotency-key")):
        return msgspec.structs.replace(from_request(kind, body, (), request.parameters), idempotency_key=_checked_key(key))
    if request.parameters:
        return from_request(kind, body, (), request.parameters)
    try:
        return decode(body, kind)
    except InvalidParameter:
        if shorter := shortened(kind, body, request.header(b"user-agent")):
            return decode(shorter, kind)
        raise


def _checked_key(key: bytes) -> str:
    if not 1 <= len(key) <= 200 or not key.isascii():
        raise BadRequest(f"The header Idempotency-Key takes 1 to 200 ASCII characters, not {key[:50]!r}.")
    return key.decode("ascii")


def _query(request: Request) -> list[tuple[str, str]]:
    if not request.query_string:
        return []
    try:
        return parse_qsl(request.query_string.decode("ascii"), keep_blank_values=True, max_num_fields=MAX_QUERY_FIELDS)
    except ValueError as error:
        raise BadRequest(f"The query string can not be read: {error}.") from None


async def _json_body(request: Request) -> bytes:
    """The body, if it says that it is JSON: browsers may send other types across sites without asking."""
    kind = request.header(b"content-type") or b""
    if kind != b"application/json" and kind.partition(b";")[0].strip().lower() != b"application/json":
        body = await request.body()
        if body or request.method == "POST":
            raise Refused(415, BadRequest.error_code, "Expected a body with Content-Type: application/json.")
        return b"{}"
    body = await request.body() or b"{}"
    _check_depth(body)
    return body


def _check_depth(body: bytes) -> None:
    """Refuse more than `MAX_DEPTH` levels.

    A level is a list, an object in a list, or an object after a colon; counting those that could be one is an upper bound
    that lets nearly every body pass at a tenth of the price. The exact test removes the innermost brackets as many times as
    levels are allowed; none may be left.
    """
    lists = body.count(b"[")
    if len(body) < _SHORT and lists + body.count(b"{") <= MAX_DEPTH:
        return
    if 2 * lists < MAX_DEPTH and 2 * lists + len(_NESTED.findall(body)) < MAX_DEPTH:
        return
    brackets = _STRINGS.sub(b"", body).translate(_CURLY_AS_SQUARE, _NO_BRACKETS)
    for _ in range(MAX_DEPTH):
        if not brackets:
            return
        brackets = brackets.replace(b"[]", b"")
    if brackets:
        raise BadRequest(f"The body is not valid JSON, or nested deeper than {MAX_DEPTH} levels.")


def _internal_error(method: str, path: str) -> Reply:
    request_id = secrets.token_hex(8)
    logger.exception("%s %r failed (request %s)", method, path[:500], request_id)
    message = f"The server failed to answer. Its log tells why, under request {request_id}."
    return error_reply(RunloreError(message, request_id=request_id))
