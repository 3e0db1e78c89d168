"""Bringing records to a store: what is sent, what is made of the answer, and what becomes of records that are refused.

The answer decides: the mark that the store reports says from where to go on. A record that the store will never take is set
aside in `refused.jsonl` and holds nothing up. Servers that do not know deliveries (MLflow's) get the operations themselves.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec

from runlore.api.delivery import Deliver
from runlore.api.experiments import CreateExperiment, GetExperimentByName
from runlore.api.operation import Operation, encode
from runlore.api.runs import CreateRun, LogBatch, MetricPoint, SetTag
from runlore.exceptions import (
    AlreadyExists,
    BadRequest,
    EndpointNotFound,
    InvalidParameter,
    InvalidState,
    NotFound,
    RunloreError,
    Unavailable,
    error_from_code,
)
from runlore.spool.files import deliver_files, noted_experiments, placeholder
from runlore.spool.frames import Record
from runlore.spool.places import open_here
from runlore.spool.records import Parcel, decode, in_parcels
from runlore.spool.sessions import Progress, Session, generation_of
from runlore.store.base import Store

REFUSED = "refused.jsonl"
DROPPED_TAG = "runlore.dropped"
"""The tag of a run that says how many points and other entries were lost because neither disk nor memory had room."""
FINAL = (InvalidParameter, NotFound, InvalidState, BadRequest, AlreadyExists)
"""Errors that the same records would meet again."""
_POINTS_A_BATCH = 1_000

logger = logging.getLogger("runlore")


class Delivery:
    """The way of one writer's records to one store. Not safe to use from two threads at once."""

    def __init__(
        self,
        store: Callable[[], Store],
        writer_id: str,
        place: Path,
        left_behind: bool = False,
        earlier: Callable[[], object] | None = None,
    ) -> None:
        """`place` is the directory of `refused.jsonl`. With `left_behind` the process that wrote the records is gone, and some
        of them may have arrived before. `earlier` delivers what processes before this one have left behind: called before a
        run is resumed for which no store was asked, since the order in which resumes arrive is that of their points."""
        self._earlier = earlier
        self._store, self._writer_id, self._place, self._left_behind = store, writer_id, place, left_behind
        self._progress: dict[str, Progress] = {}
        self._marks: dict[str, int] = {}
        self._plain = False
        self._experiments: dict[str, str] = {}
        self.made_runs: set[str] = set()
        """Runs that were made by a delivered record."""
        self.delivered = 0
        """Records that the store has, points of one call being one."""
        self.refused = 0
        """Records that were set aside, in whole or in part."""
        self.last_error: dict[int, RunloreError] = {}
        """Why records were refused, by number; the last 1,000."""

    def send(self, parcel: Parcel | Record) -> None:
        """Deliver one parcel. Raises a `RunloreError` when it has to be tried again later; what is refused for good is set
        aside."""
        if isinstance(parcel, Record):
            self._make(parcel)
        elif self._plain:
            self._send_plain(parcel)
        else:
            try:
                self._send(parcel)
            except EndpointNotFound:
                self._plain = True
                self._send_plain(parcel)

    def greet(self, run_id: str) -> None:
        """Say that the writer of a run lives. Raises as `send` does, and nothing for a run that takes no more data."""
        mark = self._marks.get(run_id, 0)
        if self._plain:
            return
        try:
            generation = self._progress[run_id].generation if run_id in self._progress else None
            operation = Deliver(
                run_id=run_id,
                writer_id=self._writer_id,
                after=mark,
                next_seq=mark,
                generation=generation,
                left_behind=self._left_behind,
            )
            reply = self._store().call(operation)
            self._marks[run_id] = max(mark, reply.next_seq)
        except EndpointNotFound:
            self._plain = True
        except FINAL:
            return

    def leave(self, run_id: str) -> None:
        """Say that the writer of a run, which has not ended, is about to go. Raises as `greet` does."""
        self._left_behind = True
        self.greet(run_id)

    def report_dropped(self, run_id: str, entries: int) -> None:
        """Say on the run how much of what was logged to it could be kept nowhere."""
        try:
            self._store().call(SetTag(run_id=run_id, key=DROPPED_TAG, value=str(entries)))
        except FINAL:
            return

    def _send(self, parcel: Parcel) -> None:
        run_id = parcel.run_id
        if self._left_behind and run_id not in self._marks:
            try:
                there = self._store().call(Deliver(run_id=run_id, writer_id=self._writer_id, left_behind=True))
            except FINAL as error:
                self._set_aside_parcel(parcel, error)
                return
            self._marks[run_id] = there.next_seq
            self._progress.setdefault(run_id, Progress(there.generation))  # the record that opened it has arrived long ago
        progress = self._progress.setdefault(run_id, Progress())
        replaces = progress.replaced(parcel.first_steps())
        while True:
            mark = self._marks.get(run_id, 0)
            if parcel.next_seq <= mark:
                return  # somebody else has delivered it
            operation = parcel.delivery(
                self._writer_id, mark, generation=progress.generation, replaces=replaces, left_behind=self._left_behind
            )
            try:
                reply = self._store().call(operation)
            except FINAL as error:
                self._set_aside_parcel(parcel, error)
                return
            self._marks[run_id] = reply.next_seq
            if reply.next_seq >= parcel.next_seq:
                break
            if reply.next_seq >= mark:
                raise RunloreError(f"The store took no record of run {run_id} and does not say why.")
        progress.said(replaces)
        self.delivered += parcel.count
        for refused in reply.refused:
            self._set_aside(refused.seq, run_id, error_from_code(refused.error_code, refused.message), parcel.said(refused.seq))

    def _send_plain(self, parcel: Parcel) -> None:
        """The operations one by one, to a server that keeps no marks. Points that come twice are one point there too."""
        for seq, operation in _operations(parcel):
            try:
                self._store().call(operation)
            except FINAL as error:
                self._set_aside(seq, parcel.run_id, error, operation)
        self.delivered += parcel.count

    def _make(self, record: Record) -> None:
        """An experiment or a run that was made while no store answered."""
        try:
            operation = decode(record)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            self._set_aside(record.seq, "", RunloreError(f"The record can not be read: {error}"), record.payload.hex())
            return
        try:
            if isinstance(operation, Session):
                self._begin(operation)
            elif isinstance(operation, CreateExperiment):
                self._experiments[placeholder(operation.name)] = self._experiment(operation)
            elif isinstance(operation, CreateRun):
                if operation.client_run_id:
                    self._require_own_ids(operation.client_run_id)
                experiment = self._experiment_id(operation.experiment_id)
                run = self._store().call(msgspec.structs.replace(operation, experiment_id=experiment)).run
                if operation.client_run_id and run.info.run_id.lower() == operation.client_run_id.lower():
                    deliver_files(self._place, operation.client_run_id, self._store())
                self.made_runs.add(run.info.run_id)
            self.delivered += 1
        except FINAL as error:
            self._set_aside(record.seq, "", error, operation)

    def _begin(self, session: Session) -> None:
        if self._earlier is not None and session.generation is None:
            self._earlier()
        try:
            generation = generation_of(self._store(), session, self._writer_id)
        except EndpointNotFound:  # MLflow's server: everything is of one generation
            generation = 0
        self._progress[session.run_id] = Progress(generation, session.replaces)
        if session.generation is None:
            deliver_files(self._place, session.run_id, self._store())
            self.made_runs.add(session.run_id)

    def _require_own_ids(self, run_id: str) -> None:
        """Raise `Unavailable` for a server that gives runs ids of its own: nothing else in the journal would find its run."""
        try:
            self._store().call(Deliver(run_id=run_id, writer_id=self._writer_id, left_behind=self._left_behind))
        except EndpointNotFound:
            raise Unavailable(
                f"Run {run_id} was made offline, and this server (MLflow's?) does not take ids that were made elsewhere. "
                "hint: `runlore sync --to URI` delivers it to a Runlore store."
            ) from None
        except FINAL:
            return  # the run is not there yet

    def _experiment_id(self, spoken_of: str) -> str:
        """The store's id of an experiment, given its id or a placeholder that this or another process uses."""
        if spoken_of not in self._experiments:
            names = {placeholder(name): name for name in noted_experiments(self._place)}
            name = names.get(spoken_of)
            self._experiments[spoken_of] = spoken_of if name is None else self._experiment(CreateExperiment(name=name))
        return self._experiments[spoken_of]

    def _experiment(self, operation: CreateExperiment) -> str:
        try:
            return self._store().call(operation).experiment_id
        except AlreadyExists:
            return self._store().call(GetExperimentByName(experiment_name=operation.name)).experiment.experiment_id

    def _set_aside_parcel(self, parcel: Parcel, error: RunloreError) -> None:
        for seq, operation in _operations(parcel):
            self._set_aside(seq, parcel.run_id, error, operation)

    def _set_aside(self, seq: int, run_id: str, error: RunloreError, said: Any) -> None:
        """Write a refused record down, where a person can read it, before it is forgotten."""
        line = {
            "time": int(time.time() * 1000), "run_id": run_id, "writer_id": self._writer_id, "seq": seq,
            "error_code": error.error_code, "error": error.message, "record": said,
        }  # fmt: skip
        data = encode(line) + b"\n"
        descriptor = open_here(self._place / REFUSED, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        try:
            os.write(descriptor, data)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        self.refused += 1
        self.last_error[seq] = error
        while len(self.last_error) > 1_000:
            del self.last_error[next(iter(self.last_error))]
        if self.refused <= 10:
            logger.warning(
                "The store refused what was logged to run %s: %s It is kept in %s.",
                run_id,
                error.message,
                self._place / REFUSED,
            )


def deliver_all(delivery: Delivery, records: Iterable[Record], at_once: int = 2_000) -> None:
    """Deliver many records, some at a time. Raises what `Delivery.send` raises; calling it again is harmless."""
    waiting: list[Record] = []
    for record in records:
        waiting.append(record)
        if len(waiting) >= at_once:
            for parcel in in_parcels(waiting):
                delivery.send(parcel)
            waiting.clear()
    for parcel in in_parcels(waiting):
        delivery.send(parcel)


def _operations(parcel: Parcel) -> list[tuple[int, Operation[Any]]]:
    """What a parcel says, as operations of MLflow's API in order of their numbers."""
    found: list[tuple[int, Operation[Any]]] = list(parcel.others())
    points = parcel.points()
    for first in range(0, len(points), _POINTS_A_BATCH):
        part = points[first : first + _POINTS_A_BATCH]
        metrics = [MetricPoint(key=key, value=value, timestamp=at, step=step) for _, key, step, at, value in part]
        found.append((part[-1][0], LogBatch(run_id=parcel.run_id, metrics=metrics)))
    return sorted(found, key=lambda item: item[0])
