"""Several server processes on one port: each listens for itself, the kernel parts connections among them (SO_REUSEPORT).

The process that was started serves nothing. It starts the others one after the other (the first one brings the schema up to
date), puts a new one in the place of one that ended, and passes the signal to stop on. When it is killed, they stop too.
"""

# On Linux alone: other platforms lack half of these names, and never get here.
# mypy: disable-error-code="attr-defined"

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import NoReturn

from runlore.exceptions import RunloreError, Unavailable

STOP_SECONDS = 30.0
"""How long processes may take to stop before they are killed."""
PAUSE_SECONDS = 1.0
"""Between two starts of a process in the place of another, at least."""
POLL_SECONDS = 0.02

Tell = Callable[[str], object]
Work = Callable[[Callable[[], object], Callable[[], bool]], object]
"""Serves until a signal says stop, or its second argument does; calls its first one when it answers requests."""


@dataclass
class _Worker:
    pid: int
    pipe: int
    """What the process has to say: `+` when it is ready, or what went wrong."""
    said: bytes = b""

    def listen(self) -> None:
        with suppress(BlockingIOError):
            while piece := os.read(self.pipe, 4_096):
                self.said += piece

    def close(self) -> None:
        self.listen()
        os.close(self.pipe)


def supervise(count: int, work: Work, tell: Tell, on_ready: Callable[[], object]) -> None:
    """Keep `count` processes at work until SIGINT or SIGTERM. On Linux, before any thread is started.

    Raises `Unavailable` when one of the first fails before it is ready.
    """
    signals = {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)  # from here on they are asked for, in `_told_to_stop`
    workers = _Workers(work, tell, before)
    try:
        if all(workers.add() for _ in range(count)):
            on_ready()
            workers.keep(count)
    finally:
        workers.stop()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Workers:
    def __init__(self, work: Work, tell: Tell, signals: set[int]) -> None:
        self._work, self._tell, self._signals = work, tell, signals
        self._all: dict[int, _Worker] = {}

    def add(self) -> bool:
        """Start a process and wait until it is ready. False when a signal to stop came first."""
        worker = self._start()
        while not _told_to_stop(POLL_SECONDS):
            worker.listen()
            if worker.said == b"+":
                return True
            for ended, how in self._ended():
                raise Unavailable(ended.said.decode() or f"A server process {how} before it was ready.")
        return False

    def keep(self, count: int) -> None:
        """Replace processes that end, until a signal says stop."""
        last = time.monotonic()
        while not _told_to_stop(PAUSE_SECONDS):
            for worker, how in self._ended():
                self._tell(f"Server process {worker.pid} {how}. {worker.said.decode(errors='replace').lstrip('+')}".rstrip())
            now = time.monotonic()
            if len(self._all) < count and now - last >= PAUSE_SECONDS:
                last = now
                self._tell(f"Server process {self._start().pid} takes its place.")

    def stop(self) -> None:
        """Let all finish what they are doing; kill those that do not."""
        self._send(signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        while self._all and time.monotonic() < deadline:
            if _told_to_stop(POLL_SECONDS):
                self._send(signal.SIGINT)  # asked twice: without waiting for requests
            self._ended()
        self._send(signal.SIGKILL)
        for worker in self._all.values():
            os.waitpid(worker.pid, 0)
            worker.close()

    def _send(self, number: int) -> None:
        for pid in self._all:
            os.kill(pid, number)  # not yet waited for, so the number is still its own

    def _start(self) -> _Worker:
        parent, (receiver, sender) = os.getpid(), os.pipe()
        os.set_blocking(receiver, False)
        pid = os.fork()
        if pid == 0:
            self._be_worker(parent, sender)
        os.close(sender)
        worker = self._all[pid] = _Worker(pid, receiver)
        return worker

    def _be_worker(self, parent: int, pipe: int) -> NoReturn:
        """The rest of the life of a forked process."""
        code = 1
        try:
            signal.pthread_sigmask(signal.SIG_SETMASK, self._signals)
            self._work(lambda: os.write(pipe, b"+"), lambda: os.getppid() != parent)
            code = 0
        except RunloreError as error:
            os.write(pipe, error.message.encode())
        finally:
            if code and not isinstance(sys.exc_info()[1], RunloreError | None):
                sys.excepthook(*sys.exc_info())
            sys.stderr.flush()
            os._exit(code)

    def _ended(self) -> list[tuple[_Worker, str]]:
        """Processes that ended since the last call, each with how."""
        found = []
        for worker in list(self._all.values()):
            pid, status = os.waitpid(worker.pid, os.WNOHANG)
            if pid:
                del self._all[pid]
                worker.close()
                code = os.waitstatus_to_exitcode(status)
                found.append((worker, f"ended with code {code}" if code >= 0 else f"was ended by signal {-code}"))
        return found


def _told_to_stop(seconds: float) -> bool:
    """Wait for a signal; whether it was one to stop. The end of a process wakes up, too."""
    found = signal.sigtimedwait({signal.SIGTERM, signal.SIGINT, signal.SIGCHLD}, seconds)
    return found is not None and found.si_signo != signal.SIGCHLD
