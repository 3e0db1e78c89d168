"""Datasets of Spark: frames, and tables of Delta Lake."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from runlore.data.dataset import DIGEST_DIGITS, Dataset
from runlore.data.sources import CodeSource, DatasetSource
from runlore.exceptions import InvalidParameter, MissingDependency

_TYPES = {
    "boolean": "boolean", "tinyint": "integer", "smallint": "integer", "int": "integer", "bigint": "long", "float": "float",
    "double": "double", "string": "string", "binary": "binary", "date": "datetime", "timestamp": "datetime",
    "timestamp_ntz": "datetime",
}  # fmt: skip


class SparkSource(DatasetSource):
    """A place that Spark reads from: a path, a table, or the result of a query."""

    kind = "spark"

    def __init__(self, path: str | None = None, table_name: str | None = None, sql: str | None = None) -> None:
        if sum(place is not None for place in (path, table_name, sql)) != 1:
            raise InvalidParameter('Must specify exactly one of "path", "table_name", or "sql".')
        self.path, self.table_name, self.sql = path, table_name, sql

    def load(self, dst_path: str | None = None) -> Any:
        """The frame, in the session of this process."""
        session = spark_session()
        if self.path is not None:
            return session.read.load(self.path)
        return session.table(self.table_name) if self.table_name is not None else session.sql(self.sql)

    def to_dict(self) -> dict[str, Any]:
        """What is known of the place."""
        found = {"path": self.path, "table_name": self.table_name, "sql": self.sql}
        return {name: value for name, value in found.items() if value is not None}


class DeltaSource(DatasetSource):
    """A table of Delta Lake, at one of its versions."""

    kind = "delta_table"

    def __init__(
        self,
        path: str | None = None,
        delta_table_name: str | None = None,
        delta_table_version: int | None = None,
        delta_table_id: str | None = None,
    ) -> None:
        if (path is None) == (delta_table_name is None):
            raise InvalidParameter('Must specify exactly one of "path" or "table_name".')
        self.path, self.delta_table_name, self.delta_table_id = path, delta_table_name, delta_table_id
        self.delta_table_version = None if delta_table_version is None else int(delta_table_version)

    def load(self, dst_path: str | None = None) -> Any:
        """The table at its version as a frame, in the session of this process."""
        reader = spark_session().read.format("delta")
        if self.delta_table_version is not None:
            reader = reader.option("versionAsOf", self.delta_table_version)
        return reader.load(self.path) if self.path is not None else reader.table(self.delta_table_name)

    def to_dict(self) -> dict[str, Any]:
        """What is known of the table."""
        found = {
            "path": self.path,
            "delta_table_name": self.delta_table_name,
            "delta_table_version": self.delta_table_version,
            "delta_table_id": self.delta_table_id,
        }
        return {name: value for name, value in found.items() if value is not None}


class SparkDataset(Dataset):
    """A dataset that is a frame of Spark; `targets` and `predictions` name columns."""

    def __init__(
        self,
        df: Any,
        source: DatasetSource,
        targets: str | None = None,
        name: str | None = None,
        digest: str | None = None,
        predictions: str | None = None,
    ) -> None:
        for argument, column in (("targets", targets), ("predictions", predictions)):
            if column is not None and column not in df.columns:
                raise InvalidParameter(f"The specified Spark DataFrame does not contain the {argument} column {column!r}.")
        self.df, self.targets, self.predictions = df, targets, predictions
        rows, digest = _counted(df, digest)
        profile = {"num_rows": rows} if rows is not None else {"approx_count": "unknown"}
        super().__init__(source, name, digest, {"mlflow_colspec": _colspecs(df)}, profile)


def from_spark(
    df: Any,
    path: str | None = None,
    table_name: str | None = None,
    version: str | None = None,
    sql: str | None = None,
    targets: str | None = None,
    name: str | None = None,
    digest: str | None = None,
    predictions: str | None = None,
) -> SparkDataset:
    """A dataset from a frame of Spark, which came from a `path`, a `table_name` or a query `sql`.

    `version` is that of a Delta table. The digest is of schema and rows, whatever their order: Spark computes it with one pass
    over the frame on its workers. Give a `digest` to spare a large frame that.
    """
    if sum(place is not None for place in (path, table_name, sql)) > 1:
        raise InvalidParameter('Must specify at most one of "path", "table_name", or "sql".')
    if version is not None and path is None and table_name is None:
        raise InvalidParameter(f"version={version!r} is that of a Delta table: give its path or table_name too.")
    source: DatasetSource
    if version is not None:
        source = DeltaSource(path=path, delta_table_name=table_name, delta_table_version=_version(version))
    elif path is None and table_name is None and sql is None:
        source = CodeSource.here()
    else:
        source = SparkSource(path=path, table_name=table_name, sql=sql)
    return SparkDataset(df, source, targets, name, digest, predictions)


def load_delta(
    path: str | None = None,
    table_name: str | None = None,
    version: str | None = None,
    targets: str | None = None,
    name: str | None = None,
    digest: str | None = None,
) -> SparkDataset:
    """A dataset from a Delta table, at its newest version or at `version`. The session of Spark needs Delta's package.

    The version that was read is written down, so that the same data can be loaded again.
    """
    source = DeltaSource(path=path, delta_table_name=table_name, delta_table_version=_version(version))
    if source.delta_table_version is None:
        source.delta_table_version = _newest(source)
    return SparkDataset(source.load(), source, targets, name, digest)


def spark_session() -> Any:
    """The session of this process; one is made when there is none. Raises `MissingDependency` without pyspark."""
    try:
        from pyspark.sql import SparkSession
    except ModuleNotFoundError:
        raise MissingDependency("Reading data with Spark needs pyspark, and Java. hint: pip install pyspark") from None
    return SparkSession.getActiveSession() or SparkSession.builder.getOrCreate()


def _version(version: str | int | None) -> int | None:
    try:
        return None if version is None else int(version)
    except ValueError:
        raise InvalidParameter(f"Invalid version {version!r} of a Delta table. Expected a whole number.") from None


def _newest(source: DeltaSource) -> int | None:
    """The newest version of a table, as its history says; None where it says nothing."""
    session = spark_session()
    try:
        from delta.tables import DeltaTable
    except ModuleNotFoundError:
        raise MissingDependency("Reading Delta tables needs Delta's package. hint: pip install delta-spark") from None
    by_path = source.path is not None
    table = DeltaTable.forPath(session, source.path) if by_path else DeltaTable.forName(session, source.delta_table_name)
    row = table.history(1).select("version").first()
    return None if row is None else int(row["version"])


def _counted(df: Any, digest: str | None) -> tuple[int | None, str]:
    """The number of rows, and a digest of schema and rows in whatever order. One pass; none when the digest is given."""
    if digest is not None:
        return None, digest
    from pyspark.sql import functions

    hashes = df.select(functions.xxhash64(*(functions.to_json(functions.struct(df[f"`{column}`"])) for column in df.columns)))
    low = functions.col(hashes.columns[0]).bitwiseAND(0xFFFFFFFF)
    high = functions.shiftrightunsigned(hashes.columns[0], 32)
    row = hashes.agg(functions.count("*"), functions.sum(low), functions.sum(high)).first()
    state = hashlib.sha256(json.dumps([df.dtypes, *(value or 0 for value in row)]).encode())
    return int(row[0]), state.hexdigest()[:DIGEST_DIGITS]


def _colspecs(df: Any) -> list[dict[str, Any]]:
    return [
        {"type": _TYPES.get(field.dataType.simpleString().partition("(")[0], "string"), "name": field.name,
         "required": not field.nullable} for field in df.schema.fields
    ]  # fmt: skip
