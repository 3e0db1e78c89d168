"""What a Runlore server on PostgreSQL takes in and answers, with one process and with two on the same database.

    python bench/postgresql.py             # about four minutes
    python bench/postgresql.py --quick     # a quarter of the requests
    python bench/postgresql.py --readme    # and put the table into README.md

PostgreSQL is started from the installed binaries with its own defaults (fsync on, synchronous_commit on). Database, servers and
load share one machine, so on few cores two servers are no faster than one: the cores are busy. Where Linux lets us (cgroups),
each server process is therefore also held to a fifth of a core, as if it had a small machine of its own: then the ratio tells
what the database and the locks between servers allow.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from ingest import points
from peers import Connection, cpu_seconds, free_port, memory_megabytes, write_readme

CGROUPS = Path("/sys/fs/cgroup/cpu")
SHARE = 0.2
"""Of a core, for each server process that is held."""
Make = Callable[[int], bytes]


@contextmanager
def postgresql() -> Iterator[tuple[str, int]]:
    """A database server of our own: the URI of an empty database, and the process."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    on_path = shutil.which("initdb")
    if not found and not on_path:
        sys.exit("PostgreSQL is not installed: no initdb in /usr/lib/postgresql/*/bin or on the PATH.")
    programs = found[-1].parent if found else Path(str(on_path)).parent
    folder = Path(tempfile.mkdtemp(prefix="rl-bench-", dir="/tmp"))
    as_user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    if as_user:
        shutil.chown(folder, "postgres")
    data, log = folder / "data", folder / "log"

    def run(program: str, *arguments: object) -> None:
        command = [*as_user, str(programs / program), "-D", str(data), *map(str, arguments)]
        subprocess.run(command, cwd="/", check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)

    try:
        run("initdb", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8")
        run("pg_ctl", "-w", "-l", log, "-o", f"-c listen_addresses= -c unix_socket_directories={folder}", "start")
        try:
            yield f"postgresql://postgres@/postgres?host={folder}", int((data / "postmaster.pid").read_text().split()[0])
        finally:
            run("pg_ctl", "-w", "-m", "fast", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@dataclass
class Server:
    """`runlore server --workers N`."""

    pid: int
    port: int
    processes: list[int]


@contextmanager
def served(uri: str, workers: int, held: bool) -> Iterator[Server]:
    """A server on the database, each process held to its share of a core if asked for."""
    port, program = free_port(), Path(sys.executable).parent / "runlore"
    with tempfile.TemporaryDirectory() as files, ExitStack() as stack:
        options = ["--port", str(port), "--store", uri, "--artifacts", files, "--workers", str(workers)]
        server = subprocess.Popen([str(program), "server", *options], stderr=subprocess.PIPE, text=True)
        assert server.stderr is not None
        try:
            while "serves" not in (line := server.stderr.readline()):
                if not line:
                    raise RuntimeError("The server did not start.")
            children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
            processes = [int(child) for child in children] or [server.pid]
            if held:
                for process in processes:
                    stack.enter_context(_held(process))
            yield Server(server.pid, port, processes)
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(60)
            server.stderr.close()


@contextmanager
def _held(pid: int) -> Iterator[None]:
    group = CGROUPS / f"runlore-bench-{pid}"
    group.mkdir()
    try:
        (group / "cpu.cfs_period_us").write_text("10000")
        (group / "cpu.cfs_quota_us").write_text(str(int(10_000 * SHARE)))
        (group / "cgroup.procs").write_text(str(pid))
        yield  # until the process has ended
    finally:
        group.rmdir()


class Caller:
    """One keep-alive connection that costs the load generator little: requests are bytes, answers are only measured."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def call(self, request: bytes) -> None:
        """Send one request and read its answer. Raises on anything but 200."""
        self._socket.sendall(request)
        data = self._socket.recv(65_536)
        while b"\r\n\r\n" not in data:
            data += self._more()
        head, _, body = data.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(data[:500])
        missing = int(head.lower().partition(b"content-length:")[2].split()[0]) - len(body)
        while missing > 0:
            missing -= len(self._more())

    def _more(self) -> bytes:
        piece = self._socket.recv(65_536)
        if not piece:
            raise RuntimeError("The server hung up.")
        return piece


@dataclass
class Measured:
    """One piece of work on one number of processes."""

    per_second: float
    p50_ms: float
    p99_ms: float
    server_ms: float
    database_ms: float
    load_ms: float
    """CPU per request."""


def measure(server: Server, database: int, connections: int, requests: int, make: Make) -> Measured:
    """Send requests over so many connections at once: each takes the next one when it has its answer.

    The kernel gives connections to processes by chance; those of a process with fewer of them get more done.
    """
    waiting = iter([make(number) for number in range(requests)])
    times: list[float] = []
    begin = threading.Barrier(connections + 1)

    def work(caller: Caller) -> None:
        begin.wait()
        for request in waiting:
            start = time.perf_counter()
            caller.call(request)
            times.append(time.perf_counter() - start)

    threads = [threading.Thread(target=work, args=(Caller(server.port),)) for _ in range(connections)]
    for thread in threads:
        thread.start()
    before = cpu_seconds(server.pid), cpu_seconds(database), time.process_time()
    begin.wait()
    wall = time.perf_counter()
    for thread in threads:
        thread.join()
    wall = time.perf_counter() - wall
    after = cpu_seconds(server.pid), cpu_seconds(database), time.process_time()
    if len(times) != requests:
        raise RuntimeError(f"{requests - len(times)} requests failed")
    times.sort()
    cpu = [(end - start) / requests * 1e3 for start, end in zip(before, after, strict=True)]
    return Measured(requests / wall, times[requests // 2] * 1e3, times[int(requests * 0.99)] * 1e3, *cpu)


def request(path: str, body: dict[str, object]) -> bytes:
    """A POST to MLflow's API as bytes."""
    data = json.dumps(body).encode()
    head = f"POST /api/2.0/mlflow/{path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: "
    return f"{head}{len(data)}\r\n\r\n".encode() + data


def work_on(server: Server, database: int, scale: float) -> dict[str, Measured]:
    """All rows of the table."""
    connection = Connection(server.port)
    runs = [
        str(connection.post("runs/create", {"experiment_id": "0", "start_time": 1})["run"]["info"]["run_id"]) for _ in range(64)
    ]

    def one(number: int) -> bytes:
        point = {"key": "loss", "value": 1 / (number + 1), "timestamp": 1_700_000_000_000 + number, "step": number}
        return request("runs/log-metric", {"run_id": runs[number % 64], **point})

    def ten(number: int) -> bytes:
        return request("runs/log-batch", {"run_id": runs[number % 64], "metrics": points(number, 10)})

    def create(number: int) -> bytes:
        tags = [{"key": f"tag_{index}", "value": "x"} for index in range(3)]
        return request("runs/create", {"experiment_id": "0", "start_time": number, "run_name": f"r{number}", "tags": tags})

    def search(number: int) -> bytes:
        text = f"metrics.metric_1 > {1 / (number + 100)} and attributes.status = 'RUNNING'"
        order = ["metrics.metric_2 DESC"]
        return request("runs/search", {"experiment_ids": ["0"], "filter": text, "order_by": order, "max_results": 50})

    def history(number: int) -> bytes:
        path = f"metrics/get-history?run_id={runs[number % 64]}&metric_key=loss&max_results=25000"
        return f"GET /api/2.0/mlflow/{path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()

    measure(server, database, 16, 320, ten)
    return {
        "`log-metric`, 16 connections": measure(server, database, 16, int(8_000 * scale), one),
        "`log-batch` of 10 metrics, 16 connections": measure(server, database, 16, int(8_000 * scale), ten),
        "create run with 3 tags, 16 connections": measure(server, database, 16, int(4_000 * scale), create),
        "search 50 runs by metrics, 8 connections": measure(server, database, 8, int(800 * scale), search),
        "history of 125 points, 8 connections": measure(server, database, 8, int(4_000 * scale), history),
    }


Results = dict[str, tuple[Measured, Measured]]


def compare(held: bool, scale: float) -> Results:
    """The same work on one process and on two, each on a fresh PostgreSQL server."""
    found = []
    for workers in (1, 2):
        with postgresql() as (uri, database), served(uri, workers, held) as server:
            found.append(work_on(server, database, scale))
            memory = ", ".join(f"{memory_megabytes(pid):.0f}" for pid in server.processes)
        print(f"{workers} process(es){', held' if held else ''}: {memory} MB", flush=True)
    return {work: (found[0][work], found[1][work]) for work in found[0]}


def table(free: Results, held: Results) -> str:
    """Markdown."""
    lines = ["On PostgreSQL with its own settings, one server process and two (`bench/postgresql.py`):\n"]
    lines.append("| Work | one process | two processes | ratio | CPU a request: server, database, load | ratio when held |")
    lines.append("|---|---|---|---|---|---|")
    for work, (one, two) in free.items():
        cells = [f"{each.per_second:,.0f}/s, p50 {each.p50_ms:.1f}, p99 {each.p99_ms:.1f} ms" for each in (one, two)]
        cpu = f"{two.server_ms:.2f}, {two.database_ms:.2f}, {two.load_ms:.2f} ms"
        ratio = f"{two.per_second / one.per_second:.2f}×"
        other = f"**{held[work][1].per_second / held[work][0].per_second:.2f}×**" if work in held else "–"
        lines.append(f"| {work} | {cells[0]} | {cells[1]} | {ratio} | {cpu} | {other} |")
    cores = len(os.sched_getaffinity(0))
    lines.append(f"\nMeasured on {cores} cores, which database, servers and load share. Held: each server process has ")
    lines[-1] += f"{SHARE:.0%} of a core, so that neither the database nor the load is the limit."
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a quarter of the requests")
    parser.add_argument("--readme", action="store_true", help="put the table into README.md")
    options = parser.parse_args()
    scale = 0.25 if options.quick else 1.0
    free = compare(held=False, scale=scale)
    print(table(free, {}), flush=True)
    can_hold = os.access(CGROUPS, os.W_OK) and (CGROUPS / "cpu.cfs_quota_us").exists()
    held = compare(held=True, scale=scale * 0.5) if can_hold else {}
    text = table(free, held)
    print("\n" + text)
    if options.readme:
        write_readme("postgresql", text)


if __name__ == "__main__":
    main()
