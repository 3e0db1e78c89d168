"""`runlore export`: all runs, or all metric points, as a file."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

from runlore.api.dashboard import QueryRuns
from runlore.api.export import ExportPoints, ExportRuns
from runlore.api.operation import encode
from runlore.cli.output import counted
from runlore.cli.stores import complete_experiment, complete_run, find_experiment, find_run, json_option, opened, store_option
from runlore.exceptions import InvalidParameter
from runlore.store.base import Store
from runlore.store.export import export_points, export_runs, written

_FORMATS = {".csv": "csv", ".jsonl": "jsonl", ".parquet": "parquet"}


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def export() -> None:
    """Write all runs, or all metric points, to a file.

    FILE is the file to write, `-` for standard output. Its name says the format (.csv, .jsonl, .parquet) unless --format does.
    Numbers read back exactly.

    \b
    Examples:
      runlore export runs runs.csv --experiment fruit
      runlore export runs - --filter "metrics.loss < 0.1" --column params.lr --column metrics.loss@min
      runlore export runs runs.parquet --store http://localhost:5000
      runlore export metrics points.csv --run 3f2a --metric loss
    """


def _common(command: Callable[..., None]) -> Callable[..., None]:
    for option in (
        store_option,
        json_option,
        click.option(
            "--spreadsheet", is_flag=True, help="Put ' before texts that a spreadsheet would take for a formula (CSV)."
        ),
        click.option("--filter", "query", default="", metavar="TEXT", help="Which runs, in Runlore's grammar."),
        click.option(
            "--experiment", "-e", multiple=True, shell_complete=complete_experiment, help="Only of these; else of all."
        ),
        click.argument("file", metavar="FILE"),
    ):
        command = option(command)
    return command


@export.command("runs")
@_common
@click.option("--column", "-c", multiple=True, help="Such as params.lr or metrics.loss@min; else all.")
@click.option("--order-by", multiple=True, metavar="TEXT", help='Such as "metrics.loss ASC"; else the newest first.')
@click.option("--deleted", "view", flag_value="DELETED_ONLY", help="Those in the trash.")
@click.option("--all", "view", flag_value="ALL", help="Both.")
@click.option("--format", "form", type=click.Choice(["csv", "jsonl", "parquet"]), help="What to write.")
def runs(
    file: str,
    experiment: tuple[str, ...],
    query: str,
    column: tuple[str, ...],
    order_by: tuple[str, ...],
    view: str | None,
    form: str | None,
    spreadsheet: bool,
    as_json: bool,
    store: str | None,
) -> None:
    """Write a row for each run.

    \b
    Examples:
      runlore export runs runs.csv --experiment fruit
      runlore export runs - --column params.lr --column metrics.loss@min
    """
    with opened(store) as opened_store:
        operation = ExportRuns(
            experiment_ids=[find_experiment(opened_store, text).experiment_id for text in experiment],
            filter=query,
            columns=list(column),
            order_by=list(order_by),
            view_type=view or "ACTIVE_ONLY",  # type: ignore[arg-type]  # one of the three words
            format=form or _format(file),  # type: ignore[arg-type]
            spreadsheet=spreadsheet,
        )
        size = _runs(opened_store, operation)
        with _bar(size, "runs") as bar:
            count = _write(file, lambda told: export_runs(opened_store.call, operation, lambda n: (told(n), bar(n))))
    _tell(as_json, file, count, "run")


@export.command("metrics")
@_common
@click.option("--run", "-r", multiple=True, shell_complete=complete_run, help="Only of these runs.")
@click.option("--metric", "-m", multiple=True, help="Only this metric; may be given several times.")
@click.option("--format", "form", type=click.Choice(["csv", "parquet"]), help="What to write.")
def metrics(
    file: str,
    experiment: tuple[str, ...],
    query: str,
    run: tuple[str, ...],
    metric: tuple[str, ...],
    form: str | None,
    spreadsheet: bool,
    as_json: bool,
    store: str | None,
) -> None:
    """Write a row for each metric point: run_id, key, step, timestamp (Unix ms), value.

    \b
    Examples:
      runlore export metrics points.parquet
      runlore export metrics points.csv --run 3f2a --metric loss
    """
    with opened(store) as opened_store:
        operation = ExportPoints(
            experiment_ids=[find_experiment(opened_store, text).experiment_id for text in experiment],
            filter=query,
            run_ids=[find_run(opened_store, text) for text in run],
            metrics=list(metric),
            format=form or _format(file),  # type: ignore[arg-type]
            spreadsheet=spreadsheet,
        )
        with _bar(None, "points") as bar:
            count = _write(file, lambda told: export_points(opened_store.call, operation, lambda n: (told(n), bar(n))))
    _tell(as_json, file, count, "point")


def _tell(as_json: bool, file: str, count: int, noun: str) -> None:
    """How many rows were written; not into the file itself, where that is standard output."""
    if as_json:
        click.echo(encode({"file": file, "rows": count}), err=file == "-")
    else:
        click.echo(f"{counted(count, noun)} written.", err=True)


def _format(file: str) -> str:
    if file == "-":
        return "csv"
    ending = file[file.rfind(".") :].lower() if "." in file else ""
    if ending not in _FORMATS:
        raise InvalidParameter(f"{file!r} does not say the format. End it in {', '.join(_FORMATS)}, or give --format.")
    return _FORMATS[ending]


def _runs(store: Store, operation: ExportRuns) -> int:
    query = QueryRuns(experiment_ids=operation.experiment_ids, filter=operation.filter, limit=1, view_type=operation.view_type)
    return store.call(query).total


def _write(file: str, pieces: Callable[[Callable[[int], object]], Iterator[bytes]]) -> int:
    return written(sys.stdout.buffer if file == "-" else file, pieces)


@contextmanager
def _bar(size: int | None, noun: str) -> Iterator[Callable[[int], object]]:
    """A progress bar on a terminal; of unknown size, a count."""
    if not sys.stderr.isatty():
        yield int
        return
    if size is not None:
        with click.progressbar(length=size, label=f"Writing {noun}", file=sys.stderr) as bar:
            yield bar.update
        return
    done = 0

    def count(more: int) -> None:
        nonlocal done
        done += more
        click.echo(f"\r{done:,} {noun}", nl=False, err=True)

    yield count
    click.echo(err=True)
