"""What deliveries say of the generation of a run (`api/resume.py`).

A record of the journal opens a *session*: what comes after it for the same run belongs to the generation that it names, or,
where no store could be asked, to the one that the store gives at delivery. Before the first session it is generation 0.
"""

from __future__ import annotations

import msgspec

from runlore.api.delivery import GetRunLives
from runlore.api.operation import RunId
from runlore.api.resume import Generation, ReplacesFrom, ResumeRun, WriterId
from runlore.exceptions import EndpointNotFound
from runlore.store.base import Store


class Session(msgspec.Struct, frozen=True):
    """A process goes on with a run. `generation` is None where no store was asked; then `resumes` says whether it begins a new
    one or joins those who are there. `replaces`: points of earlier generations are replaced by what it logs."""

    run_id: RunId
    session_id: WriterId
    generation: Generation | None = None
    resumes: bool = True
    replaces: bool = True


class Progress:
    """How far the records of one run have come in their session."""

    def __init__(self, generation: int = 0, replaces: bool = False) -> None:
        self.generation = generation
        self._replaces = replaces and generation > 0
        self._said: set[str] = set()

    def replaced(self, first_steps: dict[str, int]) -> list[ReplacesFrom]:
        """What to say with points whose first steps these are: for each metric it is said once."""
        if not self._replaces:
            return []
        return [ReplacesFrom(key=key, step=step) for key, step in first_steps.items() if key not in self._said]

    def said(self, replaced: list[ReplacesFrom]) -> None:
        """The store knows."""
        self._said.update(item.key for item in replaced)


def generation_of(store: Store, session: Session, writer_id: str) -> int:
    """The generation that a session belongs to. Asking again is harmless. Raises what the store says."""
    if session.generation is not None:
        return session.generation
    if not session.resumes:
        return present_generation(store, session.run_id)
    operation = ResumeRun(run_id=session.run_id, session_id=session.session_id, writer_id=writer_id, mode="always")
    return store.call(operation).generation


def present_generation(store: Store, run_id: str) -> int:
    """The generation of a run now; 0 for one that is not there, and where the server is MLflow's."""
    try:
        lives = store.call(GetRunLives(run_ids=[run_id])).runs
    except EndpointNotFound:
        return 0
    return lives[0].generation if lives else 0
