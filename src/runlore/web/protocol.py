"""Limits on what a connection may cost before a request exists, which no wrapper around the application can see; and short
answers written in one piece.

uvicorn's HTTP parser keeps request heads of any length, and waits for their end for ever. Here a head (or a trailer) that
grows beyond its limit ends the connection, and so does one that says nothing for too long in the middle of a request.
"""

from __future__ import annotations

import asyncio
import gc
import re
import sys
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import Server

from runlore.web.http import WRITE_WHOLE, Headers

MAX_HEAD_BYTES = 64 * 2**10
"""URL, headers and trailers as they come in. `security.py` draws the finer line; this one bounds the memory."""
SILENCE_SECONDS = 30.0
"""How long a client may say nothing in the middle of a request, or before its first one."""
HEAD_SECONDS = 30.0
"""How long the head of a request may take in all."""
MIN_BYTES, WINDOW_SECONDS = 6_000, 60.0
"""A body that brings less than this in a minute is not an upload but a hold-up."""
STALLED_SECONDS = 120.0
"""How long a client may leave a slice of its answer (`http.SLICE`) unread: 2 kB/s are enough."""


def connection_limit() -> int:
    """How many connections one process takes: most of the file handles that it may have; 8,000 at most."""
    if sys.platform == "win32":
        return 2_000
    import resource

    handles = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return 8_000 if handles < 0 else max(64, min(8_000, handles - max(200, handles // 4)))


MAX_CONNECTIONS = connection_limit()
_FULL = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class BoundedProtocol(HttpToolsProtocol):
    """One connection."""

    def __init__(self, *args: Any, **keywords: Any) -> None:
        super().__init__(*args, **keywords)
        self._progress = 0
        self._unread = 0
        self._last_data = self._head_began = self.loop.time()
        self._in_head = True
        self._window_began, self._window_bytes = self._last_data, 0
        self._unread_since: float | None = None
        self._unanswered: deque[RequestResponseCycle] = deque()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client came; one too many is asked to come back, while there is still a file handle to say so with."""
        super().connection_made(transport)
        if len(self.connections) > MAX_CONNECTIONS:
            transport.write(_FULL)
            transport.close()

    def data_received(self, data: bytes) -> None:
        """Parse what came in, and end the connection when it is too much head."""
        self._last_data = self.loop.time()
        before = self._progress
        super().data_received(data)
        self._unread = 0 if self._progress != before else self._unread + len(data)
        if self._unread > MAX_HEAD_BYTES:
            self.transport.abort()

    def on_message_begin(self) -> None:
        """A request begins."""
        self._head_began, self._in_head = self._last_data, True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Its head is whole."""
        self._progress += 1
        self._in_head = False
        self._window_began, self._window_bytes = self._last_data, 0
        super().on_headers_complete()
        while self._unanswered and self._unanswered[0].response_complete:
            self._unanswered.popleft()
        self._unanswered.append(self.cycle)
        self.scope[WRITE_WHOLE] = partial(_write_whole, self.cycle)  # type: ignore[literal-required]

    def on_body(self, body: bytes) -> None:
        """A piece of its body came in."""
        self._progress += 1
        self._window_bytes += len(body)
        super().on_body(body)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell every request of this connection, not only the newest: nothing is done, or written, for who has left."""
        for cycle in self._unanswered:
            cycle.disconnected = True
            cycle.message_event.set()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """The client does not take what is sent to it."""
        self._unread_since = self.loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        """The client has taken nearly all."""
        self._unread_since = None
        super().resume_writing()

    def end_if_stalled(self, now: float) -> None:
        """End the connection if the client owes something and has been silent, or dripping, for too long."""
        stalled = self._unread_since is not None and now - self._unread_since > STALLED_SECONDS
        if stalled or (self.timeout_keep_alive_task is None and self._is_late(now)):
            self.transport.abort()

    def _is_late(self, now: float) -> bool:
        if self._in_head:
            return now - self._head_began > HEAD_SECONDS
        if self.cycle.response_complete:
            return now - self._last_data > SILENCE_SECONDS
        if not self.cycle.more_body:
            return False
        if self.flow.read_paused:
            self._last_data, self._window_began, self._window_bytes = now, now, 0
        if now - self._window_began > WINDOW_SECONDS:
            dripping = self._window_bytes < MIN_BYTES
            self._window_began, self._window_bytes = now, 0
            return dripping
        return now - self._last_data > SILENCE_SECONDS


async def _write_whole(cycle: RequestResponseCycle, status: int, headers: Headers, body: bytes) -> None:
    """Write an answer whose headers and body are there: a third of what uvicorn's `send` costs, twice called, with a look at
    every byte of every header. Here headers are looked at when they are seen for the first time."""
    if cycle.flow.write_paused and not cycle.disconnected:
        await cycle.flow.drain()
    if cycle.disconnected:
        return
    names = tuple(headers)
    head = _heads.get(names) or _checked_head(names)
    cycle.response_started = True
    cycle.waiting_for_100_continue = False
    # The length comes first: of an answer that breaks off in its head, stock clients make an empty one unless they know it.
    parts = [STATUS_LINE[status], b"content-length: %d\r\n" % len(body), head]
    for name, value in cycle.default_headers:
        parts += (name, b": ", value, b"\r\n")
    if not cycle.keep_alive:
        parts.append(b"connection: close\r\n")
    parts += (b"\r\n", body)
    cycle.transport.write(b"".join(parts))
    cycle.response_complete = True
    cycle.message_event.set()
    if not cycle.keep_alive:
        cycle.transport.close()
    cycle.on_response()


_heads: dict[tuple[tuple[bytes, bytes], ...], bytes] = {}
_HEADER = re.compile(rb"[A-Za-z0-9-]+: [^\x00-\x08\x0a-\x1f\x7f]*")


def _checked_head(headers: tuple[tuple[bytes, bytes], ...]) -> bytes:
    """Header lines. Raises `RuntimeError` for one that would be more than a line, or says how long the answer is."""
    lines = [b"%b: %b" % header for header in headers]
    for (name, _), line in zip(headers, lines, strict=True):
        if not _HEADER.fullmatch(line) or name.lower() in (b"connection", b"content-length", b"transfer-encoding"):
            raise RuntimeError(f"An answer must not have the header {line!r}.")
    head = b"".join(line + b"\r\n" for line in lines)
    if len(_heads) < 200:
        _heads[headers] = head
    return head


class BoundedServer(Server):
    """uvicorn's server, which now and then looks for stalled connections, says when it is ready, and stops when it must."""

    def __init__(self, config: Any, on_ready: Any = None, must_stop: Callable[[], bool] = bool) -> None:
        super().__init__(config)
        self._on_ready = on_ready
        self._must_stop = must_stop

    async def startup(self, sockets: Any = None) -> None:
        """Begin to listen."""
        await super().startup(sockets=sockets)
        gc.collect()
        gc.freeze()  # what start-up made stays: without a look at it, a full collection of an idle server takes 0.1 ms, not 12
        if self._on_ready and not self.should_exit:
            self._on_ready()

    async def shutdown(self, sockets: Any = None) -> None:
        """Stop when the last answer is given; those that never end are ended now."""
        end_streams = getattr(self.config.app, "end_streams", None)
        if end_streams is not None:
            end_streams()
        await super().shutdown(sockets=sockets)

    async def on_tick(self, counter: int) -> bool:
        """Called by uvicorn ten times a second; every fifth second is often enough to look."""
        if counter % 50 == 0:
            now = asyncio.get_running_loop().time()
            for connection in list(self.server_state.connections):
                if isinstance(connection, BoundedProtocol):
                    connection.end_if_stalled(now)
        return await super().on_tick(counter) or self._must_stop()
