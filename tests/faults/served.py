"""A real `runlore server` that is killed, starved and started again on the same port."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

ROOT = Path(__file__).parents[2]


class Served:
    """One server process at a time, on one store and one port."""

    def __init__(self, store: str, directory: Path, before: Sequence[str] = (), options: Sequence[str] = ()) -> None:
        self.store, self.before = store, list(before)
        self._options = ["--store", store, "--artifacts", str(directory / "artifacts"), *options]
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.lines: list[str] = []
        """What all processes so far said on standard error."""
        self.start_seconds: list[float] = []

    def launch(self) -> None:
        """Start a process."""
        command = [*self.before, sys.executable, "-m", "runlore.cli.main", "server", "--port", str(self.port), *self._options]
        self.process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
        assert self.process.stderr is not None
        self._drain = threading.Thread(target=self._keep_lines, args=(self.process.stderr,), daemon=True)
        self._drain.start()

    def start(self) -> None:
        """Start a process and wait until it answers."""
        began = time.monotonic()
        self.launch()
        while self.health() is None:
            assert self.process.poll() is None, "\n".join(self.lines)
            time.sleep(0.01)
        self.start_seconds.append(time.monotonic() - began)

    def _keep_lines(self, stream: IO[str]) -> None:
        self.lines += [line.rstrip("\n") for line in stream]

    def health(self, path: str = "/health") -> int | None:
        """The status of a page of the server; None when nobody answers."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=10) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            error.close()
            return error.code
        except OSError:
            return None

    def kill(self) -> None:
        """End the process as a crash would."""
        self.process.kill()
        self.wait()

    def wait(self) -> int:
        """Wait for the process to end by itself; returns its exit code."""
        code = self.process.wait(60)
        self._drain.join(10)
        assert self.process.stderr is not None
        self.process.stderr.close()
        return code

    def stop(self) -> None:
        """End the process as an operator would."""
        self.process.terminate()
        assert self.wait() == 0, "\n".join(self.lines)

    def children(self) -> list[int]:
        """The processes that the server's own process started."""
        return [int(pid) for pid in Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()]

    def memory(self) -> int:
        """Resident memory in MiB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) // 1024


@contextmanager
def serving(store: str, directory: Path, before: Sequence[str] = (), options: Sequence[str] = ()) -> Iterator[Served]:
    """A server for the time of the block."""
    served = Served(store, directory, before, options)
    try:
        served.start()
        yield served
    finally:
        served.kill()
