"""Is a model good enough, and better than the one before? Thresholds of metrics, checked on results of evaluations."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

from runlore.evaluation.result import EvaluationResult
from runlore.exceptions import InvalidParameter, RunloreError

_log = logging.getLogger("runlore")


class ModelValidationFailedException(RunloreError):
    """A model is not as good as was asked for. The message names every metric that falls short."""

    error_code = "BAD_REQUEST"
    status = 400


class MetricThresholdClassException(InvalidParameter):
    """A threshold that says nothing, or something that no metric could fulfil."""


class MetricThreshold:
    """What a metric has to reach.

    `threshold` is a bound of the value itself. The two others compare with a baseline: the value has to be better by at least
    `min_absolute_change`, and by at least `min_relative_change` of the baseline's (0.05 means 5 %). `greater_is_better` says
    which way better is, and has to be given.
    """

    def __init__(
        self,
        threshold: float | None = None,
        min_absolute_change: float | None = None,
        min_relative_change: float | None = None,
        greater_is_better: bool | None = None,
    ) -> None:
        if problem := _problem(threshold, min_absolute_change, min_relative_change, greater_is_better):
            raise MetricThresholdClassException(f"Not a MetricThreshold: {problem}.")
        self._threshold = threshold
        self._min_absolute_change = min_absolute_change
        self._min_relative_change = min_relative_change
        self._greater_is_better = bool(greater_is_better)

    @property
    def threshold(self) -> float | None:
        """The bound of the value itself."""
        return self._threshold

    @property
    def min_absolute_change(self) -> float | None:
        """By how much the value has to be better than the baseline's."""
        return self._min_absolute_change

    @property
    def min_relative_change(self) -> float | None:
        """By which part of the baseline's value it has to be better."""
        return self._min_relative_change

    @property
    def greater_is_better(self) -> bool:
        """True when a greater value is a better one."""
        return self._greater_is_better

    def __str__(self) -> str:
        said = {
            "threshold": self._threshold,
            "min_absolute_change": self._min_absolute_change,
            "min_relative_change": self._min_relative_change,
            "greater_is_better": self._greater_is_better,
        }
        return f"MetricThreshold({', '.join(f'{name}={value}' for name, value in said.items() if value is not None)})"


def _problem(threshold: Any, absolute: Any, relative: Any, greater: Any) -> str | None:
    if not isinstance(greater, bool):
        return f"greater_is_better must be True or False, got {greater!r}"
    if threshold is None and absolute is None and relative is None:
        return "give threshold, min_absolute_change or min_relative_change"
    if threshold is not None and not _is_number(threshold):
        return f"threshold must be a number, got {threshold!r}"
    if absolute is not None and not (_is_number(absolute) and absolute > 0):
        return f"min_absolute_change must be a number above 0, got {absolute!r}"
    if relative is not None and not (isinstance(relative, float) and 0 < relative < 1):
        return f"min_relative_change must be a float between 0 and 1, got {relative!r}"
    return None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def validate_evaluation_results(
    validation_thresholds: dict[str, MetricThreshold],
    candidate_result: EvaluationResult,
    baseline_result: EvaluationResult | None = None,
) -> None:
    """Raise `ModelValidationFailedException` unless every metric of the candidate reaches its threshold.

    Thresholds are by the names of metrics. Those that speak of a change need a `baseline_result`.
    """
    if not isinstance(validation_thresholds, dict) or not all(
        isinstance(name, str) and isinstance(threshold, MetricThreshold) for name, threshold in validation_thresholds.items()
    ):
        raise InvalidParameter("validation_thresholds must be a dictionary of MetricThresholds by the names of metrics.")
    baseline = baseline_result.metrics if baseline_result is not None else {}
    failures = [
        failure
        for name, threshold in validation_thresholds.items()
        for failure in _failures(name, threshold, candidate_result.metrics, baseline)
    ]
    if failures:
        raise ModelValidationFailedException("The model is not good enough:\n" + "\n".join(failures))


def _failures(name: str, asked: MetricThreshold, candidate: dict[str, Any], baseline: dict[str, Any]) -> Iterator[str]:
    """What a metric fails of its threshold. Values are compared with a tolerance of 1e-9, for what is exactly at a bound."""
    if name not in candidate:
        yield f"{name}: the model's evaluation has no such metric; it has {', '.join(sorted(candidate))}."
        return
    value, sign = candidate[name], 1 if asked.greater_is_better else -1
    if asked.threshold is not None and not _reaches(sign * value, sign * asked.threshold):
        yield f"{name}: {value} does not reach the threshold {asked.threshold}."
    if asked.min_absolute_change is None and asked.min_relative_change is None:
        return
    if name not in baseline:
        yield f"{name}: there is no value of a baseline to compare with; pass a baseline_result that has this metric."
        return
    before = baseline[name]
    gain = sign * (value - before)
    if asked.min_absolute_change is not None and not _reaches(gain, asked.min_absolute_change):
        yield f"{name}: {value} is better than the baseline's {before} by {gain}, less than {asked.min_absolute_change}."
    if asked.min_relative_change is None:
        return
    if before == 0:
        _log.warning("The baseline's %s is 0, of which no part can be taken: any better value is taken as enough.", name)
        if not gain > 0:
            yield f"{name}: {value} is not better than the baseline's 0."
    elif not _reaches(gain / abs(before), asked.min_relative_change):
        yield (
            f"{name}: {value} is better than the baseline's {before} by {gain / abs(before):.2%}, "
            f"less than {asked.min_relative_change:.2%}."
        )


def _reaches(value: float, bound: float) -> bool:
    return value >= bound - 1e-9 * max(1.0, abs(bound))
