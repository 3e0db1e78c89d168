"""Experiments, as MLflow's client offers them."""

from __future__ import annotations

from typing import Any

from runlore.api.experiments import (
    CreateExperiment,
    DeleteExperiment,
    DeleteExperimentTag,
    GetExperiment,
    GetExperimentByName,
    RestoreExperiment,
    SearchExperiments,
    SetExperimentTag,
    UpdateExperiment,
)
from runlore.client.base import ClientBase, PagedList, key_text, tag_pairs, tag_text, view_type_word
from runlore.entities import Experiment, ExperimentTag, ViewType
from runlore.exceptions import InvalidParameter, NotFound


class ExperimentsClient(ClientBase):
    """Experiments."""

    def create_experiment(self, name: str, artifact_location: str | None = None, tags: dict[str, Any] | None = None) -> str:
        """Make an experiment and return its id. Raises `AlreadyExists` when an active one has the name."""
        if not isinstance(name, str) or not name:
            raise InvalidParameter(f"Invalid experiment name: {name!r}. Expected a text that is not empty.")
        entries = [ExperimentTag(key=key, value=value) for key, value in tag_pairs(tags)]
        operation = CreateExperiment(name=name, artifact_location=artifact_location or "", tags=entries)
        return self._call(operation).experiment_id

    def get_experiment(self, experiment_id: str) -> Experiment:
        """One experiment, deleted ones too. Raises `NotFound`."""
        return self._call(GetExperiment(experiment_id=str(experiment_id))).experiment

    def get_experiment_by_name(self, name: str) -> Experiment | None:
        """One experiment by name, or None."""
        try:
            return self._call(GetExperimentByName(experiment_name=name)).experiment
        except NotFound:
            return None

    def search_experiments(
        self,
        view_type: int | str = ViewType.ACTIVE_ONLY,
        max_results: int | None = 1000,
        filter_string: str | None = None,
        order_by: list[str] | None = None,
        page_token: str | None = None,
    ) -> PagedList[Experiment]:
        """One page of the experiments that match, newest first unless `order_by` says otherwise."""
        operation = SearchExperiments(
            max_results=1000 if max_results is None else max_results,
            page_token=page_token or "",
            filter=filter_string or "",
            order_by=order_by or [],
            view_type=view_type_word(view_type),
        )
        reply = self._call(operation)
        return PagedList(reply.experiments, reply.next_page_token)

    def rename_experiment(self, experiment_id: str, new_name: str) -> None:
        """Give an experiment another name."""
        self._call(UpdateExperiment(experiment_id=str(experiment_id), new_name=new_name))

    def delete_experiment(self, experiment_id: str) -> None:
        """Move an experiment and its runs to the trash."""
        self._call(DeleteExperiment(experiment_id=str(experiment_id)))

    def restore_experiment(self, experiment_id: str) -> None:
        """Take an experiment, and the runs that were deleted with it, out of the trash."""
        self._call(RestoreExperiment(experiment_id=str(experiment_id)))

    def set_experiment_tag(self, experiment_id: str, key: str, value: Any) -> None:
        """Set one tag, replacing its value. A value that is too long is cut, with a warning."""
        text = tag_text(key, value, cut=True)
        self._call(SetExperimentTag(experiment_id=str(experiment_id), key=key_text(key, "tag"), value=text))

    def delete_experiment_tag(self, experiment_id: str, key: str) -> None:
        """Remove one tag. Raises `NotFound` when there is none of that key."""
        self._call(DeleteExperimentTag(experiment_id=str(experiment_id), key=key_text(key, "tag")))
