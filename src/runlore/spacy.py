"""spaCy pipelines: save, log and load them, and classify texts by them.

Names, arguments and defaults are those of `mlflow.spacy`. A pipeline's configuration names functions that are called while it
is loaded, so that pipelines of others need consent: `load_model(uri, allow_pickle=True)`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from runlore.exceptions import InvalidParameter, MissingDependency
from runlore.models.flavor import Destination, Extras, fetch, log, save
from runlore.models.model import Model, ModelInfo
from runlore.models.requirements import default_conda_env, pinned
from runlore.models.signature import ModelSignature
from runlore.models.trust import Consent, LocalModel, import_code, require_consent
from runlore.pyfunc import add_to_model

FLAVOR_NAME = "spacy"

_DATA = "model.spacy"
_CLASSIFIERS = ("textcat", "textcat_multilabel")


def get_default_pip_requirements() -> list[str]:
    """Pinned requirements of every spaCy pipeline."""
    return [pinned("spacy")]


def get_default_conda_env() -> dict[str, Any]:
    """A conda environment with the default requirements."""
    return default_conda_env(get_default_pip_requirements())


def save_model(
    spacy_model: Any,
    path: str | Path,
    conda_env: Any = None,
    code_paths: list[str] | None = None,
    mlflow_model: Model | None = None,
    signature: ModelSignature | bool | None = None,
    input_example: Any = None,
    pip_requirements: Any = None,
    extra_pip_requirements: Any = None,
    metadata: dict[str, Any] | None = None,
    extra_files: list[str] | None = None,
) -> None:
    """Save a pipeline into the new or empty directory `path`. Those that classify texts can be loaded by `pyfunc` too."""
    extras = Extras(
        signature, input_example, conda_env, pip_requirements, extra_pip_requirements, code_paths, extra_files, metadata
    )
    save(_Writer(spacy_model), path, extras, mlflow_model)


def log_model(
    spacy_model: Any,
    artifact_path: str | None = None,
    conda_env: Any = None,
    code_paths: list[str] | None = None,
    registered_model_name: str | None = None,
    signature: ModelSignature | bool | None = None,
    input_example: Any = None,
    pip_requirements: Any = None,
    extra_pip_requirements: Any = None,
    metadata: dict[str, Any] | None = None,
    extra_files: list[str] | None = None,
    name: str | None = None,
    params: dict[str, Any] | None = None,
    tags: dict[str, Any] | None = None,
    model_type: str | None = None,
    step: int = 0,
    model_id: str | None = None,
    **kwargs: Any,
) -> ModelInfo:
    """Log a pipeline to the active run; without one, to the current experiment."""
    extras = Extras(
        signature, input_example, conda_env, pip_requirements, extra_pip_requirements, code_paths, extra_files, metadata
    )
    return log(
        _Writer(spacy_model),
        extras,
        Destination(name or artifact_path, registered_model_name, params, tags, model_type, step, model_id),
    )


def load_model(model_uri: str | Path, dst_path: str | None = None, *, allow_pickle: bool = False) -> Any:
    """The pipeline at a local path or a `models:/`, `runs:/` or artifact URI."""
    return _load(fetch(model_uri, dst_path, Consent(allow_pickle is True)))


def _load(local: LocalModel) -> Any:
    configuration = local.model.flavor(FLAVOR_NAME)
    import_code(local, configuration)
    require_consent(local, "a spaCy pipeline, whose configuration calls functions")
    return _spacy().load(local.file(configuration.get("data", _DATA)))


def _load_pyfunc(local: LocalModel) -> Any:
    """The pipeline as `pyfunc.load_model` wants it."""
    return Predictor(_load(local))


class Predictor:
    """A pipeline with `predict(data, params)`: a table with one column of texts in, one of their categories out."""

    def __init__(self, pipeline: Any) -> None:
        self.pipeline = pipeline

    def get_raw_model(self) -> Any:
        """The pipeline."""
        return self.pipeline

    def predict(self, data: Any, params: dict[str, Any] | None = None) -> Any:
        """A table with a column `predictions`: for each text its categories and their chances."""
        import pandas as pd

        if not hasattr(data, "iloc") or len(data.columns) != 1:
            raise InvalidParameter("A table with one column of texts was expected.")
        texts = data.iloc[:, 0].tolist()
        return pd.DataFrame({"predictions": [document.cats for document in self.pipeline.pipe(texts)]})


class _Writer:
    """Writes one pipeline."""

    def __init__(self, pipeline: Any) -> None:
        library = _spacy()
        if not isinstance(pipeline, library.language.Language):
            raise InvalidParameter(f"spacy_model must be a spaCy pipeline (Language), got {type(pipeline).__name__}.")
        self.pipeline = pipeline

    def write(self, directory: Path, model: Model) -> None:
        """See `Writer`."""
        self.pipeline.to_disk(directory / _DATA)
        if any(self.pipeline.get_pipe_meta(name).factory in _CLASSIFIERS for name in self.pipeline.pipe_names):
            add_to_model(model, loader_module="mlflow.spacy", data=_DATA)
        model.add_flavor(FLAVOR_NAME, spacy_version=_spacy().__version__, data=_DATA, code=None)

    def requirements(self) -> list[str]:
        """See `Writer`."""
        return get_default_pip_requirements()

    def predict(self, data: Any, params: dict[str, Any] | None) -> Any:
        """See `Writer`."""
        return Predictor(self.pipeline).predict(data, params)


def _spacy() -> Any:
    try:
        import spacy
        import spacy.language
    except ImportError:
        raise MissingDependency("spaCy is not installed. hint: pip install spacy") from None
    return spacy
