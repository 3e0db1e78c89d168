"""pmdarima models: save, log, load. pmdarima knows only pickles, which others load with their consent.

Names, arguments and defaults are those of `mlflow.pmdarima`.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

from runlore.exceptions import InvalidParameter
from runlore.models.flavor import Destination, Extras, fetch, log, save
from runlore.models.model import Model, ModelInfo
from runlore.models.requirements import default_conda_env, pinned
from runlore.models.signature import ModelSignature
from runlore.models.trust import Consent, LocalModel, load_object
from runlore.pyfunc.native import NativeWriter, Predictor, library_version, model_name, opened, require

FLAVOR_NAME = "pmdarima"

_QUESTIONS = ("n_periods", "X", "return_conf_int", "alpha", "inverse_transform")
"""Columns of the table that asks a loaded model for a forecast."""


def get_default_pip_requirements() -> list[str]:
    """Pinned requirements of every pmdarima model."""
    return [pinned("pmdarima")]


def get_default_conda_env() -> dict[str, Any]:
    """A conda environment with the default requirements."""
    return default_conda_env(get_default_pip_requirements())


def save_model(
    pmdarima_model: Any,
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
) -> None:
    """Save a fitted ARIMA or pipeline into the new or empty directory `path`."""
    extras = Extras(
        signature, input_example, conda_env, pip_requirements, extra_pip_requirements, code_paths, extra_files, metadata
    )
    save(_writer(pmdarima_model), path, extras, mlflow_model)


def log_model(
    pmdarima_model: Any,
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
    return log(_writer(pmdarima_model), extras, destination)


def load_model(model_uri: str | Path, dst_path: str | None = None, *, allow_pickle: bool = False) -> Any:
    """The model at a local path or a `models:/`, `runs:/` or artifact URI.

    The file is a pickle: it loads only with `allow_pickle=True`, unless this installation logged it.
    """
    return _load(fetch(model_uri, dst_path, Consent.of(allow_pickle, None)))


def _load(local: LocalModel) -> Any:
    require("pmdarima")
    file, _ = opened(local, FLAVOR_NAME)
    return load_object(local, file.name, "pickle")


def _load_pyfunc(local: LocalModel) -> Any:
    """The model with `predict(data, params)`, for `pyfunc.load_model`.

    Its data is a table of one row: `n_periods`, and the other arguments of pmdarima's `predict` as columns. The answer has the
    column `yhat`, and with `return_conf_int` also `yhat_lower` and `yhat_upper`.
    """
    model = _load(local)
    return Predictor(model, lambda data, params: _predict(model, data))


def _predict(model: Any, data: Any) -> Any:
    import pandas as pd

    if not isinstance(data, pd.DataFrame) or len(data) != 1:
        raise InvalidParameter(f"A forecast is asked for by a table of one row, got {type(data).__name__} of {len(data)}.")
    asked: dict[str, Any] = {name: data[name].iloc[0] for name in _QUESTIONS if name in data.columns}
    periods = asked.pop("n_periods", None)
    if periods is None or int(periods) != periods:
        raise InvalidParameter(f"The column n_periods must say for how many periods, a whole number; got {periods!r}.")
    interval = bool(asked.pop("return_conf_int", False))
    arguments: dict[str, Any] = {name: asked[name] for name in ("X", "alpha") if name in asked}
    if "inverse_transform" in asked and hasattr(model, "steps"):
        arguments["inverse_transform"] = bool(asked["inverse_transform"])
    found = model.predict(n_periods=int(periods), return_conf_int=interval, **arguments)
    if not interval:
        return pd.DataFrame({"yhat": found})
    means, bounds = found
    return pd.DataFrame({"yhat": means, "yhat_lower": bounds[:, 0], "yhat_upper": bounds[:, 1]})


def _writer(model: Any) -> NativeWriter:
    require("pmdarima")
    return NativeWriter(
        FLAVOR_NAME,
        "model.pmd",
        dump=lambda path: path.write_bytes(pickle.dumps(model)),
        prediction=lambda data, params: _predict(model, data),
        requires=get_default_pip_requirements(),
        configuration={"model_type": type(model).__name__, "pmdarima_version": library_version("pmdarima")},
    )
