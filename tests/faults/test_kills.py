"""The server is killed in the middle of load, again and again: nothing acknowledged is lost, nothing is stored twice."""

from __future__ import annotations

import random
import signal
import time
from pathlib import Path

import pytest
from tests.faults.load import load
from tests.faults.oracle import Ledger, check_file, check_http, check_postgresql
from tests.faults.served import Served, serving
from tests.faults.sizes import size


def kill_again_and_again(served: Served, ledger: Ledger, kills: int) -> None:
    """Load, and a kill after 0.1 s to 1 s of it (up to 3 s in the long form), so many times."""
    chance = random.Random(kills)
    with load(ledger, served.url) as work:
        for _ in range(kills):
            work.wait_for(1)
            time.sleep(chance.uniform(0.1, size(1, 3)))
            served.kill()
            served.start()
        work.wait_for(100)
    check_http(ledger, served.url)
    served.stop()
    starts = sorted(served.start_seconds)
    print(f"{kills} kills, {len(ledger):,} points acknowledged, started in {starts[len(starts) // 2]:.2f} s (median), "
          f"{starts[-1]:.2f} s (longest)")  # fmt: skip


def test_a_killed_server_on_sqlite(tmp_path: Path) -> None:
    ledger = Ledger()
    with serving(str(tmp_path / "store"), tmp_path) as served:
        kill_again_and_again(served, ledger, size(6, 100))
    check_file(ledger, tmp_path / "store" / "runlore.db")


def test_a_killed_server_on_postgresql(tmp_path: Path, postgresql: str) -> None:
    ledger = Ledger()
    with serving(postgresql, tmp_path) as served:
        kill_again_and_again(served, ledger, size(3, 50))
    check_postgresql(ledger, postgresql)


@pytest.mark.parametrize(("file", "most"), [("runlore.db", 60), ("runlore.db-wal", 4_000)])
def test_a_server_killed_at_any_write_to_its_files(tmp_path: Path, strace: list[str], file: str, most: int) -> None:
    """In the middle of a checkpoint (the database file) or of a commit or a fold (the log): at the n-th page."""
    ledger, chance = Ledger(), random.Random(most)
    path = tmp_path / "store" / file
    with serving(str(tmp_path / "store"), tmp_path) as served:
        with load(ledger, served.url, points=20, pause=0.0) as work:
            for _ in range(size(2, 50)):
                served.kill()
                kill = f"inject=pwrite64:signal=SIGKILL:when={chance.randint(1, most)}"
                served.before = [*strace, "-o", "/dev/null", "-P", str(path), "-e", "trace=pwrite64", "-e", kill]
                served.start()
                assert served.wait() == -signal.SIGKILL
                served.before = []
                served.start()
                work.wait_for(100)
        check_http(ledger, served.url)
        served.stop()
    check_file(ledger, tmp_path / "store" / "runlore.db")


def test_a_server_killed_while_it_makes_its_store(tmp_path: Path, strace: list[str]) -> None:
    for number in range(size(3, 60)):
        store = tmp_path / str(number)
        kill = f"inject=pwrite64:signal=SIGKILL:when={random.Random(number).randint(1, 98)}"
        command = [*strace, "-o", "/dev/null", "-P", str(store / "runlore.db-wal"), "-P", str(store / "runlore.db"),
                   "-P", str(store / "runlore.db-journal"), "-e", "trace=pwrite64", "-e", kill]  # fmt: skip
        served = Served(str(store), tmp_path, command)
        served.launch()
        assert served.wait() == -signal.SIGKILL
        ledger = Ledger()
        with serving(str(store), tmp_path) as served:
            with load(ledger, served.url, writers=1) as work:
                work.wait_for(20)
            served.stop()
        check_file(ledger, store / "runlore.db")


def test_a_server_killed_while_it_makes_its_tables_in_postgresql(tmp_path: Path, postgresql: str) -> None:
    ledger, chance = Ledger(), random.Random(17)
    for _ in range(size(3, 30)):
        served = Served(postgresql, tmp_path)
        served.launch()
        time.sleep(chance.uniform(0.25, 0.5))
        served.kill()
    with serving(postgresql, tmp_path) as served:
        with load(ledger, served.url, writers=1) as work:
            work.wait_for(20)
        served.stop()
    check_postgresql(ledger, postgresql)
