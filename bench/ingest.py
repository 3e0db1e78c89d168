"""What it costs a server to take in data: MLflow, FastTrackML and Runlore in turn, the same requests for each; and beside
them what the same bytes cost a bare SQLite loop (`bare.py`).

    python bench/ingest.py            # about three minutes
    python bench/ingest.py --quick    # a tenth of the requests
    python bench/ingest.py --json     # for machines

Every write is over MLflow's REST API. Runlore answers after the data is synced to disk (SQLite, synchronous=FULL). What a
server does once, such as importing what it reads points with, is done before the clock starts. Below the table stands which
aims are met.
"""

from __future__ import annotations

import argparse
import json
import threading
import time
from collections.abc import Callable
from dataclasses import asdict

import bare
from peers import PEERS, Connection, Figure, Running, cpu_seconds, measure, memory_megabytes, started, table, write_readme

Request = Callable[[Connection, int], object]

RATIOS = {
    "`log-metric`": {"FastTrackML": 4.0},
    "`log-batch` of 10 metrics": {"FastTrackML": 6.0, "MLflow": 25.0},
    "the same, 8 connections": {"FastTrackML": 9.0, "MLflow": 60.0},
    "`log-batch` of 1,000 metrics": {"FastTrackML": 15.0, "MLflow": 45.0},
    "create run, 10 params, 10 metrics, 3 tags, finish": {"FastTrackML": 5.0},
}
"""How many times our CPU time per request each peer is meant to need."""


def repeat(server: Running, requests: int, request: Request, connections: int = 1) -> Figure:
    """Send `requests` requests over `connections` keep-alive connections at once."""
    times: list[float] = []

    def work(first: int) -> None:
        connection = server.connect()
        mine = []
        for number in range(first, requests, connections):
            begin = time.perf_counter()
            request(connection, number)
            mine.append(time.perf_counter() - begin)
        times.extend(mine)

    threads = [threading.Thread(target=work, args=(first,)) for first in range(connections)]
    cpu, wall = cpu_seconds(server.pid), time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wall = time.perf_counter() - wall
    if len(times) != requests:
        raise RuntimeError(f"{server.peer.name}: {requests - len(times)} requests failed")
    return measure(times, cpu_seconds(server.pid) - cpu, wall)


def create_run(connection: Connection, name: str) -> str:
    """A new run of the default experiment; returns its id."""
    body = {"experiment_id": "0", "start_time": 1_700_000_000_000, "run_name": name}
    return str(connection.post("runs/create", body)["run"]["info"]["run_id"])


def points(number: int, count: int) -> list[dict[str, object]]:
    """`count` metrics at one step."""
    return [
        {"key": f"metric_{index}", "value": 1.0 / (number + index + 1), "timestamp": 1_700_000_000_000 + number, "step": number}
        for index in range(count)
    ]


def whole_run(connection: Connection, number: int) -> None:
    """Create a run, log 10 params, 10 metrics and 3 tags, finish it."""
    run_id = create_run(connection, f"run-{number}")
    params = [{"key": f"param_{index}", "value": str(index * number)} for index in range(10)]
    tags = [{"key": f"tag_{index}", "value": "x"} for index in range(3)]
    connection.post("runs/log-batch", {"run_id": run_id, "metrics": points(number, 10), "params": params, "tags": tags})
    connection.post("runs/update", {"run_id": run_id, "status": "FINISHED", "end_time": 1_700_000_100_000})


def history(connection: Connection, run_id: str) -> int:
    """Read all points of one metric, page by page; returns how many there were."""
    count, token = 0, ""
    while True:
        path = f"metrics/get-history?run_id={run_id}&metric_key=long&max_results=25000"
        page = connection.get(path + (f"&page_token={token}" if token else ""))
        count += len(page.get("metrics", []))
        token = page.get("next_page_token", "")
        if not token:
            return count


