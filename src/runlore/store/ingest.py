"""Group commit: one writer thread takes every operation that waits and commits them together.

A durable commit costs the same for one operation as for a hundred. A bad operation is undone alone; nobody is answered before
the commit is on the disk. When nobody waits, the thread does chores.

A server may also carry out short operations in its own thread, while the writer thread sleeps: to hand an operation over and
its answer back takes two wake-ups of threads, which cost more CPU time than all the rest of a small request.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from typing import Any

from runlore.api.operation import Operation
from runlore.exceptions import LimitExceeded, Unavailable
from runlore.store.sql.database import (
    Conflict,
    DamagedFile,
    Database,
    DiskFailure,
    InDoubt,
    LostConnection,
    Transaction,
    WriteTransaction,
)
from runlore.store.sql.marks import Marks

CAPACITY = 10_000
"""Operations that may wait; one more is refused with `LimitExceeded`."""
GROUP = 100
"""Operations in one commit, at most."""
ATTEMPTS = 4
IDLE_SECONDS = 0.05  # without operations before chores begin
CHORE_SECONDS = 1.0  # under steady load, one round of chores this often
QUICK_SECONDS = 0.01
"""Commits that take longer, on average, are left to the writer thread: an event loop must not wait for a slow disk."""

Answer = Callable[[Transaction, Operation[Any]], Any]
Item = tuple[Operation[Any], Any]
"""An operation and the future for its reply, of threads (`concurrent.futures`) or of an event loop."""
_WAKE: Item = (Operation(), None)
"""In the queue: somebody else wrote, so there may be chores."""

logger = logging.getLogger("runlore.store")


class _OneFailed(Exception):
    """An operation of a group failed and there was no savepoint to go back to."""


class Ingest:
    """The writer thread of one database and the queue before it.

    `answer` carries out one operation in a transaction; each of `chores` returns True while more is left to do; `marks` tell
    listeners what changed.
    """

    def __init__(
        self,
        database: Database,
        answer: Answer,
        chores: Sequence[Callable[[Transaction], bool]] = (),
        marks: Marks | None = None,
    ) -> None:
        self._database, self._answer, self._marks = database, answer, marks
        self._chores = (*chores, marks.tend) if marks else tuple(chores)
        self._queue: SimpleQueue[Item | None] = SimpleQueue()
        self._closed = self._asleep = self._wrote_elsewhere = False
        self._commit_seconds = 0.0  # recent average
        self._door = threading.Lock()  # nothing is queued behind the end
        self._next, self._turn = threading.RLock(), threading.Lock()
        self.failure: str | None = None
        """Why the writer stopped for good (a disk error), or None."""
        self.must_restart = False
        """Whether a new process can do better than this one."""
        self._thread = threading.Thread(target=self._run, name="runlore-writer", daemon=True)
        self._thread.start()

    def submit(self, operation: Operation[Any]) -> Future[Any]:
        """Queue an operation. The future is done when the operation is committed or refused."""
        future: Future[Any] = Future()
        with self._door:
            if self.failure or self._closed:
                raise Unavailable(self.failure or "The store is closed.")
            if self._queue.qsize() >= CAPACITY:
                raise LimitExceeded(f"{CAPACITY} operations wait to be written. Try again later.")
            self._queue.put((operation, future))
        return future

    def carry_out(self, group: Sequence[Item]) -> bool:
        """Commit operations in the calling thread. False, and nothing done, where it might take long: the writer thread or
        another process is writing, or the disk is slow at the moment. Then `submit` them."""
        if self._closed or self.failure or self._commit_seconds > QUICK_SECONDS or not self._next.acquire(blocking=False):
            return False
        self._next.release()
        if not self._turn.acquire(blocking=False):
            return False
        try:
            try:
                db = self._database.write_now()
            except Unavailable:  # the writer thread will meet the same, and say so
                return False
            if db is None:
                return False
            self._commit(group, db)
        finally:
            self._turn.release()
        self._wrote_elsewhere = True
        if self._asleep:
            self._asleep = False
            self._queue.put(_WAKE)
        return True

    def pause(self) -> None:
        """Let the writer finish the transaction it is at, and begin no other one until the same thread calls `resume`."""
        self._next.acquire()
        self._turn.acquire()

    def resume(self) -> None:
        """Let the writer go on."""
        self._turn.release()
        self._next.release()

    def close(self) -> None:
        """Write what waits, then stop. Later operations are refused."""
        with self._door:
            if not self._closed:
                self._closed = True
                self._queue.put(None)
        self._thread.join()
        with self._turn:  # nobody is in the middle of `carry_out`
            pass

    def _run(self) -> None:
        try:
            chores_wait, last_round = True, time.monotonic()
            while (group := self._take(chores_wait)) is not None:
                if group:
                    with self._in_turn():
                        self._commit(group)
                if group or self._wrote_elsewhere:
                    self._wrote_elsewhere = False
                    chores_wait = True
                    if time.monotonic() - last_round < CHORE_SECONDS:
                        continue
                with self._in_turn():
                    chores_wait, last_round = self._round_of_chores(), time.monotonic()
        finally:
            with self._door:
                self._closed = True
            while not self._queue.empty():
                if item := self._queue.get():
                    item[1].set_exception(Unavailable("The store is closed."))

    @contextmanager
    def _in_turn(self) -> Iterator[None]:
        with self._next:  # whoever pauses comes next: by `_turn` alone, a busy writer would always be faster
            pass
        with self._turn:
            yield

    def _take(self, chores_wait: bool) -> list[Item] | None:
        """All that waits; `[]` when it is time to think of chores; None when the store was closed and all is done."""
        group: list[Item] = []
        self._asleep = not chores_wait  # first this, then the look at what was written elsewhere
        try:
            item = self._queue.get(timeout=IDLE_SECONDS if chores_wait or self._wrote_elsewhere else None)
            while item is not None:
                if item is not _WAKE and item[1].set_running_or_notify_cancel():
                    group.append(item)
                if len(group) == GROUP:
                    return group
                item = self._queue.get_nowait()
        except Empty:
            return group
        if group:
            self._queue.put(None)  # seen again after this group
            return group
        return None

    def _commit(self, group: Sequence[Item], begun: WriteTransaction | None = None) -> None:
        """Carry out a group and answer it, in the transaction that has begun or a new one."""
        failure = Unavailable("")
        careful = False
        for attempt in range(1, ATTEMPTS + 1):
            try:
                outcomes = self._attempt(group, begun, careful, last=attempt == ATTEMPTS)
            except _OneFailed:
                careful, begun = True, None
                continue
            except (LostConnection, Conflict) as error:
                failure, careful, begun = error, True, None
                continue
            except Unavailable as error:
                failure = error
                break
            except Exception as error:  # a transaction in a state nobody thought of: these are refused, the next ones go on
                logger.exception("A group of %d operations was not written", len(group))
                failure = Unavailable(f"The operations were not written: {error!r}.")
                break
            for (_, future), (reply, error_of_operation) in zip(group, outcomes, strict=True):
                if future.done():  # its request was given up
                    continue
                if error_of_operation is None:
                    future.set_result(reply)
                else:
                    future.set_exception(error_of_operation)
            return
        kind = Unavailable
        if isinstance(failure, DiskFailure):
            self._give_up(failure)
        if isinstance(failure, DiskFailure | InDoubt):  # what reached the write-ahead log may be found there at the next start
            kind = InDoubt
        for _, future in group:
            if not future.done():
                future.set_exception(kind(failure.message))

    def _give_up(self, failure: DiskFailure) -> None:
        self.must_restart = not isinstance(failure, DamagedFile)
        self.failure = failure.message
        logger.critical("No more writes: %s", failure.message)

    def _attempt(
        self, group: Sequence[Item], begun: WriteTransaction | None, careful: bool, last: bool
    ) -> list[tuple[Any, Exception | None]]:
        """One transaction for the group: a reply or an error for each. Raises when the transaction as a whole failed.

        Errors are rare and savepoints are two round trips to PostgreSQL, so the first attempt goes without; when an operation
        fails, everything is undone and done again, carefully.
        """
        if self.failure:
            raise Unavailable(self.failure)
        db = begun or self._database.write()
        committed = False
        outcomes: list[tuple[Any, Exception | None]] = []
        try:
            for operation, _ in group:
                if careful:
                    db.savepoint()
                try:
                    reply = self._answer(db, operation)
                    if careful:
                        db.release()  # here, because it brings out what is wrong with statements that waited
                    outcomes.append((reply, None))
                except Exception as error:  # handed to whoever waits for the operation; the writer and the others go on
                    if isinstance(error, Unavailable) and not (last and isinstance(error, Conflict)):
                        raise  # the database's fault, not this operation's
                    outcomes.append((None, error))
                    if careful:
                        db.rollback_to()
                    elif len(group) == 1:
                        return outcomes
                    else:
                        raise _OneFailed from error
            before = self._end(db, group, outcomes, careful)
            committed = True
            self._commit_seconds += (time.monotonic() - before - self._commit_seconds) / 4
            if self._marks:
                self._marks.committed()
        finally:
            if not committed:
                db.rollback()
        return outcomes

    def _end(
        self, db: WriteTransaction, group: Sequence[Item], outcomes: list[tuple[Any, Exception | None]], careful: bool
    ) -> float:
        """Commit; returns when the commit began."""
        try:
            if self._marks:
                replies = zip(group, outcomes, strict=True)
                self._marks.write(db, [(item[0], reply) for item, (reply, error) in replies if error is None])
            before = time.monotonic()
            db.commit()
        except Unavailable:
            raise
        except Exception as error:  # of a statement that waited for this: done again carefully, it shows whose it is
            if careful:
                raise
            raise _OneFailed from error
        return before

    def _round_of_chores(self) -> bool:
        """Run each chore once in a transaction of its own. True when one of them wants to go on."""
        more = False
        for chore in self._chores:
            if self.failure:
                return False
            try:
                db = self._database.write()
                try:
                    more = chore(db) or more
                    db.commit()
                finally:
                    db.rollback()
            except DiskFailure as error:
                self._give_up(error)
            except Unavailable as error:
                logger.warning("A chore has to wait: %s", error.message)
                if not isinstance(error, Conflict):
                    return more  # the others would wait as long: operations come first
            except Exception:  # a chore is never worth the writer
                logger.exception("The chore %s failed", getattr(chore, "__name__", chore))
        return more
