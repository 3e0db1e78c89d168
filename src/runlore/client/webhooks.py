"""Webhooks on the registry, under MLflow's names, and alerts on runs, which are Runlore's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from runlore.api.operation import Operation
from runlore.api.webhooks import (
    CreateAlert,
    CreateWebhook,
    DeleteWebhook,
    FindWebhooks,
    GetWebhook,
    ListDeliveries,
    ListWebhooks,
    TestWebhook,
    UpdateWebhook,
)
from runlore.client.base import ClientBase, PagedList
from runlore.entities import Webhook, WebhookDelivery, WebhookEvent, WebhookState, WebhookStatus, WebhookTestResult
from runlore.entities.webhook import WebhookEventEntry
from runlore.exceptions import InvalidParameter, NotFound

Reply = TypeVar("Reply")


class WebhooksClient(ClientBase):
    """Webhooks and alerts. A server sends them: one that runs on the store, or is started on it later."""

    def create_webhook(
        self,
        name: str,
        url: str,
        events: list[str | WebhookEvent],
        description: str | None = None,
        secret: str | None = None,
        status: str | WebhookStatus | None = None,
    ) -> Webhook:
        """Tell a URL of events in the registry, such as `model_version.created`. With a `secret`, messages are signed."""
        operation = CreateWebhook(
            name=name, url=url, events=_entries(events), description=description or "", secret=secret or "",
            status=_status(status) or WebhookStatus.ACTIVE,
        )  # fmt: skip
        return self._register(operation).webhook

    def get_webhook(self, webhook_id: str) -> Webhook:
        """One webhook. Raises `NotFound`."""
        return self._register(GetWebhook(webhook_id=webhook_id)).webhook

    def list_webhooks(self, max_results: int | None = None, page_token: str | None = None) -> PagedList[Webhook]:
        """One page of the webhooks on the registry, made last first. `find_webhooks` has alerts, too."""
        reply = self._register(ListWebhooks(max_results=max_results or 0, page_token=page_token or ""))
        return PagedList(reply.webhooks, reply.next_page_token)

    def update_webhook(
        self,
        webhook_id: str,
        name: str | None = None,
        description: str | None = None,
        url: str | None = None,
        events: list[str | WebhookEvent] | None = None,
        secret: str | None = None,
        status: str | WebhookStatus | None = None,
    ) -> Webhook:
        """Change what is given of a webhook or an alert; an empty secret removes the secret."""
        operation = UpdateWebhook(
            webhook_id=webhook_id, name=name, description=description, url=url, events=_entries(events or []), secret=secret,
            status=_status(status),
        )  # fmt: skip
        return self._either(operation).webhook

    def delete_webhook(self, webhook_id: str) -> None:
        """Delete a webhook or an alert, and what waits to be sent to it. Raises `NotFound`."""
        self._either(DeleteWebhook(webhook_id=webhook_id))

    def test_webhook(self, webhook_id: str, event: str | WebhookEvent | None = None) -> WebhookTestResult:
        """Send a message with made-up content now and say how it went. Raises `InvalidState` where no server is asked."""
        entries = _entries([] if event is None else [event])
        return self._either(TestWebhook(webhook_id=webhook_id, event=entries[0] if entries else None)).result

    def create_alert(
        self,
        name: str,
        url: str,
        events: Sequence[str],
        experiment_ids: Sequence[str | int] | None = None,
        description: str | None = None,
        secret: str | None = None,
    ) -> WebhookState:
        """Tell a URL when runs end, are lost, or a metric goes beyond a bound.

        `events` are `run.finished`, `run.failed`, `run.killed`, `run.lost`, bounds such as `metrics.loss > 10` (with <, <=, >,
        >=) and `metrics.loss is nan`. Runs of `experiment_ids` count; without them, all.
        """
        operation = CreateAlert(
            name=name, url=url, events=list(events), experiment_ids=[str(each) for each in experiment_ids or ()],
            description=description or "", secret=secret or "",
        )  # fmt: skip
        return self._call(operation).webhook

    def find_webhooks(self) -> list[WebhookState]:
        """All webhooks and alerts, and how they fare, made last first."""
        found = self._call(FindWebhooks()).webhooks
        return found if self._is_one_store() else [*self._register(FindWebhooks()).webhooks, *found]

    def list_deliveries(self, webhook_id: str, max_results: int = 100) -> list[WebhookDelivery]:
        """Messages to a webhook or an alert, the newest first. Raises `NotFound`."""
        return self._either(ListDeliveries(webhook_id=webhook_id, max_results=max_results)).deliveries

    def _is_one_store(self) -> bool:
        return self._registry_uri == self._tracking_uri

    def _either(self, operation: Operation[Reply]) -> Reply:
        """Webhooks are in the store of registered models, alerts in that of runs; usually it is one."""
        try:
            return self._register(operation)
        except NotFound:
            if self._is_one_store():
                raise
            return self._call(operation)


def _entries(events: Sequence[str | WebhookEvent]) -> list[WebhookEventEntry]:
    return [_entry(event if isinstance(event, WebhookEvent) else WebhookEvent.from_str(event)) for event in events]


def _entry(event: WebhookEvent) -> WebhookEventEntry:
    return WebhookEventEntry(entity=event.entity.name, action=event.action.name)  # type: ignore[arg-type]  # the words' names


def _status(status: str | WebhookStatus | None) -> WebhookStatus | None:
    if status is None or status in set(WebhookStatus):
        return None if status is None else WebhookStatus(status)
    raise InvalidParameter(f"Invalid webhook status {status!r}. Expected {' or '.join(WebhookStatus)}.")
