"""How runs end that nobody ends: with what status, and what is written down of the error that ended them."""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
from types import FrameType

from runlore.entities import RunStatus
from runlore.snapshot.secrets import mask_text, secret_values

EXCEPTION_TAG, TRACEBACK_TAG = "runlore.exception", "runlore.traceback"
_LONGEST_EXCEPTION, _LONGEST_TRACEBACK = 1_000, 8_000
_TERMINATED = 128 + signal.SIGTERM

_terminated = False
_watching = False


def status_of(error: BaseException | None) -> str:
    """FINISHED without an error; KILLED by an interrupt from the keyboard or by SIGTERM; FAILED by any other error."""
    if error is None:
        return RunStatus.FINISHED
    if isinstance(error, KeyboardInterrupt) or (isinstance(error, SystemExit) and was_terminated()):
        return RunStatus.KILLED
    return RunStatus.FAILED


def tags_of(error: BaseException) -> dict[str, str]:
    """What a run says of the error that ended it: its type and message, and the traceback (its end, where it is long).

    Nothing for an interrupt or an exit, which say nothing. Secrets are replaced by `***`, as in snapshots.
    """
    if isinstance(error, KeyboardInterrupt | SystemExit | GeneratorExit):
        return {}
    secrets = secret_values(os.environ)
    message = mask_text("".join(traceback.format_exception_only(error)).strip(), secrets)
    trace = mask_text("".join(traceback.format_exception(error)).strip(), secrets)
    tags = {EXCEPTION_TAG: message[:_LONGEST_EXCEPTION], TRACEBACK_TAG: trace[-_LONGEST_TRACEBACK:]}
    return {key: value.encode("utf-8", "replace").decode().replace("\0", "�") for key, value in tags.items()}


def was_terminated() -> bool:
    """Whether this process was sent SIGTERM since `watch_termination`."""
    return _terminated


def watch_termination() -> None:
    """Let SIGTERM end the process as `sys.exit(143)` does, so that runs end and what was logged arrives.

    Only where nobody else handles the signal, and only from the main thread, as Python has it.
    """
    global _watching
    if _watching or threading.current_thread() is not threading.main_thread() or sys.platform == "win32":
        return
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _terminate)
        _watching = True


def _terminate(number: int, frame: FrameType | None) -> None:
    global _terminated
    _terminated = True
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # who sends it again means it
    raise SystemExit(_TERMINATED)


def _after_fork() -> None:
    """Workers that are forked off end by SIGTERM as they would without us."""
    global _watching, _terminated
    _terminated = False
    if _watching and signal.getsignal(signal.SIGTERM) is _terminate:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _watching = False


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
