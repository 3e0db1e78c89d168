"""Handlers of notes: tags of one name that may be longer than others."""

from __future__ import annotations

from runlore.api.notes import GetExperimentNote, GetRunNote, Note, SetExperimentNote, SetRunNote
from runlore.entities import Empty
from runlore.query import NOTE_TAG
from runlore.store.sql.database import Transaction
from runlore.store.sql.experiment_rows import active_experiment, existing_experiment
from runlore.store.sql.handlers import handles
from runlore.store.sql.run_rows import active_run, existing_run


@handles(GetRunNote)
def get_run_note(db: Transaction, op: GetRunNote) -> Note:
    """One statement after the look-up."""
    return _note(db, "run_tag", "run_key", existing_run(db, op.run_id))


@handles(SetRunNote)
def set_run_note(db: Transaction, op: SetRunNote) -> Empty:
    """Deleted runs are not written to."""
    return _set_note(db, "run_tag", "run_key", active_run(db, op.run_id), op.text)


@handles(GetExperimentNote)
def get_experiment_note(db: Transaction, op: GetExperimentNote) -> Note:
    """One statement after the look-up."""
    return _note(db, "experiment_tag", "experiment_id", existing_experiment(db, op.experiment_id)[0])


@handles(SetExperimentNote)
def set_experiment_note(db: Transaction, op: SetExperimentNote) -> Empty:
    """Deleted experiments are not written to."""
    return _set_note(db, "experiment_tag", "experiment_id", active_experiment(db, op.experiment_id)[0], op.text)


def _note(db: Transaction, table: str, column: str, key: int) -> Note:
    row = db.one(f"SELECT value FROM {table} WHERE {column} = ? AND key = ?", (key, NOTE_TAG))
    return Note(text=row[0] if row else "")


def _set_note(db: Transaction, table: str, column: str, key: int, text: str) -> Empty:
    if text:
        db.execute(
            f"INSERT INTO {table} ({column}, key, value) VALUES (?, ?, ?) "
            f"ON CONFLICT ({column}, key) DO UPDATE SET value = excluded.value",
            (key, NOTE_TAG, text),
        )
    else:
        db.execute(f"DELETE FROM {table} WHERE {column} = ? AND key = ?", (key, NOTE_TAG))
    return Empty()
