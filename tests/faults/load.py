"""Writers that put numbered points into a server, through Runlore's client or the way a stock MLflow client does it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from typing import Any, Protocol

import urllib3
from tests.faults.oracle import Ledger, batch, creation

from runlore.api.operation import Operation, to_request
from runlore.settings import Settings
from runlore.store.http import HttpStore


class Client(Protocol):
    """Sends operations and insists."""

    def call(self, operation: Operation[Any]) -> Any:
        """Returns when the operation was answered with success."""
        ...

    def close(self) -> None:
        """Let go of the connections."""
        ...


class StockClient:
    """What MLflow's clients do: urllib3 repeats after broken connections and the statuses 408, 429, 500, 502, 503, 504."""

    def __init__(self, url: str, attempts: int = 200) -> None:
        statuses = frozenset({408, 429, 500, 502, 503, 504})
        retry = urllib3.Retry(
            total=attempts, backoff_factor=0.05, backoff_max=0.3, status_forcelist=statuses, allowed_methods=None,
            respect_retry_after_header=False, backoff_jitter=0.05,
        )  # fmt: skip
        self._url = url
        self._pool = urllib3.PoolManager(retries=retry, timeout=urllib3.Timeout(connect=5, read=30))

    def call(self, operation: Operation[Any]) -> Any:
        """Send it until it is answered with success."""
        method, path, _, body = to_request(operation)
        answer = self._pool.request(method, self._url + path, body=body, headers={"Content-Type": "application/json"})
        assert answer.status == 200, (answer.status, answer.data[:500])
        return json.loads(answer.data)

    def close(self) -> None:
        """Let go of the connections."""
        self._pool.clear()


def client(kind: str, url: str) -> Client:
    """A client: "runlore", "stock", or "once", which tries nothing again."""
    if kind == "runlore":
        return HttpStore(url, Settings(), patience=120.0)
    return StockClient(url, attempts=0 if kind == "once" else 200)


class Load:
    """Writers at work, each in a thread, each with a run of its own."""

    def __init__(self, ledger: Ledger, url: str, points: int, pause: float) -> None:
        self.ledger, self.url, self.points, self.pause = ledger, url, points, pause
        self.errors: list[BaseException] = []
        self.seconds: list[float] = []
        """How long each batch took."""
        self._ended = threading.Event()
        self._threads: list[threading.Thread] = []

    def begin(self, writers: Iterable[int], kind: str | None) -> None:
        """Start writers; unless `kind` says otherwise, every second one is a stock client."""
        for writer in writers:
            thread = threading.Thread(target=self._write, args=(writer, kind or ("runlore", "stock")[writer % 2]), daemon=True)
            self._threads.append(thread)
            thread.start()

    def end(self, seconds: float = 60.0) -> None:
        """Let every writer finish the batch that it is at. Raises what went wrong in any of them."""
        self._ended.set()
        for thread in self._threads:
            thread.join(seconds)
            assert not thread.is_alive(), "a writer hangs"
        for error in self.errors:
            raise error

    def wait_for(self, points: int, seconds: float = 60.0) -> None:
        """Wait until so many more points have been acknowledged."""
        wanted, deadline = len(self.ledger) + points, time.monotonic() + seconds
        while len(self.ledger) < wanted:
            assert not self.errors, self.errors
            assert time.monotonic() < deadline, "the writers do not get on"
            time.sleep(0.01)

    def _write(self, writer: int, kind: str) -> None:
        try:
            with closing(client(kind, self.url)) as sender:
                sender.call(creation(writer))
                number = 0
                while not self._ended.is_set():
                    began = time.monotonic()
                    self.ledger.send(writer, number, self.points)
                    sender.call(batch(writer, number, self.points))
                    self.ledger.acknowledge(writer, number, self.points)
                    number += self.points
                    self.seconds.append(time.monotonic() - began)
                    time.sleep(self.pause)
        except BaseException as error:  # noqa: BLE001  # raised again in the thread of the test
            self.errors.append(error)


@contextmanager
def load(
    ledger: Ledger, url: str, writers: int = 6, points: int = 10, pause: float = 0.02, kind: str | None = None
) -> Iterator[Load]:
    """Writers for the time of the block: six with ten points every 20 ms are 3,000 points a second."""
    work = Load(ledger, url, points, pause)
    work.begin(range(writers), kind)
    try:
        yield work
    finally:
        work.end()
