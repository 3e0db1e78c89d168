"""What logging costs a training script: Runlore, MLflow, wandb offline, Trackio, Aim and tensorboardX, the same loop for each.

    python bench/sdk.py               # about four minutes
    python bench/sdk.py --quick       # a tenth of the steps
    python bench/sdk.py --only runlore wandb
    python bench/sdk.py --json        # for machines
    python bench/sdk.py --readme      # and put the table into README.md

Each tracker runs in a process and an environment of its own (`make sdk-bench` makes them from `requirements/*.lock`), with no
server.
`call` is the time that the loop spends in one call, for one metric and for ten: `on end`, one call after the other, and `in a
loop`, with half a millisecond of other work between the calls, after which the processor's caches hold other things. `points/s`
is ten metrics a step as fast as the loop goes, until everything is stored and the process has ended.
`import` is the first import, in a process that has imported nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from peers import write_readme

ROOT = Path(__file__).parents[1]

PROGRAM = """
import json, os, sys, time
begin = time.perf_counter()
{imports}
imported, modules = time.perf_counter() - begin, len(sys.modules)
METRICS = {{f"metric/{{number}}": number / 3 for number in range(10)}}

def work():
    end = time.perf_counter() + 0.0005
    while time.perf_counter() < end:
        sum(range(50))

def timed(call, calls, pause):
    global base
    times = []
    for step in range(base, base + calls):
        start = time.perf_counter_ns()
        call(step)
        times.append(time.perf_counter_ns() - start)
        if pause:
            work()
    base += calls
    times.sort()
    return [times[len(times) // 2] / 1000, times[len(times) * 99 // 100] / 1000]

{start}
result = {{"import": imported, "modules": modules}}
base = 0
for pause in False, True:
    result[f"one {{pause}}"] = timed(one, {calls}, pause)
    result[f"ten {{pause}}"] = timed(ten, {calls}, pause)
begin = time.time()
for step in range({steps}):
    ten(base + step)
result["loop"] = time.time() - begin
result["began"] = begin
{finish}
print(json.dumps(result), flush=True)
"""

TRACKERS = {
    "MLflow": (
        "mlflow3",
        "import mlflow",
        """
mlflow.set_tracking_uri("sqlite:///mlflow.db"); mlflow.start_run()
def one(step): mlflow.log_metric("loss", 0.5, step=step)
def ten(step): mlflow.log_metrics(METRICS, step=step)
""",
        "mlflow.end_run()",
        100,
        200,
    ),
    "wandb, offline": (
        "wandb",
        "import wandb",
        """
os.environ["WANDB_MODE"] = "offline"; os.environ["WANDB_SILENT"] = "true"
run = wandb.init(project="bench", mode="offline")
def one(step): run.log({"loss": 0.5})
def ten(step): run.log(METRICS)
""",
        "run.finish()",
        2_000,
        20_000,
    ),
    "Trackio": (
        "trackio",
        "import trackio",
        """
os.environ["TRACKIO_DIR"] = os.getcwd()
trackio.init(project="bench", embed=False)
def one(step): trackio.log({"loss": 0.5})
def ten(step): trackio.log(METRICS)
""",
        "trackio.finish()",
        2_000,
        20_000,
    ),
    "Aim": (
        "aim",
        "import aim",
        """
run = aim.Run(repo=".", system_tracking_interval=None, log_system_params=False, capture_terminal_logs=False)
def one(step): run.track(0.5, name="loss", step=step)
def ten(step): run.track(METRICS, step=step)
""",
        "run.close()",
        300,
        1_000,
    ),
    "tensorboardX": (
        "tensorboardx",
        "import tensorboardX",
        """
writer = tensorboardX.SummaryWriter("tb")
def one(step): writer.add_scalar("loss", 0.5, step)
def ten(step):
    for name, value in METRICS.items(): writer.add_scalar(name, value, step)
""",
        "writer.close()",
        1_000,
        5_000,
    ),
    "Runlore": (
        "",
        "import runlore",
        """
runlore.start_run()
def one(step): runlore.log_metric("loss", 0.5, step=step)
def ten(step): runlore.log_metrics(METRICS, step=step)
""",
        "runlore.end_run()",
        10_000,
        100_000,
    ),
}


def measured(name: str, share: float) -> dict[str, object] | None:
    """Run one tracker; None where its environment is not there."""
    environment, imports, start, finish, calls, steps = TRACKERS[name]
    python = ROOT / ".venvs" / environment / "bin" / "python" if environment else Path(sys.executable)
    if not python.exists():
        return None
    calls, steps = max(50, int(calls * share)), max(50, int(steps * share))
    program = PROGRAM.format(imports=imports, start=start, finish=finish, calls=calls, steps=steps)
    variables = {key: value for key, value in os.environ.items() if not key.startswith(("MLFLOW_", "RUNLORE_", "WANDB_"))}
    with tempfile.TemporaryDirectory(dir=ROOT, prefix="bench-") as place:
        Path(place, "bench.py").write_text(program)
        command = [str(python), "-W", "ignore", "bench.py"]
        variables |= {"HOME": place, "XDG_STATE_HOME": place}
        subprocess.run([str(python), "-c", imports], cwd=place, env=variables, capture_output=True)  # bytecode is written
        done = subprocess.run(command, cwd=place, env=variables, capture_output=True, text=True, timeout=900)
        ended = time.time()
        lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
        if done.returncode or not lines:
            print(f"{name}: {done.stderr[-600:]}", file=sys.stderr)
            return None
        found: dict[str, object] = json.loads(lines[-1])
        found["points"] = 10 * steps / (ended - float(str(found["began"])))
        return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--readme", action="store_true")
    parser.add_argument("--only", nargs="+", metavar="NAME")
    options = parser.parse_args()
    wanted = [name for name in TRACKERS if not options.only or any(word.lower() in name.lower() for word in options.only)]
    found = {name: measured(name, 0.1 if options.quick else 1.0) for name in wanted}
    if options.json:
        print(json.dumps(found))
        return
    lines = [
        "| p50, p99 of a call in µs | one metric, on end | in a loop | ten metrics, on end | in a loop "
        "| points/s, stored | import | modules |",
        "|---" * 8 + "|",
    ]
    for name, figures in found.items():
        if figures is None:
            lines.append(f"| {name} | not installed | | | | | | |")
            continue
        calls = " | ".join(
            "{:,.1f}, {:,.0f}".format(*figures[f"{count} {pause}"])  # type: ignore[misc]
            for count in ("one", "ten")
            for pause in (False, True)
        )
        lines.append(f"| {name} | {calls} | {figures['points']:,.0f} | {figures['import']:.3f} s | {figures['modules']:,} |")
    print("\n".join(lines))
    if options.readme:
        write_readme("sdk", "\n".join(lines))


if __name__ == "__main__":
    main()
