"""Every `fit` of a statsmodels model. Names of params and metrics are those of MLflow."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from inspect import signature
from typing import Any

import msgspec

from runlore.autologging.inputs import described, is_array, is_frame
from runlore.autologging.patch import Watcher, guarded, patch
from runlore.autologging.session import Options, Session
from runlore.client.base import MAX_PARAM
from runlore.entities import RunStatus
from runlore.fluent.artifacts import log_text
from runlore.fluent.logging import log_input, log_metrics, log_params

LIBRARY = "statsmodels"
METRICS = (
    "aic", "bic", "centered_tss", "condition_number", "df_model", "df_resid", "ess", "f_pvalue", "fvalue", "llf", "mse_model",
    "mse_resid", "mse_total", "rsquared", "rsquared_adj", "scale", "ssr", "uncentered_tss",
)  # fmt: skip
"""What results tell of a fit, where they have it."""


class Fitting(msgspec.Struct):
    """One call of a fit."""

    session: Session


class FitWatcher(Watcher):
    """Looks on at the fits of models."""

    def __init__(self, options: Options, log_model: Callable[[Any], Any]) -> None:
        self._options, self._log_model = options, log_model

    def begin(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Fitting | None:
        """Arguments and data. See `Watcher`."""
        if not Session.wanted(self._options):
            return None
        bound = signature(function).bind(*args, **kwargs)
        bound.apply_defaults()
        model, *_ = bound.arguments.values()
        fitting = Fitting(Session(LIBRARY, self._options, {}))
        guarded(lambda: log_params(_params(bound)))
        if self._options.log_datasets:
            guarded(_log_dataset, model)
        return fitting

    def done(self, begun: Fitting, result: Any) -> None:
        """Metrics, summary and model. See `Watcher`."""
        guarded(lambda: log_metrics(dict(_metrics(result))))
        if callable(getattr(result, "summary", None)):
            guarded(lambda: log_text(str(result.summary()), "model_summary.txt"))
        if self._options.log_models and hasattr(result, "save"):
            guarded(self._log_model, result)
        begun.session.end()

    def failed(self, begun: Fitting) -> None:
        """See `Watcher`."""
        begun.session.end(RunStatus.FAILED)


def watch_statsmodels(options: Options, log_model: Callable[[Any], Any]) -> None:
    """Look on at the fits of all models that statsmodels has; classes derived from them are included."""
    import statsmodels.api
    import statsmodels.formula.api
    import statsmodels.tsa.api  # noqa: F401  # all models are known when these have been imported
    from statsmodels.base.model import Model

    watcher = FitWatcher(options, log_model)
    for model in {Model, *_below(Model)}:
        if model.__module__.startswith("statsmodels.") and inspect.isfunction(vars(model).get("fit")):
            patch(model, "fit", watcher)


def _below(kind: type[Any]) -> Iterator[type[Any]]:
    for derived in kind.__subclasses__():
        yield derived
        yield from _below(derived)


def _params(bound: inspect.BoundArguments) -> dict[str, str]:
    """The arguments of a fit. Those that it takes by any name are among them."""
    kinds = bound.signature.parameters
    named: dict[str, Any] = {}
    for position, (name, value) in enumerate(bound.arguments.items()):
        if kinds[name].kind is inspect.Parameter.VAR_KEYWORD:
            named |= value
        elif position > 0:  # the first is the model
            named[name] = value
    return {name: str(value)[:MAX_PARAM] for name, value in named.items()}


def _metrics(results: Any) -> Iterator[tuple[str, float]]:
    for name in METRICS:
        try:
            value: Any = getattr(results, name, None)
        except (NotImplementedError, ValueError, ArithmeticError):  # results that have it by name alone
            continue
        if isinstance(value, int | float) or (hasattr(value, "dtype") and getattr(value, "ndim", 1) == 0):
            yield name, float(value)


def _log_dataset(model: Any) -> None:
    """The table that a formula was given, else the regressors with what they explain."""
    data = model.data
    table = getattr(data, "frame", None)
    table = table if is_frame(table) else getattr(data, "orig_exog", None)
    exog = table if is_frame(table) else getattr(model, "exog", None)
    endog = getattr(model, "endog", None)
    dataset = described(exog if is_frame(exog) or is_array(exog) else endog, endog if exog is not None else None, "dataset")
    if dataset is not None:
        log_input(dataset, context="train")