def work_on(server: Running, scale: float) -> dict[str, Figure]:
    """All rows of the table for one server."""
    slow = 0.1 if server.peer.name.startswith("MLflow") else 1.0  # at 20 requests a second, a tenth of them tells as much
    connection = server.connect()
    run_id = create_run(connection, "ingest")
    runs = [create_run(connection, f"ingest-{index}") for index in range(8)]

    batches = 100 if scale >= 1 else 20

    def times(count: int) -> int:
        return max(8, int(count * scale * slow))

    def one(connection: Connection, number: int) -> None:
        connection.post(
            "runs/log-metric",
            {
                "run_id": run_id,
                "key": "loss",
                "value": 1 / (number + 1),
                "timestamp": 1_700_000_000_000 + number,
                "step": number,
            },
        )

    def ten(connection: Connection, number: int) -> None:
        connection.post("runs/log-batch", {"run_id": run_id, "metrics": points(number, 10)})

    def ten_of_many(connection: Connection, number: int) -> None:
        connection.post("runs/log-batch", {"run_id": runs[number % 8], "metrics": points(number, 10)})

    def thousand(connection: Connection, number: int) -> None:
        rows = [
            {
                "key": "long",
                "value": (number * 1000 + i) % 97 / 7,
                "timestamp": 1_700_000_000_000 + number * 1000 + i,
                "step": number * 1000 + i,
            }
            for i in range(1000)
        ]
        connection.post("runs/log-batch", {"run_id": run_id if number < batches else runs[0], "metrics": rows})

    repeat(server, 20, lambda connection, number: connection.get("experiments/get?experiment_id=0"))
    once = {"run_id": runs[0], "key": "first", "value": 1, "timestamp": 1_700_000_000_000}
    repeat(server, 20, lambda connection, number: connection.post("runs/log-metric", {**once, "step": number}))
    connection.get(f"metrics/get-history?run_id={runs[0]}&metric_key=first")
    figures = {
        "`log-metric`": repeat(server, times(2000), one),
        "`log-batch` of 10 metrics": repeat(server, times(2000), ten),
        "the same, 8 connections": repeat(server, times(4000), ten_of_many, connections=8),
        "create run, 10 params, 10 metrics, 3 tags, finish": repeat(server, times(400), whole_run),
    }
    many = slow == 1 and scale >= 1
    figures["`log-batch` of 1,000 metrics"] = repeat(server, 3 * batches if many else batches, thousand)

    def read_back(connection: Connection, number: int) -> None:
        if (count := history(connection, run_id)) != batches * 1000:
            raise RuntimeError(f"{server.peer.name} answered {count} of {batches * 1000} points")

    figures[f"history of {batches * 1000:,} points, paged JSON"] = repeat(server, 10 if many else 3, read_back)
    return figures


def compared_with_aims(rows: dict[str, dict[str, Figure]], servers: dict[str, dict[str, float]]) -> list[str]:
    """Which aims are met."""
    lines = []

    def line(what: str, found: float, aim: float, met: bool, unit: str) -> None:
        lines.append(f"{'met    ' if met else 'NOT MET'}  {what}: {found:,.3g} {unit} (aim {aim:,.3g})")

    for work, figures in rows.items():
        ours = figures.get("Runlore")
        if ours is None:
            continue
        for name, aim in RATIOS.get(work, {}).items():
            for peer, figure in figures.items():
                if peer.startswith(name):
                    ratio = figure.cpu_ms / ours.cpu_ms
                    line(f"{work}, CPU of {peer} / ours", ratio, aim, ratio >= aim, "times")
        if work == "the same, 8 connections":
            line(f"{work}, p99", ours.p99_ms, 15, ours.p99_ms <= 15, "ms")
        if work.startswith("history of 100,000"):
            line(work, ours.cpu_ms, 100, ours.cpu_ms <= 100, "ms CPU")
    if ours_too := servers.get("Runlore"):
        line("memory, idle", ours_too["idle_megabytes"], 80, ours_too["idle_megabytes"] <= 80, "MB")
        line("start to first answer", ours_too["start_seconds"], 1, ours_too["start_seconds"] <= 1, "s")
    return lines


def main() -> None:
    """Measure every installed peer and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tenth of the requests")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--readme", action="store_true", help="put the table into README.md")
    parser.add_argument("--only", help="only the peer whose name begins with this")
    options = parser.parse_args()
    rows: dict[str, dict[str, Figure]] = {}
    servers = {}
    for peer in PEERS:
        if options.only and not peer.name.lower().startswith(options.only.lower()):
            continue
        if not peer.installed:
            print(f"{peer.name} is left out: {peer.program} is not there (make bench installs it)")
            continue
        with started(peer) as server:
            idle = memory_megabytes(server.pid)
            servers[peer.name] = {"start_seconds": server.start_seconds, "idle_megabytes": idle}
            for work, figure in work_on(server, 0.1 if options.quick else 1.0).items():
                rows.setdefault(work, {})[peer.name] = figure
                if not options.json:
                    print(f"{peer.name}: {work}: {figure}", flush=True)
    if not options.only:
        for work, figure in bare.figures(0.1 if options.quick else 1.0).items():
            rows[work][bare.NAME] = figure
    if options.json:
        print(json.dumps({"servers": servers, "work": {w: {n: asdict(f) for n, f in r.items()} for w, r in rows.items()}}))
        return
    names = [*servers, *([] if options.only else [bare.NAME])]
    idle = " | ".join(f"{servers[name]['idle_megabytes']:,.0f} MB" if name in servers else "–" for name in names)
    start = " | ".join(f"{servers[name]['start_seconds']:.1f} s" if name in servers else "–" for name in names)
    text = f"{table(rows, names)}\n| memory, idle (PSS of the process tree) | {idle} |\n| start to first answer | {start} |"
    print("\n" + text + "\n")
    for line in compared_with_aims(rows, servers):
        print(line)
    if options.readme:
        write_readme("ingest", text)


if __name__ == "__main__":
    main()
