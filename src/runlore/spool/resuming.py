"""How a process goes on with a run: it resumes one that has ended, or joins one that lives in another process.

A store that answers decides, and is told which processes of this machine are gone: their locks say so at once, where the store
would wait 90 seconds. Offline, the journals of this spool decide.
"""

from __future__ import annotations

import logging
from pathlib import Path
from uuid import uuid4

from runlore.api.resume import Resumed, ResumeRun
from runlore.api.runs import GetRun
from runlore.entities import LifecycleStage, Run
from runlore.exceptions import InvalidParameter, Unavailable
from runlore.settings import read_settings
from runlore.spool.places import claimed, is_gone, writers
from runlore.spool.sessions import Session, present_generation
from runlore.store.base import Store

CHOICES = ("replace", "append")

logger = logging.getLogger("runlore")


def chosen() -> str | None:
    """What `RUNLORE_RESUME` says. Raises `InvalidParameter` for another word."""
    choice = read_settings().resume
    if choice not in (None, *CHOICES):
        raise InvalidParameter(f"RUNLORE_RESUME is {choice!r}. Expected {' or '.join(CHOICES)}, or nothing.")
    return choice


def by_locks(place: Path, but: str) -> tuple[list[str], list[str]]:
    """Other writers of a spool: those whose processes are gone, and those whose processes live."""
    gone: list[str] = []
    living: list[str] = []
    for directory in writers(place):
        if directory.name == but:
            continue
        claim = claimed(directory)
        (living if claim is None and not is_gone(directory) else gone).append(directory.name)
        if claim is not None:
            claim.release(remove=True)
    return gone, living


def meet(store: Store, run_id: str) -> tuple[Run | None, Session | None]:
    """What a store says of a run that this process is about to log to, and the session in which it does, where the run was
    resumed. While the store does not answer nothing is known; the session's generation is asked for at delivery. Raises
    `NotFound`, and `InvalidParameter` for a run that takes no data.
    """
    try:
        run = store.call(GetRun(run_id=run_id)).run
        generation = present_generation(store, run_id)
    except Unavailable:
        return None, Session(run_id, uuid4().hex, None, resumes=False, replaces=False)
    if run.info.lifecycle_stage == LifecycleStage.DELETED:
        raise InvalidParameter(
            f"The run {run_id} must be in the 'active' state. Current state is deleted. Restore it to write to it."
        )
    return run, Session(run_id, uuid4().hex, generation, replaces=False) if generation else None


def ask(store: Store, place: Path, writer_id: str, run_id: str) -> tuple[Resumed, Session]:
    """Let the store decide. Raises what it says."""
    choice, session_id = chosen(), uuid4().hex
    gone, living = by_locks(place, writer_id)
    operation = ResumeRun(
        run_id=run_id, session_id=session_id, writer_id=writer_id, mode="always" if choice == "replace" else "auto",
        gone=gone[-10_000:],
    )  # fmt: skip
    reply = store.call(operation)
    if not reply.resumed and set(reply.living) - set(living):
        logger.warning(
            "Run %s was heard of in the last 90 seconds from a process on another machine, so this one joins it, and replaces "
            "nothing of what is there. If that process is gone: RUNLORE_RESUME=replace.", run_id,
        )  # fmt: skip
    return reply, Session(run_id, session_id, reply.generation, replaces=choice != "append")


def offline(journals: list[Path], run_id: str) -> Session:
    """Decide by other journals of this spool that speak of the run."""
    alive = False
    for directory in journals:
        claim = claimed(directory)
        alive = alive or (claim is None and not is_gone(directory))
        if claim is not None:
            claim.release()
    choice = chosen()
    return Session(run_id, uuid4().hex, None, resumes=choice == "replace" or not alive, replaces=choice != "append")
