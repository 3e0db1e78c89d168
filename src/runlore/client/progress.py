"""A line on the terminal that says how far a large transfer is. In pipes, files and for small transfers there is none."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from runlore.settings import read_settings

LEAST_BYTES = 8_000_000
"""Transfers below this size are over before anybody has read a line about them."""
_EVERY_S = 0.1
_OFF = ("0", "false", "no", "off")


class Progress:
    """Shows a transfer of `total` bytes on standard error while its block runs. `advance` may be called by many threads."""

    def __init__(self, label: str, total: int) -> None:
        wanted = (read_settings().progress_bar or "true").lower() not in _OFF
        self._shown = wanted and total >= LEAST_BYTES and sys.stderr is not None and sys.stderr.isatty()
        self._label, self._total = label, total
        self._done, self._next = 0, 0.0
        self._began = time.monotonic()
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._shown:
            self._show(end="\n")

    def advance(self, size: int) -> None:
        """So many bytes more have gone. What is sent again after a lost connection counts once."""
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
        part = self._done / self._total
        sys.stderr.write(
            f"\r{self._label}: {part:4.0%} {'█' * round(part * 20):20} {self._done / 1e6:,.1f} of {self._total / 1e6:,.1f} MB, "
            f"{self._done / 1e6 / seconds:,.1f} MB/s\x1b[K{end}"
        )
        sys.stderr.flush()


def size_of(local: Path) -> int:
    """Bytes of a file, or of all files under a directory; 0 when there is none."""
    if local.is_dir():
        return sum(file.stat().st_size for file in local.rglob("*") if file.is_file())
    return local.stat().st_size if local.is_file() else 0
