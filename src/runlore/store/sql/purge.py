"""Deleting for good, a slice at a time: a run may hold 10⁹ points, and other writers must not wait for them.

A run of which a part is gone carries the deletion time `PURGED`: nothing finds it any more, restoring skips it, and the next
purge goes on with it. Its row goes last, and its files are released in the same transaction.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from runlore.api.artifacts import Kept
from runlore.api.trash import SLICE, Purged, PurgeTrash
from runlore.exceptions import InvalidState
from runlore.store.sql.database import Row, Transaction
from runlore.store.sql.handlers import handles
from runlore.store.sql.released import release
from runlore.store.sql.run_rows import PURGED, run_key

_MOST_RUNS = 100  # that one slice looks at

# Tail rows first: once they are gone, folding leaves the run alone. Chunks weigh more than other rows: they are 16 kB each.
_OF_RUN = (
    ("metric_tail", "seq", 1),
    ("metric_chunk", "series, first_index", 4),
    ("metric_pyramid", "series, level, page", 4),
    ("model_metric", "model_id, key, dataset_name, dataset_digest", 1),
    ("metric", "key", 1),
    ("param", "key", 1),
    ("run_tag", "key", 1),
    ("run_dataset", "name, digest", 4),
    ("run_model", "direction, model_id", 1),
    ("writer_mark", "writer_id", 1),
    ("alert_told", "webhook_id, event", 1),
    ("metric_replaced", "key, generation, part", 4),
    ("metric_resume", "key, generation", 1),
    ("param_former", "key, generation", 1),
    ("run_resume", "generation", 1),
)
_OF_MODEL = (
    ("model_metric", "key, run_key, dataset_name, dataset_digest", 1),
    ("logged_model_param", "key", 1),
    ("logged_model_tag", "key", 1),
)
_EXPERIMENT = "e.deleted_time <= ? AND e.experiment_id <> 0"


class _Choice:
    """What a purge is about: conditions on run, logged_model and experiment, each with its parameters."""

    def __init__(self, db: Transaction, op: PurgeTrash) -> None:
        limit = db.now - op.older_than
        experiments = [int(key) for key in op.experiment_ids]
        everything = not (experiments or op.run_ids or op.model_ids)
        self.limit = limit
        self.run = _Part(db, "deleted_time <= ?", limit)
        self.model = _Part(db, "deleted_time <= ?", limit)
        self.experiment = _Part(db, _EXPERIMENT, limit)
        if not everything:
            self.run.only(("run_key", [run_key(item) for item in op.run_ids]), ("experiment_id", experiments))
            self.model.only(("model_id", op.model_ids), ("experiment_id", experiments))
            self.experiment.only(("e.experiment_id", experiments))


class _Part:
    """A condition with its parameters."""

    def __init__(self, db: Transaction, text: str, *values: Any) -> None:
        self._db, self.text, self.values = db, text, values

    def only(self, *columns: tuple[str, Any]) -> None:
        """Restrict to rows of which one of these columns has one of these values."""
        found = [self._db.among(column, values) for column, values in columns if values]
        self.text += f" AND ({' OR '.join(condition for condition, _ in found) or '1 = 0'})"
        self.values += tuple(parameter for _, parameter in found)


class _Owner(NamedTuple):
    """What rows belong to: the column and the value that say so."""

    column: str
    value: int | str


class _Budget:
    """How much one slice may still remove."""

    def __init__(self) -> None:
        self.left = SLICE

    def delete(self, db: Transaction, tables: tuple[tuple[str, str, int], ...], owner: _Owner) -> bool:
        """Delete the rows of an owner as far as the budget goes. True when all are gone."""
        for table, columns, weight in tables:
            most = max(1, self.left // weight)
            count = db.execute(
                f"DELETE FROM {table} WHERE {owner.column} = ? AND ({columns}) IN "
                f"(SELECT {columns} FROM {table} WHERE {owner.column} = ? LIMIT ?)",
                (owner.value, owner.value, most),
            )
            self.left -= count * weight
            if count == most:
                return False
        self.left -= 10  # statements cost something even when there are no rows
        return True


@handles(PurgeTrash)
def purge_trash(db: Transaction, op: PurgeTrash) -> Purged:
    """Runs first, then logged models, then experiments that hold nothing any more."""
    _refuse_active(db, op)
    choice = _Choice(db, op)
    if op.dry_run:
        return _outlook(db, choice)
    budget = _Budget()
    runs, more = _purge_runs(db, choice, budget)
    models = experiments = 0
    if not more:
        models, more = _purge_models(db, choice.model, budget)
    if not more:
        experiments, below, more = _purge_experiments(db, choice, budget)
        models += below
    kept = [] if more else _kept(db, choice)
    return Purged(experiments=experiments, runs=runs, logged_models=models, more=more, kept=kept)


def _purge_runs(db: Transaction, choice: _Choice, budget: _Budget) -> tuple[int, bool]:
    """How many runs are gone now, and whether more are left."""
    rows = db.all(
        f"SELECT run_key, artifact_uri FROM run WHERE {choice.run.text} ORDER BY deleted_time, run_key LIMIT ?{db.for_update}",
        (*choice.run.values, _MOST_RUNS),
    )
    for done, (key, artifact_uri) in enumerate(rows):
        if budget.left <= 0:
            return done, True
        if not budget.delete(db, _OF_RUN, _Owner("run_key", key)):
            db.execute("UPDATE run SET deleted_time = ? WHERE run_key = ?", (PURGED, key))
            return done, True
        release(db, artifact_uri)
        db.execute("DELETE FROM run WHERE run_key = ?", (key,))
    return len(rows), len(rows) == _MOST_RUNS


def _purge_models(db: Transaction, part: _Part, budget: _Budget) -> tuple[int, bool]:
    rows = db.all(
        f"SELECT model_id, artifact_uri FROM logged_model WHERE {part.text} ORDER BY model_id LIMIT ?{db.for_update}",
        (*part.values, _MOST_RUNS),
    )
    for done, (model_id, artifact_uri) in enumerate(rows):
        if budget.left <= 0:
            return done, True
        if not budget.delete(db, _OF_MODEL, _Owner("model_id", model_id)):
            db.execute("UPDATE logged_model SET deleted_time = ? WHERE model_id = ?", (PURGED, model_id))
            return done, True
        release(db, artifact_uri)
        db.execute("DELETE FROM logged_model WHERE model_id = ?", (model_id,))
    return len(rows), len(rows) == _MOST_RUNS


def _purge_experiments(db: Transaction, choice: _Choice, budget: _Budget) -> tuple[int, int, bool]:
    """Experiments and logged models that are gone now. The models of a deleted experiment go with it."""
    rows = db.all(
        f"SELECT e.experiment_id FROM experiment e WHERE {choice.experiment.text} "
        "AND NOT EXISTS (SELECT 1 FROM run r WHERE r.experiment_id = e.experiment_id) "
        f"ORDER BY e.experiment_id LIMIT ?{db.for_update}",
        (*choice.experiment.values, _MOST_RUNS),
    )
    models = 0
    for done, (key,) in enumerate(rows):
        count, more = _purge_models(db, _Part(db, "experiment_id = ?", key), budget)
        models += count
        if more or budget.left <= 0:
            return done, models, True
        db.execute("DELETE FROM experiment WHERE experiment_id = ?", (key,))
        budget.left -= 10
    return len(rows), models, len(rows) == _MOST_RUNS


# -- what stays, and what would go -------------------------------------------------------------------------------------


def _kept(db: Transaction, choice: _Choice) -> list[Kept]:
    """Deleted experiments that still hold runs which are not in the trash for long enough, or not at all."""
    rows = db.all(
        "SELECT e.experiment_id, (SELECT COUNT(*) FROM run r WHERE r.experiment_id = e.experiment_id AND "
        f"(r.deleted_time IS NULL OR r.deleted_time > ?)) FROM experiment e WHERE {choice.experiment.text} "
        "ORDER BY e.experiment_id",
        (choice.limit, *choice.experiment.values),
    )
    return [
        Kept(kind="experiment", id=str(key), reason=f"It holds {runs} runs that are active or were deleted later.")
        for key, runs in rows
        if runs
    ]


def _outlook(db: Transaction, choice: _Choice) -> Purged:
    """What a purge would remove in all."""
    kept = _kept(db, choice)
    staying = {int(item.id) for item in kept}
    going = [
        row[0]
        for row in db.all(f"SELECT e.experiment_id FROM experiment e WHERE {choice.experiment.text}", choice.experiment.values)
        if row[0] not in staying
    ]
    models = _number(db, "logged_model", choice.model)
    if going:
        condition, parameter = db.among("experiment_id", going)
        # those that the condition on models itself covers are counted already
        text = f"{condition} AND NOT (deleted_time IS NOT NULL AND {choice.model.text})"
        models += _number(db, "logged_model", _Part(db, text, parameter, *choice.model.values))
    return Purged(experiments=len(going), runs=_number(db, "run", choice.run), logged_models=models, kept=kept)


def _number(db: Transaction, table: str, part: _Part) -> int:
    row: Row | None = db.one(f"SELECT COUNT(*) FROM {table} WHERE {part.text}", part.values)
    return int(row[0]) if row else 0


def _refuse_active(db: Transaction, op: PurgeTrash) -> None:
    """Raise `InvalidState` when something that is named is not in the trash."""
    named: list[tuple[str, str, list[Any]]] = [
        ("experiment", "experiment_id", [int(key) for key in op.experiment_ids]),
        ("run", "run_id", [run_id.lower() for run_id in op.run_ids]),
        ("logged_model", "model_id", list(op.model_ids)),
    ]
    for table, column, ids in named:
        if not ids:
            continue
        condition, parameter = db.among(column, ids)
        if table == "run":
            found, keys = db.among("run_key", [run_key(run_id) for run_id in ids])
            row = db.one(f"SELECT run_id FROM run WHERE {found} AND {condition} AND deleted_time IS NULL", (keys, parameter))
        else:
            row = db.one(f"SELECT {column} FROM {table} WHERE {condition} AND deleted_time IS NULL", (parameter,))
        if row:
            raise InvalidState(f"The {table.replace('_', ' ')} {row[0]} is not in the trash. Delete it first.")
