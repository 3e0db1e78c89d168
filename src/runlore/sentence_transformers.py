"""Embedding models of Sentence Transformers: save, log and load them, and embed texts by them.

Names, arguments and defaults are those of `mlflow.sentence_transformers`. Models of others load when they are made of the
library's own modules and safetensors; otherwise they need `load_model(uri, allow_pickle=True)`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from runlore.exceptions import InvalidParameter, MissingDependency, NotFound
from runlore.models.flavor import Destination, Extras, fetch, log, save
from runlore.models.model import Model, ModelInfo
from runlore.models.requirements import default_conda_env, pinned
from runlore.models.signature import ModelSignature
from runlore.models.trust import Consent, LocalModel, import_code, require_consent
from runlore.pyfunc import add_to_model

FLAVOR_NAME = "sentence_transformers"
SENTENCE_TRANSFORMERS_DATA_PATH = "model.sentence_transformer"

_SAFE_FILES = (".json", ".safetensors", ".txt", ".md", ".model", ".jinja")
_SAFE_MODULES = (
    "Transformer", "Pooling", "WeightedLayerPooling", "Dense", "Normalize", "LayerNorm", "Dropout", "StaticEmbedding",
)  # fmt: skip
"""Modules of the library that import nothing by names in their files, in any of its versions. `Router`, `WordEmbeddings` …
import what their files say, and `sentence_transformers.util.os` is the module `os`."""
_ACTIVATIONS, _IDENTITY = "torch.nn.modules.activation.", "torch.nn.modules.linear.Identity"


def get_default_pip_requirements() -> list[str]:
    """Pinned requirements of every embedding model."""
    return [pinned(name) for name in ("sentence-transformers", "torch", "transformers")]


def get_default_conda_env() -> dict[str, Any]:
    """A conda environment with the default requirements."""
    return default_conda_env(get_default_pip_requirements())


def save_model(
    model: Any,
    path: str | Path,
    task: str | None = None,
    inference_config: dict[str, Any] | None = None,
    code_paths: list[str] | None = None,
    mlflow_model: Model | None = None,
    signature: ModelSignature | bool | None = None,
    input_example: Any = None,
    pip_requirements: Any = None,
    extra_pip_requirements: Any = None,
    conda_env: Any = None,
    metadata: dict[str, Any] | None = None,
    extra_files: list[str] | None = None,
    **kwargs: Any,
) -> None:
    """Save a `SentenceTransformer` into the new or empty directory `path`.

    `inference_config` are arguments of `encode` for every prediction. The only task is embedding: another one is refused.
    """
    extras = Extras(
        signature, input_example, conda_env, pip_requirements, extra_pip_requirements, code_paths, extra_files, metadata
    )
    save(_Writer(model, task, inference_config), path, extras, mlflow_model)


def log_model(
    model: Any,
    artifact_path: str | None = None,
    task: str | None = None,
    inference_config: dict[str, Any] | None = None,
    code_paths: list[str] | None = None,
    registered_model_name: str | None = None,
    signature: ModelSignature | bool | None = None,
    input_example: Any = None,
    await_registration_for: int | None = 300,
    pip_requirements: Any = None,
    extra_pip_requirements: Any = None,
    conda_env: Any = None,
    metadata: dict[str, Any] | None = None,
    extra_files: list[str] | None = None,
    prompts: Any = None,
    name: str | None = None,
    params: dict[str, Any] | None = None,
    tags: dict[str, Any] | None = None,
    model_type: str | None = None,
    step: int = 0,
    model_id: str | None = None,
    **kwargs: Any,
) -> ModelInfo:
    """Log a `SentenceTransformer` to the active run; without one, to the current experiment. `prompts` are not kept."""
    extras = Extras(
        signature, input_example, conda_env, pip_requirements, extra_pip_requirements, code_paths, extra_files, metadata
    )
    return log(
        _Writer(model, task, inference_config),
        extras,
        Destination(name or artifact_path, registered_model_name, params, tags, model_type, step, model_id),
    )


def load_model(model_uri: str | Path, dst_path: str | None = None, *, allow_pickle: bool = False) -> Any:
    """The `SentenceTransformer` at a local path or a `models:/`, `runs:/` or artifact URI."""
    return _load(fetch(model_uri, dst_path, Consent(allow_pickle is True)))


def _load(local: LocalModel, device: str | None = None) -> Any:
    library = _library()
    configuration = local.model.flavor(FLAVOR_NAME)
    import_code(local, configuration)
    place = local.file(SENTENCE_TRANSFORMERS_DATA_PATH)
    if not local.may_run_code:
        _audit(local, place)
    return library.SentenceTransformer(str(place), device=device, trust_remote_code=False, local_files_only=True)


def _audit(local: LocalModel, place: Path) -> None:
    """Only modules of the library itself, and no file that could hold a pickle or Python."""
    others = [path.name for path in place.rglob("*") if path.is_file() and path.suffix not in _SAFE_FILES]
    if others:
        require_consent(local, f"a model with the files {sorted(others)[:5]}")
    modules = json.loads(local.file(f"{SENTENCE_TRANSFORMERS_DATA_PATH}/modules.json").read_text(encoding="utf-8"))
    known = isinstance(modules, list) and all(isinstance(module, dict) for module in modules)
    foreign = [str(module.get("type")) for module in modules if not _is_plain(local, module)] if known else ["?"]
    if foreign:
        require_consent(local, f"a model with the modules {foreign}")


def _is_plain(local: LocalModel, module: dict[str, Any]) -> bool:
    """Whether a module imports nothing that the model's files name, and reads files of the model alone."""
    package, _, kind = str(module.get("type")).rpartition(".")
    if not package.startswith("sentence_transformers.") or kind not in _SAFE_MODULES:
        return False
    place = "/".join(filter(None, (SENTENCE_TRANSFORMERS_DATA_PATH, str(module.get("path") or ""))))
    try:
        directory = local.file(place)
    except NotFound:  # of a module without files, which stores keep no directory for
        return kind in ("Normalize", "Dropout")
    if kind != "Dense" or not (directory / "config.json").is_file():
        return True
    configuration = json.loads((directory / "config.json").read_text(encoding="utf-8"))
    activation = configuration.get("activation_function", "") if isinstance(configuration, dict) else None
    return activation in ("", _IDENTITY) or str(activation).startswith(_ACTIVATIONS)


