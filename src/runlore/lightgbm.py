"""LightGBM models: save, log, load, without pickle; and autologging of `lightgbm.train` and the estimators.

Names, arguments and defaults are those of `mlflow.lightgbm`. A booster is kept in LightGBM's own text format; one of its
scikit-learn estimators in the skops format by default, which runs no code when it is loaded.
"""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

from runlore.autologging.lightgbm import watch_lightgbm
from runlore.autologging.patch import warn
from runlore.autologging.session import Options
from runlore.exceptions import InvalidParameter
from runlore.models.flavor import Destination, Extras, fetch, log, save
from runlore.models.model import Model, ModelInfo
from runlore.models.requirements import default_conda_env, pinned
from runlore.models.signature import ModelSignature
from runlore.models.trust import FORMATS, Consent, LocalModel, load_object, require_cloudpickle
from runlore.pyfunc.native import (
    NativeWriter,
    Predictor,
    accepted,
    class_name,
    class_named,
    library_version,
    model_name,
    opened,
    require,
)  # fmt: skip

FLAVOR_NAME = "lightgbm"
SERIALIZATION_FORMAT_CLOUDPICKLE = "cloudpickle"
TRUSTED_TYPES = [
    "collections.OrderedDict", "lightgbm.basic.Booster", "lightgbm.sklearn.LGBMClassifier", "lightgbm.sklearn.LGBMRanker",
    "lightgbm.sklearn.LGBMRegressor",
]  # fmt: skip
"""LightGBM's own types in skops files: plain attributes, and the booster's text, which LightGBM reads as it reads a file."""

_FILES = {"skops": "model.skops", "pickle": "model.pkl", "cloudpickle": "model.pkl"}


def get_default_pip_requirements(include_cloudpickle: bool = False, include_skops: bool = False) -> list[str]:
    """Pinned requirements of every LightGBM model."""
    names = ["lightgbm", *(["cloudpickle"] if include_cloudpickle else []), *(["skops"] if include_skops else [])]
    return [pinned(name) for name in names]


def get_default_conda_env(include_cloudpickle: bool = False, include_skops: bool = False) -> dict[str, Any]:
    """A conda environment with the default requirements."""
    return default_conda_env(get_default_pip_requirements(include_cloudpickle, include_skops))


def save_model(
    lgb_model: Any,
    path: str | Path,
    conda_env: Any = None,
    code_paths: list[str] | None = None,
    mlflow_model: Model | None = None,
    signature: ModelSignature | bool | None = None,
    input_example: Any = None,
    pip_requirements: Any = None,
    extra_pip_requirements: Any = None,
    metadata: dict[str, Any] | None = None,
    serialization_format: str | None = None,
    skops_trusted_types: list[str] | None = None,
    extra_files: list[str] | None = None,
    **kwargs: Any,
) -> None:
    """Save a model into the new or empty directory `path`.

    Of an estimator, `serialization_format` is "skops" (default), "pickle" or "cloudpickle", and `skops_trusted_types` is
    written down for MLflow. Other arguments go to a booster's own `save_model`.
    """
    extras = Extras(
        signature, input_example, conda_env, pip_requirements, extra_pip_requirements, code_paths, extra_files, metadata
    )
    save(_writer(lgb_model, serialization_format, skops_trusted_types, kwargs), path, extras, mlflow_model)


def log_model(
    lgb_model: Any,
    artifact_path: str | None = None,
    conda_env: Any = None,
    code_paths: list[str] | None = None,
    registered_model_name: str | None = None,
    signature: ModelSignature | bool | None = None,
    input_example: Any = None,
    await_registration_for: int | None = 300,
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
    serialization_format: str | None = None,
    skops_trusted_types: list[str] | None = None,
    **kwargs: Any,
) -> ModelInfo:
    """Log a model to the active run; without one, to the current experiment. Arguments as in `runlore.sklearn.log_model`."""
    extras = Extras(
        signature, input_example, conda_env, pip_requirements, extra_pip_requirements, code_paths, extra_files, metadata
    )
    destination = Destination(model_name(artifact_path, name), registered_model_name, params, tags, model_type, step, model_id)
    return log(_writer(lgb_model, serialization_format, skops_trusted_types, kwargs), extras, destination)


