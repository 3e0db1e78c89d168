"""A line on the terminal that says how far a large transfer is. In pipes, files and for small transfers there is none."""

from __future__ import annotations

import sys
import threading
import time
from types import TracebackType
from typing import Self

from runlore.settings import read_settings

LEAST_BYTES = 8_000_000
"""Transfers below this size are over before anybody has read a line about them."""
_EVERY_S = 0.1
_CELLS = 20
_OFF = ("0", "false", "no", "off")


class Progress:
    """Shows a transfer on standard error while its block runs: a `Meter` for blob stores."""

    def __init__(self, label: str) -> None:
        wanted = (read_settings().progress_bar or "true").lower() not in _OFF
        self._wanted = wanted and sys.stderr is not None and sys.stderr.isatty()
        self._shown = False
        self._label, self._total = label, 0
        self._done, self._next = 0, 0.0
        self._began = time.monotonic()
        self._lock = threading.Lock()

    def expect(self, size: int) -> None:
        """So many bytes will go. Short transfers are not shown."""
        self._total = size
        self._shown = self._wanted and size >= LEAST_BYTES

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._shown:
            self._show(end="\n")

    def advance(self, size: int) -> None:
        """So many bytes more have gone. Called from several threads; what is sent again after a lost connection counts once."""
        if not self._shown:
            return
        with self._lock:
            self._done = min(self._done + size, self._total)
            now = time.monotonic()
            if now >= self._next:
                self._next = now + _EVERY_S
                self._show()

    def _show(self, end: str = "") -> None:
        seconds = max(time.monotonic() - self._began, 1e-3)
        part, rate = self._done / self._total, self._done / seconds
        left = f", {_clock((self._total - self._done) / rate)} left" if 0 < part < 1 and seconds > 1 else ""
        width = round(part * 2 * _CELLS)
        bar = "█" * (width // 2) + "▌" * (width % 2)
        sys.stderr.write(
            f"\r{self._label}: {part:4.0%} {bar:{_CELLS}} {self._done / 1e6:,.1f} of {self._total / 1e6:,.1f} MB, "
            f"{rate / 1e6:,.1f} MB/s{left}\x1b[K{end}"
        )
        sys.stderr.flush()


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
