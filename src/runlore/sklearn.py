"""scikit-learn models: save, log and load, by default in the skops format, which runs no code when it is loaded.

Names, arguments and defaults are those of `mlflow.sklearn`. What differs: models in the skops format load here by Runlore's
own list of types, trees included (their node arrays are checked), and pickles load only with the caller's consent:
`load_model(uri, allow_pickle=True)`, unless this installation wrote them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from runlore.autologging.estimators import FitWatcher, watch_estimators
from runlore.autologging.patch import warn
from runlore.autologging.session import Options
from runlore.exceptions import InvalidParameter, MissingDependency
from runlore.models.flavor import Destination, Extras, fetch, log, save
from runlore.models.model import Model, ModelInfo
from runlore.models.requirements import default_conda_env, needed_by, pinned
from runlore.models.signature import ModelSignature
from runlore.models.skops_audit import untrusted_types
from runlore.models.trust import FORMATS, Consent, LocalModel, import_code, load_object, require_cloudpickle
from runlore.pyfunc import add_to_model

FLAVOR_NAME = "sklearn"
SERIALIZATION_FORMAT_SKOPS = "skops"
SERIALIZATION_FORMAT_PICKLE = "pickle"
SERIALIZATION_FORMAT_CLOUDPICKLE = "cloudpickle"
SUPPORTED_SERIALIZATION_FORMATS = list(FORMATS)

_FILES = {"skops": "model.skops", "pickle": "model.pkl", "cloudpickle": "model.pkl"}
_PREDICTIONS = ("predict", "predict_proba", "predict_log_proba", "predict_joint_log_proba", "decision_function", "score",
                "score_samples", "transform")  # fmt: skip


def get_default_pip_requirements(include_cloudpickle: bool = False, include_skops: bool = False) -> list[str]:
    """Pinned requirements of every scikit-learn model."""
    names = ["scikit-learn", "numpy", "scipy"]
    names += ["cloudpickle"] if include_cloudpickle else []
    names += ["skops"] if include_skops else []
    return sorted(pinned(name) for name in names)


def get_default_conda_env(include_cloudpickle: bool = False, include_skops: bool = False) -> dict[str, Any]:
    """A conda environment with the default requirements."""
    return default_conda_env(get_default_pip_requirements(include_cloudpickle, include_skops))


def save_model(
    sk_model: Any,
    path: str | Path,
    conda_env: Any = None,
    code_paths: list[str] | None = None,
    mlflow_model: Model | None = None,
    serialization_format: str | None = None,
    signature: ModelSignature | bool | None = None,
    input_example: Any = None,
    pip_requirements: Any = None,
    extra_pip_requirements: Any = None,
    pyfunc_predict_fn: str = "predict",
    metadata: dict[str, Any] | None = None,
    skops_trusted_types: list[str] | None = None,
    extra_files: list[str] | None = None,
) -> None:
    """Save a model into the new or empty directory `path`.

    `serialization_format` is "skops" (default), "pickle" or "cloudpickle". `skops_trusted_types` is written down for MLflow,
    which reads it at load; left out, it is filled with the types that the model needs. Runlore never reads it.
    """
    writer = _Writer(sk_model, serialization_format, pyfunc_predict_fn, skops_trusted_types)
    extras = Extras(
        signature, input_example, conda_env, pip_requirements, extra_pip_requirements, code_paths, extra_files, metadata
    )
    save(writer, path, extras, mlflow_model)


def log_model(
    sk_model: Any,
    artifact_path: str | None = None,
    conda_env: Any = None,
    code_paths: list[str] | None = None,
    serialization_format: str | None = None,
    registered_model_name: str | None = None,
    signature: ModelSignature | bool | None = None,
    input_example: Any = None,
    await_registration_for: int | None = 300,
    pip_requirements: Any = None,
    extra_pip_requirements: Any = None,
    pyfunc_predict_fn: str = "predict",
    metadata: dict[str, Any] | None = None,
    extra_files: list[str] | None = None,
    params: dict[str, Any] | None = None,
    tags: dict[str, Any] | None = None,
    model_type: str | None = None,
    step: int = 0,
    model_id: str | None = None,
    name: str | None = None,
    skops_trusted_types: list[str] | None = None,
) -> ModelInfo:
    """Log a model to the active run; without one, to the current experiment, as MLflow 3 does.

    `artifact_path` and `name` are the same thing: the name of the logged model. `registered_model_name` also makes a new
    version of that registered model; versions are ready at once, so `await_registration_for` has nothing to wait for.
    """
    if artifact_path is not None and name is not None:
        raise InvalidParameter(f"Give either name or artifact_path, not both; got {name!r} and {artifact_path!r}.")
    writer = _Writer(sk_model, serialization_format, pyfunc_predict_fn, skops_trusted_types)
    extras = Extras(
        signature, input_example, conda_env, pip_requirements, extra_pip_requirements, code_paths, extra_files, metadata
    )
    return log(
        writer,
        extras,
        Destination(name or artifact_path, registered_model_name, params, tags, model_type, step, model_id),
    )


def load_model(
    model_uri: str | Path, dst_path: str | None = None, *, allow_pickle: bool = False, trusted: list[str] | None = None
) -> Any:
    """The scikit-learn model at a local path or a `models:/`, `runs:/` or artifact URI.

    What this installation logged loads as it is. For other models: skops files load when their types are known and their
    trees are sound, `trusted` adds types by full name; pickles (and models with Python files of their own) load only with
    `allow_pickle=True`, which lets them run any code. Raises `Untrusted`, saying what would help, otherwise.
    """
    local = fetch(model_uri, dst_path, Consent.of(allow_pickle, trusted))
    return _load(local)


def _load(local: LocalModel) -> Any:
    configuration = local.model.flavor(FLAVOR_NAME)
    import_code(local, configuration)
    return load_object(local, configuration.get("pickled_model"), str(configuration.get("serialization_format", "pickle")))


def _load_pyfunc(local: LocalModel) -> Any:
    """The model as `pyfunc.load_model` wants it: with `predict(data, params)` by the function that was chosen at saving."""
    function = local.model.flavors.get("python_function", {}).get("predict_fn", "predict")
    if function not in _PREDICTIONS:
        raise InvalidParameter(f"predict_fn {function!r} is not a prediction. Expected one of {_PREDICTIONS}.")
    return _Predictor(_load(local), function)


class _Predictor:
    def __init__(self, model: Any, function: str) -> None:
        self.model = model
        self.function = function

    def get_raw_model(self) -> Any:
        return self.model

    def predict(self, data: Any, params: dict[str, Any] | None = None) -> Any:
        return getattr(self.model, self.function)(data)


class _Writer:
    """Writes one scikit-learn model."""

    def __init__(self, model: Any, serialization_format: str | None, predict: str, trusted: list[str] | None) -> None:
        self.format = serialization_format or SERIALIZATION_FORMAT_SKOPS
        if self.format not in FORMATS:
            raise InvalidParameter(
                f"Unrecognized serialization format: {serialization_format}. Please specify one of the following supported "
                f"formats: {SUPPORTED_SERIALIZATION_FORMATS}."
            )
        self.model = model
        self.function = predict
        self.trusted = trusted

    def write(self, directory: Path, model: Model) -> None:
        """See `Writer`."""
        file = _FILES[self.format]
        trusted = self._dump(directory / file)
        if hasattr(self.model, self.function):
            add_to_model(model, loader_module="mlflow.sklearn", model_path=file, predict_fn=self.function)
        model.add_flavor(
            FLAVOR_NAME,
            pickled_model=file,
            sklearn_version=pinned("scikit-learn").partition("==")[2],
            serialization_format=self.format,
            code=None,
            skops_trusted_types=trusted,
        )

    def requirements(self) -> list[str]:
        """See `Writer`."""
        default = get_default_pip_requirements(self.format == "cloudpickle", self.format == "skops")
        return sorted({*default, *needed_by(self.model)})

    def predict(self, data: Any, params: dict[str, Any] | None) -> Any:
        """See `Writer`."""
        return getattr(self.model, self.function)(data)

    def _dump(self, path: Path) -> list[str] | None:
        """Write the model's file; the types that MLflow must be told to trust, for skops files."""
        if self.format != SERIALIZATION_FORMAT_SKOPS:
            import pickle

            library = require_cloudpickle() if self.format == SERIALIZATION_FORMAT_CLOUDPICKLE else pickle
            with path.open("wb") as stream:
                library.dump(self.model, stream, protocol=pickle.DEFAULT_PROTOCOL)
            return None
        try:
            import skops.io
            from skops.io.exceptions import UnsupportedTypeException
        except ImportError:
            raise MissingDependency("skops is not installed. hint: pip install 'runlore[sklearn]'") from None
        try:
            skops.io.dump(self.model, path)
        except (UnsupportedTypeException, TypeError, ValueError, AttributeError) as error:
            raise InvalidParameter(
                f"A {type(self.model).__name__} can not be kept in the skops format ({error}). Pass "
                "serialization_format='cloudpickle' to keep it as a pickle, which others load only with their consent."
            ) from error
        return self.trusted or untrusted_types(path) or None


