"""`import mlflow` without MLflow: the names `mlflow` and `mlflow.*` stand for Runlore's modules.

Only `mlflow` itself is a module of its own: its `__version__` is that of the MLflow whose surface Runlore speaks, because
libraries compare it. Every name in it is Runlore's, and `mlflow.sklearn is runlore.sklearn`. Libraries that look for an
installed MLflow through `importlib.util.find_spec` or `importlib.metadata` find the same version.

The alias belongs to this process. `runlore run --as-mlflow` gives it to child processes as well, by `pass_on_to_children`.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import sys
from collections.abc import Iterator, Sequence
from importlib import import_module
from importlib.abc import Loader
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from runlore.client.base import MAX_KEY, MAX_PARAM, MAX_TAG
from runlore.client.logging import METRICS_A_BATCH, PARAMS_A_BATCH
from runlore.client.runs import PARENT_TAG, USER_TAG
from runlore.exceptions import InvalidState
from runlore.fluent import context
from runlore.fluent.runs import NAME_TAG, NOTE_TAG
from runlore.settings import read_settings
from runlore.version import MLFLOW_VERSION

ALIAS = "mlflow"

_ELSEWHERE = {
    "mlflow.client": "runlore.client",
    "mlflow.models.evaluation": "runlore.evaluation",
    "mlflow.models.evaluation.artifacts": "runlore.evaluation.artifacts",
    "mlflow.models.evaluation.base": "runlore.evaluation",
    "mlflow.models.evaluation.validation": "runlore.evaluation.validation",
    "mlflow.models.model": "runlore.models.model",
    "mlflow.entities.model_registry": "runlore.entities.registry",
    "mlflow.projects.submitted_run": "runlore.projects.submitted",
    "mlflow.tracking.client": "runlore.client",
    "mlflow.tracking.context.registry": "runlore.tracking.context",
    "mlflow.tracking.artifact_utils": "runlore",
    "mlflow.tracking.fluent": "runlore",
    "mlflow.tracking.multimedia": "runlore",
    "mlflow.models.model_config": "runlore.models",
    "mlflow.models.python_api": "runlore.models",
    "mlflow.models.utils": "runlore.models",
    "mlflow.deployments.interface": "runlore.deployments",
}
"""Modules that have another name here."""

_ELSEWHERE |= dict.fromkeys(
    (
        f"mlflow.entities.{name}"
        for name in (
            "dataset", "dataset_input", "experiment_tag", "file_info", "input_tag", "lifecycle_stage", "logged_model_input",
            "logged_model_output", "logged_model_parameter", "logged_model_status", "logged_model_tag", "metric", "param",
            "run_data", "run_info", "run_inputs", "run_outputs", "run_status", "run_tag", "source_type", "view_type",
            "model_registry.model_version", "model_registry.model_version_tag", "model_registry.registered_model",
            "model_registry.registered_model_alias", "model_registry.registered_model_tag",
        )
    ),
    "runlore.entities",
) | {
    f"mlflow.data.{name}": "runlore.data"
    for name in (
        "dataset_source", "dataset_source_registry", "huggingface_dataset", "numpy_dataset", "pandas_dataset",
        "polars_dataset", "spark_dataset", "tensorflow_dataset",
    )
}  # fmt: skip
"""MLflow has a module for each class of entities and datasets."""

_RENAMED = {
    "mlflow.data.code_dataset_source": ("CodeDatasetSource", "CodeSource"),
    "mlflow.data.delta_dataset_source": ("DeltaDatasetSource", "DeltaSource"),
    "mlflow.data.http_dataset_source": ("HTTPDatasetSource", "HttpSource"),
    "mlflow.data.huggingface_dataset_source": ("HuggingFaceDatasetSource", "HuggingFaceSource"),
    "mlflow.data.spark_dataset_source": ("SparkDatasetSource", "SparkSource"),
}
"""Modules of one class of `runlore.data`, which has another name here."""

_CONSTANTS: dict[str, dict[str, Any]] = {
    "mlflow.version": {"VERSION": MLFLOW_VERSION},
    "mlflow.utils": {},
    "mlflow.utils.mlflow_tags": {
        "MLFLOW_RUN_NAME": NAME_TAG,
        "MLFLOW_RUN_NOTE": NOTE_TAG,
        "MLFLOW_PARENT_RUN_ID": PARENT_TAG,
        "MLFLOW_USER": USER_TAG,
        "MLFLOW_SOURCE_NAME": "mlflow.source.name",
        "MLFLOW_SOURCE_TYPE": "mlflow.source.type",
        "MLFLOW_GIT_COMMIT": "mlflow.source.git.commit",
        "MLFLOW_GIT_BRANCH": "mlflow.source.git.branch",
        "MLFLOW_GIT_REPO_URL": "mlflow.source.git.repoURL",
        "MLFLOW_DATASET_CONTEXT": "mlflow.data.context",
        "MLFLOW_AUTOLOGGING": "mlflow.autologging",
        "MLFLOW_LOGGED_ARTIFACTS": "mlflow.loggedArtifacts",
        "MLFLOW_LOGGED_IMAGES": "mlflow.loggedImages",
        "MLFLOW_PROJECT_BACKEND": "mlflow.project.backend",
        "MLFLOW_PROJECT_ENTRY_POINT": "mlflow.project.entryPoint",
        "MLFLOW_PROJECT_ENV": "mlflow.project.env",
    },
    "mlflow.utils.validation": {
        "MAX_ENTITY_KEY_LENGTH": MAX_KEY,
        "MAX_PARAM_VAL_LENGTH": MAX_PARAM,
        "MAX_TAG_VAL_LENGTH": MAX_TAG,
        "MAX_METRICS_PER_BATCH": METRICS_A_BATCH,
        "MAX_PARAMS_TAGS_PER_BATCH": PARAMS_A_BATCH,
    },
    "mlflow.protos": {},
    "mlflow.protos.databricks_pb2": {"ErrorCode": SimpleNamespace(Name=str, Value=str)}
    | {
        word: word
        for word in (
            "BAD_REQUEST", "INTERNAL_ERROR", "INVALID_PARAMETER_VALUE", "INVALID_STATE", "PERMISSION_DENIED",
            "RESOURCE_ALREADY_EXISTS", "RESOURCE_DOES_NOT_EXIST", "TEMPORARILY_UNAVAILABLE",
        )
    },
}  # fmt: skip
"""Modules of constants that other libraries read."""


def install_as_mlflow() -> None:
    """From now on `import mlflow` gives Runlore in this process, whether MLflow is installed or not.

    Calling it again is harmless. Raises `InvalidState` when the real MLflow has been imported already.
    """
    present = sys.modules.get(ALIAS)
    if isinstance(present, _Mlflow):
        return
    if present is not None:
        place = getattr(present, "__file__", None) or "somewhere"
        raise InvalidState(
            f"MLflow itself has been imported already, from {place}. Call runlore.install_as_mlflow() before the first "
            "`import mlflow`, or start the script with `runlore run --as-mlflow`."
        )
    context.stand_in_for_mlflow()
    if read_settings().truncate_long_values is None:
        os.environ["RUNLORE_TRUNCATE_LONG_VALUES"] = "true"  # as long as MLflow's params, in child processes too
    sys.meta_path.insert(0, _Finder())
    sys.modules[ALIAS] = _Mlflow()
    for name, constants in _CONSTANTS.items():
        module = ModuleType(name, "Constants under the names that MLflow gives them.")
        module.__dict__.update(constants, __path__=[], __spec__=ModuleSpec(name, None, is_package=True))
        sys.modules[name] = module
        parent, _, child = name.rpartition(".")
        setattr(sys.modules[parent], child, module)


def pass_on_to_children() -> None:
    """Let Python processes that this one starts from now on import Runlore as `mlflow`, too.

    Their `PYTHONPATH` leads to a package of that name before it leads to MLflow; so does `sys.path`, which processes that
    `multiprocessing` spawns take over.
    """
    place = str(Path(__file__).with_name("as_mlflow"))
    paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if place not in paths:
        os.environ["PYTHONPATH"] = os.pathsep.join([place, *filter(None, paths)])
    if place not in sys.path:
        sys.path.insert(1, place)


class _Mlflow(ModuleType):
    """The module `mlflow`: Runlore's names under MLflow's version."""

    ABOUT = "Runlore, standing in for MLflow"

    def __init__(self) -> None:
        super().__init__(ALIAS, self.ABOUT)
        self.__version__ = MLFLOW_VERSION
        self.__path__: list[str] = []
        self.__file__ = __file__
        self.__spec__ = ModuleSpec(ALIAS, _Loader(self), origin=__file__, is_package=True)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        runlore = import_module("runlore")
        if name in ("all", "install_as_mlflow") or not hasattr(runlore, name):
            raise AttributeError(
                f"module 'mlflow' has no attribute {name!r}: Runlore, which stands in for it, does not offer it"
            )
        value = getattr(runlore, name)
        self.__dict__[name] = value  # so that it is there when Python shuts down and imports nothing any more
        return value

    def __dir__(self) -> list[str]:
        return sorted({*self.__dict__, *import_module("runlore").__all__})


def _renamed(name: str) -> ModuleType:
    theirs, ours = _RENAMED[name]
    module = ModuleType(name, f"`{theirs}`, as runlore.data has it.")
    setattr(module, theirs, getattr(import_module("runlore.data"), ours))
    return module


class _Loader(Loader):
    """Gives a module that exists already, and leaves it as it is."""

    def __init__(self, module: ModuleType) -> None:
        self.module = module
        self.spec = getattr(module, "__spec__", None)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """The existing module."""
        return self.module

    def exec_module(self, module: ModuleType) -> None:
        """It has run already; the import system wrote the alias into it, which is undone."""
        module.__spec__ = self.spec


class _Finder:
    """Finds `mlflow.*` among Runlore's modules, and a distribution `mlflow`."""

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        """A spec that loads Runlore's module. Raises `ModuleNotFoundError` for what Runlore does not offer."""
        if not name.startswith(f"{ALIAS}."):
            return None
        if name in _RENAMED:
            return ModuleSpec(name, _Loader(_renamed(name)))
        real = _ELSEWHERE.get(name, "runlore" + name.removeprefix(ALIAS))
        parts = real.split(".")
        known = import_module("runlore").__all__
        if parts[1] not in known or importlib.util.find_spec(real) is None:
            raise ModuleNotFoundError(
                f"No module named {name!r}: Runlore, which stands in for MLflow here, does not offer {name!r}.", name=name
            )
        module = import_module(real)
        for other, place in _ELSEWHERE.items():
            if other.startswith(f"{name}."):  # their parent is no package here, so they could not be found later
                found = sys.modules[other] = import_module(place)
                above, _, last = other.rpartition(".")
                parent = module if above == name else sys.modules.get(above)
                if parent is not None and not hasattr(parent, last):  # what `import mlflow.entities.metric` makes readable
                    setattr(parent, last, found)
        return ModuleSpec(name, _Loader(module), origin=module.__file__, is_package=hasattr(module, "__path__"))

    def find_distributions(
        self, context: importlib.metadata.DistributionFinder.Context
    ) -> Iterator[importlib.metadata.Distribution]:
        """The distribution `mlflow`, for `importlib.metadata.version("mlflow")` and its like."""
        if context.name is None or context.name.lower() == ALIAS:
            yield _Distribution()


class _Distribution(importlib.metadata.Distribution):
    def read_text(self, filename: str) -> str | None:
        metadata = f"Metadata-Version: 2.1\nName: {ALIAS}\nVersion: {MLFLOW_VERSION}\nSummary: {_Mlflow.ABOUT}\n"
        return {"METADATA": metadata, "top_level.txt": ALIAS}.get(filename)

    def locate_file(self, path: str | os.PathLike[str]) -> Path:
        return Path(__file__).parent / path
