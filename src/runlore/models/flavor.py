"""The one pipeline behind `save_model`, `log_model` and `load_model` of every framework.

Saving: files of the framework, input example, signature, requirements, `MLmodel`, manifest. Logging: a logged model is made in
the store, the files are saved to a temporary directory and uploaded to the model's artifact location, the model is finalized
and linked to the run. Loading: the URI is resolved, the files are fetched, the manifest is checked, and trust.py decides.

Where the files are: at the logged model's own location, as MLflow 3 does. `models:/<model id>`, `models:/<name>/<version>` and
`runs:/<run id>/<name>` lead there, for Runlore and for MLflow 3 clients. MLflow 2 clients know no logged models and look for
`runs:/…` below the run's own artifacts: there the server answers for the model of that name, so no file is stored twice.
"""

from __future__ import annotations

import re
import shutil
import tempfile
import warnings
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable
from urllib.parse import urlsplit
from urllib.request import url2pathname

import msgspec

from runlore.blobs.base import ArtifactPath
from runlore.blobs.reference import VersionReference, parse_reference
from runlore.blobs.uri import open_blobs, resolve
from runlore.client import MlflowClient
from runlore.entities import LoggedModel, LoggedModelOutput, LoggedModelStatus, Run
from runlore.exceptions import InvalidParameter, NotFound, RunloreError
from runlore.fluent import context
from runlore.fluent.registry import register_model
from runlore.fluent.source import source_tags
from runlore.models.example import Example
from runlore.models.manifest import MANIFEST_FILE, check_manifest, model_files, others_can_not_change, write_manifest
from runlore.models.model import MLMODEL_FILE_NAME, Model, ModelInfo
from runlore.models.requirements import write_requirements
from runlore.models.signature import ModelSignature, infer_signature
from runlore.models.trust import Consent, LocalModel
from runlore.types.infer import infer_param_schema
from runlore.types.schema import ParamSchema

MANIFEST_TAG = "runlore.model.manifestSha256"
"""Tag of a logged model: what its manifest must hash to. Kept in the store, away from the files."""

LOCATION = re.compile(r"/models/(m-[0-9a-f]{32})/artifacts\Z")


class Writer(Protocol):
    """What a framework file brings: its own files, what they need, and a prediction."""

    def write(self, directory: Path, model: Model) -> None:
        """Write the framework's files and add its flavors to the model."""
        ...

    def requirements(self) -> list[str]:
        """Pinned requirements of the files written."""
        ...

    def predict(self, data: Any, params: dict[str, Any] | None) -> Any:
        """A prediction, to infer the signature from an input example."""
        ...


@runtime_checkable
class HintedWriter(Protocol):
    """A writer whose model says itself, by its type hints, what it takes and gives."""

    def signature(self, params: ParamSchema | None) -> ModelSignature | None:
        """That signature, with these parameters; None where nothing is said."""
        ...


@dataclass(frozen=True)
class Extras:
    """What a caller may add to a model besides the model: MLflow's arguments of that name."""

    signature: ModelSignature | bool | None = None
    input_example: Any = None
    conda_env: Any = None
    pip_requirements: Any = None
    extra_pip_requirements: Any = None
    code_paths: list[str] | None = None
    extra_files: list[str] | None = None
    metadata: dict[str, Any] | None = None


@dataclass(frozen=True)
class Destination:
    """Where `log_model` logs: MLflow's arguments of that name."""

    name: str | None = None
    registered_model_name: str | None = None
    params: dict[str, Any] | None = None
    tags: dict[str, Any] | None = None
    model_type: str | None = None
    step: int = 0
    model_id: str | None = None


# -- saving ---------------------------------------------------------------------------------------------------------------


def save(writer: Writer, path: str | Path, extras: Extras, model: Model | None = None) -> str:
    """Save a model into the new or empty directory `path`; returns the SHA-256 of its manifest."""
    directory = Path(path)
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise InvalidParameter(f"Path '{directory}' already exists and is not empty")
    directory.mkdir(parents=True, exist_ok=True)
    model = model if model is not None else Model()
    _copy(extras.code_paths, directory / "code")
    _copy(extras.extra_files, directory / "extra_files")
    example = None if extras.input_example is None else Example(extras.input_example)
    if example is not None:
        example.save(directory)
        model.saved_input_example_info = example.info
    model.signature = _signature(writer, extras.signature, example)
    model.metadata = extras.metadata if extras.metadata is not None else model.metadata
    writer.write(directory, model)
    for configuration in model.flavors.values():
        if extras.code_paths:
            configuration["code"] = "code"
    write_requirements(
        directory, writer.requirements(), extras.pip_requirements, extras.extra_pip_requirements, extras.conda_env
    )
    model.model_size_bytes = sum(file.stat().st_size for _, file in model_files(directory))
    model.save(directory / MLMODEL_FILE_NAME)
    return write_manifest(directory)


