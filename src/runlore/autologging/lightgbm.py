"""LightGBM's `train` and its estimators. Names of params and metrics are those of MLflow."""

from __future__ import annotations

import inspect
from typing import Any

from runlore.autologging.boosting import BoostingWatcher, LogModel, Predict, Training
from runlore.autologging.inputs import Origins, described
from runlore.autologging.patch import patch
from runlore.autologging.session import Options
from runlore.data import Dataset

BEFORE_STOPPING = 15
"""LightGBM's callbacks run in the order of such numbers; early stopping has 30 and ends the iteration."""
_origins = Origins()


class LightgbmWatcher(BoostingWatcher):
    """Looks on at `lightgbm.train`."""

    library = "lightgbm"
    first_iteration = 1
    unlogged = frozenset(
        {"train_set", "valid_sets", "valid_names", "feval", "fobj", "init_model", "learning_rates", "callbacks"}
    )

    def datasets(self, given: dict[str, Any]) -> list[tuple[str, Any]]:
        """See `BoostingWatcher`."""
        sets, names = given.get("valid_sets") or [], given.get("valid_names") or []
        sets = list(sets) if isinstance(sets, list | tuple) else [sets]
        names = [names] if isinstance(names, str) else list(names)
        names += [f"valid_{position}" for position in range(len(names), len(sets))]
        return [("dataset", given["train_set"]), *zip(names, sets, strict=False)]

    def sample(self, data: Any) -> Any:
        """Of what a data set was made of; LightGBM lets go of that when a training begins, so a second one finds it here."""
        _origins.remember(data, data.data)
        return _origins.sample(data)

    def dataset(self, data: Any, name: str) -> Dataset | None:
        """See `BoostingWatcher`."""
        return described(_origins.of(data) if data.data is None else data.data, data.label, name)

    def callbacks(self, training: Training, given: list[Any]) -> list[Any]:
        """See `BoostingWatcher`."""

        def metrics(env: Any) -> None:
            training.log({f"{found[0]}-{found[1]}": found[2] for found in env.evaluation_result_list or []}, env.iteration)

        metrics.order = BEFORE_STOPPING  # type: ignore[attr-defined]  # an attribute that LightGBM asks for
        return [*given, metrics]

    def best_iteration(self, booster: Any) -> int | None:
        """See `BoostingWatcher`."""
        return int(booster.best_iteration) if booster.best_iteration > 0 else None

    def importance(self, booster: Any, kind: str) -> dict[str, Any]:
        """See `BoostingWatcher`."""
        return dict(zip(booster.feature_name(), booster.feature_importance(importance_type=kind).tolist(), strict=True))


def watch_lightgbm(options: Options, log_model: LogModel, predict: Predict) -> None:
    """Look on at `lightgbm.train`, wherever LightGBM keeps that name, and at the fits of its estimators."""
    import lightgbm

    watcher = LightgbmWatcher(options, log_model, predict, ["gain", "split"])
    for module in (lightgbm, lightgbm.engine, getattr(lightgbm, "sklearn", None)):
        if module is not None and inspect.isfunction(vars(module).get("train")):
            patch(module, "train", watcher)
    for estimator in vars(lightgbm.sklearn).values():
        if inspect.isclass(estimator) and issubclass(estimator, lightgbm.LGBMModel) and "fit" in vars(estimator):
            patch(estimator, "fit", watcher.fits(), through=True)
