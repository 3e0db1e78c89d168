"""Models that a library keeps in a file of its own: what the framework files share.

A framework file says how its library writes, reads and predicts; the rest of saving and loading is here and in
`models/flavor.py`. Files of a library's own format run no code when they are read, so they load without consent.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from runlore.exceptions import InvalidParameter, MissingDependency
from runlore.models.model import Model
from runlore.models.requirements import pinned
from runlore.models.trust import LocalModel, import_code, require_consent
from runlore.pyfunc import add_to_model

Predict = Callable[[Any, dict[str, Any] | None], Any]


@dataclass(frozen=True)
class NativeWriter:
    """Writes one model into `file` by its library's own function; see `Writer` in models/flavor.py."""

    flavor: str
    file: str
    dump: Callable[[Path], object]
    """Writes the file at the given path."""
    prediction: Predict
    requires: list[str]
    """Pinned requirements."""
    configuration: dict[str, Any] = field(default_factory=dict)
    """What else the `MLmodel` file says of the flavor."""
    is_function: bool = True
    """Whether the model can be loaded by `pyfunc.load_model`."""

    def write(self, directory: Path, model: Model) -> None:
        """The model's file, and what the `MLmodel` file says of it."""
        self.dump(directory / self.file)
        if self.is_function:
            add_to_model(model, loader_module=f"mlflow.{self.flavor}", data=self.file)
        model.add_flavor(self.flavor, data=self.file, code=None, **self.configuration)

    def requirements(self) -> list[str]:
        """Pinned requirements of the model."""
        return self.requires

    def predict(self, data: Any, params: dict[str, Any] | None) -> Any:
        """A prediction, to infer the signature from an input example."""
        return self.prediction(data, params)


class Predictor:
    """A loaded model as `pyfunc.load_model` wants it."""

    def __init__(self, model: Any, prediction: Predict) -> None:
        self._model, self._prediction = model, prediction

    def get_raw_model(self) -> Any:
        """The library's own object."""
        return self._model

    def predict(self, data: Any, params: dict[str, Any] | None = None) -> Any:
        """A prediction. `params` are arguments of the library's own function."""
        return self._prediction(data, params)


def opened(local: LocalModel, flavor: str) -> tuple[Path, dict[str, Any]]:
    """The file that holds a model of this flavor, and what the `MLmodel` file says of it."""
    configuration = local.model.flavor(flavor)
    import_code(local, configuration)
    named = configuration.get("data") or local.model.flavors.get("python_function", {}).get("data")
    return local.file(named), configuration


def require(module: str, extra: str | None = None) -> Any:
    """A library's module. Raises `MissingDependency`, which says what to install: by default the extra of that name."""
    try:
        return import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        if error.name is None or error.name.partition(".")[0] != package:
            raise
        raise MissingDependency(f"{package} is not installed. hint: pip install 'runlore[{extra or package}]'") from None


def class_named(local: LocalModel, name: Any, package: str) -> type:
    """The class that a model's file names. One of another package than the library's own can run code, and needs consent."""
    module, _, kind = str(name).rpartition(".")
    if module.partition(".")[0] != package:
        require_consent(local, f"a model of the class {name}")
    try:
        found = getattr(import_module(module), kind)
    except (ImportError, AttributeError, ValueError) as error:
        raise InvalidParameter(f"The class {name} of the model can not be imported here: {error}.") from error
    if not isinstance(found, type):
        raise InvalidParameter(f"{name}, which the model names as its class, is none.")
    return found


def class_name(value: object) -> str:
    """The full name of an object's class, as `class_named` takes it."""
    return f"{type(value).__module__}.{type(value).__qualname__}"


def pinned_first(*distributions: str) -> str:
    """The pinned requirement of the first of these distributions that is installed: builds of one library."""
    return next((pinned(name) for name in distributions if _installed(name)), distributions[0])


def library_version(*distributions: str) -> str | None:
    """The version of the first of these distributions that is installed."""
    return next((version(name) for name in distributions if _installed(name)), None)


def _installed(distribution: str) -> bool:
    try:
        version(distribution)
    except PackageNotFoundError:
        return False
    return True


def accepted(function: Callable[..., Any], params: dict[str, Any] | None) -> dict[str, Any]:
    """Prediction params as arguments of a library's function. Raises `InvalidParameter` for one that it does not have."""
    parameters = inspect.signature(function).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return dict(params or {})
    if unknown := sorted((params or {}).keys() - parameters.keys()):
        raise InvalidParameter(f"The model's predict() takes no {unknown}; it takes {sorted(parameters)}.")
    return dict(params or {})


def model_name(artifact_path: str | None, name: str | None) -> str | None:
    """The name of a logged model, which `log_model` takes under two names."""
    if artifact_path is not None and name is not None:
        raise InvalidParameter(f"Give either name or artifact_path, not both; got {name!r} and {artifact_path!r}.")
    return name if name is not None else artifact_path
