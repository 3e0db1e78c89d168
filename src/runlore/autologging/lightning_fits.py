"""Lightning: what a training logs, kept as a run. Names are those of MLflow. Both packages, `lightning` and
`pytorch_lightning`, are watched, whichever is imported."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any

import msgspec

from runlore.autologging.checkpoints import CheckpointRule, Checkpoints
from runlore.autologging.patch import Watcher, guarded, patch, when_imported
from runlore.autologging.session import Options, Session
from runlore.client import MlflowClient
from runlore.entities import Param, RunStatus, RunTag
from runlore.exceptions import MissingDependency
from runlore.models.signature import ModelSignature, infer_signature

SUMMARY_FILE = "model_summary.txt"
PACKAGES = {"lightning": "lightning.pytorch", "pytorch_lightning": "pytorch_lightning"}
"""Package -> the module in it that has `Trainer`."""
SAMPLE = 2
_EARLY_STOPPING = ("monitor", "mode", "patience", "min_delta", "stopped_epoch")

LogModel = Callable[[Any, ModelSignature | None, int], Any]


class Pace(msgspec.Struct, frozen=True):
    """How often metrics are logged."""

    every_n_epoch: int = 1
    every_n_step: int | None = None


class Recorder:
    """Logs a training to one run; it stays with the trainer, for the tests that follow."""

    def __init__(self, run_id: str, pace: Pace) -> None:
        self.run_id, self._pace = run_id, pace
        self._client = MlflowClient()
        self.sample: Any = None
        """Rows of the first batch, for the signature."""

    def begin(self, trainer: Any) -> None:
        """Epochs, optimizer and early stopping as params."""
        params: dict[str, Any] = {"epochs": trainer.max_epochs}
        for optimizer in trainer.optimizers[:1]:
            params |= {"optimizer_name": type(optimizer).__name__, **optimizer.defaults}
        for stopping in _early_stopping(trainer):
            params |= {name: getattr(stopping, name) for name in _EARLY_STOPPING if hasattr(stopping, name)}
        entries = [Param(key=name, value=str(value)) for name, value in params.items()]
        self._client.log_batch(self.run_id, params=entries, tags=[RunTag(key="Mode", value="training")])

    def remember(self, batch: Any) -> None:
        """Keep rows of the first batch."""
        if self.sample is None:
            first = batch[0] if isinstance(batch, list | tuple) else batch
            self.sample = first[:SAMPLE].detach().cpu().clone()

    def epoch(self, trainer: Any) -> None:
        """Metrics of an epoch, with its number as the step."""
        if (trainer.current_epoch + 1) % self._pace.every_n_epoch == 0:
            found = numbers(trainer.callback_metrics)
            if self._pace.every_n_step is not None:  # they have points of their own, by batches
                found = {name: value for name, value in found.items() if not name.endswith("_step")}
            self._log(found, trainer.current_epoch)

    def batch(self, trainer: Any) -> None:
        """Metrics of a batch, with the number of batches before it as the step."""
        every = self._pace.every_n_step
        if every is not None and trainer.global_step % every == 0:
            results = getattr(trainer, "_results", None)
            found = trainer.callback_metrics if results is None else results.metrics(on_step=True)["log"]
            self._log(numbers(found), trainer.global_step - 1)

    def tested(self, trainer: Any) -> None:
        """Metrics of a test."""
        self._client.set_tag(self.run_id, "Mode", "testing")
        self._log(numbers(trainer.callback_metrics), 0)

    def ended(self, trainer: Any, module: Any) -> None:
        """What early stopping did; the table of layers as a file."""
        for stopping in _early_stopping(trainer):
            if stopping.stopped_epoch:
                found = {"stopped_epoch": stopping.stopped_epoch, "wait_count": stopping.wait_count}
                found["restored_epoch"] = stopping.stopped_epoch - max(1, stopping.patience)
                self._log(numbers({**found, "best_score": stopping.best_score}), 0)
        place = type(trainer).__module__.partition(".trainer.")[0]
        summary = import_module(f"{place}.utilities.model_summary").ModelSummary(module, max_depth=-1)
        self._client.log_text(self.run_id, str(summary), SUMMARY_FILE)

    def _log(self, metrics: dict[str, float], step: int) -> None:
        if metrics:
            self._client.log_metrics(self.run_id, metrics, step)


def numbers(metrics: dict[str, Any]) -> dict[str, float]:
    """Metrics as plain numbers; what is none is left out."""
    found = {name: guarded(float, value) for name, value in metrics.items() if value is not None}
    return {name: value for name, value in found.items() if value is not None}


def _early_stopping(trainer: Any) -> list[Any]:
    return [
        callback for callback in trainer.callbacks if any(kind.__name__ == "EarlyStopping" for kind in type(callback).__mro__)
    ]


# -- callbacks: their base is that of the package in use ------------------------------------------------------------------


def _bases() -> tuple[type[Any], ...]:
    """The class `Callback` of each package that is imported; of the first one that there is, when none is."""
    found = [sys.modules[place].Callback for place in PACKAGES.values() if hasattr(sys.modules.get(place), "Callback")]
    for place in () if found else PACKAGES.values():
        try:
            found = [import_module(place).Callback]
        except ImportError:
            continue
        break
    if not found:
        raise MissingDependency("Lightning is not installed. hint: pip install lightning")
    return tuple(found)


def recording_callback(recorder: Recorder) -> Any:
    """A callback that hands a training to a recorder, from the process of rank 0 alone."""
    return _recording(_bases())(recorder)


@cache
def _recording(bases: tuple[type[Any], ...]) -> type[Any]:
    class RecordingCallback(*bases):  # type: ignore[misc]
        def __init__(self, recorder: Recorder) -> None:
            self.recorder = recorder

        def on_train_start(self, trainer: Any, pl_module: Any) -> None:
            if trainer.is_global_zero:
                guarded(self.recorder.begin, trainer)

        def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
            if batch_idx == 0 and trainer.current_epoch == 0:
                with contextlib.suppress(TypeError, LookupError, AttributeError):  # no batch of tensors: no signature
                    self.recorder.remember(batch)

        def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
            if trainer.is_global_zero:
                guarded(self.recorder.batch, trainer)

        def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
            if trainer.is_global_zero:
                guarded(self.recorder.epoch, trainer)

        def on_test_end(self, trainer: Any, pl_module: Any) -> None:
            if trainer.is_global_zero:
                guarded(self.recorder.tested, trainer)

    return RecordingCallback


def checkpoint_callback() -> type[Any]:
    """The class of callbacks that keep checkpoints by a rule."""
    return _checkpointing(_bases())


@cache
def _checkpointing(bases: tuple[type[Any], ...]) -> type[Any]:
    class MlflowModelCheckpointCallback(*bases):  # type: ignore[misc]
        """Keeps checkpoints of a Lightning training in the active run: `Trainer(callbacks=[…])`."""

        def __init__(
            self,
            monitor: str = "val_loss",
            mode: str = "min",
            save_best_only: bool = True,
            save_weights_only: bool = False,
            save_freq: str | int = "epoch",
        ) -> None:
            self.rule = CheckpointRule(monitor, mode, save_best_only, save_weights_only, save_freq)
            self.kept = Checkpoints(self.rule, ".pth")

        def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
            self.kept = Checkpoints(self.rule, ".pth")

        def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
            guarded(self._look, trainer, False)

        def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
            guarded(self._look, trainer, True)

        def _look(self, trainer: Any, epoch_ended: bool) -> None:
            metrics = numbers(trainer.callback_metrics) if self.kept.due(epoch_ended, trainer.global_step) else None
            if metrics is not None and self.kept.wanted(metrics):
                self.kept.keep(
                    metrics, trainer.current_epoch, trainer.global_step,
                    lambda path: trainer.save_checkpoint(path, weights_only=self.rule.save_weights_only),
                )  # fmt: skip

    return MlflowModelCheckpointCallback


# -- the watcher ----------------------------------------------------------------------------------------------------------


class Training(msgspec.Struct):
    """One call of `Trainer.fit`."""

    session: Session
    trainer: Any
    recorder: Recorder
    checkpoints: Any


class FitWatcher(Watcher):
    """Looks on at `Trainer.fit`."""

    def __init__(self, options: Options, pace: Pace, log_model: LogModel, rule: CheckpointRule | None) -> None:
        self._options, self._pace, self._log_model, self._rule = options, pace, log_model, rule

    def begin(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Training | None:
        """Callbacks that record join those of the trainer, before them. See `Watcher`."""
        trainer = args[0]
        if not trainer.is_global_zero or not Session.wanted(self._options):
            return None
        session = Session("pytorch", self._options, {})
        recorder = Recorder(session.run_id, self._pace)
        own = _recording(_bases()), checkpoint_callback()
        checkpoints = own[1](**msgspec.structs.asdict(self._rule)) if self._rule is not None else None
        present = [callback for callback in trainer.callbacks if type(callback) is not own[0]]  # not that of an earlier fit
        kept = any(isinstance(callback, own[1]) for callback in present)
        mine = [recording_callback(recorder), *([checkpoints] if checkpoints is not None and not kept else [])]
        trainer.callbacks[:] = [*mine, *present]
        return Training(session, trainer, recorder, checkpoints)

    def done(self, begun: Training, result: Any) -> None:
        """Early stopping, layers, the model. See `Watcher`."""
        trainer = begun.trainer
        module = trainer.lightning_module
        guarded(begun.recorder.ended, trainer, module)
        if self._options.log_models:
            signature = None
            if self._options.log_model_signatures and begun.recorder.sample is not None:
                signature = guarded(_signature, module, begun.recorder.sample)
            guarded(self._log_model, module, signature, max(trainer.current_epoch - 1, 0))
        begun.session.end(RunStatus.KILLED if getattr(trainer, "interrupted", False) else RunStatus.FINISHED)
        self._leave(begun)

    def failed(self, begun: Training) -> None:
        """See `Watcher`."""
        begun.session.end(RunStatus.FAILED)
        self._leave(begun)

    @staticmethod
    def _leave(begun: Training) -> None:
        """The recorder stays for `Trainer.test`; checkpoints are those of one fit."""
        begun.trainer.callbacks[:] = [callback for callback in begun.trainer.callbacks if callback is not begun.checkpoints]


def _signature(module: Any, sample: Any) -> ModelSignature | None:
    """What the module answers to rows of its first batch; None without a `forward` of its own."""
    import torch

    if type(module).forward in (torch.nn.Module.forward, *(base.forward for base in _modules())):
        return None
    training = module.training
    module.eval()
    try:
        with torch.no_grad():
            found = module(sample.to(module.device))
    finally:
        module.train(training)
    return infer_signature(sample.numpy(), found.detach().cpu().numpy())


def _modules() -> list[Any]:
    return [sys.modules[place].LightningModule for place in PACKAGES.values() if place in sys.modules]


def watch_trainers(watcher: FitWatcher) -> None:
    """Look on at the trainers of both packages, now or as soon as they are imported."""
    for package, place in PACKAGES.items():
        when_imported(package, lambda place=place: patch(import_module(place).Trainer, "fit", watcher))  # type: ignore[misc]
