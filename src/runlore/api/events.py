"""What changed: a cursor to ask with, and a stream of the same answers.

An answer names objects and says which parts of them changed; it carries no values. A cursor is a place in the history of the
store: asking with it gives everything since, whichever process wrote it. Nothing is left out; some things are told twice.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, field

from runlore.api.operation import Need, Operation, Route, View
from runlore.entities import Entity, Value

Cursor = Annotated[str, Meta(max_length=4_096)]

RunPart = Literal["created", "status", "metrics", "params", "tags", "inputs", "models", "lifecycle", "purged"]
"""`status`: also the end time and the name, which is a tag too. `lifecycle`: deleted, restored, or moved to another experiment.
`purged`: gone for good. `models`: the models that it used or made. `created`: everything about it may be new."""
ExperimentPart = Literal["created", "name", "tags", "lifecycle", "runs", "views"]
"""`runs`: any number of its runs, changed at once. `views`: the views that are saved for it."""
ModelPart = Literal["created", "name", "description", "tags", "aliases", "versions", "lifecycle"]
LoggedModelPart = Literal["created", "status", "params", "tags", "lifecycle"]
OtherPart = Literal["runs", "views", "trash", "webhooks"]


class RunChange(Entity):
    """A run that changed. `experiment_id` and `status` are as of now, None when the run is gone for good. `metrics` names the
    metrics that have new points; None where they are too many to name, or where `changed` has no `metrics`."""

    run_id: str
    changed: list[RunPart]
    experiment_id: str | None = None
    status: str | None = None
    metrics: list[str] | None = None


class ExperimentChange(Entity):
    """An experiment that changed, itself: changes of its runs are told of the runs."""

    experiment_id: str
    changed: list[ExperimentPart]


class RegisteredModelChange(Entity):
    """A registered model, or one of its versions, that changed. A renamed one is told under both names."""

    name: str
    changed: list[ModelPart]


class LoggedModelChange(Entity):
    """A logged model that changed."""

    model_id: str
    changed: list[LoggedModelPart]


class Changes(Entity):
    """What changed since a cursor, and the cursor to ask with next.

    `reset`: anything may have changed, look at all anew: the cursor is of another store, or too much has happened since, or it
    is too long ago (10 minutes are never too long). `settled` is False while the same changes may be told once more. `other`
    names what changed in general: `runs` or `views` of any experiment, `webhooks`, the `trash`, which was emptied.
    """

    cursor: str
    reset: bool = False
    settled: bool = True
    runs: list[RunChange] = field(default_factory=list)
    experiments: list[ExperimentChange] = field(default_factory=list)
    registered_models: list[RegisteredModelChange] = field(default_factory=list)
    logged_models: list[LoggedModelChange] = field(default_factory=list)
    other: list[OtherPart] = field(default_factory=list)


class GetChanges(Operation[Changes]):
    """What changed since `cursor`. Without one: nothing, and the cursor of now."""

    route = Route("GET", "changes", needs=View(), base="v1")
    cursor: Cursor = ""


class EventRoute(Value):
    """An endpoint that answers with a stream of server-sent events."""

    name: str
    path: str
    needs: Need
    summary: str


EVENTS = EventRoute(
    name="StreamChanges",
    path="/api/v1/events",
    needs=View(),
    summary="The answers of `GetChanges` as they come: events whose data is a `Changes` and whose id is its cursor. The first "
    "one comes at once; then there are at most four a second. The stream goes on from the header `Last-Event-ID` or, without "
    "one, from the parameter `cursor`; without both, from now.",
)
