"""Passes on what is written to a descriptor, and keeps a copy: a program of its own, started by `descriptors.py`.

Outside of the training's process it goes on while that one holds Python's lock, is killed, or has left children behind that
still write: nobody who writes ever waits for the training or loses the other end.
"""

import os
import select
import signal
import sys

PIECE = 1 << 16
MOST = 256 << 20  # bytes that are copied; passed on is everything


def relay(source: int, target: int, copy: int) -> None:
    """Until the last writer has closed its end, or nobody reads what is passed on."""
    kept = 0
    while True:
        try:
            data = os.read(source, PIECE)
        except OSError:  # of a terminal whose last user is gone
            return
        if not data:
            return
        if kept < MOST:
            kept += len(data)
            os.write(copy, data)
        while data:
            try:
                data = data[os.write(target, data) :]
            except BlockingIOError:
                select.select([], [target], [])


if __name__ == "__main__":
    for number in {"SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGTSTP", "SIGTTOU"} & set(dir(signal)):
        signal.signal(getattr(signal, number), signal.SIG_IGN)  # it ends when there is nothing left to pass on
    try:
        relay(*map(int, sys.argv[1:4]))
    except OSError:  # nobody reads any more: writers learn it as they would have without us
        sys.exit(1)
