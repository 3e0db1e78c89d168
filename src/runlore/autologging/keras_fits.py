"""Keras 3: the callback that records a training, and the watcher of `Model.fit`. Names of what is logged are MLflow's."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

import msgspec

from runlore.autologging.checkpoints import CheckpointRule, Checkpoints
from runlore.autologging.patch import Watcher, guarded
from runlore.autologging.session import Options, Session
from runlore.data import from_numpy
from runlore.entities import RunStatus
from runlore.exceptions import InvalidParameter
from runlore.fluent.artifacts import log_text
from runlore.fluent.logging import log_input, log_metrics, log_params
from runlore.models.signature import ModelSignature
from runlore.types.schema import Schema, TensorSpec

SUMMARY_FILE = "model_summary.txt"
SAMPLE = 5
PREFIXES = {"keras": "optimizer_", "tensorflow": "opt_"}
"""What stands before the names of an optimizer's settings: MLflow has two."""
_NOT_PARAMS = ("self", "x", "y", "callbacks", "validation_data", "verbose")

LogModel = Callable[[Any, ModelSignature | None, Any], Any]


class Pace(msgspec.Struct, frozen=True):
    """When metrics are logged: after every epoch, or after every so many batches."""

    every_epoch: bool = True
    every_n_steps: int | None = None

    @classmethod
    def of(cls, log_every_epoch: bool, log_every_n_steps: int | None) -> Pace:
        """The two arguments, checked: exactly one of them is in use."""
        if log_every_epoch == (log_every_n_steps is not None):
            raise InvalidParameter(
                "Metrics are logged either after every epoch or after every log_every_n_steps batches; got "
                f"log_every_epoch={log_every_epoch} and log_every_n_steps={log_every_n_steps}."
            )
        return cls(log_every_epoch, log_every_n_steps)


class Recorder:
    """Logs a training of a Keras model to the active run; what can not be logged is left out with a warning."""

    def __init__(self, pace: Pace, prefix: str, model_id: str | None = None) -> None:
        self._pace, self._prefix, self._model_id = pace, prefix, model_id

    def begin(self, model: Any) -> None:
        """The optimizer's configuration as params, the layers as a file."""
        optimizer = getattr(model, "optimizer", None)
        if optimizer is not None:
            guarded(lambda: log_params({f"{self._prefix}{name}": value for name, value in optimizer.get_config().items()}))
        guarded(lambda: log_text(summary(model), SUMMARY_FILE))

    def epoch(self, epoch: int, logs: dict[str, Any] | None) -> None:
        """Metrics of an epoch, with its number as the step."""
        if self._pace.every_epoch and logs:
            guarded(self._log, logs, epoch)

    def batch(self, model: Any, logs: dict[str, Any] | None) -> None:
        """Metrics of a batch, with the optimizer's iterations as the step."""
        every = self._pace.every_n_steps
        if every is not None and logs:
            step = guarded(lambda: int(model.optimizer.iterations))
            if step is not None and step % every == 0:
                guarded(self._log, logs, step)

    def evaluated(self, logs: dict[str, Any] | None) -> None:
        """Metrics of an evaluation."""
        if logs:
            guarded(self._log, {f"validation_{name}": value for name, value in logs.items()}, None)

    def _log(self, logs: dict[str, Any], step: int | None) -> None:
        log_metrics({name: float(value) for name, value in logs.items()}, step=step, model_id=self._model_id)


def summary(model: Any) -> str:
    """The table of layers that Keras prints."""
    lines: list[str] = []
    model.summary(print_fn=lambda line, *_, **__: lines.append(str(line)))
    return "\n".join(lines)


@cache
def recording_callback() -> type[Any]:
    """The class of callbacks that hand everything to a `Recorder`."""
    import keras

    class RecordingCallback(keras.callbacks.Callback):  # type: ignore[misc]
        """Hands everything to a recorder."""

        def __init__(self, recorder: Recorder) -> None:
            super().__init__()
            self._recorder = recorder

        def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
            """See `Recorder.begin`."""
            self._recorder.begin(self.model)

        def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
            """See `Recorder.epoch`."""
            self._recorder.epoch(epoch, logs)

        def on_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
            """See `Recorder.batch`."""
            self._recorder.batch(self.model, logs)

        def on_test_end(self, logs: dict[str, Any] | None = None) -> None:
            """See `Recorder.evaluated`."""
            self._recorder.evaluated(logs)

    return RecordingCallback


