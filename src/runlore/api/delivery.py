"""Delivery of journals: how Runlore's own client sends what it has written down, exactly once.

Every process that logs keeps a journal, and the journal has an id, the *writer*. Its records are numbered. The store keeps, for
each run and writer, the number from which on nothing has arrived yet (the *mark*), and moves it in the transaction that stores
the records: a batch that comes twice changes nothing, whoever sends it and however often. What a resumed run replaces is said
with the points that replace it (`resume.py`).
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, field

from runlore.api.operation import Edit, Key, Millis, Operation, Route, RunId, View
from runlore.api.resume import Generation, ReplacesFrom, WriterId
from runlore.api.runs import LogBatch, LogInputs, LogOutputs, UpdateRun
from runlore.entities import Entity, Value

Sequence = Annotated[int, Meta(ge=0, le=2**63 - 1, description="number of a journal record")]

POINT_BYTES = 36
MAX_POINTS = 25_000
"""Points in one delivery, at most: 1.2 MB as JSON."""
MAX_RECORDS = 10_000
"""Records beside the points in one delivery, at most."""
LOST_AFTER_MILLIS = 90_000
"""A running run whose process has not been heard of for this long is shown as LOST."""


class JournalRecord(Value):
    """One record that is no plain metric point: exactly one of the operations, about the run of the delivery."""

    seq: Sequence
    log_batch: LogBatch | None = None
    log_inputs: LogInputs | None = None
    log_outputs: LogOutputs | None = None
    update_run: UpdateRun | None = None


class JournalPoints(Value):
    """Metric points as columns, in order of their record numbers.

    `data` holds five columns, one after the other, all little-endian and of the same length: record number (i64), place of the
    key in `keys` (u32), step (i64), Unix milliseconds (i64), value (f64).
    """

    keys: Annotated[list[Key], Meta(max_length=MAX_POINTS)] = field(default_factory=list)
    data: Annotated[bytes, Meta(max_length=MAX_POINTS * POINT_BYTES)] = b""


class RefusedRecord(Entity):
    """A record of which the store refused a part, and why. The rest of the record is stored."""

    seq: int
    error_code: str
    message: str


class Delivered(Entity):
    """The mark after the delivery. When it is not the `next_seq` of the delivery, nothing was stored: send from there.

    `generation` is the one that this writer's records have belonged to so far.
    """

    next_seq: int = 0
    refused: list[RefusedRecord] = field(default_factory=list)
    generation: int = 0


class Deliver(Operation[Delivered]):
    """Records of one writer for one run, in order. Records below the mark are there already and are passed over.

    `after` is the mark that the sender believes in, and `next_seq` the one that this delivery brings about. A mark below
    `after` says that an earlier delivery is missing: nothing is stored then. A delivery without records asks for the mark and
    says that the writer lives.

    `generation` is the one of the run that the records belong to; not given, it is the writer's last one, else the present
    one, or 0 of a writer that is left behind. `replaces` says from which step on points of earlier generations are replaced by
    these. With `left_behind` the process of the writer is gone.
    """

    route = Route("POST", "runs/deliver", needs=Edit("run_id"), base="v1")
    run_id: RunId
    writer_id: WriterId
    after: Sequence = 0
    next_seq: Sequence = 0
    records: Annotated[list[JournalRecord], Meta(max_length=MAX_RECORDS)] = field(default_factory=list)
    points: JournalPoints = field(default_factory=JournalPoints)
    generation: Generation | None = None
    replaces: Annotated[list[ReplacesFrom], Meta(max_length=MAX_POINTS)] = field(default_factory=list)
    left_behind: bool = False


class RunLife(Entity):
    """How a run is doing. `status` is MLflow's word, or LOST: running, but its process was not heard of for 90 seconds.

    `last_heard` is the time by the store's clock (Unix ms) of the last delivery; null for runs that no Runlore client has
    written to, which are never LOST. `generation` is how often the run was resumed.
    """

    run_id: str
    status: Literal["RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED", "LOST"]
    last_heard: Millis | None = None
    generation: int = 0


class RunLives(Entity):
    """The runs asked for that exist, in the order of the question."""

    runs: list[RunLife] = field(default_factory=list)


class GetRunLives(Operation[RunLives]):
    """Which of these runs are running, ended or lost. Unknown runs are left out."""

    route = Route("POST", "runs/lives", needs=View("run_ids"), base="v1")
    run_ids: Annotated[list[RunId], Meta(min_length=1, max_length=1_000)]
