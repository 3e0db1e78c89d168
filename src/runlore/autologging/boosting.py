"""Trainings of gradient boosting libraries: params before, metrics while it boosts, importance and model after it.

XGBoost and LightGBM are alike: a function `train`, which their scikit-learn estimators call inside of `fit`. A training by an
estimator is recorded where `train` is called, and ends with `fit`: then the model is the estimator.
"""

from __future__ import annotations

import threading
from abc import abstractmethod
from collections.abc import Callable, Mapping
from inspect import BoundArguments, signature
from typing import Any

import msgspec

from runlore.autologging.patch import Watcher, guarded
from runlore.autologging.pictures import importance_figure
from runlore.autologging.session import Options, Session
from runlore.client.base import MAX_PARAM
from runlore.data import Dataset
from runlore.entities import RunStatus
from runlore.fluent.artifacts import log_dict, log_figure
from runlore.fluent.logging import log_input, log_metrics, log_params
from runlore.models.signature import infer_signature

LogModel = Callable[..., Any]
Predict = Callable[[Any, Any, None], Any]
Values = dict[str, float]


class Training(msgspec.Struct):
    """One call of `train`."""

    session: Session
    call: BoundArguments
    sample: Any
    """The first rows of the data as the user gave them; None where that is not known."""
    iterations: int = 0
    history: dict[int, Values] = {}
    lost: bool = False
    """Metrics could not be logged; that has been said once."""

    def log(self, values: Mapping[str, float], step: int) -> None:
        """The metrics of one iteration."""
        self.iterations = max(self.iterations, step + 1)
        named = {metric_key(name): float(value) for name, value in values.items()}
        self.history[step] = named
        if named and not self.lost:
            self.lost = guarded(lambda: (log_metrics(named, step=step, run_id=self.session.run_id), True)) is None


class Fit(msgspec.Struct):
    """One call of an estimator's `fit`."""

    estimator: Any
    training: Training | None = None
    booster: Any = None


class _Fits(threading.local):
    """Fits that are going on, the outermost first."""

    def __init__(self) -> None:
        self.open: list[Fit] = []


