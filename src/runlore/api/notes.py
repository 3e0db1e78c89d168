"""Notes: Markdown text about a run or an experiment.

A note is the tag `mlflow.note.content`, where MLflow's clients and dashboard look for it, but longer than other tags may be. In
filters it is the field `notes`; as a column it is `notes` too.
"""

from __future__ import annotations

from runlore.api.operation import Edit, ExperimentId, Operation, Route, RunId, Text, View
from runlore.entities import Empty, Entity


class Note(Entity):
    """A note; empty where there is none."""

    text: str = ""


class GetRunNote(Operation[Note]):
    """The note of a run, deleted ones too."""

    route = Route("GET", "runs/{run_id}/note", needs=View("run_id"), base="v1")
    run_id: RunId


class SetRunNote(Operation[Empty]):
    """Replace the note of a run: Markdown, up to 65,536 characters. An empty text removes it."""

    route = Route("PUT", "runs/{run_id}/note", needs=Edit("run_id"), base="v1")
    run_id: RunId
    text: Text


class GetExperimentNote(Operation[Note]):
    """The note of an experiment, deleted ones too."""

    route = Route("GET", "experiments/{experiment_id}/note", needs=View("experiment_id"), base="v1")
    experiment_id: ExperimentId


class SetExperimentNote(Operation[Empty]):
    """Replace the note of an experiment: Markdown, up to 65,536 characters. An empty text removes it."""

    route = Route("PUT", "experiments/{experiment_id}/note", needs=Edit("experiment_id"), base="v1")
    experiment_id: ExperimentId
    text: Text
