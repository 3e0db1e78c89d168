"""Experiments as rows: looking them up, checking that they are active, reading many at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from runlore.entities import Experiment, ExperimentTag, LifecycleStage
from runlore.exceptions import InvalidParameter, NotFound
from runlore.store.sql.database import Row, Transaction

_COLUMNS = "experiment_id, name, artifact_location, deleted_time, creation_time, last_update_time"


def existing_experiment(db: Transaction, experiment_id: str) -> Row:
    """(key, name, artifact location, deleted time or None) of an experiment. Raises `NotFound`."""
    row = db.one(
        "SELECT experiment_id, name, artifact_location, deleted_time FROM experiment WHERE experiment_id = ?",
        (int(experiment_id),),
    )
    if row is None:
        raise NotFound(f"No Experiment with id={int(experiment_id)} exists")
    return row


def active_experiment(db: Transaction, experiment_id: str) -> Row:
    """(key, name, artifact location) of an experiment that is not deleted. Raises `NotFound`, `InvalidParameter`."""
    key, name, location, deleted_time = existing_experiment(db, experiment_id)
    if deleted_time is not None:
        raise InvalidParameter(
            f"The experiment {key} must be in the 'active' state. Current state is deleted. Restore it to write to it."
        )
    return key, name, location


def read_experiments(db: Transaction, keys: Sequence[int]) -> list[Experiment]:
    """Experiments with their tags, in the order of `keys`, in two statements. Keys that do not exist are left out."""
    if not keys:
        return []
    condition, parameter = db.among("experiment_id", keys)
    rows = {row[0]: row for row in db.all(f"SELECT {_COLUMNS} FROM experiment WHERE {condition}", (parameter,))}
    tags: dict[int, list[ExperimentTag]] = {}
    sql = f"SELECT experiment_id, key, value FROM experiment_tag WHERE {condition} ORDER BY experiment_id, key"
    for key, name, value in db.all(sql, (parameter,)):
        tags.setdefault(key, []).append(ExperimentTag(key=name, value=value))
    return [_experiment(rows[key], tags.get(key, ())) for key in keys if key in rows]


def _experiment(row: Row, tags: Iterable[ExperimentTag]) -> Experiment:
    key, name, location, deleted_time, creation_time, last_update_time = row
    return Experiment(
        experiment_id=str(key),
        name=name,
        artifact_location=location,
        lifecycle_stage=LifecycleStage.ACTIVE if deleted_time is None else LifecycleStage.DELETED,
        creation_time=creation_time,
        last_update_time=last_update_time,
        tag_list=list(tags),
    )
