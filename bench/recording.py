"""What it costs a training that its run is recorded: snapshot, console, system metrics.

    python bench/recording.py

Prints the time that `start_run` takes in the foreground with and without recording, one print with and without it, and the CPU
time of one look at the machine. Targets: `start_run` at most 20 ms, whatever is recorded.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

PROGRAM = """
import io, json, statistics, sys, time
import runlore
runlore.set_tracking_uri(sys.argv[1])
runlore.start_run(); runlore.end_run()
starts, ends = [], []
for _ in range(30):
    begun = time.perf_counter(); runlore.start_run(); starts.append(time.perf_counter() - begun)
    begun = time.perf_counter(); runlore.end_run(); ends.append(time.perf_counter() - begun)
prints = []
with runlore.start_run():
    for _ in range(20):
        begun = time.perf_counter()
        for _ in range(1000):
            print("epoch 12 loss 0.123")
        prints.append((time.perf_counter() - begun) / 1000)
        time.sleep(0.05)
milli = lambda times: [1000 * value for value in times]
print(json.dumps({"start": milli(starts), "end": milli(ends), "print": statistics.median(prints) * 1e6}), file=sys.stderr)
"""
SAMPLE = """
import json, time
from runlore.system_metrics.machine import Machine
machine = Machine()
begun = time.process_time()
for _ in range(50):
    machine.sample()
print(json.dumps((time.process_time() - begun) / 50 * 1000))
"""
KINDS = {
    "nothing": {"RUNLORE_SNAPSHOT": "0", "RUNLORE_CONSOLE": "0"},
    "snapshot": {"RUNLORE_SNAPSHOT": "1", "RUNLORE_CONSOLE": "0"},
    "snapshot and console": {"RUNLORE_SNAPSHOT": "1", "RUNLORE_CONSOLE": "1"},
}


def measured(variables: dict[str, str]) -> dict[str, float]:
    """Milliseconds of start and end, microseconds of a print, in a script of this repository."""
    with tempfile.TemporaryDirectory() as place:
        script = Path(__file__).with_name("recording_program.tmp.py")
        script.write_text(PROGRAM)
        try:
            done = subprocess.run(
                [sys.executable, str(script), place],
                env={**os.environ, **variables}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=True,
            )  # fmt: skip
        finally:
            script.unlink()
    found = json.loads(done.stderr.splitlines()[-1])
    starts = sorted(found["start"])
    return {
        "start p50": statistics.median(starts),
        "start max": starts[-1],
        "end p50": statistics.median(found["end"]),
        "print": found["print"],
    }


def main() -> None:
    """Measure and print."""
    print(f"{'recorded':24}{'start_run p50':>16}{'max':>10}{'end_run p50':>16}{'print':>12}")
    for name, variables in KINDS.items():
        found = measured(variables)
        print(
            f"{name:24}{found['start p50']:>13.2f} ms{found['start max']:>7.1f} ms"
            f"{found['end p50']:>13.1f} ms{found['print']:>9.2f} µs"
        )
    sample = json.loads(subprocess.run([sys.executable, "-c", SAMPLE], capture_output=True, text=True, check=True).stdout)
    print(f"one look at the machine: {sample:.2f} ms of CPU, each 10 s by default")


if __name__ == "__main__":
    main()
