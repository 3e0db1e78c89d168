"""Keras 3 models on any backend: save, log and load in the `.keras` format, a callback, and autologging.

Names, arguments and defaults are those of `mlflow.keras`. A `.keras` file of someone else loads in Keras' safe mode, which
refuses code in it; `load_model(uri, allow_pickle=True)` lifts that. TensorFlow is not needed.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from runlore.autologging.keras_fits import PREFIXES, FitWatcher, LogModel, Pace, Recorder, recording_callback
from runlore.autologging.patch import patch, warn
from runlore.autologging.session import Options
from runlore.exceptions import InvalidParameter, MissingDependency, Untrusted
from runlore.models.flavor import Destination, Extras, fetch, log, save
from runlore.models.model import Model, ModelInfo
from runlore.models.requirements import default_conda_env, pinned
from runlore.models.signature import ModelSignature
from runlore.models.trust import Consent, LocalModel
from runlore.pyfunc import add_to_model

FLAVOR_NAME = "keras"

_DATA = "data"
_FILE = "model.keras"
_SAFE_SINCE = (3, 12)
"""Keras whose safe mode has no known way around it."""


def get_default_pip_requirements() -> list[str]:
    """Pinned requirements of every Keras model: Keras itself and its backend."""
    backend = _keras().backend.backend()
    return [pinned("keras"), *([pinned(backend)] if backend != "numpy" else [])]


def get_default_conda_env() -> dict[str, Any]:
    """A conda environment with the default requirements."""
    return default_conda_env(get_default_pip_requirements())


def save_model(
    model: Any,
    path: str | Path,
    save_exported_model: bool = False,
    conda_env: Any = None,
    mlflow_model: Model | None = None,
    signature: ModelSignature | bool | None = None,
    input_example: Any = None,
    pip_requirements: Any = None,
    extra_pip_requirements: Any = None,
    save_model_kwargs: dict[str, Any] | None = None,
    metadata: dict[str, Any] | None = None,
) -> None:
    """Save a model into the new or empty directory `path`. `save_model_kwargs` go to `keras.Model.save`.

    The exported graph of TensorFlow (`save_exported_model=True`) is not offered: it raises `InvalidParameter`.
    """
    extras = Extras(signature, input_example, conda_env, pip_requirements, extra_pip_requirements, metadata=metadata)
    save(_Writer(model, save_exported_model, save_model_kwargs), path, extras, mlflow_model)


def log_model(
    model: Any,
    artifact_path: str | None = None,
    save_exported_model: bool = False,
    conda_env: Any = None,
    signature: ModelSignature | bool | None = None,
    input_example: Any = None,
    registered_model_name: str | None = None,
    await_registration_for: int | None = 300,
    pip_requirements: Any = None,
    extra_pip_requirements: Any = None,
    save_model_kwargs: dict[str, Any] | None = None,
    metadata: dict[str, Any] | None = None,
    name: str | None = None,
    params: dict[str, Any] | None = None,
    tags: dict[str, Any] | None = None,
    model_type: str | None = None,
    step: int = 0,
    model_id: str | None = None,
) -> ModelInfo:
    """Log a model to the active run; without one, to the current experiment. See `save_model`."""
    extras = Extras(signature, input_example, conda_env, pip_requirements, extra_pip_requirements, metadata=metadata)
    return log(
        _Writer(model, save_exported_model, save_model_kwargs),
        extras,
        Destination(name or artifact_path, registered_model_name, params, tags, model_type, step, model_id),
    )


def load_model(
    model_uri: str | Path,
    dst_path: str | None = None,
    custom_objects: dict[str, Any] | None = None,
    load_model_kwargs: dict[str, Any] | None = None,
    *,
    allow_pickle: bool = False,
) -> Any:
    """The Keras model at a local path or a `models:/`, `runs:/` or artifact URI.

    `custom_objects` and `load_model_kwargs` go to `keras.saving.load_model`. A model that this installation did not write loads
    in safe mode; one with a Lambda layer then raises `Untrusted`, unless `allow_pickle=True` vouches for its author.
    """
    local = fetch(model_uri, dst_path, Consent(allow_pickle is True))
    return _load(local, custom_objects, load_model_kwargs)


def _load(local: LocalModel, custom_objects: dict[str, Any] | None = None, options: dict[str, Any] | None = None) -> Any:
    configuration = local.model.flavor(FLAVOR_NAME)
    if configuration.get("save_exported_model"):
        raise InvalidParameter("This model is an exported graph of TensorFlow, which Runlore does not load.")
    return load_keras_file(local, f"{configuration.get('data', _DATA)}/{_FILE}", custom_objects, options)


def load_keras_file(
    local: LocalModel, name: str, custom_objects: dict[str, Any] | None = None, options: dict[str, Any] | None = None
) -> Any:
    """A model of Keras in one of the model's files, in safe mode unless the model may run code."""
    keras = _keras()
    path = local.file(name)
    given = dict(options or {})
    if not local.may_run_code:
        version = tuple(int(part) for part in keras.__version__.split(".")[:2])
        if version < _SAFE_SINCE or path.suffix != ".keras":
            raise Untrusted(
                f"Refused to load {path.name} with Keras {keras.__version__}: it may run any code, and this installation did "
                f"not write it. hint: pip install 'keras>={_SAFE_SINCE[0]}.{_SAFE_SINCE[1]}' for .keras files; or, if you know "
                "where it comes from and trust its author: load_model(model_uri, allow_pickle=True)."
            )
        given["safe_mode"] = True
    else:
        given.setdefault("safe_mode", False)
    try:
        return keras.saving.load_model(path, custom_objects=custom_objects, **given)
    except ValueError as error:
        if given["safe_mode"] and "safe_mode" in str(error):
            raise Untrusted(
                f"Refused to load {path.name}: it holds code of its own, and this installation did not write it. If you trust "
                "its author: load_model(model_uri, allow_pickle=True)."
            ) from error
        raise


