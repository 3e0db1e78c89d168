"""Which module loads which model. The model's own file says a name; whether that name is followed is decided here.

Frameworks of Runlore are on a list, under MLflow's name and ours. Another module is one of the user: importing it is running
code, which needs the same consent as a pickle.
"""

from __future__ import annotations

import importlib
import inspect
from typing import Any

from runlore.exceptions import InvalidParameter
from runlore.models.trust import LocalModel, import_code, require_consent

FRAMEWORKS = (
    "catboost", "h2o", "keras", "lightgbm", "onnx", "pmdarima", "prophet", "pytorch", "sentence_transformers", "shap",
    "sklearn", "spacy", "spark", "statsmodels", "tensorflow", "transformers", "xgboost",
)  # fmt: skip
"""Modules with a function `_load_pyfunc(local)`, which answers something with `predict(data, params)` and `get_raw_model()`."""


def load_by_module(local: LocalModel, configuration: dict[str, Any], model_config: dict[str, Any]) -> Any:
    """The implementation of a model as its `loader_module` loads it."""
    loader = str(configuration.get("loader_module"))
    package, _, framework = loader.partition(".")
    if package in ("mlflow", "runlore"):
        if framework not in FRAMEWORKS:
            raise InvalidParameter(f"No loader for models of {loader!r}. Known: {', '.join(FRAMEWORKS)}.")
        load = importlib.import_module(f"runlore.{framework}")._load_pyfunc
        return load(local, **_config(load, model_config))
    require_consent(local, f"a model that the module {loader!r} loads")
    import_code(local, configuration)
    try:
        module = importlib.import_module(loader)
    except ImportError as error:
        raise InvalidParameter(f"The module {loader!r}, which loads this model, can not be imported: {error}.") from error
    if not hasattr(module, "_load_pyfunc"):
        raise InvalidParameter(f"The module {loader!r} loads no model: it has no function _load_pyfunc(data_path).")
    data = configuration.get("data")
    path = str(local.file(data)) if data else str(local.path)
    return OwnImplementation(module._load_pyfunc(path, **_config(module._load_pyfunc, model_config)))


def _config(function: Any, model_config: dict[str, Any]) -> dict[str, Any]:
    """The configuration as an argument, for loaders that take one."""
    return {"model_config": model_config} if "model_config" in inspect.signature(function).parameters else {}


class OwnImplementation:
    """What a user's loader made: anything with `predict(data)`, which may take params too."""

    def __init__(self, implementation: Any) -> None:
        self.implementation = implementation

    def get_raw_model(self) -> Any:
        """What the loader made, or what that says is the model underneath."""
        own = getattr(self.implementation, "get_raw_model", None)
        return own() if callable(own) else self.implementation

    def predict(self, data: Any, params: dict[str, Any] | None = None) -> Any:
        """A prediction."""
        return self.implementation.predict(data, **self._params(self.implementation.predict, params))

    def predict_stream(self, data: Any, params: dict[str, Any] | None = None) -> Any:
        """A prediction in parts."""
        return self.implementation.predict_stream(data, **self._params(self.implementation.predict_stream, params))

    @staticmethod
    def _params(function: Any, params: dict[str, Any] | None) -> dict[str, Any]:
        return {"params": params} if "params" in inspect.signature(function).parameters else {}
