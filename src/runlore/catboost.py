"""CatBoost models: save, log, load, in CatBoost's own binary format.

Names, arguments and defaults are those of `mlflow.catboost`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from runlore.exceptions import InvalidParameter
from runlore.models.flavor import Destination, Extras, fetch, log, save
from runlore.models.model import Model, ModelInfo
from runlore.models.requirements import default_conda_env, pinned
from runlore.models.signature import ModelSignature
from runlore.models.trust import Consent, LocalModel
from runlore.pyfunc.native import NativeWriter, Predictor, accepted, library_version, model_name, opened, require

FLAVOR_NAME = "catboost"

_CLASSES = ("CatBoost", "CatBoostClassifier", "CatBoostRanker", "CatBoostRegressor")


def get_default_pip_requirements() -> list[str]:
    """Pinned requirements of every CatBoost model."""
    return [pinned("catboost")]


def get_default_conda_env() -> dict[str, Any]:
    """A conda environment with the default requirements."""
    return default_conda_env(get_default_pip_requirements())


def save_model(
    cb_model: Any,
    path: str | Path,
    conda_env: Any = None,
    code_paths: list[str] | None = None,
    mlflow_model: Model | None = None,
    signature: ModelSignature | bool | None = None,
    input_example: Any = None,
    pip_requirements: Any = None,
    extra_pip_requirements: Any = None,
    metadata: dict[str, Any] | None = None,
    extra_files: list[str] | None = None,
    **kwargs: Any,
) -> None:
    """Save a model into the new or empty directory `path`.

    Other arguments go to the model's own `save_model`; `format="cbm"` is the default, `"json"` a text.
    """
    extras = Extras(
        signature, input_example, conda_env, pip_requirements, extra_pip_requirements, code_paths, extra_files, metadata
    )
    save(_writer(cb_model, kwargs), path, extras, mlflow_model)


def log_model(
    cb_model: Any,
    artifact_path: str | None = None,
    conda_env: Any = None,
    code_paths: list[str] | None = None,
    registered_model_name: str | None = None,
    signature: ModelSignature | bool | None = None,
    input_example: Any = None,
    await_registration_for: int | None = 300,
    pip_requirements: Any = None,
    extra_pip_requirements: Any = None,
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
    return log(_writer(cb_model, kwargs), extras, destination)


def load_model(model_uri: str | Path, dst_path: str | None = None, *, allow_pickle: bool = False) -> Any:
    """The model at a local path or a `models:/`, `runs:/` or artifact URI.

    A model with Python files of its own loads only with `allow_pickle=True`, unless this installation logged it.
    """
    return _load(fetch(model_uri, dst_path, Consent.of(allow_pickle, None)))


def _load(local: LocalModel) -> Any:
    catboost = require("catboost")
    file, configuration = opened(local, FLAVOR_NAME)
    kind = configuration.get("model_type", "CatBoost")
    if kind not in _CLASSES:
        raise InvalidParameter(f"No class of CatBoost models is called {kind!r}. Expected one of {_CLASSES}.")
    model = getattr(catboost, kind)()
    model.load_model(str(file), format=str(configuration.get("save_format", "cbm")))
    return model


def _load_pyfunc(local: LocalModel) -> Any:
    """The model with `predict(data, params)`, for `pyfunc.load_model`."""
    model = _load(local)
    return Predictor(model, lambda data, params: _predict(model, data, params))


def _predict(model: Any, data: Any, params: dict[str, Any] | None) -> Any:
    return model.predict(data, **accepted(model.predict, params))


def _writer(model: Any, arguments: dict[str, Any]) -> NativeWriter:
    require("catboost")
    kind = next((base.__name__ for base in type(model).__mro__ if base.__name__ in _CLASSES), None)
    if kind is None:
        raise InvalidParameter(f"cb_model must be a model of CatBoost, got {type(model).__name__}.")
    return NativeWriter(
        FLAVOR_NAME,
        "model.cb",
        dump=lambda path: model.save_model(str(path), **arguments),
        prediction=lambda data, params: _predict(model, data, params),
        requires=get_default_pip_requirements(),
        configuration={
            "catboost_version": library_version("catboost"), "model_type": kind, "save_format": arguments.get("format", "cbm"),
        },
    )  # fmt: skip
