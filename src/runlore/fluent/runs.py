"""Runs of the fluent interface: start, end, resume, nest, find."""

from __future__ import annotations

import os
from types import TracebackType
from typing import Any, Self

from runlore.client import RunloreClient
from runlore.client.runs import PARENT_TAG
from runlore.entities import LifecycleStage, Run, RunStatus, RunTag
from runlore.exceptions import InvalidParameter, InvalidState, RunloreError
from runlore.fluent import context, job, recording
from runlore.fluent.endings import status_of
from runlore.fluent.source import source_tags
from runlore.settings import read_settings

NAME_TAG, NOTE_TAG = "mlflow.runName", "mlflow.note.content"


class ActiveRun(Run):
    """An open run, to be used in a `with` block: leaving the block ends it, as FAILED when an exception does (the tags
    `runlore.exception` and `runlore.traceback` say which), as KILLED by Ctrl-C or SIGTERM."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        while any(opened.run_id == self.info.run_id for opened in context.stack()):
            _end(status_of(error), error)  # runs that were started inside and left open end with it


def start_run(
    run_id: str | None = None,
    experiment_id: str | None = None,
    run_name: str | None = None,
    nested: bool = False,
    parent_run_id: str | None = None,
    tags: dict[str, Any] | None = None,
    description: str | None = None,
    log_system_metrics: bool | None = None,
) -> ActiveRun:
    """Start a run and make it the active one of this thread; use it in a `with` block or call `end_run`.

    * `run_id` (or `RUNLORE_RUN_ID`, `MLFLOW_RUN_ID` in the environment, for the first run of a process) resumes a run.
      A `RUNLORE_RUN_ID` of 32 hexadecimal digits that names no run yet is the id of the new one: processes that train
      together (`RANK`, `SLURM_PROCID` …) share one run that way, whichever comes first, and the first rank ends it. torchrun's
      ranks on one machine or under Slurm do so by themselves; `RUNLORE_RUN_ID=job` asks for it under srun and mpirun.
    * `nested=True` allows a run inside the active one, which becomes its parent. `parent_run_id` names another parent.
    * `description` is shown as the run's note.
    * `log_system_metrics` says whether system metrics are recorded, whatever the environment says.

    The new run is tagged with user, script and git commit; what produced it is recorded beside it (docs/guides/snapshots.md).
    """
    active = context.stack()
    if active and not nested:
        raise InvalidState(
            f"Run with UUID {active[0].run_id} is already active. To start a new run, first end the current run with "
            "end_run(). To start a nested run, call start_run with nested=True"
        )
    tags = _with_note(tags, description)
    client = RunloreClient()
    shared = None if run_id or active or parent_run_id else job.shared_run(_run_of_environment())
    existing = run_id or (shared if shared and client.knows_run(shared) else None)
    leads = shared is None or job.rank() == 0
    if existing:
        run = _resume(client, existing, run_name, tags, leads)
    else:
        if parent := _parent(client, parent_run_id):
            tags[PARENT_TAG] = parent
        if run_name:
            tags[NAME_TAG] = run_name
        experiment = str(experiment_id) if experiment_id is not None else context.current_experiment_id()
        run = client.make_run(experiment, {**source_tags(), **tags}, run_name, shared)
    started = ActiveRun(info=run.info, data=run.data, inputs=run.inputs, outputs=run.outputs)
    opened = context.push(started, client)
    opened.leads = leads
    recording.begin(opened, resumed=bool(existing), log_system_metrics=log_system_metrics)
    return started


def end_run(status: str = RunStatus.FINISHED) -> None:
    """End the active run of this thread; does nothing when there is none."""
    _end(status, None)


def _end(status: str, error: BaseException | None) -> None:
    if context.stack():
        for variable in ("RUNLORE_RUN_ID", "MLFLOW_RUN_ID"):
            os.environ.pop(variable, None)
        closed = context.pop()
        recording.finish(closed.run_id)
        closed.end(status, error)


def active_run() -> ActiveRun | None:
    """The active run of this thread, as it was when it started. `get_run` reads what has been logged since."""
    active = context.stack()
    run = active[-1].run if active else None
    return run if isinstance(run, ActiveRun) else None


def last_active_run() -> Run | None:
    """The active run of this thread, else the run that ended last in this process."""
    if (run := active_run()) is not None:
        return run
    last = context.last_run()
    return last[0].get_run(last[1]) if last else None


def get_run(run_id: str) -> Run:
    """One run with the last value of each metric. Raises `NotFound`."""
    return context.client_of(run_id).get_run(run_id)


def get_parent_run(run_id: str) -> Run | None:
    """The run that a nested run belongs to, or None."""
    return context.client_of(run_id).get_parent_run(run_id)


def delete_run(run_id: str) -> None:
    """Move a run to the trash."""
    context.client_of(run_id).delete_run(run_id)


def restore_run(run_id: str) -> None:
    """Take a run out of the trash."""
    context.client_of(run_id).restore_run(run_id)


def current_run() -> context.OpenRun:
    """The active run of this thread; one is started when there is none."""
    active = context.stack()
    if not active:
        start_run()
    return context.stack()[-1]


def _run_of_environment() -> str | None:
    run_id = read_settings().run_id
    if run_id:
        for variable in ("RUNLORE_RUN_ID", "MLFLOW_RUN_ID"):
            os.environ.pop(variable, None)  # it names one run, not every run that follows
    return run_id


def _with_note(tags: dict[str, Any] | None, description: str | None) -> dict[str, Any]:
    tags = dict(tags or {})
    if description:
        if NOTE_TAG in tags:
            raise InvalidParameter(
                f"Description is already set via the tag {NOTE_TAG} in tags. Remove it from the tags or omit the description."
            )
        tags[NOTE_TAG] = description
    return tags


def _resume(client: RunloreClient, run_id: str, run_name: str | None, tags: dict[str, Any], leads: bool) -> Run:
    """Go on with a run. A rank that does not lead, and comes when the first one has finished already, leaves it finished."""
    run = client.find_run(run_id)
    experiment = context.active_experiment_id()
    if experiment is not None and run.info.experiment_id and experiment != run.info.experiment_id:
        raise RunloreError(
            f"Cannot start run with ID {run_id} because active experiment ID does not match environment run ID: the run "
            f"belongs to experiment {run.info.experiment_id}, set_experiment() has set {experiment}."
        )
    if run.info.lifecycle_stage == LifecycleStage.DELETED:
        raise RunloreError(f"Cannot start run with ID {run_id} because it is in the deleted state.")
    if leads or run.info.status != RunStatus.FINISHED:
        if context.find(run_id) is None:  # else it is open in this process
            client.resume_run(run_id)
        client.update_run(run_id, status=RunStatus.RUNNING, name=run_name)
    if tags:
        client.log_batch(run_id, tags=[RunTag(key=key, value=str(value)) for key, value in tags.items()])
    return client.get_run(run_id)


def _parent(client: RunloreClient, parent_run_id: str | None) -> str | None:
    active = context.stack()
    current = active[-1].run_id if active else None
    if parent_run_id is None or parent_run_id == current:
        return current
    if current:
        raise RunloreError(
            f"Current run with UUID {current} does not match the specified parent_run_id {parent_run_id}. To start a new "
            f"nested run under the parent run with UUID {parent_run_id}, first end the current run with end_run()."
        )
    if client.get_run(parent_run_id).info.lifecycle_stage == LifecycleStage.DELETED:
        raise RunloreError(f"Cannot start run under parent run with ID {parent_run_id} because it is in the deleted state.")
    return parent_run_id
