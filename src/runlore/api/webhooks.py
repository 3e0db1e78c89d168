"""Webhooks: URLs that a server tells of what happens.

Six operations are MLflow's: they know events of the registry. Alerts are Runlore's own: the same messages about runs, that they
end or are lost, and about metrics, that they cross a bound or stop being numbers. A message is written in the transaction of
what it tells, and sent by a server afterwards, at least once.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta, field

from runlore.api.operation import ExperimentId, Manage, Operation, PageToken, Route, View
from runlore.entities import Empty, Entity, Webhook, WebhookDelivery, WebhookState, WebhookStatus, WebhookTestResult
from runlore.entities.webhook import WebhookEventEntry

WebhookId = Annotated[str, Meta(min_length=1, max_length=64)]
WebhookName = Annotated[str, Meta(max_length=500)]
WebhookUrl = Annotated[str, Meta(max_length=2_000)]
WebhookSecret = Annotated[str, Meta(max_length=1_000, description="signs messages; never given out")]
Description = Annotated[str, Meta(max_length=1_000)]
Events = Annotated[list[WebhookEventEntry], Meta(max_length=100)]
AlertEvent = Annotated[str, Meta(min_length=1, max_length=500)]

KEPT_DELIVERIES = 200
"""Messages of a webhook that are remembered when they are through."""


class WebhookReply(Entity):
    """One webhook."""

    webhook: Webhook


class WebhookList(Entity):
    """One page of webhooks."""

    webhooks: list[Webhook] = field(default_factory=list)
    next_page_token: str | None = None


class WebhookTestReply(Entity):
    """How a test went."""

    result: WebhookTestResult


class WebhookStateReply(Entity):
    """One webhook and how it fares."""

    webhook: WebhookState


class WebhookStates(Entity):
    """Webhooks and how they fare, made last first."""

    webhooks: list[WebhookState] = field(default_factory=list)


class WebhookDeliveries(Entity):
    """Messages to one webhook, the newest first."""

    deliveries: list[WebhookDelivery] = field(default_factory=list)


class CreateWebhook(Operation[WebhookReply]):
    """Tell a URL of events in the registry. With a secret, messages are signed with it."""

    route = Route("POST", "webhooks", needs=Manage(kind="webhook"))
    name: WebhookName
    url: WebhookUrl
    events: Events
    description: Description = ""
    secret: WebhookSecret = ""
    status: WebhookStatus = WebhookStatus.ACTIVE


class ListWebhooks(Operation[WebhookList]):
    """Webhooks on events in the registry, made last first. `max_results` 0 means 100."""

    route = Route("GET", "webhooks", needs=View(kind="webhook"))
    max_results: Annotated[int, Meta(ge=0, le=1_000)] = 0
    page_token: PageToken = ""


class GetWebhook(Operation[WebhookReply]):
    """One webhook."""

    route = Route("GET", "webhooks/{webhook_id}", needs=View("webhook_id"))
    webhook_id: WebhookId


class UpdateWebhook(Operation[WebhookReply]):
    """Change what is given of a webhook or an alert. An empty name, URL or list of events changes nothing (MLflow's rule); an
    empty secret removes the secret. Events of alerts can not be changed: make another one."""

    route = Route("PATCH", "webhooks/{webhook_id}", needs=Manage("webhook_id"))
    webhook_id: WebhookId
    name: WebhookName | None = None
    description: Description | None = None
    url: WebhookUrl | None = None
    events: Events = field(default_factory=list)
    secret: WebhookSecret | None = None
    status: WebhookStatus | None = None


class DeleteWebhook(Operation[Empty]):
    """Delete a webhook or an alert, and its messages."""

    route = Route("DELETE", "webhooks/{webhook_id}", needs=Manage("webhook_id"))
    webhook_id: WebhookId


class TestWebhook(Operation[WebhookTestReply]):
    """Send a message with made-up content now, once, and say how it went. Needs a server."""

    __test__: ClassVar[bool] = False  # for pytest: no class of tests
    route = Route("POST", "webhooks/{webhook_id}/test", needs=Manage("webhook_id"))
    webhook_id: WebhookId
    event: WebhookEventEntry | None = None


class CreateAlert(Operation[WebhookStateReply]):
    """Tell a URL of events of runs: `run.finished`, `run.failed`, `run.killed`, `run.lost`, a bound of a metric such as
    `metrics.loss > 10`, or `metrics.loss is nan` (infinities count). Bounds use <, <=, > or >=.

    A bound is told once for each run: of the first delivery of points that goes beyond it. Without experiments, runs of all of
    them count.
    """

    route = Route("POST", "alerts", needs=Manage(kind="webhook"), base="v1")
    name: WebhookName
    url: WebhookUrl
    events: Annotated[list[AlertEvent], Meta(min_length=1, max_length=100)]
    experiment_ids: Annotated[list[ExperimentId], Meta(max_length=1_000)] = field(default_factory=list)
    description: Description = ""
    secret: WebhookSecret = ""


class FindWebhooks(Operation[WebhookStates]):
    """All webhooks, alerts too, and how they fare."""

    route = Route("GET", "webhooks", needs=View(kind="webhook"), base="v1")


class ListDeliveries(Operation[WebhookDeliveries]):
    """Messages to one webhook, the newest first. Of those that are through, the last 200 are remembered."""

    route = Route("GET", "webhooks/{webhook_id}/deliveries", needs=View("webhook_id"), base="v1")
    webhook_id: WebhookId
    max_results: Annotated[int, Meta(ge=1, le=1_000)] = 100
