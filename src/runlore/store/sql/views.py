"""Handlers of saved views."""

from __future__ import annotations

import secrets
import string

import msgspec

from runlore.api.views import (
    MAX_STATE,
    CreateSavedView,
    DeleteSavedView,
    GetSavedView,
    ListSavedViews,
    SavedView,
    SavedViewList,
    SavedViewReply,
    UpdateSavedView,
)
from runlore.entities import Empty
from runlore.exceptions import InvalidParameter, NotFound, RunloreError
from runlore.store.sql.database import Row, Transaction
from runlore.store.sql.experiment_rows import active_experiment, existing_experiment
from runlore.store.sql.handlers import handles

_LETTERS = string.ascii_letters + string.digits
_ID_LENGTH = 10
_INFO = "view_id, name, revision, creation_time, last_update_time, experiment_id"


@handles(CreateSavedView)
def create_saved_view(db: Transaction, op: CreateSavedView) -> SavedViewReply:
    """Ids are random: 8·10¹⁷ of them, so that none is found by trying and none is met twice."""
    experiment = None if op.experiment_id is None else active_experiment(db, op.experiment_id)[0]
    state = _encoded(op.state)
    while True:
        view_id = "".join(secrets.choice(_LETTERS) for _ in range(_ID_LENGTH))
        made = db.execute(
            "INSERT INTO saved_view (view_id, experiment_id, name, state, revision, creation_time, last_update_time) "
            "VALUES (?, ?, ?, ?, 1, ?, ?) ON CONFLICT DO NOTHING",
            (view_id, experiment, op.name, state, db.now, db.now),
        )
        if made:
            return _reply(db, view_id)


@handles(ListSavedViews)
def list_saved_views(db: Transaction, op: ListSavedViews) -> SavedViewList:
    """Views of one experiment, or those of none."""
    where, values = "experiment_id IS NULL", []
    if op.experiment_id is not None:
        where, values = "experiment_id = ?", [existing_experiment(db, op.experiment_id)[0]]
    rows = db.all(
        f"SELECT {_INFO} FROM saved_view WHERE {where} AND name <> '' ORDER BY last_update_time DESC, view_id LIMIT ?",
        (*values, op.max_results),
    )
    return SavedViewList(views=[_view(row) for row in rows])


@handles(GetSavedView)
def get_saved_view(db: Transaction, op: GetSavedView) -> SavedViewReply:
    """One view."""
    return _reply(db, op.view_id)


@handles(UpdateSavedView)
def update_saved_view(db: Transaction, op: UpdateSavedView) -> SavedViewReply:
    """The revision is compared in the statement that changes it. A change that was made already is answered, not refused: it
    is this request, sent again."""
    before = _reply(db, op.view_id).view
    name = before.name if op.name is None else op.name
    state = before.state if op.state is None else op.state
    if before.revision == op.revision + 1 and (before.name, before.state) == (name, state):
        return SavedViewReply(view=before)
    changed = db.execute(
        "UPDATE saved_view SET name = ?, state = ?, revision = revision + 1, last_update_time = ? "
        "WHERE view_id = ? AND revision = ?",
        (name, _encoded(state), db.now, op.view_id, op.revision),
    )
    if not changed:
        raise RunloreError(
            f"The view {op.view_id} has revision {before.revision}; the change was made to revision {op.revision}. Somebody "
            "else changed it meanwhile: read it again, or save yours as a new view.",
            "RESOURCE_CONFLICT",
        )
    return _reply(db, op.view_id)


@handles(DeleteSavedView)
def delete_saved_view(db: Transaction, op: DeleteSavedView) -> Empty:
    """A view that is gone is gone."""
    db.execute("DELETE FROM saved_view WHERE view_id = ?", (op.view_id,))
    return Empty()


def _encoded(state: dict[str, object]) -> str:
    raw = msgspec.json.encode(state)
    if len(raw) > MAX_STATE:
        raise InvalidParameter(f"The state of the view has {len(raw):,} bytes as JSON; at most {MAX_STATE:,} are kept.")
    return raw.decode()


def _reply(db: Transaction, view_id: str) -> SavedViewReply:
    row = db.one(f"SELECT {_INFO}, state FROM saved_view WHERE view_id = ?", (view_id,))
    if row is None:
        raise NotFound(f"There is no view {view_id!r}. It may have been deleted.")
    return SavedViewReply(view=_view(row))


def _view(row: Row) -> SavedView:
    view_id, name, revision, creation_time, last_update_time, experiment, *state = row
    return SavedView(
        view_id=view_id,
        name=name,
        revision=revision,
        creation_time=creation_time,
        last_update_time=last_update_time,
        experiment_id=None if experiment is None else str(experiment),
        state=msgspec.json.decode(state[0]) if state else {},
    )
