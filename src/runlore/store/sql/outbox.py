"""Messages to webhooks: written where something happens, in its transaction, and taken by whoever sends them.

Taking a message moves its time ahead, so that no other process takes it; when the sender is killed, that time comes and the
message is sent again, under the same id. A receiver with difficulties is left alone for longer and longer, with all that waits
for it.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import msgspec

from runlore.api.webhooks import KEPT_DELIVERIES
from runlore.entities import Empty, WebhookEvent
from runlore.exceptions import NotFound
from runlore.store.outbox import (
    ATTEMPTS,
    FIRST_PAUSE_MILLIS,
    LEASE_MILLIS,
    LONGEST_PAUSE_MILLIS,
    PER_WEBHOOK,
    GetOutlook,
    GetTarget,
    Message,
    Messages,
    Outlook,
    SettleMessage,
    TakeMessages,
    Target,
    TellOfLostRuns,
)
from runlore.store.sql.alerts import losses, tell_of_losses
from runlore.store.sql.database import Transaction
from runlore.store.sql.handlers import handles
from runlore.store.sql.messages import listeners, put_messages

_PAUSED = "CASE WHEN d.due > w.paused_until THEN d.due ELSE w.paused_until END"
_DUE = (
    "SELECT delivery_id, attempts, body, webhook_id, kind, url, secret FROM ("
    "SELECT d.delivery_id, d.attempts, d.body, d.due, w.webhook_id, w.kind, w.url, w.secret, "
    "ROW_NUMBER() OVER (PARTITION BY d.webhook_id ORDER BY d.due, d.creation_time, d.delivery_id) AS place "
    "FROM webhook_delivery d JOIN webhook w ON w.webhook_id = d.webhook_id "
    "WHERE d.status = 'PENDING' AND d.due <= ? AND w.status = 'ACTIVE' AND w.paused_until <= ?{free}"
    ") AS waiting WHERE place <= ? ORDER BY due, delivery_id LIMIT ?"
)


def tell(db: Transaction, event: str, data: Mapping[str, Any]) -> None:
    """Something happened in the registry: `tell(db, "model_version.created", {…})`, in MLflow's words."""
    known = WebhookEvent.from_str(event)
    wanting = [webhook_id for webhook_id, events, _ in listeners(db, "registry") if event in events]
    put_messages(db, wanting, event, (known.entity, known.action), data)


@handles(GetOutlook)
def get_outlook(db: Transaction, op: GetOutlook) -> Outlook:
    """When the next message is due."""
    row = db.one(
        f"SELECT MIN({_PAUSED}) FROM webhook_delivery d JOIN webhook w ON w.webhook_id = d.webhook_id "
        "WHERE d.status = 'PENDING' AND w.status = 'ACTIVE'"
    )
    watching, lost = losses(db)
    return Outlook(due=row[0] if row else None, watches_lost=watching, lost=bool(lost))


@handles(GetTarget)
def get_target(db: Transaction, op: GetTarget) -> Target:
    """One webhook."""
    row = db.one("SELECT kind, url, secret, events FROM webhook WHERE webhook_id = ?", (op.webhook_id,))
    if row is None:
        raise NotFound(f"Webhook with ID {op.webhook_id[:100]} not found.")
    return Target(op.webhook_id, row[0], row[1], row[2], msgspec.json.decode(row[3], type=list[str]))


@handles(TakeMessages)
def take_messages(db: Transaction, op: TakeMessages) -> Messages:
    """Two processes may look at once; the one that moves the time ahead has the message."""
    free, values = "", list[Any]()
    if op.busy:
        condition, parameter = db.among("d.webhook_id", op.busy)
        free, values = f" AND NOT {condition}", [parameter]
    rows = db.all(_DUE.format(free=free), (db.now, db.now, *values, PER_WEBHOOK, op.limit))
    taken = [
        Message(delivery_id, attempts + 1, Target(webhook_id, kind, url, secret, []), body)
        for delivery_id, attempts, body, webhook_id, kind, url, secret in rows
        if db.execute(
            "UPDATE webhook_delivery SET due = ?, attempts = attempts + 1, last_attempt = ? "
            "WHERE delivery_id = ? AND attempts = ? AND status = 'PENDING'",
            (db.now + LEASE_MILLIS, db.now, delivery_id, attempts),
        )
    ]
    return Messages(taken)


@handles(SettleMessage)
def settle_message(db: Transaction, op: SettleMessage) -> Empty:
    """Word of an attempt that comes after the next one began changes nothing. What was deleted meanwhile is gone."""
    sent = op.error is None
    status = "DELIVERED" if sent else "FAILED" if op.final or op.attempt >= ATTEMPTS else "PENDING"
    due = db.now + max(_pause(op.attempt), op.pause_millis)
    row = db.one(
        "UPDATE webhook_delivery SET status = ?, due = ?, response_status = ?, error = ? "
        "WHERE delivery_id = ? AND attempts = ? AND status = 'PENDING' RETURNING webhook_id",
        (status, due, op.response_status, op.error, op.delivery_id, op.attempt),
    )
    if row is None:
        return Empty()
    if sent:
        db.execute("UPDATE webhook SET failures = 0, paused_until = 0 WHERE webhook_id = ? AND failures > 0", row)
    elif not op.final:
        failures = db.one("UPDATE webhook SET failures = failures + 1 WHERE webhook_id = ? RETURNING failures", row)
        if failures is not None:
            until = db.now + max(_pause(failures[0]), op.pause_millis)
            db.execute("UPDATE webhook SET paused_until = ? WHERE webhook_id = ? AND paused_until < ?", (until, row[0], until))
    if status != "PENDING":
        _forget(db, row[0])
    return Empty()


@handles(TellOfLostRuns)
def tell_of_lost_runs(db: Transaction, op: TellOfLostRuns) -> Empty:
    """Each silence of a run once."""
    tell_of_losses(db)
    return Empty()


def _pause(attempts: int) -> int:
    """Milliseconds until the next attempt: doubled each time, less up to a half by chance, so that not all come at once."""
    longest = min(LONGEST_PAUSE_MILLIS, FIRST_PAUSE_MILLIS << min(attempts - 1, 20))
    return int(longest * random.uniform(0.5, 1.0))


def _forget(db: Transaction, webhook_id: str) -> None:
    """Messages that are through, but for the last ones."""
    db.execute(
        "DELETE FROM webhook_delivery WHERE delivery_id IN (SELECT delivery_id FROM webhook_delivery WHERE webhook_id = ? "
        "AND status <> 'PENDING' ORDER BY creation_time DESC, delivery_id LIMIT 100 OFFSET ?)",
        (webhook_id, KEPT_DELIVERIES),
    )