def _copy(paths: list[str] | None, target: Path) -> None:
    for given in paths or []:
        source = Path(given)
        if not source.exists():
            raise NotFound(f"No such file or directory: {given!r}")
        target.mkdir(exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target / source.resolve().name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, target / source.name)


def _signature(writer: Writer, given: ModelSignature | bool | None, example: Example | None) -> ModelSignature | None:
    """The given signature; without one, that of the example and its prediction. `False` means none."""
    hinted = _hinted(writer, given, example)
    if hinted is not None:
        return hinted
    if isinstance(given, ModelSignature):
        return given
    if given is False or example is None:
        return None
    signature = infer_signature(example.data, params=example.params)
    try:
        outputs = infer_signature(model_output=writer.predict(example.data, example.params)).outputs
    except (RunloreError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RuntimeError) as error:
        warnings.warn(f"The signature has no outputs: the model can not predict its input example ({error!r}).", stacklevel=2)
        return signature
    return ModelSignature(signature.inputs, outputs, signature.params)


def _hinted(writer: Writer, given: ModelSignature | bool | None, example: Example | None) -> ModelSignature | None:
    """The signature that the model's type hints mean: it goes before one that is given, because it is what is checked."""
    if given is False or not isinstance(writer, HintedWriter):
        return None
    params = given.params if isinstance(given, ModelSignature) else None
    if params is None and example is not None and example.params:
        params = infer_param_schema(example.params)
    hinted = writer.signature(params)
    if hinted is not None and isinstance(given, ModelSignature) and given.inputs != hinted.inputs:
        warnings.warn(
            f"The signature's inputs {given.inputs!r} are not those of the type hints, {hinted.inputs!r}; the hints count.",
            stacklevel=2,
        )
    return hinted


# -- logging --------------------------------------------------------------------------------------------------------------


def log(writer: Writer, extras: Extras, destination: Destination, model: Model | None = None) -> ModelInfo:
    """Log a model to the active run, or to the current experiment when there is none, and register it if asked to.

    `model` has what the file should say besides: resources, say.
    """
    return _log(lambda directory, model: save(writer, directory, extras, model), model or Model(), destination)


def log_by_module(module: Any, model: Model, destination: Destination, arguments: dict[str, Any]) -> ModelInfo:
    """Log what a module's `save_model(path=…, mlflow_model=…, …)` writes: the flavors of other libraries."""

    def saved(directory: Path, model: Model) -> str:
        module.save_model(path=str(directory), mlflow_model=model, **arguments)
        written = Model.load(directory)
        model.flavors, model.signature, model.metadata = written.flavors, written.signature, written.metadata
        model.saved_input_example_info = written.saved_input_example_info
        return write_manifest(directory)

    return _log(saved, model, destination)


def _log(saved: Callable[[Path, Model], str], model: Model, destination: Destination) -> ModelInfo:
    opened = context.stack()[-1] if context.stack() else None
    client = opened.client if opened else MlflowClient()
    run = client.get_run(opened.run_id) if opened else None
    logged = _logged_model(client, run, destination)
    context.set_last_model(client, logged.model_id)
    model.artifact_path = logged.artifact_location
    model.run_id = run.info.run_id if run else logged.source_run_id
    model.model_uuid = model.model_id = logged.model_id
    model.name = logged.name
    status = LoggedModelStatus.FAILED
    try:
        with tempfile.TemporaryDirectory(prefix="runlore-model-") as temporary:
            directory = Path(temporary, "model")
            digest = saved(directory, model)
            client.log_model_artifacts(logged.model_id, str(directory))
        client.set_logged_model_tags(logged.model_id, {MANIFEST_TAG: digest})
        status = LoggedModelStatus.READY
    finally:
        client.finalize_logged_model(logged.model_id, status)
    if opened is not None and run is not None:
        _link(client, run, logged.model_id, destination.step)
        opened.linked.add(logged.model_id)
    if destination.registered_model_name is None:
        return ModelInfo(model)
    version = register_model(model.model_uri, destination.registered_model_name, tags=destination.tags)
    return ModelInfo(model, int(version.version))