def _load_pyfunc(local: LocalModel) -> Any:
    """The model as `pyfunc.load_model` wants it."""
    return Predictor(_load(local))


class Predictor:
    """A Keras model with `predict(data, params)`; tables in, tables out."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def get_raw_model(self) -> Any:
        """The Keras model."""
        return self.model

    def predict(self, data: Any, params: dict[str, Any] | None = None) -> Any:
        """A prediction; of a pandas table a table with its index."""
        import numpy as np

        if hasattr(data, "iloc"):
            import pandas as pd

            return pd.DataFrame(self.model.predict(data.to_numpy(), verbose=0), index=data.index)
        if isinstance(data, list):
            data = np.asarray(data)
        return self.model.predict(data, verbose=0, **(params or {}))


class _Writer:
    """Writes one Keras model."""

    def __init__(self, model: Any, save_exported_model: bool, options: dict[str, Any] | None) -> None:
        keras = _keras()
        if not isinstance(model, keras.Model):
            raise InvalidParameter(f"runlore.keras keeps models of Keras 3 (keras.Model), got {type(model).__name__}.")
        if save_exported_model:
            raise InvalidParameter("save_exported_model=True is not offered: models are kept in the .keras format.")
        self.model = model
        self.options = options or {}
        self.version = keras.__version__
        self.backend = keras.backend.backend()

    def write(self, directory: Path, model: Model) -> None:
        """See `Writer`."""
        data = directory / _DATA
        data.mkdir()
        self.model.save(data / _FILE, **self.options)
        (data / "keras_module.txt").write_text("keras")
        add_to_model(model, loader_module="mlflow.keras")
        model.add_flavor(
            FLAVOR_NAME,
            data=_DATA,
            keras_version=self.version,
            keras_backend=self.backend,
            save_exported_model=False,
        )

    def requirements(self) -> list[str]:
        """See `Writer`."""
        return get_default_pip_requirements()

    def predict(self, data: Any, params: dict[str, Any] | None) -> Any:
        """See `Writer`."""
        return Predictor(self.model).predict(data, params)


def autolog(
    log_every_epoch: bool = True,
    log_every_n_steps: int | None = None,
    log_models: bool = True,
    log_model_signatures: bool = True,
    save_exported_model: bool = False,
    log_datasets: bool = True,
    log_input_examples: bool = False,
    disable: bool = False,
    exclusive: bool = False,
    disable_for_unsupported_versions: bool = False,
    silent: bool = False,
    registered_model_name: str | None = None,
    save_model_kwargs: dict[str, Any] | None = None,
    extra_tags: dict[str, str] | None = None,
) -> None:
    """Keep a run of every `fit` from now on: params, the optimizer, metrics by epoch or batch, datasets, the model.

    A fit goes into the active run, or into one of its own; `exclusive` leaves runs of yours alone. A fit that brings an
    `MlflowCallback` is left to it. `disable_for_unsupported_versions` changes nothing: every Keras 3 is tried.
    """
    warn(not silent)
    options = Options(log_input_examples, log_model_signatures, log_models, log_datasets, exclusive, extra_tags, disable)

    def logged(model: Any, signature: Any, example: Any) -> ModelInfo:
        return log_model(
            model, name="model", signature=signature, input_example=example, save_exported_model=save_exported_model,
            registered_model_name=registered_model_name, save_model_kwargs=save_model_kwargs,
        )  # fmt: skip

    watch_fits(options, Pace.of(log_every_epoch, log_every_n_steps), logged)


def watch_fits(options: Options, pace: Pace, log_model: LogModel) -> None:
    """Look on at the fits of all models."""
    keras = _keras()
    owner = next(kind for kind in keras.Model.__mro__ if "fit" in vars(kind))
    patch(owner, "fit", FitWatcher("keras", options, pace, log_model))


@cache
def _callback() -> type[Any]:
    base: Any = recording_callback()

    class MlflowCallback(base):  # type: ignore[misc]
        """Records a training in the active run: `model.fit(…, callbacks=[MlflowCallback()])`."""

        def __init__(
            self, log_every_epoch: bool = True, log_every_n_steps: int | None = None, model_id: str | None = None
        ) -> None:
            super().__init__(Recorder(Pace.of(log_every_epoch, log_every_n_steps), PREFIXES["keras"], model_id))

    MlflowCallback.__qualname__ = "MlflowCallback"
    return MlflowCallback


def __getattr__(name: str) -> Any:
    if name in ("MlflowCallback", "MLflowCallback"):
        return _callback()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _keras() -> Any:
    try:
        import keras
    except ImportError:
        raise MissingDependency("Keras is not installed. hint: pip install keras") from None
    if int(keras.__version__.split(".")[0]) < 3:
        raise MissingDependency(f"runlore.keras needs Keras 3, found {keras.__version__}. hint: pip install 'keras>=3'")
    return keras
