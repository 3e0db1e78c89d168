"""Runs as rows: keys, the check that a run is active, reading many runs at once."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from runlore.entities import (
    Dataset,
    DatasetInput,
    InputTag,
    LifecycleStage,
    LoggedModelInput,
    LoggedModelOutput,
    Metric,
    Param,
    Run,
    RunData,
    RunInfo,
    RunInputs,
    RunOutputs,
    RunTag,
)
from runlore.exceptions import InvalidParameter, NotFound
from runlore.store.sql.database import Row, Transaction

ACTIVITY_MILLIS = 5_000
"""`run.last_activity` may lag this much behind: not every write of a run has to write it."""

PURGED = -1
"""`deleted_time` of a run or logged model that is being purged: parts of it are gone, it can not be restored."""

INFO_COLUMNS = "run_key, run_id, experiment_id, name, user_id, status, start_time, end_time, artifact_uri, deleted_time"
_LOOKUP = "SELECT run_key, deleted_time, last_activity, shape IS NULL FROM run WHERE run_key = ? AND run_id = ?"


def run_key(run_id: str) -> int:
    """The 63-bit number that a run's rows carry. Two runs could share it, so every look-up checks the run id too."""
    return int(run_id[:16], 16) >> 1


def existing_run(db: Transaction, run_id: str) -> int:
    """The key of a run, deleted or not. Raises `NotFound`."""
    return int(_find(db, run_id)[0])


def active_run(db: Transaction, run_id: str) -> int:
    """The key of a run that may be written to. Call it first in every write: it also notes the activity, forgets the run's
    shape (`shapes.py`), and on PostgreSQL it makes writers of one run wait for each other until the end of the transaction.

    Raises `NotFound`, and `InvalidParameter` when the run is deleted.
    """
    key, deleted_time, last_activity, shapeless = _find(db, run_id, db.for_update)
    if deleted_time is not None:
        raise InvalidParameter(
            f"The run {run_id} must be in the 'active' state. Current state is deleted. Restore it to write to it."
        )
    if not shapeless or db.now - last_activity > ACTIVITY_MILLIS:
        db.execute("UPDATE run SET last_activity = ?, shape = NULL WHERE run_key = ?", (db.now, key))
    return int(key)


def _find(db: Transaction, run_id: str, for_update: str = "") -> Row:
    run_id = run_id.lower()
    row = db.one(_LOOKUP + for_update, (run_key(run_id), run_id))
    if row is None or row[1] == PURGED:
        raise NotFound(f"Run with id={run_id} not found")
    return row


def read_info(db: Transaction, key: int) -> RunInfo:
    """The info of one run that exists."""
    row = db.one(f"SELECT {INFO_COLUMNS} FROM run WHERE run_key = ?", (key,))
    assert row is not None
    return _info(row)


def read_runs(db: Transaction, run_keys: Sequence[int]) -> list[Run]:
    """Whole runs in the order of `run_keys`, in six statements however many there are. Unknown keys are left out."""
    if not run_keys:
        return []
    condition, parameter = db.among("run_key", run_keys)

    def rows(columns: str, table: str, order: str = "key") -> dict[int, list[Row]]:
        found: dict[int, list[Row]] = {}
        for row in db.all(f"SELECT run_key, {columns} FROM {table} WHERE {condition} ORDER BY run_key, {order}", (parameter,)):
            found.setdefault(row[0], []).append(row)
        return found

    infos = {row[0]: row for row in db.all(f"SELECT {INFO_COLUMNS} FROM run WHERE {condition}", (parameter,))}
    metrics = rows("key, last_value, last_time, last_step, dataset_name, dataset_digest, model_id", "metric")
    params, tags = rows("key, value", "param"), rows("key, value", "run_tag")
    datasets = rows("name, digest, source_type, source, schema, profile, tags", "run_dataset", "position")
    models = rows("direction, model_id, step", "run_model", "position")
    return [
        Run(
            info=_info(infos[key]),
            data=RunData(
                metric_list=[_metric(row) for row in metrics.get(key, ())],
                param_list=[Param(key=name, value=value) for _, name, value in params.get(key, ())],
                tag_list=[RunTag(key=name, value=value) for _, name, value in tags.get(key, ())],
            ),
            inputs=RunInputs(
                dataset_inputs=[_dataset_input(row) for row in datasets.get(key, ())],
                model_inputs=[LoggedModelInput(model_id=row[2]) for row in models.get(key, ()) if row[1] == "input"],
            ),
            outputs=RunOutputs(
                model_outputs=[
                    LoggedModelOutput(model_id=row[2], step=row[3]) for row in models.get(key, ()) if row[1] == "output"
                ]
            ),
        )
        for key in run_keys
        if key in infos
    ]


def new_run(row: Row, tags: Mapping[str, str]) -> Run:
    """A run that was just made, from its `INFO_COLUMNS` and its tags."""
    tag_list = [RunTag(key=key, value=value) for key, value in sorted(tags.items())]
    data = RunData(metric_list=[], param_list=[], tag_list=tag_list)
    return Run(info=_info(row), data=data, inputs=RunInputs(), outputs=RunOutputs())


def _info(row: Row) -> RunInfo:
    _, run_id, experiment_id, name, user_id, status, start_time, end_time, artifact_uri, deleted_time = row
    return RunInfo(
        run_id=run_id,
        run_uuid=run_id,
        run_name=name,
        experiment_id=str(experiment_id),
        user_id=user_id,
        status=status,
        start_time=start_time,
        end_time=end_time,
        artifact_uri=artifact_uri,
        lifecycle_stage=LifecycleStage.ACTIVE if deleted_time is None else LifecycleStage.DELETED,
    )


def _metric(row: Row) -> Metric:
    _, key, value, time, step, dataset_name, dataset_digest, model_id = row
    return Metric(
        key=key,
        value=math.nan if value is None else value,
        timestamp=time,
        step=step,
        dataset_name=dataset_name,
        dataset_digest=dataset_digest,
        model_id=model_id,
    )


def _dataset_input(row: Row) -> DatasetInput:
    _, name, digest, source_type, source, schema, profile, tags = row
    decoded: dict[str, Any] = msgspec.json.decode(tags)
    return DatasetInput(
        dataset=Dataset(name=name, digest=digest, source_type=source_type, source=source, schema=schema, profile=profile),
        tags=[InputTag(key=key, value=value) for key, value in decoded.items()],
    )
