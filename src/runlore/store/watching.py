"""Hearing of what changes in a store, as it happens: on this machine, in a database, or behind a server."""

from __future__ import annotations

import time
from collections.abc import Iterator

from runlore.api.events import Changes, GetChanges
from runlore.store.base import Store
from runlore.store.sql.store import SqlStore

LOOK_SECONDS = 0.1
"""How often a database is asked whether anything was committed."""
PAUSE_SECONDS = 0.25
"""Between two answers of a database, at least."""
POLL_SECONDS = 0.5
"""How often a server is asked what changed."""


def changes_of(store: Store, cursor: str, seconds: float | None = None) -> Iterator[Changes]:
    """Every change since `cursor`, half a second after it was made at most; some are told twice. Ends after `seconds`, or not.

    Raises what the store raises: `Unavailable` when a server does not answer for a minute.
    """
    end = None if seconds is None else time.monotonic() + seconds
    version: int | str | None = None
    settled = False
    while end is None or time.monotonic() < end:
        if isinstance(store, SqlStore):
            seen = store.version()
            if seen == version and settled:
                time.sleep(LOOK_SECONDS)
                continue
            version = seen
        changes = store.call(GetChanges(cursor=cursor))
        cursor, settled = changes.cursor, changes.settled
        if not is_empty(changes):
            yield changes
        time.sleep(PAUSE_SECONDS if isinstance(store, SqlStore) else POLL_SECONDS)


def is_empty(changes: Changes) -> bool:
    """Whether an answer tells nothing but a new cursor."""
    return not (
        changes.reset
        or changes.runs
        or changes.experiments
        or changes.registered_models
        or changes.logged_models
        or changes.other
    )
