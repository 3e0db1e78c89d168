"""Handlers of what went into a run and what came out: datasets and logged models."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from runlore.api.runs import LogInputs, LogOutputs
from runlore.entities import Empty
from runlore.store.sql.database import Transaction
from runlore.store.sql.handlers import handles
from runlore.store.sql.run_rows import active_run


@handles(LogInputs, short=True)
def log_inputs(db: Transaction, op: LogInputs) -> Empty:
    """A dataset is its name and digest: logged again, the first record of it in the run stays."""
    key = active_run(db, op.run_id)
    if op.datasets:
        start = _next_position(db, "run_dataset", key)
        rows = []
        for position, item in enumerate(op.datasets, start):
            data = item.dataset
            tags = msgspec.json.encode({tag.key: tag.value for tag in item.tags}).decode()
            rows.append(
                (key, data.name, data.digest, position, data.source_type, data.source, data.schema, data.profile, tags)
            )  # fmt: skip
        db.many(
            "INSERT INTO run_dataset (run_key, name, digest, position, source_type, source, schema, profile, tags) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (run_key, name, digest) DO NOTHING",
            rows,
        )
    _put_models(db, key, "input", [(model.model_id, 0) for model in op.models])
    return Empty()


@handles(LogOutputs, short=True)
def log_outputs(db: Transaction, op: LogOutputs) -> Empty:
    """A model logged again takes the new step."""
    _put_models(db, active_run(db, op.run_id), "output", [(model.model_id, model.step) for model in op.models])
    return Empty()


def _put_models(db: Transaction, key: int, direction: str, models: Sequence[tuple[str, int]]) -> None:
    if not models:
        return
    start = _next_position(db, "run_model", key)
    steps = dict(models)  # of a model that comes twice the last step stays
    rows = [(key, direction, model_id, step, position) for position, (model_id, step) in enumerate(steps.items(), start)]
    db.many(
        "INSERT INTO run_model (run_key, direction, model_id, step, position) VALUES (?, ?, ?, ?, ?) "
        "ON CONFLICT (run_key, direction, model_id) DO UPDATE SET step = excluded.step",
        rows,
    )


def _next_position(db: Transaction, table: str, key: int) -> int:
    row = db.one(f"SELECT COALESCE(MAX(position), -1) + 1 FROM {table} WHERE run_key = ?", (key,))
    return int(row[0]) if row else 0
