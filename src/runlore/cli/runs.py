"""`runlore runs`: look at runs, put them into the trash, take them out, move them."""

from __future__ import annotations

from collections.abc import Sequence

import click
import msgspec

from runlore.api.dashboard import GetExperimentSummaries
from runlore.api.delivery import GetRunLives
from runlore.api.runs import DeleteRun, GetRun, RestoreRun, SearchRuns
from runlore.api.trash import MoveRuns
from runlore.blobs.uri import open_blobs
from runlore.cli.changes import resume_text, run_changes
from runlore.cli.compare import compare
from runlore.cli.copies import copy
from runlore.cli.output import counted, plain, print_done, print_fields, print_json, print_table, time_text
from runlore.cli.stores import complete_experiment, complete_run, find_experiment, find_run, json_option, opened, store_option
from runlore.entities import Run, RunStatus
from runlore.snapshot import SnapshotDifference, difference, load_snapshot
from runlore.store.base import Store

_LIVES = 1_000  # runs that can be asked for at once


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def runs() -> None:
    """Look at runs, compare them, put them into the trash, take them out, move them.

    RUN is a run id, or the first digits of one (at least four). EXPERIMENT is an id or a name.

    \b
    Examples:
      runlore runs list --experiment fruit --filter "metrics.loss < 0.1"
      runlore runs list --deleted --json
      runlore runs describe 3f2a
      runlore runs compare 3f2a 91bc         which params, metrics and tags differ
      runlore runs diff 3f2a 91bc            what was different when they ran
      runlore runs delete 3f2a 91bc          `runlore gc` deletes for good
      runlore runs restore 3f2a
      runlore runs move 3f2a --to vegetables --children
      runlore runs copy 3f2a --to vegetables
    """


runs.add_command(compare)
runs.add_command(copy)


@runs.command("list")
@click.option("--experiment", "-e", multiple=True, shell_complete=complete_experiment, help="Only of these; else of all.")
@click.option("--filter", "query", default="", metavar="TEXT", help="Which runs, as in search_runs().")
@click.option("--order-by", multiple=True, metavar="TEXT", help='Such as "metrics.loss ASC"; else the newest first.')
@click.option("--deleted", "view", flag_value="DELETED_ONLY", help="Those in the trash.")
@click.option("--all", "view", flag_value="ALL", help="Both.")
@click.option("--max", "most", default=50, show_default=True, type=click.IntRange(1, 50_000), help="How many at most.")
@json_option
@store_option
def list_command(
    experiment: tuple[str, ...],
    query: str,
    order_by: tuple[str, ...],
    view: str | None,
    most: int,
    as_json: bool,
    store: str | None,
) -> None:
    """List runs. LOST is a run that did not end, and was not heard of for 90 seconds.

    \b
    Examples:
      runlore runs list
      runlore runs list -e fruit --filter "metrics.loss < 0.1" --order-by "metrics.loss ASC"
      runlore runs list --deleted --max 1000 --json
    """
    with opened(store) as opened_store:
        if experiment:
            ids = [find_experiment(opened_store, text).experiment_id for text in experiment]
        else:
            ids = [item.experiment_id for item in opened_store.call(GetExperimentSummaries(view_type="ALL")).experiments]
        operation = SearchRuns(
            experiment_ids=ids,
            filter=query,
            order_by=list(order_by),
            run_view_type=view or "ACTIVE_ONLY",  # type: ignore[arg-type]
            max_results=most,
        )
        reply = opened_store.call(operation)
        lost = set() if as_json else _lost(opened_store, reply.runs)
    if as_json:
        print_json(reply.runs)
        return
    print_table(["RUN", "NAME", "EXPERIMENT", "STATUS", "STARTED", "USER"], [_row(run, lost) for run in reply.runs])
    if reply.next_page_token:
        click.echo(f"… and more than these {most}: --max shows them.", err=True)


def _lost(store: Store, found: Sequence[Run]) -> set[str]:
    """Those of the runs that are said to run, and were not heard of for 90 seconds."""
    running = [run.info.run_id for run in found if run.info.status == RunStatus.RUNNING]
    slices = [running[first : first + _LIVES] for first in range(0, len(running), _LIVES)]
    lives = [life for part in slices for life in store.call(GetRunLives(run_ids=part)).runs]
    return {life.run_id for life in lives if life.status == "LOST"}


def _row(run: Run, lost: set[str]) -> list[str]:
    info = run.info
    return [info.run_id, info.run_name, info.experiment_id, _status(run, lost), time_text(info.start_time), info.user_id]


def _status(run: Run, lost: set[str]) -> str:
    return "LOST" if run.info.run_id in lost else run.info.status


