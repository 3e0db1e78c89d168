"""Hearing of what changes in a store, as it happens."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import msgspec

from runlore.api.events import Changes, GetChanges
from runlore.client.base import ClientBase
from runlore.store.watching import changes_of


class WatchingClient(ClientBase):
    """Following a store."""

    def watch(
        self, run_ids: Collection[str] | None = None, cursor: str | None = None, seconds: float | None = None
    ) -> Iterator[Changes]:
        """What changes from now on (or since `cursor`, that of an earlier answer), whoever changes it.

        Each answer names objects and which parts of them changed, at most half a second after the change; nothing is left out,
        some changes are told twice. With `run_ids`, only changes of these runs are told. Ends after `seconds`; without, never.

            for changes in client.watch(run_ids=[run_id]):
                print(client.get_run(run_id).data.metrics)

        Raises `Unavailable` when a server does not answer for a minute.
        """
        since = cursor or self._call(GetChanges()).cursor  # now, not when the first answer is asked for
        return _chosen(changes_of(self.store, since, seconds), run_ids)


def _chosen(answers: Iterator[Changes], run_ids: Collection[str] | None) -> Iterator[Changes]:
    wanted = None if run_ids is None else frozenset(run_ids)
    for changes in answers:
        if wanted is None:
            yield changes
            continue
        runs = [run for run in changes.runs if run.run_id in wanted]
        if runs or changes.reset:
            yield msgspec.structs.replace(changes, runs=runs, experiments=[], registered_models=[], logged_models=[], other=[])
