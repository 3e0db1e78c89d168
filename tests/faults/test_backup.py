"""A backup under load: everything that was acknowledged before it began is in it; a killed one leaves no half copy."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.faults.load import load
from tests.faults.oracle import Ledger, check_file, check_http
from tests.faults.served import ROOT, serving
from tests.faults.sizes import size

RUNLORE = [sys.executable, "-m", "runlore.cli.main"]


def run(arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*RUNLORE, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=120)


def as_of(ledger: Ledger, answers: int) -> Ledger:
    """What was acknowledged by the first so many answers; all the rest may be there too."""
    earlier = Ledger()
    earlier.sent.update(ledger.sent)
    earlier.acknowledged = ledger.acknowledged[:answers]
    return earlier


def test_a_backup_under_load_is_a_whole_store(tmp_path: Path) -> None:
    ledger, store = Ledger(), tmp_path / "store"
    backups: list[tuple[Path, int]] = []
    with serving(str(store), tmp_path) as served:
        with load(ledger, served.url) as work:
            for number in range(size(2, 20)):
                work.wait_for(500)
                target, answers = tmp_path / f"copy {number}", len(ledger.acknowledged)
                done = run(["backup", "--store", str(store), str(target)])
                assert done.returncode == 0, done.stderr
                backups.append((target, answers))
        served.stop()
    for target, answers in backups:
        earlier = as_of(ledger, answers)
        assert run(["doctor", str(target)]).returncode == 0
        with serving(str(target), target) as restored:
            check_http(earlier, restored.url)
            restored.stop()
        check_file(earlier, target / "runlore.db")


def test_a_killed_backup_is_whole_or_absent(tmp_path: Path) -> None:
    ledger, store, chance = Ledger(), tmp_path / "store", random.Random(20)
    whole = 0
    with serving(str(store), tmp_path) as served:
        with load(ledger, served.url) as work:
            work.wait_for(500)
            for number in range(size(4, 50)):
                target, answers = tmp_path / f"copy {number}", len(ledger.acknowledged)
                command = [*RUNLORE, "backup", "--store", str(store), str(target)]
                with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
                    time.sleep(chance.uniform(0.1, 0.6))
                    process.kill()
                if target.exists():
                    whole += 1
                    check_file(as_of(ledger, answers), target / "runlore.db")
        check_http(ledger, served.url)
        served.stop()
    check_file(ledger, store / "runlore.db")
    print(f"{whole} of {size(4, 50)} killed backups were whole, the others absent")
