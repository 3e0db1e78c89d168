"""Going on with a run after a pause: what was logged beyond the point of return is replaced, and params may change.

A run has a *generation*: how often it was resumed. Every delivery says to which one its records belong. For each metric, the
first step that a generation logs decides from where on the points of earlier generations are replaced; those that arrive late,
from the journal of a process that is gone, are passed over in the same way. A run that lives in another process is joined, not
resumed. MLflow's clients know nothing of this and replace nothing.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, field

from runlore.api.metrics import MetricHistoryReply
from runlore.api.operation import Edit, Key, Millis, Operation, PageToken, Route, RunId, Step, View
from runlore.entities import Entity, Value

WriterId = Annotated[str, Meta(pattern=r"^[0-9a-f]{32}\Z", description="32 hexadecimal digits")]
Generation = Annotated[int, Meta(ge=0, le=2**31, description="how often the run was resumed")]


class ReplacesFrom(Value):
    """From which step on a metric's points of earlier generations are replaced. Only the first word of a generation counts."""

    key: Key
    step: Step


class Resumed(Entity):
    """The generation to log with. `resumed` is False where the run was joined, because it is running: `living` are the other
    writers that were heard of in the last 90 seconds, `heard` is when (Unix ms)."""

    generation: int = 0
    resumed: bool = True
    living: list[str] = field(default_factory=list)
    heard: Millis | None = None


class ResumeRun(Operation[Resumed]):
    """Go on with a run. Asking again with the same `session_id` changes nothing and has the same answer.

    The run is RUNNING afterwards. `auto` begins a new generation unless the run is running, as far as the store and the writers
    in `gone` (whose processes the client knows to have ended) tell; `always` begins one in any case.
    """

    route = Route("POST", "runs/resume", needs=Edit("run_id"), base="v1")
    run_id: RunId
    session_id: WriterId
    writer_id: WriterId
    mode: Literal["auto", "always"] = "auto"
    gone: Annotated[list[WriterId], Meta(max_length=10_000)] = field(default_factory=list)


class RunResume(Entity):
    """One time that a run was resumed, and what it replaced: how many points of how many metrics, the least step of them."""

    generation: int
    time: Millis
    points: int = 0
    metrics: int = 0
    from_step: int | None = None


class FormerParam(Entity):
    """A value that a param had, until when."""

    key: str
    value: str
    until: Millis


class RunChanges(Entity):
    """When a run was resumed, and the values that its params had before, both oldest first."""

    resumes: list[RunResume] = field(default_factory=list)
    params: list[FormerParam] = field(default_factory=list)


class GetRunChanges(Operation[RunChanges]):
    """What resuming a run has changed. Empty for a run that was never resumed."""

    route = Route("GET", "runs/{run_id}/changes", needs=View("run_id"), base="v1")
    run_id: RunId


class GetReplacedPoints(Operation[MetricHistoryReply]):
    """The points of a metric that were replaced, oldest generation first."""

    route = Route("GET", "runs/{run_id}/replaced", needs=View("run_id"), base="v1")
    run_id: RunId
    metric_key: Key
    page_token: PageToken = ""
