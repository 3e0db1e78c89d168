"""Registered models, their versions, tags and aliases."""

from __future__ import annotations

from msgspec import field

from runlore.entities.value import Entity


class ModelVersionTag(Entity):
    """A key and a text value on a model version."""

    key: str
    value: str


class RegisteredModelTag(Entity):
    """A key and a text value on a registered model."""

    key: str
    value: str


class RegisteredModelAlias(Entity):
    """A name such as "champion" that points at one version."""

    alias: str
    version: str


class ModelVersion(Entity):
    """One version of a registered model. `version` is a decimal text, as on MLflow's wire."""

    name: str
    version: str
    creation_timestamp: int | None = None
    last_updated_timestamp: int | None = None
    user_id: str | None = None
    current_stage: str = ""
    description: str | None = None
    source: str | None = None
    run_id: str | None = None
    status: str = ""
    status_message: str | None = None
    tag_list: list[ModelVersionTag] = field(default_factory=list, name="tags")
    run_link: str | None = None
    aliases: list[str] = field(default_factory=list)
    model_id: str | None = None

    @property
    def tags(self) -> dict[str, str]:
        """Value by key."""
        return {tag.key: tag.value for tag in self.tag_list}


class RegisteredModel(Entity):
    """A named line of model versions."""

    name: str
    creation_timestamp: int | None = None
    last_updated_timestamp: int | None = None
    user_id: str | None = None
    description: str | None = None
    latest_versions: list[ModelVersion] = field(default_factory=list)
    tag_list: list[RegisteredModelTag] = field(default_factory=list, name="tags")
    alias_list: list[RegisteredModelAlias] = field(default_factory=list, name="aliases")

    @property
    def tags(self) -> dict[str, str]:
        """Value by key."""
        return {tag.key: tag.value for tag in self.tag_list}

    @property
    def aliases(self) -> dict[str, str]:
        """Version by alias."""
        return {item.alias: item.version for item in self.alias_list}
