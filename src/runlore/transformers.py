"""Models and pipelines of Hugging Face Transformers: save, log and load them whole, predict by them, autologging of `Trainer`.

Names, arguments and defaults are those of `mlflow.transformers`. What is kept is what Transformers writes: safetensors and
JSON. Models of others load from these alone, with no code of theirs, unless `allow_pickle=True` vouches for their author.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from runlore.autologging.patch import warn
from runlore.autologging.session import Options
from runlore.autologging.trainers import TrainWatcher, watch_trainers
from runlore.exceptions import InvalidParameter, MissingDependency, Untrusted
from runlore.models.flavor import Destination, Extras, fetch, log, save
from runlore.models.model import Model, ModelInfo
from runlore.models.requirements import default_conda_env, pinned
from runlore.models.signature import ModelSignature
from runlore.models.trust import Consent, LocalModel, import_code
from runlore.pyfunc import add_to_model

FLAVOR_NAME = "transformers"

_MODEL, _COMPONENTS, _PROCESSOR = "model", "components", "processor"
_AUTO = {
    "tokenizer": "AutoTokenizer",
    "feature_extractor": "AutoFeatureExtractor",
    "image_processor": "AutoImageProcessor",
    _PROCESSOR: "AutoProcessor",
}
"""Component of a pipeline -> the class that loads it."""
_TEXT_TASKS = (
    "text-classification", "fill-mask", "text-generation", "feature-extraction", "token-classification",
    "zero-shot-classification",
)  # fmt: skip
"""Tasks that `pyfunc` predicts from texts."""


def get_default_pip_requirements(model: Any = None) -> list[str]:
    """Pinned requirements of every model of Transformers with PyTorch."""
    return [pinned(name) for name in ("transformers", "torch", "accelerate")]


def get_default_conda_env(model: Any = None) -> dict[str, Any]:
    """A conda environment with the default requirements."""
    return default_conda_env(get_default_pip_requirements(model))


def save_model(
    transformers_model: Any,
    path: str | Path,
    processor: Any = None,
    task: str | None = None,
    torch_dtype: Any = None,
    model_card: Any = None,
    code_paths: list[str] | None = None,
    mlflow_model: Model | None = None,
    signature: ModelSignature | bool | None = None,
    input_example: Any = None,
    pip_requirements: Any = None,
    extra_pip_requirements: Any = None,
    conda_env: Any = None,
    metadata: dict[str, Any] | None = None,
    model_config: dict[str, Any] | None = None,
    prompt_template: str | None = None,
    save_pretrained: bool = True,
    base_model_path: str | None = None,
    **kwargs: Any,
) -> None:
    """Save a pipeline, or a dictionary of `model`, `tokenizer` … with its `task`, into the new or empty directory `path`.

    `model_config` are arguments of every prediction; `prompt_template`, with one `{prompt}`, is put around texts to generate
    from. Weights are always kept: `save_pretrained=False` and `base_model_path` raise `InvalidParameter`.
    """
    extras = Extras(signature, input_example, conda_env, pip_requirements, extra_pip_requirements, code_paths, None, metadata)
    _refuse_references(save_pretrained, base_model_path)
    writer = _Writer(transformers_model, task, processor, torch_dtype, _Words(model_card, model_config, prompt_template))
    save(writer, path, extras, mlflow_model)


def log_model(
    transformers_model: Any,
    artifact_path: str | None = None,
    processor: Any = None,
    task: str | None = None,
    torch_dtype: Any = None,
    model_card: Any = None,
    code_paths: list[str] | None = None,
    registered_model_name: str | None = None,
    signature: ModelSignature | bool | None = None,
    input_example: Any = None,
    await_registration_for: int | None = 300,
    pip_requirements: Any = None,
    extra_pip_requirements: Any = None,
    conda_env: Any = None,
    metadata: dict[str, Any] | None = None,
    model_config: dict[str, Any] | None = None,
    prompt_template: str | None = None,
    save_pretrained: bool = True,
    prompts: Any = None,
    name: str | None = None,
    params: dict[str, Any] | None = None,
    tags: dict[str, Any] | None = None,
    model_type: str | None = None,
    step: int = 0,
    model_id: str | None = None,
    base_model_path: str | None = None,
    **kwargs: Any,
) -> ModelInfo:
    """Log a pipeline to the active run; without one, to the current experiment. See `save_model`. `prompts` are not kept."""
    extras = Extras(signature, input_example, conda_env, pip_requirements, extra_pip_requirements, code_paths, None, metadata)
    _refuse_references(save_pretrained, base_model_path)
    return log(
        _Writer(transformers_model, task, processor, torch_dtype, _Words(model_card, model_config, prompt_template)),
        extras,
        Destination(name or artifact_path, registered_model_name, params, tags, model_type, step, model_id),
    )


def load_model(
    model_uri: str | Path,
    dst_path: str | None = None,
    return_type: str = "pipeline",
    device: Any = None,
    base_model_path: str | None = None,
    *,
    allow_pickle: bool = False,
    **kwargs: Any,
) -> Any:
    """The pipeline at a local path or a `models:/`, `runs:/` or artifact URI; `return_type="components"`: its parts by name.

    `kwargs` go to `transformers.pipeline`.
    """
    if return_type not in ("pipeline", "components"):
        raise InvalidParameter(f"return_type must be 'pipeline' or 'components', got {return_type!r}.")
    _refuse_references(True, base_model_path)
    return _load(fetch(model_uri, dst_path, Consent(allow_pickle is True)), return_type, device, kwargs)


def _refuse_references(save_pretrained: bool, base_model_path: str | None) -> None:
    if not save_pretrained or base_model_path is not None:
        raise InvalidParameter(
            "Models are kept with their weights, not as references to a hub or a directory: save_pretrained=False and "
            "base_model_path are not offered."
        )


def _load(local: LocalModel, return_type: str, device: Any, options: dict[str, Any]) -> Any:
    library = _transformers()
    configuration = local.model.flavor(FLAVOR_NAME)
    import_code(local, configuration)
    if "model_binary" not in configuration:
        raise InvalidParameter("This model is a reference to a hub, without weights of its own: Runlore does not load it.")
    kind = getattr(library, str(configuration.get("pipeline_model_type")), None)
    if not isinstance(kind, type) or not issubclass(kind, library.PreTrainedModel):
        raise InvalidParameter(f"Transformers has no model class {configuration.get('pipeline_model_type')!r}.")
    dtype = str(configuration.get("torch_dtype") or "auto").removeprefix("torch.")
    parts: dict[str, Any] = {_MODEL: _weights(local, kind, str(configuration["model_binary"]), dtype)}
    names = [name for name in configuration.get("components") or [] if name in _AUTO]
    if configuration.get("processor_type"):
        names.append(_PROCESSOR)
    for name in dict.fromkeys(names):
        place = local.file(_PROCESSOR if name == _PROCESSOR else f"{_COMPONENTS}/{name}")
        parts[name] = getattr(library, _AUTO[name]).from_pretrained(place, trust_remote_code=False, local_files_only=True)
    if return_type == "components":
        return {"task": configuration.get("task"), **parts}
    given = {name: part for name, part in parts.items() if name != _PROCESSOR}
    return library.pipeline(task=configuration.get("task"), device=device, **given, **options)


def _weights(local: LocalModel, kind: Any, name: str, dtype: str) -> Any:
    """The model, from safetensors alone unless it may run code."""
    place = local.file(name)
    if not local.may_run_code and not any(place.glob("*.safetensors")):
        raise Untrusted(
            f"Refused to load the weights in {name}/: they are no safetensors but pickles, which can run any code, and this "
            "installation did not write them. If you trust their author: load_model(model_uri, allow_pickle=True)."
        )
    safe = None if local.may_run_code else True
    return kind.from_pretrained(place, dtype=dtype, use_safetensors=safe, trust_remote_code=False, local_files_only=True)


def _load_pyfunc(local: LocalModel, model_config: dict[str, Any] | None = None) -> Any:
    """The model as `pyfunc.load_model` wants it; `model_config={"device": 0}` chooses where it computes."""
    config = dict(model_config or {})
    template = (local.model.metadata or {}).get("prompt_template")
    return Predictor(_load(local, "pipeline", config.pop("device", None), {}), config, template)


class Predictor:
    """A pipeline with `predict(data, params)`: texts in, what MLflow gives for the pipeline's task out."""

    def __init__(self, pipeline: Any, config: dict[str, Any] | None = None, template: str | None = None) -> None:
        self.pipeline, self.config, self.template = pipeline, config or {}, template

    def get_raw_model(self) -> Any:
        """The pipeline."""
        return self.pipeline

    def predict(self, data: Any, params: dict[str, Any] | None = None) -> Any:
        """Labels and scores as a table, texts as a list, features as an array. `params` go to the pipeline."""
        task = self.pipeline.task
        if task not in _TEXT_TASKS:
            raise InvalidParameter(
                f"pyfunc does not predict by pipelines for {task}. hint: runlore.transformers.load_model(uri)"
            )
        options = {**self.config, **(params or {})}
        rows = _rows(data)
        if task == "zero-shot-classification":
            return self._zero_shot(rows, options)
        texts = [_text(row) for row in rows]
        if self.template is not None:
            texts = [self.template.format(prompt=text) for text in texts]
        return _answers(task, self.pipeline(texts, **options))

    def _zero_shot(self, rows: list[Any], options: dict[str, Any]) -> Any:
        import pandas as pd

        found = self.pipeline([row["sequences"] for row in rows], candidate_labels=_labels(rows[0]), **options)
        pieces = found if isinstance(found, list) else [found]
        return pd.concat([pd.DataFrame(item) for item in pieces], ignore_index=True)


