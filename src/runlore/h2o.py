"""H2O models: save, log, load. H2O keeps models of its own binary format for the server of the same version, in which a file
can run code: others load them with their consent.

Names, arguments and defaults are those of `mlflow.h2o`. Saving and loading need a running H2O, which `h2o.init()` starts.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from runlore.models.flavor import Destination, Extras, fetch, log, save
from runlore.models.model import Model, ModelInfo
from runlore.models.requirements import default_conda_env, pinned
from runlore.models.signature import ModelSignature
from runlore.models.trust import Consent, LocalModel, require_consent
from runlore.pyfunc.native import NativeWriter, Predictor, accepted, library_version, model_name, opened, require

FLAVOR_NAME = "h2o"

SETTINGS_FILE = "h2o.yaml"


def get_default_pip_requirements() -> list[str]:
    """Pinned requirements of every H2O model."""
    return [pinned("h2o")]


def get_default_conda_env() -> dict[str, Any]:
    """A conda environment with the default requirements."""
    return default_conda_env(get_default_pip_requirements())


def save_model(
    h2o_model: Any,
    path: str | Path,
    conda_env: Any = None,
    code_paths: list[str] | None = None,
    mlflow_model: Model | None = None,
    settings: dict[str, Any] | None = None,
    signature: ModelSignature | bool | None = None,
    input_example: Any = None,
    pip_requirements: Any = None,
    extra_pip_requirements: Any = None,
    metadata: dict[str, Any] | None = None,
    extra_files: list[str] | None = None,
    **kwargs: Any,
) -> None:
    """Save a model into the new or empty directory `path`.

    `settings` are kept beside it; `settings["init"]` are the arguments of `h2o.init` when it is loaded where no H2O runs.
    Other arguments go to `h2o.save_model`.
    """
    extras = Extras(
        signature, input_example, conda_env, pip_requirements, extra_pip_requirements, code_paths, extra_files, metadata
    )
    save(_writer(h2o_model, settings, kwargs), path, extras, mlflow_model)


def log_model(
    h2o_model: Any,
    artifact_path: str | None = None,
    conda_env: Any = None,
    code_paths: list[str] | None = None,
    registered_model_name: str | None = None,
    signature: ModelSignature | bool | None = None,
    input_example: Any = None,
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
    return log(_writer(h2o_model, None, kwargs), extras, destination)


def load_model(model_uri: str | Path, dst_path: str | None = None, *, allow_pickle: bool = False) -> Any:
    """The model at a local path or a `models:/`, `runs:/` or artifact URI, loaded into the H2O that runs, else into a new one.

    It loads only with `allow_pickle=True`, unless this installation logged it.
    """
    return _load(fetch(model_uri, dst_path, Consent.of(allow_pickle, None)))


def _load(local: LocalModel) -> Any:
    import yaml

    h2o = require("h2o")
    require_consent(local, "a model of H2O")
    directory, _ = opened(local, FLAVOR_NAME)
    settings = yaml.safe_load((directory / SETTINGS_FILE).read_text("utf-8")) or {}
    if h2o.connection() is None or not h2o.connection().connected:
        h2o.init(**(settings.get("init") or {}))
        h2o.no_progress()
    return h2o.load_model(str(local.file(f"{directory.name}/{settings['model_file']}")))


def _load_pyfunc(local: LocalModel) -> Any:
    """The model with `predict(data, params)`, for `pyfunc.load_model`."""
    model = _load(local)
    return Predictor(model, lambda data, params: _predict(model, data, params))


def _predict(model: Any, data: Any, params: dict[str, Any] | None) -> Any:
    import h2o

    return model.predict(h2o.H2OFrame(data), **accepted(model.predict, params)).as_data_frame()


def _writer(model: Any, settings: dict[str, Any] | None, arguments: dict[str, Any]) -> NativeWriter:
    import yaml

    h2o = require("h2o")

    def dump(directory: Path) -> None:
        directory.mkdir()
        file = h2o.save_model(model, path=str(directory), force=True, **arguments)
        about = {**(settings or {}), "full_file": file, "model_dir": str(directory), "model_file": Path(file).name}
        (directory / SETTINGS_FILE).write_text(yaml.safe_dump(about), "utf-8")

    return NativeWriter(
        FLAVOR_NAME,
        "model.h2o",
        dump=dump,
        prediction=lambda data, params: _predict(model, data, params),
        requires=get_default_pip_requirements(),
        configuration={"h2o_version": library_version("h2o")},
    )