@cache
def checkpoint_callback() -> type[Any]:
    """The class of callbacks that keep checkpoints in the active run."""
    import keras

    class MlflowModelCheckpointCallback(keras.callbacks.Callback):  # type: ignore[misc]
        """Keeps checkpoints of a Keras training in the active run: `model.fit(…, callbacks=[…])`."""

        def __init__(
            self,
            monitor: str = "val_loss",
            mode: str = "min",
            save_best_only: bool = True,
            save_weights_only: bool = False,
            save_freq: str | int = "epoch",
        ) -> None:
            super().__init__()
            self._rule = CheckpointRule(monitor, mode, save_best_only, save_weights_only, save_freq)
            self._kept = self._made()
            self._epoch = 0

        def _made(self) -> Checkpoints:
            return Checkpoints(self._rule, ".h5" if self._rule.save_weights_only else ".keras")

        def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
            self._kept = self._made()

        def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
            self._epoch = epoch

        def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
            guarded(self._look, logs or {}, False)

        def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
            guarded(self._look, logs or {}, True)

        def _look(self, logs: dict[str, Any], epoch_ended: bool) -> None:
            step = int(self.model.optimizer.iterations)
            metrics = {name: float(value) for name, value in logs.items()}
            if self._kept.due(epoch_ended, step) and self._kept.wanted(metrics):
                write = self.model.save_weights if self._rule.save_weights_only else self.model.save
                self._kept.keep(metrics, self._epoch, step, write)

    return MlflowModelCheckpointCallback


class Training(msgspec.Struct):
    """One call of `fit`."""

    session: Session
    function: Callable[..., Any]
    model: Any
    x: Any


class FitWatcher(Watcher):
    """Looks on at `keras.Model.fit`. `more` makes callbacks that join the one that records."""

    def __init__(
        self, library: str, options: Options, pace: Pace, log_model: LogModel, more: Iterable[Callable[[], Any]] = ()
    ) -> None:
        self._library, self._options, self._pace = library, options, pace
        self._log_model, self._more = log_model, tuple(more)

    def begin(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Training | None:
        """Params and datasets. See `Watcher`."""
        if not Session.wanted(self._options):
            return None
        given = _given(function, args, kwargs)
        if has_callback(given.get("callbacks")):
            return None
        training = Training(Session(self._library, self._options, {}), function, given["self"], given.get("x"))
        guarded(lambda: log_params(_params(given)))
        if self._options.log_datasets:
            guarded(_log_dataset, given.get("x"), given.get("y"), "train")
            validation = given.get("validation_data")
            if isinstance(validation, tuple) and len(validation) >= 2:
                guarded(_log_dataset, validation[0], validation[1], "eval")
        return training

    def arguments(
        self, begun: Training, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The callbacks given, and ours. See `Watcher`."""
        bound = inspect.signature(begun.function).bind(*args, **kwargs)
        given = bound.arguments.get("callbacks")
        present = [] if given is None else list(given) if isinstance(given, list | tuple) else [given]
        recorder = Recorder(self._pace, PREFIXES[self._library])
        bound.arguments["callbacks"] = [*present, recording_callback()(recorder), *(make() for make in self._more)]
        return bound.args, bound.kwargs

    def done(self, begun: Training, result: Any) -> None:
        """The model. See `Watcher`."""
        if self._options.log_models:
            signature = guarded(signature_of, begun.model) if self._options.log_model_signatures else None
            example = begun.x[:SAMPLE] if self._options.log_input_examples and hasattr(begun.x, "__array_interface__") else None
            guarded(self._log_model, begun.model, signature, example)
        begun.session.end()

    def failed(self, begun: Training) -> None:
        """See `Watcher`."""
        begun.session.end(RunStatus.FAILED)


def _given(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    bound = inspect.signature(function).bind(*args, **kwargs)
    bound.apply_defaults()
    return bound.arguments


def has_callback(callbacks: Any) -> bool:
    """True when the caller records the training with a callback of Runlore's."""
    return isinstance(callbacks, list | tuple) and any(isinstance(item, recording_callback()) for item in callbacks)


def signature_of(model: Any) -> ModelSignature:
    """Tensors by the shapes that the model was built with; -1 where any size fits."""
    return ModelSignature(_schema(model.inputs), _schema(model.outputs))


def _schema(tensors: Any) -> Schema:
    import numpy as np

    named = len(tensors) > 1
    return Schema(
        [
            TensorSpec(
                np.dtype(str(tensor.dtype)),
                tuple(-1 if size is None else size for size in tensor.shape),
                tensor.name if named else None,
            )
            for tensor in tensors
        ]
    )


def _params(given: dict[str, Any]) -> dict[str, Any]:
    found = {name: value for name, value in given.items() if name not in _NOT_PARAMS}
    if found.get("batch_size") is None and isinstance(size := getattr(given.get("x"), "batch_size", None), int):
        found["batch_size"] = size
    return {
        name: value if isinstance(value, int | float | str | None) else type(value).__name__ for name, value in found.items()
    }


def _log_dataset(x: Any, y: Any, context: str) -> None:
    if hasattr(x, "__array_interface__"):
        log_input(from_numpy(x, targets=y if hasattr(y, "__array_interface__") else None), context=context)
