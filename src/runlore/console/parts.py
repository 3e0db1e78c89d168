"""Where the text of a console goes: into files of bounded size, the last of which is written again as it grows."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

FOLDER = "runlore/console"
PART = 128 << 10
"""Bytes after which a part is done."""
LIMIT = 32 << 20
"""Bytes of one session that are kept from its beginning; from then on only the last `TAIL` bytes are."""
TAIL = PART
_UNSENT = 64
"""Finished parts that wait for the store, at most: the oldest ones are given up."""


class PartsWriter:
    """The parts of one session. `write(name, text)` stores a file; when it raises, the same text is tried again next time."""

    def __init__(self, write: Callable[[str, str], object]) -> None:
        self._write = write
        self._part: list[str] = []
        self._size = self._offset = self._left_out = 0
        self._unsent: deque[tuple[str, str]] = deque(maxlen=_UNSENT)
        self._last: tuple[str, str] | None = None

    def flush(self, settled: str, live: str) -> None:
        """Store what has been added: `settled` for good, `live` until the next call."""
        if settled:
            self._part.append(settled)
            self._size += len(settled.encode("utf-8", "surrogateescape"))
        if self._offset >= LIMIT:
            self._roll()
        elif self._size >= PART:
            self._unsent.append((self._name(), "".join(self._part)))
            self._offset += self._size
            self._part, self._size = [], 0
        while self._unsent:
            self._write(*self._unsent[0])
            self._unsent.popleft()
        note = f"[… {self._left_out:,} characters left out …]\n" if self._left_out else ""
        now = self._name(), note + "".join(self._part) + live
        if now != self._last and now[1]:
            self._write(*now)
            self._last = now

    def _roll(self) -> None:
        """Beyond the limit: let go of the oldest lines of the last part."""
        if self._size <= 2 * TAIL:
            return
        text = "".join(self._part)
        cut = text.find("\n", max(0, len(text) - TAIL)) + 1 or len(text)
        self._left_out += cut
        self._part = [text[cut:]]
        self._size = len(self._part[0].encode("utf-8", "surrogateescape"))

    def _name(self) -> str:
        return f"{self._offset:012d}.txt"
