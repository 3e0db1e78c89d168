"""Keeping and calling models that users write: instances, functions, and Python files (see models/code.py).

Pickles name the base class as MLflow does, so that MLflow loads what Runlore wrote without Runlore, and the other way round.
"""

from __future__ import annotations

import importlib
import inspect
import io
import pickle
import shutil
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

from runlore.exceptions import InvalidParameter, MissingDependency, NotFound
from runlore.models.code import code_file, is_code, run_model_code
from runlore.models.model import Model
from runlore.models.requirements import pinned
from runlore.models.signature import ModelSignature
from runlore.models.trust import LocalModel, import_code, load_object, require_cloudpickle, require_consent
from runlore.pyfunc.hints import as_examples, fit, read_hints, signature_of
from runlore.pyfunc.model import FunctionModel, PythonModel, PythonModelContext

PICKLED = "mlflow.pyfunc.model"
FROM_CODE = "mlflow.pyfunc.loaders.code_model"
"""The `loader_module` of pickled models, and of those whose Python file is kept."""

_FILE = "python_model.pkl"
_THEIRS = {"mlflow.pyfunc.model", "mlflow.pyfunc"}
_SHARED = {"PythonModel": PythonModel, "PythonModelContext": PythonModelContext, "_FunctionPythonModel": FunctionModel}
"""Classes by the name under which pickles know them."""


class PythonModelWriter:
    """Writes one model written by hand. `model` is a `PythonModel`, a function of its input, or the path of a Python file."""

    def __init__(
        self, model: Any, artifacts: dict[str, str] | None, config: dict[str, Any] | None, streamable: bool | None
    ) -> None:
        self.code = code_file(model) if is_code(model) else None
        self.config = config
        self.model = run_model_code(self.code, config) if self.code else model
        if not isinstance(self.model, PythonModel) and not callable(self.model):
            raise InvalidParameter(
                "python_model must be a PythonModel, a function of one argument or the path of a Python file, "
                f"got {type(self.model).__name__}."
            )
        self.artifacts = artifacts or {}
        streams = getattr(type(self.model), "predict_stream", PythonModel.predict_stream) is not PythonModel.predict_stream
        self.streamable = streams if streamable is None else streamable

    def write(self, directory: Path, model: Model) -> None:
        """See `Writer`."""
        stored = {name: _store_artifact(name, source, directory) for name, source in self.artifacts.items()}
        facts: dict[str, Any] = {"artifacts": stored} if stored else {}
        if self.config is not None:
            facts["config"] = self.config
        if self.code:
            shutil.copyfile(self.code, directory / self.code.name)
            facts |= {"loader_module": FROM_CODE, "model_code_path": self.code.name}
        else:
            (directory / _FILE).write_bytes(_pickled(self.model))
            version = require_cloudpickle().__version__
            facts |= {"loader_module": PICKLED, "python_model": _FILE, "cloudpickle_version": version}
        add_flavor(model, streamable=self.streamable, code=None, **facts)

    def requirements(self) -> list[str]:
        """See `Writer`."""
        return [pinned("cloudpickle")]

    def predict(self, data: Any, params: dict[str, Any] | None) -> Any:
        """See `Writer`."""
        predictor = PythonPredictor(self.model, self.artifacts, self.config)
        if self.streamable and getattr(type(self.model), "predict", None) is PythonModel.predict:
            return next(iter(predictor.predict_stream(data, params)), None)
        return predictor.predict(data, params)

    def signature(self, params: Any) -> ModelSignature | None:
        """The signature that the type hints mean, if there are any."""
        return signature_of(read_hints(_function(self.model, "predict")), params)


def add_flavor(model: Model, loader_module: str, **facts: Any) -> Model:
    """Add the flavor that makes a model loadable as a function; returns the model."""
    import platform

    environment = {"conda": "conda.yaml", "virtualenv": "python_env.yaml"}
    return model.add_flavor(
        "python_function", loader_module=loader_module, python_version=platform.python_version(), env=environment, **facts
    )


