"""TensorFlow models: Keras models and `tf.Module`s saved, logged and loaded in MLflow's form; autologging of `fit`.

Names, arguments and defaults are those of `mlflow.tensorflow`. Keras models are `.keras` files, which load in Keras' safe mode
when they come from elsewhere. A `tf.Module` is a SavedModel, a program: one of someone else loads only with consent,
`load_model(uri, allow_pickle=True)`. `runlore.keras` does the same for Keras 3 without TensorFlow.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from runlore.autologging.checkpoints import CheckpointRule, fetch_checkpoint
from runlore.autologging.keras_fits import (
    PREFIXES,
    FitWatcher,
    Pace,
    Recorder,
    checkpoint_callback,
    recording_callback,
)
from runlore.autologging.patch import patch, warn
from runlore.autologging.session import Options
from runlore.exceptions import InvalidParameter, MissingDependency
from runlore.keras import Predictor, load_keras_file
from runlore.models.flavor import Destination, Extras, fetch, log, save
from runlore.models.model import Model, ModelInfo
from runlore.models.requirements import default_conda_env, pinned
from runlore.models.signature import ModelSignature
from runlore.models.trust import Consent, LocalModel, import_code, require_consent
from runlore.pyfunc import add_to_model

FLAVOR_NAME = "tensorflow"

_DATA, _SAVED_MODEL = "data", "tf2model"
_KERAS, _MODULE = "keras", "tf2-module"


def get_default_pip_requirements(include_cloudpickle: bool = False) -> list[str]:
    """Pinned requirements of every TensorFlow model."""
    installed = [text for name in ("tensorflow", "tensorflow-cpu") if "==" in (text := pinned(name))]
    return [*(installed[:1] or ["tensorflow"]), *([pinned("cloudpickle")] if include_cloudpickle else [])]


def get_default_conda_env() -> dict[str, Any]:
    """A conda environment with the default requirements."""
    return default_conda_env(get_default_pip_requirements())


def save_model(
    model: Any,
    path: str | Path,
    conda_env: Any = None,
    code_paths: list[str] | None = None,
    mlflow_model: Model | None = None,
    custom_objects: dict[str, Any] | None = None,
    signature: ModelSignature | bool | None = None,
    input_example: Any = None,
    pip_requirements: Any = None,
    extra_pip_requirements: Any = None,
    saved_model_kwargs: dict[str, Any] | None = None,
    keras_model_kwargs: dict[str, Any] | None = None,
    metadata: dict[str, Any] | None = None,
    extra_files: list[str] | None = None,
) -> None:
    """Save a Keras model or a `tf.Module` into the new or empty directory `path`.

    `keras_model_kwargs` go to `keras.Model.save`, `saved_model_kwargs` to `tf.saved_model.save`. `custom_objects` are not kept:
    register them with `keras.saving.register_keras_serializable`, and keep their code with `code_paths`.
    """
    extras = Extras(
        signature, input_example, conda_env, pip_requirements, extra_pip_requirements, code_paths, extra_files, metadata
    )
    save(_Writer(model, custom_objects, saved_model_kwargs, keras_model_kwargs), path, extras, mlflow_model)


def log_model(
    model: Any,
    artifact_path: str | None = None,
    custom_objects: dict[str, Any] | None = None,
    conda_env: Any = None,
    code_paths: list[str] | None = None,
    signature: ModelSignature | bool | None = None,
    input_example: Any = None,
    registered_model_name: str | None = None,
    await_registration_for: int | None = 300,
    pip_requirements: Any = None,
    extra_pip_requirements: Any = None,
    saved_model_kwargs: dict[str, Any] | None = None,
    keras_model_kwargs: dict[str, Any] | None = None,
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
    """Log a model to the active run; without one, to the current experiment. See `save_model`."""
    extras = Extras(
        signature, input_example, conda_env, pip_requirements, extra_pip_requirements, code_paths, extra_files, metadata
    )
    return log(
        _Writer(model, custom_objects, saved_model_kwargs, keras_model_kwargs),
        extras,
        Destination(name or artifact_path, registered_model_name, params, tags, model_type, step, model_id),
    )


def load_model(
    model_uri: str | Path,
    dst_path: str | None = None,
    saved_model_kwargs: dict[str, Any] | None = None,
    keras_model_kwargs: dict[str, Any] | None = None,
    *,
    allow_pickle: bool = False,
) -> Any:
    """The Keras model, or what `tf.saved_model.load` gives, at a local path or a `models:/`, `runs:/` or artifact URI."""
    return _load(fetch(model_uri, dst_path, Consent(allow_pickle is True)), saved_model_kwargs, keras_model_kwargs)


def load_checkpoint(
    model: Any = None, run_id: str | None = None, epoch: int | None = None, global_step: int | None = None
) -> Any:
    """The model of a checkpoint that a training kept: the last one of the run, or that of an epoch or step.

    Where weights alone were kept, `model` gets them and is the answer.
    """
    import keras

    with TemporaryDirectory(prefix="runlore-checkpoint-") as directory:
        path = fetch_checkpoint(run_id, epoch, global_step, directory)
        if not path.endswith(".weights.h5"):
            return keras.saving.load_model(path, safe_mode=True)
        if model is None:
            raise InvalidParameter(
                "This checkpoint holds weights alone: give the model that they are for, load_checkpoint(model)."
            )
        model.load_weights(path)
        return model


def _load(local: LocalModel, saved_model: dict[str, Any] | None = None, keras_model: dict[str, Any] | None = None) -> Any:
    configuration = local.model.flavor(FLAVOR_NAME)
    import_code(local, configuration)
    if configuration.get("model_type") == _KERAS:
        data = str(configuration.get("data", _DATA))
        name = f"{data}/model.h5" if configuration.get("save_format") == "h5" else f"{data}/model.keras"
        return load_keras_file(local, name, None, keras_model)
    require_consent(local, "a SavedModel, which is a program")
    place = local.file(configuration.get("saved_model_dir", _SAVED_MODEL))
    return _tensorflow().saved_model.load(str(place), **(saved_model or {}))


def _load_pyfunc(local: LocalModel) -> Any:
    """The model as `pyfunc.load_model` wants it."""
    model = _load(local)
    return Predictor(model) if local.model.flavor(FLAVOR_NAME).get("model_type") == _KERAS else ModulePredictor(model)


class ModulePredictor:
    """A `tf.Module` with `predict(data, params)`: arrays and tables in, arrays out."""

    def __init__(self, module: Any) -> None:
        self.module = module

    def get_raw_model(self) -> Any:
        """The module."""
        return self.module

    def predict(self, data: Any, params: dict[str, Any] | None = None) -> Any:
        """What the module answers to the data as tensors, as arrays."""
        tensorflow = _tensorflow()
        if isinstance(data, dict):
            given: Any = {name: tensorflow.constant(value) for name, value in data.items()}
        else:
            given = tensorflow.constant(data.to_numpy() if hasattr(data, "iloc") else data)
        found = self.module(given, **(params or {}))
        return {name: value.numpy() for name, value in found.items()} if isinstance(found, dict) else found.numpy()


class _Writer:
    """Writes one model."""

    def __init__(
        self, model: Any, custom: dict[str, Any] | None, saved: dict[str, Any] | None, kept: dict[str, Any] | None
    ) -> None:
        import keras

        tensorflow = _tensorflow()
        if custom:
            raise InvalidParameter(
                f"custom_objects are not kept: {sorted(custom)}. hint: keras.saving.register_keras_serializable, and code_paths"
            )
        self.keras = isinstance(model, keras.Model)
        if not self.keras and not isinstance(model, tensorflow.Module):
            raise InvalidParameter(f"runlore.tensorflow keeps Keras models and tf.Module, got {type(model).__name__}.")
        self.model, self.saved, self.kept = model, saved or {}, kept or {}

    def write(self, directory: Path, model: Model) -> None:
        """See `Writer`."""
        tensorflow = _tensorflow()
        if not self.keras:
            tensorflow.saved_model.save(self.model, str(directory / _SAVED_MODEL), **self.saved)
            add_to_model(model, loader_module="mlflow.tensorflow")
            model.add_flavor(FLAVOR_NAME, code=None, model_type=_MODULE, saved_model_dir=_SAVED_MODEL)
            return
        options = dict(self.kept)
        h5 = options.pop("save_format", None) == "h5"
        data = directory / _DATA
        data.mkdir()
        self.model.save(data / ("model.h5" if h5 else "model.keras"), **options)
        (data / "keras_module.txt").write_text("tensorflow.keras")
        (data / "save_format.txt").write_text("h5" if h5 else "tf")
        add_to_model(model, loader_module="mlflow.tensorflow", data=_DATA)
        model.add_flavor(
            FLAVOR_NAME, code=None, data=_DATA, model_type=_KERAS, keras_version=tensorflow.__version__,
            save_format="h5" if h5 else "tf",
        )  # fmt: skip

    def requirements(self) -> list[str]:
        """See `Writer`."""
        return get_default_pip_requirements()

    def predict(self, data: Any, params: dict[str, Any] | None) -> Any:
        """See `Writer`."""
        return (Predictor if self.keras else ModulePredictor)(self.model).predict(data, params)


def autolog(
    log_models: bool = True,
    log_datasets: bool = True,
    disable: bool = False,
    exclusive: bool = False,
    disable_for_unsupported_versions: bool = False,
    silent: bool = False,
    registered_model_name: str | None = None,
    log_input_examples: bool = False,
    log_model_signatures: bool = True,
    saved_model_kwargs: dict[str, Any] | None = None,
    keras_model_kwargs: dict[str, Any] | None = None,
    extra_tags: dict[str, str] | None = None,
    log_every_epoch: bool = True,
    log_every_n_steps: int | None = None,
    checkpoint: bool = True,
    checkpoint_monitor: str = "val_loss",
    checkpoint_mode: str = "min",
    checkpoint_save_best_only: bool = True,
    checkpoint_save_weights_only: bool = False,
    checkpoint_save_freq: str | int = "epoch",
) -> None:
    """Keep a run of every `fit` of a Keras model from now on: params, the optimizer, metrics, datasets, checkpoints, the model.

    Like `runlore.keras.autolog`, whose place it takes; the optimizer's settings are called `opt_…`, as in MLflow, and the best
    checkpoint is kept; see `load_checkpoint`. `disable_for_unsupported_versions` changes nothing.
    """
    import keras

    warn(not silent)
    options = Options(log_input_examples, log_model_signatures, log_models, log_datasets, exclusive, extra_tags, disable)
    rule = CheckpointRule(
        checkpoint_monitor, checkpoint_mode, checkpoint_save_best_only, checkpoint_save_weights_only, checkpoint_save_freq
    )

    def logged(model: Any, signature: Any, example: Any) -> ModelInfo:
        return log_model(
            model, name="model", signature=signature, input_example=example, registered_model_name=registered_model_name,
            saved_model_kwargs=saved_model_kwargs, keras_model_kwargs=keras_model_kwargs,
        )  # fmt: skip

    more = [lambda: checkpoint_callback()(**msgspec.structs.asdict(rule))] if checkpoint else []
    owner = next(kind for kind in keras.Model.__mro__ if "fit" in vars(kind))
    watcher = FitWatcher("tensorflow", options, Pace.of(log_every_epoch, log_every_n_steps), logged, more)
    patch(owner, "fit", watcher)


@cache
def _callback() -> type[Any]:
    base: Any = recording_callback()

    class MlflowCallback(base):  # type: ignore[misc]
        """Records a training in the active run: `model.fit(…, callbacks=[MlflowCallback()])`."""

        def __init__(self, log_every_epoch: bool = True, log_every_n_steps: int | None = None) -> None:
            super().__init__(Recorder(Pace.of(log_every_epoch, log_every_n_steps), PREFIXES["tensorflow"]))

    return MlflowCallback


def __getattr__(name: str) -> Any:
    if name in ("MlflowCallback", "MLflowCallback"):
        return _callback()
    if name == "MlflowModelCheckpointCallback":
        return checkpoint_callback()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _tensorflow() -> Any:
    try:
        import tensorflow
    except ImportError:
        raise MissingDependency("TensorFlow is not installed. hint: pip install tensorflow") from None
    return tensorflow
