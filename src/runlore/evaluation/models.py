"""Whatever can be evaluated, as one thing that predicts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from runlore import pyfunc
from runlore.exceptions import InvalidParameter

_ENDPOINTS = "endpoints:/"


class Candidate:
    """A model that is evaluated: by its URI, loaded already, or a function of a table of features."""

    def __init__(
        self, model: Any, config: str | Path | dict[str, Any] | None = None, params: dict[str, Any] | None = None
    ) -> None:
        if isinstance(model, str) and model.startswith(_ENDPOINTS):
            raise InvalidParameter(f"Endpoints are not evaluated ({model!r}): give a function that asks the endpoint.")
        loaded = pyfunc.load_model(model, model_config=config) if isinstance(model, str | Path) else model
        if not isinstance(loaded, pyfunc.PyFuncModel) and (not callable(loaded) or hasattr(loaded, "predict")):
            raise InvalidParameter(
                "A model to evaluate is a URI, what pyfunc.load_model answers, or a function of a table of features, got "
                f"{type(model).__name__}. Pass model.predict for an estimator."
            )
        self.loaded = loaded if isinstance(loaded, pyfunc.PyFuncModel) else None
        self.function: Callable[..., Any] = self.loaded.predict if self.loaded else model
        self.params = params

    @property
    def model_id(self) -> str | None:
        """The logged model, if it is one."""
        return self.loaded.model_id if self.loaded else None

    @property
    def estimator(self) -> Any:
        """The scikit-learn estimator (or one with its methods) underneath; None for everything else."""
        raw = self.loaded.get_raw_model() if self.loaded else None
        return raw if hasattr(raw, "predict") and hasattr(raw, "get_params") else None

    def predict(self, features: Any) -> Any:
        """The model's answer. It gets a copy: what it does to the table does not change the evaluation."""
        named = {"params": self.params} if self.params is not None else {}
        return self.function(features.copy(), **named)

    def probabilities(self, features: Any) -> Any:
        """A column of probabilities for each class, sorted; None for models that give none."""
        proba = getattr(self.estimator, "predict_proba", None)
        return proba(features.copy()) if callable(proba) else None

    def score(self, features: Any, targets: Any, weights: Any) -> float | None:
        """The estimator's own score; None for other models."""
        score = getattr(self.estimator, "score", None)
        if not callable(score):
            return None
        return float(score(features.copy(), targets, **({} if weights is None else {"sample_weight": weights})))


def split_answer(answer: Any, column: str | None) -> tuple[Any, Any]:
    """The predictions in a model's answer as an array, and the other columns of a table. Raises `InvalidParameter`."""
    import numpy as np

    if hasattr(answer, "columns"):
        if column is None and len(answer.columns) != 1:
            raise InvalidParameter(
                f"The model answers a table with the columns {list(answer.columns)}: say which one is the prediction by "
                "`predictions`."
            )
        name = column if column is not None else answer.columns[0]
        if name not in answer.columns:
            raise InvalidParameter(f"The model's answer has no column {name!r}; it has {list(answer.columns)}.")
        return answer[name].to_numpy(), answer.drop(columns=name)
    array = np.asarray(answer)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    return array, None
