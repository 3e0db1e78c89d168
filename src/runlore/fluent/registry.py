"""The registry of the fluent interface."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from runlore.client import RunloreClient
from runlore.client.base import all_pages
from runlore.entities import ModelVersion, RegisteredModel
from runlore.exceptions import AlreadyExists, InvalidParameter, NotFound


def register_model(
    model_uri: str,
    name: str,
    await_registration_for: int = 300,
    *,
    tags: dict[str, Any] | None = None,
    env_pack: None = None,
) -> ModelVersion:
    """Make a logged model a version of a registered model, which is made when it is missing.

    `model_uri` is `runs:/<run_id>/<name>`, `models:/<model_id>`, `models:/<name>/<version>` or an artifact URI. The version is
    ready when this returns, so `await_registration_for` has nothing to wait for. `env_pack` belongs to Databricks.
    Raises `NotFound` when a run has nothing of that name.
    """
    if env_pack is not None:
        raise InvalidParameter(f"env_pack works on Databricks only; it was {env_pack!r}.")
    client = RunloreClient()
    run_id = model_uri.removeprefix("runs:/").partition("/")[0] if model_uri.startswith("runs:/") else None
    if run_id:
        _check_content(client, model_uri, run_id)
    with suppress(AlreadyExists):  # versions are added to the one that is there
        client.create_registered_model(name)
    return client.create_model_version(name, source=model_uri, run_id=run_id, tags=tags)


def _check_content(client: RunloreClient, model_uri: str, run_id: str) -> None:
    """Refuse a misspelt name here, where it is said, and not when somebody loads the version."""
    from runlore.blobs.base import ArtifactPath
    from runlore.blobs.uri import open_blobs, resolve

    place = resolve(model_uri, client.store, foreign=True).rstrip("/")
    above, _, name = place.rpartition("/")
    if f"/{run_id}/" not in place:
        return  # a logged model was found
    if not any(entry.path == name for entry in open_blobs(above, client.store, foreign=True).list(ArtifactPath(""))):
        raise NotFound(
            f"Unable to find a logged model or files at {model_uri!r}. hint: log_model(model, {name!r}) logs a model of that "
            "name; the model_uri of what it returns can be registered."
        )


def search_registered_models(
    max_results: int | None = None, filter_string: str | None = None, order_by: list[str] | None = None
) -> list[RegisteredModel]:
    """Every registered model that matches (at most `max_results`), by name unless `order_by` says otherwise."""
    client = RunloreClient()
    return all_pages(
        lambda token, size: client.search_registered_models(filter_string, size, order_by, token), max_results, 1_000
    )


def search_model_versions(
    max_results: int | None = None, filter_string: str | None = None, order_by: list[str] | None = None
) -> list[ModelVersion]:
    """Every version that matches (at most `max_results`), changed last first unless `order_by` says otherwise."""
    client = RunloreClient()
    return all_pages(
        lambda token, size: client.search_model_versions(filter_string, size, order_by, token), max_results, 10_000
    )


def set_model_version_tag(name: str, version: str | None = None, key: str | None = None, value: Any = None) -> None:
    """Set one tag of a version, replacing its value."""
    RunloreClient().set_model_version_tag(name, version, key, value)
