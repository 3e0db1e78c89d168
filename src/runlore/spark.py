"""Models of Spark ML: fitted pipelines saved, logged and loaded in MLflow's form.

Names, arguments and defaults are those of `mlflow.spark`. A model's files name the classes that load them, so that models of
others need consent: `load_model(uri, allow_pickle=True)`. The session is the active one, else a local one with one core.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from runlore.exceptions import InvalidParameter, MissingDependency
from runlore.models.flavor import Destination, Extras, fetch, log, save
from runlore.models.model import Model, ModelInfo
from runlore.models.requirements import default_conda_env, pinned
from runlore.models.signature import ModelSignature
from runlore.models.trust import Consent, LocalModel, import_code, require_consent
from runlore.pyfunc import add_to_model

FLAVOR_NAME = "spark"

_DATA = "sparkml"


def get_default_pip_requirements(is_spark_connect_model: bool = False) -> list[str]:
    """Pinned requirements of every Spark model."""
    return [pinned("pyspark")]


def get_default_conda_env(is_spark_connect_model: bool = False) -> dict[str, Any]:
    """A conda environment with the default requirements."""
    return default_conda_env(get_default_pip_requirements(is_spark_connect_model))


def save_model(
    spark_model: Any,
    path: str | Path,
    mlflow_model: Model | None = None,
    conda_env: Any = None,
    code_paths: list[str] | None = None,
    dfs_tmpdir: str | None = None,
    signature: ModelSignature | bool | None = None,
    input_example: Any = None,
    pip_requirements: Any = None,
    extra_pip_requirements: Any = None,
    metadata: dict[str, Any] | None = None,
    **kwargs: Any,
) -> None:
    """Save a fitted pipeline or stage into the new or empty directory `path`.

    Spark's executors must see this machine's files, as they do in local mode; `dfs_tmpdir` changes nothing.
    """
    extras = Extras(signature, input_example, conda_env, pip_requirements, extra_pip_requirements, code_paths, None, metadata)
    save(_Writer(spark_model), path, extras, mlflow_model)


def log_model(
    spark_model: Any,
    artifact_path: str,
    conda_env: Any = None,
    code_paths: list[str] | None = None,
    dfs_tmpdir: str | None = None,
    registered_model_name: str | None = None,
    signature: ModelSignature | bool | None = None,
    input_example: Any = None,
    await_registration_for: int | None = 300,
    pip_requirements: Any = None,
    extra_pip_requirements: Any = None,
    metadata: dict[str, Any] | None = None,
    **kwargs: Any,
) -> ModelInfo:
    """Log a fitted pipeline or stage to the active run; without one, to the current experiment. See `save_model`."""
    extras = Extras(signature, input_example, conda_env, pip_requirements, extra_pip_requirements, code_paths, None, metadata)
    return log(_Writer(spark_model), extras, Destination(artifact_path, registered_model_name))


def load_model(
    model_uri: str | Path, dfs_tmpdir: str | None = None, dst_path: str | None = None, *, allow_pickle: bool = False
) -> Any:
    """The fitted pipeline at a local path or a `models:/`, `runs:/` or artifact URI."""
    return _load(fetch(model_uri, dst_path, Consent(allow_pickle is True)))


def _load(local: LocalModel) -> Any:
    configuration = local.model.flavor(FLAVOR_NAME)
    import_code(local, configuration)
    require_consent(local, "a Spark model, whose files name classes")
    _session()
    from pyspark.ml import PipelineModel

    return PipelineModel.load(local.file(configuration.get("model_data", _DATA)).resolve().as_uri())


def _load_pyfunc(local: LocalModel) -> Any:
    """The model as `pyfunc.load_model` wants it."""
    return Predictor(_load(local))


class Predictor:
    """A fitted pipeline with `predict(data, params)`: a pandas table in, the list of predictions out."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def get_raw_model(self) -> Any:
        """The fitted pipeline."""
        return self.model

    def predict(self, data: Any, params: dict[str, Any] | None = None) -> Any:
        """The column `prediction`, in the order of the rows."""
        if not hasattr(data, "iloc"):
            raise InvalidParameter(f"A Spark model predicts from a pandas table, got {type(data).__name__}.")
        rows = _session().createDataFrame(data.to_dict(orient="records"), schema=list(map(str, data.columns)))
        return [row.prediction for row in self.model.transform(rows).select("prediction").collect()]


class _Writer:
    """Writes one fitted pipeline."""

    def __init__(self, model: Any) -> None:
        _session()
        from pyspark.ml import Model as SparkModel
        from pyspark.ml import PipelineModel

        if not isinstance(model, SparkModel):
            raise InvalidParameter(f"spark_model must be a fitted model of pyspark.ml, got {type(model).__name__}.")
        self.model = model if isinstance(model, PipelineModel) else PipelineModel([model])

    def write(self, directory: Path, model: Model) -> None:
        """See `Writer`."""
        import pyspark

        self.model.save((directory / _DATA).resolve().as_uri())
        add_to_model(model, loader_module="mlflow.spark", data=_DATA)
        kind = type(self.model)
        model.add_flavor(
            FLAVOR_NAME,
            pyspark_version=pyspark.__version__,
            model_data=_DATA,
            code=None,
            model_class=f"{kind.__module__}.{kind.__name__}",
        )

    def requirements(self) -> list[str]:
        """See `Writer`."""
        return get_default_pip_requirements()

    def predict(self, data: Any, params: dict[str, Any] | None) -> Any:
        """See `Writer`."""
        return Predictor(self.model).predict(data, params)


def _session() -> Any:
    try:
        from pyspark.sql import SparkSession
    except ImportError:
        raise MissingDependency("PySpark is not installed. hint: pip install pyspark") from None
    return SparkSession.getActiveSession() or SparkSession.builder.master("local[1]").appName("runlore").getOrCreate()
