"""A project that was started: wait for it, ask for it, end it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress

from runlore.api.runs import UpdateRun
from runlore.client import RunloreClient
from runlore.client.base import now
from runlore.entities import RunStatus

CANCEL_SECONDS = 10.0
"""How long a project may take to end when it is asked to; then it is killed."""


class SubmittedRun(ABC):
    """A project that runs, or has run, somewhere."""

    @property
    @abstractmethod
    def run_id(self) -> str:
        """The id of its run."""

    @abstractmethod
    def wait(self) -> bool:
        """Wait until it has ended; True when it did well."""

    @abstractmethod
    def get_status(self) -> str:
        """RUNNING, FINISHED, FAILED or KILLED."""

    @abstractmethod
    def cancel(self) -> None:
        """End it, with the processes that it has started, and wait until that is done."""


class LocalSubmittedRun(SubmittedRun):
    """A project in a process of this machine.

    A thread waits for the process and writes how it ended; the interpreter does not exit before that.
    """

    def __init__(
        self, run_id: str, process: subprocess.Popen[bytes], client: RunloreClient, finish: Callable[[], None]
    ) -> None:
        self._run_id, self._client, self._finish = run_id, client, finish
        self.command_proc = process
        self._cancelled = False
        self._ended = threading.Event()
        threading.Thread(target=self._watch, name="runlore-project").start()

    @property
    def run_id(self) -> str:
        """The id of its run."""
        return self._run_id

    def wait(self) -> bool:
        """Wait until it has ended and its run says so; True when it did well."""
        while not self._ended.wait(3_600):
            pass
        return self.get_status() == RunStatus.FINISHED

    def get_status(self) -> str:
        """RUNNING, FINISHED, FAILED or KILLED."""
        code = self.command_proc.poll()
        if code is None:
            return RunStatus.RUNNING
        if code == 0:
            return RunStatus.FINISHED
        return RunStatus.KILLED if self._cancelled else RunStatus.FAILED

    def cancel(self) -> None:
        """Ask the project's processes to end, kill them after ten seconds. One that has ended stays as it is."""
        if self.command_proc.poll() is None:
            self._cancelled = True
            self._send(signal.SIGTERM)
            if not self._ended.wait(CANCEL_SECONDS):
                self._send(getattr(signal, "SIGKILL", signal.SIGTERM))
        self._ended.wait()

    def _send(self, number: int) -> None:
        with suppress(ProcessLookupError, PermissionError):
            if sys.platform != "win32":
                os.killpg(self.command_proc.pid, number)  # it leads a group of its own
            else:
                self.command_proc.terminate()

    def _watch(self) -> None:
        try:
            self.command_proc.wait()
            status = self.get_status()
            if self._client.get_run(self._run_id).info.status != status:
                operation = UpdateRun(run_id=self._run_id, status=status, end_time=now())  # type: ignore[arg-type]  # a word
                self._client.store.call(operation)
        finally:
            self._finish()
            self._ended.set()
