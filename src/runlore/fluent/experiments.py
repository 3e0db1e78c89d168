"""Experiments of the fluent interface."""

from __future__ import annotations

import threading
from typing import Any

from runlore.client import RunloreClient
from runlore.client.base import all_pages
from runlore.entities import Experiment, LifecycleStage, ViewType
from runlore.exceptions import AlreadyExists, InvalidParameter
from runlore.fluent import context

_lock = threading.Lock()


def set_experiment(
    experiment_name: str | None = None, experiment_id: str | None = None, trace_location: None = None
) -> Experiment:
    """Make an experiment the active one of this process; one that is named and does not exist is made.

    `trace_location` belongs to Databricks and must be None.
    """
    _refuse_trace_location(trace_location)
    if (experiment_name is None) == (experiment_id is None):
        raise InvalidParameter("Must specify exactly one of: `experiment_id` or `experiment_name`.")
    client = RunloreClient()
    with _lock:
        if experiment_name is None:
            experiment = client.get_experiment(str(experiment_id))
        else:
            experiment = client.get_experiment_by_name(experiment_name) or _made(client, experiment_name)
        if experiment.lifecycle_stage != LifecycleStage.ACTIVE:
            raise InvalidParameter(
                f"Cannot set a deleted experiment {experiment.name!r} as the active experiment. You can restore the "
                f"experiment with restore_experiment({experiment.experiment_id!r}), or make a new one of the same name with "
                f"create_experiment({experiment.name!r})."
            )
        context.set_experiment_id(experiment.experiment_id)
    return experiment


def create_experiment(
    name: str, artifact_location: str | None = None, tags: dict[str, Any] | None = None, trace_location: None = None
) -> str:
    """Make an experiment and return its id. Raises `AlreadyExists` when an active one has the name."""
    _refuse_trace_location(trace_location)
    return RunloreClient().create_experiment(name, artifact_location, tags)


def get_experiment(experiment_id: str) -> Experiment:
    """One experiment, deleted ones too. Raises `NotFound`."""
    return RunloreClient().get_experiment(experiment_id)


def get_experiment_by_name(name: str) -> Experiment | None:
    """One experiment by name, or None."""
    return RunloreClient().get_experiment_by_name(name)


def search_experiments(
    view_type: int | str = ViewType.ACTIVE_ONLY,
    max_results: int | None = None,
    filter_string: str | None = None,
    order_by: list[str] | None = None,
) -> list[Experiment]:
    """Every experiment that matches (at most `max_results`), newest first unless `order_by` says otherwise."""
    client = RunloreClient()
    return all_pages(
        lambda token, size: client.search_experiments(view_type, size, filter_string, order_by, token), max_results, 1_000
    )


def delete_experiment(experiment_id: str) -> None:
    """Move an experiment and its runs to the trash."""
    RunloreClient().delete_experiment(experiment_id)


def restore_experiment(experiment_id: str) -> None:
    """Take an experiment, and the runs that were deleted with it, out of the trash."""
    RunloreClient().restore_experiment(experiment_id)


def set_experiment_tag(key: str, value: Any) -> None:
    """Set one tag of the active experiment, replacing its value."""
    RunloreClient().set_experiment_tag(context.current_experiment_id(), key, value)


def set_experiment_tags(tags: dict[str, Any]) -> None:
    """Set several tags of the active experiment."""
    for key, value in tags.items():
        set_experiment_tag(key, value)


def delete_experiment_tag(key: str) -> None:
    """Remove one tag of the active experiment."""
    RunloreClient().delete_experiment_tag(context.current_experiment_id(), key)


def _made(client: RunloreClient, name: str) -> Experiment:
    try:
        return client.get_experiment(client.create_experiment(name))
    except AlreadyExists:  # another process was faster
        found = client.get_experiment_by_name(name)
        if found is None:
            raise
        return found


def _refuse_trace_location(trace_location: Any) -> None:
    if trace_location is not None:
        raise InvalidParameter(f"Runlore keeps no traces; trace_location was {trace_location!r}.")
