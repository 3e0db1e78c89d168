"""Rows of webhooks: who listens, and what is written for them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import msgspec

from runlore.api.operation import encode
from runlore.store.outbox import WebhookKind
from runlore.store.sql.database import Transaction

Listener = tuple[str, list[str], frozenset[int]]
"""Id, events, and experiments (empty: all) of a webhook."""

_WORDS = msgspec.json.Decoder(list[str])
_NUMBERS = msgspec.json.Decoder(frozenset[int])


def listeners(db: Transaction, kind: WebhookKind) -> list[Listener]:
    """The webhooks of a kind that are told of what happens now."""
    rows = db.all("SELECT webhook_id, events, experiment_ids FROM webhook WHERE kind = ? AND status = 'ACTIVE'", (kind,))
    return [(webhook_id, _WORDS.decode(events), _NUMBERS.decode(experiments)) for webhook_id, events, experiments in rows]


def put_messages(
    db: Transaction, webhook_ids: Iterable[str], event: str, happened: tuple[str, str], data: Mapping[str, Any]
) -> None:
    """Write a message for each of the webhooks. `happened` is an entity and what happened to it; floats of `data` that are not
    finite become words."""
    rows = [(str(uuid4()), webhook_id) for webhook_id in webhook_ids]
    if not rows:
        return
    body = message(happened, data, db.now)
    db.many(
        "INSERT INTO webhook_delivery (delivery_id, webhook_id, event, body, status, due, creation_time) "
        "VALUES (?, ?, ?, ?, 'PENDING', ?, ?)",
        [(delivery_id, webhook_id, event, body, db.now, db.now) for delivery_id, webhook_id in rows],
    )


def message(happened: tuple[str, str], data: Mapping[str, Any], now: int) -> str:
    """What is sent, as JSON."""
    entity, action = happened
    time = datetime.fromtimestamp(now / 1_000, UTC).isoformat(timespec="microseconds")
    return encode({"entity": entity, "action": action, "timestamp": time, "data": dict(data)}).decode()
