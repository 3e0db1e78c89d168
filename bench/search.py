"""What a search costs a server: MLflow, FastTrackML and Runlore in turn over the same runs.

    python bench/search.py                 # 2,000 runs each; MLflow needs minutes to take them in
    python bench/search.py --runs 5000
    python bench/search.py --json

Each run has 10 params and 10 metrics. The searches go through MLflow's REST API, 100 results each.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from dataclasses import asdict

from ingest import create_run, repeat
from peers import PEERS, Connection, Figure, Running, cpu_seconds, measure, started, table, write_readme

SEARCHES: dict[str, dict[str, object]] = {
    "metric filter, order by another metric": {"filter": "metrics.m3 > 0.5", "order_by": ["metrics.m7 DESC"]},
    "param filter, newest first": {"filter": "params.p2 = '3'"},
    "two metrics and a tag": {"filter": "metrics.m1 < 0.5 AND metrics.m2 > 0.25 AND tags.team = 'a'"},
    "no filter, newest first": {},
}


def fill(server: Running, runs: int) -> None:
    """Log `runs` runs over 8 connections; the values of each depend on its number alone."""

    def one(connection: Connection, number: int) -> None:
        rng = random.Random(number)
        run_id = create_run(connection, f"run-{number}")
        body = {
            "run_id": run_id,
            "metrics": [{"key": f"m{i}", "value": rng.random(), "timestamp": 1_700_000_000_000, "step": 0} for i in range(10)],
            "params": [{"key": f"p{i}", "value": str(rng.randrange(10))} for i in range(10)],
            "tags": [{"key": "team", "value": rng.choice("abc")}],
        }
        connection.post("runs/log-batch", body)

    repeat(server, runs, one, connections=8)


def search(server: Running, connection: Connection, body: dict[str, object], times: int) -> Figure:
    """Repeat one search."""
    seconds = []
    cpu, wall = cpu_seconds(server.pid), time.perf_counter()
    for _ in range(times):
        begin = time.perf_counter()
        found = connection.post("runs/search", {"experiment_ids": ["0"], "max_results": 100, **body})
        seconds.append(time.perf_counter() - begin)
        if len(found["runs"]) != 100:
            raise RuntimeError(f"{server.peer.name} found {len(found['runs'])} runs instead of 100")
    return measure(seconds, cpu_seconds(server.pid) - cpu, time.perf_counter() - wall)


def main() -> None:
    """Measure every installed peer and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, help="runs for every server (at least 1,000 for the param filter to find 100)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--readme", action="store_true", help="put the table into README.md")
    parser.add_argument("--only", help="only the peer whose name begins with this")
    options = parser.parse_args()
    rows: dict[str, dict[str, Figure]] = {}
    names = []
    for peer in PEERS:
        if not peer.installed or (options.only and not peer.name.lower().startswith(options.only.lower())):
            continue
        runs = options.runs or 2000
        with started(peer) as server:
            fill(server, runs)
            names.append(peer.name)
            connection = server.connect()
            for name, body in SEARCHES.items():
                figure = search(server, connection, body, 10 if peer.name.startswith("MLflow") else 50)
                rows.setdefault(f"{name}, {runs:,} runs", {})[peer.name] = figure
                if not options.json:
                    print(f"{peer.name}, {runs} runs: {name}: {figure}", flush=True)
    if options.json:
        print(json.dumps({work: {name: asdict(figure) for name, figure in row.items()} for work, row in rows.items()}))
    else:
        print("\n" + table(rows, names))
    if options.readme:
        write_readme("search", table(rows, names))


if __name__ == "__main__":
    main()
