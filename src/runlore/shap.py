"""Explanations by SHAP: of a prediction as files of a run, and explainers that are kept as models.

Names, arguments and defaults are those of `mlflow.shap`. Explainers are pickles, which others load with their consent.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from runlore import sklearn
from runlore.exceptions import InvalidParameter
from runlore.fluent.artifacts import get_artifact_uri, log_artifacts
from runlore.models.flavor import Destination, Extras, fetch, log, save
from runlore.models.model import Model, ModelInfo
from runlore.models.requirements import default_conda_env, pinned
from runlore.models.signature import ModelSignature
from runlore.models.trust import Consent, LocalModel, import_code, require_consent
from runlore.pyfunc import add_to_model
from runlore.pyfunc.native import Predictor, library_version, model_name, require

FLAVOR_NAME = "shap"
EXPLAINER_FILE = "explainer.shap"
UNDERLYING = "underlying_model"
BACKGROUND = 50
"""Rows, found by k-means, against which a prediction is explained."""


def get_default_pip_requirements() -> list[str]:
    """Pinned requirements of every explainer."""
    return [pinned("shap")]


def get_default_conda_env() -> dict[str, Any]:
    """A conda environment with the default requirements."""
    return default_conda_env(get_default_pip_requirements())


def get_underlying_model_flavor(model: Any) -> str:
    """The framework that keeps the model which an explainer's `model` asks: "sklearn", else "unknown"."""
    owner = getattr(getattr(model, "inner_model", None), "__self__", None)
    return "sklearn" if type(owner).__module__.startswith("sklearn.") else "unknown"


def log_explanation(predict_function: Callable[..., Any], features: Any, artifact_path: str | None = None) -> str:
    """Explain what a function predicts of `features` (a table or array, rows × features); returns the URI of the files.

    Below `artifact_path` ("model_explanations_shap") lie `base_values.npy`, `shap_values.npy` (rows × features, with several
    outputs one more axis) and a bar plot. The function is called many times: give it rows by the dozen, not by the thousand.
    """
    shap = require("shap")
    import matplotlib.pyplot as plt
    import numpy as np

    path = artifact_path or "model_explanations_shap"
    background = features if len(features) <= BACKGROUND else shap.kmeans(features, BACKGROUND)
    explainer = shap.KernelExplainer(predict_function, background)
    values = explainer.shap_values(features, silent=True)
    with TemporaryDirectory(prefix="runlore-shap-") as directory:
        np.save(Path(directory, "base_values.npy"), explainer.expected_value)
        np.save(Path(directory, "shap_values.npy"), values)
        shap.summary_plot(values, features, plot_type="bar", show=False)
        figure = plt.gcf()
        figure.savefig(Path(directory, "summary_bar_plot.png"), bbox_inches="tight")
        plt.close(figure)
        log_artifacts(directory, path)
    return get_artifact_uri(path)


def save_explainer(
    explainer: Any,
    path: str | Path,
    serialize_model_using_mlflow: bool = True,
    conda_env: Any = None,
    code_paths: list[str] | None = None,
    mlflow_model: Model | None = None,
    signature: ModelSignature | bool | None = None,
    input_example: Any = None,
    pip_requirements: Any = None,
    extra_pip_requirements: Any = None,
    metadata: dict[str, Any] | None = None,
) -> None:
    """Save an explainer into the new or empty directory `path`.

    The model that it explains is kept beside it as a model of its own where it is one of scikit-learn's; else, and with
    `serialize_model_using_mlflow=False`, it is part of the explainer's file.
    """
    extras = Extras(signature, input_example, conda_env, pip_requirements, extra_pip_requirements, code_paths, None, metadata)
    save(_Writer(explainer, serialize_model_using_mlflow), path, extras, mlflow_model)


def save_model(
    explainer: Any,
    path: str | Path,
    serialize_model_using_mlflow: bool = True,
    conda_env: Any = None,
    code_paths: list[str] | None = None,
    mlflow_model: Model | None = None,
    signature: ModelSignature | bool | None = None,
    input_example: Any = None,
    pip_requirements: Any = None,
    extra_pip_requirements: Any = None,
    metadata: dict[str, Any] | None = None,
) -> None:
    """The same as `save_explainer`."""
    extras = Extras(signature, input_example, conda_env, pip_requirements, extra_pip_requirements, code_paths, None, metadata)
    save(_Writer(explainer, serialize_model_using_mlflow), path, extras, mlflow_model)


