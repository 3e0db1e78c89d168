"""statsmodels' results: save, log, load; and autologging of every `fit`.

Names, arguments and defaults are those of `mlflow.statsmodels`. statsmodels knows only pickles, which others load with their
consent.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from runlore.autologging.patch import warn
from runlore.autologging.session import Options
from runlore.autologging.statsmodels import watch_statsmodels
from runlore.exceptions import InvalidParameter
from runlore.models.flavor import Destination, Extras, fetch, log, save
from runlore.models.model import Model, ModelInfo
from runlore.models.requirements import default_conda_env, pinned
from runlore.models.signature import ModelSignature
from runlore.models.trust import Consent, LocalModel, load_object
from runlore.pyfunc.native import NativeWriter, Predictor, accepted, library_version, model_name, opened, require

FLAVOR_NAME = "statsmodels"


def get_default_pip_requirements() -> list[str]:
    """Pinned requirements of every statsmodels model."""
    return [pinned("statsmodels")]


def get_default_conda_env() -> dict[str, Any]:
    """A conda environment with the default requirements."""
    return default_conda_env(get_default_pip_requirements())


def save_model(
    statsmodels_model: Any,
    path: str | Path,
    conda_env: Any = None,
    code_paths: list[str] | None = None,
    mlflow_model: Model | None = None,
    remove_data: bool = False,
    signature: ModelSignature | bool | None = None,
    input_example: Any = None,
    pip_requirements: Any = None,
    extra_pip_requirements: Any = None,
    metadata: dict[str, Any] | None = None,
    extra_files: list[str] | None = None,
) -> None:
    """Save the results of a fit into the new or empty directory `path`; `remove_data` leaves the training data out."""
    extras = Extras(
        signature, input_example, conda_env, pip_requirements, extra_pip_requirements, code_paths, extra_files, metadata
    )
    save(_writer(statsmodels_model, remove_data, {}), path, extras, mlflow_model)


def log_model(
    statsmodels_model: Any,
    artifact_path: str | None = None,
    conda_env: Any = None,
    code_paths: list[str] | None = None,
    registered_model_name: str | None = None,
    remove_data: bool = False,
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
    return log(_writer(statsmodels_model, remove_data, kwargs), extras, destination)


def load_model(model_uri: str | Path, dst_path: str | None = None, *, allow_pickle: bool = False) -> Any:
    """The results at a local path or a `models:/`, `runs:/` or artifact URI.

    The file is a pickle: it loads only with `allow_pickle=True`, unless this installation logged it.
    """
    return _load(fetch(model_uri, dst_path, Consent.of(allow_pickle, None)))


def _load(local: LocalModel) -> Any:
    require("statsmodels")
    file, _ = opened(local, FLAVOR_NAME)
    return load_object(local, file.name, "pickle")


def _load_pyfunc(local: LocalModel) -> Any:
    """The model with `predict(data, params)`, for `pyfunc.load_model`.

    The data of a model of time series is a table of one row that says `start` and `end` of the forecast.
    """
    model = _load(local)
    return Predictor(model, lambda data, params: _predict(model, data, params))


def _predict(model: Any, data: Any, params: dict[str, Any] | None) -> Any:
    from statsmodels.tsa.base.tsa_model import TimeSeriesModel

    if not isinstance(getattr(model, "model", None), TimeSeriesModel):
        return model.predict(data, **accepted(model.predict, params))
    if not hasattr(data, "columns") or len(data) != 1 or not {"start", "end"} <= set(data.columns):
        raise InvalidParameter("A model of time series is asked by a table of one row with the columns start and end.")
    return model.predict(start=data["start"].iloc[0], end=data["end"].iloc[0])


def _writer(model: Any, remove_data: bool, arguments: dict[str, Any]) -> NativeWriter:
    require("statsmodels")
    return NativeWriter(
        FLAVOR_NAME,
        "model.statsmodels",
        dump=lambda path: model.save(str(path), remove_data=remove_data, **arguments),
        prediction=lambda data, params: _predict(model, data, params),
        requires=get_default_pip_requirements(),
        configuration={"statsmodels_version": library_version("statsmodels")},
    )


def autolog(
    log_models: bool = True,
    log_datasets: bool = True,
    disable: bool = False,
    exclusive: bool = False,
    disable_for_unsupported_versions: bool = False,
    silent: bool = False,
    registered_model_name: str | None = None,
    extra_tags: dict[str, str] | None = None,
) -> None:
    """Keep a run of every `fit` of a statsmodels model from now on.

    Logged are the arguments of the fit as params, what the results tell of its quality as metrics (`rsquared`, `aic` …), the
    summary as text, the dataset and the model. `disable_for_unsupported_versions` changes nothing: every version is tried.
    """
    require("statsmodels")
    warn(not silent)
    options = Options(False, False, log_models, log_datasets, exclusive, extra_tags, disable)

    def logged(model: Any) -> ModelInfo:
        return log_model(model, name="model", registered_model_name=registered_model_name)

    watch_statsmodels(options, logged)
