"""Handlers of operations on logged models, except their search (`search.py`).

A deleted model is in the trash: nothing finds it, and deleting it again is harmless.
"""

from __future__ import annotations

import math
import uuid
from collections import defaultdict
from collections.abc import Iterable, Sequence

from runlore.api.logged_models import (
    CreateLoggedModel,
    DeleteLoggedModel,
    DeleteLoggedModelTag,
    FinalizeLoggedModel,
    GetLoggedModel,
    LoggedModelReply,
    LogLoggedModelParams,
    SetLoggedModelTags,
    TaggedModelReply,
)
from runlore.entities import (
    Empty,
    LoggedModel,
    LoggedModelData,
    LoggedModelInfo,
    LoggedModelParameter,
    LoggedModelRegistration,
    LoggedModelStatus,
    LoggedModelTag,
    Metric,
)
from runlore.exceptions import InvalidParameter, NotFound
from runlore.store.sql.database import Row, Transaction
from runlore.store.sql.experiment_rows import active_experiment
from runlore.store.sql.handlers import handles
from runlore.store.sql.run_rows import run_key
from runlore.store.sql.tags import checked_params, checked_tags

_FORBIDDEN_IN_NAMES = "/:.%\"'"
_COLUMNS = (
    "experiment_id, name, creation_time, last_update_time, artifact_uri, status, creator_id, model_type, source_run_id,"
    " status_message"
)


@handles(CreateLoggedModel)
def create_logged_model(db: Transaction, op: CreateLoggedModel) -> LoggedModelReply:
    """Insert the model as PENDING, with a place for its files below its experiment's."""
    if not op.name or any(letter in op.name for letter in _FORBIDDEN_IN_NAMES):
        raise InvalidParameter(
            f"Invalid model name ({op.name!r}) provided. Model name must be a non-empty string and cannot contain the "
            f"following characters: {' '.join(_FORBIDDEN_IN_NAMES)}"
        )
    experiment_id, _, location = active_experiment(db, op.experiment_id)
    model_id = f"m-{uuid.uuid4().hex}"
    run_id = op.source_run_id.lower() if op.source_run_id else None
    tags = checked_tags(op.tags)
    db.execute(
        "INSERT INTO logged_model (model_id, experiment_id, name, artifact_uri, status, model_type, source_run_id, creator_id,"
        " creation_time, last_update_time) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            model_id,
            experiment_id,
            op.name,
            f"{location.rstrip('/')}/models/{model_id}/artifacts",
            LoggedModelStatus.PENDING,
            op.model_type,
            run_id,
            user_of_run(db, run_id) or tags.get("mlflow.user"),
            db.now,
            db.now,
        ),
    )
    _add_params(db, model_id, checked_params(op.params))
    _set_tags(db, model_id, tags)
    return LoggedModelReply(model=_require(db, model_id))


@handles(GetLoggedModel)
def get_logged_model(db: Transaction, op: GetLoggedModel) -> LoggedModelReply:
    """One model that is not deleted."""
    return LoggedModelReply(model=_require(db, op.model_id))


@handles(FinalizeLoggedModel)
def finalize_logged_model(db: Transaction, op: FinalizeLoggedModel) -> LoggedModelReply:
    """Set the status; the same status again changes nothing."""
    status = op.status.removeprefix(LoggedModelStatus.PREFIX)
    db.execute(
        "UPDATE logged_model SET status = ?, last_update_time = ? WHERE model_id = ? AND deleted_time IS NULL AND status <> ?",
        (status, db.now, op.model_id, status),
    )
    return LoggedModelReply(model=_require(db, op.model_id))


@handles(DeleteLoggedModel)
def delete_logged_model(db: Transaction, op: DeleteLoggedModel) -> Empty:
    """Move to the trash."""
    if not db.one("SELECT 1 FROM logged_model WHERE model_id = ?", (op.model_id,)):
        raise _not_found(op.model_id)
    db.execute(
        "UPDATE logged_model SET deleted_time = ?, last_update_time = ? WHERE model_id = ? AND deleted_time IS NULL",
        (db.now, db.now, op.model_id),
    )
    return Empty()


@handles(LogLoggedModelParams)
def log_logged_model_params(db: Transaction, op: LogLoggedModelParams) -> Empty:
    """Add params; one that is there must have the same value."""
    _require_live(db, op.model_id)
    _add_params(db, op.model_id, checked_params(op.params))
    return Empty()


@handles(SetLoggedModelTags)
def set_logged_model_tags(db: Transaction, op: SetLoggedModelTags) -> TaggedModelReply:
    """Set tags; of a key that comes twice the last value stays."""
    _require_live(db, op.model_id)
    _set_tags(db, op.model_id, checked_tags(op.tags))
    return TaggedModelReply(model=_require(db, op.model_id))


