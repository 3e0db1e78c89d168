"""Which features a prediction comes from, by SHAP, where that library is installed."""

from __future__ import annotations

import logging
from typing import Any

from runlore.evaluation.models import Candidate, split_answer

_log = logging.getLogger("runlore")
_ROWS = 2000
"""Rows that are explained, at most, unless `explainability_nsamples` says another number."""
_BACKGROUND = 100


def explain(candidate: Candidate, features: Any, config: dict[str, Any]) -> dict[str, Any]:
    """Figures by name: how much each feature moves predictions. Empty, with a note in the log, without the library."""
    try:
        import matplotlib  # noqa: F401
        import shap
    except ImportError:
        _log.info("No explanations of the model: shap is not installed. hint: pip install shap")
        return {}
    if not all(kind.kind in "iufb" for kind in features.dtypes):
        _log.warning("No explanations of the model: shap needs features that are numbers.")
        return {}
    rows = int(config.get("explainability_nsamples") or _ROWS)
    sample = features.sample(n=min(rows, len(features)), replace=False, random_state=0)
    algorithm = config.get("explainability_algorithm")
    explainer = _explainer(shap, candidate, sample, algorithm, config)
    try:
        values = explainer(sample)
    except shap.utils._exceptions.ExplainerError:  # a fast way that does not add up to what the model answers
        values = _black_box(shap, candidate, sample)(sample)
    if len(values.shape) == 3:  # one more axis for the classes: the last one is explained
        values = values[:, :, -1]
    return {
        "shap_beeswarm_plot": _figure(lambda: shap.plots.beeswarm(values, show=False)),
        "shap_summary_plot": _figure(lambda: shap.summary_plot(values, features=sample, show=False)),
        "shap_feature_importance_plot": _figure(lambda: shap.plots.bar(values, show=False)),
    }


def _explainer(shap: Any, candidate: Candidate, sample: Any, algorithm: str | None, config: dict[str, Any]) -> Any:
    """shap's explainer for an estimator it knows, else one that asks the model as a black box."""
    background = sample.head(_BACKGROUND)
    predict = _prediction(candidate, sample)
    estimator = candidate.estimator
    if algorithm == "kernel":
        link = config.get("explainability_kernel_link") or "identity"
        return shap.KernelExplainer(predict, background, link=link)
    if algorithm in ("exact", "permutation", "partition", "sampling"):
        return shap.Explainer(predict, background, algorithm=algorithm)
    if estimator is not None:
        try:
            return shap.Explainer(estimator, background, **({"algorithm": algorithm} if algorithm else {}))
        except TypeError:  # shap knows no fast way for this estimator
            pass
    return _black_box(shap, candidate, sample)


def _black_box(shap: Any, candidate: Candidate, sample: Any) -> Any:
    return shap.Explainer(_prediction(candidate, sample), sample.head(_BACKGROUND))


def _prediction(candidate: Candidate, sample: Any) -> Any:
    """The model as a function of an array, which is what shap gives it."""
    import pandas as pd

    def predict(array: Any) -> Any:
        answer, _ = split_answer(candidate.predict(pd.DataFrame(array, columns=sample.columns)), None)
        return answer

    return predict


def _figure(draw: Any) -> Any:
    """What a function of shap draws with pyplot, as an image; the user's own figures are left alone."""
    from matplotlib import pyplot

    from runlore.evaluation.artifacts import picture

    before = pyplot.get_fignums()
    figure = pyplot.figure()
    try:
        draw()
        pyplot.gcf().tight_layout()
        return picture(pyplot.gcf())
    finally:
        for number in set(pyplot.get_fignums()) - set(before):
            pyplot.close(number)
        pyplot.close(figure)