def _store_artifact(name: str, given: str, directory: Path) -> dict[str, str]:
    from runlore.artifacts import download_artifacts

    source = Path(given) if "://" not in given and ":/" not in given[2:] else Path(download_artifacts(given))
    if not source.exists():
        raise NotFound(f"The artifact {name!r} does not exist: {given!r}.")
    target = directory / "artifacts" / source.name
    if target.exists():
        raise InvalidParameter(f"Two artifacts are named {source.name!r}: give one of them another file name.")
    target.parent.mkdir(exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copy2(source, target)
    return {"path": f"artifacts/{source.name}", "uri": given}


# -- loading --------------------------------------------------------------------------------------------------------------


def load_python_model(local: LocalModel, configuration: dict[str, Any], config: dict[str, Any]) -> PythonPredictor:
    """The model behind one of the two loaders, ready to predict. Raises `Untrusted` without consent."""
    import_code(local, configuration)
    try:
        model = _loaded(local, configuration, config)
    except ModuleNotFoundError as error:
        if str(error.name).partition(".")[0] != "mlflow":
            raise
        raise needs_mlflow(str(error.name)) from error
    entries = configuration.get("artifacts") or {}
    return PythonPredictor(model, {name: str(local.file(entry.get("path"))) for name, entry in entries.items()}, config)


def _loaded(local: LocalModel, configuration: dict[str, Any], config: dict[str, Any]) -> Any:
    """The model from its Python file, run again, or from its pickle."""
    if configuration.get("loader_module") == FROM_CODE:
        # MLflow keeps the path on its author's machine, of which the name is the file's
        name = str(configuration.get("model_code_path")).replace("\\", "/").rpartition("/")[2]
        require_consent(local, f"the Python file {name}")
        return run_model_code(local.file(name), config if configuration.get("config") is not None else None)
    model = load_object(local, configuration.get("python_model"), "cloudpickle", unpickler=_Unpickler)
    for kind in type(model).__mro__:
        if kind is not PythonModel and issubclass(kind, PythonModel):
            kind._check_inputs()
    return model


class PythonPredictor:
    """Calls a model written by hand, with or without a context and params, as its own signature takes them."""

    def __init__(self, model: Any, artifacts: dict[str, str], config: dict[str, Any] | None) -> None:
        self.model = model
        self.context = PythonModelContext(dict(artifacts), config)
        if hasattr(model, "load_context"):
            model.load_context(self.context)

    def get_raw_model(self) -> Any:
        """The model itself."""
        return self.model.func if isinstance(self.model, FunctionModel) else self.model

    def predict(self, data: Any, params: dict[str, Any] | None = None) -> Any:
        """A prediction."""
        return self._call(_function(self.model, "predict"), data, params)

    def predict_stream(self, data: Any, params: dict[str, Any] | None = None) -> Any:
        """A prediction in parts."""
        return self._call(_function(self.model, "predict_stream"), data, params)

    def _call(self, function: Callable[..., Any], data: Any, params: dict[str, Any] | None) -> Any:
        hint = read_hints(function).input
        data = data if hint is None else fit(as_examples(data), hint)
        names = list(inspect.signature(function).parameters)
        named = {"params": params} if "params" in names else {}
        takes_context = len([name for name in names if name != "params"]) > 1
        return function(self.context, data, **named) if takes_context else function(data, **named)


def _function(model: Any, name: str) -> Callable[..., Any]:
    """A model's method, or the function that it is, without what MLflow or we wrap around it: checks are made here."""
    if isinstance(model, FunctionModel):
        return model.func
    found: Callable[..., Any] = getattr(model, name) if hasattr(model, name) else model
    bare = inspect.unwrap(found)
    owner = getattr(found, "__self__", None)
    return types.MethodType(bare, owner) if bare is not found and owner is not None else bare


# -- pickles that name the base class as MLflow does ------------------------------------------------------------------------


class _Module:
    """A module by its name, for pickles: it is imported where the pickle is read."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __reduce__(self) -> Any:
        return importlib.import_module, (self.name,)


def _pickled(model: Any) -> bytes:
    cloudpickle = require_cloudpickle()
    names = {kind: name for name, kind in _SHARED.items()}

    class Pickler(cloudpickle.CloudPickler):  # type: ignore[misc,name-defined]
        def reducer_override(self, value: Any) -> Any:
            """MLflow's name for our base classes, and the user's own function for one that was wrapped."""
            if isinstance(value, type) and value in names:
                return getattr, (_Module(PICKLED), names[value])
            if inspect.isfunction(value) and getattr(value, "__module__", None) and hasattr(value, "_checks"):
                return super().reducer_override(inspect.unwrap(value))
            return super().reducer_override(value)

    stream = io.BytesIO()
    try:
        Pickler(stream, protocol=pickle.DEFAULT_PROTOCOL).dump(
            model if isinstance(model, PythonModel) else FunctionModel(model)
        )
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        raise InvalidParameter(
            f"This {type(model).__name__} can not be pickled ({error}). Load what it holds from artifacts "
            "in load_context(), or give python_model the path of a Python file that calls set_model()."
        ) from error
    return stream.getvalue()


class _Unpickler(pickle.Unpickler):
    """Reads MLflow's names of the base classes as ours. Only reached with consent: a pickle runs any code.

    MLflow wraps the predictions of its models, and its pickles name what the wrapping needs. Where MLflow is not installed,
    placeholders stand for that: the prediction underneath is what is called.
    """

    def find_class(self, module: str, name: str) -> Any:
        """A global of the pickle."""
        if module in _THEIRS and name in _SHARED:
            return _SHARED[name]
        if (module, name) == ("importlib", "import_module") or (module, name) == ("cloudpickle.cloudpickle", "subimport"):
            return _import
        try:
            return super().find_class(module, name)
        except ModuleNotFoundError as error:
            return _placeholder(f"{module}.{name}", error)


def _import(name: str, package: str | None = None) -> Any:
    if name in _THEIRS:
        return types.SimpleNamespace(**_SHARED)
    try:
        return importlib.import_module(name, package)
    except ModuleNotFoundError as error:
        return _placeholder(name, error)


def _placeholder(name: str, error: ModuleNotFoundError) -> _Absent:
    if name.partition(".")[0] != "mlflow" or str(error.name).partition(".")[0] != "mlflow":
        raise error
    return _Absent(name, (), {"__new__": lambda cls, *_, **__: object.__new__(cls)})


class _Absent(type):
    """Stands for something of MLflow, which is not installed; a class, as pickles make objects of classes. Using it says so."""

    def __call__(cls, *_: Any, **__: Any) -> Any:
        raise needs_mlflow(cls.__name__)

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise needs_mlflow(f"{cls.__name__}.{name}")


def needs_mlflow(name: str) -> MissingDependency:
    """The error that says how to have what a model's code asks for."""
    return MissingDependency(
        f"The code of this model uses {name}. hint: call runlore.install_as_mlflow() first, which gives it Runlore, or "
        "pip install mlflow"
    )
