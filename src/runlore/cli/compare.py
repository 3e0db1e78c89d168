"""`runlore runs compare`: runs side by side."""

from __future__ import annotations

from typing import Any

import click

from runlore.api.compare import CompareRuns
from runlore.api.dashboard import QueryRuns
from runlore.cli.output import duration_text, print_json, print_table, time_text
from runlore.cli.stores import complete_run, find_run, json_option, opened, store_option
from runlore.fluent.compare import comparison_rows

_SHOWN = 8  # digits of a run id above a column


@click.command("compare")
@click.argument("run", nargs=-1, required=True, shell_complete=complete_run)
@click.option("--all", "everything", is_flag=True, help="What is equal too.")
@json_option
@store_option
def compare(run: tuple[str, ...], everything: bool, as_json: bool, store: str | None) -> None:
    """Show what differs between runs.

    The table has a row for each param, metric, tag … in which they differ, and a column for each run. On a terminal it fits the
    width; in a pipe every cell is whole.

    \b
    Examples:
      runlore runs compare 3f2a 91bc
      runlore runs compare 3f2a 91bc 77d0 --all --json
    """
    with opened(store) as opened_store:
        ids = [find_run(opened_store, text) for text in run]
        if len(set(ids)) < 2:
            raise click.UsageError("Name two runs or more.")
        comparison = opened_store.call(CompareRuns(run_ids=ids, differences_only=not everything))
        query = QueryRuns(
            filter=f"attributes.run_id IN ({', '.join(repr(run_id) for run_id in ids)})",
            columns=["attributes.run_name"],
            view_type="ALL",
        )
        table = opened_store.call(query)
    if as_json:
        print_json(comparison)
        return
    names = dict(zip(table.run_ids, table.columns["attributes.run_name"], strict=True))
    titles = ["", *(f"{names.get(run_id, '')} {run_id[:_SHOWN]}" for run_id in ids)]
    rows = [[key, *(_cell(key, value) for value in values)] for key, values, _ in comparison_rows(comparison)]
    if rows:
        print_table(titles, rows)
    sections = [("attributes", comparison.attributes), ("params", comparison.params), ("metrics", comparison.metrics),
                ("tags", comparison.tags), ("datasets", comparison.datasets)]  # fmt: skip
    told = [f"{section.differing} of {section.equal + section.differing} {name}" for name, section in sections if section]
    click.echo(f"Different: {', '.join(told)}.", err=True)


_TIMES = {
    "attributes.start_time": time_text,
    "attributes.end_time": time_text,
    "attributes.duration": duration_text,
}


def _cell(key: str, value: Any) -> str:
    """Numbers short enough to compare by eye, and times as people write them; `--json` has them whole."""
    if value is None:
        return "-"
    if key in _TIMES:
        return _TIMES[key](int(value))
    return f"{value:.6g}" if isinstance(value, float) else str(value)
