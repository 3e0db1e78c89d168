"""How long a transfer is tried again: until nothing has got on for a while, however long it takes as a whole."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable

_FIRST_SECONDS, _LONGEST_SECONDS = 0.1, 4.0


class Patience:
    """One transfer's. Its threads share it: when one of them gets on, the others go on trying, too."""

    def __init__(self, seconds: float, wait: Callable[[float], object] = time.sleep) -> None:
        """`seconds` without progress are the end."""
        self._seconds, self._wait = seconds, wait
        self._failures = 0
        self._since: float | None = None
        self._lock = threading.Lock()

    def moved(self) -> None:
        """Something got on: all is forgiven."""
        if self._since is not None:
            with self._lock:
                self._failures, self._since = 0, None

    def pause(self, error: Exception, cause: BaseException | None = None) -> None:
        """An attempt failed: wait before the next one, a random while that grows. Raises `error` when that was the last one."""
        with self._lock:
            now = time.monotonic()
            self._since = now if self._since is None else self._since
            self._failures += 1
            seconds = min(_LONGEST_SECONDS, _FIRST_SECONDS * 2 ** min(self._failures - 1, 10)) * random.uniform(0.5, 1.0)
            left = self._since + self._seconds - now
        if left <= 0:
            raise error from cause
        self._wait(min(seconds, left))
