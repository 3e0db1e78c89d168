"""Curves of classifiers, drawn without `pyplot`, so that a script's own figures and back end stay as they are."""

from __future__ import annotations

import warnings
from typing import Any

_SIZE, _RESOLUTION = (6.0, 4.5), 144
_MAX_WRITTEN = 20
"""A confusion matrix of more classes has no numbers in its cells."""

Curves = dict[str, tuple[Any, Any]]
"""By class: which rows are of it, and how sure the model is of that."""


def roc(curves: Curves, weights: Any) -> Any:
    """True positives against false positives, and the area below."""
    from sklearn.metrics import auc, roc_curve

    figure, axes = _axes("False positive rate", "True positive rate", "ROC curve")
    if axes is None:
        return None
    for name, (actual, score) in curves.items():
        if _has_both(actual):
            wrong, right, _ = roc_curve(actual, score, sample_weight=weights)
            axes.plot(wrong, right, label=f"{name} (AUC = {auc(wrong, right):.3f})")
    axes.plot([0, 1], [0, 1], linestyle="--", color="grey", linewidth=1, label="chance")
    return _finished(figure, axes)


def precision_recall(curves: Curves, weights: Any) -> Any:
    """Precision against recall, and the area below."""
    from sklearn.metrics import average_precision_score, precision_recall_curve

    figure, axes = _axes("Recall", "Precision", "Precision and recall")
    if axes is None:
        return None
    for name, (actual, score) in curves.items():
        if _has_both(actual):
            precision, recall, _ = precision_recall_curve(actual, score, sample_weight=weights)
            area = average_precision_score(actual, score, sample_weight=weights)
            axes.plot(recall, precision, drawstyle="steps-post", label=f"{name} (AP = {area:.3f})")
    return _finished(figure, axes)


def lift(actual: Any, score: Any, positive: str, negative: str) -> Any:
    """How many times more often than by chance the surest part of the rows is of each class."""
    import numpy as np

    figure, axes = _axes("Part of the rows, the surest first", "Lift", "Lift curve")
    if axes is None:
        return None
    part = np.arange(1, len(actual) + 1) / len(actual)
    for name, hits, sure in ((positive, actual, score), (negative, ~actual, -score)):
        if hits.any():
            found = np.cumsum(hits[np.argsort(-sure, kind="stable")]) / hits.sum()
            axes.plot(part, found / part, label=name)
    axes.axhline(1, linestyle="--", color="grey", linewidth=1, label="chance")
    return _finished(figure, axes)


def calibration(curves: Curves) -> Any:
    """How often it was so, against how sure the model was, in ten steps."""
    from sklearn.calibration import calibration_curve

    figure, axes = _axes("Predicted probability", "Part of the rows that are of the class", "Calibration")
    if axes is None:
        return None
    for name, (actual, score) in curves.items():
        if _has_both(actual):
            happened, said = calibration_curve(actual, score, n_bins=10)
            axes.plot(said, happened, marker="o", markersize=4, label=name)
    axes.plot([0, 1], [0, 1], linestyle="--", color="grey", linewidth=1, label="perfect")
    return _finished(figure, axes)


def confusion(targets: Any, predicted: Any, labels: list[Any], weights: Any) -> Any:
    """Which class is taken for which, as parts of the rows of the true one."""
    import numpy as np
    from sklearn.metrics import confusion_matrix

    figure, axes = _axes("Predicted", "True", "Confusion matrix, by true class")
    if axes is None:
        return None
    matrix = confusion_matrix(targets, predicted, labels=labels, normalize="true", sample_weight=weights)
    image = axes.imshow(matrix, cmap="Blues", vmin=0, vmax=1)
    places, names = np.arange(len(labels)), [str(label) for label in labels]
    axes.set_xticks(places, names, rotation=90 if len(labels) > _MAX_WRITTEN / 2 else 0)
    axes.set_yticks(places, names)
    axes.grid(False)
    for row, column in np.ndindex(matrix.shape) if len(labels) <= _MAX_WRITTEN else ():
        value = matrix[row, column]
        axes.text(column, row, f"{value:.2f}", ha="center", va="center", color="white" if value > 0.5 else "black")
    figure.colorbar(image, ax=axes)
    figure.tight_layout()
    return figure


def _has_both(actual: Any) -> bool:
    return bool(actual.any()) and not bool(actual.all())


def _axes(x: str, y: str, title: str) -> tuple[Any, Any]:
    """A figure and its axes; two None, with a warning, where matplotlib is not installed."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        warnings.warn("No plots of the evaluation: matplotlib is not installed. hint: pip install matplotlib", stacklevel=4)
        return None, None
    figure = Figure(figsize=_SIZE, dpi=_RESOLUTION)
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.set(xlabel=x, ylabel=y, title=title)
    axes.grid(alpha=0.3)
    return figure, axes


def _finished(figure: Any, axes: Any) -> Any:
    axes.legend(loc="best", fontsize=8, ncols=1 if len(axes.lines) < 8 else 2)
    figure.tight_layout()
    return figure
