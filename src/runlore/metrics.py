"""Metrics for `evaluate(extra_metrics=[…])`: what `make_metric` makes of a function, and the ones of scikit-learn by name."""

from __future__ import annotations

from typing import Any

from runlore.evaluation.metrics import EvaluationMetric, MetricValue, make_metric

__all__ = [
    "EvaluationMetric", "MetricValue", "f1_score", "mae", "make_metric", "mape", "max_error", "mse", "precision_score",
    "r2_score", "recall_score", "rmse",
]  # fmt: skip


def mae() -> EvaluationMetric:
    """The mean absolute error."""
    return _metric("mean_absolute_error", greater_is_better=False)


def mse() -> EvaluationMetric:
    """The mean squared error."""
    return _metric("mean_squared_error", greater_is_better=False)


def rmse() -> EvaluationMetric:
    """The square root of the mean squared error."""
    return _metric("root_mean_squared_error", greater_is_better=False)


def r2_score() -> EvaluationMetric:
    """The coefficient of determination."""
    return _metric("r2_score", greater_is_better=True)


def max_error() -> EvaluationMetric:
    """The greatest error."""
    return _metric("max_error", greater_is_better=False)


def mape() -> EvaluationMetric:
    """The mean absolute error as a part of the truth."""
    return _metric("mean_absolute_percentage_error", greater_is_better=False)


def recall_score() -> EvaluationMetric:
    """The part of the positives that is found, of two classes."""
    return _metric("recall_score", greater_is_better=True)


def precision_score() -> EvaluationMetric:
    """The part of what is called positive that is so, of two classes."""
    return _metric("precision_score", greater_is_better=True)


def f1_score() -> EvaluationMetric:
    """The harmonic mean of precision and recall, of two classes."""
    return _metric("f1_score", greater_is_better=True)


def _metric(name: str, greater_is_better: bool) -> EvaluationMetric:
    def measured(predictions: Any, targets: Any) -> MetricValue:
        from sklearn import metrics

        return MetricValue(aggregate_results={name: float(getattr(metrics, name)(targets, predictions))})

    return make_metric(eval_fn=measured, greater_is_better=greater_is_better, name=name)
