"""Experiments and their tags."""

from __future__ import annotations

from msgspec import field

from runlore.entities.value import Entity


class ExperimentTag(Entity):
    """A key and a text value on an experiment."""

    key: str
    value: str


class Experiment(Entity):
    """A named group of runs."""

    experiment_id: str
    name: str
    artifact_location: str = ""
    lifecycle_stage: str = ""
    last_update_time: int | None = None
    creation_time: int | None = None
    tag_list: list[ExperimentTag] = field(default_factory=list, name="tags")

    @property
    def tags(self) -> dict[str, str]:
        """Tags by key."""
        return {tag.key: tag.value for tag in self.tag_list}
