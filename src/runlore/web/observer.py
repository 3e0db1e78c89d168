"""What a server tells about itself: a line for each request, and numbers for Prometheus. Both are off unless asked for.

Query strings are in neither: they hold filters, names and signatures. Numbers are of one process; with `--workers` each answers
for itself.
"""

from __future__ import annotations

import os
import sys
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import msgspec

from runlore.version import __version__
from runlore.web.http import (
    WRITE_WHOLE,
    Application,
    Headers,
    Message,
    Receive,
    Reply,
    Scope,
    Send,
    Whole,
    text_reply,
)

LogForm = Literal["text", "json"]

BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the classes of durations, in seconds."""
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_STREAM = b"text/event-stream"


class Line(msgspec.Struct):
    """One request in the access log."""

    time: str
    client: str
    method: str
    path: str
    status: int
    bytes: int
    milliseconds: float


class Observer:
    """Counts and logs requests."""

    def __init__(self, log: LogForm | None = None) -> None:
        self._log = log
        self._started = time.time()
        self._requests: Counter[tuple[str, int]] = Counter()
        self._durations = [0] * (len(BOUNDS) + 1)
        self._seconds = 0.0
        self._sent = 0
        self._inside = 0

    def reply(self, further: Iterable[str] = ()) -> Reply:
        """What Prometheus asks for: the numbers here, and further lines of its text format."""
        return text_reply("\n".join([*self._lines(), *further, ""]), "text/plain; version=0.0.4; charset=utf-8")

    def observing(self, application: Application) -> Application:
        """The application, with every request seen."""

        async def observed(scope: Scope, receive: Receive, send: Send) -> None:
            began, status, size, stream = time.monotonic(), 0, 0, False

            async def counting(message: Message) -> None:
                nonlocal status, size, stream
                if message["type"] == "http.response.start":
                    status = message["status"]
                    stream = any(name == b"content-type" and value.startswith(_STREAM) for name, value in message["headers"])
                elif message["type"] == "http.response.body":
                    size += len(message.get("body", b""))
                await send(message)

            whole: Whole | None = scope.get(WRITE_WHOLE)

            async def counting_whole(code: int, headers: Headers, body: bytes) -> None:
                nonlocal status, size
                status, size = code, len(body)
                assert whole is not None
                await whole(code, headers, body)

            if whole:
                scope[WRITE_WHOLE] = counting_whole
            self._inside += 1
            path = scope.get("raw_path") or scope["path"].encode()
            try:
                await application(scope, receive, counting)
            finally:
                self._inside -= 1
                self._note(scope, path, status or 499, size, None if stream else time.monotonic() - began)

        return observed

    def _note(self, scope: Scope, path: bytes, status: int, size: int, seconds: float | None) -> None:
        method = scope["method"] if scope["method"] in _METHODS else "other"
        self._requests[method, status] += 1
        self._sent += size
        if seconds is not None:  # a stream lasts as long as somebody listens
            self._durations[bisect_left(BOUNDS, seconds)] += 1
            self._seconds += seconds
        if self._log:
            self._write(scope, path, status, size, seconds or 0.0)

    def _write(self, scope: Scope, path: bytes, status: int, size: int, seconds: float) -> None:
        client = scope.get("client") or ("-", 0)
        line = Line(
            time=datetime.now(UTC).isoformat(timespec="milliseconds"),
            client=client[0],
            method=scope["method"],
            path="".join(letter if "!" <= letter <= "~" else "?" for letter in path.decode("latin-1")),
            status=status,
            bytes=size,
            milliseconds=round(1_000 * seconds, 2),
        )
        if self._log == "json":
            text = msgspec.json.encode(line).decode()
        else:
            text = f"{line.time} {line.client} {line.method} {line.path} {line.status} {line.bytes} B {line.milliseconds} ms"
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

    def _lines(self) -> Iterator[str]:
        """The text format of Prometheus."""
        yield from prometheus("runlore_info", "gauge", "The version, as a label.", [(f'{{version="{__version__}"}}', 1)])
        yield from prometheus(
            "runlore_requests_total",
            "counter",
            "Requests that were answered, by method and status; 499 for clients that left before.",
            [(f'{{method="{method}",status="{status}"}}', count) for (method, status), count in sorted(self._requests.items())],
        )
        yield from self._histogram()
        for name, kind, about, value in (
            ("runlore_requests_in_progress", "gauge", "Requests that are being answered, streams among them.", self._inside),
            ("runlore_sent_bytes_total", "counter", "Bytes of answers, without their heads.", self._sent),
            ("process_start_time_seconds", "gauge", "When the process started.", round(self._started, 3)),
            ("process_cpu_seconds_total", "counter", "Processor time, of user and system.", round(sum(os.times()[:2]), 3)),
            ("process_resident_memory_bytes", "gauge", "Resident memory.", _resident_bytes()),
        ):
            yield from prometheus(name, kind, about, [("", value)])

    def _histogram(self) -> Iterator[str]:
        name = "runlore_request_seconds"
        yield f"# HELP {name} How long answers took, streams left out."
        yield f"# TYPE {name} histogram"
        total = 0
        for bound, count in zip((*map(str, BOUNDS), "+Inf"), self._durations, strict=True):
            total += count
            yield f'{name}_bucket{{le="{bound}"}} {total}'
        yield f"{name}_sum {self._seconds:.6f}"
        yield f"{name}_count {total}"


def prometheus(name: str, kind: str, about: str, values: list[tuple[str, float]]) -> Iterator[str]:
    """Lines of one metric: what it means, and its value for each set of labels (`{a="b"}`, or nothing)."""
    yield f"# HELP {name} {about}"
    yield f"# TYPE {name} {kind}"
    for labels, value in values:
        yield f"{name}{labels} {value}"


def _resident_bytes() -> int:
    """Memory of this process (Linux; 0 elsewhere)."""
    if sys.platform == "win32":
        return 0
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
