"""Regular expressions in RE2's syntax: the time to match grows with the text alone, whatever the pattern.

Neither Python's `re` nor PostgreSQL's engine promises that, and they would not mean the same. RE2 has no back references and
no look-around.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from runlore.exceptions import InvalidParameter, MissingDependency

_MEMORY = 1 << 20
"""Bytes that a compiled pattern may take: some thousand states."""


@lru_cache(maxsize=64)
def regex(pattern: str) -> Callable[[str], bool]:
    """A function that tells whether the pattern is found anywhere in a text.

    Raises `InvalidParameter` for a pattern that RE2 does not take, `MissingDependency` when it is not installed.
    """
    try:
        import re2
    except ImportError as error:
        raise MissingDependency(f"Regular expressions need RE2 ({error}). hint: pip install 'runlore[regex]'") from error
    options: Any = re2.Options()
    options.log_errors = False
    options.max_mem = _MEMORY
    options.never_capture = True
    try:
        search = re2.compile(pattern.encode(), options).search
    except re2.error as error:
        reason = error.args[0].decode(errors="replace") if error.args else "it is not understood"
        raise InvalidParameter(f"Invalid regular expression (RE2): {reason}.") from None
    return lambda text: search(text.encode()) is not None
