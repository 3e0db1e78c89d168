"""Handlers of runs, their params and tags. Metrics are in `metrics.py`, searching in `search.py`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import uuid4

import msgspec

from runlore.api.runs import (
    CreateRun,
    DeleteRun,
    DeleteTag,
    GetRun,
    LogBatch,
    LogModel,
    LogParam,
    ParamEntry,
    RestoreRun,
    RunReply,
    SetTag,
    UpdateRun,
    UpdateRunReply,
)
from runlore.entities import Empty, RunStatus
from runlore.exceptions import InvalidParameter, NotFound
from runlore.store.sql.alerts import tell_of_end
from runlore.store.sql.database import Row, Transaction
from runlore.store.sql.experiment_rows import active_experiment
from runlore.store.sql.handlers import handles
from runlore.store.sql.metrics import append_points, log_points
from runlore.store.sql.params import put_params, refuse_duplicates
from runlore.store.sql.run_names import random_name
from runlore.store.sql.run_rows import active_run, existing_run, new_run, read_info, read_runs, run_key
from runlore.store.sql.tags import MAX_TAG_VALUE, checked_name

NAME_TAG = "mlflow.runName"
USER_TAG = "mlflow.user"
_MODEL_HISTORY = "mlflow.log-model.history"
_MODEL_FIELDS = ("run_id", "artifact_path", "utc_time_created", "model_uuid", "flavors")


@handles(CreateRun, short=True)
def create_run(db: Transaction, op: CreateRun) -> RunReply:
    """With `client_run_id`, a run that is already there is the answer."""
    experiment, _, location = active_experiment(db, op.experiment_id)
    if op.client_run_id and (same := _created_before(db, op.client_run_id.lower(), experiment)):
        return same
    tags = {tag.key: tag.value for tag in op.tags}
    name = _name(op.run_name, tags.get(NAME_TAG, ""))
    tags[NAME_TAG] = name
    row = _insert_run(db, op, (experiment, location), name, op.user_id or tags.get(USER_TAG, ""))
    if row is None:
        return _made_meanwhile(db, op, experiment)
    _write_tags(db, row[0], {checked_name(key): value for key, value in tags.items()})
    return RunReply(run=new_run(row, tags))


def _insert_run(db: Transaction, op: CreateRun, experiment: tuple[int, str], name: str, user_id: str) -> Row | None:
    """The `INFO_COLUMNS` of the new run; None when the id that the client chose is taken."""
    while True:
        run_id = (op.client_run_id or uuid4().hex).lower()
        key = run_key(run_id)
        start = db.now if op.start_time is None else op.start_time
        artifact_uri = f"{experiment[1]}/{run_id}/artifacts"
        made = db.execute(
            "INSERT INTO run (run_key, run_id, experiment_id, name, user_id, status, start_time, artifact_uri, last_activity) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (key, run_id, experiment[0], name, user_id, RunStatus.RUNNING, start, artifact_uri, db.now),
        )
        if made:
            return key, run_id, experiment[0], name, user_id, RunStatus.RUNNING, start, None, artifact_uri, None
        if op.client_run_id:
            return None


def _made_meanwhile(db: Transaction, op: CreateRun, experiment: int) -> RunReply:
    """The same request reached another server at the same time; or, once in 2^63 times, another run has the key."""
    run_id = (op.client_run_id or "").lower()
    if same := _created_before(db, run_id, experiment):
        return same
    raise InvalidParameter(f"The run id {run_id} can not be used: another run has the same first 63 bits. Make another.")


def _created_before(db: Transaction, run_id: str, experiment: int) -> RunReply | None:
    row = db.one("SELECT run_key, experiment_id FROM run WHERE run_key = ? AND run_id = ?", (run_key(run_id), run_id))
    if row is None:
        return None
    if row[1] != experiment:
        raise InvalidParameter(f"The run {run_id} exists already, in experiment {row[1]}, not in {experiment}.")
    return RunReply(run=read_runs(db, [row[0]])[0])


def _name(argument: str, tag: str) -> str:
    if argument and tag and argument != tag:
        raise InvalidParameter(
            "Both 'run_name' argument and 'mlflow.runName' tag are specified, but with different values "
            f"(run_name='{argument}', mlflow.runName='{tag}'). Give one of them."
        )
    return argument or tag or random_name()


@handles(GetRun)
def get_run(db: Transaction, op: GetRun) -> RunReply:
    """Seven statements, whatever the run holds."""
    return RunReply(run=read_runs(db, [existing_run(db, op.run_id)])[0])


@handles(UpdateRun, short=True)
def update_run(db: Transaction, op: UpdateRun) -> UpdateRunReply:
    """A run that goes on has no end: RUNNING and SCHEDULED forget the end time."""
    key, ended = active_run(db, op.run_id), False
    if op.status is not None:
        ended = db.execute("UPDATE run SET status = ? WHERE run_key = ? AND status <> ?", (op.status, key, op.status)) > 0
        db.hints.add(key)  # a run that has ended is folded early
    if op.end_time is not None or (op.status is not None and not RunStatus.is_terminated(op.status)):
        db.execute("UPDATE run SET end_time = ? WHERE run_key = ?", (op.end_time, key))
    if op.run_name:
        put_tags(db, key, [(NAME_TAG, op.run_name)])
    if ended and op.status is not None:
        tell_of_end(db, key, op.status)
    return UpdateRunReply(run_info=read_info(db, key))


@handles(DeleteRun)
def delete_run(db: Transaction, op: DeleteRun) -> Empty:
    """Deleting a deleted run keeps its first deletion time."""
    db.execute(
        "UPDATE run SET deleted_time = ? WHERE run_key = ? AND deleted_time IS NULL", (db.now, existing_run(db, op.run_id))
    )
    return Empty()


@handles(RestoreRun)
def restore_run(db: Transaction, op: RestoreRun) -> Empty:
    """Restoring an active run changes nothing."""
    db.execute("UPDATE run SET deleted_time = NULL WHERE run_key = ?", (existing_run(db, op.run_id),))
    return Empty()


@handles(LogParam, short=True)
def log_param(db: Transaction, op: LogParam) -> Empty:
    """See `put_params`."""
    put_params(db, active_run(db, op.run_id), op.run_id, [ParamEntry(key=op.key, value=op.value, rest=op.rest)])
    return Empty()


@handles(SetTag, short=True)
def set_tag(db: Transaction, op: SetTag) -> Empty:
    """See `put_tags`."""
    put_tags(db, active_run(db, op.run_id), [(op.key, op.value)])
    return Empty()


@handles(DeleteTag, short=True)
def delete_tag(db: Transaction, op: DeleteTag) -> Empty:
    """Without its tag `mlflow.runName` a run keeps its name."""
    key = active_run(db, op.run_id)
    if not db.execute("DELETE FROM run_tag WHERE run_key = ? AND key = ?", (key, op.key)):
        raise NotFound(f"No tag with name: {op.key} in run with id {op.run_id}")
    return Empty()


@handles(LogModel)
def log_model(db: Transaction, op: LogModel) -> Empty:
    """Append to the list in the tag, once for each model, and drop the oldest ones that do not fit."""
    try:
        model = msgspec.json.decode(op.model_json, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise InvalidParameter(f"Invalid value for model_json: it is not a JSON object ({error}).") from None
    if missing := [name for name in ("artifact_path", "flavors", "utc_time_created", "run_id") if name not in model]:
        raise InvalidParameter(f"Invalid value for model_json: {', '.join(missing)} missing.")
    key = active_run(db, op.run_id)
    row = db.one("SELECT value FROM run_tag WHERE run_key = ? AND key = ?", (key, _MODEL_HISTORY))
    history = _models(row[0]) if row else []
    entry = {name: model[name] for name in _MODEL_FIELDS if name in model}
    if entry in history:
        return Empty()
    history.append(entry)
    while len(text := msgspec.json.encode(history).decode()) > MAX_TAG_VALUE:
        history.pop(0)
    put_tags(db, key, [(_MODEL_HISTORY, text)])
    return Empty()


def _models(text: str) -> list[Any]:
    """The list in the tag; a user may have put anything there."""
    try:
        return msgspec.json.decode(text, type=list[Any])
    except msgspec.DecodeError:
        return []


@handles(LogBatch, short=True)
def log_batch(db: Transaction, op: LogBatch) -> Empty:
    """All or nothing: an error anywhere undoes the whole operation."""
    if op.metrics and not op.params and not op.tags:
        log_points(db, op.run_id, op.metrics)
        return Empty()
    key = active_run(db, op.run_id)
    if op.params:
        refuse_duplicates(op.params)
        put_params(db, key, op.run_id, op.params)
    if op.metrics:
        append_points(db, key, op.metrics)
    if op.tags:
        put_tags(db, key, ((tag.key, tag.value) for tag in op.tags))
    return Empty()


def put_tags(db: Transaction, key: int, tags: Iterable[tuple[str, str]]) -> None:
    """Set tags, the last value of a key winning. A run's name and its tag `mlflow.runName` are the same thing; an empty
    name is ignored."""
    rows = {checked_name(name): value for name, value in tags}
    if NAME_TAG in rows:
        if rows[NAME_TAG]:
            db.execute("UPDATE run SET name = ? WHERE run_key = ?", (rows[NAME_TAG], key))
        else:
            del rows[NAME_TAG]
    _write_tags(db, key, rows)


def _write_tags(db: Transaction, key: int, rows: dict[str, str]) -> None:
    if rows:
        db.many(
            "INSERT INTO run_tag (run_key, key, value) VALUES (?, ?, ?) "
            "ON CONFLICT (run_key, key) DO UPDATE SET value = excluded.value",
            [(key, name, value) for name, value in rows.items()],
        )
