"""Prophet models: save, log, load, in Prophet's own JSON (as a text in JSON, as MLflow keeps it).

Names, arguments and defaults are those of `mlflow.prophet`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from runlore.models.flavor import Destination, Extras, fetch, log, save
from runlore.models.model import Model, ModelInfo
from runlore.models.requirements import default_conda_env, pinned
from runlore.models.signature import ModelSignature
from runlore.models.trust import Consent, LocalModel
from runlore.pyfunc.native import NativeWriter, Predictor, library_version, model_name, opened, require

FLAVOR_NAME = "prophet"


def get_default_pip_requirements() -> list[str]:
    """Pinned requirements of every Prophet model."""
    return [pinned("prophet")]


def get_default_conda_env() -> dict[str, Any]:
    """A conda environment with the default requirements."""
    return default_conda_env(get_default_pip_requirements())


def save_model(
    pr_model: Any,
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
    """Save a fitted model into the new or empty directory `path`."""
    extras = Extras(
        signature, input_example, conda_env, pip_requirements, extra_pip_requirements, code_paths, extra_files, metadata
    )
    save(_writer(pr_model), path, extras, mlflow_model)


def log_model(
    pr_model: Any,
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
    return log(_writer(pr_model), extras, destination)


def load_model(model_uri: str | Path, dst_path: str | None = None, *, allow_pickle: bool = False) -> Any:
    """The model at a local path or a `models:/`, `runs:/` or artifact URI.

    A model with Python files of its own loads only with `allow_pickle=True`, unless this installation logged it.
    """
    return _load(fetch(model_uri, dst_path, Consent.of(allow_pickle, None)))


def _load(local: LocalModel) -> Any:
    serialize = require("prophet.serialize")
    file, _ = opened(local, FLAVOR_NAME)
    return serialize.model_from_json(json.loads(file.read_text("utf-8")))


def _load_pyfunc(local: LocalModel) -> Any:
    """The model with `predict(data, params)`, for `pyfunc.load_model`. Its data has the times in the column `ds`."""
    model = _load(local)
    return Predictor(model, lambda data, params: model.predict(data))


def _writer(model: Any) -> NativeWriter:
    serialize = require("prophet.serialize")
    return NativeWriter(
        FLAVOR_NAME,
        "model.pr",
        dump=lambda path: path.write_text(json.dumps(serialize.model_to_json(model)), "utf-8"),
        prediction=lambda data, params: model.predict(data),
        requires=get_default_pip_requirements(),
        configuration={"model_type": type(model).__name__, "prophet_version": library_version("prophet")},
    )