def load_model(
    model_uri: str | Path, dst_path: str | None = None, *, allow_pickle: bool = False, trusted: list[str] | None = None
) -> Any:
    """The booster or estimator at a local path or a `models:/`, `runs:/` or artifact URI.

    Boosters, and estimators in skops files, load without consent; `trusted` and `allow_pickle` are those of
    `runlore.sklearn.load_model`.
    """
    return _load(fetch(model_uri, dst_path, Consent.of(allow_pickle, trusted)))


def _load(local: LocalModel) -> Any:
    lightgbm = require("lightgbm")
    file, configuration = opened(local, FLAVOR_NAME)
    if file.suffix in (".pkl", ".skops"):
        consent = replace(local.consent, trusted=(*local.consent.trusted, *TRUSTED_TYPES))
        kind = str(configuration.get("serialization_format") or SERIALIZATION_FORMAT_CLOUDPICKLE)
        return load_object(replace(local, consent=consent), file.name, kind)
    booster = class_named(local, configuration.get("model_class") or "lightgbm.basic.Booster", "lightgbm")
    if not issubclass(booster, lightgbm.Booster):
        raise InvalidParameter(f"{file.name} holds a booster, but the model says that it is a {booster.__name__}.")
    return booster(model_file=str(file))


def _load_pyfunc(local: LocalModel) -> Any:
    """The model with `predict(data, params)`, for `pyfunc.load_model`."""
    model = _load(local)
    return Predictor(model, lambda data, params: _predict(model, data, params))


def _predict(model: Any, data: Any, params: dict[str, Any] | None) -> Any:
    return model.predict(data, **accepted(model.predict, params))


def _writer(model: Any, serialization_format: str | None, trusted: list[str] | None, arguments: dict[str, Any]) -> NativeWriter:
    lightgbm = require("lightgbm")
    kind = serialization_format or "skops"
    if kind not in FORMATS:
        raise InvalidParameter(f"serialization_format must be one of {FORMATS}, got {serialization_format!r}.")
    plain = isinstance(model, lightgbm.Booster)
    needed = [] if plain else ["scikit-learn", *({"skops": ["skops"], "cloudpickle": ["cloudpickle"]}.get(kind, []))]
    return NativeWriter(
        FLAVOR_NAME,
        "model.lgb" if plain else _FILES[kind],
        dump=lambda path: model.save_model(str(path), **arguments) if plain else _dump(model, path, kind),
        prediction=lambda data, params: _predict(model, data, params),
        requires=sorted(pinned(name) for name in ("lightgbm", *needed)),
        configuration={
            "lgb_version": library_version("lightgbm"), "model_class": class_name(model), "serialization_format": kind,
            "skops_trusted_types": (trusted or TRUSTED_TYPES) if kind == "skops" else None,
        },
    )  # fmt: skip


def _dump(model: Any, path: Path, kind: str) -> None:
    """Write an estimator."""
    if kind == "skops":
        require("skops", "sklearn")
        import skops.io

        skops.io.dump(model, path)
        return
    library = require_cloudpickle() if kind == "cloudpickle" else pickle
    with path.open("wb") as stream:
        library.dump(model, stream, protocol=pickle.DEFAULT_PROTOCOL)


def autolog(
    log_input_examples: bool = False,
    log_model_signatures: bool = True,
    log_models: bool = True,
    log_datasets: bool = True,
    disable: bool = False,
    exclusive: bool = False,
    disable_for_unsupported_versions: bool = False,
    silent: bool = False,
    registered_model_name: str | None = None,
    extra_tags: dict[str, str] | None = None,
) -> None:
    """Keep a run of every training from now on, by `lightgbm.train` and by the estimators.

    Logged are the params, the evaluation metrics of every iteration while it happens, `best_iteration` and
    `stopped_iteration` of trainings that stop early, the importance of features by gain and by splits as picture and JSON,
    the datasets and the model. `disable_for_unsupported_versions` changes nothing: every version is tried.
    """
    require("lightgbm")
    warn(not silent)
    options = Options(log_input_examples, log_model_signatures, log_models, log_datasets, exclusive, extra_tags, disable)

    def logged(model: Any, **about: Any) -> ModelInfo:
        return log_model(model, name="model", registered_model_name=registered_model_name, **about)

    watch_lightgbm(options, logged, _predict)
