"""Listens to what this process prints, without standing in the way of it: what is heard waits in a queue that a thread empties.

Not heard are child processes and libraries that write past Python.
"""

from __future__ import annotations

import logging
import os
import secrets
import sys
import threading
import time
from collections import deque
from contextlib import suppress
from typing import Protocol

from runlore.console.ear import Ear
from runlore.console.parts import FOLDER, PartsWriter
from runlore.console.transcript import Transcript
from runlore.exceptions import RunloreError
from runlore.settings import read_settings
from runlore.snapshot.process import shell
from runlore.snapshot.secrets import mask_text, secret_values

INTERVAL_S = 1.0
"""The time between two looks into the queue; text is stored that often while there is new text."""
QUEUED = 200_000
"""Pieces of text that wait at most; further ones are not kept, and the text says so."""
PATIENCE_S = 15.0
"""How long the end of a run waits until its console is stored."""

logger = logging.getLogger("runlore")


class Client(Protocol):
    """What the console needs of a client."""

    def log_text(self, run_id: str, text: str, artifact_file: str) -> None:
        """Store a text as a file of the run."""
        ...


class ConsoleRecorder:
    """Keeps what is printed from when it is made until `finish`. All open runs of a process keep all that it prints."""

    def __init__(self, client: Client, run_id: str, rank: int = 0) -> None:
        """`rank` is the number of this process among those that share the run."""
        who = f"rank{rank}" if rank else f"{secrets.token_hex(2)}"
        self._folder = f"{FOLDER}/{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{who}"
        self._client, self._run_id = client, run_id
        self._transcript = Transcript()
        self._parts = PartsWriter(self._store)
        self._secrets = secret_values(os.environ)
        self._late = False
        self._ended = threading.Event()
        _capture.begin(self)

    def finish(self) -> None:
        """Stop listening, and wait until everything is stored."""
        _capture.end(self)
        if not self._ended.wait(PATIENCE_S):
            logger.warning("The console of run %s is not complete: the store did not take it in time.", self._run_id)

    def take(self, text: str, last: bool = False) -> None:
        """Called by the capturing thread with what was printed. What the store does not take is tried again the next time."""
        if text or self._late or last:
            self._transcript.feed(text)
            try:
                self._parts.flush(self._masked(self._transcript.settled()), self._masked(self._transcript.live()))
                self._late = False
            except (RunloreError, OSError) as error:
                self._late = True
                logger.log(
                    logging.WARNING if last else logging.DEBUG, "The console of run %s is not complete: %s", self._run_id, error
                )
        if last:
            self._ended.set()

    def _masked(self, text: str) -> str:
        return mask_text(text, self._secrets) if text else text

    def _store(self, name: str, text: str) -> None:
        self._client.log_text(self._run_id, text, f"{self._folder}/{name}")


class _Capture:
    """The one listener of a process, while any run keeps its console.

    The queue holds texts, and recorders where they begin and where they end: each gets what was printed in between.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._queue: deque[str | ConsoleRecorder] = deque()
        self._dropped = 0
        self._recorders: list[ConsoleRecorder] = []
        self._ears: list[Ear] = []
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self, recorder: ConsoleRecorder) -> None:
        """Begin to listen for a run."""
        with self._lock:
            self._queue.append(recorder)
            if self._thread is None:
                self._listen()
                self._thread = threading.Thread(target=self._pump, name="runlore-console", daemon=True)
                self._thread.start()

    def end(self, recorder: ConsoleRecorder) -> None:
        """Listen no longer for a run."""
        self._queue.append(recorder)
        self._wake.set()

    def abandon(self) -> None:
        """In a forked process: its prints are not recorded, the thread stayed behind."""
        self._lock, self._wake = threading.Lock(), threading.Event()
        self._deafen()
        self._queue.clear()
        self._recorders.clear()
        self._thread = None

    def _pump(self) -> None:
        while True:
            self._wake.wait(INTERVAL_S)
            self._wake.clear()
            self._deliver()
            with self._lock:
                if not self._recorders and not any(isinstance(item, ConsoleRecorder) for item in self._queue):
                    self._deafen()
                    self._queue.clear()
                    self._thread = None
                    return

    def _deliver(self) -> None:
        """Hand what is in the queue to the recorders that listen."""
        texts: list[str] = []
        for _ in range(len(self._queue)):
            item = self._queue.popleft()
            if isinstance(item, str):
                texts.append(item)
                continue
            self._hand_out(texts)
            if item in self._recorders:
                self._recorders.remove(item)
                item.take("", last=True)
            else:
                self._recorders.append(item)
        self._hand_out(texts)

    def _hand_out(self, texts: list[str]) -> None:
        if self._dropped:
            texts.append(f"\n[… {self._dropped:,} prints left out …]\n")
            self._dropped = 0
        text = "".join(texts)
        if not text.isascii():  # half of a surrogate pair can be printed, and not stored
            text = text.encode("utf-8", "backslashreplace").decode()
        texts.clear()
        for recorder in self._recorders:
            recorder.take(text)

    def _hear(self, text: str) -> None:
        if len(self._queue) < QUEUED:
            self._queue.append(text)
        else:
            self._dropped += 1

    def _listen(self) -> None:
        self._ears = [Ear(stream, self._hear) for stream in (sys.stdout, sys.stderr) if stream is not None]  # pythonw has none
        if (running := shell()) is not None:
            running.events.register("pre_run_cell", self._before_cell)

    def _before_cell(self, *_: object) -> None:
        """IPython wraps the streams anew for every cell, and afterwards puts back what it found at the cell's begin."""
        for ear in self._ears:
            if not ear.hears():
                ear.attach()

    def _deafen(self) -> None:
        if (running := shell()) is not None:
            with suppress(ValueError):
                running.events.unregister("pre_run_cell", self._before_cell)
        for ear in self._ears:
            ear.detach()
        self._ears = []


def wanted() -> bool:
    """True unless the environment says `RUNLORE_CONSOLE=0`."""
    return (read_settings().console or "1").lower() not in ("0", "false", "no", "off")


_capture = _Capture()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_capture.abandon)
