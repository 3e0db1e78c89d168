"""Runs: making, finding, ending and deleting them. What is logged into them is in `logging.py`."""

from __future__ import annotations

import logging
import uuid
from typing import Any

from runlore.api.runs import CreateRun, DeleteRun, FindRuns, GetRun, RestoreRun, SearchRuns, TagEntry, UpdateRun
from runlore.client.base import ClientBase, PagedList, now, tag_pairs, view_type_word
from runlore.entities import Run, RunStatus, ViewType
from runlore.exceptions import InvalidParameter, NotFound, Unavailable
from runlore.spool.spool import Spool

PARENT_TAG = "mlflow.parentRunId"
USER_TAG = "mlflow.user"

logger = logging.getLogger("runlore")


class RunsClient(ClientBase):
    """Runs."""

    def create_run(
        self,
        experiment_id: str,
        start_time: int | None = None,
        tags: dict[str, Any] | None = None,
        run_name: str | None = None,
    ) -> Run:
        """Make a run without making it the active one. `start_time` is in Unix milliseconds, now by default.

        The client makes the run's id, so that sending the request again can not make a second run.
        """
        return self.make_run(experiment_id, tags, run_name, None, start_time)

    def make_run(
        self,
        experiment_id: str,
        tags: dict[str, Any] | None = None,
        run_name: str | None = None,
        run_id: str | None = None,
        start_time: int | None = None,
    ) -> Run:
        """Make a run with an id of one's own, 32 hexadecimal digits; a run that has it already is the answer. So several
        processes can agree on a run before any of them has made it."""
        entries = [TagEntry(key=key, value=value) for key, value in tag_pairs(tags, cut=True)]
        operation = CreateRun(
            experiment_id=str(experiment_id),
            user_id=str((tags or {}).get(USER_TAG, "unknown")),
            run_name=run_name or "",
            start_time=now() if start_time is None else start_time,
            tags=entries,
            client_run_id=run_id or uuid.uuid4().hex,
        )
        return self._call(operation).run

    def get_run(self, run_id: str) -> Run:
        """One run with the last value of each metric, deleted ones too. Raises `NotFound`."""
        return self._call(GetRun(run_id=run_id)).run

    def get_parent_run(self, run_id: str) -> Run | None:
        """The run that a nested run belongs to, or None."""
        parent = self.get_run(run_id).data.tags.get(PARENT_TAG)
        return None if parent is None else self.get_run(parent)

    def update_run(self, run_id: str, status: str | int | None = None, name: str | None = None) -> None:
        """Change the status or the name of a run."""
        self._call(UpdateRun(run_id=run_id, status=_status(status), run_name=name))

    def set_terminated(self, run_id: str, status: str | int | None = None, end_time: int | None = None) -> None:
        """Say that a run has ended: FINISHED unless `status` says otherwise, now unless `end_time` (Unix ms) does."""
        word: Any = _status(status) or RunStatus.FINISHED
        ended = now() if end_time is None else end_time
        operation = UpdateRun(run_id=run_id, status=word, end_time=ended)
        if (spool := self._spool()) is not None:
            spool.end(operation)
        else:
            self._call(operation)

    def find_run(self, run_id: str) -> Run:
        """A run to go on with: as `get_run`, and while no store is asked what the journals of this machine know of it."""
        spool = self._spool()
        if spool is None:
            return self.get_run(run_id)
        try:
            return _found(spool, run_id)
        except Unavailable:
            return spool.known_here(run_id)

    def knows_run(self, run_id: str) -> bool:
        """Whether a run is there, as far as can be told while no store is asked."""
        spool = self._spool()
        try:
            return bool(self.get_run(run_id) if spool is None else _found(spool, run_id))
        except (NotFound, Unavailable):
            return False

    def resume_run(self, run_id: str) -> bool:
        """Go on with a run that has ended: metrics that are logged again replace what was there from the first step on that is
        logged (docs/guides/resuming.md), and params may change. A run that lives in another process is joined: nothing of it is
        replaced, and False is returned; so it is where the server is MLflow's. `start_run(run_id=…)` does this."""
        spool = self._spool()
        return spool is not None and spool.resume(run_id).resumed

    def keep_alive(self, run_id: str) -> None:
        """Let the store hear of a run every 15 seconds until `set_terminated`: without that, and without data, it is shown as
        lost after 90. `start_run` sees to it."""
        if (spool := self._spool()) is not None:
            spool.keep_alive(run_id)

    def delete_run(self, run_id: str) -> None:
        """Move a run to the trash."""
        self._call(DeleteRun(run_id=run_id))

    def restore_run(self, run_id: str) -> None:
        """Take a run out of the trash."""
        self._call(RestoreRun(run_id=run_id))

    def search_runs(
        self,
        experiment_ids: list[str],
        filter_string: str = "",
        run_view_type: int | str = ViewType.ACTIVE_ONLY,
        max_results: int = 1000,
        order_by: list[str] | None = None,
        page_token: str | None = None,
    ) -> PagedList[Run]:
        """One page of the runs that match a filter in MLflow's grammar (`find_runs` understands more), newest first unless
        `order_by` says otherwise."""
        ids = [experiment_ids] if isinstance(experiment_ids, str | int) else experiment_ids
        operation = SearchRuns(
            experiment_ids=[str(experiment_id) for experiment_id in ids],
            filter=filter_string or "",
            run_view_type=view_type_word(run_view_type),
            max_results=max_results,
            order_by=[order_by] if isinstance(order_by, str) else order_by or [],
            page_token=page_token or "",
        )
        reply = self._call(operation)
        return PagedList(reply.runs, reply.next_page_token)

    def find_runs(
        self,
        filter_string: str = "",
        experiment_ids: list[str] | None = None,
        order_by: list[str] | None = None,
        run_view_type: int | str = ViewType.ACTIVE_ONLY,
        max_results: int = 1000,
        page_token: str | None = None,
    ) -> PagedList[Run]:
        """One page of the runs that match a filter in Runlore's own grammar (docs/guides/queries.md), newest first unless
        `order_by` says otherwise. Without `experiment_ids` all experiments are searched.

        A key that no run has is named in a warning. Raises `EndpointNotFound` where the tracking server is not Runlore's.
        """
        operation = FindRuns(
            experiment_ids=[str(experiment_id) for experiment_id in experiment_ids or ()],
            filter=filter_string or "",
            run_view_type=view_type_word(run_view_type),
            max_results=max_results,
            order_by=order_by or [],
            page_token=page_token or "",
        )
        reply = self._call(operation)
        if reply.hint:
            logger.warning("%s", reply.hint)
        return PagedList(reply.runs, reply.next_page_token)


def _found(spool: Spool, run_id: str) -> Run:
    """A run that is in the store, or in the journal of a process that made it offline and is gone."""
    try:
        return spool.call(GetRun(run_id=run_id)).run
    except NotFound:
        spool.sweep()
        return spool.call(GetRun(run_id=run_id)).run


def _status(status: str | int | None) -> Any:
    """A status given as a word or as MLflow's number."""
    if status is None:
        return None
    value = getattr(status, "value", status)
    if isinstance(value, int) and 1 <= value <= len(RunStatus.ALL):
        return RunStatus.ALL[value - 1]
    if value in RunStatus.ALL:
        return value
    raise InvalidParameter(f"Invalid run status {status!r}. Expected one of {', '.join(RunStatus.ALL)}.")
