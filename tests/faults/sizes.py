"""How much of each fault: little in every test run, much in `make soak`."""

from __future__ import annotations

import os

SOAK = bool(os.environ.get("RUNLORE_SOAK"))


def size(short: int, long: int) -> int:
    """The number for this run."""
    return long if SOAK else short
