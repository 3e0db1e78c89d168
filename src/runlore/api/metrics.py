"""Operations on metrics: append points, read a history back."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, field

from runlore.api.operation import Edit, Key, Millis, ModelId, Operation, PageToken, Route, RunId, Step, View
from runlore.entities import Empty, Entity, Metric


class MetricHistoryReply(Entity):
    """Points in the order they were logged."""

    metrics: list[Metric] = field(default_factory=list)
    next_page_token: str | None = None


class LogMetric(Operation[Empty]):
    """Append one point to a metric of a run. A point that is already there (same key, step, time, value) is kept once."""

    route = Route("POST", "runs/log-metric", needs=Edit("run_id"))
    run_id: RunId
    key: Key
    value: float
    timestamp: Millis
    step: Step = 0
    model_id: ModelId | None = None
    dataset_name: str | None = None
    dataset_digest: str | None = None


class GetMetricHistory(Operation[MetricHistoryReply]):
    """All points of one metric of one run, in pages of at most 25,000."""

    route = Route("GET", "metrics/get-history", needs=View("run_id"))
    run_id: RunId
    metric_key: Key
    max_results: Annotated[int, Meta(ge=1, le=25_000)] = 25_000
    page_token: PageToken = ""


class GetMetricHistoryBulk(Operation[MetricHistoryReply]):
    """The points of one metric of several runs, one run after the other, each in the order they were logged; the first
    `max_results` of them in all."""

    route = Route("GET", "metrics/get-history-bulk", needs=View("run_id"))
    run_id: Annotated[list[RunId], Meta(min_length=1, max_length=100)]
    metric_key: Key
    max_results: Annotated[int, Meta(ge=1, le=25_000)] = 25_000


class GetMetricHistoryBulkInterval(Operation[MetricHistoryReply]):
    """A sample of at most `max_results` points of one metric for each of several runs, with first, last, min and max kept."""

    route = Route("GET", "metrics/get-history-bulk-interval", needs=View("run_ids"))
    run_ids: Annotated[list[RunId], Meta(min_length=1, max_length=100)]
    metric_key: Key
    start_step: Step | None = None
    end_step: Step | None = None
    max_results: Annotated[int, Meta(ge=1, le=2_500)] = 320
