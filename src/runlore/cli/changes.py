"""What commands say of runs that were resumed."""

from __future__ import annotations

from runlore.api.resume import GetRunChanges, RunChanges, RunResume
from runlore.cli.output import counted, time_text
from runlore.exceptions import EndpointNotFound
from runlore.store.base import Store


def run_changes(store: Store, run_id: str) -> RunChanges:
    """What resuming a run has changed; nothing where the server is MLflow's or older than this."""
    try:
        return store.call(GetRunChanges(run_id=run_id))
    except EndpointNotFound:
        return RunChanges()


def resume_text(resume: RunResume) -> str:
    """When a run was resumed, and what it replaced."""
    if not resume.points:
        return f"{time_text(resume.time)}, nothing replaced"
    what = f"{counted(resume.points, 'point')} of {counted(resume.metrics, 'metric')}"
    return f"{time_text(resume.time)}, {what} replaced, from step {resume.from_step}"
