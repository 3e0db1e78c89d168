"""Listens to what this process prints, without standing in the way of it: what is heard waits in a queue that a thread empties.

Child processes and libraries that write past Python are heard on request (`RUNLORE_CONSOLE=all`, see `descriptors.py`).
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

from runlore.console.descriptors import Descriptors
from runlore.console.ear import Ear
from runlore.console.parts import FOLDER, PartsWriter
from runlore.console.transcript import Transcript
from runlore.exceptions import RunloreError
from runlore.settings import read_settings
from runlore.snapshot.process import in_notebook, shell
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
        _capture.rest()

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
        self._descriptors: Descriptors | None = None
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self, recorder: ConsoleRecorder) -> None:
        """Begin to listen for a run."""
        with self._lock:
            self._catch_up()
            self._queue.append(recorder)
            if self._thread is None:
                self._listen()
                self._thread = threading.Thread(target=self._pump, name="runlore-console", daemon=True)
                self._thread.start()

    def end(self, recorder: ConsoleRecorder) -> None:
        """Listen no longer for a run."""
        with self._lock:
            self._catch_up()
            self._queue.append(recorder)
        self._wake.set()

    def rest(self) -> None:
        """Wait until descriptors that were replaced are what they were, when nobody listens any more."""
        thread = self._thread
        if self._descriptors is not None and thread is not None and not self._recorders:
            thread.join(PATIENCE_S)

    def abandon(self) -> None:
        """In a forked process: its prints are not recorded, the thread stayed behind."""
        self._lock, self._wake = threading.Lock(), threading.Event()
        self._descriptors = None  # they stay as they are: what a child writes is heard by its parent
        self._deafen()
        self._queue.clear()
        self._recorders.clear()
        self._thread = None

    def _catch_up(self) -> None:
        """What others have written until now belongs before what is put into the queue next."""
        if self._descriptors is not None:
            self._descriptors.settle()
            self._hear(self._descriptors.read())

    def _pump(self) -> None:
        while True:
            self._wake.wait(INTERVAL_S)
            self._wake.clear()
            with self._lock:
                if self._descriptors is not None:
                    self._hear(self._descriptors.read())
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
        if not text:
            return
        if len(self._queue) < QUEUED:
            self._queue.append(text)
        else:
            self._dropped += 1

    def _listen(self) -> None:
        if said() == "all" and not in_notebook():  # there the kernel does it
            try:
                self._descriptors = Descriptors()
            except OSError as error:
                logger.warning("Child processes and C libraries are not heard: %s", error)
        heard = self._descriptors.numbers if self._descriptors is not None else set()
        streams = [stream for stream in (sys.stdout, sys.stderr) if stream is not None]  # pythonw has none
        self._ears = [Ear(stream, self._hear) for stream in streams if descriptor(stream) not in heard]
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
        if self._descriptors is not None:
            self._descriptors.close()
            self._descriptors = None


def wanted() -> bool:
    """True unless the environment says `RUNLORE_CONSOLE=0`."""
    return said() not in ("0", "false", "no", "off")


def said() -> str:
    """What the environment says: "1" by default, "all" for child processes and C libraries too."""
    return (read_settings().console or "1").lower()


def descriptor(stream: object) -> int:
    """The descriptor that a stream writes to; -1 where it has none."""
    try:
        return int(stream.fileno())  # type: ignore[attr-defined]
    except (AttributeError, ValueError, OSError):
        return -1


_capture = _Capture()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_capture.abandon)
