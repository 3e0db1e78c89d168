"""Metrics that users bring, and the values that they answer."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from runlore.exceptions import InvalidParameter

_log = logging.getLogger("runlore")
_FAILURES = (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)


@dataclass
class MetricValue:
    """What a metric answers: a score for each row, reasons beside them, and values that sum them up.

    Where scores are numbers and nothing sums them up, `mean`, `variance` (of the population) and `p90` do.
    """

    scores: list[Any] | None = None
    justifications: list[str] | None = None
    aggregate_results: dict[str, float] | None = None

    def __post_init__(self) -> None:
        if self.aggregate_results is None and self.scores and all(_is_number(score) for score in self.scores):
            import numpy as np

            self.aggregate_results = {
                "mean": np.mean(self.scores),
                "variance": np.var(self.scores),
                "p90": np.percentile(self.scores, 90),
            }


class EvaluationMetric:
    """A metric: a function of predictions, targets and columns of the data, with a name. Calling it calls the function."""

    def __init__(
        self,
        eval_fn: Callable[..., Any],
        name: str,
        greater_is_better: bool,
        long_name: str | None = None,
        version: str | None = None,
        metric_details: str | None = None,
        metric_metadata: dict[str, Any] | None = None,
        genai_metric_args: dict[str, Any] | None = None,
    ) -> None:
        self.eval_fn = eval_fn
        self.name = name
        self.greater_is_better = greater_is_better
        self.long_name = long_name or name
        self.version = version
        self.metric_details = metric_details
        self.metric_metadata = metric_metadata
        self.genai_metric_args = genai_metric_args

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.eval_fn(*args, **kwargs)

    def __repr__(self) -> str:
        return f"EvaluationMetric(name={self.name!r}, greater_is_better={self.greater_is_better})"


def make_metric(
    *,
    eval_fn: Callable[..., Any],
    greater_is_better: bool,
    name: str | None = None,
    long_name: str | None = None,
    version: str | None = None,
    metric_details: str | None = None,
    metric_metadata: dict[str, Any] | None = None,
    genai_metric_args: dict[str, Any] | None = None,
) -> EvaluationMetric:
    """A metric for `evaluate(extra_metrics=[…])`.

    `eval_fn` gets by the names of its parameters: `predictions` and `targets` (columns), `metrics` (what was measured before:
    `MetricValue` by name), and any column of the data. It answers a number or a `MetricValue`. A function
    `(eval_df, builtin_metrics)`, or of two parameters with any names but `predictions` first or `targets` second, gets a table
    with the columns `prediction` and `target`, and the built-in values by name.
    """
    if name is None:
        if getattr(eval_fn, "__name__", "<lambda>") == "<lambda>":
            raise InvalidParameter("A metric of a lambda or an object without a name needs a name: make_metric(name=…).")
        name = eval_fn.__name__
    if "/" in name or not name:
        raise InvalidParameter(f"The name of a metric is a word without '/', got {name!r}.")
    return EvaluationMetric(
        eval_fn, name, greater_is_better, long_name, version, metric_details, metric_metadata, genai_metric_args
    )


def _is_old_style(parameters: list[str]) -> bool:
    """MLflow's rule for functions `(eval_df, builtin_metrics)`, whatever they call the two."""
    return len(parameters) == 2 and parameters[0] != "predictions" and parameters[1] != "targets"


@dataclass
class Measured:
    """Everything that a metric may ask for, by the names of its function's parameters."""

    predictions: Any
    targets: Any
    data: Any
    outputs: Any
    """The input table, and further columns that the model answered; either may be None."""
    builtin: dict[str, Any]
    columns: dict[str, Any]
    """Which column (or constant) a parameter means, where it is not that of its own name."""

    def call(self, metric: EvaluationMetric, before: dict[str, MetricValue]) -> MetricValue | None:
        """What a metric answers; None, with a warning, when that is no value. What it raises is told with its name."""
        parameters = inspect.signature(metric.eval_fn).parameters
        try:
            if _is_old_style(list(parameters)):
                answer = metric.eval_fn(self.table(), dict(self.builtin))
            else:
                answer = metric.eval_fn(**self._arguments(metric.name, parameters, before))
        except _FAILURES as error:
            raise InvalidParameter(f"The metric {metric.name!r} failed: {error!r}.") from error
        if _is_number(answer):
            return MetricValue(aggregate_results={metric.name: answer})
        if isinstance(answer, MetricValue):
            return answer
        _log.warning("The metric %r answered %r, which is neither a number nor a MetricValue: not logged.", metric.name, answer)
        return None

    def table(self) -> Any:
        """Predictions and targets as a table."""
        import pandas as pd

        columns = {"prediction": self.predictions, "target": self.targets}
        return pd.DataFrame({name: list(values) for name, values in columns.items() if values is not None})

    def _arguments(self, metric: str, parameters: Any, before: dict[str, MetricValue]) -> dict[str, Any]:
        import pandas as pd

        known: dict[str, Any] = {"metrics": before}
        if self.predictions is not None:
            known["predictions"] = pd.Series(self.predictions, name="prediction")
        if self.targets is not None:
            known["targets"] = pd.Series(self.targets, name="target")
        found, missing = {}, []
        for name, parameter in parameters.items():
            wanted = self.columns.get(name, name)
            if isinstance(wanted, str) and wanted in known:
                found[name] = known[wanted]
            elif not isinstance(wanted, str):
                found[name] = wanted
            elif (column := self._column(wanted)) is not None:
                found[name] = column
            elif parameter.default is parameter.empty and parameter.kind not in (
                parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL,
            ):  # fmt: skip
                missing.append(name)
        if missing:
            there = [*known, *(list(self.data.columns) if self.data is not None else [])]
            raise InvalidParameter(
                f"The metric {metric!r} asks for {missing}; there are {there}. Say which column is meant: "
                'evaluator_config={"col_mapping": {parameter: column}}.'
            )
        return found

    def _column(self, name: str) -> Any:
        return next((table[name] for table in (self.data, self.outputs) if table is not None and name in table), None)


def _is_number(value: Any) -> bool:
    import numpy as np

    return isinstance(value, int | float | np.number) and not isinstance(value, bool)


def names_of(metric: EvaluationMetric, value: MetricValue) -> dict[str, Any]:
    """The values of a metric under the names that they are logged by: `name[/version][/what sums it up]`."""
    base = f"{metric.name}/{metric.version}" if metric.version else metric.name
    return {base if key == metric.name else f"{base}/{key}": item for key, item in (value.aggregate_results or {}).items()}


def columns_of(metric: EvaluationMetric, value: MetricValue) -> dict[str, Any]:
    """Columns of the table of results: a score, and perhaps a reason, for each row."""
    base = f"{metric.name}/{metric.version}" if metric.version else metric.name
    columns = {"score": value.scores, "justification": value.justifications}
    return {f"{base}/{name}": column for name, column in columns.items() if column}
