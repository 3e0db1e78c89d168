"""`runlore doctor`: are an installation and its store well, and what to do if not."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import click

from runlore.cli.installation import examine_installation, examine_own_spool, examine_server, examine_spool
from runlore.cli.output import plain, print_json
from runlore.cli.stores import artifacts_option, existing_store, json_option, sqlite_file
from runlore.exceptions import InvalidState
from runlore.settings import settings
from runlore.spool.places import spool_of
from runlore.store import location
from runlore.store.doctor import examine_postgresql, examine_sqlite
from runlore.store.sql.checkup import Finding

_COLOURS = {"ok": "green", "note": "blue", "warning": "yellow", "error": "red"}


@click.command()
@click.argument("store", required=False, metavar="[DIRECTORY|STORE]")
@click.option("--quick", is_flag=True, help="Leave out what takes long: reading every metric point, looking at files.")
@json_option
@artifacts_option
@click.help_option("-h", "--help")
def doctor(store: str | None, quick: bool, as_json: bool, artifacts: str | None) -> None:
    """Look whether installation and store are well, and say what to do if not. Nothing is changed, and it may be in use.

    Looked at: versions, settings, GPUs, what waits in journals, whether a server answers; of a store the file by SQLite's own
    check, references between tables, the checksum of every metric point and the summaries that count them, files that are
    missing or have no owner, leftovers, who may read it, space on the disk, the SQLite version or the settings of PostgreSQL.

    \b
    Examples:
      runlore doctor
      runlore doctor /mnt/backups/monday
      runlore doctor --quick --json
      runlore doctor postgresql://runlore@db/runlore --artifacts s3://bucket/runlore
      runlore doctor http://tracking:5000

    Exit code: 0 when nothing is broken (there may be warnings), 1 when something is.
    """
    failed = False
    findings = []
    for finding in _examine(store, artifacts, quick):
        failed = failed or finding.level == "error"
        findings.append(finding)
        if not as_json:
            _tell(finding)
    if as_json:
        print_json(findings)
    sys.exit(1 if failed else 0)


def _examine(named: str | None, artifacts: str | None, quick: bool) -> Iterator[Finding]:
    """Everything. A store that is named has to be there; a project may have none yet."""
    yield from examine_installation()
    yield from examine_own_spool()
    try:
        uri = existing_store(named)
    except InvalidState:
        if named or settings().tracking_uri:
            raise
        place = location.locate()
        yield Finding(level="note", what=f"There is no store yet: {place} is made when something is logged.")
        return
    database = sqlite_file(uri)
    if database is not None:
        yield from examine_sqlite(database, artifacts, quick)
        yield from examine_spool(
            spool_of(database.parent.as_uri() if database.name == "runlore.db" else f"sqlite:///{database}")[0]
        )
    elif uri.startswith("http"):
        yield from examine_server(uri)
    else:
        yield from examine_postgresql(uri, artifacts or str(location.locate() / "artifacts"), quick)


def _tell(finding: Finding) -> None:
    click.echo(f"{click.style(f'{finding.level:8}', fg=_COLOURS[finding.level])}{plain(finding.what)}")
    if finding.advice:
        click.echo(f"        {plain(finding.advice)}")
