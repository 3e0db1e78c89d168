"""`write(2)` that keeps the interpreter.

`os.write` gives the interpreter away around the call. Where another thread waits for it, which is always so while a delivery is
under way, a log call would then wait for that thread's turn: 10 to 100 µs instead of one. Into the page cache of a local file a
record goes in less time than the hand-over takes, so it is written by a call that keeps the interpreter.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable


def _keeping_the_interpreter() -> Callable[[int, bytes, int], int]:
    if os.name != "posix":  # descriptors belong to one of several C libraries there

        def write(descriptor: int, data: bytes, size: int) -> int:
            return os.write(descriptor, data)

        return write
    function = ctypes.PyDLL(None, use_errno=True).write
    function.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t]
    function.restype = ctypes.c_ssize_t
    return function


write_now = _keeping_the_interpreter()
"""`write_now(descriptor, data, size)`: how many bytes were written; on POSIX -1 for an error, which `error_of_write` tells."""


def error_of_write() -> OSError:
    """The error of the last `write_now` of this thread."""
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))
