"""The trash, moving runs, and changing all runs that match a filter."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from runlore.api.bulk_edits import ChangedRuns, DeleteFoundRuns, MoveFoundRuns, RestoreFoundRuns, TagFoundRuns
from runlore.api.operation import Operation
from runlore.api.runs import TagEntry
from runlore.api.trash import GetTrash, Kind, MoveRuns, Purged, PurgeTrash, RestoreLoggedModel, TrashItem
from runlore.client.base import ClientBase, tag_pairs

DAY_MILLIS = 86_400_000


class TrashClient(ClientBase):
    """The trash, and many runs at once. `delete_run`, `restore_run` and the like are with their nouns."""

    def get_trash(self, kind: Kind = "run", older_than_days: float = 0.0) -> Iterator[TrashItem]:
        """Everything of a kind ("run", "experiment", "logged_model") in the trash, deleted last first; read as it is used."""
        token = ""
        while True:
            age = int(older_than_days * DAY_MILLIS)
            page = self._call(GetTrash(kind=kind, older_than=age, max_results=1_000, page_token=token))
            yield from page.items
            if not page.next_page_token:
                return
            token = page.next_page_token

    def restore_logged_model(self, model_id: str) -> None:
        """Take a logged model out of the trash."""
        self._call(RestoreLoggedModel(model_id=model_id))

    def purge_trash(
        self,
        older_than_days: float = 0.0,
        run_ids: Sequence[str] = (),
        experiment_ids: Sequence[str] = (),
        model_ids: Sequence[str] = (),
        dry_run: bool = False,
    ) -> Purged:
        """Delete for good what has been in the trash for so long; with ids, only these. There is no way back.

        Returns how many there were of each kind, and what had to stay. Goes in slices, so that nobody has to wait; an error in
        the middle leaves the rest in the trash. The files go with the next `runlore gc`.
        """
        runs = models = experiments = 0
        while True:
            done = self._call(
                PurgeTrash(
                    dry_run=dry_run,
                    older_than=int(older_than_days * DAY_MILLIS),
                    run_ids=list(run_ids),
                    experiment_ids=list(map(str, experiment_ids)),
                    model_ids=list(model_ids),
                )
            )
            runs, models, experiments = runs + done.runs, models + done.logged_models, experiments + done.experiments
            if not done.more or dry_run:
                return Purged(runs=runs, logged_models=models, experiments=experiments, kept=done.kept)

    def move_runs(self, run_ids: Sequence[str], experiment_id: str, children: bool = False) -> list[str]:
        """Put runs into another experiment, with the models that they logged and, if asked, the runs below them; all or
        nothing. Files stay where they are. Returns the ids of the runs that were moved."""
        return self._call(MoveRuns(run_ids=list(run_ids), to_experiment_id=str(experiment_id), children=children)).run_ids

    def tag_found_runs(
        self,
        experiment_ids: Sequence[str],
        filter_string: str = "",
        tags: Mapping[str, Any] | None = None,
        remove_tags: Sequence[str] = (),
        except_run_ids: Sequence[str] = (),
    ) -> list[str]:
        """Set and remove tags of all active runs of these experiments that match a filter in Runlore's grammar.

        Returns their ids. Goes in slices of 1,000 runs, each all or nothing; calling it again is harmless.
        """
        entries = [TagEntry(key=key, value=value) for key, value in tag_pairs(tags)]
        chosen = _chosen(experiment_ids, filter_string, except_run_ids)
        return self._change(
            lambda token: TagFoundRuns(set_tags=entries, remove_tags=list(remove_tags), page_token=token, **chosen)
        )

    def delete_found_runs(
        self, experiment_ids: Sequence[str], filter_string: str = "", except_run_ids: Sequence[str] = ()
    ) -> list[str]:
        """Move all active runs that match to the trash; see `tag_found_runs`."""
        chosen = _chosen(experiment_ids, filter_string, except_run_ids)
        return self._change(lambda token: DeleteFoundRuns(page_token=token, **chosen))

    def restore_found_runs(
        self, experiment_ids: Sequence[str], filter_string: str = "", except_run_ids: Sequence[str] = ()
    ) -> list[str]:
        """Take all deleted runs that match out of the trash; see `tag_found_runs`."""
        chosen = _chosen(experiment_ids, filter_string, except_run_ids)
        return self._change(lambda token: RestoreFoundRuns(page_token=token, **chosen))

    def move_found_runs(
        self,
        experiment_ids: Sequence[str],
        to_experiment_id: str,
        filter_string: str = "",
        except_run_ids: Sequence[str] = (),
    ) -> list[str]:
        """Put all active runs that match into another experiment; see `tag_found_runs` and `move_runs`."""
        chosen = _chosen(experiment_ids, filter_string, except_run_ids)
        target = str(to_experiment_id)
        return self._change(lambda token: MoveFoundRuns(to_experiment_id=target, page_token=token, **chosen))

    def _change(self, operation: Callable[[str], Operation[ChangedRuns]]) -> list[str]:
        changed: list[str] = []
        token: str | None = ""
        while token is not None:
            reply = self._call(operation(token))
            changed += reply.run_ids
            token = reply.next_page_token
        return changed


def _chosen(experiment_ids: Sequence[str], filter_string: str, except_run_ids: Sequence[str]) -> dict[str, Any]:
    ids = [experiment_ids] if isinstance(experiment_ids, str) else experiment_ids
    return {"experiment_ids": list(map(str, ids)), "filter": filter_string or "", "except_run_ids": list(except_run_ids)}
