"""Requests of a scoring server: bytes and a content type become what a model's `predict` takes.

The protocol is MLflow's: CSV, Parquet, or JSON with exactly one of `dataframe_split`, `dataframe_records`, `instances` and
`inputs`, and with `params` beside it. Values are brought to the types of the model's signature where nothing is lost by it:
texts that are numbers, base64 that is bytes, ISO dates. Missing values are allowed in every column. What would lose something
(1.5 in a column of integers, the text "false" in one of booleans) is refused, where MLflow's server cuts it off.
"""

from __future__ import annotations

import base64
import binascii
import csv
import json
from dataclasses import dataclass
from io import BytesIO, StringIO
from itertools import islice
from typing import Any

import msgspec

from runlore.exceptions import BadRequest, InvalidParameter, MissingDependency
from runlore.models.enforce import is_exact
from runlore.models.signature import ModelSignature
from runlore.types.datatypes import DataType
from runlore.types.schema import Schema, TensorSpec
from runlore.web.http import Refused

CSV, JSON, PARQUET = "text/csv", "application/json", "application/vnd.apache.parquet"
CONTENT_TYPES = (CSV, JSON, PARQUET)
FORMATS = ("dataframe_split", "dataframe_records", "instances", "inputs")
_LANGUAGE_MODEL_KEYS = ("messages", "prompt", "input")
"""A request with one of these is a model's own dictionary (chat, completions, embeddings): it is handed on as it is."""

MAX_COLUMNS = 50_000
"""Of a table: pandas takes 0.2 ms for each, so that one short request could hold a thread for minutes."""

MAX_CELLS = 2**25
"""Of a table, its gaps among them: a body of 64 MiB holds no more values, but a short one can ask for billions of gaps."""

_decoder = msgspec.json.Decoder()


@dataclass(frozen=True)
class Question:
    """What a model is asked: data, parameters, and whether the answer goes out bare, without `{"predictions": …}`."""

    data: Any
    params: dict[str, Any] | None = None
    bare: bool = False


def media_type(content_type: str | None) -> str:
    """One of `CONTENT_TYPES`. Raises `Refused` (415) for others, other character sets and parameters without a meaning."""
    kind, *rest = (part.strip() for part in (content_type or "").split(";"))
    for parameter in filter(None, rest):
        name, _, value = parameter.partition("=")
        if name.strip().lower() != "charset":
            raise _unsupported(f"The content type has a parameter that means nothing here: {name.strip()[:50]!r}.")
        if value.strip().strip('"').lower() not in ("utf-8", "utf8"):
            raise _unsupported("Text has to be UTF-8.")
    if kind.lower() not in CONTENT_TYPES:
        raise _unsupported(f"Expected a content type of {', '.join(CONTENT_TYPES)}; got {(content_type or '')[:100]!r}.")
    return kind.lower()


def _unsupported(message: str) -> Refused:
    return Refused(415, BadRequest.error_code, message)


def parse(body: bytes, media: str, signature: ModelSignature | None) -> Question:
    """What a body of a media type asks. Raises `BadRequest` saying what is wrong with it."""
    schema = signature.inputs if signature else None
    if media == JSON:
        return parse_document(_document(body), signature)
    return Question(to_schema(_csv(body, schema) if media == CSV else _parquet(body), schema))


def parse_document(document: Any, signature: ModelSignature | None) -> Question:
    """What a decoded JSON body asks."""
    if not isinstance(document, dict):
        raise BadRequest(f"Expected a JSON object with exactly one of {', '.join(FORMATS)}; got {_kind(document)}.")
    if any(key in document for key in _LANGUAGE_MODEL_KEYS):
        known = {spec.name for spec in signature.params} if signature and signature.params else set()
        data = {key: value for key, value in document.items() if key not in known}
        return Question(data, {key: value for key, value in document.items() if key in known}, bare=True)
    present = [name for name in FORMATS if name in document]
    if len(present) != 1:
        raise BadRequest(f"Expected a JSON object with exactly one of {', '.join(FORMATS)}; got {sorted(document)[:20]}.")
    params = document.get("params")
    if params is not None and not isinstance(params, dict):
        raise InvalidParameter(f"params must be a JSON object, got {_kind(params)}.")
    (name,), schema = present, signature.inputs if signature else None
    given = document[name]
    if signature is not None and signature.from_type_hint:
        if name != "inputs":
            raise InvalidParameter(f"The model's predict has a type hint: it takes inputs, not {name}.")
        return Question(given, params)
    if name == "dataframe_split":
        return Question(to_schema(_split(given), schema), params)
    if name == "dataframe_records":
        return Question(to_schema(_records(given), schema), params)
    return Question(_values(given, schema, stacked=name == "instances"), params)


