"""Reading and changing what stands beside a saved model: facts, examples, signature, requirements. Nothing of it is loaded."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from runlore.blobs.base import ArtifactPath
from runlore.blobs.reference import VersionReference, parse_reference
from runlore.blobs.uri import open_blobs, resolve
from runlore.client import MlflowClient
from runlore.exceptions import InvalidParameter, NotFound, RunloreError
from runlore.models.example import read_example, read_serving_example
from runlore.models.flavor import LOCATION, MANIFEST_TAG, fetch, local_directory
from runlore.models.manifest import MANIFEST_FILE, write_manifest
from runlore.models.model import MLMODEL_FILE_NAME, Model, ModelInfo
from runlore.models.requirements import changed_requirements
from runlore.models.signature import ModelSignature
from runlore.models.trust import LocalModel


def get_model_info(model_uri: str | Path) -> ModelInfo:
    """What the model at a local path or URI is made of. Nothing of it is loaded."""
    model = fetch(model_uri).model
    logged = None
    if model.model_id is not None:
        try:
            logged = MlflowClient().get_logged_model(model.model_id)
        except RunloreError:
            logged = None  # another store's model, or one that was deleted
    if logged is not None:
        model.name = logged.name
    return ModelInfo(model, logged_model=logged)


def load_example(model: Model, path: str | None) -> tuple[Any, dict[str, Any] | None]:
    """The input example and its params, from the files at a local path or URI."""
    local = fetch(path or model.model_uri)  # a download lies on the disk as long as this name lives
    return read_example(local.path, model)


def load_serving_example(model: Model, path: str | None) -> str | None:
    """The request to a scoring server, from the files at a local path or URI."""
    local = fetch(path or model.model_uri)
    return read_serving_example(local.path, model)


def set_signature(model_uri: str, signature: ModelSignature) -> None:
    """Give a logged model (`models:/<model id>` or `runs:/<run id>/<name>`) another signature.

    Registered versions are refused: they say what was registered. A model that this installation wrote stays its own.
    """
    if not isinstance(signature, ModelSignature):
        raise InvalidParameter(f"signature must be a ModelSignature, got {type(signature).__name__}.")
    local = _changeable(model_uri, "set signature on")
    local.model.signature = signature
    local.model.save(local.path / MLMODEL_FILE_NAME)
    _write_back(model_uri, local, [MLMODEL_FILE_NAME])


def update_model_requirements(model_uri: str, operation: Literal["add", "remove"], requirement_list: Sequence[str]) -> None:
    """Add requirements to a logged model, or remove them by name; one that is there already gets the new versions.

    Changes `requirements.txt` and `conda.yaml`. Registered versions are refused, as by `set_signature`.
    """
    if operation not in ("add", "remove"):
        raise InvalidParameter(f'operation must be "add" or "remove", got {operation!r}.')
    local = _changeable(model_uri, "change the requirements of")
    names = changed_requirements(local.path, operation, list(requirement_list))
    if not names:
        raise NotFound(f"The model at {model_uri!r} has no requirements.txt and no conda.yaml to change.")
    _write_back(model_uri, local, names)


def _changeable(model_uri: str, what: str) -> LocalModel:
    if isinstance(parse_reference(model_uri), VersionReference):
        raise InvalidParameter(f"Failed to {what} {model_uri!r}: model versions can not be changed.")
    return fetch(model_uri)


def _write_back(model_uri: str, local: LocalModel, names: list[str]) -> None:
    """Put changed files where the model came from, with a new manifest where there was one."""
    digest = None
    if (local.path / MANIFEST_FILE).is_file():
        digest = write_manifest(local.path, seal=local.ours)  # sealed only if the old one was
        names = [*names, MANIFEST_FILE]
    if (directory := local_directory(str(model_uri))) is not None:
        for name in names if local.path != directory else ():
            shutil.copyfile(local.path / name, directory / name)
        return
    client = MlflowClient()
    location = resolve(model_uri, client.store, foreign=True)
    blobs = open_blobs(location, client.store, foreign=True)
    for name in names:
        blobs.upload(local.path / name, ArtifactPath(""))
    if digest and (found := LOCATION.search(location)):
        client.set_logged_model_tags(found[1], {MANIFEST_TAG: digest})
