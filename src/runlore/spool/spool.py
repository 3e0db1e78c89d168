"""The spool of one process and one store: what clients see of the journal.

Logging calls are checked here against everything that can be known without the store (names, limits, types, params that have
another value), so that a mistake is an error where it was made; what passes is *accepted*: written to the journal, delivered
later. Reading calls, and changes that are no logging, go to the store itself after everything accepted has arrived there, so
that a process sees what it wrote.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from runlore.api.experiments import CreateExperiment
from runlore.api.metrics import LogMetric
from runlore.api.operation import Operation, validated
from runlore.api.resume import Resumed
from runlore.api.runs import (
    CreateRun,
    LogBatch,
    LogParam,
    UpdateRun,
)
from runlore.entities import Empty, Run
from runlore.exceptions import EndpointNotFound, InvalidParameter, RunloreError, Unavailable
from runlore.spool import resuming
from runlore.spool.delivery import Delivery
from runlore.spool.files import staged_at
from runlore.spool.journal import Journal
from runlore.spool.leftovers import deliver_left_behind
from runlore.spool.line import GREATEST, LEAST, POINTS_A_RECORD, Line, refuse_other_values
from runlore.spool.offline import MADE_HERE, Offline
from runlore.spool.overflow import MOST_BYTES
from runlore.spool.places import Claim, writer_for
from runlore.spool.records import POINTS, as_batch, can_be_recorded, encode, encode_operation
from runlore.spool.sessions import Session
from runlore.spool.shipper import Shipper
from runlore.store.base import Store
from runlore.store.sql.tags import checked_name

Reply = TypeVar("Reply")

FLUSH_SECONDS = 30.0
"""How long the end of a run, or of the process, waits for what was logged to arrive."""
READ_SECONDS = 60.0
"""How long a reading call waits for that."""
MOST_KEYS, MOST_RUNS = 100_000, 1_000

logger = logging.getLogger("runlore")
_patience = FLUSH_SECONDS


def hurry(seconds: float) -> None:
    """Let the ends of runs and of the process wait no longer than this from now on: somebody is about to kill it."""
    global _patience
    _patience = min(_patience, seconds)


def patience() -> float:
    """How long the ends of runs and of the process wait, in seconds."""
    return _patience


class Receipt:
    """The way of one accepted record, in the place of a future."""

    def __init__(self, spool: Spool, seq: int) -> None:
        self._spool, self._seq = spool, seq

    def result(self) -> None:
        """Return when the record has arrived. Raises why the store refused it, or `Unavailable` when it is still under way."""
        self._spool.wait_for(self._seq)


class Spool:
    """Accepts what is logged to one store. Safe to use from many threads; a forked child needs one of its own."""

    def __init__(self, uri: str, store: Callable[[], Store], patient_store: Callable[[], Store], offline: bool = False) -> None:
        """`store` opens the store for deliveries, which are tried again here; `patient_store` the one for everything else;
        `offline`: neither is asked.

        Raises `OSError` when there is no place for a journal.
        """
        self._claim: Claim
        place, name, self._claim = writer_for(uri)
        self.uri = uri
        self.writer_id = self._claim.directory.name
        self._journal = Journal(self._claim.directory, self.writer_id, name)
        self._told_of_failure = False
        self._told_waiting = 0
        """How many log calls were under way when somebody was told so last; 0 since they have arrived."""
        self.offline = offline
        """Whether the store is never asked."""
        self._away_since: int | None = None
        self._here = Offline(place, self._claim.directory)
        self._one_sweep, self._one_resumes = threading.Lock(), threading.Lock()
        self._delivery = Delivery(store, self.writer_id, place, earlier=self.sweep)
        self._shipper = Shipper(self._journal, self._delivery, self.sweep)
        self._store, self._quick_store = patient_store, store
        self._lines: dict[str, Line] = {}
        self._sessions: set[str] = set()
        self.names: set[str] = set()
        """Names of metrics that were found to be right."""
        self._place, self._name = place, name
        self.has_children = False
        """Whether processes were forked off, which may have left something behind: reading calls deliver it."""
        if not offline:
            self._shipper.start()

    # -- logging ----------------------------------------------------------------------------------------------------------

    def log_points(self, run_id: str, values: dict[str, float], time: int, step: int | None) -> int:
        """Accept points of a run: floats by name, with one step (None: not given) and one time (Unix ms); returns the number of
        the record."""
        if not self.names.issuperset(values):
            self._check_names(values)
        if not (LEAST <= (step or 0) <= GREATEST and LEAST <= time <= GREATEST):
            raise InvalidParameter(f"Step {step} or timestamp {time} does not fit in 64 bits.")
        line = self._lines.get(run_id) or self._meet(run_id)
        if len(values) > POINTS_A_RECORD:
            return self._log_many(run_id, values, time, step)
        line.names.update(values)
        return self._append(POINTS, encode((run_id, time, step, values)), run_id, len(values))

    def accept(self, operation: Operation[Any]) -> int:
        """Accept an operation that logs to a run; returns the number of the record. Raises what is wrong with it."""
        operation = as_batch(validated(operation))
        assert can_be_recorded(operation), type(operation)
        run_id: str = operation.run_id  # type: ignore[attr-defined]  # all that are recorded have one
        line = self._lines.get(run_id) or self._meet(run_id)
        entries = 1
        if isinstance(operation, LogBatch):
            entries = len(operation.metrics) + len(operation.params) + len(operation.tags)
            self._check_names(point.key for point in operation.metrics)
            for key in [*(entry.key for entry in operation.params), *(entry.key for entry in operation.tags)]:
                checked_name(key)
            if operation.params:
                refuse_other_values(run_id, operation.params, self._params(run_id, line))
        return self._append(*encode_operation(operation), run_id, entries)

    def _append(self, kind: int, payload: bytes, run_id: str, entries: int) -> int:
        seq = self._journal.append(kind, payload, run_id, entries)
        if self._shipper.asleep:
            self._shipper.wake()
        if self._journal.failure is not None:
            self._tell_of_failure()
        return seq

    def _tell_of_failure(self) -> None:
        error, self._journal.failure = self._journal.failure, None
        if not self._told_of_failure:
            self._told_of_failure = True
            logger.warning(
                "The journal in %s takes no more: %s. What is logged is kept in memory, up to %d MB; what is beyond that is "
                "dropped and counted.", self._journal.directory, error, MOST_BYTES // 2**20,
            )  # fmt: skip

    def _log_many(self, run_id: str, values: dict[str, float], time: int, step: int | None) -> int:
        items, seq = list(values.items()), 0
        for first in range(0, len(items), POINTS_A_RECORD):
            seq = self.log_points(run_id, dict(items[first : first + POINTS_A_RECORD]), time, step)
        return seq

    def _check_names(self, names: Any) -> None:
        for name in names:
            if name not in self.names:
                validated(LogMetric(run_id="0" * 32, key=name, value=0.0, timestamp=0))
                checked_name(name, "name")
                if len(self.names) >= MOST_KEYS:
                    self.names.clear()
                self.names.add(name)

    # -- runs ---------------------------------------------------------------------------------------------------------------

    def _meet(self, run_id: str) -> Line:
        """Make sure that a run takes data before anything is accepted for it, unless the store does not answer. Raises what the
        store says to it."""
        run, session = resuming.meet(self._quick_store(), run_id)
        line = self._learn(run_id, run.data.params if run else None)
        return self._enter(session, line.params) if session and run_id not in self._sessions else line

    def _enter(self, session: Session, params: dict[str, str] | None) -> Line:
        """What follows for a run belongs to a session."""
        self._append(*encode_operation(session), session.run_id, 0)
        self._sessions.add(session.run_id)
        if (before := self._lines.pop(session.run_id, None)) is not None:
            before.names.clear()
        line = self._lines[session.run_id] = Line(session.run_id, self._append, params)
        return line

    def resume(self, run_id: str) -> Resumed:
        """Go on with a run that has ended, or join one that lives elsewhere. Raises what the store says."""
        with self._one_resumes:
            if run_id in self._shipper.alive_runs:
                return Resumed(resumed=False)  # open in this process
            reply = self._resume(run_id)
            self._shipper.alive_runs.opened(run_id)
            return reply

    def _resume(self, run_id: str) -> Resumed:
        if self._is_away() or run_id in self._unmade_runs():
            session = resuming.offline(self._here.journals_of(run_id), run_id)
            self._enter(session, {})
            return Resumed(resumed=session.resumes)
        self.flush(READ_SECONDS)
        self.sweep()
        try:
            reply, session = resuming.ask(self._store(), self._place, self.writer_id, run_id)
        except EndpointNotFound:  # MLflow's server
            return Resumed(resumed=False)
        if reply.generation:
            self._enter(session, {})  # params that were set before may change
        return reply

    def known_here(self, run_id: str) -> Run:
        """What this spool knows of a run while no store is asked. It is taken for one that is there."""
        run = self._here.adopted(run_id)
        self._learn(run_id, run.data.params)
        return run

    def _learn(self, run_id: str, params: dict[str, str] | None) -> Line:
        while len(self._lines) >= MOST_RUNS:
            self._lines.pop(next(iter(self._lines))).names.clear()
        line = self._lines[run_id] = Line(run_id, self._append, params)
        return line

    def _forget_runs(self) -> None:
        """Look at each run again before anything more is accepted for it."""
        for line in list(self._lines.values()):
            line.names.clear()
        self._lines.clear()

    def line(self, run_id: str) -> Line | None:
        """The short way for points of a run that this process has logged to."""
        return self._lines.get(run_id)

    def _params(self, run_id: str, line: Line) -> dict[str, str]:
        if line.params is None:
            run, _ = resuming.meet(self._quick_store(), run_id)
            line.params = run.data.params if run else {}
        return line.params

    def keep_alive(self, run_id: str) -> None:
        """Let the store hear of a run every 15 seconds until `end`, or the end of the process."""
        self._shipper.alive_runs.opened(run_id)
        self._shipper.wake()

    def end(self, operation: UpdateRun) -> None:
        """Accept the end of a run, and wait up to 30 s for everything to arrive; warns when it does not, the first time."""
        self._shipper.alive_runs.ended(operation.run_id)
        self.accept(operation)
        if self.flush(_patience):
            self._told_waiting = 0
        elif not self._told_waiting:
            self._tell_what_waits()

    # -- everything else ------------------------------------------------------------------------------------------------------

    def call(self, operation: Operation[Reply]) -> Reply:
        """Carry out an operation on the store after all that was accepted has arrived there.

        While the store does not answer, runs and experiments are made here, and what was made here is read here.
        """
        run_id = getattr(operation, "run_id", None)
        if self._is_away() or run_id in self._unmade_runs():
            return self._answer_here(operation)  # type: ignore[no-any-return]
        if run_id in self._sessions and isinstance(operation, LogBatch | LogMetric | LogParam):
            self.wait_for(self.accept(operation))  # that it belongs to a session, only the journal says
            return Empty()  # type: ignore[return-value]
        self.flush(READ_SECONDS)
        if self.has_children:
            self.sweep()
        try:
            reply = self._store().call(operation)
        except Unavailable as error:
            if not isinstance(operation, MADE_HERE):
                raise
            self._shipper.tell(error.message)
            self._away_since = self._shipper.deliveries
            return self._answer_here(operation)  # type: ignore[no-any-return]
        if isinstance(operation, CreateRun):
            run: Run = reply.run  # type: ignore[attr-defined]
            self._learn(run.info.run_id, run.data.params)
            self._shipper.alive_runs.made(run.info)
        elif operation.route.needs.right == "manage":
            self._forget_runs()  # they may be in the trash now
        self._shipper.alive_runs.carried_out(operation)
        return reply

    def _is_away(self) -> bool:
        """Whether the store is not asked: it did not answer, and no delivery has arrived since."""
        if self._away_since is not None and self._shipper.deliveries > self._away_since and not self.offline:
            self._away_since = None
        return self.offline or self._away_since is not None

    @property
    def away(self) -> bool:
        """Whether the store did not answer the last time, or is not asked."""
        return self._is_away() or self._shipper.trouble is not None

    def made_here(self, run_id: str) -> bool:
        """Whether a run was made here, and the store does not know it yet."""
        return run_id in self._unmade_runs()

    def _unmade_runs(self) -> set[str]:
        """Runs that were made here and that the store does not know yet."""
        if self._here.runs:
            self._here.runs -= self._delivery.made_runs
        return self._here.runs

    def _answer_here(self, operation: Operation[Any]) -> Any:
        operation = validated(operation)
        if isinstance(operation, CreateExperiment):
            self._append(*encode_operation(operation), "", 1)
        if isinstance(operation, CreateRun):
            self._append(*encode_operation(operation), operation.client_run_id or "", 1)
            reply = self._here.made(operation)
            self._learn(reply.run.info.run_id, reply.run.data.params)
            return reply
        if isinstance(operation, MADE_HERE):
            return self._here.experiment(operation)
        if can_be_recorded(as_batch(operation)):
            self.accept(operation)
            return self._here.updated(operation) if isinstance(operation, UpdateRun) else Empty()
        return self._here.read(operation)

    def sweep(self) -> None:
        """Deliver what processes that are gone have left behind for this store, as far as it goes. Never raises for it."""
        with self._one_sweep:  # whoever comes second finds it done
            deliver_left_behind(self._place, self._store_named)

    def _store_named(self, name: str) -> Store | None:
        return self._store() if name == self._name else None

    def flush(self, seconds: float = READ_SECONDS) -> bool:
        """Wait until everything accepted so far has arrived; False when it has not in so many seconds."""
        return self.offline or self._shipper.flush(self._journal.next_seq, seconds)

    def wait_for(self, seq: int) -> None:
        """Return when a record has arrived. Raises why it was refused, or `Unavailable`."""
        if self.offline:
            return
        if not self._shipper.flush(seq + 1, READ_SECONDS):
            raise Unavailable(
                f"What was logged has not arrived at {self.uri} yet: {self._shipper.trouble or 'it takes its time'}. It is "
                f"kept in {self._journal.directory} and will be delivered; `runlore sync` does so too."
            )
        error = self._delivery.last_error.get(seq)
        if error is not None:
            raise error

    def close(self) -> None:
        """Wait for what was accepted to arrive, then let go. What has not arrived stays in the journal; a warning says so."""
        self._forget_runs()
        arrived = self.flush(_patience) and not (self.offline and self._journal.next_seq)
        self._shipper.close()
        if not arrived:
            self._tell_what_waits()
        elif not self.offline:
            arrived = self._leave()
        self._journal.close(remove=arrived)
        self._claim.release(remove=arrived)

    def _leave(self) -> bool:
        """Deliver what forked children left, and say of runs that have not ended that they are kept alive no more. False when
        the store did not hear it: whoever delivers the journal again says it then."""
        try:
            if self.has_children:
                self.sweep()
            for run_id in self._shipper.alive_runs:
                self._delivery.leave(run_id)
        except RunloreError:
            return False
        return True

    def files_of(self, artifact_uri: str) -> Path | None:
        """The directory in this spool that an artifact URI names, for runs that were made here; None for all others."""
        return staged_at(self._place, artifact_uri)

    def abandon(self) -> None:
        """In a forked child: close the copies of the parent's files."""
        self._forget_runs()
        self._journal.abandon()
        self._claim.abandon()

    def _tell_what_waits(self) -> None:
        waiting = self._journal.next_seq - self._shipper.arrived
        if waiting == self._told_waiting:
            return
        self._told_waiting = waiting
        logger.warning(
            "%d log calls have not arrived at %s: %s They are kept in %s; `runlore sync` delivers them, and so does the next "
            "process that logs there.",
            waiting, self.uri, "RUNLORE_OFFLINE is set." if self.offline else self._shipper.trouble or "it takes its time.",
            self._journal.directory,
        )  # fmt: skip
