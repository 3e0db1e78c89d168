"""Ranks of one job log into one run without being told its id; each of several runs of a script is one run of all ranks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import runlore
from runlore.client import RunloreClient

PROGRAM = """
import sys, runlore
for number in range(2):
    with runlore.start_run(run_name=f"run {number}") as run:
        print(run.info.run_id, flush=True)
        for step in range(5):
            runlore.log_metric(f"loss/{sys.argv[1]}", step + number, step=step)
        sys.stdin.readline()
"""


def ranks(count: int, kind: str, **more: str) -> list[list[str]]:
    """The run ids that each rank prints; they end their runs one after the other, the first rank last."""
    processes = []
    for rank in range(count):
        names = {
            "torchrun": {
                "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count),
                "TORCHELASTIC_RUN_ID": "none",
            },
            "slurm": {
                "SLURM_PROCID": str(rank), "SLURM_NTASKS": str(count), "SLURM_JOB_ID": "17", "SLURM_STEP_ID": "0",
            },
            "mpi": {
                "OMPI_COMM_WORLD_RANK": str(rank), "OMPI_COMM_WORLD_SIZE": str(count),
                "OMPI_COMM_WORLD_LOCAL_SIZE": str(count),
            },
        }[kind]  # fmt: skip
        environment = {**os.environ, "RUNLORE_SNAPSHOT": "0", **names, **more}
        processes.append(
            subprocess.Popen(
                [sys.executable, "-c", PROGRAM, str(rank)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=environment,
            )
        )
    printed: list[list[str]] = [[] for _ in processes]
    for _ in range(2):
        for rank, process in enumerate(processes):
            assert process.stdout is not None
            printed[rank].append(process.stdout.readline().strip())
        for process in reversed(processes):
            assert process.stdin is not None
            process.stdin.write("go on\n")
            process.stdin.flush()
    for process in reversed(processes):
        process.communicate(timeout=60)
        assert process.returncode == 0
    return printed


@pytest.mark.parametrize(
    ("kind", "more"), [("torchrun", {}), ("slurm", {"RUNLORE_RUN_ID": "job"}), ("mpi", {"RUNLORE_RUN_ID": "job"})]
)
def test_ranks_share_their_runs(tmp_path: Path, kind: str, more: dict[str, str]) -> None:
    uri = str(tmp_path / kind)
    RunloreClient(uri).create_experiment("made before, so that nobody waits for the schema")
    printed = ranks(3, kind, RUNLORE_TRACKING_URI=uri, **more)
    assert printed[0] == printed[1] == printed[2]
    assert len(set(printed[0])) == 2
    for number, run_id in enumerate(printed[0]):
        run = RunloreClient(uri).get_run(run_id)
        assert run.info.status == "FINISHED"
        assert run.data.metrics == {f"loss/{rank}": 4.0 + number for rank in range(3)}


def test_tasks_of_slurm_may_be_trainings_of_their_own(tmp_path: Path) -> None:
    printed = ranks(2, "slurm", RUNLORE_TRACKING_URI=str(tmp_path / "store"))
    assert len({*printed[0], *printed[1]}) == 4


def test_ranks_of_torchrun_may_be_told_to_be(tmp_path: Path) -> None:
    printed = ranks(2, "torchrun", RUNLORE_TRACKING_URI=str(tmp_path / "store"), RUNLORE_RUN_ID="own")
    assert len({*printed[0], *printed[1]}) == 4


def test_a_job_that_nothing_tells_of(monkeypatch: pytest.MonkeyPatch) -> None:
    program = "import runlore\nrunlore.start_run()\n"
    environment = {**os.environ, "RUNLORE_RUN_ID": "job", "RANK": "1", "WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "2"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment)
    assert done.returncode == 1
    assert "nothing says which job this is" in done.stderr
    assert runlore.search_runs(output_format="list") == []
