"""`runlore experiments`: look at experiments, put them into the trash and take them out."""

from __future__ import annotations

import click

from runlore.api.dashboard import GetExperimentSummaries
from runlore.api.experiments import DeleteExperiment, RestoreExperiment
from runlore.cli.output import counted, print_done, print_fields, print_json, print_table, time_text
from runlore.cli.stores import complete_experiment, find_experiment, json_option, opened, store_option


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def experiments() -> None:
    """Look at experiments, put them into the trash and take them out.

    EXPERIMENT is an id or a name.

    \b
    Examples:
      runlore experiments list
      runlore experiments describe fruit
      runlore experiments delete fruit        its runs go along; `runlore gc` deletes for good
      runlore experiments restore fruit
    """


@experiments.command("list")
@click.option("--deleted", "view", flag_value="DELETED_ONLY", help="Those in the trash.")
@click.option("--all", "view", flag_value="ALL", help="Both.")
@json_option
@store_option
def list_command(view: str | None, as_json: bool, store: str | None) -> None:
    """List experiments, the one that something happened in last first.

    \b
    Examples:
      runlore experiments list
      runlore experiments list --deleted --json
    """
    with opened(store) as opened_store:
        found = opened_store.call(GetExperimentSummaries(view_type=view or "ACTIVE_ONLY")).experiments  # type: ignore[arg-type]
    if as_json:
        print_json(found)
        return
    rows = [
        [item.experiment_id, item.name, str(item.run_count), time_text(item.last_activity), item.lifecycle_stage]
        for item in found
    ]
    print_table(["ID", "NAME", "RUNS", "LAST ACTIVITY", "STAGE"], rows)


@experiments.command()
@click.argument("experiment", shell_complete=complete_experiment)
@json_option
@store_option
def describe(experiment: str, as_json: bool, store: str | None) -> None:
    """Show one experiment.

    \b
    Examples:
      runlore experiments describe fruit
      runlore experiments describe 3 --json
    """
    with opened(store) as opened_store:
        found = find_experiment(opened_store, experiment)
    if as_json:
        print_json(found)
        return
    print_fields(
        [
            ("id", found.experiment_id),
            ("name", found.name),
            ("stage", found.lifecycle_stage),
            ("created", time_text(found.creation_time)),
            ("changed", time_text(found.last_update_time)),
            ("artifacts", found.artifact_location),
            *((f"tag {key}", value) for key, value in sorted(found.tags.items())),
        ]
    )


@experiments.command()
@click.argument("experiment", nargs=-1, required=True, shell_complete=complete_experiment)
@json_option
@store_option
def delete(experiment: tuple[str, ...], as_json: bool, store: str | None) -> None:
    """Put experiments and their runs into the trash. Their names are free at once.

    \b
    Examples:
      runlore experiments delete fruit
      runlore experiments delete 3 4
    """
    with opened(store) as opened_store:
        found = [find_experiment(opened_store, text) for text in experiment]
        for item in found:
            opened_store.call(DeleteExperiment(experiment_id=item.experiment_id))
    ids = [item.experiment_id for item in found]
    print_done(as_json, "experiment_ids", ids, f"{counted(len(found), 'experiment')} moved to the trash.")


@experiments.command()
@click.argument("experiment", nargs=-1, required=True, shell_complete=complete_experiment)
@json_option
@store_option
def restore(experiment: tuple[str, ...], as_json: bool, store: str | None) -> None:
    """Take experiments, and the runs that were deleted with them, out of the trash.

    \b
    Examples:
      runlore experiments restore fruit
    """
    with opened(store) as opened_store:
        found = [find_experiment(opened_store, text) for text in experiment]
        for item in found:
            opened_store.call(RestoreExperiment(experiment_id=item.experiment_id))
    ids = [item.experiment_id for item in found]
    print_done(as_json, "experiment_ids", ids, f"{counted(len(found), 'experiment')} restored.")
