"""Exports over HTTP: files that are written while they are sent.

The first piece is made before the head of the answer is sent, so that what is wrong with a request is said as an error. Pages
are read two at a time at most, whoever exports: the readers of the store are there for everybody.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from functools import partial
from typing import Any

from runlore.api.export import MEDIA, ExportPoints, ExportRuns
from runlore.api.operation import Operation
from runlore.server.auth import Access
from runlore.server.dispatch import read_operation
from runlore.server.routes import Handler
from runlore.store.base import Store
from runlore.store.export import export_points, export_runs
from runlore.web.http import SLICE, Reply, Request

AT_ONCE = 2
_WRITERS: dict[Any, Any] = {ExportRuns: export_runs, ExportPoints: export_points}
_NAMES = {ExportRuns: "runs", ExportPoints: "points"}


class Exports:
    """The streamed operations of one store."""

    def __init__(self, store: Store, access: Access) -> None:
        self._store, self._access = store, access
        self._turns = asyncio.Semaphore(AT_ONCE)

    def operations(self) -> dict[type[Operation[Any]], Handler]:
        """The operations that are answered here."""
        return {kind: partial(self._export, kind) for kind in _WRITERS}

    async def _export(self, kind: type[Operation[Any]], request: Request) -> Reply:
        operation = await read_operation(kind, self._access, request)
        pieces = await asyncio.to_thread(_WRITERS[kind], self._store.call, operation)
        first = await self._next(pieces)
        name = f"{_NAMES[kind]}.{operation.format}"
        headers = [
            (b"content-type", MEDIA[operation.format].encode()),
            (b"content-disposition", f'attachment; filename="{name}"'.encode()),
            (b"cache-control", b"no-store"),
        ]
        return Reply(self._pieces(first, pieces), headers)

    async def _pieces(self, first: bytes | None, pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
        piece = first
        while piece is not None:
            for start in range(0, len(piece), SLICE):
                yield piece[start : start + SLICE]
            piece = await self._next(pieces)

    async def _next(self, pieces: Iterator[bytes]) -> bytes | None:
        async with self._turns:
            return await asyncio.to_thread(next, pieces, None)
