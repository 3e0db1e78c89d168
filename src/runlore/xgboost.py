"""XGBoost models: save, log, load, in XGBoost's own format; and autologging of `xgboost.train` and the estimators.

Names, arguments and defaults are those of `mlflow.xgboost`. A model is a booster or one of XGBoost's scikit-learn estimators.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from runlore.autologging.patch import warn
from runlore.autologging.session import Options
from runlore.autologging.xgboost import watch_xgboost
from runlore.exceptions import InvalidParameter
from runlore.models.flavor import Destination, Extras, fetch, log, save
from runlore.models.model import Model, ModelInfo
from runlore.models.requirements import default_conda_env
from runlore.models.signature import ModelSignature
from runlore.models.trust import Consent, LocalModel
from runlore.pyfunc.native import (
    NativeWriter,
    Predictor,
    accepted,
    class_name,
    class_named,
    library_version,
    model_name,
    opened,
    pinned_first,
    require,
)  # fmt: skip

FLAVOR_NAME = "xgboost"
MODEL_FORMATS = ("ubj", "json", "xgb")
"""Formats by the ending of the file: binary JSON, JSON, and whatever XGBoost writes by itself."""

_BUILDS = ("xgboost", "xgboost-cpu")


def get_default_pip_requirements() -> list[str]:
    """Pinned requirements of every XGBoost model."""
    return [pinned_first(*_BUILDS)]


def get_default_conda_env() -> dict[str, Any]:
    """A conda environment with the default requirements."""
    return default_conda_env(get_default_pip_requirements())


def save_model(
    xgb_model: Any,
    path: str | Path,
    conda_env: Any = None,
    code_paths: list[str] | None = None,
    mlflow_model: Model | None = None,
    signature: ModelSignature | bool | None = None,
    input_example: Any = None,
    pip_requirements: Any = None,
    extra_pip_requirements: Any = None,
    model_format: str = "ubj",
    metadata: dict[str, Any] | None = None,
    extra_files: list[str] | None = None,
    **kwargs: Any,
) -> None:
    """Save a model into the new or empty directory `path`.

    `model_format` is "ubj" (binary) or "json" (text). Other arguments go to the model's own `save_model`.
    """
    extras = Extras(
        signature, input_example, conda_env, pip_requirements, extra_pip_requirements, code_paths, extra_files, metadata
    )
    save(_writer(xgb_model, model_format, kwargs), path, extras, mlflow_model)


def log_model(
    xgb_model: Any,
    artifact_path: str | None = None,
    conda_env: Any = None,
    code_paths: list[str] | None = None,
    registered_model_name: str | None = None,
    signature: ModelSignature | bool | None = None,
    input_example: Any = None,
    await_registration_for: int | None = 300,
    pip_requirements: Any = None,
    extra_pip_requirements: Any = None,
    model_format: str = "ubj",
    metadata: dict[str, Any] | None = None,
    extra_files: list[str] | None = None,
    name: str | None = None,
    params: dict[str, Any] | None = None,
    tags: dict[str, Any] | None = None,
    model_type: str | None = None,
    step: int = 0,
    model_id: str | None = None,
    **kwargs: Any,
) -> ModelInfo:
    """Log a model to the active run; without one, to the current experiment. Arguments as in `runlore.sklearn.log_model`."""
    extras = Extras(
        signature, input_example, conda_env, pip_requirements, extra_pip_requirements, code_paths, extra_files, metadata
    )
    destination = Destination(model_name(artifact_path, name), registered_model_name, params, tags, model_type, step, model_id)
    return log(_writer(xgb_model, model_format, kwargs), extras, destination)


def load_model(model_uri: str | Path, dst_path: str | None = None, *, allow_pickle: bool = False) -> Any:
    """The booster or estimator at a local path or a `models:/`, `runs:/` or artifact URI.

    Models of classes that are not XGBoost's own, and with Python files of their own, load only with `allow_pickle=True`,
    unless this installation logged them.
    """
    return _load(fetch(model_uri, dst_path, Consent.of(allow_pickle, None)))


def _load(local: LocalModel) -> Any:
    require("xgboost")
    file, configuration = opened(local, FLAVOR_NAME)
    kind = class_named(local, configuration.get("model_class") or "xgboost.core.Booster", "xgboost")
    model = kind()
    model.load_model(str(file))
    return model


def _load_pyfunc(local: LocalModel) -> Any:
    """The model with `predict(data, params)`, for `pyfunc.load_model`."""
    model = _load(local)
    return Predictor(model, lambda data, params: _predict(model, data, params))


def _predict(model: Any, data: Any, params: dict[str, Any] | None) -> Any:
    """A prediction; a booster's input is made a matrix of its own kind first."""
    import xgboost

    if isinstance(model, xgboost.Booster) and not isinstance(data, xgboost.DMatrix):
        names = None if hasattr(data, "columns") else model.feature_names
        data = xgboost.DMatrix(data, feature_names=names, enable_categorical=True)
    return model.predict(data, **accepted(model.predict, params))


def _writer(model: Any, model_format: str, arguments: dict[str, Any]) -> NativeWriter:
    require("xgboost")
    if model_format not in MODEL_FORMATS:
        raise InvalidParameter(f"model_format must be one of {MODEL_FORMATS}, got {model_format!r}.")
    return NativeWriter(
        FLAVOR_NAME,
        f"model.{model_format}",
        dump=lambda path: model.save_model(str(path), **arguments),
        prediction=lambda data, params: _predict(model, data, params),
        requires=sorted({*get_default_pip_requirements(), *_estimators_need(model)}),
        configuration={
            "xgb_version": library_version(*_BUILDS), "model_class": class_name(model), "model_format": model_format,
        },
    )  # fmt: skip


def _estimators_need(model: Any) -> list[str]:
    return [pinned_first("scikit-learn")] if hasattr(model, "get_params") else []


def autolog(
    importance_types: list[str] | None = None,
    log_input_examples: bool = False,
    log_model_signatures: bool = True,
    log_models: bool = True,
    log_datasets: bool = True,
    disable: bool = False,
    exclusive: bool = False,
    disable_for_unsupported_versions: bool = False,
    silent: bool = False,
    registered_model_name: str | None = None,
    model_format: str = "ubj",
    extra_tags: dict[str, str] | None = None,
) -> None:
    """Keep a run of every training from now on, by `xgboost.train` and by the estimators.

    Logged are the params, the evaluation metrics of every iteration while it happens, `best_iteration` and
    `stopped_iteration` of trainings that stop early, the importance of features (`importance_types`, by default "weight") as
    picture and JSON, the datasets and the model. `disable_for_unsupported_versions` changes nothing: every version is tried.
    """
    require("xgboost")
    warn(not silent)
    options = Options(log_input_examples, log_model_signatures, log_models, log_datasets, exclusive, extra_tags, disable)

    def logged(model: Any, **about: Any) -> ModelInfo:
        return log_model(model, name="model", model_format=model_format, registered_model_name=registered_model_name, **about)

    watch_xgboost(options, logged, _predict, importance_types or ["weight"])