@runs.command()
@click.argument("run", shell_complete=complete_run)
@json_option
@store_option
def describe(run: str, as_json: bool, store: str | None) -> None:
    """Show one run: what went in and the last value of each metric.

    \b
    Examples:
      runlore runs describe 3f2a
      runlore runs describe 3f2a --json --store http://localhost:5000
    """
    with opened(store) as opened_store:
        found = opened_store.call(GetRun(run_id=find_run(opened_store, run))).run
        lost = set() if as_json else _lost(opened_store, [found])
        changes = run_changes(opened_store, found.info.run_id)
    if as_json:
        print_json({**msgspec.structs.asdict(found), "changes": changes})
        return
    info, data = found.info, found.data
    print_fields(
        [
            ("id", info.run_id),
            ("name", info.run_name),
            ("experiment", info.experiment_id),
            ("status", _status(found, lost)),
            ("stage", info.lifecycle_stage),
            ("user", info.user_id),
            ("started", time_text(info.start_time)),
            ("ended", time_text(info.end_time)),
            ("artifacts", info.artifact_uri),
            *((f"param {key}", value) for key, value in sorted(data.params.items())),
            *((f"metric {key}", f"{value:g}") for key, value in sorted(data.metrics.items())),
            *((f"tag {key}", value) for key, value in sorted(data.tags.items())),
            *(("resumed", resume_text(resume)) for resume in changes.resumes),
            *((f"before: {item.key}", f"{item.value} (until {time_text(item.until)})") for item in changes.params),
        ]
    )


@runs.command()
@click.argument("run", nargs=-1, required=True, shell_complete=complete_run)
@json_option
@store_option
def delete(run: tuple[str, ...], as_json: bool, store: str | None) -> None:
    """Put runs into the trash.

    \b
    Examples:
      runlore runs delete 3f2a 91bc
    """
    with opened(store) as opened_store:
        found = [find_run(opened_store, text) for text in run]
        for run_id in found:
            opened_store.call(DeleteRun(run_id=run_id))
    print_done(as_json, "run_ids", found, f"{counted(len(found), 'run')} moved to the trash.")


@runs.command()
@click.argument("run", nargs=-1, required=True, shell_complete=complete_run)
@json_option
@store_option
def restore(run: tuple[str, ...], as_json: bool, store: str | None) -> None:
    """Take runs out of the trash.

    \b
    Examples:
      runlore runs restore 3f2a
    """
    with opened(store) as opened_store:
        found = [find_run(opened_store, text) for text in run]
        for run_id in found:
            opened_store.call(RestoreRun(run_id=run_id))
    print_done(as_json, "run_ids", found, f"{counted(len(found), 'run')} restored.")


@runs.command()
@click.argument("run", nargs=-1, required=True, shell_complete=complete_run)
@click.option("--to", "target", required=True, metavar="EXPERIMENT", shell_complete=complete_experiment, help="Where to.")
@click.option("--children", is_flag=True, help="Take the runs below them along.")
@json_option
@store_option
def move(run: tuple[str, ...], target: str, children: bool, as_json: bool, store: str | None) -> None:
    """Move runs, and the models that they logged, to another experiment. Their files stay where they are.

    \b
    Examples:
      runlore runs move 3f2a --to vegetables
      runlore runs move 3f2a 91bc --to vegetables --children
    """
    with opened(store) as opened_store:
        found = [find_run(opened_store, text) for text in run]
        experiment = find_experiment(opened_store, target)
        operation = MoveRuns(run_ids=found, to_experiment_id=experiment.experiment_id, children=children)
        moved = opened_store.call(operation).run_ids
    where = f"experiment {experiment.experiment_id} ({experiment.name})"
    print_done(as_json, "run_ids", moved, f"{counted(len(moved), 'run')} moved to {where}.")


@runs.command()
@click.argument("a", shell_complete=complete_run)
@click.argument("b", shell_complete=complete_run)
@json_option
@store_option
def diff(a: str, b: str, as_json: bool, store: str | None) -> None:
    """Show what differs between what produced two runs: params, packages, code, machine, environment.

    Ends with status 0 when nothing is known to differ, and with 1 otherwise, as `diff` does.

    \b
    Examples:
      runlore runs diff 3f2a 91bc
      runlore runs diff 3f2a 91bc --json
    """
    with opened(store) as opened_store:
        found = [opened_store.call(GetRun(run_id=find_run(opened_store, text))).run for text in (a, b)]
        snapshots = [load_snapshot(open_blobs(run.info.artifact_uri, opened_store, foreign=True)) for run in found]
        former = [run_changes(opened_store, run.info.run_id).params for run in found]
    result = difference(snapshots[0], snapshots[1], (found[0].data.params, found[1].data.params))
    if as_json:
        print_json({**msgspec.structs.asdict(result), "former_params": {"a": former[0], "b": former[1]}})
    else:
        for run, snapshot in zip(found, snapshots, strict=True):
            if not snapshot:
                click.echo(f"Run {run.info.run_id} was logged without a snapshot.", err=True)
        _print_difference(result)
        for name, items in zip("AB", former, strict=True):
            for item in items:
                told = f"Param {item.key} of {name} was {item.value!r} until {time_text(item.until)}: the run was resumed."
                click.echo(plain(told), err=True)
    raise SystemExit(0 if result.same else 1)


def _print_difference(result: SnapshotDifference) -> None:
    rows = [(section, change) for section, changes in result.sections.items() for change in changes]
    rows += [("package", change) for change in result.packages]
    if rows:
        texts = [
            [section, change.name, *("-" if value is None else str(value) for value in (change.a, change.b))]
            for section, change in rows
        ]
        print_table(["WHAT", "NAME", "A", "B"], texts)
    for line in result.code.splitlines():
        click.echo(plain(line.replace("\t", "    ")))
    if result.same:
        click.echo("Nothing is known to differ.", err=True)
