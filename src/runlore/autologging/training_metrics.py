"""How well a fitted estimator knows its own training data: MLflow's metrics, under MLflow's names."""

from __future__ import annotations

from typing import Any

PREFIX = "training_"


def training_metrics(estimator: Any, X: Any, y: Any, sample_weight: Any = None, pos_label: Any = None) -> dict[str, float]:
    """Metrics of a classifier or a regressor on its training data; of others their `score`, where they have one."""
    from sklearn.base import is_classifier, is_regressor

    found: dict[str, float] = {}
    if is_classifier(estimator):
        found = _of_classifier(estimator, X, y, sample_weight, pos_label)
    elif is_regressor(estimator):
        found = _of_regressor(y, estimator.predict(X), sample_weight)
    if hasattr(estimator, "score"):
        weights = {} if sample_weight is None else {"sample_weight": sample_weight}
        found["score"] = float(estimator.score(X, y, **weights))
    return {f"{PREFIX}{name}": value for name, value in found.items()}


def _of_classifier(estimator: Any, X: Any, y: Any, sample_weight: Any, pos_label: Any) -> dict[str, float]:
    from sklearn import metrics

    predicted = estimator.predict(X)
    kind: dict[str, Any] = {"average": "weighted"} if pos_label is None else {"average": "binary", "pos_label": pos_label}
    weighted = {"sample_weight": sample_weight}
    found = {
        "precision_score": metrics.precision_score(y, predicted, zero_division=0, **kind, **weighted),
        "recall_score": metrics.recall_score(y, predicted, zero_division=0, **kind, **weighted),
        "f1_score": metrics.f1_score(y, predicted, zero_division=0, **kind, **weighted),
        "accuracy_score": metrics.accuracy_score(y, predicted, **weighted),
    }
    if hasattr(estimator, "predict_proba"):
        chances = estimator.predict_proba(X)
        found["log_loss"] = metrics.log_loss(y, chances, labels=estimator.classes_, **weighted)
        if chances.shape[1] == 2:
            found["roc_auc"] = metrics.roc_auc_score(y, chances[:, 1], **weighted)
        else:  # of each pair of classes, which takes no weights of samples
            found["roc_auc"] = metrics.roc_auc_score(y, chances, average="weighted", multi_class="ovo")
    return {name: float(value) for name, value in found.items()}


def _of_regressor(y: Any, predicted: Any, sample_weight: Any) -> dict[str, float]:
    from sklearn import metrics

    weighted = {"sample_weight": sample_weight}
    squared = float(metrics.mean_squared_error(y, predicted, **weighted))
    return {
        "mean_squared_error": squared,
        "root_mean_squared_error": squared**0.5,
        "mean_absolute_error": float(metrics.mean_absolute_error(y, predicted, **weighted)),
        "r2_score": float(metrics.r2_score(y, predicted, **weighted)),
    }


def pictures(estimator: Any, X: Any, y: Any) -> list[tuple[str, Any]]:
    """File names and figures of a classifier; none of anything else, and none without matplotlib."""
    from sklearn.base import is_classifier

    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        return []
    if not is_classifier(estimator):
        return []
    from sklearn.metrics import ConfusionMatrixDisplay, PrecisionRecallDisplay, RocCurveDisplay

    kinds = [("training_confusion_matrix.png", ConfusionMatrixDisplay)]
    if len(getattr(estimator, "classes_", ())) == 2:
        kinds += [("training_roc_curve.png", RocCurveDisplay), ("training_precision_recall_curve.png", PrecisionRecallDisplay)]
    drawn = []
    for name, kind in kinds:
        figure = Figure()
        kind.from_estimator(estimator, X, y, ax=figure.subplots())
        drawn.append((name, figure))
    return drawn