def log_explainer(
    explainer: Any,
    artifact_path: str | None = None,
    serialize_model_using_mlflow: bool = True,
    conda_env: Any = None,
    code_paths: list[str] | None = None,
    registered_model_name: str | None = None,
    signature: ModelSignature | bool | None = None,
    input_example: Any = None,
    await_registration_for: int | None = 300,
    pip_requirements: Any = None,
    extra_pip_requirements: Any = None,
    name: str | None = None,
    metadata: dict[str, Any] | None = None,
    params: dict[str, Any] | None = None,
    tags: dict[str, Any] | None = None,
    model_type: str | None = None,
    step: int = 0,
    model_id: str | None = None,
) -> ModelInfo:
    """Log an explainer as a model. Arguments as in `save_explainer` and `runlore.sklearn.log_model`."""
    extras = Extras(signature, input_example, conda_env, pip_requirements, extra_pip_requirements, code_paths, None, metadata)
    destination = Destination(model_name(artifact_path, name), registered_model_name, params, tags, model_type, step, model_id)
    return log(_Writer(explainer, serialize_model_using_mlflow), extras, destination)


def load_explainer(model_uri: str | Path, *, allow_pickle: bool = False) -> Any:
    """The explainer at a local path or a `models:/`, `runs:/` or artifact URI.

    The file is a pickle: it loads only with `allow_pickle=True`, unless this installation logged it.
    """
    return _load(fetch(model_uri, None, Consent.of(allow_pickle, None)))


def _load(local: LocalModel) -> Any:
    shap = require("shap")
    configuration = local.model.flavor(FLAVOR_NAME)
    require_consent(local, "an explainer of SHAP, a pickle")
    import_code(local, configuration)
    file = local.file(configuration.get("serialized_explainer", EXPLAINER_FILE))
    if configuration.get("underlying_model_flavor") != "sklearn":
        with file.open("rb") as stream:
            return shap.Explainer.load(stream)
    model = sklearn.load_model(local.file(UNDERLYING), allow_pickle=True)
    function = getattr(model, str(configuration.get("predict_fn", "predict")))
    with file.open("rb") as stream:
        return shap.Explainer.load(stream, model_loader=lambda _: shap.models.Model(function))


def _load_pyfunc(local: LocalModel) -> Any:
    """The explainer with `predict(data, params)`, for `pyfunc.load_model`: it answers SHAP values, rows × features."""
    explainer = _load(local)
    return Predictor(explainer, lambda data, params: explainer(data).values)


class _Writer:
    """Writes one explainer."""

    def __init__(self, explainer: Any, separately: bool) -> None:
        shap = require("shap")
        if not isinstance(explainer, shap.Explainer):
            raise InvalidParameter(f"explainer must be a shap.Explainer, got {type(explainer).__name__}.")
        self.explainer = explainer
        self.flavor = get_underlying_model_flavor(getattr(explainer, "model", None)) if separately else None

    @property
    def model(self) -> Any:
        """The model that is kept beside the explainer, if any."""
        return self.explainer.model.inner_model.__self__ if self.flavor == "sklearn" else None

    def write(self, directory: Path, model: Model) -> None:
        """See `Writer`."""
        chosen: dict[str, Any] = {}
        saver: dict[str, Any] = {}
        if self.model is not None:
            sklearn.save_model(self.model, directory / UNDERLYING)
            saver = {"model_saver": False}
            function = self.explainer.model.inner_model.__name__
            chosen = {} if function == "predict" else {"predict_fn": function}
        with (directory / EXPLAINER_FILE).open("wb") as stream:
            self.explainer.save(stream, **saver)
        add_to_model(model, "mlflow.shap", model_path=EXPLAINER_FILE, underlying_model_flavor=self.flavor)
        model.add_flavor(
            FLAVOR_NAME,
            shap_version=library_version("shap"),
            serialized_explainer=EXPLAINER_FILE,
            underlying_model_flavor=self.flavor,
            code=None,
            **chosen,
        )

    def requirements(self) -> list[str]:
        """See `Writer`."""
        return [*get_default_pip_requirements(), *(sklearn.get_default_pip_requirements() if self.model is not None else [])]

    def predict(self, data: Any, params: dict[str, Any] | None) -> Any:
        """See `Writer`."""
        return self.explainer(data).values
