"""Models that users write by hand: the base class, and what it is given."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

from runlore.pyfunc.hints import TypeHints, checked, read_hints


class PythonModelContext:
    """What a `PythonModel` is given: local paths of its artifacts, and its configuration."""

    def __init__(self, artifacts: dict[str, str], model_config: dict[str, Any] | None) -> None:
        self._artifacts = artifacts
        self._model_config = model_config

    @property
    def artifacts(self) -> dict[str, str]:
        """The path of each artifact on this machine, by name."""
        return self._artifacts

    @property
    def model_config(self) -> dict[str, Any] | None:
        """The configuration that the model was saved with, with the values that the caller of `load_model` chose."""
        return self._model_config


class PythonModel:
    """Base of models written by hand: subclass it and define `predict(self, context, model_input, params=None)`.

    `predict(self, model_input, params=None)` without the context is fine too. With type hints (`model_input: list[str]`,
    lists of pydantic models) inputs are checked and converted before `predict` sees them, and the signature is made from them.
    Instances are kept with cloudpickle: others can load them only with `allow_pickle=True`.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._check_inputs()

    @classmethod
    def _check_inputs(cls) -> None:
        """Let predictions check their inputs: reading a pickle puts the bare ones back, even into a class in use here."""
        for name in ("predict", "predict_stream"):
            if name in vars(cls) and not hasattr(vars(cls)[name], "_checks"):
                setattr(cls, name, checked(inspect.unwrap(vars(cls)[name])))

    @property
    def predict_type_hints(self) -> TypeHints:
        """The type hints of `predict`: `input` and `output`, None where there are none that a schema can be made of."""
        return read_hints(self.predict)

    def load_context(self, context: PythonModelContext) -> None:
        """Called once after loading, before the first prediction."""

    def predict(self, context: Any, model_input: Any, params: dict[str, Any] | None = None) -> Any:
        """A prediction for `model_input`."""
        raise NotImplementedError(f"{type(self).__name__} does not define predict().")

    def predict_stream(self, context: Any, model_input: Any, params: dict[str, Any] | None = None) -> Iterator[Any]:
        """A prediction in parts, as they come."""
        raise NotImplementedError(f"{type(self).__name__} does not define predict_stream().")


class FunctionModel(PythonModel):
    """A function of its input as a model: what is kept of it in a pickle."""

    def __init__(self, func: Callable[..., Any]) -> None:
        self.func = func
        self.signature = None  # MLflow looks for it

    def predict(self, model_input, params=None):  # type: ignore[no-untyped-def, override]
        """What the function answers."""
        named = {"params": params} if "params" in inspect.signature(self.func).parameters else {}
        return self.func(model_input, **named)
