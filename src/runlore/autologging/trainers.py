"""The `Trainer` of Transformers: its params, what it logs, and its model, kept as a run."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache
from typing import Any

import msgspec

from runlore.autologging.patch import Watcher, guarded, patch, when_imported
from runlore.autologging.session import Options, Session
from runlore.client.base import MAX_PARAM
from runlore.entities import RunStatus
from runlore.fluent.logging import log_metrics, log_params

MODULE = "transformers.trainer"

LogModel = Callable[[Any], Any]


@cache
def recording_callback() -> type[Any]:
    """The class of callbacks that log what a `Trainer` reports to the active run."""
    from transformers import TrainerCallback

    class RecordingCallback(TrainerCallback):  # type: ignore[misc]
        def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
            if state.is_world_process_zero and logs:
                numbers = {name: float(value) for name, value in logs.items() if isinstance(value, int | float)}
                guarded(lambda: log_metrics(numbers, step=state.global_step))

    return RecordingCallback


class Training(msgspec.Struct):
    """One call of `Trainer.train`."""

    session: Session
    trainer: Any
    callback: Any


class TrainWatcher(Watcher):
    """Looks on at `Trainer.train`."""

    def __init__(self, options: Options, log_model: LogModel) -> None:
        self._options, self._log_model = options, log_model

    def begin(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Training | None:
        """Params; a callback that records joins those of the trainer. See `Watcher`."""
        trainer = args[0]
        present = {type(callback).__name__ for callback in trainer.callback_handler.callbacks}
        if "MLflowCallback" in present or not trainer.is_world_process_zero() or not Session.wanted(self._options):
            return None
        training = Training(Session("transformers", self._options, {}), trainer, recording_callback()())
        guarded(lambda: log_params(_params(trainer)))
        trainer.add_callback(training.callback)
        return training

    def done(self, begun: Training, result: Any) -> None:
        """The model, if it is wanted. See `Watcher`."""
        begun.trainer.remove_callback(begun.callback)
        if self._options.log_models:
            guarded(self._log_model, begun.trainer)
        begun.session.end()

    def failed(self, begun: Training) -> None:
        """See `Watcher`."""
        begun.trainer.remove_callback(begun.callback)
        begun.session.end(RunStatus.FAILED)


def _params(trainer: Any) -> dict[str, str]:
    config = getattr(trainer.model, "config", None)
    found = {**(config.to_dict() if config is not None else {}), **trainer.args.to_dict()}
    return {name: str(value)[:MAX_PARAM] for name, value in found.items()}


def watch_trainers(watcher: TrainWatcher) -> None:
    """Look on at all trainers: now, or as soon as their module is imported, which brings torch and costs seconds."""
    when_imported(MODULE, lambda: patch(sys.modules[MODULE].Trainer, "train", watcher))
