"""No open connection goes through a fork.

SQLite's locks belong to a process, but its notes about them lie in memory, which a fork copies: with connections of the parent
in it, the child believes that it holds locks that it does not hold, and what it writes is lost when the parent closes (seen).
A socket to PostgreSQL that two processes hold is ended for both by the first that closes it. So before a fork every store
finishes what it is doing and closes its connections; afterwards both processes open their own when they need them.

Processes that are started in other ways (`subprocess`, `spawn`) inherit nothing and need nothing.
"""

from __future__ import annotations

import os
import threading
from typing import Protocol
from weakref import WeakSet


class Forkable(Protocol):
    """Something that holds connections."""

    def pause(self) -> None:
        """Finish what is under way, close all connections, and open none until `resume`."""
        ...

    def resume(self) -> None:
        """Go on, in the process that paused."""
        ...


door = threading.Lock()
"""Held while a store is opened or closed: no fork happens meanwhile."""
stores: WeakSet[Forkable] = WeakSet()
"""The stores that are open in this process or, in a child, were open when it was forked off. Guarded by `door`."""


def _before() -> None:
    door.acquire()
    for store in stores:
        store.pause()


def _after_in_parent() -> None:
    for store in stores:
        store.resume()
    door.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_after_in_parent, after_in_child=door.release)
