"""Which runs a process keeps alive: the store hears of them every 15 seconds, data or not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from runlore.api.operation import Operation
from runlore.api.runs import UpdateRun
from runlore.entities import RunInfo, RunStatus

MOST_MADE = 100
"""Runs that were made and never opened which are kept alive: the last ones."""


class AliveRuns:
    """Runs that are open in this process, and the last of those that it has made and not ended. Many threads may use it."""

    def __init__(self) -> None:
        self._open: set[str] = set()
        self._made: dict[str, None] = {}

    def __contains__(self, run_id: str) -> bool:
        return run_id in self._open or run_id in self._made

    def __iter__(self) -> Iterator[str]:
        return iter([*self._open, *list(self._made)])

    def __bool__(self) -> bool:
        return bool(self._open or self._made)

    def opened(self, run_id: str) -> None:
        """A run was opened: it lives until it is ended."""
        self._open.add(run_id)
        self._made.pop(run_id, None)

    def made(self, info: RunInfo) -> None:
        """A run was made by a client that may log to it without opening it: callbacks of other libraries do so."""
        if info.status == RunStatus.RUNNING and info.run_id not in self._open:
            self._made[info.run_id] = None
            for oldest in list(self._made)[:-MOST_MADE]:
                self._made.pop(oldest, None)

    def ended(self, run_id: str) -> None:
        """A run was ended."""
        self._open.discard(run_id)
        self._made.pop(run_id, None)

    def carried_out(self, operation: Operation[Any]) -> None:
        """An operation was carried out that may have ended a run."""
        if isinstance(operation, UpdateRun) and operation.status is not None and RunStatus.is_terminated(operation.status):
            self.ended(operation.run_id)