def _load_pyfunc(local: LocalModel, model_config: dict[str, Any] | None = None) -> Any:
    """The model as `pyfunc.load_model` wants it; `model_config` are arguments of `encode`, and `device`."""
    config = dict(model_config or {})
    return Predictor(_load(local, config.pop("device", None)), config)


class Predictor:
    """An embedding model with `predict(data, params)`: texts in, an array with a row for each out."""

    def __init__(self, model: Any, config: dict[str, Any] | None = None) -> None:
        self.model, self.config = model, config or {}

    def get_raw_model(self) -> Any:
        """The `SentenceTransformer`."""
        return self.model

    def predict(self, data: Any, params: dict[str, Any] | None = None) -> Any:
        """Embeddings, shape (texts, dimensions). `params` go to `encode`."""
        if hasattr(data, "iloc"):
            data = data.iloc[:, 0].tolist()
        texts = [data] if isinstance(data, str) else list(data)
        if not all(isinstance(text, str) for text in texts):
            raise InvalidParameter("Texts were expected: a text, a list of texts, or a table with a column of them.")
        return self.model.encode(texts, **{"show_progress_bar": False, **self.config, **(params or {})})


class _Writer:
    """Writes one embedding model."""

    def __init__(self, model: Any, task: str | None, config: dict[str, Any] | None) -> None:
        library = _library()
        if not isinstance(model, library.SentenceTransformer):
            raise InvalidParameter(f"model must be a SentenceTransformer, got {type(model).__name__}.")
        if task is not None:
            raise InvalidParameter(f"task={task!r} is not offered: predictions are embeddings. Leave it out.")
        self.model, self.config = model, config

    def write(self, directory: Path, model: Model) -> None:
        """See `Writer`."""
        self.model.save(str(directory / SENTENCE_TRANSFORMERS_DATA_PATH), create_model_card=False)
        add_to_model(
            model, loader_module="mlflow.sentence_transformers", data=SENTENCE_TRANSFORMERS_DATA_PATH, model_config=self.config
        )
        inner = getattr(self.model[0], "auto_model", None)
        model.add_flavor(
            FLAVOR_NAME,
            pipeline_model_type=type(inner).__name__ if inner is not None else None,
            source_model_name=str(getattr(getattr(inner, "config", None), "_name_or_path", "") or ""),
            sentence_transformers_version=_library().__version__,
            code=None,
        )

    def requirements(self) -> list[str]:
        """See `Writer`."""
        return get_default_pip_requirements()

    def predict(self, data: Any, params: dict[str, Any] | None) -> Any:
        """See `Writer`."""
        return Predictor(self.model, self.config).predict(data, params)


def _library() -> Any:
    try:
        import sentence_transformers
    except ImportError:
        raise MissingDependency("Sentence Transformers is not installed. hint: pip install sentence-transformers") from None
    return sentence_transformers
