"""Numbered migrations: `schema/0001_start.sql`, `0002_….sql`, … applied once each, in order, all in one transaction.

They run where a store is opened on its database, under a lock, never over HTTP. Scripts are written in SQLite's spelling;
a statement ends with a semicolon, text literals hold neither `;` nor `--`, `{now}` stands for the time in Unix ms, and
`{secret}` for 256 random bits in hexadecimal digits.
"""

from __future__ import annotations

import secrets
from importlib.resources import files

import msgspec

from runlore.exceptions import InvalidState
from runlore.store.sql.database import Database, Transaction

_VERSIONS = "CREATE TABLE schema_version (number BIGINT NOT NULL PRIMARY KEY, name TEXT NOT NULL, time BIGINT NOT NULL);\n"


class Migration(msgspec.Struct, frozen=True):
    """One step from schema version `number - 1` to `number`."""

    number: int
    name: str
    sql: str


def migrations() -> list[Migration]:
    """All steps that this Runlore knows, in order."""
    folder = files("runlore.store.sql") / "schema"
    found = sorted((item.name, item.read_text("utf-8")) for item in folder.iterdir() if item.name.endswith(".sql"))
    return [Migration(int(name[:4]), name[5:].removesuffix(".sql"), sql) for name, sql in found]


def versions(database: Database) -> tuple[int, int]:
    """The schema version of a database (0: empty) and the newest one. Raises `InvalidState` as `migrate` does."""
    newest = migrations()[-1].number
    with database.read() as db:
        return _version(database, db, newest), newest


def migrate(database: Database, steps: list[Migration] | None = None) -> int:
    """Bring a database to the newest version; returns the version. Cheap when there is nothing to do.

    Raises `InvalidState` when the database is newer than this Runlore, or is not Runlore's at all. A failure changes nothing.
    """
    steps = migrations() if steps is None else steps
    newest = steps[-1].number
    with database.read() as db:
        version = _version(database, db, newest)
    if version == newest:
        return newest
    if 0 < version < newest:
        database.backup(f"v{version}")
    transaction = database.write()
    try:
        database.migrate_lock(transaction)
        version = _version(database, transaction, newest)  # another process may have been faster
        for step in steps:
            if step.number > version:
                _apply(database, transaction, step)
        transaction.commit()
    finally:
        transaction.rollback()
    return newest


def _version(database: Database, db: Transaction, newest: int) -> int:
    tables = database.tables(db)
    if "schema_version" in tables:
        row = db.one("SELECT MAX(number) FROM schema_version")
        version = int(row[0]) if row and row[0] is not None else 0
        if version > newest:
            raise InvalidState(
                f"The database has schema version {version}; this Runlore knows versions up to {newest}. "
                "hint: pip install --upgrade runlore"
            )
        return version
    if "alembic_version" in tables or "experiments" in tables:
        raise InvalidState("This is a database of MLflow, not of Runlore. Name another one; it was not changed.")
    if clash := tables & {"experiment", "run", "counter"}:
        raise InvalidState(f"This database belongs to another program (it has a table {min(clash)!r}). It was not changed.")
    return 0


def _apply(database: Database, db: Transaction, step: Migration) -> None:
    sql = _VERSIONS + step.sql if step.number == 1 else step.sql
    lines = (line.split("--", 1)[0].rstrip() for line in sql.splitlines())
    script = database.script("\n".join(line for line in lines if line))
    script = script.replace("{now}", str(db.now)).replace("{secret}", secrets.token_hex(32))
    for statement in script.split(";"):
        if statement.strip():
            db.execute(statement.strip())
    db.execute("INSERT INTO schema_version (number, name, time) VALUES (?, ?, ?)", (step.number, step.name, db.now))