class BoostingWatcher(Watcher):
    """Looks on at a library's `train`. What the two libraries do differently is in the subclasses."""

    library: str
    unlogged: frozenset[str]
    """Arguments of `train` that are no params: data, functions, callbacks."""
    first_iteration: int
    """How the library numbers the first iteration."""

    def __init__(self, options: Options, log_model: LogModel, predict: Predict, importance_types: list[str]) -> None:
        self._options, self._log_model, self._predict = options, log_model, predict
        self._importance_types = importance_types
        self._fits = _Fits()

    # -- what the subclasses say ------------------------------------------------------------------------------------------

    @abstractmethod
    def datasets(self, given: dict[str, Any]) -> list[tuple[str, Any]]:
        """Name and data of the training data, which stands first, and of what is evaluated."""

    @abstractmethod
    def sample(self, data: Any) -> Any:
        """The first rows of what the library's form of data was made of, if that is known."""

    @abstractmethod
    def dataset(self, data: Any, name: str) -> Dataset | None:
        """Data in the library's form as a dataset, if it can be described."""

    @abstractmethod
    def callbacks(self, training: Training, given: list[Any]) -> list[Any]:
        """The given callbacks, and one that logs metrics."""

    @abstractmethod
    def best_iteration(self, booster: Any) -> int | None:
        """The best iteration of a training that could stop early, as the library counts them."""

    @abstractmethod
    def importance(self, booster: Any, kind: str) -> dict[str, Any]:
        """The importance of each feature."""

    # -- one call of `train` ----------------------------------------------------------------------------------------------

    def begin(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Training | None:
        """Params and datasets. See `Watcher`."""
        if not Session.wanted(self._options):
            return None
        call = signature(function).bind(*args, **kwargs)
        datasets = guarded(self.datasets, call.arguments) or []
        sample = guarded(self.sample, datasets[0][1]) if datasets else None
        training = Training(Session(self.library, self._options, {}), call, sample)
        guarded(lambda: log_params(self._params(call)))
        if self._options.log_datasets:
            for position, (name, data) in enumerate(datasets):
                guarded(self._log_dataset, data, name, "train" if position == 0 else "eval")
        return training

    def arguments(self, begun: Training, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        """The arguments with a callback that logs metrics. See `Watcher`."""
        given = begun.call.arguments.get("callbacks")
        begun.call.arguments["callbacks"] = self.callbacks(begun, list(given or []))
        return begun.call.args, begun.call.kwargs

    def done(self, begun: Training, result: Any) -> None:
        """Importance, the best iteration, and the model. See `Watcher`."""
        guarded(self._log_best, begun, result)
        for kind in self._importance_types:
            guarded(self._log_importance, result, kind)
        if self._fits.open:
            self._fits.open[0].training, self._fits.open[0].booster = begun, result
        else:
            self.finish(begun, result)

    def failed(self, begun: Training) -> None:
        """See `Watcher`."""
        begun.session.end(RunStatus.FAILED)

    def finish(self, training: Training, model: Any) -> None:
        """Log the model, a booster or an estimator, and end the session."""
        if self._options.log_models:
            guarded(self._log, training, model)
        training.session.end()

    def _params(self, call: BoundArguments) -> dict[str, str]:
        whole = BoundArguments(call.signature, call.arguments.copy())
        whole.apply_defaults()
        own = dict(whole.arguments.get("params") or {})
        others = {name: value for name, value in whole.arguments.items() if name not in self.unlogged and name != "params"}
        return {str(name): str(value)[:MAX_PARAM] for name, value in {**own, **others}.items()}

    def _log_dataset(self, data: Any, name: str, context: str) -> None:
        if (dataset := self.dataset(data, name)) is not None:
            log_input(dataset, context=context)

    def _log_best(self, training: Training, booster: Any) -> None:
        """Of a training that could stop early: both iterations, and the best metrics once more, so that they are the last."""
        if (best := self.best_iteration(booster)) is None or not training.history:
            return
        log_metrics({"best_iteration": best, "stopped_iteration": training.iterations - 1 + self.first_iteration})
        if (found := training.history.get(best - self.first_iteration)) is not None:
            training.log(found, training.iterations)

    def _log_importance(self, booster: Any, kind: str) -> None:
        scores = self.importance(booster, kind)
        log_dict(scores, f"feature_importance_{kind}.json")
        if (figure := importance_figure(scores, kind)) is not None:
            log_figure(figure, f"feature_importance_{kind}.png")

    def _log(self, training: Training, model: Any) -> None:
        sample, inferred = training.sample, None
        if self._options.log_model_signatures and sample is not None:
            inferred = guarded(lambda: infer_signature(sample, self._predict(model, sample, None)))
        example = sample if self._options.log_input_examples else None
        self._log_model(model, signature=inferred or False, input_example=example, step=max(training.iterations - 1, 0))

    # -- estimators -------------------------------------------------------------------------------------------------------

    def fits(self) -> FitWatcher:
        """Looks on at the estimators, whose `fit` calls `train`."""
        return FitWatcher(self, self._fits)


class FitWatcher(Watcher):
    """Knows which estimator a training belongs to."""

    def __init__(self, trainings: BoostingWatcher, fits: _Fits) -> None:
        self._trainings, self._fits = trainings, fits

    def begin(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Fit:
        """See `Watcher`."""
        self._fits.open.append(Fit(args[0]))
        return self._fits.open[-1]

    def done(self, begun: Fit, result: Any) -> None:
        """See `Watcher`."""
        self._fits.open.remove(begun)
        if begun.training is not None:
            self._trainings.finish(begun.training, begun.estimator)

    def failed(self, begun: Fit) -> None:
        """See `Watcher`."""
        self._fits.open.remove(begun)
        if begun.training is not None:
            self._trainings.failed(begun.training)


def metric_key(name: str) -> str:
    """The name of a metric as it is logged: `ndcg@5` is `ndcg_at_5`, as in MLflow."""
    return name.replace("@", "_at_")
