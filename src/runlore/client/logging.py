"""What goes into runs: metrics, params, tags, inputs and outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from runlore.api.metrics import GetMetricHistory, LogMetric
from runlore.api.operation import Operation
from runlore.api.runs import DeleteTag, LogBatch, LogInputs, LogOutputs, LogParam, MetricPoint, SetTag, TagEntry
from runlore.client.base import (
    ClientBase,
    RunOperations,
    in_chunks,
    key_text,
    metric_number,
    now,
    step_number,
    tag_text,
)
from runlore.client.params import param_entry
from runlore.entities import DatasetInput, LoggedModelInput, LoggedModelOutput, Metric, Param, RunTag

METRICS_A_BATCH, PARAMS_A_BATCH, TAGS_A_BATCH = 1_000, 100, 100


class LoggingClient(ClientBase):
    """Metrics, params, tags, inputs and outputs of runs.

    Param values over 100,000 characters (6,000 where the server is MLflow's) and tag values over 8,000 are cut, with a warning.
    `RUNLORE_TRUNCATE_LONG_VALUES` in the environment asks for MLflow's limit of params, 6,000: "true" cuts, "false" refuses.

    Every call returns when the data is in the journal of the process (`runlore.spool`), and raises what is wrong with it as far
    as that can be known here. With `synchronous=True` it waits for the store; with `synchronous=False` it puts an error into
    the `RunOperations` that it returns instead of raising it, and `wait()` waits for the store.
    """

    def log_param(self, run_id: str, key: str, value: Any, synchronous: bool | None = None) -> Any:
        """Write one param and return its value. Another value than the one that is there is refused."""
        entry = param_entry(key, value)
        operation = LogParam(run_id=run_id, key=entry.key, value=entry.value, rest=entry.rest)
        pending = self._log([operation], synchronous)
        return value if pending is None else pending

    def log_metric(
        self,
        run_id: str,
        key: str,
        value: float,
        timestamp: int | None = None,
        step: int | None = None,
        synchronous: bool | None = None,
        dataset_name: str | None = None,
        dataset_digest: str | None = None,
        model_id: str | None = None,
    ) -> RunOperations | None:
        """Append one point to a metric. `timestamp` is in Unix milliseconds, now by default; `step` is 0 by default."""
        if synchronous is None and dataset_name is dataset_digest is model_id is None:
            number = value if type(value) is float else metric_number(key, value)
            at = now() if timestamp is None else step_number(timestamp, "timestamp")
            whole = step if step is None or type(step) is int else step_number(step)
            if self._log_points(run_id, {key: number}, at, whole):
                return None
        operation = LogMetric(
            run_id=run_id,
            key=key_text(key, "metric"),
            value=metric_number(key, value),
            timestamp=now() if timestamp is None else step_number(timestamp, "timestamp"),
            step=step_number(step),
            dataset_name=dataset_name,
            dataset_digest=dataset_digest,
            model_id=model_id,
        )
        return self._log([operation], synchronous)

    def log_metrics(
        self, run_id: str, metrics: Mapping[str, float], step: int | None = None, timestamp: int | None = None
    ) -> None:
        """Append one point to each of several metrics, all with the same step (0 by default) and time (Unix ms, now by
        default): the cheapest way to log many."""
        values = {key: value if type(value) is float else metric_number(key, value) for key, value in metrics.items()}
        at = now() if timestamp is None else step_number(timestamp, "timestamp")
        whole = step if step is None or type(step) is int else step_number(step)
        if not self._log_points(run_id, values, at, whole):
            points = [Metric(key=key, value=value, timestamp=at, step=whole or 0) for key, value in values.items()]
            self.log_batch(run_id, points)

    def log_batch(
        self,
        run_id: str,
        metrics: Sequence[Metric] = (),
        params: Sequence[Param] = (),
        tags: Sequence[RunTag] = (),
        synchronous: bool | None = None,
    ) -> RunOperations | None:
        """Metrics, params and tags at once. Up to 1,000 metrics, 100 params and 100 tags are one transaction."""
        points = in_chunks([_point(metric) for metric in metrics], METRICS_A_BATCH)
        entries = [param_entry(item.key, item.value) for item in params]
        inputs = in_chunks([entry for entry in entries if not entry.rest], PARAMS_A_BATCH)
        inputs += [[entry] for entry in entries if entry.rest]
        marks = in_chunks(
            [TagEntry(key=key_text(item.key, "tag"), value=tag_text(item.key, item.value, cut=True)) for item in tags],
            TAGS_A_BATCH,
        )
        batches: list[Operation[Any]] = []
        while points or inputs or marks:
            batch = LogBatch(run_id=run_id, metrics=_next(points), params=_next(inputs), tags=_next(marks))
            batches.append(batch)
        return self._log(batches, synchronous)

    def set_tag(self, run_id: str, key: str, value: Any, synchronous: bool | None = None) -> RunOperations | None:
        """Set one tag, replacing its value. `mlflow.runName` renames the run."""
        return self._log([SetTag(run_id=run_id, key=key_text(key, "tag"), value=tag_text(key, value, cut=True))], synchronous)

    def delete_tag(self, run_id: str, key: str) -> None:
        """Remove one tag. Raises `NotFound` when there is none of that key."""
        self._log([DeleteTag(run_id=run_id, key=key_text(key, "tag"))], True)

    def get_metric_history(self, run_id: str, key: str) -> list[Metric]:
        """Every point of one metric, in the order of logging."""
        points: list[Metric] = []
        token = ""
        while True:
            reply = self._call(GetMetricHistory(run_id=run_id, metric_key=key, page_token=token))
            points += reply.metrics
            token = reply.next_page_token or ""
            if not token:
                return points

    def log_inputs(
        self,
        run_id: str,
        datasets: Sequence[DatasetInput] | None = None,
        models: Sequence[LoggedModelInput] | None = None,
    ) -> None:
        """Say which datasets and logged models a run read."""
        self._log([LogInputs(run_id=run_id, datasets=list(datasets or ()), models=list(models or ()))], None)

    def log_outputs(self, run_id: str, models: list[LoggedModelOutput]) -> None:
        """Say which logged models a run produced."""
        self._log([LogOutputs(run_id=run_id, models=list(models))], None)


def _point(metric: Metric) -> MetricPoint:
    return MetricPoint(
        key=key_text(metric.key, "metric"),
        value=metric_number(metric.key, metric.value),
        timestamp=step_number(metric.timestamp, "timestamp"),
        step=step_number(metric.step),
        dataset_name=metric.dataset_name,
        dataset_digest=metric.dataset_digest,
        model_id=metric.model_id,
    )


def _next(chunks: list[list[Any]]) -> list[Any]:
    return chunks.pop(0) if chunks else []
