"""scikit-learn's estimators: params before a fit; metrics, model and pictures after it. Names are those of MLflow."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import msgspec

from runlore.autologging.patch import Watcher, guarded, patch
from runlore.autologging.session import AUTOLOGGING_TAG, Options, Session
from runlore.autologging.training_metrics import pictures, training_metrics
from runlore.client.base import MAX_PARAM
from runlore.data import Dataset, from_numpy, from_pandas
from runlore.entities import RunStatus
from runlore.fluent.artifacts import log_figure, log_text
from runlore.fluent.logging import log_input, log_metrics, log_params
from runlore.fluent.runs import end_run, start_run
from runlore.models.signature import infer_signature

LIBRARY = "sklearn"
METHODS = ("fit", "fit_transform", "fit_predict")
SAMPLE = 5
"""Rows from which signature and input example are taken."""
_HELPERS = (
    "sklearn.preprocessing", "sklearn.impute", "sklearn.feature_extraction", "sklearn.feature_selection",
    "sklearn.compose._column",
)  # fmt: skip
"""Modules whose estimators prepare data and are no training by themselves."""

LogModel = Callable[..., Any]


class Training(msgspec.Struct):
    """One call of a fit."""

    session: Session
    estimator: Any
    data: dict[str, Any]
    """`X`, `y` and `sample_weight`, each as it was given or None."""


class FitWatcher(Watcher):
    """Looks on at the fits of estimators."""

    def __init__(self, options: Options, log_model: LogModel, max_tuning_runs: int | None, pos_label: Any) -> None:
        self._options, self._log_model = options, log_model
        self._max_tuning_runs, self._pos_label = max_tuning_runs, pos_label

    def begin(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Training | None:
        """Params, tags and the dataset. See `Watcher`."""
        estimator = args[0]
        if type(estimator).__module__.startswith(_HELPERS) or not Session.wanted(self._options):
            return None
        bound = inspect.signature(function).bind(*args, **kwargs).arguments
        given = {**bound.get("fit_params", {}), **bound.get("params", {}), **bound.get("kwargs", {}), **bound}
        data = {"X": given.get("X"), "y": given.get("y", given.get("Y")), "sample_weight": given.get("sample_weight")}
        kind = type(estimator)
        tags = {"estimator_name": kind.__name__, "estimator_class": f"{kind.__module__}.{kind.__name__}"}
        training = Training(Session(LIBRARY, self._options, tags), estimator, data)
        guarded(log_params, _params(estimator, deep=not _is_search(estimator)))
        if self._options.log_datasets:
            guarded(_log_dataset, data)
        return training

    def done(self, begun: Training, result: Any) -> None:
        """Metrics, model, pictures, and a run for each candidate of a search. See `Watcher`."""
        estimator, data = begun.estimator, begun.data
        if data["y"] is not None:
            guarded(lambda: log_metrics(training_metrics(estimator, pos_label=self._pos_label, **data)))
            for name, figure in guarded(lambda: pictures(estimator, data["X"], data["y"])) or []:
                guarded(log_figure, figure, name)
        guarded(_log_html, estimator)
        if self._options.log_models:
            guarded(self._log, estimator, data["X"], "model")
        if _is_search(estimator):
            guarded(self._log_search, begun)
        begun.session.end()

    def failed(self, begun: Training) -> None:
        """See `Watcher`."""
        begun.session.end(RunStatus.FAILED)

    def _log(self, estimator: Any, features: Any, name: str) -> None:
        sample = None if features is None else features[:SAMPLE]
        signature = None
        if self._options.log_model_signatures and sample is not None and hasattr(estimator, "predict"):
            signature = guarded(lambda: infer_signature(sample, estimator.predict(sample)))
        example = sample if self._options.log_input_examples else None
        self._log_model(estimator, name=name, signature=signature, input_example=example)

    def _log_search(self, training: Training) -> None:
        """What a search found: its best candidate, all of them as a table, and runs of the first of them."""
        search = training.estimator
        if hasattr(search, "best_params_"):
            log_params({f"best_{key}": _text(value) for key, value in search.best_params_.items()})
        if hasattr(search, "best_score_"):
            log_metrics({"best_cv_score": float(search.best_score_)})
        if self._options.log_models and hasattr(search, "best_estimator_"):
            guarded(self._log, search.best_estimator_, training.data["X"], "best_estimator")
        results: dict[str, Any] = search.cv_results_
        names = [name for name in results if name != "params"]
        rows = [",".join(_csv(results[name][at]) for name in names) for at in range(len(results["params"]))]
        log_text("\n".join([",".join(map(_csv, names)), *rows]) + "\n", "cv_results.csv")
        ranked = next((name for name in ("rank_test_score", *names) if name.startswith("rank_test_")), None)
        order = sorted(range(len(rows)), key=lambda at: results[ranked][at] if ranked else at)
        for at in order[: self._max_tuning_runs]:
            self._log_candidate(training, at)

    def _log_candidate(self, training: Training, at: int) -> None:
        results, base = training.estimator.cv_results_, training.estimator.estimator
        kind = type(base)
        tags = {"estimator_name": kind.__name__, "estimator_class": f"{kind.__module__}.{kind.__name__}"}
        start_run(nested=True, tags={AUTOLOGGING_TAG: LIBRARY, **tags, **(self._options.extra_tags or {})})
        try:
            chosen = {key: _text(value) for key, value in results["params"][at].items()}
            log_params({**_params(base, deep=True), **chosen})
            measures = [name for name in results if name.startswith(("mean_", "std_", "rank_"))]
            log_metrics({name: float(results[name][at]) for name in measures})
            if self._options.log_datasets:
                guarded(_log_dataset, training.data)
        finally:
            end_run()


def watch_estimators(watcher: FitWatcher) -> None:
    """Look on at the fits of all estimators that scikit-learn has; classes derived from them are included."""
    from sklearn.utils import all_estimators

    owners = {
        (owner, name)
        for _, estimator in all_estimators()
        for name in METHODS
        for owner in estimator.__mro__
        if owner.__module__.startswith("sklearn.") and inspect.isfunction(vars(owner).get(name))
    }
    for owner, name in owners:
        patch(owner, name, watcher)


def _is_search(estimator: Any) -> bool:
    from sklearn.model_selection._search import BaseSearchCV

    return isinstance(estimator, BaseSearchCV)


def _params(estimator: Any, deep: bool) -> dict[str, str]:
    return {key: _text(value) for key, value in estimator.get_params(deep=deep).items()}


def _text(value: Any) -> str:
    """A value as a param; one that is too long is cut here, since nobody chose to log it."""
    return str(value)[:MAX_PARAM]


def _csv(value: Any) -> str:
    text = str(value)
    return '"' + text.replace('"', '""') + '"' if any(letter in text for letter in ',"\n') else text


def _log_dataset(data: dict[str, Any]) -> None:
    """The training data, where it is of a kind that has a digest."""
    features, targets = data["X"], data["y"]
    dataset: Dataset | None = None
    if hasattr(features, "iloc") and hasattr(features, "dtypes"):
        dataset = from_pandas(features)
    elif hasattr(features, "__array_interface__"):
        dataset = from_numpy(features, targets=targets if hasattr(targets, "__array_interface__") else None)
    if dataset is not None:
        log_input(dataset, context="train")


def _log_html(estimator: Any) -> None:
    from sklearn.utils import estimator_html_repr

    log_text(estimator_html_repr(estimator), "estimator.html")
