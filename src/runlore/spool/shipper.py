"""The thread that brings a journal to its store.

It reads the journal back from its file, so that an outage costs disk and not memory; it tries again at growing, random
intervals; it takes nothing from the training loop but a moment of the interpreter. Nothing that happens here reaches the loop
as an exception.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import Counter, deque
from collections.abc import Callable

from runlore.exceptions import RunloreError
from runlore.spool.alive import AliveRuns
from runlore.spool.delivery import Delivery
from runlore.spool.frames import Record
from runlore.spool.journal import Journal
from runlore.spool.records import Parcel, in_parcels

PAUSE_SECONDS = 0.5
"""How long records may wait for others to go with them."""
SYNC_SECONDS = 1.0
"""How long what the store does not have yet may be on no stable storage at all."""
HEARTBEAT_SECONDS = 15.0
LONGEST_WAIT_SECONDS = 30.0
IMPATIENT_SECONDS = 2.0
"""How long to wait for a store that did not answer the last time, when the process wants to end."""

logger = logging.getLogger("runlore")


class Shipper:
    """Delivers what is appended to a journal, and says that its runs live. One thread works, the others ask and wait."""

    def __init__(self, journal: Journal, delivery: Delivery, leftovers: Callable[[], object]) -> None:
        """`leftovers` delivers what earlier processes left behind: called once, after the first delivery of this one."""
        self._journal, self._delivery = journal, delivery
        self._leftovers: Callable[[], object] | None = leftovers
        self._outbox: deque[Parcel | Record] = deque()
        self._next = 0  # number behind the records in it
        self._work = threading.Lock()  # one delivers at a time
        self._changed = threading.Condition()
        self._wake, self._hurry = threading.Event(), threading.Event()
        self._behind, self._ended = threading.Event(), threading.Event()
        self._dropped: Counter[str] = Counter()
        self._untold: set[str] = set()
        self._closed = False
        self._failures = 0
        self._last_beat = time.monotonic()
        self.asleep = False
        """True when whoever appends has to call `wake`."""
        self.arrived = 0
        """Records with smaller numbers are in the store, or were set aside."""
        self.alive_runs = AliveRuns()
        """Runs that this process keeps alive."""
        self.told = False
        """Whether the user was told that the store does not answer."""
        self.trouble: str | None = None
        """Why the store did not take the last delivery; None when it did."""
        self._threads = [
            threading.Thread(target=self._run, name="runlore-shipper", daemon=True),
            threading.Thread(target=self._keep_synced, name="runlore-journal", daemon=True),
        ]

    @property
    def deliveries(self) -> int:
        """How many deliveries have succeeded."""
        return self._delivery.delivered

    def start(self) -> None:
        """Start the threads. Where that is not possible any more (the interpreter ends), `flush` does the work."""
        for thread in self._threads:
            try:
                thread.start()
            except RuntimeError:
                return

    def wake(self) -> None:
        """There is something to deliver."""
        self._wake.set()

    def flush(self, below: int, seconds: float) -> bool:
        """Wait until all records with numbers below `below` have arrived. False after so many seconds, or about two when the
        store does not answer."""
        if self.arrived >= below:
            return True
        begin = time.monotonic()
        failures = self._failures
        self._hurry.set()
        self._wake.set()
        if not self._threads[0].is_alive():
            return self._flush_here(below)
        with self._changed:
            while self.arrived < below:
                waited = time.monotonic() - begin
                hopeless = failures and self._failures >= failures and waited > IMPATIENT_SECONDS
                if waited > seconds or hopeless or (self._failures > failures + 1 and waited > IMPATIENT_SECONDS):
                    return False
                self._changed.wait(min(0.25, seconds))
                self._hurry.set()  # whoever waits between two attempts goes on at once
        return True

    def close(self) -> None:
        """Let the threads end. What has not arrived stays in the journal."""
        self._closed = True
        self._wake.set()
        self._hurry.set()
        self._behind.set()
        self._ended.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(1.0)

    def _flush_here(self, below: int) -> bool:
        try:
            with self._work:
                while self.arrived < below and self._round():
                    pass
        except RunloreError as error:
            self.trouble = error.message
        return self.arrived >= below

    def _run(self) -> None:
        while not self._closed:
            try:
                self._wait_for_work()
                with self._work:
                    while not self._closed and self._round():
                        pass
                    self._beat()
                self._succeeded()
                if self._leftovers is not None and self.arrived:
                    leftovers, self._leftovers = self._leftovers, None
                    self._announce()
                    leftovers()
            except RunloreError as error:
                self._failed(error.message)
            except Exception as error:  # whatever it is, the training goes on and the journal has it all
                logger.exception("What is logged to %s could not be delivered", self._journal.directory)
                self._failed(repr(error))
            self._announce()
            if self._failures:
                self._hurry.clear()
                self._hurry.wait(_pause(self._failures))

    def _wait_for_work(self) -> None:
        """Return when something was appended, a moment later so that more can come with it; or when a heartbeat is due."""
        self._wake.clear()
        self.asleep = True
        if self.arrived >= self._journal.next_seq:
            self._behind.clear()
            due = self._last_beat + HEARTBEAT_SECONDS - time.monotonic() if self.alive_runs else None
            if due is None or due > 0:
                self._wake.wait(due)
        self.asleep = False
        if self.arrived < self._journal.next_seq:
            self._behind.set()
            self._hurry.wait(PAUSE_SECONDS)
            self._hurry.clear()

    def _round(self) -> bool:
        """Deliver the next records. False when there are none. Raises what the store says; then they are tried again."""
        if not self._outbox:
            end = self._journal.next_seq
            records = self._journal.read()
            if not records:
                self._tell_of_dropped()
                self.arrived = max(self.arrived, end)  # the last ones may have been dropped
                return False
            self._outbox.extend(in_parcels(records))
            self._next = records[-1].seq + 1
        while self._outbox:
            self._delivery.send(self._outbox[0])
            self._outbox.popleft()
        self.arrived = max(self.arrived, self._next)
        self._journal.release(self.arrived)
        self._succeeded()
        self._announce()
        return True

    def _tell_of_dropped(self) -> None:
        dropped = self._journal.dropped()
        self._dropped.update(dropped)
        self._untold.update(dropped)
        for run_id in list(self._untold):
            self._delivery.report_dropped(run_id, self._dropped[run_id])
            self._untold.discard(run_id)

    def _beat(self) -> None:
        if time.monotonic() - self._last_beat >= HEARTBEAT_SECONDS:
            self._last_beat = time.monotonic()
            for run_id in self.alive_runs:
                self._delivery.greet(run_id)

    def _succeeded(self) -> None:
        if self._failures:
            logger.info("The store answers again.")
        self._failures, self.trouble, self.told = 0, None, False

    def _failed(self, why: str) -> None:
        self._failures += 1
        self.trouble = why
        if self._failures == 2:
            self.tell(why)

    def tell(self, why: str) -> None:
        """Tell the user, once until it answers, that the store does not."""
        if not self.told:
            self.told = True
            logger.warning(
                "%s Until it takes it, what is logged is kept in %s, and runs are made there. `runlore sync` delivers it, and "
                "so does the next process that logs there.", why, self._journal.directory,
            )  # fmt: skip

    def _announce(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _keep_synced(self) -> None:
        while not self._closed:
            self._behind.wait()
            self._ended.wait(SYNC_SECONDS)
            try:
                self._journal.sync()
            except OSError as error:
                logger.warning("The journal in %s could not be synced: %s", self._journal.directory, error)


def _pause(failures: int) -> float:
    """0.2 s, 0.4 s … up to 30 s, each times a random factor from 0.5 to 1 so that processes do not return in step."""
    return float(min(LONGEST_WAIT_SECONDS, 0.1 * 2 ** min(failures, 12)) * random.uniform(0.5, 1.0))
