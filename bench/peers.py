"""The servers that the benchmarks compare: each as it installs and starts by default, on SQLite, one after the other.

CPU time is user + system time of the server's whole process tree, read from /proc: it drifts far less than wall time on a
shared machine. Linux only.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Peer:
    """A tracking server: how it is started on a port with its data in a directory."""

    name: str
    program: Path
    arguments: Callable[[int, Path], list[str]]

    @property
    def installed(self) -> bool:
        """True when its environment is there."""
        return self.program.exists()


PEERS = (
    Peer(
        "MLflow 3.17",
        ROOT / ".venvs/mlflow3/bin/mlflow",
        lambda port, folder: [
            "server",
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
            "--backend-store-uri",
            f"sqlite:///{folder}/mlflow.db",
            "--default-artifact-root",
            f"{folder}/artifacts",
        ],
    ),
    Peer(
        "FastTrackML 0.6",
        ROOT / ".venvs/fasttrackml/bin/fml",
        lambda port, folder: [
            "server",
            "--listen-address",
            f"127.0.0.1:{port}",
            "--database-uri",
            f"sqlite://{folder}/fasttrackml.db",
        ],
    ),
    Peer(
        "Runlore",
        Path(sys.executable).parent / "runlore",
        lambda port, folder: ["server", "--port", str(port), "--store", f"sqlite:///{folder}/runlore.db"],
    ),
)


def processes_of(pid: int) -> list[int]:
    """A process and its living descendants."""
    found, waiting = [], [pid]
    while waiting:
        current = waiting.pop()
        found.append(current)
        for task in Path(f"/proc/{current}/task").glob("*/children"):
            waiting += [int(child) for child in task.read_text().split()]
    return found


def cpu_seconds(pid: int) -> float:
    """User + system seconds of a process tree, reaped children included."""
    total = 0
    for process in processes_of(pid):
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        total += sum(int(fields[index]) for index in (11, 12, 13, 14))
    return total / TICKS


def memory_megabytes(pid: int) -> float:
    """Proportional set size of a process tree in MB (10^6 bytes)."""
    total = 0
    for process in processes_of(pid):
        for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1]) * 1024
    return total / 1e6


class Connection:
    """One keep-alive connection that speaks MLflow's JSON."""

    def __init__(self, port: int) -> None:
        self.http = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
        self.http.connect()
        self.http.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """POST to `/api/2.0/mlflow/<path>`; raises on anything but 200."""
        return self._send("POST", f"/api/2.0/mlflow/{path}", json.dumps(body).encode())

    def get(self, path: str) -> dict[str, Any]:
        """GET `/api/2.0/mlflow/<path>`; raises on anything but 200."""
        return self._send("GET", f"/api/2.0/mlflow/{path}", None)

    def _send(self, method: str, path: str, body: bytes | None) -> dict[str, Any]:
        self.http.request(method, path, body, {"Content-Type": "application/json"})
        answer = self.http.getresponse()
        raw = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{method} {path}: {answer.status} {raw[:300]!r}")
        result: dict[str, Any] = json.loads(raw or b"{}")
        return result


@dataclass
class Running:
    """A started server."""

    peer: Peer
    port: int
    pid: int
    start_seconds: float
    folder: Path
    connections: list[Connection] = field(default_factory=list)

    def connect(self) -> Connection:
        """A new keep-alive connection."""
        return Connection(self.port)

    def stop(self) -> None:
        """Stop the server, as a user would."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGTERM)
        for _ in range(200):
            if all(
                Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
                for process in processes_of(self.pid)
            ):
                return
            time.sleep(0.1)
        raise RuntimeError(f"{self.peer.name} did not stop")


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _answers(port: int) -> bool:
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        connection.request("GET", "/api/2.0/mlflow/experiments/get?experiment_id=0")
        return connection.getresponse().status == 200
    except OSError:
        return False


def settle(pid: int, patience: float = 60.0) -> None:
    """Wait until start-up work in the background is over: less than 5 % of one core for two seconds, or `patience` is over."""
    end = time.perf_counter() + patience
    while time.perf_counter() < end:
        before = cpu_seconds(pid)
        time.sleep(2)
        if cpu_seconds(pid) - before < 0.1:
            return


@contextmanager
def started(peer: Peer, patience: float = 120.0, answers: Callable[[int], bool] = _answers) -> Iterator[Running]:
    """Run a peer with fresh data until the block ends; `start_seconds` is the time to its first answer."""
    folder = Path(tempfile.mkdtemp(prefix="runlore-bench-"))
    port = free_port()
    begin = time.perf_counter()
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(
            [str(peer.program), *peer.arguments(port, folder)], cwd=folder, stdout=log, stderr=log, start_new_session=True
        )
    try:
        while not answers(port):
            if process.poll() is not None or time.perf_counter() - begin > patience:
                raise RuntimeError(f"{peer.name} did not start:\n{(folder / 'server.log').read_text()[-2000:]}")
            time.sleep(0.02)
        ready = time.perf_counter() - begin
        settle(process.pid)
        yield Running(peer, port, process.pid, ready, folder)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True)
class Figure:
    """What one piece of work cost one server."""

    cpu_ms: float
    p50_ms: float
    p99_ms: float
    per_second: float

    def __str__(self) -> str:
        return f"{self.cpu_ms:.2f} ms CPU, p50 {self.p50_ms:.1f} ms, p99 {self.p99_ms:.1f} ms, {self.per_second:,.0f}/s"


def measure(times: list[float], cpu: float, wall: float) -> Figure:
    """Figures per request from the latency of each request, and the CPU and wall seconds of all of them."""
    ordered = sorted(times)
    return Figure(
        cpu_ms=cpu / len(times) * 1e3,
        p50_ms=ordered[len(ordered) // 2] * 1e3,
        p99_ms=ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))] * 1e3,
        per_second=len(times) / wall,
    )


def table(rows: dict[str, dict[str, Figure]], names: list[str]) -> str:
    """Markdown: a row per work; CPU per request of each server, and how many times Runlore's it is."""
    lines = ["| Work | " + " | ".join(names) + " |", "|---|" + "---|" * len(names)]
    for work, figures in rows.items():
        ours = figures.get("Runlore")
        cells = []
        for name in names:
            figure = figures.get(name)
            if figure is None:
                cells.append("–")
                continue
            ratio = f" (**{figure.cpu_ms / ours.cpu_ms:.1f}×**)" if ours and name != "Runlore" and ours.cpu_ms else ""
            cells.append(f"{figure.cpu_ms:.2f} ms CPU, p50 {figure.p50_ms:.1f}, p99 {figure.p99_ms:.1f} ms{ratio}")
        lines.append(f"| {work} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def write_readme(section: str, text: str) -> None:
    """Replace what stands between `<!-- bench:SECTION -->` and `<!-- /bench:SECTION -->` in README.md."""
    path = ROOT / "README.md"
    before, begin, rest = path.read_text().partition(f"<!-- bench:{section} -->")
    _, end, after = rest.partition(f"<!-- /bench:{section} -->")
    if not (begin and end):
        raise RuntimeError(f"README.md has no block bench:{section}")
    path.write_text(f"{before}{begin}\n{text.strip()}\n{end}{after}")
