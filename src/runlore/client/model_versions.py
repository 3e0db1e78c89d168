"""Versions of registered models, their stages and where their files are."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any

from runlore.api.registry import (
    CreateModelVersion,
    DeleteModelVersion,
    DeleteModelVersionTag,
    GetLatestVersions,
    GetModelVersion,
    GetModelVersionDownloadUri,
    SearchModelVersions,
    SetModelVersionTag,
    TransitionModelVersionStage,
    UpdateModelVersion,
)
from runlore.client.base import PagedList, key_text, tag_pairs
from runlore.client.registered_models import RegisteredModelsClient
from runlore.entities import ModelVersion, ModelVersionTag
from runlore.exceptions import AlreadyExists, InvalidParameter

STAGES = ["None", "Staging", "Production", "Archived"]
_VERSION_URI = re.compile(r"models:/(?P<name>[^/@]+)(/(?P<version>[^/@]+)|@(?P<alias>[^/@]+))\Z")
_MODEL_URI = re.compile(r"models:/m-[0-9a-f]{32}\Z")
"""MLflow's server takes such a source only when the version names the model too."""


class ModelVersionsClient(RegisteredModelsClient):
    """Versions of registered models."""

    def create_model_version(
        self,
        name: str,
        source: str,
        run_id: str | None = None,
        tags: dict[str, Any] | None = None,
        run_link: str | None = None,
        description: str | None = None,
        await_creation_for: int = 300,
        model_id: str | None = None,
    ) -> ModelVersion:
        """Add a version. It is ready when this returns, so `await_creation_for` has nothing to wait for.

        `source` is `runs:/…`, `models:/…`, `mlflow-artifacts:/…` or the URI of an object store.
        """
        operation = CreateModelVersion(
            name=name,
            source=source,
            run_id=run_id,
            tags=[ModelVersionTag(key=key, value=value) for key, value in tag_pairs(tags)],
            run_link=run_link or "",
            description=description or "",
            model_id=model_id or (source.removeprefix("models:/") if _MODEL_URI.match(source) else None),
        )
        return self._register(operation).model_version

    def copy_model_version(self, src_model_uri: str, dst_name: str) -> ModelVersion:
        """Make `models:/name/version` (or `@alias`) a version of another registered model, which is made when it is missing.

        The copy serves the same files: nothing is duplicated.
        """
        found = _VERSION_URI.match(src_model_uri)
        if found is None or not (found["alias"] or found["version"].isdecimal()):
            raise InvalidParameter(
                f"Unsupported source model URI: {src_model_uri!r}. Expected models:/<name>/<version or @alias>."
            )
        if found["alias"]:
            source = self.get_model_version_by_alias(found["name"], found["alias"])
        else:
            source = self.get_model_version(found["name"], found["version"])
        with suppress(AlreadyExists):  # versions are added to the one that is there
            self.create_registered_model(dst_name)
        return self.create_model_version(
            dst_name,
            source=f"models:/{source.name}/{source.version}",
            run_id=source.run_id,
            tags=source.tags,
            description=source.description,
            model_id=source.model_id,
        )

    def get_model_version(self, name: str, version: str) -> ModelVersion:
        """One version. Raises `NotFound`."""
        return self._register(GetModelVersion(name=name, version=str(version))).model_version

    def search_model_versions(
        self,
        filter_string: str | None = None,
        max_results: int = 10000,
        order_by: list[str] | None = None,
        page_token: str | None = None,
    ) -> PagedList[ModelVersion]:
        """One page of the versions that match, changed last first unless `order_by` says otherwise."""
        operation = SearchModelVersions(
            filter=filter_string or "", max_results=max_results, order_by=order_by or [], page_token=page_token or ""
        )
        reply = self._register(operation)
        return PagedList(reply.model_versions, reply.next_page_token)

    def get_latest_versions(self, name: str, stages: list[str] | None = None) -> list[ModelVersion]:
        """The newest version of each of the stages (of all stages by default)."""
        return self._register(GetLatestVersions(name=name, stages=stages or [])).model_versions

    def update_model_version(self, name: str, version: str, description: str | None = None) -> ModelVersion:
        """Change the description."""
        if description is None:
            raise InvalidParameter("Attempting to update model version with no new field values.")
        return self._register(UpdateModelVersion(name=name, version=str(version), description=description)).model_version

    def delete_model_version(self, name: str, version: str) -> None:
        """Delete a version and its aliases."""
        self._register(DeleteModelVersion(name=name, version=str(version)))

    def set_model_version_tag(
        self, name: str, version: str | None = None, key: str | None = None, value: Any = None, stage: str | None = None
    ) -> None:
        """Set one tag of a version, or of the latest version in a stage."""
        chosen = self._version(name, version, stage)
        self._register(SetModelVersionTag(name=name, version=chosen, key=key_text(key, "tag"), value=str(value)))

    def delete_model_version_tag(
        self, name: str, version: str | None = None, key: str | None = None, stage: str | None = None
    ) -> None:
        """Remove one tag of a version, or of the latest version in a stage."""
        chosen = self._version(name, version, stage)
        self._register(DeleteModelVersionTag(name=name, version=chosen, key=key_text(key, "tag")))

    def get_model_version_download_uri(self, name: str, version: str) -> str:
        """Where the files of a version are."""
        return self._register(GetModelVersionDownloadUri(name=name, version=str(version))).artifact_uri

    def get_model_version_stages(self, name: str, version: str) -> list[str]:
        """The stages that a version can be in."""
        return list(STAGES)

    def transition_model_version_stage(
        self, name: str, version: str, stage: str, archive_existing_versions: bool = False
    ) -> ModelVersion:
        """Move a version to a stage: None, Staging, Production or Archived, in any letter case."""
        operation = TransitionModelVersionStage(
            name=name, version=str(version), stage=stage, archive_existing_versions=archive_existing_versions
        )
        return self._register(operation).model_version

    def _version(self, name: str, version: str | None, stage: str | None) -> str:
        if (version is None) == (stage is None):
            raise InvalidParameter(f"Give a version or a stage of model {name!r}; got version={version!r}, stage={stage!r}.")
        if version is not None:
            return str(version)
        latest = self.get_latest_versions(name, stages=[str(stage)])
        if not latest:
            raise InvalidParameter(f"Could not find any model version for {stage} stage of model {name!r}.")
        return latest[0].version
