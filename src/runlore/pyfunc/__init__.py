"""Any model as a function of a table: `load_model(uri).predict(data)`, and models that are Python classes of the user.

Which module may load a model is an allow-list, not the word of the model's own file.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from runlore.exceptions import InvalidParameter, NotFound
from runlore.models.code import chosen_config, read_config
from runlore.models.flavor import Destination, Extras, Writer, fetch, log, save
from runlore.models.model import Model, ModelInfo
from runlore.models.own_code import own_code
from runlore.models.requirements import default_conda_env, pinned
from runlore.models.signature import ModelSignature
from runlore.models.trust import Consent, LocalModel
from runlore.pyfunc.environment import build_model_env
from runlore.pyfunc.loaded import FLAVOR_NAME, PyFuncModel
from runlore.pyfunc.loaders import load_by_module
from runlore.pyfunc.model import PythonModel, PythonModelContext
from runlore.pyfunc.python_model import FROM_CODE, PICKLED, PythonModelWriter, add_flavor, load_python_model
from runlore.pyfunc.spark import spark_udf

__all__ = [
    "FLAVOR_NAME", "PyFuncModel", "PythonModel", "PythonModelContext", "add_to_model", "build_model_env",
    "get_default_conda_env", "get_default_pip_requirements", "get_model_dependencies", "load_model", "load_pyfunc", "log_model",
    "save_model", "spark_udf",
]  # fmt: skip


def load_model(
    model_uri: str | Path,
    suppress_warnings: bool = False,
    dst_path: str | None = None,
    model_config: str | Path | dict[str, Any] | None = None,
    *,
    allow_pickle: bool = False,
    trusted: list[str] | None = None,
) -> PyFuncModel:
    """The model at a local path or a `models:/`, `runs:/` or artifact URI. Consent as in `runlore.sklearn.load_model`.

    `model_config` (a dictionary, or the path of a YAML file) replaces values that the model was saved with.
    """
    return _load_local(fetch(model_uri, dst_path, Consent.of(allow_pickle, trusted)), model_config)


def _load_local(local: LocalModel, model_config: str | Path | dict[str, Any] | None) -> PyFuncModel:
    """The model whose files are on this machine."""
    configuration = local.model.flavor(FLAVOR_NAME)
    config = chosen_config(configuration.get("config"), model_config)
    if configuration.get("loader_module") in (PICKLED, FROM_CODE):
        return PyFuncModel.of(local, load_python_model(local, configuration, config), config)
    return PyFuncModel.of(local, load_by_module(local, configuration, config), config)


def load_pyfunc(model_uri: str | Path, suppress_warnings: bool = False) -> PyFuncModel:
    """An older name of `load_model`."""
    return load_model(model_uri, suppress_warnings)


def add_to_model(
    model: Model,
    loader_module: str,
    data: str | None = None,
    code: str | None = None,
    conda_env: str | None = None,
    python_env: str | None = None,
    model_config: str | Path | dict[str, Any] | None = None,
    model_code_path: str | None = None,
    **kwargs: Any,
) -> Model:
    """Add the flavor that makes a model loadable as a function; returns the model.

    `data`, `code`, `conda_env` and `python_env` are names of files beside the model, `kwargs` further facts for its loader.
    """
    given = {"data": data, "code": code, "model_code_path": model_code_path}
    facts = {**{key: value for key, value in given.items() if value is not None}, **kwargs}
    if model_config is not None:
        facts["config"] = read_config(model_config)
    add_flavor(model, loader_module, **facts)
    environment = {"conda": conda_env, "virtualenv": python_env}
    model.flavors[FLAVOR_NAME]["env"].update({key: name for key, name in environment.items() if name is not None})
    return model


def get_default_pip_requirements() -> list[str]:
    """Pinned requirements of every model written by hand."""
    return [pinned("cloudpickle")]


def get_default_conda_env() -> dict[str, Any]:
    """A conda environment with the default requirements."""
    return default_conda_env(get_default_pip_requirements())


def get_model_dependencies(model_uri: str | Path, format: str = "pip") -> str:
    """The path of a file with what a model needs: "pip" its requirements.txt, "conda" its conda.yaml.

    The file is a copy in a temporary directory for a model that is not on this machine. Nothing of the model is loaded.
    """
    names = {"pip": "requirements.txt", "conda": "conda.yaml"}
    if format not in names:
        raise InvalidParameter(f"format must be 'pip' or 'conda', got {format!r}.")
    local = fetch(model_uri)
    path = local.path / names[format]
    if not path.is_file():
        raise NotFound(f"The model at {str(model_uri)!r} has no {names[format]}.")
    if Path(model_uri).exists():
        return str(path)
    import tempfile

    return str(shutil.copy2(path, tempfile.mkdtemp(prefix="runlore-dependencies-")))


def save_model(
    path: str | Path,
    loader_module: str | None = None,
    data_path: str | None = None,
    code_paths: list[str] | None = None,
    infer_code_paths: bool = False,
    conda_env: Any = None,
    mlflow_model: Model | None = None,
    python_model: Any = None,
    artifacts: dict[str, str] | None = None,
    signature: ModelSignature | bool | None = None,
    input_example: Any = None,
    pip_requirements: Any = None,
    extra_pip_requirements: Any = None,
    metadata: dict[str, Any] | None = None,
    model_config: str | Path | dict[str, Any] | None = None,
    streamable: bool | None = None,
    resources: Any = None,
    auth_policy: Any = None,
    uv_project_path: str | Path | None = None,
    uv_groups: list[str] | None = None,
    uv_extras: list[str] | None = None,
    **kwargs: Any,
) -> None:
    """Save a model written by hand into the new or empty directory `path`.

    `python_model` is a `PythonModel`, a function of its input, or the path of a Python file that calls `set_model`: the file
    is kept instead of a pickle. `artifacts` are local files, directories or artifact URIs by name; `context.artifacts[name]`
    is their path after loading. Instead of a `python_model`, `loader_module` is a module with a function
    `_load_pyfunc(data_path)` that answers something with `predict(data)`; `data_path` is a file or directory for it.
    `code_paths` are Python files and packages that the model imports; `infer_code_paths` looks for them in this directory.
    `model_config` is kept with the model, where `context.model_config` and `ModelConfig` read it.
    """
    if kwargs:
        raise TypeError(f"save_model() got unexpected arguments {sorted(kwargs)}")
    _refuse_uv(uv_project_path, uv_groups, uv_extras)
    writer = _writer(loader_module, data_path, python_model, artifacts, model_config, streamable)
    code = _code(code_paths, infer_code_paths, loader_module, python_model)
    extras = Extras(signature, input_example, conda_env, pip_requirements, extra_pip_requirements, code, None, metadata)
    model = mlflow_model or Model()
    described = Model(resources=resources, auth_policy=auth_policy)
    model.resources, model.auth_policy = described.resources or model.resources, described.auth_policy or model.auth_policy
    save(writer, path, extras, model)


def log_model(
    artifact_path: str | None = None,
    loader_module: str | None = None,
    data_path: str | None = None,
    code_paths: list[str] | None = None,
    infer_code_paths: bool = False,
    conda_env: Any = None,
    python_model: Any = None,
    artifacts: dict[str, str] | None = None,
    registered_model_name: str | None = None,
    signature: ModelSignature | bool | None = None,
    input_example: Any = None,
    await_registration_for: int | None = 300,
    pip_requirements: Any = None,
    extra_pip_requirements: Any = None,
    metadata: dict[str, Any] | None = None,
    model_config: str | Path | dict[str, Any] | None = None,
    streamable: bool | None = None,
    resources: Any = None,
    auth_policy: Any = None,
    uv_project_path: str | Path | None = None,
    uv_groups: list[str] | None = None,
    uv_extras: list[str] | None = None,
    prompts: Any = None,
    name: str | None = None,
    params: dict[str, Any] | None = None,
    tags: dict[str, Any] | None = None,
    model_type: str | None = None,
    step: int = 0,
    model_id: str | None = None,
) -> ModelInfo:
    """Log a model written by hand to the active run; without one, to the current experiment. Arguments as of `save_model`."""
    _refuse_uv(uv_project_path, uv_groups, uv_extras)
    writer = _writer(loader_module, data_path, python_model, artifacts, model_config, streamable)
    code = _code(code_paths, infer_code_paths, loader_module, python_model)
    return log(
        writer,
        Extras(signature, input_example, conda_env, pip_requirements, extra_pip_requirements, code, None, metadata),
        Destination(name or artifact_path, registered_model_name, params, tags, model_type, step, model_id),
        Model(resources=resources, auth_policy=auth_policy, prompts=[str(prompt) for prompt in prompts] if prompts else None),
    )


def _refuse_uv(project: object, groups: object, extras: object) -> None:
    if project is not None or groups is not None or extras is not None:
        raise InvalidParameter(
            "Requirements are not read from a uv project: write them with `uv export --no-hashes > requirements.txt` and pass "
            "pip_requirements='requirements.txt'."
        )


def _code(given: list[str] | None, infer: bool, loader_module: str | None, python_model: Any) -> list[str] | None:
    """The Python files to keep beside the model: those given, or those that the model imports from this directory."""
    if not infer:
        return given
    if given:
        raise InvalidParameter("Give either code_paths or infer_code_paths=True, not both.")
    return [str(path) for path in own_code(loader_module if loader_module is not None else python_model)] or None


def _writer(
    loader_module: str | None,
    data_path: str | None,
    python_model: Any,
    artifacts: dict[str, str] | None,
    model_config: str | Path | dict[str, Any] | None,
    streamable: bool | None,
) -> Writer:
    config = None if model_config is None else read_config(model_config)
    if loader_module is None and data_path is None:
        if python_model is None:
            raise InvalidParameter("Give either a python_model or the loader_module that loads the model.")
        return PythonModelWriter(python_model, artifacts, config, streamable)
    if python_model is not None or artifacts is not None or loader_module is None:
        raise InvalidParameter("Give either loader_module (and data_path) or python_model (and artifacts), not both.")
    return _ModuleWriter(loader_module, data_path, config, bool(streamable))


class _ModuleWriter:
    """Writes a model that a module of the user loads."""

    def __init__(self, loader_module: str, data_path: str | None, config: dict[str, Any] | None, streamable: bool) -> None:
        self.loader = loader_module
        self.data = Path(data_path) if data_path is not None else None
        self.config = config
        self.streamable = streamable
        if self.data is not None and not self.data.exists():
            raise NotFound(f"No such file or directory: {data_path!r}.")

    def write(self, directory: Path, model: Model) -> None:
        """See `Writer`."""
        name = None
        if self.data is not None:
            name = f"data/{self.data.name}"
            (directory / "data").mkdir()
            copy = shutil.copytree if self.data.is_dir() else shutil.copy2
            copy(self.data, directory / name)
        add_to_model(model, self.loader, data=name, model_config=self.config, streamable=self.streamable)

    def requirements(self) -> list[str]:
        """See `Writer`."""
        return get_default_pip_requirements()

    def predict(self, data: Any, params: dict[str, Any] | None) -> Any:
        """See `Writer`."""
        import importlib

        load = importlib.import_module(self.loader)._load_pyfunc
        return load(str(self.data) if self.data is not None else None).predict(data)
