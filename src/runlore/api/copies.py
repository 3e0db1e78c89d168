"""Copying runs to another experiment."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, field

from runlore.api.operation import Edit, ExperimentId, IdempotencyKey, Operation, Route, RunId, View
from runlore.entities import Entity


class CopiedRuns(Entity):
    """The new runs, in the order of those that were copied."""

    run_ids: list[str] = field(default_factory=list)


class CopyRuns(Operation[CopiedRuns]):
    """Make new runs in an experiment with everything that these have: name, user, times, params, tags, every metric point,
    datasets and which models they read and made. All or nothing.

    Files are not copied: `client.copy_runs` does that afterwards. A parent that is copied too is the parent of the copy. The
    copy of a run that goes on has ended.
    """

    route = Route("POST", "runs/copy", needs=Edit("to_experiment_id"), base="v1", needs_too=View("run_ids"))
    run_ids: Annotated[list[RunId], Meta(min_length=1, max_length=100)]
    to_experiment_id: ExperimentId
    idempotency_key: IdempotencyKey | None = None
