"""A loaded model: data is made to fit the signature before the model sees it."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

from runlore.exceptions import InvalidParameter
from runlore.models.enforce import enforce_params, enforce_schema
from runlore.models.example import read_example
from runlore.models.model import Model
from runlore.models.trust import LocalModel
from runlore.pyfunc.hints import as_examples
from runlore.pyfunc.python_model import PythonPredictor

FLAVOR_NAME = "python_function"


class PyFuncModel:
    """A loaded model: `predict` checks the data against the signature, `metadata` is its `MLmodel` file."""

    def __init__(
        self,
        model_meta: Model,
        model_impl: Any,
        predict_fn: str = "predict",
        predict_stream_fn: str | None = None,
        model_id: str | None = None,
    ) -> None:
        if not hasattr(model_impl, predict_fn):
            raise InvalidParameter(f"The model's implementation {type(model_impl).__name__} has no {predict_fn}().")
        self._model_meta = model_meta
        self._model_impl = model_impl
        self._predict_fn = getattr(model_impl, predict_fn)
        self._predict_stream_fn = getattr(model_impl, predict_stream_fn) if predict_stream_fn else None
        self._model_id = model_id
        self._local: LocalModel | None = None  # keeps downloaded files as long as the model
        self._config: dict[str, Any] = {}

    @classmethod
    def of(cls, local: LocalModel, implementation: Any, config: dict[str, Any]) -> PyFuncModel:
        """The model whose files are on this machine, with what its loader made of them."""
        streams = bool(local.model.flavor(FLAVOR_NAME).get("streamable")) and hasattr(implementation, "predict_stream")
        stream = "predict_stream" if streams else None
        model = cls(local.model, implementation, predict_stream_fn=stream, model_id=local.model.model_id)
        model._local = local
        model._config = config
        return model

    @property
    def metadata(self) -> Model:
        """The content of the model's `MLmodel` file."""
        return self._model_meta

    @property
    def model_id(self) -> str | None:
        """The id of the logged model, where it has one."""
        return self._model_id

    @property
    def loader_module(self) -> str:
        """The module that loads this model."""
        return str(self.metadata.flavor(FLAVOR_NAME).get("loader_module"))

    @property
    def model_config(self) -> dict[str, Any]:
        """The configuration of the model, with the values chosen at `load_model`."""
        return dict(self._config)

    @property
    def input_example(self) -> Any:
        """The input example that was saved with the model; None without one."""
        return read_example(self._local.path, self.metadata)[0] if self._local else None

    def predict(self, data: Any, params: dict[str, Any] | None = None) -> Any:
        """A prediction. Data that does not fit the signature raises `InvalidParameter`; missing values are fine."""
        return _call(self._predict_fn, *self._fitted(data, params))

    def predict_stream(self, data: Any, params: dict[str, Any] | None = None) -> Iterator[Any]:
        """A prediction in parts, as they come, of one example. Raises `InvalidParameter` when the model has no stream."""
        if self._predict_stream_fn is None:
            raise InvalidParameter("This model does not support predict_stream: its PythonModel defines no such method.")
        if type(data).__name__ == "DataFrame":
            rows = data.to_dict(orient="records")
            if len(rows) != 1:
                raise InvalidParameter(f"predict_stream takes one example, got a table of {len(rows)} rows.")
            data = rows[0]
        return iter(_call(self._predict_stream_fn, *self._fitted(data, params)))

    def _fitted(self, data: Any, params: dict[str, Any] | None) -> tuple[Any, dict[str, Any] | None]:
        signature = self.metadata.signature
        if signature is None:
            return data, params
        inputs = as_examples(data) if signature.from_type_hint else enforce_schema(data, signature.inputs)
        return inputs, enforce_params(params, signature.params)

    def get_raw_model(self) -> Any:
        """The model of the framework underneath."""
        return self._model_impl.get_raw_model()

    def unwrap_python_model(self) -> Any:
        """The `PythonModel` underneath. Raises `InvalidParameter` for other models."""
        if not isinstance(self._model_impl, PythonPredictor):
            raise InvalidParameter(f"This model was not saved from a PythonModel: {self.loader_module} loads it.")
        return self._model_impl.model

    def __repr__(self) -> str:
        return f"PyFuncModel(loader_module={self.loader_module!r}, run_id={self.metadata.run_id!r})"


def _call(function: Any, data: Any, params: dict[str, Any] | None) -> Any:
    """The answer of an implementation, which takes params or does not."""
    return function(data, params=params) if "params" in inspect.signature(function).parameters else function(data)
