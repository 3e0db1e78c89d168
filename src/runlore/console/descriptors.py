"""Hears everything that reaches standard output and error, from C libraries and child processes too (`RUNLORE_CONSOLE=all`).

Each descriptor is replaced by a pipe (a terminal by a terminal of the same size, so that programs still see one), and a relay
passes on what comes, byte for byte and in order, and copies it into a file that is read here. On Linux and macOS.
"""

from __future__ import annotations

import codecs
import os
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

RELAY = Path(__file__).with_name("relay.py")
_PIECE = 1 << 20
_PATIENCE_S = 2.0
_QUIET_S = 0.03


class Descriptors:
    """Listens to descriptors 1 and 2 from when it is made until `close`. Raises `OSError` where that can not be set up."""

    def __init__(self) -> None:
        self._channels: list[_Channel] = []
        self.numbers: set[int] = set()
        """The descriptors that are heard."""
        flush()
        try:
            for number in (1, 2):
                place = _place(number)
                if place is None:
                    continue
                same = next((channel for channel in self._channels if channel.place == place), None)
                if same is None:
                    self._channels.append(_Channel(number, place))
                else:
                    same.join(number)  # one for both: what came first stays first
                self.numbers.add(number)
        except BaseException:
            self.close()
            raise

    def read(self) -> str:
        """What was written since the last call."""
        return "".join(channel.read() for channel in self._channels)

    def settle(self) -> None:
        """Wait, for a bounded time, until what was written before is there to be read."""
        flush()
        for channel in self._channels:
            channel.settle()

    def close(self) -> str:
        """Put the descriptors back, unless somebody else has replaced them since; gives the rest of what was written.

        Child processes that still write go on doing so: the relay lives as long as they do.
        """
        flush()
        return "".join(channel.close() for channel in self._channels)


class _Channel:
    def __init__(self, number: int, place: tuple[int, ...]) -> None:
        self.place = place
        self._numbers = [number]
        self._saved = os.dup(number)
        with tempfile.NamedTemporaryFile(prefix="runlore-console-") as copy:  # without a name from here on, open twice
            self._copy, self._reader = open(copy.name, "ab", buffering=0), open(copy.name, "rb", buffering=0)  # noqa: SIM115
        self._decoder: Any = codecs.getincrementaldecoder("utf-8")("backslashreplace")
        source, sink = _terminal(number) if os.isatty(number) else os.pipe()
        try:
            writer = self._copy.fileno()
            command = [sys.executable, "-I", "-S", str(RELAY), str(source), str(self._saved), str(writer)]
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                pass_fds=(source, self._saved, writer), start_new_session=True,
            )  # fmt: skip
            os.dup2(sink, number)
        finally:
            os.close(source)
            os.close(sink)
        self._ours = _place(number)

    def join(self, number: int) -> None:
        os.dup2(self._numbers[0], number)
        self._numbers.append(number)

    def read(self) -> str:
        parts = []
        while data := self._reader.read(_PIECE):
            parts.append(self._decoder.decode(data))
        if self._process.poll() is not None:  # it ended before its time: its work is done without it from now on
            self._restore()
        return "".join(parts)

    def settle(self) -> None:
        deadline, size = time.monotonic() + _PATIENCE_S, -1
        while time.monotonic() < deadline and size != (size := os.fstat(self._copy.fileno()).st_size):
            time.sleep(_QUIET_S)

    def close(self) -> str:
        self.settle()
        self._restore()
        with suppress(subprocess.TimeoutExpired):  # it goes on while a child holds the other end
            self._process.wait(_QUIET_S * 4)
        text: str = self.read() + self._decoder.decode(b"", final=True)
        self._copy.close()
        self._reader.close()
        os.close(self._saved)
        return text

    def _restore(self) -> None:
        for number in self._numbers:
            if _place(number) == self._ours:
                os.dup2(self._saved, number)
        self._numbers = []


def flush() -> None:
    """Let go of what Python holds back, so that it comes before what others write later."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, ValueError, OSError):
            stream.flush()


def _place(number: int) -> tuple[int, ...] | None:
    try:
        facts = os.fstat(number)
    except OSError:  # closed
        return None
    return facts.st_dev, facts.st_ino


def _terminal(number: int) -> tuple[int, int]:
    """A terminal of the same size and kind as that of a descriptor, which changes nothing in what goes through it."""
    if sys.platform == "win32":
        raise OSError("there are no such terminals on Windows")
    import pty
    import termios

    master, slave = pty.openpty()
    modes = termios.tcgetattr(number)
    modes[1] &= ~termios.OPOST  # the real terminal does that
    modes[3] &= ~termios.ECHO
    termios.tcsetattr(slave, termios.TCSANOW, modes)
    termios.tcsetwinsize(slave, termios.tcgetwinsize(number))
    return master, slave
