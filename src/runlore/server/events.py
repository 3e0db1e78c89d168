"""The stream of changes: `/api/v1/events`.

One task of this process follows the store while somebody listens, and everybody gets the same bytes. A listener costs a number,
its place in the last messages; who reads too slowly to keep up with them is told from the store what it has missed, as if it
had come back with its cursor. Nobody is sent more than four messages a second, and when nothing changes the store is asked for
no more than its version.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncGenerator
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, Protocol
from urllib.parse import parse_qs

from runlore.api.events import EVENTS, Changes, GetChanges
from runlore.api.operation import Operation, encode, validated
from runlore.exceptions import BadRequest, LimitExceeded, RunloreError, Unavailable
from runlore.server.auth import Access
from runlore.server.routes import Endpoint, Routes
from runlore.store.watching import is_empty
from runlore.web.http import Headers, Receive, Reply, Request, Send

LISTENERS = 500
"""Streams of one process; one more is asked to come back."""
LOOK_SECONDS = 0.1
"""How often the store is asked whether anything was committed."""
MESSAGE_SECONDS = 0.25
"""Between two messages, at least."""
OPEN_SECONDS = 0.6
"""How long something that is not settled may take to become so."""
HEARTBEAT_SECONDS = 15.0
"""Silence, at most: proxies end connections that say nothing, and a client that is gone is noticed by writing to it."""
KEPT = 32
"""Messages that a slow listener may be behind before it is told from the store."""
_RETRY_SECONDS = 1.0

_HEADERS: Headers = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),  # nginx would keep messages back until a buffer is full
]
_BEAT = b":\n\n"

logger = logging.getLogger("runlore.server")


class VersionedStore(Protocol):
    """What is needed of a store."""

    def submit(self, operation: Operation[Any]) -> Future[Any]:
        """Begin an operation that has been checked."""
        ...

    def version(self) -> int | str:
        """A value that is another one after every commit."""
        ...


class Events:
    """The streams of one application. All of it runs in one event loop, `close` excepted."""

    def __init__(self, store: VersionedStore, access: Access) -> None:
        self._store, self._access = store, access
        self.listeners = 0
        self.sent = 0
        self._kept: deque[bytes] = deque(maxlen=KEPT)
        self._published = 0  # messages ever; the last of them are kept
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._ready: asyncio.Future[None] | None = None
        self._news: asyncio.Event = asyncio.Event()
        self._closed = False

    def add_to(self, routes: Routes) -> None:
        """Serve the stream."""
        routes.add(Endpoint(EVENTS.name, "GET", EVENTS.path, EVENTS.needs, self._answer))

    @property
    def following(self) -> bool:
        """Whether the store is being asked now and then."""
        return self._task is not None and not self._task.done()

    def close(self) -> None:
        """End all streams. May be called from any thread, and twice."""
        self._closed = True
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop has ended, and the streams with it
                self._loop.call_soon_threadsafe(self._wake)

    async def _answer(self, request: Request) -> Reply:
        self._access.check(EVENTS.needs, None, request)
        operation = GetChanges(cursor=_cursor(request))
        validated(operation)
        if self._closed:
            raise Unavailable("The server is stopping.")
        if self.listeners >= LISTENERS:
            raise LimitExceeded(f"{LISTENERS} listeners are connected. Try again later, or ask GET /api/v1/changes.")
        place = await self._join()
        try:
            changes = await self._ask(operation)  # errors, of a bad cursor say, are answered before the stream begins
        except BaseException:
            self._leave()
            raise
        return Stream(self._messages(changes, place), self._leave)

    async def _join(self) -> int:
        """Make sure that somebody follows the store; returns the number of the next message."""
        self.listeners += 1
        self._loop = asyncio.get_running_loop()
        try:
            if not self.following:
                self._ready = self._loop.create_future()
                self._task = self._loop.create_task(self._follow(self._ready))
            assert self._ready is not None
            await asyncio.shield(self._ready)
        except BaseException:
            self._leave()
            raise
        return self._published

    def _leave(self) -> None:
        self.listeners -= 1

    async def _messages(self, changes: Changes, place: int) -> AsyncGenerator[bytes, None]:
        """What one listener is sent: first what it has missed, then what everybody hears."""
        cursor = changes.cursor
        yield b"retry: 1000\n" + _message(changes)
        while not self._closed and self.following:
            if place < self._published - len(self._kept):
                place = self._published
                changes = await self._ask(GetChanges(cursor=cursor))
                cursor = changes.cursor
                yield _message(changes)
            elif place < self._published:
                message = self._kept[place - self._published]
                place += 1
                cursor = message.partition(b"\n")[0].removeprefix(b"id: ").decode()
                yield message
            else:
                news = self._news
                try:
                    await asyncio.wait_for(news.wait(), HEARTBEAT_SECONDS)
                except TimeoutError:
                    yield _BEAT

    # -- following the store -----------------------------------------------------------------------------------------------

    async def _follow(self, ready: asyncio.Future[None]) -> None:
        """Publish what changes until nobody listens."""
        try:
            cursor = (await self._ask(GetChanges())).cursor
        except RunloreError as error:
            ready.set_exception(error)
            return
        ready.set_result(None)
        version: int | str | None = None
        asked, told, settled = 0.0, 0.0, True
        try:
            while self.listeners and not self._closed:
                await asyncio.sleep(LOOK_SECONDS)
                now = time.monotonic()
                if now - told < MESSAGE_SECONDS:
                    continue
                try:
                    seen = await asyncio.to_thread(self._store.version)
                    if seen == version and (settled or now - asked < OPEN_SECONDS):
                        continue
                    changes = await self._ask(GetChanges(cursor=cursor))
                    if seen == version and seen != await asyncio.to_thread(self._store.version):
                        continue  # something was committed in this moment: it is told the next time
                except RunloreError as error:
                    logger.warning("Changes can not be told for the moment: %s", error.message)
                    await asyncio.sleep(_RETRY_SECONDS)
                    continue
                cursor, settled, asked = changes.cursor, changes.settled, now
                if seen != version and not is_empty(changes):  # else it was told before, and nothing was committed since
                    self._publish(_message(changes))
                    told = now
                version = seen
        finally:
            self._wake()

    def _publish(self, message: bytes) -> None:
        self._kept.append(message)
        self._published += 1
        self._wake()

    def _wake(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    async def _ask(self, operation: GetChanges) -> Changes:
        try:
            future = self._store.submit(operation)
        except RuntimeError as error:  # from the threads of a store that was closed in this moment
            raise Unavailable(f"The store is closed: {error}.") from error
        changes: Changes = await asyncio.wrap_future(future)
        return changes


class Stream(Reply):
    """A reply that goes on until the client or the server leaves."""

    __slots__ = ("_left",)

    def __init__(self, messages: AsyncGenerator[bytes, None], left: Any) -> None:
        super().__init__(messages, _HEADERS)
        self._left = left

    async def send(self, send: Send, receive: Receive | None = None, *, without_body: bool = False) -> None:
        """Write messages as they come. The client's leaving ends it at once, even in the middle of waiting."""
        assert isinstance(self.body, AsyncGenerator)
        try:
            await send({"type": "http.response.start", "status": self.status, "headers": self.headers})
            if not without_body:
                writing = asyncio.ensure_future(_write(self.body, send))
                leaving = asyncio.ensure_future(_client_leaves(receive)) if receive else None
                try:
                    await asyncio.wait([task for task in (writing, leaving) if task], return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for task in (writing, leaving):
                        if task:
                            task.cancel()
                            with suppress(asyncio.CancelledError, RunloreError):
                                await task
            await send({"type": "http.response.body", "body": b""})
        finally:
            await self.body.aclose()
            self._left()


async def _write(messages: AsyncGenerator[bytes, None], send: Send) -> None:
    async for message in messages:
        await send({"type": "http.response.body", "body": message, "more_body": True})


async def _client_leaves(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _cursor(request: Request) -> str:
    last = request.header(b"last-event-id")
    try:
        if last:
            return last.decode("ascii")
        query = parse_qs(request.query_string.decode("ascii"), max_num_fields=20)
    except ValueError as error:
        raise BadRequest(f"The cursor can not be read: {error}.") from None
    return query.get("cursor", [""])[-1]


def _message(changes: Changes) -> bytes:
    return b"id: %b\ndata: %b\n\n" % (changes.cursor.encode(), encode(changes))
