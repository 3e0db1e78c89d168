"""Any model as a function of a table: `load_model(uri).predict(data)`, and models that are Python classes of the user.

Which module may load a model is an allow-list, not the word of the model's own file.
"""

from __future__ import annotations

import importlib
import platform
import shutil
from pathlib import Path
from typing import Any

from runlore.exceptions import InvalidParameter, NotFound
from runlore.models.enforce import enforce_params, enforce_schema
from runlore.models.flavor import Destination, Extras, fetch, log, save
from runlore.models.model import Model, ModelInfo
from runlore.models.requirements import pinned
from runlore.models.signature import ModelSignature
from runlore.models.trust import Consent, LocalModel, import_code, load_object, require_cloudpickle

FLAVOR_NAME = "python_function"
_PYTHON_MODEL = "mlflow.pyfunc.model"
_LOADERS = {"mlflow.sklearn": "runlore.sklearn", "runlore.sklearn": "runlore.sklearn"}


class PythonModelContext:
    """What a `PythonModel` is given: local paths of its artifacts, and its configuration."""

    def __init__(self, artifacts: dict[str, str], model_config: dict[str, Any] | None = None) -> None:
        self.artifacts = artifacts
        self.model_config = model_config


class PythonModel:
    """Base of models written by hand: subclass it and define `predict(self, context, model_input, params=None)`.

    `predict(self, model_input, params=None)` without the context is fine too. Instances are kept with cloudpickle: others can
    load them only with `allow_pickle=True`.
    """

    def load_context(self, context: PythonModelContext) -> None:
        """Called once after loading, before the first prediction."""

    def predict(self, context: Any, model_input: Any, params: dict[str, Any] | None = None) -> Any:
        """A prediction for `model_input`."""
        raise NotImplementedError(f"{type(self).__name__} does not define predict().")


class PyFuncModel:
    """A loaded model: `predict` checks the data against the signature, `metadata` is its `MLmodel` file."""

    def __init__(self, local: LocalModel, implementation: Any) -> None:
        self._local = local
        self._implementation = implementation

    @property
    def metadata(self) -> Model:
        """The content of the model's `MLmodel` file."""
        return self._local.model

    @property
    def model_id(self) -> str | None:
        """The id of the logged model, where it has one."""
        return self.metadata.model_id

    @property
    def loader_module(self) -> str:
        """The module that loads this model."""
        return str(self.metadata.flavor(FLAVOR_NAME).get("loader_module"))

    def predict(self, data: Any, params: dict[str, Any] | None = None) -> Any:
        """A prediction. Data that does not fit the signature raises `InvalidParameter`; missing values are fine."""
        signature = self.metadata.signature
        inputs = enforce_schema(data, signature.inputs if signature else None)
        return self._implementation.predict(inputs, enforce_params(params, signature.params if signature else None))

    def get_raw_model(self) -> Any:
        """The model of the framework underneath."""
        return self._implementation.get_raw_model()

    def unwrap_python_model(self) -> Any:
        """The `PythonModel` underneath. Raises `InvalidParameter` for other models."""
        if not isinstance(self._implementation, _PythonPredictor):
            raise InvalidParameter(f"This model was not saved from a PythonModel: {self.loader_module} loads it.")
        return self._implementation.model

    def __repr__(self) -> str:
        return f"PyFuncModel(loader_module={self.loader_module!r}, run_id={self.metadata.run_id!r})"


def load_model(
    model_uri: str | Path,
    suppress_warnings: bool = False,
    dst_path: str | None = None,
    *,
    allow_pickle: bool = False,
    trusted: list[str] | None = None,
) -> PyFuncModel:
    """The model at a local path or a `models:/`, `runs:/` or artifact URI. Consent as in `runlore.sklearn.load_model`."""
    local = fetch(model_uri, dst_path, Consent.of(allow_pickle, trusted))
    configuration = local.model.flavor(FLAVOR_NAME)
    loader = configuration.get("loader_module")
    if loader == _PYTHON_MODEL:
        return PyFuncModel(local, _load_python_model(local, configuration))
    if loader not in _LOADERS:
        raise InvalidParameter(f"No loader for models of {loader!r}. Known: {', '.join((_PYTHON_MODEL, *_LOADERS))}.")
    return PyFuncModel(local, importlib.import_module(_LOADERS[loader])._load_pyfunc(local))


def add_to_model(model: Model, loader_module: str, **params: Any) -> Model:
    """Add the flavor that makes a model loadable as a function; returns the model."""
    environment = {"conda": "conda.yaml", "virtualenv": "python_env.yaml"}
    return model.add_flavor(
        FLAVOR_NAME, loader_module=loader_module, python_version=platform.python_version(), env=environment, **params
    )


