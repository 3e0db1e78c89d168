"""Hears what is written to one stream of Python.

The stream's `write` is wrapped: it prints as ever and then tells. So `sys.stdout` stays the object that it was, and what others
hold of it (logging's handlers) is heard as well.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Ear:
    """Listens to a stream from when it is made until `detach`. A stream that takes no attributes is not heard."""

    def __init__(self, stream: Any, tell: Callable[[str], None]) -> None:
        self._stream, self._tell = stream, tell
        self._write: Callable[[str], int] | None = None
        self._original: Callable[[str], int] = stream.write
        self._own = False
        self._heard = 0
        self.attach()

    def attach(self) -> None:
        """Wrap what the stream's `write` is now."""
        original = self._stream.write
        self._original, self._own = original, "write" in getattr(self._stream, "__dict__", {})  # somebody else has wrapped it

        def write(text: str) -> int:
            written: int = original(text)
            if self._write is write:  # else it is one that somebody else still holds
                self._heard += 1
                if text:
                    self._tell(text)
            return written

        try:
            self._stream.write = write
        except (AttributeError, TypeError):  # an object that takes no attributes
            return
        self._write = write

    def hears(self) -> bool:
        """Whether what is written now is heard: others may have put another `write` in the place of ours. Writes nothing."""
        before = self._heard
        self._stream.write("")
        return self._heard > before or self._write is None

    def detach(self) -> None:
        """Listen no longer, and put back what was there, unless somebody else has wrapped the stream since."""
        ours, self._write = self._write, None
        if ours is None or vars(self._stream).get("write") is not ours:
            return
        if self._own:
            self._stream.write = self._original
        else:
            del self._stream.write
