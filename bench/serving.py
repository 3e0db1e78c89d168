"""Scoring servers side by side: MLflow's, ours, and ours with batches, each with the same model of scikit-learn.

    python bench/serving.py     # about a minute

One row a request on one and on eight connections, and a hundred rows a request. Requests/s, latencies, CPU time of the server
a request, memory, and the time from the command to the first answer. The load is raw sockets in this process, on the same
machine; beside it what the model takes without any server.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import socket
import sys
import tempfile
import threading
import time
from pathlib import Path

from peers import ROOT, Figure, Peer, cpu_seconds, measure, memory_megabytes, started

import runlore.sklearn
from runlore.models import infer_signature

ALONE = "the model alone"


def save_model(folder: Path) -> list[list[float]]:
    """A regression on the iris flowers, in a format that both servers load; returns rows to predict."""
    from sklearn.datasets import load_iris
    from sklearn.linear_model import LogisticRegression

    X, y = load_iris(return_X_y=True, as_frame=True)
    model = LogisticRegression(max_iter=300).fit(X, y)
    signature = infer_signature(X, model.predict(X))
    runlore.sklearn.save_model(model, folder, serialization_format="cloudpickle", signature=signature)
    rows: list[list[float]] = X.to_numpy().tolist()
    return rows


def model_alone(folder: Path, rows: list[list[float]]) -> Figure:
    """The limit: `predict` of scikit-learn on a table that is there, in a loop."""
    import pandas as pd

    model = runlore.sklearn.load_model(folder)
    table = pd.DataFrame(rows, columns=list(model.feature_names_in_))
    times = []
    cpu, begun = time.process_time(), time.perf_counter()
    for _ in range(1_000):
        before = time.perf_counter()
        model.predict(table)
        times.append(time.perf_counter() - before)
    return measure(times, time.process_time() - cpu, time.perf_counter() - begun)


def peers(model: Path) -> list[Peer]:
    """The servers, by how a user starts them."""
    ours = Path(sys.executable).parent / "runlore"
    serve = ["models", "serve", "-m", str(model), "--env-manager", "local", "--host", "127.0.0.1", "--port"]
    return [
        Peer("MLflow 3.17", ROOT / ".venvs/mlflow3/bin/mlflow", lambda port, folder: [*serve, str(port)]),
        Peer("Runlore", ours, lambda port, folder: [*serve, str(port)]),
        Peer("Runlore, batches", ours, lambda port, folder: [*serve, str(port), "--max-batch-size", "64"]),
    ]


def pinged(port: int) -> bool:
    """Whether a scoring server answers."""
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        connection.request("GET", "/ping")
        return connection.getresponse().status == 200
    except OSError:
        return False


def request(rows: list[list[float]]) -> bytes:
    """A whole request, as it goes over the wire."""
    columns = ["sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)"]
    body = json.dumps({"dataframe_split": {"columns": columns, "data": rows}}).encode()
    head = ["POST /invocations HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*head, "", ""]).encode() + body


def ask(port: int, raw: bytes, until: float, times: list[float], expected: int) -> None:
    """Send a request again and again on one connection. Raises `RuntimeError` for other than `expected` predictions."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while time.perf_counter() < until:
            begun = time.perf_counter()
            connection.sendall(raw)
            answer = b""
            while not (head := answer.partition(b"\r\n\r\n"))[1] or len(head[2]) < _length(head[0]):
                answer += connection.recv(65_536)
            times.append(time.perf_counter() - begun)
            if len(json.loads(head[2]).get("predictions", ())) != expected:
                raise RuntimeError(answer[:500].decode())


def _length(head: bytes) -> int:
    return int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])


def load(port: int, pid: int, raw: bytes, rows: int, connections: int, seconds: float) -> Figure:
    """Figures of some connections that ask for some seconds, after a warm-up."""
    ask(port, raw, time.perf_counter() + 0.5, [], rows)
    times: list[float] = []
    cpu, begun = cpu_seconds(pid), time.perf_counter()
    threads = [threading.Thread(target=ask, args=(port, raw, begun + seconds, times, rows)) for _ in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return measure(times, cpu_seconds(pid) - cpu, time.perf_counter() - begun)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3.0, help="for each figure")
    options = parser.parse_args()
    figures: dict[str, dict[str, Figure]] = {}
    facts: dict[str, tuple[float, float]] = {}
    with tempfile.TemporaryDirectory(prefix="runlore-bench-") as folder:
        os.environ["PATH"] = (
            f"{ROOT / '.venvs/mlflow3/bin'}{os.pathsep}{os.environ['PATH']}"  # MLflow starts uvicorn by its name
        )
        os.environ["RUNLORE_CONFIG_DIR"] = str(Path(folder, "config"))
        data = save_model(Path(folder, "model"))
        works = {"one row, 1 connection": (1, 1), "one row, 8 connections": (1, 8), "100 rows, 1 connection": (100, 1)}
        for peer in peers(Path(folder, "model")):
            if not peer.installed:
                print(f"{peer.name} is not installed: {peer.program}", file=sys.stderr)
                continue
            with started(peer, answers=pinged) as server:
                for work, (rows, connections) in works.items():
                    raw = request(data[:rows])
                    figures.setdefault(work, {})[peer.name] = load(
                        server.port, server.pid, raw, rows, connections, options.seconds
                    )
                    print(f"{peer.name}, {work}: {figures[work][peer.name]}", file=sys.stderr)
                facts[peer.name] = memory_megabytes(server.pid), server.start_seconds
        for work, (rows, connections) in works.items():
            if connections == 1:
                figures[work][ALONE] = model_alone(Path(folder, "model"), data[:rows])
    print(report(figures, facts))


def report(figures: dict[str, dict[str, Figure]], facts: dict[str, tuple[float, float]]) -> str:
    """Markdown: requests/s, latencies and CPU of each server; in bold, how many times MLflow's requests/s."""
    names = [*facts, ALONE]
    lines = [f"| Work | {' | '.join(names)} |", "|---|" + "---|" * len(names)]
    for work, row in figures.items():
        cells = []
        for name in names:
            figure, base = row.get(name), row.get("MLflow 3.17")
            if figure is None:
                cells.append("–")
                continue
            ratio = f" (**{figure.per_second / base.per_second:.1f}×**)" if base and name.startswith("Runlore") else ""
            times = f"p50 {figure.p50_ms:.1f}, p99 {figure.p99_ms:.1f} ms, {figure.cpu_ms:.2f} ms CPU"
            cells.append(f"{figure.per_second:,.0f}/s{ratio}, {times}")
        lines.append(f"| {work} | {' | '.join(cells)} |")
    lines.append("| memory (PSS of the process tree) | " + " | ".join(f"{facts[name][0]:,.0f} MB" for name in facts) + " | – |")
    lines.append("| start to first answer | " + " | ".join(f"{facts[name][1]:.1f} s" for name in facts) + " | – |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