@handles(DeleteLoggedModelTag)
def delete_logged_model_tag(db: Transaction, op: DeleteLoggedModelTag) -> Empty:
    """Remove one tag, which must exist."""
    _require_live(db, op.model_id)
    if not db.execute("DELETE FROM logged_model_tag WHERE model_id = ? AND key = ?", (op.model_id, op.tag_key)):
        raise NotFound(f"No tag with key {op.tag_key!r} found for model with ID {op.model_id!r}.")
    return Empty()


def read_logged_models(db: Transaction, model_ids: Sequence[str]) -> list[LoggedModel]:
    """The models of these ids that exist, deleted ones too, in the order of the ids, in five statements."""
    if not model_ids:
        return []
    condition, parameter = db.among("model_id", model_ids)

    def rows(columns: str, table: str, order: str = "key") -> dict[str, list[Row]]:
        found: dict[str, list[Row]] = defaultdict(list)
        sql = f"SELECT model_id, {columns} FROM {table} WHERE {condition} ORDER BY model_id, {order}"
        for row in db.all(sql, (parameter,)):
            found[row[0]].append(row)
        return found

    infos = rows(_COLUMNS, "logged_model", "name")
    tags, params = rows("key, value", "logged_model_tag"), rows("key, value", "logged_model_param")
    metrics = rows(
        "key, value, time, step, dataset_name, dataset_digest, run_id",
        "model_metric JOIN run ON run.run_key = model_metric.run_key",
        "key, time, run_id",
    )
    versions = rows("name, version", "model_version", "name, version")
    return [
        LoggedModel(
            info=_info(infos[model_id][0], tags.get(model_id, ()), versions.get(model_id, ())),
            data=LoggedModelData(
                params=[LoggedModelParameter(key=key, value=value) for _, key, value in params.get(model_id, ())],
                metrics=[_metric(row) for row in metrics.get(model_id, ())],
            ),
        )
        for model_id in model_ids
        if model_id in infos
    ]


def _info(row: Row, tags: Iterable[Row], versions: Iterable[Row]) -> LoggedModelInfo:
    return LoggedModelInfo(
        model_id=row[0],
        experiment_id=str(row[1]),
        name=row[2],
        creation_timestamp_ms=row[3],
        last_updated_timestamp_ms=row[4],
        artifact_uri=row[5],
        status=LoggedModelStatus.PREFIX + row[6],
        creator_id=row[7] if row[7] and row[7].isdecimal() else None,  # an int64 on MLflow's wire: its clients fail on a name
        model_type=row[8],
        source_run_id=row[9],
        status_message=row[10],
        tag_list=[LoggedModelTag(key=key, value=value) for _, key, value in tags],
        registrations=[LoggedModelRegistration(name=name, version=str(version)) for _, name, version in versions],
    )


def _metric(row: Row) -> Metric:
    model_id, key, value, time, step, dataset_name, dataset_digest, run_id = row
    return Metric(
        key=key,
        value=math.nan if value is None else value,
        timestamp=time,
        step=step,
        dataset_name=dataset_name or None,
        dataset_digest=dataset_digest or None,
        model_id=model_id,
        run_id=run_id,
    )


def user_of_run(db: Transaction, run_id: str | None) -> str | None:
    """Who made a run, None when there is no such run here."""
    row = run_id and db.one("SELECT user_id FROM run WHERE run_key = ? AND run_id = ?", (run_key(run_id), run_id))
    return row[0] or None if row else None


def _add_params(db: Transaction, model_id: str, params: dict[str, str]) -> None:
    if not params:
        return
    have: dict[str, str] = dict(db.all("SELECT key, value FROM logged_model_param WHERE model_id = ?", (model_id,)))
    for key, value in params.items():
        if have.get(key, value) != value:
            raise InvalidParameter(
                f"Changing param values is not allowed. Param with key='{key}' was already logged with value='{have[key]}' for "
                f"model '{model_id}'. Attempted logging new value '{value}'."
            )
    db.many(
        "INSERT INTO logged_model_param (model_id, key, value) VALUES (?, ?, ?) ON CONFLICT (model_id, key) DO NOTHING",
        [(model_id, key, value) for key, value in params.items()],
    )


def _set_tags(db: Transaction, model_id: str, tags: dict[str, str]) -> None:
    if tags:
        db.many(
            "INSERT INTO logged_model_tag (model_id, key, value) VALUES (?, ?, ?)"
            " ON CONFLICT (model_id, key) DO UPDATE SET value = excluded.value",
            [(model_id, key, value) for key, value in tags.items()],
        )


def _require(db: Transaction, model_id: str) -> LoggedModel:
    _require_live(db, model_id)
    return read_logged_models(db, [model_id])[0]


def _require_live(db: Transaction, model_id: str) -> None:
    if not db.one("SELECT 1 FROM logged_model WHERE model_id = ? AND deleted_time IS NULL", (model_id,)):
        raise _not_found(model_id)


def _not_found(model_id: str) -> NotFound:
    return NotFound(f"Logged model with ID '{model_id}' not found.")
