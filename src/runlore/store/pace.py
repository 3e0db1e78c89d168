"""Connections on which no server can hold a caller for ever.

A time-out bounds the wait for each piece of an answer; a server that sends one byte now and then is never late. Here the waits
of one answer, head and body, are added up: in all they may take `ANSWER_SECONDS` and one second more for each `SLOWEST` bytes
that came. What the caller does between two pieces does not count.
"""

from __future__ import annotations

import http.client
import io
import socket
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import urllib3

ANSWER_SECONDS = 180.0
SLOWEST = 2_000
"""Bytes a second."""


def paced(pool: urllib3.PoolManager) -> urllib3.PoolManager:
    """The same pool; the connections that it makes from now on are bounded."""
    from urllib3 import HTTPConnectionPool, HTTPSConnectionPool

    for scheme, base in (("http", HTTPConnectionPool), ("https", HTTPSConnectionPool)):
        connection = type(base.ConnectionCls.__name__, (base.ConnectionCls,), {"response_class": PacedResponse})
        pool.pool_classes_by_scheme = {
            **pool.pool_classes_by_scheme,
            scheme: type(base.__name__, (base,), {"ConnectionCls": connection}),
        }
    return pool


class PacedResponse(http.client.HTTPResponse):
    """An answer whose bytes come through a `_PacedReader`."""

    def __init__(self, sock: socket.socket, *arguments: Any, **keywords: Any) -> None:
        super().__init__(sock, *arguments, **keywords)
        assert isinstance(self.fp, io.BufferedReader)
        self.fp = io.BufferedReader(_PacedReader(self.fp.detach(), sock))


class _PacedReader(io.RawIOBase):
    def __init__(self, raw: io.RawIOBase, sock: socket.socket) -> None:
        self._raw, self._socket = raw, sock
        self._patience = ANSWER_SECONDS

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self._patience <= 0:
            raise TimeoutError(f"timed out: the answer comes more slowly than {SLOWEST:,} bytes a second")
        usual = self._socket.gettimeout()
        self._socket.settimeout(self._patience if usual is None else min(usual, self._patience))
        began = time.monotonic()
        try:
            count = self._raw.readinto(buffer)
        finally:
            self._socket.settimeout(usual)
        self._patience += (count or 0) / SLOWEST - (time.monotonic() - began)
        return count

    def close(self) -> None:
        if not self.closed:
            self._raw.close()
        super().close()
