"""How good a model is: metrics, plots and tables of classifiers, regressors and of what users measure, kept in a run.

scikit-learn does the mathematics. Names of metrics and files are MLflow's, so that runs of both can be compared.
"""

from __future__ import annotations

from runlore.evaluation.artifacts import EvaluationArtifact
from runlore.evaluation.evaluating import evaluate, list_evaluators
from runlore.evaluation.metrics import EvaluationMetric, MetricValue, make_metric
from runlore.evaluation.result import EvaluationResult
from runlore.evaluation.validation import (
    MetricThreshold,
    ModelValidationFailedException,
    validate_evaluation_results,
)

__all__ = [
    "EvaluationArtifact", "EvaluationMetric", "EvaluationResult", "MetricThreshold", "MetricValue",
    "ModelValidationFailedException", "evaluate", "list_evaluators", "make_metric", "validate_evaluation_results",
]  # fmt: skip
