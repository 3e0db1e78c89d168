"""Regressors: how far predictions are from what was measured."""

from __future__ import annotations

from typing import Any

from runlore.evaluation.findings import Findings


def evaluate_regressor(targets: Any, predicted: Any, weights: Any) -> Findings:
    """Errors of predictions. As in MLflow, the sum of the target is weighted and its mean is that sum over the rows."""
    import numpy as np
    from sklearn import metrics

    total = np.sum(targets) if weights is None else np.sum(np.asarray(targets) * np.asarray(weights))
    error = metrics.mean_squared_error(targets, predicted, sample_weight=weights)
    return Findings(
        {
            "example_count": len(targets),
            "mean_absolute_error": metrics.mean_absolute_error(targets, predicted, sample_weight=weights),
            "mean_squared_error": error,
            "root_mean_squared_error": float(np.sqrt(error)),
            "sum_on_target": total,
            "mean_on_target": total / len(targets),
            "r2_score": metrics.r2_score(targets, predicted, sample_weight=weights),
            "max_error": metrics.max_error(targets, predicted),
            "mean_absolute_percentage_error": metrics.mean_absolute_percentage_error(targets, predicted, sample_weight=weights),
        }
    )
