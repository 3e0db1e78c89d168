"""The trash as operations: list, restore, move runs. Deleting for good is in `purge.py`, its files in `released.py`."""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import Any

from runlore.api.trash import GetTrash, Kind, MovedRuns, MoveRuns, RestoreLoggedModel, Trash, TrashItem
from runlore.entities import Empty
from runlore.exceptions import InvalidParameter, InvalidState, NotFound
from runlore.store.sql.database import Row, Transaction
from runlore.store.sql.experiment_rows import active_experiment
from runlore.store.sql.handlers import handles
from runlore.store.sql.released import directory_of, versions_in
from runlore.store.sql.run_rows import active_run, run_key

MOST_MOVED = 10_000
"""Runs that one `MoveRuns` takes along, children included."""

_RUNS = (
    "SELECT r.run_id AS id, r.name, r.experiment_id, r.deleted_time AS time, r.artifact_uri, 0 AS runs FROM run r "
    "JOIN experiment e ON e.experiment_id = r.experiment_id WHERE r.deleted_time >= 0"
)
_MODELS = (
    "SELECT m.model_id AS id, m.name, m.experiment_id, COALESCE(m.deleted_time, e.deleted_time) AS time, m.artifact_uri, "
    "0 AS runs FROM logged_model m JOIN experiment e ON e.experiment_id = m.experiment_id "
    "WHERE COALESCE(m.deleted_time, e.deleted_time) >= 0"
)
_EXPERIMENTS = (
    "SELECT e.experiment_id AS id, e.name, e.experiment_id, e.deleted_time AS time, NULL AS artifact_uri, "
    "(SELECT COUNT(*) FROM run r WHERE r.experiment_id = e.experiment_id) AS runs FROM experiment e WHERE e.deleted_time >= 0"
)
_BY_KIND: dict[Kind, str] = {"run": _RUNS, "logged_model": _MODELS, "experiment": _EXPERIMENTS}


@handles(GetTrash)
def get_trash(db: Transaction, op: GetTrash) -> Trash:
    """A page token is the place of the last item: pages fit together while things come and go."""
    limit = db.now - op.older_than
    inner = _BY_KIND[op.kind]
    if op.kind != "experiment" and not op.within_experiments:
        inner += " AND e.deleted_time IS NULL"
    where, values = "time <= ?", [limit]
    if op.page_token:
        time, last = _decode_token(op)
        where += " AND (time < ? OR (time = ? AND id > ?))"
        values += [time, time, last]
    rows = db.all(f"SELECT * FROM ({inner}) t WHERE {where} ORDER BY time DESC, id LIMIT ?", (*values, op.max_results + 1))
    page = rows[: op.max_results]
    return Trash(
        items=[_item(db, op.kind, row) for row in page],
        experiments=_count(db, _EXPERIMENTS, limit),
        runs=_count(db, _RUNS, limit),
        logged_models=_count(db, _MODELS, limit),
        next_page_token=_encode_token(page[-1]) if len(rows) > len(page) else None,
    )


def _item(db: Transaction, kind: Kind, row: Row) -> TrashItem:
    key, name, experiment, time, artifact_uri, runs = row
    return TrashItem(
        kind=kind,
        id=str(key),
        name=name,
        experiment_id=str(experiment),
        deleted_time=time,
        artifact_uri=artifact_uri,
        runs=runs,
        pinned_by=versions_in(db, directory_of(artifact_uri)) if artifact_uri else [],
    )


def _count(db: Transaction, sql: str, limit: int) -> int:
    row = db.one(f"SELECT COUNT(*) FROM ({sql}) t WHERE time <= ?", (limit,))
    return int(row[0]) if row else 0


def _encode_token(row: Row) -> str:
    return b64encode(f"trash:{row[3]}:{row[0]}".encode()).decode()


def _decode_token(op: GetTrash) -> tuple[int, Any]:
    try:
        word, time, last = b64decode(op.page_token, validate=True).decode("ascii").split(":")
        if word == "trash" and len(time) < 19:
            return int(time), int(last[:18]) if op.kind == "experiment" else last
    except ValueError:
        pass
    raise InvalidParameter(f"{op.page_token!r} is not a page token of the trash. Pass the next_page_token of the last page.")


@handles(RestoreLoggedModel)
def restore_logged_model(db: Transaction, op: RestoreLoggedModel) -> Empty:
    """Restoring an active model changes nothing."""
    row = db.one("SELECT deleted_time FROM logged_model WHERE model_id = ?", (op.model_id,))
    if row is None or (row[0] is not None and row[0] < 0):
        raise NotFound(f"Logged model with ID '{op.model_id}' not found.")
    db.execute(
        "UPDATE logged_model SET deleted_time = NULL, last_update_time = ? WHERE model_id = ? AND deleted_time >= 0",
        (db.now, op.model_id),
    )
    return Empty()


@handles(MoveRuns)
def move_runs(db: Transaction, op: MoveRuns) -> MovedRuns:
    """Artifact URIs hold the experiment in which a run was made, and keep: only the rows say where a run belongs."""
    experiment, _, _ = active_experiment(db, op.to_experiment_id)
    keys = {run_id.lower(): active_run(db, run_id) for run_id in sorted(op.run_ids)}
    if op.children:
        _add_children(db, keys)
    condition, parameter = db.among("run_key", list(keys.values()))
    here = f"{condition} AND experiment_id <> ?"
    moved = [run_id for (run_id,) in db.all(f"SELECT run_id FROM run WHERE {here} ORDER BY run_id", (parameter, experiment))]
    if moved:
        db.execute(f"UPDATE run SET experiment_id = ? WHERE {here}", (experiment, parameter, experiment))
        condition, parameter = db.among("source_run_id", moved)
        db.execute(f"UPDATE logged_model SET experiment_id = ? WHERE {condition}", (experiment, parameter))
    return MovedRuns(run_ids=moved)


def _add_children(db: Transaction, keys: dict[str, int]) -> None:
    """Add the active runs below these, generation by generation."""
    parents = list(keys)
    while parents:
        condition, parameter = db.among("substr(t.value, 1, 32)", parents)
        found = db.all(
            "SELECT r.run_id FROM run_tag t JOIN run r ON r.run_key = t.run_key "
            f"WHERE t.key = 'mlflow.parentRunId' AND {condition} AND r.deleted_time IS NULL ORDER BY r.run_id",
            (parameter,),
        )
        parents = [run_id for (run_id,) in found if run_id not in keys]
        keys.update({run_id: run_key(run_id) for run_id in parents})
        if len(keys) > MOST_MOVED:
            raise InvalidState(f"These runs have more than {MOST_MOVED} children. Move them in smaller groups.")
