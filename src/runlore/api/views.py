"""Saved views: what somebody arranged on a page, under a short address that can be shared."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, field

from runlore.api.operation import Edit, ExperimentId, IdempotencyKey, Operation, Route, View
from runlore.entities import Empty, Entity

ViewId = Annotated[str, Meta(pattern=r"^[0-9A-Za-z]{10}\Z", description="ten letters and digits")]
ViewName = Annotated[str, Meta(max_length=250)]

MAX_STATE = 2**20
"""Bytes of a view's state as JSON."""


class SavedView(Entity):
    """A view. `revision` counts its changes, from 1; `state` is empty in lists."""

    view_id: str
    name: str
    revision: int
    creation_time: int
    last_update_time: int
    experiment_id: str | None = None
    state: dict[str, Any] = field(default_factory=dict)


class SavedViewReply(Entity):
    """One view."""

    view: SavedView


class SavedViewList(Entity):
    """Views without their states, changed last first."""

    views: list[SavedView] = field(default_factory=list)


class CreateSavedView(Operation[SavedViewReply]):
    """Keep a state, of at most 1 MB as JSON, under a new id. Without an experiment it is a view over several.

    A view without a name is an address to share and is left out of lists.
    """

    route = Route("POST", "views", needs=Edit("experiment_id"), base="v1")
    state: dict[str, Any]
    name: ViewName = ""
    experiment_id: ExperimentId | None = None
    idempotency_key: IdempotencyKey | None = None


class ListSavedViews(Operation[SavedViewList]):
    """The named views of an experiment, or (without one) those over several."""

    route = Route("GET", "views", needs=View("experiment_id"), base="v1")
    experiment_id: ExperimentId | None = None
    max_results: Annotated[int, Meta(ge=1, le=1_000)] = 1_000


class GetSavedView(Operation[SavedViewReply]):
    """One view with its state."""

    route = Route("GET", "views/{view_id}", needs=View("view_id"), base="v1")
    view_id: ViewId


class UpdateSavedView(Operation[SavedViewReply]):
    """Change the name or the state of a view.

    `revision` is the one that was seen: when somebody else has changed the view since, the answer is an error with the code
    RESOURCE_CONFLICT (status 409), and nothing is changed.
    """

    route = Route("PATCH", "views/{view_id}", needs=Edit("view_id"), base="v1")
    view_id: ViewId
    revision: Annotated[int, Meta(ge=1)]
    name: ViewName | None = None
    state: dict[str, Any] | None = None


class DeleteSavedView(Operation[Empty]):
    """Delete a view. One that is gone already is no error."""

    route = Route("DELETE", "views/{view_id}", needs=Edit("view_id"), base="v1")
    view_id: ViewId
