"""A model as a function of Spark columns: the files go to every worker once, and each Python worker loads them once."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from runlore.exceptions import InvalidParameter, MissingDependency
from runlore.models.flavor import fetch
from runlore.models.model import Model
from runlore.models.trust import Consent, LocalModel
from runlore.types import Array, DataType
from runlore.types.datatypes import FieldType

_SQL = {
    DataType.boolean: "boolean", DataType.integer: "int", DataType.long: "bigint", DataType.float: "float",
    DataType.double: "double", DataType.string: "string", DataType.binary: "binary", DataType.datetime: "timestamp",
}  # fmt: skip


def spark_udf(
    spark: Any,
    model_uri: str,
    result_type: Any = None,
    env_manager: str | None = None,
    params: dict[str, Any] | None = None,
    extra_env: dict[str, str] | None = None,
    prebuilt_env_uri: str | None = None,
    model_config: str | Path | dict[str, Any] | None = None,
    *,
    allow_pickle: bool = False,
    trusted: list[str] | None = None,
) -> Callable[..., Any]:
    """A function of columns for `DataFrame.withColumn` and SQL that predicts with the model at a URI.

    Called with columns it gives them the names of the signature, in order; with one struct column, the names of its fields;
    with none, it takes the columns that the signature names. `result_type` is a Spark type or its name ("double",
    "array<float>"); without it, the type of the signature's output, else double. The workers use the Python environment
    that Spark gives them: `env_manager` is "local" or nothing. Consent is given here, as to `load_model`.
    """
    try:
        from pyspark.sql.functions import col, pandas_udf, struct
    except ImportError:
        raise MissingDependency("pyspark is not installed. hint: pip install pyspark pandas pyarrow") from None
    if env_manager not in (None, "local") or prebuilt_env_uri is not None:
        raise InvalidParameter(
            f"The workers predict in the environment that Spark gives them, not in one of env_manager={env_manager!r}: "
            "install the model's requirements there and pass env_manager='local'."
        )
    local = fetch(model_uri, None, Consent.of(allow_pickle, trusted))
    _load(local, model_config)  # what does not load here is refused here, and says why
    schema = local.model.get_input_schema()
    names = schema.input_names() if schema is not None and schema.has_input_names() else None
    place = _distributed(spark, local.path)
    word = (place, local.may_run_code, tuple(local.consent.trusted))
    config = model_config if not isinstance(model_config, str | Path) else str(Path(model_config).resolve())

    def predictions(batches: Iterator[Any]) -> Iterator[Any]:
        os.environ.update(extra_env or {})
        model = _on_worker(word, _frozen(config))
        for batch in batches:
            yield _result(model.predict(_table(batch, names), params=params))

    chosen = result_type if result_type is not None else _output_type(local.model)
    function = pandas_udf(_typed(predictions), returnType=chosen)

    def udf(*columns: Any) -> Any:
        """The prediction for these columns, or for those that the signature names."""
        if columns:
            return function(*columns)
        if names is None:
            raise InvalidParameter("The model's signature names no columns: give the function the columns to predict from.")
        return function(struct(*[col(name) for name in names]))

    udf.func = function  # type: ignore[attr-defined]
    return udf


def _typed(predictions: Callable[[Iterator[Any]], Iterator[Any]]) -> Callable[..., Any]:
    """The same function with the type hints by which Spark knows that it takes any columns, batch by batch."""
    import pandas as pd

    def predict(batches):  # type: ignore[no-untyped-def]
        yield from predictions(batches)

    predict.__annotations__ = {"batches": Iterator[tuple[pd.Series, ...]], "return": Iterator[pd.Series]}
    return predict


def _table(batch: Any, names: list[Any] | None) -> Any:
    """One batch of columns as a table. Spark gives one column as it is, several as a tuple, a struct as a table."""
    import pandas as pd

    batch = batch if isinstance(batch, tuple) else (batch,)
    if len(batch) == 1 and isinstance(batch[0], pd.DataFrame):
        return batch[0]
    if names is None or len(names) < len(batch):
        return pd.DataFrame(dict(enumerate(batch)))
    return pd.DataFrame(dict(zip(names, batch, strict=False)))


def _result(answer: Any) -> Any:
    """Predictions as a column; of a table with several columns, each row as a list."""
    import numpy as np
    import pandas as pd

    if isinstance(answer, pd.DataFrame):
        answer = answer.iloc[:, 0] if len(answer.columns) == 1 else answer.to_numpy()
    if isinstance(answer, np.ndarray) and answer.ndim > 1:
        answer = answer.reshape(len(answer), -1)
        return pd.Series(answer[:, 0] if answer.shape[1] == 1 else list(answer.tolist()))
    return pd.Series(answer).reset_index(drop=True)


def _output_type(model: Model) -> str:
    """The Spark type of the signature's only output."""
    schema = model.get_output_schema()
    if schema is None or len(schema) != 1:
        return "double"
    if schema.is_tensor_spec():
        spec = schema.inputs[0]
        kind = DataType.from_numpy_type(spec.type) or DataType.double
        return f"array<{_SQL[kind]}>" if len(spec.shape) > 1 and spec.shape[1] != 1 else _SQL[kind]
    return _sql(schema.inputs[0].type)


def _sql(kind: FieldType) -> str:
    if isinstance(kind, Array):
        return f"array<{_sql(kind.dtype)}>"
    if isinstance(kind, DataType):
        return _SQL[kind]
    raise InvalidParameter(f"Spark needs a result_type for a model that answers {kind!r}: pass one, 'string' for example.")


# -- bringing the model to the workers --------------------------------------------------------------------------------------


def _distributed(spark: Any, directory: Path) -> str:
    """The name under which every worker finds an archive of the model's files."""
    place = tempfile.mkdtemp(prefix="runlore-spark-")
    name = Path(place).name
    archive = shutil.make_archive(str(Path(place, name)), "zip", directory)
    spark.sparkContext.addFile(archive)
    return Path(archive).name


def _frozen(config: Any) -> Any:
    return tuple(sorted(config.items())) if isinstance(config, dict) else config


@cache
def _on_worker(word: tuple[str, bool, tuple[str, ...]], config: Any) -> Any:
    """The model in this Python worker. The process that made the function has checked it, and gave its consent."""
    from pyspark import SparkFiles

    name, may_run_code, trusted = word
    place = Path(tempfile.mkdtemp(prefix="runlore-model-"), "model")
    shutil.unpack_archive(SparkFiles.get(name), place, "zip")
    local = LocalModel(place, Model.load(place), may_run_code, Consent(may_run_code, trusted))
    return _load(local, dict(config) if isinstance(config, tuple) else config)


def _load(local: LocalModel, model_config: Any) -> Any:
    from runlore import pyfunc

    return pyfunc._load_local(local, model_config)