def _logged_model(client: MlflowClient, run: Run | None, destination: Destination) -> LoggedModel:
    if destination.model_id is not None:
        return client.get_logged_model(destination.model_id)
    return client.create_logged_model(
        run.info.experiment_id if run else context.current_experiment_id(),
        destination.name,
        source_run_id=run.info.run_id if run else None,
        tags={**source_tags(), **(destination.tags or {})},
        params={**(destination.params or {}), **(run.data.params if run else {})},
        model_type=destination.model_type,
    )


def _link(client: MlflowClient, run: Run, model_id: str, step: int) -> None:
    """The run's output, and the run's metrics of that step on the model."""
    client.log_outputs(run.info.run_id, [LoggedModelOutput(model_id=model_id, step=step)])
    points = [point for point in run.data.metric_list if point.step == step and point.model_id is None]
    if points:
        client.log_batch(run.info.run_id, metrics=[msgspec.structs.replace(point, model_id=model_id) for point in points])


# -- loading --------------------------------------------------------------------------------------------------------------


def fetch(model_uri: str | Path, dst_path: str | Path | None = None, consent: Consent | None = None) -> LocalModel:
    """A model's files on this machine, checked against its manifest.

    `model_uri` is a local directory, or a URI: `models:/<name>/<version>`, `models:/<name>@<alias>`, `models:/<model id>`,
    `runs:/<run id>/<name>`, an artifact URI. Files are downloaded to a temporary directory that is removed when the last
    reference to the answer is gone; a `dst_path` (an existing directory) gets a copy of them.
    """
    consent = consent or Consent()
    uri = str(model_uri)
    if (directory := local_directory(uri)) is not None:
        if others_can_not_change(directory):
            return LocalModel(directory, Model.load(directory), check_manifest(directory), consent)
        if not (directory / MANIFEST_FILE).is_file():
            return LocalModel(directory, Model.load(directory), False, consent)
        return _private(lambda copy: shutil.copytree(directory, copy, symlinks=True, dirs_exist_ok=True), None, consent)
    if dst_path is not None and not Path(dst_path).is_dir():
        raise NotFound(f"The directory dst_path={str(dst_path)!r} does not exist.")
    client = MlflowClient()
    store = client.registry_store if isinstance(parse_reference(uri), VersionReference) else client.store
    location = resolve(uri, store, foreign=True)
    blobs = open_blobs(location, store, foreign=True)
    local = _private(lambda copy: blobs.download(ArtifactPath(""), copy), _recorded_digest(client, location), consent)
    if dst_path is not None:
        shutil.copytree(local.path, dst_path, dirs_exist_ok=True)
    return local


def _private(fill: Callable[[Path], object], digest: str | None, consent: Consent) -> LocalModel:
    """A model in a directory where nobody else can exchange a file between its check and its use."""
    private = tempfile.mkdtemp(prefix="runlore-model-")
    directory = Path(private, "model")  # gets the modes of what is copied
    try:
        directory.mkdir()
        fill(directory)
        local = LocalModel(directory, Model.load(directory), check_manifest(directory, digest), consent)
    except BaseException:
        shutil.rmtree(private, ignore_errors=True)
        raise
    weakref.finalize(local, shutil.rmtree, private, True)
    return local


def local_directory(uri: str) -> Path | None:
    """The directory that a model URI means, when it means one on this machine."""
    scheme, colon, _ = uri.partition(":")
    if not colon or "/" in scheme or len(scheme) == 1:
        return Path(uri)
    return Path(url2pathname(urlsplit(uri).path)) if scheme == "file" else None


def _recorded_digest(client: MlflowClient, location: str) -> str | None:
    """What the store says that the manifest at a logged model's location hashes to."""
    if (found := LOCATION.search(location)) is None:
        return None
    try:
        logged = client.get_logged_model(found[1])
    except RunloreError:
        return None  # another store's model, or a server that knows no logged models
    return logged.tags.get(MANIFEST_TAG) if logged.artifact_location == location else None
