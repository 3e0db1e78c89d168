"""The runs table of a large store, asked for over HTTP as the dashboard asks: times of pages and the server's memory.

    python bench/table.py                        # 100,000 runs with 20 params and 20 metrics each; about four minutes
    python bench/table.py --runs 10000 --keys 20

The store is filled directly, the server is a real one. Pages of 200 rows with ten columns at random places of the first tenth
of the table, newest first; the first page in the order of a metric's least value; the list of columns. The 95th percentile, and
beside it the CPU time of the server.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from peers import PEERS, Peer, Running, cpu_seconds, memory_megabytes, started
from search_store import fill

from runlore.api.dashboard import GetColumns, QueryRuns, SortKey
from runlore.api.operation import Operation, to_request
from runlore.store.sql.migrate import migrate
from runlore.store.sql.shapes import note_shapes
from runlore.store.sql.sqlite import SqliteDatabase


def prepare(path: Path, runs: int, keys: int) -> None:
    """A store of runs that have ended, their shapes noted, as it is when the server has had nothing else to do for a while."""
    database = SqliteDatabase(path)
    migrate(database)
    fill(database, runs, runs, keys)
    more = True
    while more:
        db = database.write()
        more = note_shapes(db)
        db.commit()
    database.close()


def questions(runs: int) -> dict[str, Callable[[random.Random], Operation[Any]]]:
    """What is asked, each time a little different."""
    columns = ["attributes.run_name", "attributes.status", *(f"params.param_{k}" for k in range(4))]
    columns += [*(f"metrics.metric_{k}" for k in range(3)), "metrics.metric_1@min"]

    def table(offset: int, *sort: SortKey) -> QueryRuns:
        return QueryRuns(experiment_ids=["1"], columns=columns, sort=list(sort), offset=offset, limit=200)

    return {
        "table page, newest first": lambda chance: table(200 * chance.randrange(runs // 2_000)),
        "sorted by best value": lambda chance: table(0, SortKey(column=f"metrics.metric_{chance.randrange(5)}@min")),
        "list of columns": lambda chance: GetColumns(experiment_ids=["1"]),
    }


def ask(server: Running, make: Callable[[random.Random], Operation[Any]], times: int) -> tuple[float, float]:
    """95th percentile and CPU of one question, in ms."""
    chance, connection, seconds = random.Random(1), server.connect(), []
    before = cpu_seconds(server.pid)
    for _ in range(times):
        method, path, query, body = to_request(make(chance))
        assert method == "POST" or not body
        target = path + ("?" + "&".join(f"{name}={value}" for name, value in query) if query else "")
        begin = time.perf_counter()
        connection.http.request(method, target, body or None, {"Content-Type": "application/json"})
        answer = connection.http.getresponse()
        raw = answer.read()
        seconds.append(time.perf_counter() - begin)
        if answer.status != 200:
            raise RuntimeError(f"{method} {target}: {answer.status} {raw[:300]!r}")
    return sorted(seconds)[int(times * 0.95)] * 1e3, (cpu_seconds(server.pid) - before) / times * 1e3


def main() -> None:
    """Fill a store and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--keys", type=int, default=20, help="metrics of a run, and params")
    parser.add_argument("--times", type=int, default=60, help="repetitions")
    options = parser.parse_args()
    aims = {"table page, newest first": 150.0, "sorted by best value": 300.0}
    with tempfile.TemporaryDirectory(prefix="runlore-bench-") as directory:
        path = Path(directory) / "runlore.db"
        prepare(path, options.runs, options.keys)
        arguments = ["server", "--store", f"sqlite:///{path}", "--port"]
        (ours,) = [peer for peer in PEERS if peer.name == "Runlore"]
        with started(Peer("Runlore", ours.program, lambda port, _: [*arguments, str(port)])) as server:
            size = path.stat().st_size / 1e6
            print(f"{options.runs:,} runs with {options.keys} params and {options.keys} metrics each, {size:,.0f} MB")
            for name, make in questions(options.runs).items():
                ask(server, make, 2)
                p95, cpu = ask(server, make, options.times)
                aim = f" (aim {aims[name]:.0f}: {'met' if p95 <= aims[name] else 'NOT MET'})" if name in aims else ""
                print(f"{name}: p95 {p95:.1f} ms, {cpu:.1f} ms CPU{aim}", flush=True)
            memory = memory_megabytes(server.pid)
            print(f"memory of the server: {memory:.0f} MB (aim 300: {'met' if memory <= 300 else 'NOT MET'})")


if __name__ == "__main__":
    main()