def autolog(
    log_input_examples: bool = False,
    log_model_signatures: bool = True,
    log_models: bool = True,
    log_datasets: bool = True,
    disable: bool = False,
    exclusive: bool = False,
    disable_for_unsupported_versions: bool = False,
    silent: bool = False,
    max_tuning_runs: int | None = 5,
    log_post_training_metrics: bool = True,
    serialization_format: str = SERIALIZATION_FORMAT_CLOUDPICKLE,
    registered_model_name: str | None = None,
    pos_label: Any = None,
    extra_tags: dict[str, str] | None = None,
) -> None:
    """Keep a run of every `fit` from now on: params, training metrics, model, dataset, pictures; of a search its candidates.

    A fit goes into the active run, or into one of its own. `exclusive` leaves runs of yours alone. A search has runs of its
    best `max_tuning_runs` candidates below it (None: of all). `pos_label` is the positive class of two. Metrics that you
    compute after a training are not recorded, so `log_post_training_metrics` changes nothing yet; nor does
    `disable_for_unsupported_versions`: every version from 1.4 on is tried. `silent` keeps warnings to itself.
    """
    warn(not silent)
    options = Options(log_input_examples, log_model_signatures, log_models, log_datasets, exclusive, extra_tags, disable)

    def logged(model: Any, name: str, signature: Any, input_example: Any) -> ModelInfo:
        return log_model(
            model, name=name, signature=signature, input_example=input_example, serialization_format=serialization_format,
            registered_model_name=registered_model_name if name == "model" else None,
        )  # fmt: skip

    watch_estimators(FitWatcher(options, logged, max_tuning_runs, pos_label))
