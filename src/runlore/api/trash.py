"""Operations on the trash: what is deleted, taking it out again, deleting it for good; and moving runs between experiments.

Deleting for good has two parts. `PurgeTrash` removes rows, a slice at a time, and notes in the same transaction which
directories of files have lost their owner. `RemoveReleasedFiles` (`api/artifacts.py`) then removes those files. A crash in
between leaves the note, and the next removal goes on from it. Files that a model version is made of stay.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, field

from runlore.api.artifacts import Kept
from runlore.api.operation import Edit, ExperimentId, Manage, ModelId, Operation, PageToken, Route, RunId, Uri, View
from runlore.entities import Empty, Entity

Kind = Literal["experiment", "run", "logged_model"]
Age = Annotated[int, Meta(ge=0, le=2**62, description="milliseconds")]

SLICE = 1_000
"""Rows that one `PurgeTrash` removes, about: a few milliseconds of the writer's time."""


class TrashItem(Entity):
    """Something in the trash. `runs` counts what an experiment holds; `pinned_by` names the model versions (`fruit/3`) that are
    made of its files, which therefore stay when it is purged."""

    kind: Kind
    id: str
    name: str
    experiment_id: str
    deleted_time: int
    artifact_uri: str | None = None
    runs: int = 0
    pinned_by: list[str] = field(default_factory=list)


class Trash(Entity):
    """One page of the trash, deleted last first, and how much there is in all."""

    items: list[TrashItem] = field(default_factory=list)
    experiments: int = 0
    runs: int = 0
    logged_models: int = 0
    next_page_token: str | None = None


class Purged(Entity):
    """What one call removed, or what would be removed in all (`dry_run`). `more`: call again for the next slice."""

    experiments: int = 0
    runs: int = 0
    logged_models: int = 0
    more: bool = False
    kept: list[Kept] = field(default_factory=list)


class MovedRuns(Entity):
    """The runs that are in another experiment now, children that came along included."""

    run_ids: list[str] = field(default_factory=list)


class ReleasedFiles(Entity):
    """Directories whose owner was purged: those that may be removed, and those that something else needs."""

    uris: list[str] = field(default_factory=list)
    kept: list[Kept] = field(default_factory=list)


class OwnedFiles(Entity):
    """Those of the given directories that belong to something in the store."""

    uris: list[str] = field(default_factory=list)


class GetTrash(Operation[Trash]):
    """What is in the trash for at least `older_than`. Runs of deleted experiments are part of those and are listed by
    themselves only with `within_experiments`; the counts include them."""

    route = Route("GET", "trash", needs=View(), base="v1")
    kind: Kind = "run"
    older_than: Age = 0
    within_experiments: bool = False
    max_results: Annotated[int, Meta(ge=1, le=1_000)] = 100
    page_token: PageToken = ""


class RestoreLoggedModel(Operation[Empty]):
    """Take a logged model out of the trash."""

    route = Route("POST", "logged-models/{model_id}/restore", needs=Manage("model_id"), base="v1")
    model_id: ModelId


class PurgeTrash(Operation[Purged]):
    """Delete for good what has been in the trash for at least `older_than`, one slice a call; there is no way back.

    With ids, only these and what is in these experiments. An id that is gone already counts for nothing, one that is not in
    the trash is refused. The experiment `0` itself stays: clients that name no experiment log to it.
    """

    route = Route("POST", "trash/purge", needs=Manage(), base="v1")
    dry_run: bool = False
    older_than: Age = 0
    experiment_ids: Annotated[list[ExperimentId], Meta(max_length=1_000)] = field(default_factory=list)
    run_ids: Annotated[list[RunId], Meta(max_length=1_000)] = field(default_factory=list)
    model_ids: Annotated[list[ModelId], Meta(max_length=1_000)] = field(default_factory=list)


class GetReleasedFiles(Operation[ReleasedFiles]):
    """Directories of files that purged objects have left."""

    route = Route("GET", "trash/files", needs=View(), base="v1")
    max_results: Annotated[int, Meta(ge=1, le=10_000)] = 1_000


class ForgetReleasedFiles(Operation[Empty]):
    """Say that these directories are gone. Ones that are still needed, or not known, are left as they are."""

    route = Route("POST", "trash/files/forget", needs=Manage(), base="v1")
    uris: Annotated[list[Uri], Meta(max_length=10_000)]


class GetOwnedFiles(Operation[OwnedFiles]):
    """Which of these directories belong to a run, a logged model, a model version or a purged object whose turn will come."""

    route = Route("POST", "trash/files/owned", needs=View(), base="v1")
    uris: Annotated[list[Uri], Meta(max_length=1_000)]


class MoveRuns(Operation[MovedRuns]):
    """Put runs into another experiment, with the logged models that they made. Their files stay where they are.

    `children` takes along the runs that name one of these as their parent, and theirs. All or nothing.
    """

    route = Route("POST", "runs/move", needs=Manage("run_ids"), base="v1", needs_too=Edit("to_experiment_id"))
    run_ids: Annotated[list[RunId], Meta(min_length=1, max_length=1_000)]
    to_experiment_id: ExperimentId
    children: bool = False
