"""Webhooks: who is told of what, and how telling them went."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from msgspec import Struct, field
from msgspec.structs import force_setattr

from runlore.entities.value import Entity
from runlore.exceptions import InvalidParameter


class WebhookStatus(StrEnum):
    """Whether a webhook is told anything. What happens while it is disabled is not told later."""

    ACTIVE = "ACTIVE"
    DISABLED = "DISABLED"

    def is_active(self) -> bool:
        """True for ACTIVE."""
        return self is WebhookStatus.ACTIVE


class WebhookEntity(StrEnum):
    """What something happened to."""

    REGISTERED_MODEL = "registered_model"
    MODEL_VERSION = "model_version"
    MODEL_VERSION_TAG = "model_version_tag"
    MODEL_VERSION_ALIAS = "model_version_alias"


class WebhookAction(StrEnum):
    """What happened to it."""

    CREATED = "created"
    SET = "set"
    DELETED = "deleted"


WEBHOOK_EVENTS: dict[WebhookEntity, tuple[WebhookAction, ...]] = {
    WebhookEntity.REGISTERED_MODEL: (WebhookAction.CREATED,),
    WebhookEntity.MODEL_VERSION: (WebhookAction.CREATED,),
    WebhookEntity.MODEL_VERSION_TAG: (WebhookAction.SET, WebhookAction.DELETED),
    WebhookEntity.MODEL_VERSION_ALIAS: (WebhookAction.CREATED, WebhookAction.DELETED),
}
"""What can happen to what."""


class WebhookEvent(Struct, frozen=True, order=True):
    """Something that happens to registered models: `WebhookEvent("model_version", "created")`.

    Raises `InvalidParameter` for what can not happen. `str()` of it is `model_version.created`.
    """

    entity: WebhookEntity
    action: WebhookAction

    def __post_init__(self) -> None:
        entity, action = str(self.entity), str(self.action)
        if entity not in set(WebhookEntity):
            known = ", ".join(str(each) for each in known_webhook_events())
            raise InvalidParameter(f"Invalid webhook entity {entity!r}. Runlore's registry has the events {known}.")
        force_setattr(self, "entity", WebhookEntity(entity))
        if action not in WEBHOOK_EVENTS[self.entity]:
            known = str([str(each) for each in WEBHOOK_EVENTS[self.entity]])
            raise InvalidParameter(f"Invalid action '{action}' for entity '{entity}'. Valid actions are: {known}")
        force_setattr(self, "action", WebhookAction(action))

    @classmethod
    def from_str(cls, event_str: str) -> WebhookEvent:
        """The event of a text such as `model_version.created`."""
        entity, dot, action = event_str.partition(".")
        if not dot or "." in action:
            raise InvalidParameter(
                f"Invalid event string format: {event_str}. Expected format: 'entity.action' (e.g., 'registered_model.created')"
            )
        return cls(entity, action)  # type: ignore[arg-type]  # texts are what `__post_init__` turns into words

    def __str__(self) -> str:
        return f"{self.entity}.{self.action}"


def known_webhook_events() -> list[WebhookEvent]:
    """Every event of the registry."""
    return [WebhookEvent(entity, action) for entity, actions in WEBHOOK_EVENTS.items() for action in actions]


class WebhookEventEntry(Entity):
    """An event as it travels."""

    entity: Literal["REGISTERED_MODEL", "MODEL_VERSION", "MODEL_VERSION_TAG", "MODEL_VERSION_ALIAS"]
    action: Literal["CREATED", "SET", "DELETED"]

    @property
    def event(self) -> WebhookEvent:
        """The same as a word. Raises `InvalidParameter` for an action that the entity does not know."""
        return WebhookEvent.from_str(f"{self.entity}.{self.action}".lower())


class Webhook(Entity):
    """A URL that is told of events in the registry. Its secret is never given out."""

    webhook_id: str
    name: str
    url: str
    event_list: list[WebhookEventEntry] = field(name="events")
    creation_timestamp: int
    last_updated_timestamp: int
    status: WebhookStatus
    description: str | None = None

    @property
    def events(self) -> list[WebhookEvent]:
        """What it is told of, in alphabetical order."""
        return [entry.event for entry in self.event_list]

    @property
    def secret(self) -> None:
        """None: who has to know the secret knows it already."""
        return None


class WebhookTestResult(Entity):
    """How a test went. `response_body` is always None: what an address answers is not shown to whoever names the address."""

    success: bool
    response_status: int | None = None
    response_body: str | None = None
    error_message: str | None = None


class WebhookDelivery(Entity):
    """One message to one webhook. Times are Unix milliseconds.

    `PENDING`: to be tried, or tried again, at `next_attempt`. `DELIVERED`: answered with a status of success. `FAILED`: given
    up, `error` says why.
    """

    delivery_id: str
    event: str
    status: Literal["PENDING", "DELIVERED", "FAILED"]
    attempts: int
    creation_timestamp: int
    last_attempt: int | None = None
    next_attempt: int | None = None
    response_status: int | None = None
    error: str | None = None


class WebhookState(Entity):
    """A webhook of either kind and how it fares. `events` are words such as `model_version.created`, `run.failed` or
    `metrics.loss > 10`; `experiment_ids` is empty where it is told of runs of all experiments."""

    webhook_id: str
    name: str
    url: str
    events: list[str]
    status: WebhookStatus
    creation_timestamp: int
    last_updated_timestamp: int
    description: str | None = None
    experiment_ids: list[str] = field(default_factory=list)
    has_secret: bool = False
    pending: int = 0
    """Messages that are waiting to be sent."""
    last_delivery: WebhookDelivery | None = None
    """The message that was tried last."""
