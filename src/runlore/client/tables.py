"""Tables of runs as JSON or Parquet files, in MLflow's layout."""

from __future__ import annotations

import io
import json
import math
import sys
import uuid
from contextlib import suppress
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from runlore.api.runs import GetRun, SearchRuns, SetTag
from runlore.client.artifacts import ArtifactsClient, plain_value
from runlore.client.images import THUMBNAIL_SIDE, encoded_image, is_image, pillow_image
from runlore.entities import Run
from runlore.exceptions import InvalidParameter, MissingDependency, NotFound

if TYPE_CHECKING:
    import pandas

LOGGED_ARTIFACTS_TAG = "mlflow.loggedArtifacts"


class TablesClient(ArtifactsClient):
    """Tables. `.json` files hold `{"columns": […], "data": [[…] …]}`, `.parquet` files need pyarrow, or polars."""

    def log_table(self, run_id: str, data: dict[str, Any] | pandas.DataFrame, artifact_file: str) -> None:
        """Store a table; rows are added to a table of that name which is already there.

        `data` is a pandas or polars frame, or a dictionary of columns; a dictionary of single values is one row. Columns that
        only some rows have are empty in the others. Adding rows writes the file anew: log many rows at a time. Images in cells
        (of pillow, or `Image`) become files of their own below `table_images/`, which the cells name, as in MLflow.
        """
        suffix = _suffix(artifact_file)
        data = self._without_images(run_id, data, artifact_file)
        earlier = self._raw_table(run_id, artifact_file) if self._has_table(run_id, artifact_file) else None
        self._write(run_id, artifact_file, _json(data, earlier) if suffix == ".json" else _parquet(data, earlier))
        self._note_table(run_id, artifact_file)

    def load_table(
        self,
        experiment_id: str,
        artifact_file: str,
        run_ids: list[str] | None = None,
        extra_columns: list[str] | None = None,
    ) -> pandas.DataFrame:
        """The rows of the tables of that name in the given runs (in all runs of the experiment by default), one below another.

        `extra_columns` adds columns from the runs: fields of `run.info` and `run.data` ("run_id", "start_time", …) or names of
        tags, params and metrics. Raises `NotFound` when no run has such a table.
        """
        pd = pandas_module("load_table")
        _suffix(artifact_file)
        tables = []
        for run in self._runs_with_table(experiment_id, artifact_file, run_ids):
            table = self._table(run.info.run_id, artifact_file)
            for column in extra_columns or ():
                if column in table.columns:
                    raise InvalidParameter(f"Column {column!r} already exists in the table of run {run.info.run_id}.")
                table[column] = _value_of_run(run, column)
            tables.append(table)
        if not tables:
            raise NotFound(f"No runs found with the corresponding table artifact {artifact_file!r}.")
        return pd.concat(tables, ignore_index=True)

    def _without_images(self, run_id: str, data: Any, artifact_file: str) -> Any:
        """The table with the names of files in the place of images, which are stored."""

        def cell(value: Any) -> Any:
            return self._stored_image(run_id, value, artifact_file) if is_image(value) else value

        kind = _kind(data)
        if kind == "columns":
            return {
                name: [cell(value) for value in column] if isinstance(column, list | tuple) else cell(column)
                for name, column in data.items()
            }
        if kind == "pandas":
            objects = [place for place, dtype in enumerate(data.dtypes) if dtype.kind == "O"]
            places = [place for place in objects if any(map(is_image, data.iloc[:, place]))]
            if places:
                data = data.copy(deep=False)
                for place in places:
                    data.isetitem(place, [cell(value) for value in data.iloc[:, place]])
        return data

    def _stored_image(self, run_id: str, image: Any, artifact_file: str) -> dict[str, str]:
        """Store an image of a table; gives the cell that names it, in MLflow's form."""
        picture = pillow_image(image)
        thumbnail = picture.copy()
        thumbnail.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
        stem = f"table_images/{PurePosixPath(artifact_file).with_suffix('')}/{uuid.uuid4()}"
        names = {"filepath": f"{stem}.png", "compressed_filepath": f"{stem}.webp"}
        self._write(run_id, names["filepath"], encoded_image(picture, "png"))
        self._write(run_id, names["compressed_filepath"], encoded_image(thumbnail, "webp"))
        return {"type": "image", **names}

    def _table(self, run_id: str, artifact_file: str) -> Any:
        pd = pandas_module("load_table")
        raw = self._raw_table(run_id, artifact_file)
        if _suffix(artifact_file) == ".parquet":
            return pd.read_parquet(io.BytesIO(raw))
        content = json.loads(raw)
        return pd.DataFrame(content["data"], columns=content["columns"])

    def _raw_table(self, run_id: str, artifact_file: str) -> bytes:
        from runlore.blobs.base import ArtifactPath

        return b"".join(self._files(run_id).read(ArtifactPath(artifact_file)))

    def _has_table(self, run_id: str, artifact_file: str) -> bool:
        """Looked up in the list of files: MLflow's server before 3.0 fails when it is asked for a file that is not there."""
        from runlore.blobs.base import ArtifactPath

        with suppress(NotFound):
            self._files(run_id).stat(ArtifactPath(artifact_file))
            return True
        return False

    def _note_table(self, run_id: str, artifact_file: str) -> None:
        """Keep the list of tables in the tag from which MLflow's clients and pages learn about them."""
        entry = {"path": artifact_file, "type": "table"}
        noted = json.loads(self._call(GetRun(run_id=run_id)).run.data.tags.get(LOGGED_ARTIFACTS_TAG, "[]"))
        if entry not in noted:
            self._call(SetTag(run_id=run_id, key=LOGGED_ARTIFACTS_TAG, value=json.dumps([*noted, entry])))

    def _runs_with_table(self, experiment_id: str, artifact_file: str, run_ids: list[str] | None) -> list[Run]:
        if run_ids:
            return [self._call(GetRun(run_id=run_id)).run for run_id in run_ids]
        token, runs = "", []
        while True:
            reply = self._call(SearchRuns(experiment_ids=[str(experiment_id)], page_token=token))
            runs += [run for run in reply.runs if f'"{artifact_file}"' in run.data.tags.get(LOGGED_ARTIFACTS_TAG, "")]
            token = reply.next_page_token or ""
            if not token:
                return runs


