"""Classifiers: metrics of two classes or of many, per class, and their curves. The rules, defaults too, are MLflow's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from runlore.evaluation import plots
from runlore.evaluation.findings import Findings
from runlore.exceptions import InvalidParameter


@dataclass(frozen=True)
class ClassifierOptions:
    """What a caller may choose."""

    pos_label: Any = None
    label_list: Any = None
    average: str = "weighted"
    max_classes: int = 10


def evaluate_classifier(targets: Any, predicted: Any, probabilities: Any, weights: Any, options: ClassifierOptions) -> Findings:
    """Findings for predicted labels and, where the model gives them, probabilities (a column for each class, sorted)."""
    import numpy as np

    labels = options.label_list if options.label_list is not None else np.unique(np.concatenate([targets, predicted]))
    labels = sorted(np.unique(np.asarray(labels)).tolist())
    if options.pos_label is not None and options.pos_label not in labels:
        labels = sorted([*labels, options.pos_label])
    if len(labels) < 2:
        raise InvalidParameter(f"A classifier is evaluated on at least two labels, found only {labels}.")
    if len(labels) == 2:
        return _two_classes(targets, predicted, probabilities, weights, labels, options)
    return _many_classes(targets, predicted, probabilities, weights, labels, options)


def _two_classes(
    targets: Any, predicted: Any, probabilities: Any, weights: Any, labels: list[Any], options: ClassifierOptions
) -> Findings:
    from sklearn import metrics as sk

    positive = labels[-1] if options.pos_label is None else options.pos_label
    negative = next(label for label in labels if label != positive)
    of_positive = None if probabilities is None else probabilities[:, labels.index(positive)]
    findings = Findings()
    findings.metrics |= _one_against_rest(targets, predicted, of_positive, weights, positive)
    if of_positive is not None:
        findings.metrics["log_loss"] = sk.log_loss(targets, probabilities, labels=labels, sample_weight=weights)
        actual = targets == positive
        curves = {str(positive): (actual, of_positive)}
        findings.figures["roc_curve_plot"] = plots.roc(curves, weights)
        findings.figures["precision_recall_curve_plot"] = plots.precision_recall(curves, weights)
        findings.figures["lift_curve_plot"] = plots.lift(actual, of_positive, str(positive), str(negative))
        findings.figures["calibration_curve_plot"] = plots.calibration(curves)
    findings.figures["confusion_matrix"] = plots.confusion(targets, predicted, labels, weights)
    return findings


def _many_classes(
    targets: Any, predicted: Any, probabilities: Any, weights: Any, labels: list[Any], options: ClassifierOptions
) -> Findings:
    import pandas as pd
    from sklearn import metrics as sk

    chosen = {"average": options.average, "sample_weight": weights, "zero_division": 0}
    findings = Findings()
    findings.metrics |= {
        "example_count": len(targets),
        "accuracy_score": sk.accuracy_score(targets, predicted, sample_weight=weights),
        "recall_score": sk.recall_score(targets, predicted, **chosen),
        "precision_score": sk.precision_score(targets, predicted, **chosen),
        "f1_score": sk.f1_score(targets, predicted, **chosen),
    }
    few = len(labels) <= options.max_classes
    columns = {} if probabilities is None else {label: probabilities[:, at] for at, label in enumerate(labels)}
    if probabilities is not None:
        findings.metrics["log_loss"] = sk.log_loss(targets, probabilities, labels=labels, sample_weight=weights)
        findings.metrics["roc_auc"] = sk.roc_auc_score(
            targets, probabilities, labels=labels, multi_class="ovr", average=options.average, sample_weight=weights
        )
        curves = {str(label): (targets == label, column) for label, column in columns.items()}
        findings.figures["calibration_curve_plot"] = plots.calibration(curves)
        if few:
            findings.figures["roc_curve_plot"] = plots.roc(curves, weights)
            findings.figures["precision_recall_curve_plot"] = plots.precision_recall(curves, weights)
    rows = [
        {"positive_class": label, **_one_against_rest(targets, predicted, columns.get(label) if few else None, weights, label)}
        for label in labels
    ]
    findings.values["per_class_metrics"] = pd.DataFrame(rows)
    findings.figures["confusion_matrix"] = plots.confusion(targets, predicted, labels, weights)
    return findings


def _one_against_rest(targets: Any, predicted: Any, score: Any, weights: Any, positive: Any) -> dict[str, Any]:
    """The metrics of one class against all others. Counts count rows, whatever these weigh."""
    from sklearn import metrics as sk

    actual, answered = targets == positive, predicted == positive
    (true_negatives, false_positives), (false_negatives, true_positives) = sk.confusion_matrix(
        actual, answered, labels=[False, True]
    )
    chosen = {"sample_weight": weights, "zero_division": 0}
    found = {
        "true_negatives": true_negatives,
        "false_positives": false_positives,
        "false_negatives": false_negatives,
        "true_positives": true_positives,
        "example_count": len(targets),
        "accuracy_score": sk.accuracy_score(actual, answered, sample_weight=weights),
        "recall_score": sk.recall_score(actual, answered, **chosen),
        "precision_score": sk.precision_score(actual, answered, **chosen),
        "f1_score": sk.f1_score(actual, answered, **chosen),
    }
    if score is not None and 0 < actual.sum() < len(actual):
        found["roc_auc"] = sk.roc_auc_score(actual, score, sample_weight=weights)
        found["precision_recall_auc"] = sk.average_precision_score(actual, score, sample_weight=weights)
    return found
