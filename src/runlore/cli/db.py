"""`runlore db`: the database of a store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import click

from runlore.cli.output import plain, print_json
from runlore.cli.stores import existing_store, json_option, sqlite_file, store_option
from runlore.exceptions import InvalidParameter
from runlore.store.base import is_postgresql
from runlore.store.sql.database import Database
from runlore.store.sql.distribute import Plan, distribute, plan
from runlore.store.sql.migrate import migrate, versions
from runlore.store.sql.postgresql import PostgresDatabase, pool_and_limit
from runlore.store.sql.sqlite import SqliteDatabase


@click.group()
@click.help_option("-h", "--help")
def db() -> None:
    """The database of a store: its schema, its connections, its tables on several machines.

    \b
    Examples:
      runlore db status
      runlore db migrate
      runlore db distribute --store postgresql://runlore@db/runlore --dry-run
    """


@db.command("status")
@store_option
@json_option
@click.help_option("-h", "--help")
def status_command(store: str | None, as_json: bool) -> None:
    """Say which schema a store's database has, and how many connections there are. Nothing is changed.

    \b
    Examples:
      runlore db status
      runlore db status --store postgresql://runlore@db/runlore --json
    """
    with _database(store) as database:
        version, newest = versions(database)
        said: dict[str, Any] = {"database": database.dialect, "schema": version, "newest": newest}
        if isinstance(database, PostgresDatabase):
            said |= pool_and_limit(database)
    if as_json:
        print_json(said)
        return
    click.echo(f"{database.dialect}, schema version {version}; this Runlore's is {newest}.")
    if version < newest:
        click.echo("hint: runlore db migrate (or start a server: it does the same)")
    if "connections" in said:
        click.echo(
            f"Connections: {said['connections']} of Runlore, {said['others']} of others; PostgreSQL takes {said['limit']}. "
            f"A process of Runlore opens {said['pool']} at most (RUNLORE_POSTGRES_READERS + 1)."
        )


@db.command("migrate")
@store_option
@json_option
@click.help_option("-h", "--help")
def migrate_command(store: str | None, as_json: bool) -> None:
    """Bring the schema of a store up to date. Servers and scripts do it themselves when they open a store.

    A SQLite file is copied first, to FILE.v1.bak. It happens in one transaction: a failure or a kill changes nothing.

    \b
    Examples:
      runlore db migrate
      runlore db migrate --store postgresql://runlore@db/runlore
    """
    with _database(store) as database:
        before, _ = versions(database)
        after = migrate(database)
    if as_json:
        print_json({"before": before, "after": after})
    elif before == after:
        click.echo(f"Schema version {after}: nothing to do.")
    else:
        click.echo(f"Schema version {before} -> {after}.")


@db.command("distribute")
@store_option
@click.option("--dry-run", is_flag=True, help="Only say what would be done; Citus need not be there.")
@json_option
@click.help_option("-h", "--help")
def distribute_command(store: str | None, dry_run: bool, as_json: bool) -> None:
    """Spread the tables of a PostgreSQL store over the machines of a Citus cluster.

    Tables of runs are distributed by run, the ones they refer to are copied to every machine. It happens in one transaction,
    and again only for tables that are not there yet. Stop the servers of this store first: they would wait for its end.

    \b
    Examples:
      runlore db distribute --dry-run --store postgresql://runlore@coordinator/runlore
      runlore db distribute --store postgresql://runlore@coordinator/runlore
    """
    with _database(store) as database:
        if not isinstance(database, PostgresDatabase):
            raise InvalidParameter("Only a PostgreSQL store can be distributed. hint: --store postgresql://…")
        migrate(database)
        transaction = database.write()
        try:
            database.migrate_lock(transaction)
            done = plan(transaction) if dry_run else distribute(transaction)
            if not dry_run:
                transaction.commit()
        finally:
            transaction.rollback()
    if as_json:
        print_json(done)
        return
    _tell(done, dry_run)


def _tell(done: Plan, dry_run: bool) -> None:
    for kind in ("distributed", "reference", "local"):
        names = ", ".join(table.name for table in done.tables if table.wanted == kind)
        click.echo(f"{kind:12}{plain(names)}")
    if not done.statements:
        click.echo("Every table is where it belongs.")
    elif dry_run:
        click.echo(f"Citus: {done.citus or 'not in this database'}. This would be done, in one transaction:")
        for statement in done.statements:
            click.echo(f"  {plain(statement)};")
    else:
        click.echo(f"Done with Citus {done.citus}: {sum(table.now != table.wanted for table in done.tables)} tables moved.")


@contextmanager
def _database(store: str | None) -> Iterator[Database]:
    """The database of a store, as it is."""
    uri = existing_store(store)
    path = sqlite_file(uri)
    if path is None and not is_postgresql(uri):
        raise InvalidParameter(
            f"{uri!r} is a server; its database is where it runs. hint: --store postgresql://… or a directory"
        )
    database: Database = SqliteDatabase(path) if path is not None else PostgresDatabase(uri)
    with closing(database):
        yield database