def _document(body: bytes) -> Any:
    try:
        return _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    try:
        return json.loads(body)  # knows NaN and Infinity, which MLflow's clients write
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"The body is not valid JSON: {str(error)[:200] or type(error).__name__}.") from None


def _kind(value: Any) -> str:
    words = {dict: "an object", list: "a list", str: "a text", bool: "a truth value", type(None): "null"}
    return words.get(type(value), "a number")


# -- tables ---------------------------------------------------------------------------------------------------------------


def _split(given: Any) -> Any:
    if not isinstance(given, dict):
        raise BadRequest(f"dataframe_split must be an object with data, and maybe columns and index; got {_kind(given)}.")
    if "data" not in given or given.keys() - {"data", "columns", "index"}:
        raise BadRequest(f"dataframe_split must have data, and maybe columns and index; got {sorted(given)[:20]}.")
    return _frame("dataframe_split", given["data"], columns=given.get("columns"), index=given.get("index"))


def _records(given: Any) -> Any:
    if not isinstance(given, list):
        raise BadRequest(f"dataframe_records must be a list of objects, got {_kind(given)}.")
    return _frame("dataframe_records", given)


def _frame(name: str, data: Any, **shape: Any) -> Any:
    rows = data if isinstance(data, list) else [data, shape.get("columns")]
    if max((len(row) for row in rows if isinstance(row, dict | list)), default=0) > MAX_COLUMNS:
        raise _too_wide()
    if isinstance(data, list):  # objects with different names are padded to a table of all of them
        _check_size(len(data), len({name for row in data if isinstance(row, dict) for name in row}))
    elif isinstance(data, dict):  # and so are objects in objects
        _check_size(len({name for column in data.values() if isinstance(column, dict) for name in column}), len(data))
    try:
        return _pandas().DataFrame(data, **shape)
    except (ValueError, TypeError, KeyError, IndexError, AssertionError, AttributeError, OverflowError) as error:
        raise BadRequest(f"{name} is no table: {str(error)[:300]}.") from None


def _check_size(rows: int, columns: int) -> None:
    if columns > MAX_COLUMNS:
        raise _too_wide()
    if rows * columns > MAX_CELLS:
        raise BadRequest(f"The table would have {rows:,} rows of {columns:,} columns; {MAX_CELLS:,} values are allowed.")


def _too_wide() -> BadRequest:
    return BadRequest(f"The table has more than {MAX_COLUMNS:,} columns.")


def _csv(body: bytes, schema: Schema | None) -> Any:
    if body.partition(b"\n")[0].count(b",") >= MAX_COLUMNS:
        raise _too_wide()
    pandas = _pandas()
    texts = {spec.name: object for spec in schema or () if spec.type is DataType.string and spec.name is not None}
    try:
        text = body.decode()
        widths = (len(row) for row in csv.reader(StringIO(text)) if row)
        _check_size(body.count(b"\n") + body.count(b"\r"), max(islice(widths, 2), default=0))  # titles and first row decide
        return pandas.read_csv(StringIO(text), dtype=texts)
    except (csv.Error, ValueError, TypeError, OverflowError) as error:  # pandas' parser errors are ValueErrors
        raise BadRequest(f"The body is no CSV with a line of titles, as pandas.DataFrame.to_csv writes it: {error}.") from None


def _parquet(body: bytes) -> Any:
    """A table by pandas with pyarrow or fastparquet, else by polars."""
    pandas = _pandas()
    try:
        return pandas.read_parquet(BytesIO(body))
    except (ValueError, OSError) as error:
        raise BadRequest(f"The body is no Parquet file: {str(error)[:200]}.") from None
    except ImportError:
        pass
    try:
        import polars
    except ImportError:
        raise MissingDependency("This server reads no Parquet. hint: install pyarrow beside it, or send CSV or JSON.") from None
    try:
        frame = polars.read_parquet(BytesIO(body))
    except (polars.exceptions.PolarsError, OSError) as error:
        raise BadRequest(f"The body is no Parquet file: {str(error)[:200]}.") from None
    return pandas.DataFrame({name: frame[name].to_list() for name in frame.columns})


def _pandas() -> Any:
    try:
        import pandas
    except ImportError:
        raise MissingDependency("Tables need pandas. hint: pip install 'runlore[pandas]', or send arrays as inputs") from None
    return pandas


