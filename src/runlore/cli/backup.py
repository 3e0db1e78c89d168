"""`runlore backup`: a copy of a store that is in use."""

from __future__ import annotations

from pathlib import Path

import click

from runlore.cli.output import counted, print_json, size_text
from runlore.cli.stores import artifacts_option, existing_store, json_option, sqlite_file, store_option
from runlore.store.backup import back_up, refusal


@click.command()
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False), metavar="DEST")
@click.option("--no-artifacts", is_flag=True, help="Only the database: runs, params, metrics, the registry.")
@click.option("--link", is_flag=True, help="Hard links to the files instead of copies: no space, but the same disk.")
@json_option
@store_option
@artifacts_option
@click.help_option("-h", "--help")
def backup(directory: Path, no_artifacts: bool, link: bool, as_json: bool, store: str | None, artifacts: str | None) -> None:
    """Copy a store to the new directory DEST, while it is in use.

    Everything that was acknowledged before the start is in the copy. The copy appears when it is whole and checked. To restore
    it, use it: `runlore ui DEST`, or copy it to where the store was.

    \b
    Examples:
      runlore backup /mnt/backups/2026-11-23
      runlore backup --link before-cleanup
      runlore backup --store sqlite:////data/team.db --artifacts s3://bucket/runlore /mnt/backups/monday

    Exit code: 0, or 1 when there is no copy.
    """
    uri = existing_store(store)
    database = sqlite_file(uri)
    if database is None:
        raise refusal(uri)
    done = back_up(database, artifacts, directory, files=not no_artifacts, link=link)
    if as_json:
        print_json(done)
        return
    how = "linked" if done.linked else "copied"
    files = f"{counted(done.files, 'file')} {how} ({size_text(done.size)})"
    click.echo(f"{done.directory}: database {size_text(done.database_size)}, {files}.")
    if done.left_out and not no_artifacts:
        click.echo(
            f"The files in {done.left_out} are not part of it: use the versioning or replication of that store.", err=True
        )
