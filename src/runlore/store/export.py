"""Exports as files: CSV, JSON Lines and Parquet, written while the store is read page by page.

Numbers are written by `repr`, the shortest text that reads back as the same 64 bits. Memory holds a page, and for Parquet a row
group; Parquet goes through a temporary file, because its writers want one.
"""

from __future__ import annotations

import math
import re
import secrets
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, NamedTuple

from runlore.api.dashboard import Cell, GetColumns
from runlore.api.export import ExportPoints, ExportRuns, PointColumns, ReadPoints, ReadRuns
from runlore.api.operation import Operation, encode
from runlore.exceptions import InvalidParameter, MissingDependency

Call = Callable[[Operation[Any]], Any]
"""Carries out an operation, as `Store.call` does."""

MOST_COLUMNS = 10_000
_PIECE = 1 << 18  # bytes of a file that are handed on at once
_FORMULA = re.compile(r"[=+\-@\t\r]")
_QUOTED = re.compile(r'[",\r\n]|^\s|\s$')
_WHOLE = frozenset({"start_time", "end_time", "duration", "last_activity"})
_ATTRIBUTES = (
    "run_name", "experiment_id", "status", "user_id", "start_time", "end_time", "duration", "lifecycle_stage", "artifact_uri",
)  # fmt: skip


class Table(NamedTuple):
    """Columns in order, each with its type, and the rows: in each part a list for each column."""

    columns: dict[str, type]
    parts: Iterable[list[list[Any]]]


def export_runs(call: Call, op: ExportRuns, progress: Callable[[int], object] = int) -> Iterator[bytes]:
    """The pieces of a file of runs. `progress` is told how many rows each part has.

    Raises `InvalidParameter` when there are more columns than a file may have, `MissingDependency` for Parquet without
    pyarrow and polars; both before the first piece.
    """
    columns = op.columns or _all_columns(call, op)
    table = Table({"run_id": str} | {name: _type(name) for name in columns}, _run_parts(call, op, columns, progress))
    match op.format:
        case "jsonl":
            return _json_lines(table)
        case "parquet":
            return _parquet(table)
    return _csv(table, op.spreadsheet)


def export_points(call: Call, op: ExportPoints, progress: Callable[[int], object] = int) -> Iterator[bytes]:
    """The pieces of a file of points. `progress` is told how many points each part has. Raises `MissingDependency`."""
    types: dict[str, type] = {"run_id": str, "key": str, "step": int, "timestamp": int, "value": float}
    table = Table(types, _point_parts(call, op, progress))
    return _parquet(table) if op.format == "parquet" else _csv(table, op.spreadsheet)


# -- reading -----------------------------------------------------------------------------------------------------------


def _all_columns(call: Call, op: ExportRuns) -> list[str]:
    """Attributes, params, metrics and tags that a matching run has, each in order of name."""
    catalogue = call(GetColumns(experiment_ids=op.experiment_ids, filter=op.filter, view_type=op.view_type, limit=MOST_COLUMNS))
    if catalogue.total > len(catalogue.columns):
        raise InvalidParameter(
            f"These runs have {catalogue.total:,} columns; a file may have {MOST_COLUMNS:,}. Name the columns that you want."
        )
    names = {
        kind: sorted(item.name for item in catalogue.columns if item.kind == kind) for kind in ("params", "metrics", "tags")
    }
    return [*(f"attributes.{name}" for name in _ATTRIBUTES), *names["params"], *names["metrics"], *names["tags"]]


def _type(column: str) -> type:
    kind, _, name = column.partition(".")
    if kind in ("metric", "metrics"):
        return float
    return int if (name or kind) in _WHOLE and kind not in ("params", "param", "tags", "tag", "parameters") else str


