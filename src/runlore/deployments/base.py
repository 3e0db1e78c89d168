"""What a deployment target offers, and what a prediction of it is."""

from __future__ import annotations

import abc
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from runlore.exceptions import InvalidParameter, RunloreError


class BaseDeploymentClient(abc.ABC):
    """The interface of a target: subclass it in a plugin and define what is abstract here.

    `config` is a dictionary of settings that the target describes in its `target_help()`, `endpoint` a name that targets
    without endpoints ignore. Methods raise `RunloreError` (`MlflowException`) when something fails, and return when it is done.
    """

    def __init__(self, target_uri: str) -> None:
        self.target_uri = target_uri

    @abc.abstractmethod
    def create_deployment(
        self, name: Any, model_uri: Any, flavor: Any = None, config: Any = None, endpoint: Any = None
    ) -> dict[str, Any]:
        """Deploy a model under a new name; returns facts about it, with `name` and `flavor`."""

    @abc.abstractmethod
    def update_deployment(
        self, name: Any, model_uri: Any = None, flavor: Any = None, config: Any = None, endpoint: Any = None
    ) -> dict[str, Any]:
        """Change the model, or the settings, of a deployment."""

    @abc.abstractmethod
    def delete_deployment(self, name: Any, config: Any = None, endpoint: Any = None) -> None:
        """End a deployment. One that is not there is no error."""

    @abc.abstractmethod
    def list_deployments(self, endpoint: Any = None) -> list[dict[str, Any]]:
        """Facts about each deployment."""

    @abc.abstractmethod
    def get_deployment(self, name: Any, endpoint: Any = None) -> dict[str, Any]:
        """Facts about one deployment. Raises for an unknown name."""

    @abc.abstractmethod
    def predict(self, deployment_name: Any = None, inputs: Any = None, endpoint: Any = None) -> Any:
        """A prediction, as a `PredictionsResponse`."""

    def predict_stream(self, deployment_name: Any = None, inputs: Any = None, endpoint: Any = None) -> Iterator[Any]:
        """A prediction in parts. Not every target can."""
        self._lacks("predict_stream")

    def explain(self, deployment_name: Any = None, df: Any = None, endpoint: Any = None) -> Any:
        """What a prediction came from. Not every target can."""
        self._lacks("explain")

    def create_endpoint(self, name: Any, config: Any = None) -> dict[str, Any]:
        """Make an endpoint. Not every target has them."""
        self._lacks("create_endpoint")

    def update_endpoint(self, endpoint: Any, config: Any = None) -> dict[str, Any]:
        """Change an endpoint. Not every target has them."""
        self._lacks("update_endpoint")

    def delete_endpoint(self, endpoint: Any) -> None:
        """End an endpoint. Not every target has them."""
        self._lacks("delete_endpoint")

    def list_endpoints(self) -> list[dict[str, Any]]:
        """Facts about each endpoint. Not every target has them."""
        self._lacks("list_endpoints")

    def get_endpoint(self, endpoint: Any) -> dict[str, Any]:
        """Facts about one endpoint. Not every target has them."""
        self._lacks("get_endpoint")

    def _lacks(self, method: str) -> NoReturn:
        raise RunloreError(f"The target {self.target_uri!r} does not offer {method}().", error_code="NOT_IMPLEMENTED")


class PredictionsResponse(dict[str, Any]):
    """The body of a scoring server's answer: a dictionary with `predictions`."""

    def __init__(self, *body: Any, **entries: Any) -> None:
        super().__init__(*body, **entries)

    def get_predictions(self, predictions_format: str = "dataframe", dtype: Any = None) -> Any:
        """The predictions as a pandas table ("dataframe"), or as an array ("ndarray") of a numpy type."""
        predictions = self["predictions"]
        if predictions_format == "ndarray":
            import numpy as np

            return np.array(predictions, dtype)
        if predictions_format != "dataframe":
            raise InvalidParameter(f"{predictions_format!r} is no format of predictions. Expected dataframe or ndarray.")
        import pandas as pd

        one = not isinstance(predictions, list | dict)
        one = one or (isinstance(predictions, dict) and not any(isinstance(item, list) for item in predictions.values()))
        return pd.DataFrame([predictions] if one else predictions)

    def to_json(self, path: str | Path | None = None) -> str | None:
        """The body as JSON: written to a file, or returned."""
        text = json.dumps(self)
        if path is None:
            return text
        Path(path).write_text(text, "utf-8")
        return None

    @classmethod
    def from_json(cls, json_str: str | bytes) -> PredictionsResponse:
        """The answer that a JSON text is. Raises `RunloreError` when it is none."""
        try:
            body = json.loads(json_str)
        except ValueError:
            body = None
        if not isinstance(body, dict) or "predictions" not in body:
            raise RunloreError(f"Expected a JSON object with predictions, got {str(json_str)[:200]!r}.")
        return cls(body)