def pandas_module(function: str) -> Any:
    """pandas, or an error that says how to get it."""
    try:
        import pandas
    except ModuleNotFoundError as error:
        if error.name != "pandas":
            raise
        raise MissingDependency(f"{function} needs pandas, which is not installed. hint: pip install pandas") from None
    return pandas


def _suffix(artifact_file: str) -> str:
    suffix = PurePosixPath(artifact_file).suffix.lower()
    if suffix not in (".json", ".parquet"):
        raise InvalidParameter(f"Invalid artifact file path {artifact_file!r}. Tables are .json or .parquet files.")
    return suffix


def _kind(data: Any) -> str:
    """What a table was handed in as: "columns", "pandas" or "polars"."""
    if isinstance(data, dict):
        return "columns"
    for name in ("pandas", "polars"):
        module = sys.modules.get(name)  # who has a frame has imported its library
        if module is not None and isinstance(data, module.DataFrame):
            return name
    raise InvalidParameter(f"log_table expects a dictionary of columns, a pandas or a polars frame, got {type(data).__name__}.")


def _columns(data: Any) -> dict[str, list[Any]]:
    """A table as lists of values that JSON can say."""
    kind = _kind(data)
    if kind == "pandas":
        split = json.loads(data.to_json(orient="split", index=False, date_format="iso", default_handler=str))
        return {str(name): [row[place] for row in split["data"]] for place, name in enumerate(split["columns"])}
    named = data.to_dict(as_series=False) if kind == "polars" else data
    if not any(map(_is_list, named.values())):
        named = {name: [value] for name, value in named.items()}
    columns = {str(name): [_cell(value) for value in values] for name, values in named.items()}
    if len({len(values) for values in columns.values()}) > 1:
        lengths = ", ".join(f"{name!r}: {len(values)}" for name, values in columns.items())
        raise InvalidParameter(f"The columns of a table have the same length; these have {lengths}.")
    return columns


def _is_list(column: Any) -> bool:
    """Whether a column is many values: not a text, an image, or a single one."""
    return hasattr(column, "__len__") and not isinstance(column, str | dict) and not is_image(column)


def _cell(value: Any) -> Any:
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None  # as pandas writes them
    return value.isoformat() if hasattr(value, "isoformat") else value


def _json(data: Any, earlier: bytes | None) -> bytes:
    new = _columns(data)
    before = json.loads(earlier) if earlier is not None else {"columns": [], "data": []}
    names = list(dict.fromkeys([*before["columns"], *new]))
    at = {name: place for place, name in enumerate(before["columns"])}
    rows = [[row[at[name]] if name in at else None for name in names] for row in before["data"]]
    empty = [None] * len(next(iter(new.values()), []))
    rows += [list(row) for row in zip(*(new.get(name, empty) for name in names), strict=True)]
    return json.dumps({"columns": names, "data": rows}, default=plain_value, ensure_ascii=False).encode()


def _parquet(data: Any, earlier: bytes | None) -> bytes:
    buffer = io.BytesIO()
    if _kind(data) == "polars":
        polars = sys.modules["polars"]
        frames = [data] if earlier is None else [polars.read_parquet(io.BytesIO(earlier)), data]
        polars.concat(frames, how="diagonal_relaxed").write_parquet(buffer)
        return buffer.getvalue()
    pd = pandas_module("log_table(….parquet)")
    frame = pd.DataFrame(_columns(data)) if isinstance(data, dict) else data
    try:
        frames = [frame] if earlier is None else [pd.read_parquet(io.BytesIO(earlier)), frame]
        pd.concat(frames, ignore_index=True).to_parquet(buffer)
    except ImportError:
        raise MissingDependency("Parquet tables need pyarrow, which is not installed. hint: pip install pyarrow") from None
    return buffer.getvalue()


def _value_of_run(run: Run, column: str) -> Any:
    if column in run.info.__struct_fields__:
        return getattr(run.info, column)
    for values in (run.data.tags, run.data.params, run.data.metrics):
        if column in values:
            return values[column]
    return None
