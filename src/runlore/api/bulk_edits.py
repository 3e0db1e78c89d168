"""Changing all runs that match a filter: tags, the trash, another experiment.

Each operation changes a slice of at most 1,000 runs in one transaction and says where the next one begins, so that no other
writer waits for long: call again with `page_token` until there is none. Each run is looked at once; sending a slice again is
harmless. `run_ids` narrows the matching runs to these, `except_run_ids` leaves some out.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, field

from runlore.api.operation import Edit, ExperimentId, Filter, Key, Manage, Operation, PageToken, Route, RunId
from runlore.api.runs import TagEntry
from runlore.entities import Entity

Experiments = Annotated[list[ExperimentId], Meta(min_length=1, max_length=1_000)]
RunIds = Annotated[list[RunId], Meta(max_length=10_000)]


class ChangedRuns(Entity):
    """The runs that this call changed. With `next_page_token` there may be more."""

    run_ids: list[str] = field(default_factory=list)
    next_page_token: str | None = None


class TagFoundRuns(Operation[ChangedRuns]):
    """Set and remove tags of all active runs that match."""

    route = Route("POST", "runs/found/tag", needs=Edit("experiment_ids"), base="v1")
    experiment_ids: Experiments
    filter: Filter = ""
    run_ids: RunIds = field(default_factory=list)
    except_run_ids: RunIds = field(default_factory=list)
    set_tags: Annotated[list[TagEntry], Meta(max_length=100)] = field(default_factory=list)
    remove_tags: Annotated[list[Key], Meta(max_length=100)] = field(default_factory=list)
    page_token: PageToken = ""


class DeleteFoundRuns(Operation[ChangedRuns]):
    """Move all active runs that match to the trash."""

    route = Route("POST", "runs/found/delete", needs=Manage("experiment_ids"), base="v1")
    experiment_ids: Experiments
    filter: Filter = ""
    run_ids: RunIds = field(default_factory=list)
    except_run_ids: RunIds = field(default_factory=list)
    page_token: PageToken = ""


class RestoreFoundRuns(Operation[ChangedRuns]):
    """Take all deleted runs that match out of the trash; the experiments themselves must not be deleted."""

    route = Route("POST", "runs/found/restore", needs=Manage("experiment_ids"), base="v1")
    experiment_ids: Experiments
    filter: Filter = ""
    run_ids: RunIds = field(default_factory=list)
    except_run_ids: RunIds = field(default_factory=list)
    page_token: PageToken = ""


class MoveFoundRuns(Operation[ChangedRuns]):
    """Put all active runs that match into another experiment, with the logged models that they made. Files stay in place."""

    route = Route("POST", "runs/found/move", needs=Manage("experiment_ids"), base="v1", needs_too=Edit("to_experiment_id"))
    experiment_ids: Experiments
    to_experiment_id: ExperimentId
    filter: Filter = ""
    run_ids: RunIds = field(default_factory=list)
    except_run_ids: RunIds = field(default_factory=list)
    page_token: PageToken = ""
