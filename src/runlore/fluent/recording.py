"""What goes on beside an open run: its snapshot is taken, its console kept, its machine watched.

`start_run` calls `begin`, the end of a run calls `finish`; a run that ends with its process is finished here, before
`context.py` ends it. None of it can fail a run.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
from collections.abc import Callable
from typing import Protocol

from runlore.console import ConsoleRecorder
from runlore.console import wanted as console_wanted
from runlore.exceptions import InvalidParameter
from runlore.fluent.context import OpenRun
from runlore.fluent.job import rank
from runlore.settings import read_settings
from runlore.snapshot import SnapshotRecorder
from runlore.system_metrics import SystemMetricsMonitor
from runlore.system_metrics import wanted as system_metrics_wanted

logger = logging.getLogger("runlore")

_lock = threading.Lock()
_recorders: dict[str, list[Recorder]] = {}
_process: int | None = None


class Recorder(Protocol):
    """Something that records beside a run, from when it is made until `finish`."""

    def finish(self) -> None:
        """Store what is left and stop. Waits for a bounded time."""
        ...


def begin(opened: OpenRun, resumed: bool, log_system_metrics: bool | None = None) -> None:
    """Start recording beside a run. Quick: what takes time happens in threads."""
    _watch_exit()
    recorders = _started(opened, resumed, log_system_metrics)
    with _lock:
        _recorders.setdefault(opened.run_id, []).extend(recorders)


def finish(run_id: str) -> None:
    """Stop recording beside a run, and wait until what was recorded is stored. Harmless for a run that nothing records."""
    with _lock:
        recorders = _recorders.pop(run_id, []) if _process == os.getpid() else []
    for recorder in reversed(recorders):
        recorder.finish()


def _started(opened: OpenRun, resumed: bool, log_system_metrics: bool | None) -> list[Recorder]:
    """The recorders that are wanted. A setting that makes no sense is said, and harms nothing but its own recorder."""
    settings, number = read_settings(), rank()
    makers: list[Callable[[], Recorder]] = []
    if not (resumed and number):  # the first of several processes that share a run speaks for all
        choice, variables = settings.snapshot, settings.snapshot_env or ""
        makers.append(lambda: SnapshotRecorder(opened.client, opened.run_id, resumed, choice, variables))
    if console_wanted():
        makers.append(lambda: ConsoleRecorder(opened.client, opened.run_id, number))
    if system_metrics_wanted(log_system_metrics):
        started = opened.run.info.start_time if resumed else None
        node = f"rank_{number}" if number else None  # processes that share a run may run on several machines
        makers.append(lambda: SystemMetricsMonitor(opened.client, opened.run_id, started, node))
    recorders: list[Recorder] = []
    for make in makers:
        try:
            recorders.append(make())
        except InvalidParameter as error:
            logger.warning("%s Nothing is recorded by it.", error.message)
    return recorders


def _watch_exit() -> None:
    """Once in a process, after `context.py` did: exit handlers run last in, first out."""
    global _process
    if _process is None:
        atexit.register(_finish_all)
    if _process != os.getpid():
        _process = os.getpid()
        _recorders.clear()  # those of a parent process go on there


def _finish_all() -> None:
    for run_id in list(_recorders):
        finish(run_id)


def _renew_lock() -> None:
    global _lock
    _lock = threading.Lock()  # another thread may have held it when this process was forked


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)