def to_schema(table: Any, schema: Schema | None) -> Any:
    """A table with its columns in the types of a schema, where nothing is lost by it; the rest is for the model to refuse."""
    if schema is None or schema.is_tensor_spec():
        return table
    named = schema.has_input_names()
    if named and is_exact(table, schema):
        return table
    for position, spec in enumerate(schema):
        place = spec.name if named else position
        if not isinstance(spec.type, DataType) or (place not in table.columns if named else place >= len(table.columns)):
            continue
        values = table[place] if named else table.iloc[:, place]
        if getattr(values, "ndim", 1) != 1:
            raise BadRequest(f"The table has several columns {place!r}.")
        converted = _column(values, spec.type, place)
        if converted is values:
            continue
        if named:
            table[place] = converted
        else:
            table.isetitem(place, converted)
    return table


def _column(values: Any, kind: DataType, name: Any) -> Any:
    found = values.dtype.kind
    if kind is DataType.binary:
        return values.map(_bytes_of, na_action="ignore")
    if kind in (DataType.string, DataType.boolean):
        exact = kind is DataType.boolean and found in "iuf" and values.isin((0, 1)).all()
        return values.astype(bool) if exact else values
    pandas = _pandas()
    try:
        if kind is DataType.datetime:
            return _times(values, pandas) if found == "O" or values.isna().all() else values
        if found == "b":
            return values.astype("int64")
        return pandas.to_numeric(values) if found == "O" else values
    except (ValueError, TypeError, OverflowError) as error:
        raise BadRequest(f"Column {name!r} can not be read as {kind!r}: {str(error)[:200]}.") from None


def _times(values: Any, pandas: Any) -> Any:
    times = pandas.to_datetime(values)
    return times.astype("datetime64[ns]") if getattr(times.dtype, "tz", None) is None else times


def _bytes_of(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return base64.b64decode("".join(value.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadRequest(f"A value of a binary column is not base64: {error}.") from None


# -- arrays ---------------------------------------------------------------------------------------------------------------


def _values(given: Any, schema: Schema | None, *, stacked: bool) -> Any:
    """`instances` (`stacked`: rows) and `inputs`: arrays, dictionaries of arrays, tables for a signature of columns."""
    rows = isinstance(given, list) and bool(given) and all(isinstance(item, dict) for item in given)
    if schema is not None and not schema.is_tensor_spec():
        return _columns(given, schema, rows)
    if schema is not None and schema.has_input_names():
        given = _stack(given) if rows else given
        specs = schema.input_dict()
        return {key: _array(value, specs.get(key)) for key, value in given.items()} if isinstance(given, dict) else given
    if schema is not None and isinstance(given, dict):
        raise BadRequest("The model takes one array without a name, got an object.")
    if rows and stacked:
        given = _stack(given)
    if isinstance(given, dict):
        arrays = {key: _array(value, None) for key, value in given.items()}
        if stacked and len({array.shape[:1] for array in arrays.values()}) > 1:
            raise BadRequest("Not all entries of instances have the same length.")
        return arrays
    return given if rows or (given == [] and schema is None) else _array(given, schema.inputs[0] if schema else None)


def _columns(given: Any, schema: Schema, rows: bool) -> Any:
    if rows:
        return to_schema(_frame("The list of objects", given), schema)
    if isinstance(given, dict) and schema.has_input_names():
        flat = not any(isinstance(value, list) for value in given.values())
        return to_schema(_frame("The object", [given] if flat else given), schema)
    if isinstance(given, dict):
        raise BadRequest("The model's columns have no names, got an object.")
    if len(schema) == 1 and schema.has_input_names() and isinstance(given, list):
        return to_schema(_frame("The list", {schema.input_names()[0]: given}), schema)
    if not isinstance(given, list):
        if schema.has_input_names():
            raise BadRequest(f"The model takes the columns {schema.input_names()}, got {_kind(given)}.")
        return to_schema(_frame("The value", [given]), schema)
    return to_schema(_frame("The list", given), schema) if not schema.has_input_names() else _array(given, None)


def _stack(rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for row in rows:
        for key, value in row.items():
            found.setdefault(key, []).append(value)
    return found


def _array(given: Any, spec: TensorSpec | None) -> Any:
    """An array, of a tensor's type if it is known and no value changes by it."""
    import numpy as np

    try:
        if spec is None:
            return np.array(given)
        array = np.array(given, dtype=spec.type if spec.type.kind in "fc" else None)
        if array.dtype == spec.type or array.dtype.kind not in "biuf" or spec.type.kind not in "biufc":
            return array
        with np.errstate(invalid="ignore", over="ignore"):
            exact = array.astype(spec.type)
        if not np.array_equal(exact.astype(array.dtype), array, equal_nan=array.dtype.kind == "f"):
            raise BadRequest(f"An array can not be read as {spec.type.name} without a loss.")
    except (ValueError, TypeError, OverflowError) as error:
        raise BadRequest(f"The values are no array: {str(error)[:200]}.") from None
    return exact
