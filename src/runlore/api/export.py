"""Exports: tables of runs and all metric points, streamed, however many there are.

The files are written by `store/export.py`, on the server or beside the client: both read the store in pages.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, field

from runlore.api.dashboard import Cell, Column
from runlore.api.operation import ExperimentId, Filter, Key, Operation, OrderBy, PageToken, Route, RunId, View, ViewTypeWord
from runlore.entities import Value

RunFormat = Literal["csv", "jsonl", "parquet"]
PointFormat = Literal["csv", "parquet"]
RunIds = Annotated[list[RunId], Meta(max_length=10_000)]

MEDIA = {"csv": "text/csv; charset=utf-8", "jsonl": "application/jsonl", "parquet": "application/vnd.apache.parquet"}
"""What each format is called in HTTP."""


class RunPage(Value):
    """Some rows of a table: `columns[name][i]` belongs to `run_ids[i]`. `next_page_token` asks for the next ones."""

    run_ids: list[str] = field(default_factory=list)
    columns: dict[str, list[Cell]] = field(default_factory=dict)
    next_page_token: str | None = None


class PointColumns(Value):
    """Points of one metric of one run in the order they were logged: int64 steps and times (Unix ms), float64 values,
    little-endian."""

    key: str
    steps: bytes
    times: bytes
    values: bytes


class PointPage(Value):
    """Some of the points of a run. `next_page_token` asks for the next ones."""

    series: list[PointColumns] = field(default_factory=list)
    next_page_token: str | None = None


class ReadRuns(Operation[RunPage]):
    """A page of the table of all runs that match a filter, of the given experiments (none given: all). `run_ids` narrows them.

    Pages follow the order and neither skip nor repeat a run that is there all the time.
    """

    route = Route("POST", "runs/read", needs=View("experiment_ids"), base="v1", packed=True)
    experiment_ids: Annotated[list[ExperimentId], Meta(max_length=1_000)] = field(default_factory=list)
    filter: Filter = ""
    run_ids: RunIds = field(default_factory=list)
    columns: Annotated[list[Column], Meta(max_length=10_000)] = field(default_factory=list)
    order_by: OrderBy = field(default_factory=list)
    view_type: ViewTypeWord = "ACTIVE_ONLY"
    max_results: Annotated[int, Meta(ge=1, le=5_000)] = 1_000
    page_token: PageToken = ""


class ReadPoints(Operation[PointPage]):
    """All points of a run, metric by metric in order of name: of the metrics in `metrics`, or of all. A page holds about
    100,000 points."""

    route = Route("POST", "runs/{run_id}/points", needs=View("run_id"), base="v1", packed=True)
    run_id: RunId
    metrics: Annotated[list[Key], Meta(max_length=1_000)] = field(default_factory=list)
    page_token: PageToken = ""


class ExportRuns(Operation[bytes]):
    """All runs that match a filter as a file, of the given experiments (none given: all): one row a run.

    Columns are `run_id` and the given ones, or (none given) all that a matching run has. Numbers are written so that they read
    back exactly, non-finite ones as `NaN`, `inf` and `-inf` (in JSON Lines as the texts "NaN", "Infinity", "-Infinity"); params
    and tags are texts, as they were logged. In CSV a cell is empty where a run has nothing, `""` where it has an empty text;
    with `spreadsheet`, texts that a spreadsheet would take for a formula begin with `'`. Parquet needs pyarrow or polars.
    """

    route = Route("GET", "export/runs", needs=View("experiment_ids"), base="v1", also=("POST",), streamed=True)
    experiment_ids: Annotated[list[ExperimentId], Meta(max_length=1_000)] = field(default_factory=list)
    filter: Filter = ""
    run_ids: RunIds = field(default_factory=list)
    columns: Annotated[list[Column], Meta(max_length=10_000)] = field(default_factory=list)
    order_by: OrderBy = field(default_factory=list)
    view_type: ViewTypeWord = "ACTIVE_ONLY"
    format: RunFormat = "csv"
    spreadsheet: bool = False


class ExportPoints(Operation[bytes]):
    """All metric points of the runs that match a filter as a file: a row for each point, with the columns run_id, key, step,
    timestamp (Unix milliseconds) and value, run by run, the newest first, each metric in the order of logging.

    `metrics` chooses some of the metrics. Numbers, `spreadsheet` and Parquet are as in `ExportRuns`.
    """

    route = Route("GET", "export/points", needs=View("experiment_ids"), base="v1", also=("POST",), streamed=True)
    experiment_ids: Annotated[list[ExperimentId], Meta(max_length=1_000)] = field(default_factory=list)
    filter: Filter = ""
    run_ids: RunIds = field(default_factory=list)
    metrics: Annotated[list[Key], Meta(max_length=1_000)] = field(default_factory=list)
    view_type: ViewTypeWord = "ACTIVE_ONLY"
    format: PointFormat = "csv"
    spreadsheet: bool = False
