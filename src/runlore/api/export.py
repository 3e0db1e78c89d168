"""Exports: tables of runs and all metric points, streamed, however many there are.

The files themselves are written by `store/export.py`, on the server or on the client's side: both read the store in pages.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, field

from runlore.api.dashboard import Column
from runlore.api.operation import ExperimentId, Filter, Key, Operation, OrderBy, PageToken, Route, RunId, View, ViewTypeWord
from runlore.entities import Value

RunFormat = Literal["csv", "jsonl", "parquet"]
PointFormat = Literal["csv", "parquet"]

MEDIA = {"csv": "text/csv; charset=utf-8", "jsonl": "application/jsonl", "parquet": "application/vnd.apache.parquet"}
"""What each format is called in HTTP."""


class PointColumns(Value):
    """Points of one metric of one run in the order they were logged: int64 steps and times, float64 values, little-endian."""

    key: str
    steps: bytes
    times: bytes
    values: bytes


class PointPage(Value):
    """Some of the points of a run; `next_page_token` asks for the next ones."""

    series: list[PointColumns] = field(default_factory=list)
    next_page_token: str = ""


class ReadPoints(Operation[PointPage]):
    """All points of a run, metric by metric in order of name: of the metrics in `metrics`, or of all. A page holds up to
    about 100,000 points."""

    route = Route("POST", "runs/{run_id}/points", needs=View("run_id"), base="v1", packed=True)
    run_id: RunId
    metrics: Annotated[list[Key], Meta(max_length=1_000)] = field(default_factory=list)
    page_token: PageToken = ""


class ExportRuns(Operation[bytes]):
    """All runs that match a filter as a file, of the given experiments (none given: all): one row a run.

    Columns are `run_id` and the given ones, or (none given) all that a matching run has. Numbers are written so that they read
    back exactly, non-finite ones as `NaN`, `inf` and `-inf` (in JSON Lines as texts "NaN", "Infinity", "-Infinity"). Parquet
    needs pyarrow or polars beside the server.
    """

    route = Route("GET", "export/runs", needs=View("experiment_ids"), base="v1", also=("POST",), streamed=True)
    experiment_ids: Annotated[list[ExperimentId], Meta(max_length=1_000)] = field(default_factory=list)
    filter: Filter = ""
    columns: Annotated[list[Column], Meta(max_length=10_000)] = field(default_factory=list)
    order_by: OrderBy = field(default_factory=list)
    view_type: ViewTypeWord = "ACTIVE_ONLY"
    format: RunFormat = "csv"


class ExportPoints(Operation[bytes]):
    """All metric points of the runs that match a filter as a file: a row for each, with run_id, key, step, timestamp (Unix
    milliseconds) and value. `metrics` chooses some; numbers are written as in `ExportRuns`."""

    route = Route("GET", "export/points", needs=View("experiment_ids"), base="v1", also=("POST",), streamed=True)
    experiment_ids: Annotated[list[ExperimentId], Meta(max_length=1_000)] = field(default_factory=list)
    filter: Filter = ""
    run_ids: Annotated[list[RunId], Meta(max_length=10_000)] = field(default_factory=list)
    metrics: Annotated[list[Key], Meta(max_length=1_000)] = field(default_factory=list)
    view_type: ViewTypeWord = "ACTIVE_ONLY"
    format: PointFormat = "csv"