def _run_parts(call: Call, op: ExportRuns, columns: list[str], progress: Callable[[int], object]) -> Iterator[list[list[Any]]]:
    token = ""
    size = max(10, min(5_000, 200_000 // (len(columns) + 1)))
    while True:
        page = call(
            ReadRuns(
                experiment_ids=op.experiment_ids,
                filter=op.filter,
                run_ids=op.run_ids,
                columns=columns,
                order_by=op.order_by,
                view_type=op.view_type,
                max_results=size,
                page_token=token,
            )
        )
        yield [page.run_ids, *(page.columns[name] for name in columns)]
        progress(len(page.run_ids))
        if not page.next_page_token:
            return
        token = page.next_page_token


def _point_parts(call: Call, op: ExportPoints, progress: Callable[[int], object]) -> Iterator[list[list[Any]]]:
    runs = ExportRuns(experiment_ids=op.experiment_ids, filter=op.filter, run_ids=op.run_ids, view_type=op.view_type)
    for (run_ids,) in _run_parts(call, runs, [], int):
        for run_id in run_ids:
            token = ""
            while True:
                page = call(ReadPoints(run_id=run_id, metrics=op.metrics, page_token=token))
                for series in page.series:
                    steps, times, values = _columns(series)
                    yield [[run_id] * len(steps), [series.key] * len(steps), steps, times, values]
                    progress(len(steps))
                if not page.next_page_token:
                    break
                token = page.next_page_token


def _columns(series: PointColumns) -> tuple[list[int], list[int], list[float]]:
    import numpy as np

    def values(raw: bytes, kind: str) -> list[Any]:
        column: list[Any] = np.frombuffer(raw, kind).tolist()
        return column

    return values(series.steps, "<i8"), values(series.times, "<i8"), values(series.values, "<f8")


# -- CSV and JSON Lines ------------------------------------------------------------------------------------------------


def _csv(table: Table, spreadsheet: bool) -> Iterator[bytes]:
    """Lines end as RFC 4180 says. The byte order mark that some spreadsheets want is not written."""
    write: dict[type, Callable[[Any], str]] = {str: partial(_text, spreadsheet=spreadsheet), int: repr, float: _number}
    kinds = [write[kind] for kind in table.columns.values()]
    head = ",".join(_text(name, spreadsheet) for name in table.columns) + "\r\n"
    for part in table.parts:
        columns = [["" if cell is None else kind(cell) for cell in column] for kind, column in zip(kinds, part, strict=True)]
        yield (head + "".join([",".join(row) + "\r\n" for row in zip(*columns, strict=True)])).encode()
        head = ""
    if head:
        yield head.encode()


def _number(value: float) -> str:
    return "NaN" if math.isnan(value) else repr(float(value))


def _text(cell: Any, spreadsheet: bool) -> str:
    text = str(cell)
    if spreadsheet and _FORMULA.match(text) and not _is_number(text):
        text = "'" + text
    if not text or _QUOTED.search(text):
        return '"' + text.replace('"', '""') + '"'
    return text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _json_lines(table: Table) -> Iterator[bytes]:
    """What a run does not have is left out."""
    names = list(table.columns)
    for part in table.parts:
        rows = (
            {name: cell for name, cell in zip(names, row, strict=True) if cell is not None} for row in zip(*part, strict=True)
        )
        yield b"".join([_line(row) + b"\n" for row in rows])


def _line(row: dict[str, Cell]) -> bytes:
    return encode({name: _word(cell) if isinstance(cell, float) else cell for name, cell in row.items()})


def _word(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


# -- Parquet -----------------------------------------------------------------------------------------------------------


def _parquet(table: Table) -> Iterator[bytes]:
    """pyarrow where it is installed, else polars."""
    write = _with_pyarrow if find_spec("pyarrow") else _with_polars if find_spec("polars") else None
    if write is None:
        raise MissingDependency("Parquet is written by pyarrow or polars, and neither is installed. hint: pip install pyarrow")
    return _written(write, table)


def _written(write: Callable[[Table, IO[bytes]], None], table: Table) -> Iterator[bytes]:
    with TemporaryFile() as file:
        write(table, file)
        file.seek(0)
        while piece := file.read(_PIECE):
            yield piece


def _with_pyarrow(table: Table, file: IO[bytes]) -> None:
    import pyarrow
    from pyarrow import parquet

    kinds = {str: pyarrow.string(), int: pyarrow.int64(), float: pyarrow.float64()}
    schema = pyarrow.schema([(name, kinds[kind]) for name, kind in table.columns.items()])
    with parquet.ParquetWriter(file, schema) as writer:
        for part in _groups(table):
            columns = [pyarrow.array(column, type_) for column, type_ in zip(part, schema.types, strict=True)]
            writer.write_table(pyarrow.Table.from_arrays(columns, schema=schema))


def _with_polars(table: Table, file: IO[bytes]) -> None:
    import polars
    from polars.io.plugins import register_io_source

    kinds = {str: polars.String, int: polars.Int64, float: polars.Float64}
    schema = {name: kinds[kind] for name, kind in table.columns.items()}

    def frames(with_columns: Any, predicate: Any, n_rows: Any, batch_size: Any) -> Iterator[polars.DataFrame]:
        for part in _groups(table):
            yield polars.DataFrame(dict(zip(schema, part, strict=True)), schema=schema)

    register_io_source(frames, schema=schema).sink_parquet(file)


def _groups(table: Table) -> Iterator[list[list[Any]]]:
    """Parts joined to row groups of about a million cells; at least one, so that a file without rows has its columns."""
    size = max(1_000, 1_000_000 // len(table.columns))
    group: list[list[Any]] = [[] for _ in table.columns]
    for part in table.parts:
        for column, more in zip(group, part, strict=True):
            column.extend(more)
        if len(group[0]) >= size:
            yield group
            group = [[] for _ in table.columns]
    yield group


# -- files -------------------------------------------------------------------------------------------------------------


def written(place: str | Path | IO[bytes], pieces: Callable[[Callable[[int], object]], Iterator[bytes]]) -> int:
    """Write an export to a file, or to something that takes bytes; returns how many rows it has.

    `pieces` is given what wants to be told of progress. A path gets its file when it is whole: what was there before is
    replaced at once, and an error leaves it as it was.
    """
    rows = 0

    def count(more: int) -> None:
        nonlocal rows
        rows += more

    if not isinstance(place, str | Path):
        for piece in pieces(count):
            place.write(piece)
        return rows
    path = Path(place)
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with part.open("xb") as file:
            for piece in pieces(count):
                file.write(piece)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return rows
