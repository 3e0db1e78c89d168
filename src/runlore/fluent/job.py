"""The job that this process is one of several processes of: its rank there, and the run that they share.

torchrun starts the ranks of one training, so what they log belongs into one run. Slurm's and MPI's tasks may as well be
trainings of their own: they share a run only where `RUNLORE_RUN_ID=job` says so. The id of the run follows from what all ranks
see and no other job does: where all are on one machine that is the process that started them, else Slurm's number of the job
and step. A job that comes back under the same identity (torchrun's restarts, Slurm's requeueing) resumes its run.
"""

from __future__ import annotations

import hashlib
import os
import platform

from runlore.exceptions import InvalidParameter

JOB, OWN = "job", "own"
"""Words in the place of an id in `RUNLORE_RUN_ID`: share the run of the job; let each process have its own."""
_RANKS = ("RANK", "SLURM_PROCID", "OMPI_COMM_WORLD_RANK", "PMI_RANK", "LOCAL_RANK")
_SIZES = (
    ("WORLD_SIZE", "LOCAL_WORLD_SIZE"),
    ("SLURM_NTASKS", "SLURM_TASKS_PER_NODE"),
    ("OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_SIZE"),
)
_MEMBER = "RUNLORE_JOB_MEMBER"

_choice: str | None = None
_runs = 0


def rank() -> int:
    """The number of this process among those that train together, from the environment; 0 when it trains alone."""
    for name in _RANKS:
        if (text := os.environ.get(name, "")).isdigit():
            return int(text)
    return 0


def shared_run(named: str | None) -> str | None:
    """The id of the run to share, given what `RUNLORE_RUN_ID` says; None for a run of this process alone.

    The n-th run that a rank starts is the n-th of all ranks. Raises `InvalidParameter` when a job's run is asked for and there
    is nothing that says which job this is.
    """
    global _choice, _runs
    if named and named not in (JOB, OWN):
        return named
    _choice = named or _choice
    if _choice == OWN or (_choice is None and not os.environ.get("TORCHELASTIC_RUN_ID")):
        return None
    if os.environ.setdefault(_MEMBER, str(os.getpid())) != str(os.getpid()):
        return None  # started by a rank, and none itself
    identity = _identity()
    if identity is None:
        if _choice == JOB:
            raise InvalidParameter(
                "RUNLORE_RUN_ID is 'job', but nothing says which job this is: neither do all ranks run on this machine "
                "(WORLD_SIZE, LOCAL_WORLD_SIZE …) nor is there a SLURM_JOB_ID. Give all of them one id: 32 hexadecimal digits."
            )
        return None
    _runs += 1
    return hashlib.sha256(f"{identity} {_runs}".encode()).hexdigest()[:32]


def _identity() -> str | None:
    if _choice == JOB or not (starter := _starter_of_all()):
        return _slurm() or _starter_of_all()
    return starter


def _slurm() -> str | None:
    names = "SLURM_CLUSTER_NAME", "SLURM_JOB_ID", "SLURM_STEP_ID", "TORCHELASTIC_RUN_ID"
    cluster, job, step, elastic = (os.environ.get(name, "") for name in names)
    return f"slurm {cluster} {job} {step} {elastic}" if job and step else None


def _starter_of_all() -> str | None:
    """The process that has started all ranks, if they are all on this machine."""
    for everywhere, here in _SIZES:
        size = os.environ.get(everywhere, "")
        if size.isdigit() and int(size) > 1:
            return _starter() if os.environ.get(here) == size else None
    return None


def _starter() -> str:
    """The process that has started this one: its number is given again, but not at the same time after the same start."""
    import psutil

    return f"{platform.node()} {os.getppid()} {psutil.Process(os.getppid()).create_time()}"
