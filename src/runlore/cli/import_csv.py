"""`runlore import-csv`: runs from a table that a spreadsheet, a script or another tracker has written."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import msgspec

from runlore.api.experiments import CreateExperiment
from runlore.cli.output import counted, plain, print_fields, print_json
from runlore.cli.stores import complete_experiment, existing_store, find_experiment, json_option, store_option
from runlore.cli.table_columns import Columns, Layout, Wishes
from runlore.cli.table_files import TableFile
from runlore.cli.table_runs import Imported, RunsTable
from runlore.exceptions import InvalidState, NotFound
from runlore.settings import settings
from runlore.store import location
from runlore.store.base import Store, open_store

_MEANINGS = ("run", "name", "step", "time", "key", "value", "status", "start", "end", "user")
_KINDS = ("param", "metric", "tag", "ignore")


class Answer(msgspec.Struct):
    """What `--json` prints."""

    experiment: str
    columns: Columns
    runs: list[str]
    new: int
    known: int
    points: int
    problems: list[str]
    dry_run: bool


def _column_options(command: Callable[..., None]) -> Callable[..., None]:
    for kind in reversed(_KINDS):
        about = (
            "A column to leave out." if kind == "ignore" else f"A column of {kind}s; may hold *, may be given several times."
        )
        command = click.option(f"--{kind}", multiple=True, metavar="COLUMN", help=about)(command)
    for meaning in reversed(_MEANINGS):
        command = click.option(f"--{meaning}", metavar="COLUMN", help=_ABOUT[meaning])(command)
    return command


_ABOUT = {
    "run": "The column that says which run a row belongs to.", "name": "The column of the runs' names.",
    "step": "The column of the steps.", "time": "The column of the points' times.",
    "key": "The column of the metrics' names.", "value": "The column of the metrics' values.",
    "status": "The column of the runs' statuses.", "start": "The column of the times at which runs began.",
    "end": "The column of the times at which they ended.", "user": "The column of who ran them.",
}  # fmt: skip


@click.command("import-csv")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False, allow_dash=True))
@click.option("--experiment", "-e", default=None, shell_complete=complete_experiment, help="Where to; made when there is none.")
@click.option("--layout", type=click.Choice(["runs", "steps", "points"]), help="What a row is; else the columns say it.")
@click.option("--run-name", metavar="NAME", help="The name of the run, where a file holds one; else that of the file.")
@click.option("--format", "form", type=click.Choice(["csv", "jsonl", "parquet"]), help="Else the file's ending says it.")
@click.option("--dry-run", is_flag=True, help="Say what would be imported, and change nothing.")
@_column_options
@json_option
@store_option
@click.help_option("-h", "--help")
def import_csv(
    file: Path,
    experiment: str | None,
    layout: Layout | None,
    run_name: str | None,
    form: str | None,
    dry_run: bool,
    as_json: bool,
    store: str | None,
    **columns: str | tuple[str, ...] | None,
) -> None:
    """Import runs from a table: CSV, JSON Lines or Parquet (`-`: CSV from standard input).

    \b
    A row is one of
      a run      columns are params, metrics and tags: params.lr, metrics.loss, tags.team; of columns without
                 a prefix those of numbers are metrics, the others params
      a step     of a run: a column step (or epoch …), and a column for each metric, as Keras, Lightning and
                 YOLO write them; with a column run, of several runs
      a point    columns run, key, step, value, as `runlore export metrics` writes them

    What other columns mean is known by their names (run_id, run_name, start_time, status, timestamp …) or said by options.
    --dry-run shows how the columns are understood. The file is read to its end before anything is written; lines with mistakes
    are named, and then nothing is. Importing the same file again adds only what is new.

    \b
    Examples:
      runlore import-csv results.csv --experiment fruit --dry-run
      runlore import-csv results.csv --experiment fruit --param seed --param "n_*"
      runlore import-csv logs/metrics.csv --experiment fruit --run-name "resnet 18"
      runlore import-csv wandb_export.csv -e fruit --param lr --ignore "_*"
      runlore import-csv points.parquet --store http://localhost:5000

    Exit code: 0, or 1 when lines could not be imported.
    """
    wishes = Wishes(
        layout=layout,
        meanings={meaning: str(columns[meaning]) for meaning in _MEANINGS if columns[meaning]},
        kinds={kind: [str(column) for column in columns[kind] or ()] for kind in _KINDS},
    )
    with _file(file, form) as table:
        found = Columns.of(table, wishes)
        name = experiment or "Default"
        runs = RunsTable(table, found, name, run_name)
        if not as_json:
            _tell_columns(file.name, runs, found)
        runs.check()
        if dry_run:
            done = Imported()
        else:
            with _target(store) as target, _bar(table) as told:
                done = runs.bring(target, _experiment(target, name), told)
    if as_json:
        print_json(Answer(name, found, list(runs.runs), done.new, done.known, done.points, done.problems, dry_run))
    else:
        _tell(runs, done, name, dry_run)
    sys.exit(1 if done.problems else 0)


@contextmanager
def _file(file: Path, form: str | None) -> Iterator[TableFile]:
    """The table; standard input is kept in a file first, because it is read twice."""
    if str(file) != "-":
        yield TableFile(file, form)
        return
    with TemporaryDirectory() as directory:
        copy = Path(directory, f"stdin.{form or 'csv'}")
        with copy.open("wb") as kept:
            shutil.copyfileobj(sys.stdin.buffer, kept)
        yield TableFile(copy, form)


@contextmanager
def _target(uri: str | None) -> Iterator[Store]:
    """The store that is meant; one on this machine is made when there is none, as logging would."""
    try:
        place = existing_store(uri)
    except InvalidState:
        place = uri or settings().tracking_uri or str(location.locate())
    with closing(open_store(place)) as store:
        yield store


def _experiment(store: Store, name: str) -> str:
    try:
        return find_experiment(store, name).experiment_id
    except NotFound:
        return store.call(CreateExperiment(name=name)).experiment_id


@contextmanager
def _bar(table: TableFile) -> Iterator[Callable[[int], object]]:
    """A progress bar on a terminal, by the lines of the file."""
    if not sys.stderr.isatty():
        yield int
        return
    last = 0
    for row in table.rows():
        last = row.line
    with click.progressbar(length=last, label="Importing", file=sys.stderr) as bar:
        yield lambda line: bar.update(line - bar.pos)


def _tell_columns(name: str, runs: RunsTable, columns: Columns) -> None:
    row = {"runs": "a run", "steps": "a step", "points": "a metric point"}[columns.layout]
    click.echo(f"{plain(name)}: {counted(len(runs.runs), 'run')}; a row is {row}.")
    rows = [(meaning, column.strip()) for meaning, column in columns.meanings.items()]
    for kind, keys in (("params", columns.params), ("metrics", columns.metrics), ("tags", columns.tags)):
        if keys:
            rows.append((kind, ", ".join(keys.values())))
    if columns.ignored:
        rows.append(("left out", ", ".join(map(str.strip, columns.ignored))))
    if rows:
        print_fields([(f"  {what}", which) for what, which in rows])


def _tell(runs: RunsTable, done: Imported, name: str, dry_run: bool) -> None:
    if dry_run:
        points = sum(run.points for run in runs.runs.values())
        click.echo(f"{counted(len(runs.runs), 'run')} with {counted(points, 'metric point')} would go into {plain(name)!r}.")
        return
    click.echo(
        f"{counted(done.new, 'run')} made in {plain(name)!r}, {done.known:,} there before; "
        f"{counted(done.points, 'metric point')} logged, each kept once."
    )
    for problem in done.problems:
        click.echo(plain(problem), err=True)
