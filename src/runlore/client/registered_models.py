"""Registered models and their aliases. Their versions are in `model_versions.py`."""

from __future__ import annotations

from typing import Any

from runlore.api.registry import (
    CreateRegisteredModel,
    DeleteRegisteredModel,
    DeleteRegisteredModelAlias,
    DeleteRegisteredModelTag,
    GetModelVersionByAlias,
    GetRegisteredModel,
    RenameRegisteredModel,
    SearchRegisteredModels,
    SetRegisteredModelAlias,
    SetRegisteredModelTag,
    UpdateRegisteredModel,
)
from runlore.client.base import ClientBase, PagedList, key_text, tag_pairs
from runlore.entities import ModelVersion, RegisteredModel, RegisteredModelTag


class RegisteredModelsClient(ClientBase):
    """Registered models."""

    def create_registered_model(
        self,
        name: str,
        tags: dict[str, Any] | None = None,
        description: str | None = None,
        deployment_job_id: str | None = None,
    ) -> RegisteredModel:
        """Make a registered model. Raises `AlreadyExists`. `deployment_job_id` belongs to Databricks and is ignored."""
        entries = [RegisteredModelTag(key=key, value=value) for key, value in tag_pairs(tags)]
        operation = CreateRegisteredModel(name=name, tags=entries, description=description or "")
        return self._register(operation).registered_model

    def get_registered_model(self, name: str) -> RegisteredModel:
        """One registered model with the latest version of each stage. Raises `NotFound`."""
        return self._register(GetRegisteredModel(name=name)).registered_model

    def search_registered_models(
        self,
        filter_string: str | None = None,
        max_results: int = 100,
        order_by: list[str] | None = None,
        page_token: str | None = None,
    ) -> PagedList[RegisteredModel]:
        """One page of the registered models that match, by name unless `order_by` says otherwise."""
        operation = SearchRegisteredModels(
            filter=filter_string or "", max_results=max_results, order_by=order_by or [], page_token=page_token or ""
        )
        reply = self._register(operation)
        return PagedList(reply.registered_models, reply.next_page_token)

    def rename_registered_model(self, name: str, new_name: str) -> RegisteredModel:
        """Give a registered model another name."""
        return self._register(RenameRegisteredModel(name=name, new_name=new_name)).registered_model

    def update_registered_model(
        self, name: str, description: str | None = None, deployment_job_id: str | None = None
    ) -> RegisteredModel:
        """Change the description. `deployment_job_id` belongs to Databricks and is ignored."""
        return self._register(UpdateRegisteredModel(name=name, description=description or "")).registered_model

    def delete_registered_model(self, name: str) -> None:
        """Delete a registered model and its versions; runs and logged models stay."""
        self._register(DeleteRegisteredModel(name=name))

    def set_registered_model_tag(self, name: str, key: str, value: Any) -> None:
        """Set one tag, replacing its value."""
        self._register(SetRegisteredModelTag(name=name, key=key_text(key, "tag"), value=str(value)))

    def delete_registered_model_tag(self, name: str, key: str) -> None:
        """Remove one tag."""
        self._register(DeleteRegisteredModelTag(name=name, key=key_text(key, "tag")))

    def set_registered_model_alias(self, name: str, alias: str, version: str) -> None:
        """Point an alias at a version, moving it when it exists."""
        self._register(SetRegisteredModelAlias(name=name, alias=alias, version=str(version)))

    def delete_registered_model_alias(self, name: str, alias: str) -> None:
        """Remove an alias; one that does not exist is no error."""
        self._register(DeleteRegisteredModelAlias(name=name, alias=alias))

    def get_model_version_by_alias(self, name: str, alias: str) -> ModelVersion:
        """The version that an alias points at."""
        return self._register(GetModelVersionByAlias(name=name, alias=alias)).model_version
