"""Notes and saved views: what people write about runs, and how they arranged a page."""

from __future__ import annotations

from typing import Any

from runlore.api.notes import GetExperimentNote, GetRunNote, SetExperimentNote, SetRunNote
from runlore.api.views import CreateSavedView, DeleteSavedView, GetSavedView, ListSavedViews, SavedView, UpdateSavedView
from runlore.client.base import ClientBase


class NotesClient(ClientBase):
    """Notes and saved views."""

    def get_run_note(self, run_id: str) -> str:
        """The note of a run, Markdown; empty where there is none."""
        return self._call(GetRunNote(run_id=run_id)).text

    def set_run_note(self, run_id: str, text: str) -> None:
        """Replace the note of a run: Markdown, up to 65,536 characters. MLflow's clients see it as `mlflow.note.content`."""
        self._call(SetRunNote(run_id=run_id, text=text))

    def get_experiment_note(self, experiment_id: str) -> str:
        """The note of an experiment, Markdown; empty where there is none."""
        return self._call(GetExperimentNote(experiment_id=str(experiment_id))).text

    def set_experiment_note(self, experiment_id: str, text: str) -> None:
        """Replace the note of an experiment: Markdown, up to 65,536 characters."""
        self._call(SetExperimentNote(experiment_id=str(experiment_id), text=text))

    def create_saved_view(self, state: dict[str, Any], name: str = "", experiment_id: str | None = None) -> SavedView:
        """Keep a state of up to 1 MB as JSON under a new id of ten characters; without an experiment, one over several."""
        scope = None if experiment_id is None else str(experiment_id)
        return self._call(CreateSavedView(state=state, name=name, experiment_id=scope)).view

    def list_saved_views(self, experiment_id: str | None = None) -> list[SavedView]:
        """The named views of an experiment, or those over several; without their states, changed last first."""
        return self._call(ListSavedViews(experiment_id=None if experiment_id is None else str(experiment_id))).views

    def get_saved_view(self, view_id: str) -> SavedView:
        """One view with its state. Raises `NotFound`."""
        return self._call(GetSavedView(view_id=view_id)).view

    def update_saved_view(self, view: SavedView, name: str | None = None, state: dict[str, Any] | None = None) -> SavedView:
        """Change the view that was read. Raises `RunloreError` with the code RESOURCE_CONFLICT when somebody else has changed
        it since."""
        return self._call(UpdateSavedView(view_id=view.view_id, revision=view.revision, name=name, state=state)).view

    def delete_saved_view(self, view_id: str) -> None:
        """Delete a view. One that is gone already is no error."""
        self._call(DeleteSavedView(view_id=view_id))