def _labels(row: dict[str, Any]) -> Any:
    labels = row["candidate_labels"]
    return list(labels) if not isinstance(labels, str) else labels


def _rows(data: Any) -> list[Any]:
    """The data one by one: texts, or dictionaries for tasks with several inputs."""
    if hasattr(data, "iloc"):
        return list(data.iloc[:, 0]) if len(data.columns) == 1 else data.to_dict(orient="records")
    if hasattr(data, "tolist"):
        return list(data.tolist())
    return list(data) if isinstance(data, list | tuple) else [data]


def _text(row: Any) -> str:
    if isinstance(row, dict) and len(row) == 1:
        row = next(iter(row.values()))
    if not isinstance(row, str):
        raise InvalidParameter(f"A text was expected, got {type(row).__name__}.")
    return row


def _answers(task: str, found: Any) -> Any:
    """What a pipeline answered to several texts, in MLflow's form."""
    import numpy as np

    if task == "feature-extraction":
        return np.concatenate([np.asarray(item)[0] for item in found])
    if task == "text-classification":
        import pandas as pd

        return pd.DataFrame([item[0] if isinstance(item, list) else item for item in found])
    if task == "token-classification":
        return [",".join(part.get("entity_group", part.get("entity", "")) for part in item) for item in found]
    if task == "fill-mask" and isinstance(found[0], dict):  # of one text, not a list of its candidates but they themselves
        found = [found]
    key = "token_str" if task == "fill-mask" else "generated_text"
    return [item[0][key] for item in found]


