"""The server is killed in the middle of load, again and again: nothing acknowledged is lost, nothing is stored twice."""

from __future__ import annotations

import random
import time
from pathlib import Path

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
