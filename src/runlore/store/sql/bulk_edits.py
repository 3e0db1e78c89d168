"""Changing all runs that match a filter, a slice at a time in order of run key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from runlore.api.bulk_edits import ChangedRuns, DeleteFoundRuns, MoveFoundRuns, RestoreFoundRuns, TagFoundRuns
from runlore.exceptions import InvalidParameter
from runlore.query import RUN_TABLE, parse_filter
from runlore.store.sql.conditions import Sql, both
from runlore.store.sql.database import Transaction
from runlore.store.sql.experiment_rows import active_experiment, existing_experiment
from runlore.store.sql.handlers import handles
from runlore.store.sql.run_rows import run_key
from runlore.store.sql.runs import NAME_TAG
from runlore.store.sql.search_runs import RunSearch
from runlore.store.sql.tags import checked_name

SLICE = 1_000
_Operation = TagFoundRuns | DeleteFoundRuns | RestoreFoundRuns | MoveFoundRuns


class _Slice:
    """The runs that one call changes."""

    def __init__(self, db: Transaction, op: _Operation, view_type: str) -> None:
        experiments = sorted({existing_experiment(db, item)[0] for item in op.experiment_ids})
        search = RunSearch(parse_filter(op.filter, RUN_TABLE, db.now), (), experiments, view_type, numbers=True)
        parts = [search.condition(db, scan=True), Sql("r.run_key > ?", (_after(op.page_token),))]
        if op.run_ids:
            parts.append(_among(db, op.run_ids))
        if op.except_run_ids:
            text, values = _among(db, op.except_run_ids)
            parts.append(Sql(f"NOT ({text})", values))
        condition = both(parts)
        rows = db.all(
            f"SELECT r.run_key, r.run_id FROM run r WHERE {condition.text} ORDER BY r.run_key LIMIT {SLICE + 1}{db.for_update}",
            condition.values,
        )
        self.db = db
        self.keys = [key for key, _ in rows[:SLICE]]
        self.run_ids = [run_id for _, run_id in rows[:SLICE]]
        self.next = str(self.keys[-1]) if len(rows) > SLICE else None

    def execute(self, sql: str, *values: Any) -> None:
        """Run a statement that ends with a condition on these runs."""
        if self.keys:
            among, parameter = self.db.among("run_key", self.keys)
            self.db.execute(f"{sql} {among}", (*values, parameter))

    def reply(self) -> ChangedRuns:
        """What the call answers."""
        return ChangedRuns(run_ids=self.run_ids, next_page_token=self.next)


def _after(token: str) -> int:
    if not token:
        return -1
    if not (token.isascii() and token.isdigit() and len(token) <= 19):
        raise InvalidParameter(f"Invalid page token {token[:100]!r}. Use next_page_token of the previous answer as it is.")
    return int(token)


def _among(db: Transaction, run_ids: Sequence[str]) -> Sql:
    """The condition that a run is one of these: by key, which is quick, and by id, which is certain."""
    ids = sorted({run_id.lower() for run_id in run_ids})
    by_key, keys = db.among("r.run_key", [run_key(run_id) for run_id in ids])
    by_id, values = db.among("r.run_id", ids)
    return Sql(f"({by_key} AND {by_id})", (keys, values))


@handles(TagFoundRuns)
def tag_found_runs(db: Transaction, op: TagFoundRuns) -> ChangedRuns:
    """`mlflow.runName` renames the runs; an empty name is refused."""
    tags = {checked_name(tag.key): tag.value for tag in op.set_tags}
    if both_ways := sorted(tags.keys() & set(op.remove_tags)):
        raise InvalidParameter(f"Tags can not be set and removed at once: {', '.join(map(repr, both_ways))}.")
    if tags.get(NAME_TAG) == "":
        raise InvalidParameter(f"The tag {NAME_TAG!r} is the name of a run, which can not be empty.")
    runs = _Slice(db, op, "ACTIVE_ONLY")
    if not (tags or op.remove_tags):
        return runs.reply()
    runs.execute("UPDATE run SET last_activity = ?, shape = NULL WHERE", db.now)
    if NAME_TAG in tags:
        runs.execute("UPDATE run SET name = ? WHERE", tags[NAME_TAG])
    if tags and runs.keys:
        db.many(
            "INSERT INTO run_tag (run_key, key, value) VALUES (?, ?, ?) "
            "ON CONFLICT (run_key, key) DO UPDATE SET value = excluded.value",
            [(key, name, value) for key in runs.keys for name, value in tags.items()],
        )
    if op.remove_tags:
        among, parameter = db.among("key", sorted(set(op.remove_tags)))
        runs.execute(f"DELETE FROM run_tag WHERE {among} AND", parameter)
    return runs.reply()


@handles(DeleteFoundRuns)
def delete_found_runs(db: Transaction, op: DeleteFoundRuns) -> ChangedRuns:
    """What is in the trash already does not match."""
    runs = _Slice(db, op, "ACTIVE_ONLY")
    runs.execute("UPDATE run SET deleted_time = ? WHERE", db.now)
    return runs.reply()


@handles(RestoreFoundRuns)
def restore_found_runs(db: Transaction, op: RestoreFoundRuns) -> ChangedRuns:
    """A run that is being purged can not be restored, and is left out."""
    for experiment in op.experiment_ids:
        active_experiment(db, experiment)
    runs = _Slice(db, op, "DELETED_ONLY")
    runs.execute("UPDATE run SET deleted_time = NULL WHERE deleted_time >= 0 AND")
    return runs.reply()


@handles(MoveFoundRuns)
def move_found_runs(db: Transaction, op: MoveFoundRuns) -> ChangedRuns:
    """Runs that are there already match, and stay."""
    experiment = active_experiment(db, op.to_experiment_id)[0]
    runs = _Slice(db, op, "ACTIVE_ONLY")
    runs.execute("UPDATE run SET experiment_id = ? WHERE", experiment)
    if runs.run_ids:
        among, parameter = db.among("source_run_id", runs.run_ids)
        db.execute(f"UPDATE logged_model SET experiment_id = ? WHERE {among}", (experiment, parameter))
    return runs.reply()
