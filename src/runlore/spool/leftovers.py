"""Delivering what processes left behind: killed ones, and those that ended before the store answered.

Whoever delivers holds the writer's lock, so two never do the same work at once; and were it done twice, the store's marks would
see to it that nothing is there twice. May be repeated at any time.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from runlore.exceptions import RunloreError, Unavailable
from runlore.spool.delivery import Delivery, deliver_all
from runlore.spool.journal import Leftover
from runlore.spool.kept import deliver_all_kept
from runlore.spool.places import Claim, left_behind
from runlore.store.base import Store


class Delivered(msgspec.Struct):
    """What came of a round."""

    writers: int = 0
    """Processes of which nothing is left to deliver now."""
    records: int = 0
    """Log calls that the stores have now; some may have been there before."""
    refused: int = 0
    """Log calls that a store refused, at least in part: they are in `refused.jsonl` of the spool."""
    damaged: int = 0
    """Places in journals that can not be read; these files are kept as `.corrupt`."""
    waiting: int = 0
    """Processes whose records still wait."""
    files: int = 0
    """Runs whose files waited, and have arrived now."""
    files_waiting: int = 0
    """Runs whose files still wait."""
    errors: list[str] = msgspec.field(default_factory=list)
    """Why they wait."""


def deliver_left_behind(place: Path, open_store: Callable[[str], Store | None]) -> Delivered:
    """Deliver the journals in a spool whose processes are gone.

    `open_store` is given what the journal says, empty for the store that the spool belongs to; None leaves it for another
    time. Never raises for what a store says.
    """
    report = Delivered()
    away: dict[str, Unavailable] = {}  # each is waited for once
    for claim in left_behind(place):
        gone = False
        try:
            gone = _deliver(claim, place, open_store, report, away)
        except (RunloreError, OSError) as error:
            report.errors.append(str(error))
        report.waiting += not gone
        claim.release(remove=True)
    return report


def deliver_files_left_behind(place: Path, open_store: Callable[[str], Store | None]) -> Delivered:
    """Deliver the files in a spool that servers did not take when they were logged. Never raises for what a store says."""
    report = Delivered()
    for outcome in deliver_all_kept(place, open_store):
        if isinstance(outcome, str):
            report.files += 1
        else:
            report.errors.append(getattr(outcome, "message", str(outcome)))
            report.files_waiting += 1
    return report


def _deliver(
    claim: Claim, place: Path, open_store: Callable[[str], Store | None], report: Delivered, away: dict[str, Unavailable]
) -> bool:
    left = Leftover(claim.directory)
    name = left.store if left.store is not None else ""
    if next(left.records(), None) is None:
        report.writers += bool(left.damaged)
        report.damaged += sum(left.damaged.values())
        left.remove()
        return True
    if name in away:
        raise away[name]
    store = open_store(name)
    if store is None:
        return False
    delivery = Delivery(lambda: store, left.writer_id, place, left_behind=True)
    try:
        deliver_all(delivery, left.records())
    except Unavailable as error:
        away[name] = error
        raise
    finally:
        report.records += delivery.delivered
        report.refused += delivery.refused
    report.writers += 1
    report.damaged += sum(left.damaged.values())
    left.remove()
    return True
