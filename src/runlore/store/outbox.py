"""What a server asks of its own store to send webhooks: which messages are due, and how sending went.

These operations have no route: nobody can ask for them from outside. Their answers hold secrets.
"""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct, field

from runlore.api.operation import Operation
from runlore.entities import Empty

LEASE_MILLIS = 60_000
"""A message that was taken is nobody else's for so long; when nothing was heard of it by then, it is sent again."""
PER_WEBHOOK = 4
"""Messages to one webhook that are on their way at once, for each server process."""
ATTEMPTS = 12
"""Then a message is given up: after some two hours and a half."""
FIRST_PAUSE_MILLIS, LONGEST_PAUSE_MILLIS = 5_000, 3_600_000
"""Between attempts: doubled each time."""

WebhookKind = Literal["registry", "alert"]


class Outlook(Struct, frozen=True):
    """When the next message is due (Unix ms; None: none waits), whether somebody waits for lost runs, and whether there are
    any that were not told yet."""

    due: int | None
    watches_lost: bool
    lost: bool


class Target(Struct, frozen=True):
    """Where messages of a webhook go."""

    webhook_id: str
    kind: WebhookKind
    url: str
    secret: str | None
    events: list[str]


class Message(Struct, frozen=True):
    """One attempt to send one message."""

    delivery_id: str
    attempt: int
    target: Target
    body: str


class Messages(Struct, frozen=True):
    """What to send now."""

    messages: list[Message]


class GetOutlook(Operation[Outlook]):
    """A few look-ups where nothing waits."""

    @classmethod
    def writes(cls) -> bool:
        """It reads."""
        return False


class GetTarget(Operation[Target]):
    """Where a webhook is. Raises `NotFound`."""

    webhook_id: str

    @classmethod
    def writes(cls) -> bool:
        """It reads."""
        return False


class TakeMessages(Operation[Messages]):
    """Up to so many messages that are due, none of webhooks in `busy`. Each counts as an attempt."""

    limit: int
    busy: list[str] = field(default_factory=list)

    @classmethod
    def writes(cls) -> bool:
        """It takes a lease."""
        return True


class SettleMessage(Operation[Empty]):
    """How an attempt went: answered with a status, or an error without one. `final` says that trying again is no use,
    `pause_millis` how long the receiver asked to be left alone."""

    delivery_id: str
    attempt: int
    response_status: int | None = None
    error: str | None = None
    final: bool = False
    pause_millis: int = 0

    @classmethod
    def writes(cls) -> bool:
        """It writes."""
        return True


class TellOfLostRuns(Operation[Empty]):
    """Write the messages about runs that were not heard of for too long."""

    @classmethod
    def writes(cls) -> bool:
        """It writes."""
        return True


OUTBOX: tuple[type[Operation[Any]], ...] = (GetOutlook, GetTarget, TakeMessages, SettleMessage, TellOfLostRuns)
"""All of them."""
