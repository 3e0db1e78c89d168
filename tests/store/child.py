"""What other processes do in these tests: `python -m tests.store.child ACTION STORE [RUN_ID]`."""

from __future__ import annotations

import os
import random
import resource
import signal
import sys
import threading
from pathlib import Path

from runlore.api.metrics import LogMetric
from runlore.api.runs import CreateRun, GetRun, LogBatch, LogParam, MetricPoint, ParamEntry
from runlore.exceptions import Unavailable
from runlore.store.base import Store, open_store
from runlore.store.sql.store import SqlStore


def write(store: Store, run_id: str) -> None:
    """Write for ever from four threads; say each key when it is acknowledged."""

    def work(worker: int) -> None:
        for i in range(1_000_000):
            key = f"{worker}.{i}"
            point = MetricPoint(key=key, value=float(i), timestamp=i)
            store.call(LogBatch(run_id=run_id, metrics=[point], params=[ParamEntry(key=key, value=key)]))
            os.write(1, f"{key}\n".encode())

    for worker in range(4):
        threading.Thread(target=work, args=(worker,)).start()


def burst(store: Store, run_ids: str) -> None:
    """Log growing numbers to some runs, a few at once and then none for a while, until SIGTERM."""
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    value, lots = 0, random.Random(run_ids)
    while not ended.wait(lots.uniform(0.0, 0.4)):
        for _ in range(lots.randrange(1, 20)):
            value += 1
            for run_id in run_ids.split(","):
                store.call(LogMetric(run_id=run_id, key="loss", value=value, timestamp=value, step=value))
        os.write(1, b"%d\n" % value)
    store.close()


def fork(store: Store, run_id: str) -> None:
    """Write before a fork, in the child, and afterwards."""
    store.call(LogParam(run_id=run_id, key="parent before", value=""))
    child = os.fork()
    if child == 0:
        store.call(LogParam(run_id=run_id, key="child", value=""))
        store.close()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert status == 0
    store.call(LogParam(run_id=run_id, key="parent after", value=""))
    store.close()


def outlive(store: Store, run_id: str) -> None:
    """Go on writing in a child when the parent has closed the store."""
    store.call(LogParam(run_id=run_id, key="parent", value=""))
    (from_child, to_parent), (from_parent, to_child) = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        store.call(LogParam(run_id=run_id, key="child before", value=""))
        os.write(to_parent, b".")
        os.read(from_parent, 1)
        store.call(LogParam(run_id=run_id, key="child after", value=""))
        assert store.call(GetRun(run_id=run_id)).run.data.params.keys() == {"parent", "child before", "child after"}
        store.close()
        os._exit(0)
    os.read(from_child, 1)
    store.close()
    os.write(to_child, b".")
    assert os.waitpid(child, 0)[1] == 0


def fork_while_busy(store: Store, run_id: str) -> None:
    """Fork again and again while other threads write and read; each child writes too."""
    ended = threading.Event()

    def work(worker: int) -> None:
        for i in range(1_000_000):
            if ended.is_set():
                return
            store.call(LogParam(run_id=run_id, key=f"{worker}.{i}", value=""))
            store.call(GetRun(run_id=run_id))

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(3)]
    for thread in threads:
        thread.start()
    children = []
    for number in range(8):
        if not (child := os.fork()):
            store.call(LogParam(run_id=run_id, key=f"child {number}", value=""))
            os._exit(0)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 8
    ended.set()
    for thread in threads:
        thread.join()
    store.close()


def fill(store: Store, run_id: str) -> dict[str, str]:
    """Write until the disk refuses; returns what was acknowledged."""
    acknowledged: dict[str, str] = {}
    try:
        for i in range(10_000):
            store.call(LogParam(run_id=run_id, key=str(i), value="x" * 6_000))
            acknowledged[str(i)] = "x" * 6_000
    except Unavailable:
        return acknowledged
    raise AssertionError("The disk was not filled.")


def full(store: Store, run_id: str) -> None:
    """Go on reading when the disk is full, and writing when there is space again."""
    ballast = Path(sys.argv[2], "ballast")
    ballast.write_bytes(bytes(300_000))
    for _ in range(2):
        acknowledged = fill(store, run_id)
        assert store.call(GetRun(run_id=run_id)).run.data.params.items() >= acknowledged.items()
        run_id = _next_run(store, ballast)
    assert isinstance(store, SqlStore)
    assert store.failure is None
    store.close()
    print("survived")


def _next_run(store: Store, ballast: Path) -> str:
    size = ballast.stat().st_size
    ballast.unlink()
    run_id = store.call(CreateRun()).run.info.run_id
    ballast.write_bytes(bytes(size // 2))
    return run_id


def fail(store: Store, run_id: str) -> None:
    """Meet a disk error: files can not grow, and then they can again."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, limits[1]))
    acknowledged = fill(store, run_id)
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert isinstance(store, SqlStore)
    assert store.failure is not None
    refused = ""
    try:
        store.call(LogParam(run_id=run_id, key="later", value=""))
    except Unavailable as error:
        refused = error.message
    assert "restart" in refused
    store.close()
    again = open_store(sys.argv[2])
    assert again.call(GetRun(run_id=run_id)).run.data.params.items() >= acknowledged.items()
    again.call(LogParam(run_id=run_id, key="later", value=""))
    again.close()
    print("stopped")


def nothing(store: Store, run_id: str) -> None:
    """Opening the store was all."""
    store.close()


if __name__ == "__main__":
    opened = open_store(sys.argv[2])
    run = sys.argv[3] if len(sys.argv) > 3 else opened.call(CreateRun()).run.info.run_id
    actions = {
        "write": write, "burst": burst,
        "fork": fork, "outlive": outlive, "fork-while-busy": fork_while_busy, "full": full, "error": fail,
        "nothing": nothing,
    }  # fmt: skip
    actions[sys.argv[1]](opened, run)
