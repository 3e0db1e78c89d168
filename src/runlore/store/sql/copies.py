"""Copying runs: row by row of each table, points as they are packed."""

from __future__ import annotations

from uuid import uuid4

from runlore.api.copies import CopiedRuns, CopyRuns
from runlore.entities import RunStatus
from runlore.exceptions import InvalidParameter
from runlore.store.sql.database import Transaction
from runlore.store.sql.experiment_rows import active_experiment
from runlore.store.sql.handlers import handles
from runlore.store.sql.run_conditions import PARENT_TAG
from runlore.store.sql.run_rows import existing_run, run_key

_ENDED = ", ".join(f"'{status}'" for status in RunStatus.ALL if RunStatus.is_terminated(status))
_RUN = (
    "name, user_id, start_time, next_tail, next_series, merged_tail, loose_points, latest_time, tail_token, shape, generation"
)
_TABLES = {
    "param": "key, value, number, generation",
    "run_tag": "key, value",
    "metric": (
        "key, series, count, non_finite, last_value, last_step, last_time, first_value, first_step, first_time, min_value, "
        "min_step, max_value, max_step, sum_value, max_time, greatest_step, folded, model_id, dataset_name, dataset_digest"
    ),
    "metric_tail": "seq, min_series, max_series, min_time, latest_time, data",
    "metric_chunk": "series, first_index, points, min_step, max_step, min_time, max_time, data",
    "metric_pyramid": "series, level, page, data",
    "run_dataset": "name, digest, position, source_type, source, schema, profile, tags",
    "run_model": "direction, model_id, step, position",
    "run_resume": "generation, session_id, time",
    "metric_resume": "key, generation, earlier, from_step, replaced",
    "metric_replaced": "key, generation, part, points, data",
    "param_former": "key, generation, value, until",
}


@handles(CopyRuns)
def copy_runs(db: Transaction, op: CopyRuns) -> CopiedRuns:
    """A statement for each table of each run."""
    experiment, _, location = active_experiment(db, op.to_experiment_id)
    sources = [run_id.lower() for run_id in op.run_ids]
    if len(set(sources)) < len(sources):
        raise InvalidParameter("A run is named twice. Name each run once.")
    copies = {source: _copy(db, source, experiment, location) for source in sources}
    for copy in copies.values():
        row = db.one("SELECT value FROM run_tag WHERE run_key = ? AND key = ?", (run_key(copy), PARENT_TAG))
        if row and row[0] in copies:
            db.execute(
                "UPDATE run_tag SET value = ? WHERE run_key = ? AND key = ?", (copies[row[0]], run_key(copy), PARENT_TAG)
            )
    return CopiedRuns(run_ids=list(copies.values()))


def _copy(db: Transaction, source: str, experiment: int, location: str) -> str:
    key = existing_run(db, source)
    while True:
        copy = uuid4().hex
        made = db.execute(
            f"INSERT INTO run (run_key, run_id, experiment_id, artifact_uri, last_activity, status, end_time, {_RUN}) "
            f"SELECT ?, ?, ?, ?, ?, CASE WHEN status IN ({_ENDED}) THEN status ELSE ? END, "
            f"CASE WHEN status IN ({_ENDED}) THEN end_time ELSE ? END, {_RUN} FROM run WHERE run_key = ? "
            "ON CONFLICT DO NOTHING",
            (
                run_key(copy), copy, experiment, f"{location}/{copy}/artifacts", db.now, RunStatus.FINISHED, db.now, key,
            ),
        )  # fmt: skip
        if made:
            break
    for table, columns in _TABLES.items():
        sql = f"INSERT INTO {table} (run_key, {columns}) SELECT CAST(? AS BIGINT), {columns} FROM {table} WHERE run_key = ?"
        db.execute(sql, (run_key(copy), key))
    db.hints.add(run_key(copy))
    return copy