class _Words:
    """What is written down beside a model."""

    def __init__(self, card: Any, config: dict[str, Any] | None, template: str | None) -> None:
        if template is not None and template.count("{prompt}") != 1:
            raise InvalidParameter(f"prompt_template must hold {{prompt}} once, got {template!r}.")
        self.card, self.config, self.template = card, config, template


class _Writer:
    """Writes one pipeline."""

    def __init__(self, given: Any, task: str | None, processor: Any, dtype: Any, words: _Words) -> None:
        library = _transformers()
        if isinstance(given, dict):
            if task is None or _MODEL not in given:
                raise InvalidParameter(
                    "A dictionary of components needs a 'model', and its task: save_model(…, task='fill-mask')."
                )
            if unknown := sorted(given.keys() - {_MODEL, *_AUTO}):
                raise InvalidParameter(f"Unknown components {unknown}; known are {[_MODEL, *_AUTO]}.")
            processor = processor or given.get(_PROCESSOR)
            given = library.pipeline(task=task, **{name: part for name, part in given.items() if name != _PROCESSOR})
        if not isinstance(given, library.Pipeline):
            raise InvalidParameter(
                f"transformers_model must be a pipeline or a dictionary of its components, got {type(given).__name__}. "
                "hint: {'model': model, 'tokenizer': tokenizer} and task='text-classification'"
            )
        self.pipeline, self.task, self.processor, self.words = given, task or given.task, processor, words
        self.dtype = dtype or given.model.dtype

    def write(self, directory: Path, model: Model) -> None:
        """See `Writer`."""
        library = _transformers()
        self.pipeline.model.save_pretrained(directory / _MODEL)
        components = {name: part for name in _AUTO if name != _PROCESSOR and (part := getattr(self.pipeline, name, None))}
        for name, part in components.items():
            part.save_pretrained(directory / _COMPONENTS / name)
        types = {f"{name}_type": type(part).__name__ for name, part in components.items()}
        if self.processor is not None:
            self.processor.save_pretrained(directory / _PROCESSOR)
            types["processor_type"] = type(self.processor).__name__
        if self.words.card is not None:
            (directory / "model_card.md").write_text(str(self.words.card), encoding="utf-8")
        if self.words.template is not None:
            model.metadata = {**(model.metadata or {}), "prompt_template": self.words.template}
        add_to_model(model, loader_module="mlflow.transformers", model_config=self.words.config)
        model.add_flavor(
            FLAVOR_NAME,
            transformers_version=library.__version__,
            code=None,
            task=self.task,
            instance_type=type(self.pipeline).__name__,
            source_model_name=str(getattr(self.pipeline.model, "name_or_path", "") or ""),
            pipeline_model_type=type(self.pipeline.model).__name__,
            torch_dtype=str(self.dtype),
            model_binary=_MODEL,
            components=list(components),
            **types,
        )

    def requirements(self) -> list[str]:
        """See `Writer`."""
        return get_default_pip_requirements(self.pipeline.model)

    def predict(self, data: Any, params: dict[str, Any] | None) -> Any:
        """See `Writer`."""
        return Predictor(self.pipeline, self.words.config, self.words.template).predict(data, params)


