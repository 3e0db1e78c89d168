"""Handlers of experiments. Searching them is in `search.py`."""

from __future__ import annotations

import re

import msgspec

from runlore.api.experiments import (
    CreateExperiment,
    CreateExperimentReply,
    DatasetSummary,
    DeleteExperiment,
    DeleteExperimentTag,
    ExperimentReply,
    GetExperiment,
    GetExperimentByName,
    RestoreExperiment,
    SearchDatasets,
    SearchDatasetsReply,
    SetExperimentTag,
    UpdateExperiment,
)
from runlore.blobs.base import ArtifactPath
from runlore.entities import Empty
from runlore.exceptions import AlreadyExists, InvalidParameter, InvalidState, NotFound
from runlore.store.sql.database import Transaction
from runlore.store.sql.experiment_rows import active_experiment, existing_experiment, read_experiments
from runlore.store.sql.handlers import handles
from runlore.store.sql.tags import checked_name

PROXIED = "mlflow-artifacts:/"
_CONTEXT = "mlflow.data.context"
_MOST_DATASETS = 1_000
_OBJECT_STORE = re.compile(r"(s3|gs|az|abfss?|wasbs?|r2)://([\w.@-]+)(?:/(.*))?")


@handles(CreateExperiment)
def create_experiment(db: Transaction, op: CreateExperiment) -> CreateExperimentReply:
    """Ids count up and are never given twice."""
    location = artifact_location(op.artifact_location)
    counted = db.one("UPDATE counter SET next = next + 1 WHERE name = 'experiment' RETURNING next - 1")
    assert counted is not None  # the first migration puts it there
    key: int = counted[0]
    made = db.execute(
        "INSERT INTO experiment (experiment_id, name, artifact_location, creation_time, last_update_time) "
        "VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (key, op.name, location or f"{PROXIED}{key}", db.now, db.now),
    )
    if not made:
        raise AlreadyExists(f"Experiment(name={op.name}) already exists. Choose another name, or use the one that is there.")
    tags = {checked_name(tag.key): tag.value for tag in op.tags}
    if tags:
        rows = [(key, name, value) for name, value in tags.items()]
        db.many("INSERT INTO experiment_tag (experiment_id, key, value) VALUES (?, ?, ?)", rows)
    return CreateExperimentReply(experiment_id=str(key))


@handles(GetExperiment)
def get_experiment(db: Transaction, op: GetExperiment) -> ExperimentReply:
    """Two statements."""
    found = read_experiments(db, [int(op.experiment_id)])
    if not found:
        raise NotFound(f"No Experiment with id={int(op.experiment_id)} exists")
    return ExperimentReply(experiment=found[0])


@handles(GetExperimentByName)
def get_experiment_by_name(db: Transaction, op: GetExperimentByName) -> ExperimentReply:
    """Names of deleted experiments may be used again: the active one wins, then the one deleted last."""
    row = db.one(
        "SELECT experiment_id FROM experiment WHERE name = ? "
        "ORDER BY CASE WHEN deleted_time IS NULL THEN 0 ELSE 1 END, deleted_time DESC, experiment_id DESC LIMIT 1",
        (op.experiment_name,),
    )
    if row is None:
        raise NotFound(f"Could not find experiment with name '{op.experiment_name}'")
    return ExperimentReply(experiment=read_experiments(db, [row[0]])[0])


@handles(UpdateExperiment)
def update_experiment(db: Transaction, op: UpdateExperiment) -> Empty:
    """The artifact location keeps: it does not hold the name."""
    key, _, _, deleted_time = existing_experiment(db, op.experiment_id)
    if deleted_time is not None:
        raise InvalidState("Cannot rename a non-active experiment. Restore it first.")
    _refuse_taken_name(db, op.new_name, key)
    db.execute("UPDATE experiment SET name = ?, last_update_time = ? WHERE experiment_id = ?", (op.new_name, db.now, key))
    return Empty()


@handles(DeleteExperiment)
def delete_experiment(db: Transaction, op: DeleteExperiment) -> Empty:
    """Its active runs get the same deletion time, by which restoring knows them; no run deleted before has that time."""
    key, _, _, deleted_time = existing_experiment(db, op.experiment_id)
    if deleted_time is not None:
        raise NotFound(f"No Experiment with id={key} exists that is active.")
    last = db.one("SELECT MAX(deleted_time) FROM run WHERE experiment_id = ?", (key,))
    time = max(db.now, last[0] + 1) if last and last[0] is not None else db.now
    db.execute("UPDATE experiment SET deleted_time = ?, last_update_time = ? WHERE experiment_id = ?", (time, db.now, key))
    db.execute("UPDATE run SET deleted_time = ? WHERE experiment_id = ? AND deleted_time IS NULL", (time, key))
    return Empty()