def save_model(
    path: str | Path,
    *,
    python_model: Any,
    artifacts: dict[str, str] | None = None,
    code_paths: list[str] | None = None,
    conda_env: Any = None,
    mlflow_model: Model | None = None,
    signature: ModelSignature | bool | None = None,
    input_example: Any = None,
    pip_requirements: Any = None,
    extra_pip_requirements: Any = None,
    metadata: dict[str, Any] | None = None,
) -> None:
    """Save a `PythonModel` (or a function of its input) into the new or empty directory `path`.

    `artifacts` are local files or directories by name; `context.artifacts[name]` is their path after loading.
    """
    extras = Extras(signature, input_example, conda_env, pip_requirements, extra_pip_requirements, code_paths, None, metadata)
    save(_Writer(python_model, artifacts), path, extras, mlflow_model)


def log_model(
    artifact_path: str | None = None,
    *,
    python_model: Any,
    artifacts: dict[str, str] | None = None,
    code_paths: list[str] | None = None,
    conda_env: Any = None,
    registered_model_name: str | None = None,
    signature: ModelSignature | bool | None = None,
    input_example: Any = None,
    await_registration_for: int | None = 300,
    pip_requirements: Any = None,
    extra_pip_requirements: Any = None,
    metadata: dict[str, Any] | None = None,
    name: str | None = None,
    params: dict[str, Any] | None = None,
    tags: dict[str, Any] | None = None,
    model_type: str | None = None,
    step: int = 0,
    model_id: str | None = None,
) -> ModelInfo:
    """Log a `PythonModel` (or a function of its input) to the active run; without one, to the current experiment."""
    extras = Extras(signature, input_example, conda_env, pip_requirements, extra_pip_requirements, code_paths, None, metadata)
    return log(
        _Writer(python_model, artifacts),
        extras,
        Destination(name or artifact_path, registered_model_name, params, tags, model_type, step, model_id),
    )


class _Writer:
    """Writes one `PythonModel`."""

    def __init__(self, model: Any, artifacts: dict[str, str] | None) -> None:
        if not isinstance(model, PythonModel) and not callable(model):
            raise InvalidParameter(f"python_model must be a PythonModel or a function, got {type(model).__name__}.")
        self.model = model
        self.artifacts = artifacts or {}

    def write(self, directory: Path, model: Model) -> None:
        """See `Writer`."""
        import pickle

        cloudpickle = require_cloudpickle()
        with (directory / "python_model.pkl").open("wb") as stream:
            cloudpickle.dump(self.model, stream, protocol=pickle.DEFAULT_PROTOCOL)
        stored = {name: _store_artifact(name, Path(source), directory) for name, source in self.artifacts.items()}
        extra = {"artifacts": stored} if stored else {}
        add_to_model(
            model,
            _PYTHON_MODEL,
            python_model="python_model.pkl",
            cloudpickle_version=cloudpickle.__version__,
            code=None,
            **extra,
        )

    def requirements(self) -> list[str]:
        """See `Writer`."""
        return [pinned("cloudpickle")]

    def predict(self, data: Any, params: dict[str, Any] | None) -> Any:
        """See `Writer`."""
        return _predictor(self.model, dict(self.artifacts)).predict(data, params)


def _store_artifact(name: str, source: Path, directory: Path) -> dict[str, str]:
    if not source.exists():
        raise NotFound(f"The artifact {name!r} does not exist: {str(source)!r}.")
    target = directory / "artifacts" / source.name
    target.parent.mkdir(exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copy2(source, target)
    return {"path": f"artifacts/{source.name}", "uri": str(source)}


def _load_python_model(local: LocalModel, configuration: dict[str, Any]) -> _PythonPredictor:
    import_code(local, configuration)
    model = load_object(local, configuration.get("python_model"), "cloudpickle")
    entries = configuration.get("artifacts") or {}
    return _predictor(model, {name: str(local.file(entry.get("path"))) for name, entry in entries.items()})


def _predictor(model: Any, artifacts: dict[str, str]) -> _PythonPredictor:
    context = PythonModelContext(artifacts)
    if isinstance(model, PythonModel) or hasattr(model, "load_context"):
        model.load_context(context)
    return _PythonPredictor(model, context)


class _PythonPredictor:
    def __init__(self, model: Any, context: PythonModelContext) -> None:
        self.model = model
        self.context = context

    def get_raw_model(self) -> Any:
        return self.model

    def predict(self, data: Any, params: dict[str, Any] | None) -> Any:
        import inspect

        function = self.model.predict if hasattr(self.model, "predict") else self.model
        names = list(inspect.signature(function).parameters)
        wanted = {"params": params} if "params" in names else {}
        positional = [name for name in names if name != "params"]
        return function(self.context, data, **wanted) if len(positional) > 1 else function(data, **wanted)
