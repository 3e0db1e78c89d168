"""XGBoost's `train` and its estimators. Names of params and metrics are those of MLflow."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from runlore.autologging.boosting import BoostingWatcher, LogModel, Predict, Training
from runlore.autologging.inputs import Origins, described
from runlore.autologging.patch import Watcher, patch
from runlore.autologging.session import Options
from runlore.data import Dataset, from_numpy
from runlore.data.numpy import arrays_digest

_origins = Origins()


class XgboostWatcher(BoostingWatcher):
    """Looks on at `xgboost.train`."""

    library = "xgboost"
    first_iteration = 0
    unlogged = frozenset({"dtrain", "evals", "obj", "feval", "evals_result", "xgb_model", "callbacks"})

    def datasets(self, given: dict[str, Any]) -> list[tuple[str, Any]]:
        """See `BoostingWatcher`."""
        return [("dataset", given["dtrain"]), *((name, data) for data, name in given.get("evals") or [])]

    def sample(self, data: Any) -> Any:
        """See `BoostingWatcher`."""
        return _origins.sample(data)

    def dataset(self, data: Any, name: str) -> Dataset | None:
        """The table it was made of; else the matrix itself, which is never unfolded in memory."""
        labels = data.get_label()
        if (known := described(_origins.of(data), labels, name)) is not None:
            return known
        import numpy

        rows = data.get_data()
        digest = arrays_digest({"data": rows.data, "indices": rows.indices, "indptr": rows.indptr}, labels)
        return from_numpy(numpy.broadcast_to(rows.dtype.type(0), rows.shape), targets=labels, name=name, digest=digest)

    def callbacks(self, training: Training, given: list[Any]) -> list[Any]:
        """Ours stands first: one that stops the training keeps those behind it from seeing the last iteration."""
        from xgboost.callback import TrainingCallback

        class Metrics(TrainingCallback):  # type: ignore[misc]
            def after_iteration(self, model: Any, epoch: int, evals_log: dict[str, dict[str, list[Any]]]) -> bool:
                named = {f"{data}-{key}": values[-1] for data, each in evals_log.items() for key, values in each.items()}
                training.log(named, epoch)
                return False

        return [Metrics(), *given]

    def best_iteration(self, booster: Any) -> int | None:
        """See `BoostingWatcher`."""
        found = booster.attr("best_iteration")
        return None if found is None else int(found)

    def importance(self, booster: Any, kind: str) -> dict[str, Any]:
        """See `BoostingWatcher`."""
        found: dict[str, Any] = booster.get_score(importance_type=kind)
        return found


class _MatrixWatcher(Watcher):
    """Remembers what a matrix was made of."""

    def begin(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        data = kwargs["data"] if "data" in kwargs else args[1] if len(args) > 1 else None
        _origins.remember(args[0], data)

    def done(self, begun: Any, result: Any) -> None:
        """Nothing is left to do."""

    def failed(self, begun: Any) -> None:
        """Nothing is left to do."""


def watch_xgboost(options: Options, log_model: LogModel, predict: Predict, importance_types: list[str]) -> None:
    """Look on at `xgboost.train`, wherever XGBoost keeps that name, and at the fits of its estimators."""
    import xgboost

    watcher = XgboostWatcher(options, log_model, predict, importance_types)
    for module in (xgboost, xgboost.training, getattr(xgboost, "sklearn", None)):
        if module is not None and inspect.isfunction(vars(module).get("train")):
            patch(module, "train", watcher)
    for matrix in (xgboost.DMatrix, xgboost.QuantileDMatrix):
        patch(matrix, "__init__", _MatrixWatcher(), through=True)
    for estimator in vars(xgboost.sklearn).values():
        if inspect.isclass(estimator) and issubclass(estimator, xgboost.XGBModel) and "fit" in vars(estimator):
            patch(estimator, "fit", watcher.fits(), through=True)
