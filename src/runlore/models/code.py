"""Models from code: a Python file that says `set_model(...)` is kept as it is, and run again whenever the model is loaded.

No pickle is needed, so that a model survives another version of Python and its libraries and can be read and compared. Running
the file is running code: for models from elsewhere it needs the caller's consent (see trust.py).
"""

from __future__ import annotations

import itertools
import sys
from contextvars import ContextVar
from pathlib import Path
from types import ModuleType
from typing import Any

from runlore.exceptions import InvalidParameter, NotFound
from runlore.models.model import read_yaml

_numbers = itertools.count(1)


class _Running:
    """A model's file that is being run: what it is given and what it has said."""

    def __init__(self, config: dict[str, Any] | None) -> None:
        self.config = config
        self.model: Any = None


_running: ContextVar[_Running | None] = ContextVar("runlore_model_code", default=None)


def set_model(model: Any) -> None:
    """Say, in the Python file of a model, what the model is: a `PythonModel`, or a function of its input.

    Outside of such a file, when it is run by hand, this only checks its argument.
    """
    if not callable(model) and not callable(getattr(model, "predict", None)):
        raise InvalidParameter(
            f"A model is a PythonModel or a function of its input, got {type(model).__name__}: {model!r:.200}."
        )
    if (running := _running.get()) is not None:
        running.model = model


class ModelConfig:
    """The configuration of a model from code, where its file reads it.

    While a model is saved or loaded, the values are those of `model_config`, and a model without it has none. When the file is
    run by hand, they are those of `development_config`: a dictionary or the path of a YAML file.
    """

    def __init__(self, *, development_config: str | dict[str, Any] | None = None) -> None:
        running = _running.get()
        given = development_config if running is None else running.config
        if given is None:
            raise InvalidParameter(
                "No configuration: give log_model or load_model a model_config, or ModelConfig a development_config."
            )
        self._values = read_config(given)

    def get(self, key: str) -> Any:
        """One value. Raises `KeyError`."""
        if key not in self._values:
            raise KeyError(f"The model's configuration has no {key!r}; it has {sorted(self._values)}.")
        return self._values[key]

    def to_dict(self) -> dict[str, Any]:
        """All values."""
        return dict(self._values)


def read_config(given: str | Path | dict[str, Any] | None) -> dict[str, Any]:
    """A configuration, from a YAML file if a path is given. Raises `NotFound` or `InvalidParameter`."""
    if given is None or isinstance(given, dict):
        return dict(given or {})
    path = Path(given)
    if not path.is_file():
        raise NotFound(f"There is no configuration file at {str(path)!r}.")
    values = read_yaml(path.read_bytes(), str(path))
    if not isinstance(values, dict):
        raise InvalidParameter(f"{path} must hold a mapping of names to values, got {type(values).__name__}.")
    return values


def chosen_config(saved: Any, given: str | Path | dict[str, Any] | None) -> dict[str, Any]:
    """What a model was saved with, and what its loader chose instead; names that it was not saved with count for nothing."""
    known = dict(saved) if isinstance(saved, dict) else {}
    return {**known, **{name: value for name, value in read_config(given).items() if name in known}}


def is_code(model: Any) -> bool:
    """True for the path of a Python file."""
    return isinstance(model, str | Path)


def code_file(model: str | Path) -> Path:
    """The Python file at a path. Raises `NotFound` or `InvalidParameter`."""
    path = Path(model)
    if not path.is_file():
        raise NotFound(f"There is no Python file of a model at {str(path)!r}.")
    if path.suffix != ".py":
        raise InvalidParameter(f"The file of a model from code must be a Python file, got {path.name!r}.")
    return path


def run_model_code(path: Path, config: dict[str, Any] | None) -> Any:
    """Run a model's Python file and answer what it gave to `set_model`. The caller has consent to run it.

    The file becomes a module of a name that no other has, so that two versions of one file live beside each other.
    """
    name = f"runlore_model_{next(_numbers)}_{path.stem}"
    module = ModuleType(name)
    module.__file__ = str(path)
    running = _Running(config)
    token = _running.set(running)
    sys.modules[name] = module
    try:
        exec(compile(path.read_bytes(), str(path), "exec"), module.__dict__)
    except BaseException:
        del sys.modules[name]
        raise
    finally:
        _running.reset(token)
    if running.model is None:
        raise InvalidParameter(f"{path.name} sets no model: it must call runlore.models.set_model(model).")
    return running.model
