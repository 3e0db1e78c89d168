"""`runlore doctor`: is a store well, and what to do if not."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import click

from runlore.cli.output import plain, print_json
from runlore.cli.stores import artifacts_option, existing_store, json_option, sqlite_file
from runlore.store import location
from runlore.store.doctor import examine_postgresql, examine_sqlite, no_server
from runlore.store.sql.checkup import Finding

_COLOURS = {"ok": "green", "note": "blue", "warning": "yellow", "error": "red"}


@click.command()
@click.argument("store", required=False, metavar="[DIRECTORY|STORE]")
@click.option("--quick", is_flag=True, help="Leave out what takes long: reading every metric point, looking at files.")
@json_option
@artifacts_option
@click.help_option("-h", "--help")
def doctor(store: str | None, quick: bool, as_json: bool, artifacts: str | None) -> None:
    """Look whether a store is well, and say what to do if not. Nothing is changed, and it may be in use.

    Looked at: the file by SQLite's own check, references between tables, the checksum of every metric point and the summaries
    that count them, files that are missing or have no owner, leftovers, who may read it, the SQLite version or the settings of
    PostgreSQL.

    \b
    Examples:
      runlore doctor
      runlore doctor /mnt/backups/monday
      runlore doctor --quick --json
      runlore doctor postgresql://runlore@db/runlore --artifacts s3://bucket/runlore

    Exit code: 0 when nothing is broken (there may be warnings), 1 when something is.
    """
    failed = False
    findings = []
    for finding in _examine(existing_store(store), artifacts, quick):
        failed = failed or finding.level == "error"
        findings.append(finding)
        if not as_json:
            _tell(finding)
    if as_json:
        print_json(findings)
    sys.exit(1 if failed else 0)


def _examine(uri: str, artifacts: str | None, quick: bool) -> Iterator[Finding]:
    database = sqlite_file(uri)
    if database is not None:
        return examine_sqlite(database, artifacts, quick)
    if uri.startswith("http"):
        raise no_server(uri)
    return examine_postgresql(uri, artifacts or str(location.locate() / "artifacts"), quick)


def _tell(finding: Finding) -> None:
    click.echo(f"{click.style(f'{finding.level:8}', fg=_COLOURS[finding.level])}{plain(finding.what)}")
    if finding.advice:
        click.echo(f"        {plain(finding.advice)}")