@handles(RestoreExperiment)
def restore_experiment(db: Transaction, op: RestoreExperiment) -> Empty:
    """Runs that had been deleted one by one before stay deleted."""
    key, name, _, deleted_time = existing_experiment(db, op.experiment_id)
    if deleted_time is None:
        raise NotFound(f"No Experiment with id={key} exists that is deleted.")
    _refuse_taken_name(db, name, key)
    db.execute("UPDATE experiment SET deleted_time = NULL, last_update_time = ? WHERE experiment_id = ?", (db.now, key))
    db.execute("UPDATE run SET deleted_time = NULL WHERE experiment_id = ? AND deleted_time = ?", (key, deleted_time))
    return Empty()


@handles(SetExperimentTag)
def set_experiment_tag(db: Transaction, op: SetExperimentTag) -> Empty:
    """Deleted experiments are not written to."""
    key, _, _ = active_experiment(db, op.experiment_id)
    db.execute(
        "INSERT INTO experiment_tag (experiment_id, key, value) VALUES (?, ?, ?) "
        "ON CONFLICT (experiment_id, key) DO UPDATE SET value = excluded.value",
        (key, checked_name(op.key), op.value),
    )
    return Empty()


@handles(DeleteExperimentTag)
def delete_experiment_tag(db: Transaction, op: DeleteExperimentTag) -> Empty:
    """Deleted experiments are not written to."""
    key, _, _ = active_experiment(db, op.experiment_id)
    if not db.execute("DELETE FROM experiment_tag WHERE experiment_id = ? AND key = ?", (key, op.key)):
        raise NotFound(f"No tag with name: {op.key} in experiment with id {key}")
    return Empty()


def artifact_location(uri: str) -> str:
    """A location that an experiment may have, without a slash at the end; `""` stays `""`.

    A path on the server's disk or a web address is refused: whoever may name an experiment could have the server read and
    write files or call hosts of their choosing. Raises `InvalidParameter`.
    """
    if not uri:
        return ""
    if uri.startswith(PROXIED) and not uri.startswith(PROXIED + "/"):
        path = ArtifactPath(uri.removeprefix(PROXIED).rstrip("/"))
        return PROXIED + path
    if match := _OBJECT_STORE.fullmatch(uri):
        ArtifactPath((match[3] or "").rstrip("/"))
        return uri.rstrip("/")
    raise InvalidParameter(
        f"Artifact location {uri[:200]!r} is refused: an experiment could make the server read and write any of its files or "
        "call any host. Leave it out, or give mlflow-artifacts:/<path>, s3://, gs://, az://, abfss://, wasbs:// or r2://."
    )


def _refuse_taken_name(db: Transaction, name: str, key: int) -> None:
    taken = db.one("SELECT experiment_id FROM experiment WHERE name = ? AND deleted_time IS NULL", (name,))
    if taken and taken[0] != key:
        raise AlreadyExists(f"Experiment(name={name}) already exists with id {taken[0]}. Rename or delete that one first.")


@handles(SearchDatasets)
def search_datasets(db: Transaction, op: SearchDatasets) -> SearchDatasetsReply:
    """Runs that read one dataset in one way are one row before they leave the database."""
    condition, parameter = db.among("r.experiment_id", [int(experiment_id) for experiment_id in op.experiment_ids])
    rows = db.all(
        "SELECT DISTINCT r.experiment_id, d.name, d.digest, d.tags FROM run_dataset d JOIN run r ON r.run_key = d.run_key "
        f"WHERE r.deleted_time IS NULL AND {condition}",
        (parameter,),
    )
    found = {(str(row[0]), *row[1:3], msgspec.json.decode(row[3]).get(_CONTEXT)) for row in rows}
    ordered = sorted(found, key=lambda row: (int(row[0]), *row[1:3], row[3] or ""))
    return SearchDatasetsReply(
        dataset_summaries=[
            DatasetSummary(experiment_id=key, name=name, digest=digest, context=context)
            for key, name, digest, context in ordered[:_MOST_DATASETS]
        ]
    )
