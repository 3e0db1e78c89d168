"""Waiting for what other threads and processes do."""

from __future__ import annotations

import time
from collections.abc import Callable

from runlore.exceptions import NotFound


def wait_for(condition: Callable[[], bool]) -> None:
    """Return as soon as it is true; fail after 30 seconds."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            if condition():
                return
        except NotFound:
            pass
        time.sleep(0.02)
    raise AssertionError("it did not come true in 30 s")
