"""The state behind `log_metric(key, value)`: which run and which experiment are meant. All of it is here.

Each thread has its own stack of open runs. The active experiment belongs to the process, and to the store it was set in; it is
kept in the environment, so that child processes log into it too.
"""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
from types import TracebackType

from runlore.client import RunloreClient, get_tracking_uri
from runlore.client.connection import hurry_to_the_end
from runlore.entities import Run, RunStatus, RunTag
from runlore.exceptions import InvalidParameter, NotFound, RunloreError
from runlore.fluent.endings import status_of, tags_of, was_terminated, watch_termination
from runlore.settings import read_settings
from runlore.spool.line import Line

DEFAULT_EXPERIMENT_ID = "0"
_FOLLOWER_SECONDS = 30.0

logger = logging.getLogger("runlore")


class OpenRun:
    """A run that this process has started, and the client it was started with: it stays with its store."""

    def __init__(self, run: Run, client: RunloreClient) -> None:
        self.run = run
        self.client = client
        self.linked: set[str] = {model.model_id for model in run.inputs.model_inputs}
        self.linked |= {model.model_id for model in run.outputs.model_outputs}
        """Datasets and logged models that the run is known to be linked to."""
        self.process = os.getpid()
        self.leads = True
        """False in all but the first of several processes that share the run: that one ends it."""

    def end(self, status: str, error: BaseException | None = None) -> None:
        """End the run, and say what error ended it; or only see that everything arrives, where another process ends it."""
        if error is not None and (tags := tags_of(error)):
            self.client.log_batch(self.run_id, tags=[RunTag(key=key, value=value) for key, value in tags.items()])
        if self.leads:
            self.client.set_terminated(self.run_id, status)
        elif not self.client.flush(_FOLLOWER_SECONDS):
            logger.warning("What this process logged to run %s has not arrived yet; `runlore sync` delivers it.", self.run_id)

    @property
    def run_id(self) -> str:
        """Its id."""
        return self.run.info.run_id


class _PerThread(threading.local):
    def __init__(self) -> None:
        self.stack: list[OpenRun] = []
        self.model_id: str | None = None


class _Quick(threading.local):
    line: Line | None = None


_thread = _PerThread()
quick = _Quick()
"""`quick.line`: the short way for points of the active run of this thread. None until the long way has been gone once, and
while an active model has to be noted with each point."""
_lock = threading.Lock()
_open: list[OpenRun] = []
_last_run: tuple[RunloreClient, str] | None = None
_last_model: tuple[RunloreClient, str] | None = None
_watched = False
_error: BaseException | None = None
_stands_in_for_mlflow = False


def stand_in_for_mlflow() -> None:
    """Note that `import mlflow` gives Runlore in this process."""
    global _stands_in_for_mlflow
    _stands_in_for_mlflow = True


def stands_in_for_mlflow() -> bool:
    """True when `import mlflow` gives Runlore: filters are then read as MLflow reads them, and no other way."""
    return _stands_in_for_mlflow


# -- runs -----------------------------------------------------------------------------------------------------------------


def stack() -> list[OpenRun]:
    """The open runs of this thread, innermost last."""
    return _thread.stack


def push(run: Run, client: RunloreClient) -> OpenRun:
    """Make a run the active one of this thread."""
    _watch_exit()
    quick.line = None
    opened = OpenRun(run, client)
    _thread.stack.append(opened)
    with _lock:
        _open.append(opened)
    client.keep_alive(opened.run_id)
    return opened


def pop() -> OpenRun:
    """Take the active run of this thread off its stack."""
    global _last_run
    quick.line = None
    closed = _thread.stack.pop()
    with _lock:
        if closed in _open:
            _open.remove(closed)
        _last_run = (closed.client, closed.run_id)
    return closed


def find(run_id: str) -> OpenRun | None:
    """An open run of any thread by its id."""
    with _lock:
        return next((opened for opened in reversed(_open) if opened.run_id == run_id), None)


def client_of(run_id: str) -> RunloreClient:
    """The client to use for a run: its own while it is open."""
    opened = find(run_id)
    return opened.client if opened else RunloreClient()


def last_run() -> tuple[RunloreClient, str] | None:
    """The run that ended last in this process."""
    return _last_run


# -- experiment -----------------------------------------------------------------------------------------------------------


def set_experiment_id(experiment_id: str) -> None:
    """Make an experiment the active one of this process; child processes find it in their environment."""
    os.environ["RUNLORE_ACTIVE_EXPERIMENT"] = f"{experiment_id} {get_tracking_uri()}"


def active_experiment_id() -> str | None:
    """The id that `set_experiment` set for the store in use."""
    experiment_id, _, uri = (read_settings().active_experiment or "").partition(" ")
    return experiment_id if experiment_id and uri == get_tracking_uri() else None


def current_experiment_id() -> str:
    """The experiment in which new runs and models go: the active one, else that of the environment (`RUNLORE_EXPERIMENT_ID`,
    `RUNLORE_EXPERIMENT_NAME` and MLflow's names of them; an unknown name is made), else "Default"."""
    if found := active_experiment_id():
        return found
    named = read_settings()
    if named.experiment_id:
        return _checked(named.experiment_id)
    if named.experiment_name:
        client = RunloreClient()
        experiment = client.get_experiment_by_name(named.experiment_name)
        return experiment.experiment_id if experiment else client.create_experiment(named.experiment_name)
    return DEFAULT_EXPERIMENT_ID


def _checked(experiment_id: str) -> str:
    try:
        return RunloreClient().get_experiment(experiment_id).experiment_id
    except NotFound:
        raise InvalidParameter(
            f"The environment names the experiment id {experiment_id!r} (RUNLORE_EXPERIMENT_ID or MLFLOW_EXPERIMENT_ID), "
            f"which does not exist in {get_tracking_uri()}. Provide a valid experiment_id."
        ) from None


# -- logged model ---------------------------------------------------------------------------------------------------------


def set_model_id(model_id: str | None) -> None:
    """Make a logged model the active one of this thread: metrics are linked to it."""
    _thread.model_id = model_id
    quick.line = None


def model_id() -> str | None:
    """The active logged model of this thread."""
    return _thread.model_id


def set_last_model(client: RunloreClient, model_id: str) -> None:
    """Remember a logged model as the one announced last."""
    global _last_model
    _last_model = (client, model_id)


def last_model() -> tuple[RunloreClient, str] | None:
    """The logged model that was announced last in this process."""
    return _last_model


# -- the end --------------------------------------------------------------------------------------------------------------


def _watch_exit() -> None:
    """From the first run on: open runs end with the process, as FAILED when an exception ends it, as KILLED by a signal."""
    global _watched
    watch_termination()
    with _lock:
        if _watched:
            return
        _watched = True
    atexit.register(_end_open_runs)
    previous = sys.excepthook

    def hook(kind: type[BaseException], value: BaseException, traceback: TracebackType | None) -> None:
        global _error
        _error = value
        previous(kind, value, traceback)

    sys.excepthook = hook


def _end_open_runs() -> None:
    if was_terminated():
        hurry_to_the_end()
    for opened in reversed(_open):
        if opened.process != os.getpid():
            continue  # the run of a parent process goes on there
        try:
            opened.end(RunStatus.KILLED if was_terminated() else status_of(_error), _error)
        except RunloreError as error:
            logger.warning("Run %s could not be ended: %s", opened.run_id, error)
    _open.clear()


def _after_fork() -> None:
    global _lock
    quick.line = None
    _lock = threading.Lock()  # another thread may have held it when this process was forked


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