def autolog(
    log_input_examples: bool = False,
    log_model_signatures: bool = False,
    log_models: bool = False,
    log_datasets: bool = False,
    disable: bool = False,
    exclusive: bool = False,
    disable_for_unsupported_versions: bool = False,
    silent: bool = False,
    extra_tags: dict[str, str] | None = None,
) -> None:
    """Keep a run of every `Trainer.train` from now on: arguments and configuration as params, what it logs as metrics.

    A trainer that reports to MLflow by its own callback is left to it. With `log_models`, the model is logged under the task
    of its class where Transformers knows one. Examples, signatures and datasets are not recorded.
    """
    warn(not silent)
    options = Options(False, False, log_models, False, exclusive, extra_tags, disable)
    watch_trainers(TrainWatcher(options, _log_trained))


def _log_trained(trainer: Any) -> ModelInfo:
    from transformers.pipelines import SUPPORTED_TASKS

    kind = type(trainer.model).__name__
    known = {task: {item.__name__ for item in facts["pt"]} for task, facts in SUPPORTED_TASKS.items()}
    suffixes = {task: {name.removeprefix("AutoModel") for name in names} for task, names in known.items()}
    task = next((task for task, ends in suffixes.items() if any(end and kind.endswith(end) for end in ends)), None)
    processor = getattr(trainer, "processing_class", None)
    if task is None or processor is None:
        raise InvalidParameter(f"The trained {kind} is not logged: it needs a tokenizer, and a task that Transformers knows.")
    return log_model({"model": trainer.model, "tokenizer": processor}, name="model", task=task)


def _transformers() -> Any:
    try:
        import transformers
    except ImportError:
        raise MissingDependency("Transformers is not installed. hint: pip install transformers torch") from None
    return transformers
