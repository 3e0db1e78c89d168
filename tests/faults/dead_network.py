"""A store on a PostgreSQL server behind a network that goes dead: packets vanish, nobody says so.

    unshare -n python -m tests.faults.dead_network

Prints what happened as JSON. The network is the loopback device of a network namespace, taken down and up again.
"""

from __future__ import annotations

import json
import socket
import subprocess
import time
from contextlib import closing
from typing import Any

import psycopg
from tests.store.postgres import cluster

from runlore.api.experiments import GetExperiment
from runlore.api.runs import CreateRun
from runlore.exceptions import RunloreError, Unavailable
from runlore.store.base import open_store

PORT = 54_321  # in a network of our own
QUICK = "connect_timeout=2&tcp_user_timeout=1000"


def network(state: str) -> None:
    """Take the network down, or up."""
    subprocess.run(["ip", "link", "set", "lo", state], check=True)


def timeouts(store: Any) -> list[int]:
    """What the sockets of a store's writer are set to."""
    options = (socket.TCP_USER_TIMEOUT, socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
    with socket.socket(fileno=store._database._writer.pgconn.socket) as writer:
        values = [writer.getsockopt(socket.IPPROTO_TCP, option) for option in options]
        writer.detach()
    return values


def refused(store: Any, operation: Any) -> tuple[str, float]:
    """Which error an operation ends with, and after how long."""
    began = time.monotonic()
    try:
        store.call(operation)
    except RunloreError as error:
        kind = "unavailable" if isinstance(error, Unavailable) and error.status == 503 else repr(error)
        return kind, time.monotonic() - began
    return "none", time.monotonic() - began


def main() -> None:
    """Do it."""
    network("up")
    with cluster("listen_addresses=127.0.0.1", f"port={PORT}"):
        name = f"postgresql://postgres@127.0.0.1:{PORT}/"
        with psycopg.connect(f"{name}postgres", autocommit=True) as connection:
            connection.execute("CREATE DATABASE store")
        with closing(open_store(f"{name}store", artifacts="file:///nowhere")) as store:
            usual = timeouts(store)
        with closing(open_store(f"{name}store?{QUICK}", artifacts="file:///nowhere")) as store:
            store.call(CreateRun(experiment_id="0"))
            store.call(GetExperiment(experiment_id="0"))
            network("down")
            write, read = refused(store, CreateRun(experiment_id="0")), refused(store, GetExperiment(experiment_id="0"))
            network("up")
            began = time.monotonic()
            while refused(store, CreateRun(experiment_id="0"))[0] != "none":
                pass
            back = time.monotonic() - began
        print(json.dumps({"usual": usual, "write": write, "read": read, "back": back}))


if __name__ == "__main__":
    main()
