"""Spreading a PostgreSQL store over several machines with the extension Citus.

Rows of a run (every table with a `run_key`) are distributed by it, those of one run to one machine. Tables that others refer to
or are joined with are reference tables: each machine has a copy. A few small tables that are neither stay where they are.

All is one transaction: foreign keys of the tables that move are dropped, the tables are handed to Citus, the foreign keys are
made again. A failure or a kill in between leaves everything as it was, and a store that is distributed already is left alone.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from runlore.exceptions import InvalidState
from runlore.store.sql.database import Transaction

Placement = Literal["distributed", "reference", "local"]

LOCAL = {"schema_version", "counter", "secret", "replay", "change_mark", "webhook", "webhook_delivery"}
"""Nothing refers to them and no query joins them with others; some are written often, which copies would make slow."""

_FOREIGN_KEYS = (
    "SELECT c.conname::text, c.conrelid::regclass::text, c.confrelid::regclass::text, pg_get_constraintdef(c.oid) "
    "FROM pg_constraint c JOIN pg_class t ON t.oid = c.conrelid "
    "WHERE c.contype = 'f' AND t.relnamespace = current_schema()::regnamespace ORDER BY 2, 1"
)
_TABLES = (
    "SELECT t.relname::text, EXISTS (SELECT 1 FROM pg_attribute a WHERE a.attrelid = t.oid AND a.attname = 'run_key') "
    "FROM pg_class t WHERE t.relkind IN ('r', 'p') AND t.relnamespace = current_schema()::regnamespace ORDER BY 1"
)


class Table(msgspec.Struct, frozen=True):
    """Where a table belongs, and where it is."""

    name: str
    wanted: Placement
    now: Placement


class Plan(msgspec.Struct, frozen=True):
    """What there is to do."""

    citus: str | None
    """The version of the extension; None where it is not there."""
    tables: list[Table]
    statements: list[str]
    """In this order, in one transaction. Empty when everything is where it belongs."""


def plan(db: Transaction) -> Plan:
    """Look at a database; nothing is changed. It may lack Citus."""
    found = db.one("SELECT extversion FROM pg_extension WHERE extname = 'citus'")
    version = None if found is None else str(found[0])
    now = _placements(db) if version else {}
    tables = [Table(name=name, wanted=_wanted(name, per_run), now=now.get(name, "local")) for name, per_run in db.all(_TABLES)]
    return Plan(citus=version, tables=tables, statements=_statements(db, tables))


def distribute(db: Transaction) -> Plan:
    """Do what `plan` says; the caller commits. Raises `InvalidState` where Citus is missing or tables are placed otherwise."""
    todo = plan(db)
    if todo.citus is None:
        raise InvalidState(
            "This database has no Citus. Install the extension on every machine (it needs shared_preload_libraries = 'citus' "
            "and a restart), then run in this database: CREATE EXTENSION citus. See docs/guides/postgresql.md."
        )
    for table in todo.tables:
        if table.now not in (table.wanted, "local"):
            raise InvalidState(
                f"The table {table.name} is a {table.now} table of Citus; it belongs to the {table.wanted} ones. "
                f"hint: SELECT undistribute_table('{table.name}')"
            )
    for statement in todo.statements:
        db.execute(statement)
    return todo


def _wanted(name: str, per_run: bool) -> Placement:
    if per_run:
        return "distributed"
    return "local" if name in LOCAL else "reference"


def _placements(db: Transaction) -> dict[str, Placement]:
    rows = db.all("SELECT logicalrelid::text, partmethod::text, repmodel::text FROM pg_dist_partition")
    kinds: dict[str, Placement] = {}
    for name, method, replication in rows:
        kinds[name] = "distributed" if method == "h" else "reference" if replication == "t" else "local"
    return kinds


def _statements(db: Transaction, tables: list[Table]) -> list[str]:
    moving = {table.name: table.wanted for table in tables if table.wanted not in ("local", table.now)}
    if not moving:
        return []
    keys = [key for key in db.all(_FOREIGN_KEYS) if key[1] in moving or key[2] in moving]
    per_run = sorted(
        (name for name, wanted in moving.items() if wanted == "distributed"), key=lambda name: (name != "run", name)
    )
    return [
        "SET LOCAL citus.multi_shard_modify_mode TO 'sequential'",  # foreign keys to reference tables ask for it
        *(f"ALTER TABLE {table} DROP CONSTRAINT {name}" for name, table, _, _ in keys),
        *(f"SELECT create_reference_table('{name}')" for name, wanted in moving.items() if wanted == "reference"),
        *(
            f"SELECT create_distributed_table('{name}', 'run_key', colocate_with => '{'none' if name == 'run' else 'run'}')"
            for name in per_run
        ),
        *(f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}" for name, table, _, definition in keys),
    ]
