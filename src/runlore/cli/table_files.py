"""Rows of a table in a file, with the line that each stands in: CSV, JSON Lines or Parquet, read as a stream."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from runlore.exceptions import InvalidParameter, MissingDependency

Cell = str | int | float | bool | None
FORMATS = {".csv": "csv", ".tsv": "csv", ".txt": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}
_SAMPLE = 1 << 16
_MOST_TEXT = 1 << 20  # characters of one cell


class Row(NamedTuple):
    """One row: the line (in Parquet the number of the row) that it begins in, and the cells that are not empty."""

    line: int
    cells: dict[str, Cell]


class TableFile:
    """A table in a file. It can be read several times; `columns` are known before the first row."""

    def __init__(self, path: Path, form: str | None = None) -> None:
        """`form` is one of csv, jsonl and parquet; else the ending of the name says it.

        Raises `InvalidParameter` for a file that has no columns, or whose format is not known.
        """
        form = form or FORMATS.get(path.suffix.lower())
        if form is None:
            raise InvalidParameter(f"{path.name!r} does not say its format. End it in {', '.join(FORMATS)}, or give --format.")
        if not path.is_file():
            raise InvalidParameter(f"There is no file {str(path)!r}.")
        self.path, self.form = path, form
        self.columns = self._columns()
        if not self.columns:
            raise InvalidParameter(f"{path.name} has no columns: it is empty.")
        twice = {name for name in self.columns if self.columns.count(name) > 1}
        if twice:
            raise InvalidParameter(f"{path.name} has two columns of the name {min(twice)!r}. Rename one of them.")

    def rows(self) -> Iterator[Row]:
        """The rows, in order. Raises `InvalidParameter` at one that can not be read, and says its line."""
        match self.form:
            case "csv":
                return self._csv()
            case "jsonl":
                return self._json_lines()
        return self._parquet()

    def _columns(self) -> list[str]:
        match self.form:
            case "csv":
                with self._text() as file:
                    return next(self._reader(file), [])
            case "jsonl":
                return list(dict.fromkeys(name for row in self._json_lines() for name in row.cells))
        return [str(name) for name in _parquet_reader(self.path).names]

    def _text(self) -> Any:
        return self.path.open(encoding="utf-8-sig", errors="replace", newline="")

    def _reader(self, file: Any) -> Any:
        sample = file.read(_SAMPLE)
        file.seek(0)
        head = sample.splitlines()[0] if sample.strip() else ""
        sign = max(",;\t|", key=head.count)  # the first of equals: a comma where there is one column
        csv.field_size_limit(_MOST_TEXT)
        return csv.reader(file, delimiter=sign, strict=True)

    def _csv(self) -> Iterator[Row]:
        with self._text() as file:
            reader, line = self._reader(file), 0
            try:
                columns = next(reader)
                line = reader.line_num
                for cells in reader:
                    begun, line = line + 1, reader.line_num
                    if len(cells) > len(columns):
                        raise self.mistake(begun, f"{len(cells)} cells under {len(columns)} columns")
                    if any(cells):
                        yield Row(begun, {name: cell for name, cell in zip(columns, cells, strict=False) if cell != ""})
            except csv.Error as error:
                raise self.mistake(line + 1, str(error)) from None

    def _json_lines(self) -> Iterator[Row]:
        with self._text() as file:
            for line, text in enumerate(file, 1):
                if not text.strip():
                    continue
                try:
                    found = json.loads(text)
                except ValueError as error:
                    raise self.mistake(line, f"no JSON: {error}") from None
                if not isinstance(found, dict):
                    raise self.mistake(line, "expected an object in braces")
                yield Row(line, dict(_flat(found)))

    def _parquet(self) -> Iterator[Row]:
        for number, record in enumerate(_parquet_reader(self.path).records(), 1):
            yield Row(number, dict(_flat(record)))

    def mistake(self, line: int, what: str) -> InvalidParameter:
        """The error of a line."""
        return InvalidParameter(f"{self.path.name}, {'row' if self.form == 'parquet' else 'line'} {line}: {what}.")


def _flat(value: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Cell]]:
    """Nested objects as one, with dots between the names. Lists are JSON texts, what is null is left out."""
    for name, inner in value.items():
        key = f"{prefix}{name}"
        if isinstance(inner, dict):
            yield from _flat(inner, f"{key}.")
        elif isinstance(inner, list):
            yield key, json.dumps(inner, default=str)
        elif isinstance(inner, str | int | float | bool):
            yield key, inner
        elif inner is not None:
            yield key, inner.isoformat() if hasattr(inner, "isoformat") else str(inner)


class _ArrowFile:
    def __init__(self, path: Path) -> None:
        from pyarrow import parquet

        self._file = parquet.ParquetFile(path)
        self.names = self._file.schema_arrow.names

    def records(self) -> Iterator[dict[str, Any]]:
        for batch in self._file.iter_batches(10_000):
            yield from batch.to_pylist()


class _PolarsFile:
    def __init__(self, path: Path) -> None:
        import polars

        try:
            self._frame = polars.read_parquet(path)
        except polars.exceptions.PolarsError as error:
            raise ValueError(str(error)) from None
        self.names = self._frame.columns

    def records(self) -> Iterator[dict[str, Any]]:
        yield from self._frame.iter_rows(named=True)


def _parquet_reader(path: Path) -> _ArrowFile | _PolarsFile:
    for reader in (_ArrowFile, _PolarsFile):
        try:
            return reader(path)
        except ModuleNotFoundError:
            continue
        except (ValueError, OSError) as error:
            raise InvalidParameter(f"{path.name} is no Parquet file: {error}") from None
    raise MissingDependency("Reading Parquet needs pyarrow or polars. hint: pip install pyarrow")
