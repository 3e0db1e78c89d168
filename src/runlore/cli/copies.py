"""`runlore runs copy`: runs once more, in another experiment."""

from __future__ import annotations

import click

from runlore.api.copies import CopyRuns
from runlore.cli.output import counted, print_done
from runlore.cli.stores import (
    artifacts_option,
    complete_experiment,
    complete_run,
    find_experiment,
    find_run,
    json_option,
    opened,
    store_option,
)
from runlore.client.copies import copy_files


@click.command("copy")
@click.argument("run", nargs=-1, required=True, shell_complete=complete_run)
@click.option("--to", "target", required=True, metavar="EXPERIMENT", shell_complete=complete_experiment, help="Where to.")
@click.option("--no-files", is_flag=True, help="Leave the files out.")
@artifacts_option
@json_option
@store_option
def copy(run: tuple[str, ...], target: str, no_files: bool, artifacts: str | None, as_json: bool, store: str | None) -> None:
    """Copy runs to another experiment, with every metric point and their files, and print the new ids.

    \b
    Examples:
      runlore runs copy 3f2a --to vegetables
      runlore runs copy 3f2a 91bc --to vegetables --no-files
    """
    with opened(store, artifacts) as opened_store:
        found = [find_run(opened_store, text) for text in run]
        experiment = find_experiment(opened_store, target)
        made = opened_store.call(CopyRuns(run_ids=found, to_experiment_id=experiment.experiment_id)).run_ids
        if not no_files:
            copy_files(opened_store, found, made)
    for run_id in [] if as_json else made:
        click.echo(run_id)
    where = f"experiment {experiment.experiment_id} ({experiment.name})"
    print_done(as_json, "run_ids", made, f"{counted(len(made), 'run')} copied to {where}.")
