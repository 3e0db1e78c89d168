"""Tables of runs: pandas frames as JSON or Parquet artifacts, in MLflow's layout."""

from __future__ import annotations

import io
import json
from contextlib import suppress
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from runlore.api.runs import GetRun, SearchRuns, SetTag
from runlore.client.artifacts import ArtifactsClient
from runlore.entities import Run
from runlore.exceptions import InvalidParameter, MissingDependency, NotFound

if TYPE_CHECKING:
    import pandas

LOGGED_ARTIFACTS_TAG = "mlflow.loggedArtifacts"


class TablesClient(ArtifactsClient):
    """Tables. `.json` files hold `{"columns": […], "data": [[…] …]}`, `.parquet` files need pyarrow."""

    def log_table(self, run_id: str, data: dict[str, Any] | pandas.DataFrame, artifact_file: str) -> None:
        """Store a table; rows are added to a table of that name which is already there.

        `data` is a frame, or a dictionary of columns; a dictionary of single values is one row.
        """
        pd = pandas_module("log_table")
        suffix = _suffix(artifact_file)
        if isinstance(data, dict):
            scalars = all(not hasattr(value, "__len__") or isinstance(value, str) for value in data.values())
            frame = pd.DataFrame([data] if scalars else data)
        elif isinstance(data, pd.DataFrame):
            frame = data
        else:
            raise InvalidParameter(f"log_table expects a dictionary or a pandas frame, got {type(data).__name__}.")
        with suppress(NotFound):  # these are the first rows of this table
            frame = pd.concat([self._table(run_id, artifact_file), frame], ignore_index=True)
        self._write(run_id, artifact_file, _packed(frame, suffix))
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

    def _table(self, run_id: str, artifact_file: str) -> Any:
        from runlore.blobs.base import ArtifactPath

        pd = pandas_module("load_table")
        raw = b"".join(self._files(run_id).read(ArtifactPath(artifact_file)))
        if _suffix(artifact_file) == ".parquet":
            return pd.read_parquet(io.BytesIO(raw))
        content = json.loads(raw)
        return pd.DataFrame(content["data"], columns=content["columns"])

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


def _packed(frame: Any, suffix: str) -> bytes:
    if suffix == ".parquet":
        try:
            packed: bytes = frame.to_parquet()
        except ImportError:
            raise MissingDependency("Parquet tables need pyarrow, which is not installed. hint: pip install pyarrow") from None
        return packed
    text: str = frame.to_json(orient="split", index=False, date_format="iso", default_handler=str)
    return text.encode()


def _value_of_run(run: Run, column: str) -> Any:
    if column in run.info.__struct_fields__:
        return getattr(run.info, column)
    for values in (run.data.tags, run.data.params, run.data.metrics):
        if column in values:
            return values[column]
    return None
