"""Kill processes that log, at random moments, and count what is missing afterwards: it must be nothing.

    python bench/crash.py             # 200 kills into a local store, about five minutes
    python bench/crash.py --kills 20

Every process says on a pipe which call returned. It is killed with SIGKILL after a random time; `runlore sync` delivers what it
left behind, twice; then every point of every run is read and compared.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from runlore.client import RunloreClient

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))


def killed(store: Path, seconds: float, environment: dict[str, str]) -> tuple[str, int]:
    """A run, and how many calls returned before the process that made them was killed."""
    command = [sys.executable, str(ROOT / "tests/spool/numbered.py"), str(store), "0", "1000000000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        run_id = process.stdout.readline().strip()
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)
        lines = process.stdout.read().split("\n")
    return run_id, int(lines[-2]) + 1 if len(lines) > 1 and lines[-2] else 0


def main() -> None:
    """Kill, deliver, compare."""
    from tests.spool.numbered import value_of

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    options = parser.parse_args()
    chance = random.Random(1)
    with tempfile.TemporaryDirectory(dir=ROOT, prefix="bench-") as place:
        store, environment = Path(place) / "store", {**os.environ, "RUNLORE_SNAPSHOT": "0", "RUNLORE_CONSOLE": "0"}
        runs = [killed(store, chance.uniform(0.0, 0.5), environment) for _ in range(options.kills)]
        for _ in range(2):
            done = subprocess.run(
                [sys.executable, "-m", "runlore.cli.main", "sync", str(store)], capture_output=True, text=True
            )
            print(done.stdout.strip(), done.stderr.strip())
        client = RunloreClient(store)
        accepted = lost = doubled = wrong = 0
        for run_id, calls in runs:
            accepted += 2 * calls
            for key, sign in (("value", 1), ("other", -1)):
                steps = [0] * (calls + 2)
                for point in client.get_metric_history(run_id, key):
                    wrong += point.value != sign * value_of(point.step) or point.step > calls
                    steps[min(point.step, calls + 1)] += 1
                lost += steps[:calls].count(0)
                doubled += sum(count > 1 for count in steps)
        print(f"{len(runs)} kills, {accepted:,} points accepted: {lost} lost, {doubled} doubled, {wrong} wrong")
        sys.exit(bool(lost or doubled or wrong))


if __name__ == "__main__":
    main()
