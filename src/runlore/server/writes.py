"""The writes that came in during one turn of the event loop, carried out together where they came in.

With eight clients that log at once this is the group commit: all requests that have arrived are read, then one transaction
holds them all. While the loop waits for the disk nothing else is answered; so only short operations come here, and where a
commit might take longer they are handed to the store's writer thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any, Protocol

from runlore.api.operation import Operation

GROUP = 32
"""Operations in one transaction, at most: some 25 ms of work if each of them is a batch of 1,000 metrics."""

_HANDED_ON = object()


class Writer(Protocol):
    """What is needed of a store."""

    def submit(self, operation: Operation[Any]) -> Future[Any]:
        """Begin an operation that has been checked against its limits."""
        ...

    def carry_out(self, group: Sequence[tuple[Operation[Any], Any]]) -> bool:
        """Carry out short writes now and settle their futures; False when nothing was done."""
        ...


class Writes:
    """The short writes of one server process. Belongs to its event loop."""

    def __init__(self, store: Writer) -> None:
        self._store = store
        self._waiting: list[tuple[Operation[Any], asyncio.Future[Any]]] = []

    async def carry_out(self, operation: Operation[Any]) -> Any:
        """The reply to an operation, when it is on stable storage."""
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        if not self._waiting:
            loop.call_soon(self._flush, loop)
        self._waiting.append((operation, future))
        reply = await future
        return await asyncio.wrap_future(self._store.submit(operation)) if reply is _HANDED_ON else reply

    def _flush(self, loop: asyncio.AbstractEventLoop) -> None:
        group, self._waiting = self._waiting[:GROUP], self._waiting[GROUP:]
        if self._waiting:
            loop.call_soon(self._flush, loop)
        if not self._store.carry_out(group):
            for _, future in group:
                if not future.done():
                    future.set_result(_HANDED_ON)
