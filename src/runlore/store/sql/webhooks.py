"""Handlers of webhooks and alerts. What is sent to them is in `outbox.py`, what alerts wait for in `alerts.py`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import msgspec

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
    WebhookDeliveries,
    WebhookList,
    WebhookReply,
    WebhookStateReply,
    WebhookStates,
    WebhookTestReply,
)
from runlore.entities import Empty, Webhook, WebhookDelivery, WebhookEvent, WebhookState, WebhookStatus
from runlore.entities.webhook import WebhookEventEntry
from runlore.exceptions import InvalidParameter, InvalidState, NotFound
from runlore.query.alerts import RUN_EVENTS, read_alert_event
from runlore.store.outbox import WebhookKind
from runlore.store.sql.alerts import forget_watched
from runlore.store.sql.database import Row, Transaction
from runlore.store.sql.experiment_rows import existing_experiment
from runlore.store.sql.handlers import handles
from runlore.store.sql.pages import page_of

MOST_WEBHOOKS = 200
"""Alerts among them: a message is written for each of them that waits for what happens."""

_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
_PAGE = 100
_COLUMNS = "webhook_id, name, url, events, creation_time, last_update_time, status, description"
_DELIVERY = "delivery_id, event, status, attempts, creation_time, last_attempt, due, response_status, error"
_WORDS = msgspec.json.Decoder(list[str])


@handles(CreateWebhook)
def create_webhook(db: Transaction, op: CreateWebhook) -> WebhookReply:
    """Names need not be unique (MLflow's rule)."""
    if not op.events:
        raise InvalidParameter("Webhook events must be a non-empty list of WebhookEvent objects: [].")
    return _reply(db, _insert(db, "registry", op, [str(event) for event in _events(op.events)], [], op.status))


@handles(CreateAlert)
def create_alert(db: Transaction, op: CreateAlert) -> WebhookStateReply:
    """Alerts know no events of the registry."""
    events = [_alert_event(text) for text in op.events]
    experiments = sorted({int(existing_experiment(db, each)[0]) for each in op.experiment_ids})
    webhook_id = _insert(db, "alert", op, list(dict.fromkeys(events)), experiments, WebhookStatus.ACTIVE)
    return WebhookStateReply(webhook=_states(db, "WHERE webhook_id = ?", (webhook_id,))[0])


@handles(ListWebhooks)
def list_webhooks(db: Transaction, op: ListWebhooks) -> WebhookList:
    """Alerts are not shown: MLflow's clients do not know their events."""
    page = page_of(op, op.page_token, op.max_results or _PAGE)
    rows = db.all(
        f"SELECT {_COLUMNS} FROM webhook WHERE kind = 'registry' ORDER BY creation_time DESC, webhook_id LIMIT ? OFFSET ?",
        (page.size + 1, page.offset),
    )
    found, token = page.cut([_webhook(row) for row in rows])
    return WebhookList(webhooks=found, next_page_token=token)


@handles(GetWebhook)
def get_webhook(db: Transaction, op: GetWebhook) -> WebhookReply:
    """One webhook; of an alert, without its events."""
    return _reply(db, op.webhook_id)


@handles(UpdateWebhook)
def update_webhook(db: Transaction, op: UpdateWebhook) -> WebhookReply:
    """A new URL, secret or status also ends a pause: somebody has seen to the difficulties."""
    row = db.one(f"SELECT kind FROM webhook WHERE webhook_id = ?{db.for_update}", (op.webhook_id,))
    if row is None:
        raise _unknown(op.webhook_id)
    changes: dict[str, Any] = {"last_update_time": db.now}
    if op.name:
        changes["name"] = _checked_name(op.name)
    if op.description is not None:
        changes["description"] = op.description or None
    if op.url:
        changes["url"] = _checked_url(op.url)
    if op.events:
        if row[0] == "alert":
            raise InvalidParameter("What an alert waits for can not be changed. hint: create another one and delete this one.")
        changes["events"] = _json([str(event) for event in _events(op.events)])
    if op.secret is not None:
        changes["secret"] = op.secret or None
    if op.status is not None:
        changes["status"] = str(op.status)
    if changes.keys() & {"url", "secret", "status"}:
        changes |= {"failures": 0, "paused_until": 0}
    columns = ", ".join(f"{column} = ?" for column in changes)
    db.execute(f"UPDATE webhook SET {columns} WHERE webhook_id = ?", (*changes.values(), op.webhook_id))
    forget_watched(db)
    return _reply(db, op.webhook_id)


@handles(DeleteWebhook)
def delete_webhook(db: Transaction, op: DeleteWebhook) -> Empty:
    """Messages that wait go with it."""
    if not db.execute("DELETE FROM webhook WHERE webhook_id = ?", (op.webhook_id,)):
        raise _unknown(op.webhook_id)
    db.execute("DELETE FROM webhook_delivery WHERE webhook_id = ?", (op.webhook_id,))
    db.execute("DELETE FROM alert_told WHERE webhook_id = ?", (op.webhook_id,))
    forget_watched(db)
    return Empty()


@handles(TestWebhook)
def test_webhook(db: Transaction, op: TestWebhook) -> WebhookTestReply:
    """Servers answer this themselves (`server/webhooks.py`)."""
    raise InvalidState(
        "Webhooks are sent by a server, and this store is open without one. hint: run `runlore server` on it and set the "
        "tracking URI to its address, or `runlore webhooks test`."
    )


@handles(FindWebhooks)
def find_webhooks(db: Transaction, op: FindWebhooks) -> WebhookStates:
    """Three statements."""
    return WebhookStates(webhooks=_states(db, "", ()))


@handles(ListDeliveries)
def list_deliveries(db: Transaction, op: ListDeliveries) -> WebhookDeliveries:
    """The newest first."""
    if db.one("SELECT 1 FROM webhook WHERE webhook_id = ?", (op.webhook_id,)) is None:
        raise _unknown(op.webhook_id)
    rows = db.all(
        f"SELECT {_DELIVERY} FROM webhook_delivery WHERE webhook_id = ? ORDER BY creation_time DESC, delivery_id LIMIT ?",
        (op.webhook_id, op.max_results),
    )
    return WebhookDeliveries(deliveries=[_delivery(row) for row in rows])


# -- rows ---------------------------------------------------------------------------------------------------------------


def _insert(
    db: Transaction,
    kind: WebhookKind,
    op: CreateWebhook | CreateAlert,
    events: Sequence[str],
    experiments: Sequence[int],
    status: WebhookStatus,
) -> str:
    if (count := db.one("SELECT COUNT(*) FROM webhook")) and count[0] >= MOST_WEBHOOKS:
        raise InvalidParameter(f"There are {MOST_WEBHOOKS} webhooks and alerts, and no more are kept. hint: delete some.")
    webhook_id = str(uuid4())
    db.execute(
        "INSERT INTO webhook (webhook_id, kind, name, description, url, events, experiment_ids, secret, status, creation_time, "
        "last_update_time) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            webhook_id, kind, _checked_name(op.name), op.description or None, _checked_url(op.url), _json(events),
            _json(experiments), op.secret or None, str(status), db.now, db.now,
        ),
    )  # fmt: skip
    forget_watched(db)
    return webhook_id


def _json(values: Sequence[Any]) -> str:
    return msgspec.json.encode(values).decode()


def _reply(db: Transaction, webhook_id: str) -> WebhookReply:
    row = db.one(f"SELECT {_COLUMNS} FROM webhook WHERE webhook_id = ?", (webhook_id,))
    if row is None:
        raise _unknown(webhook_id)
    return WebhookReply(webhook=_webhook(row))


def _webhook(row: Row) -> Webhook:
    webhook_id, name, url, events, creation_time, last_update_time, status, description = row
    entries = [
        WebhookEventEntry(entity=entity.upper(), action=action.upper())  # type: ignore[arg-type]  # as it was checked
        for entity, _, action in (text.partition(".") for text in _WORDS.decode(events) if _is_registry_event(text))
    ]
    return Webhook(
        webhook_id=webhook_id,
        name=name,
        url=url,
        event_list=entries,
        creation_timestamp=creation_time,
        last_updated_timestamp=last_update_time,
        status=WebhookStatus(status),
        description=description,
    )


def _is_registry_event(text: str) -> bool:
    return text not in RUN_EVENTS and not text.startswith("metric")


def _states(db: Transaction, where: str, values: Sequence[Any]) -> list[WebhookState]:
    rows = db.all(
        f"SELECT {_COLUMNS}, experiment_ids, secret IS NOT NULL FROM webhook {where} ORDER BY creation_time DESC, webhook_id",
        values,
    )
    waiting: dict[str, int] = dict(
        db.all("SELECT webhook_id, COUNT(*) FROM webhook_delivery WHERE status = 'PENDING' GROUP BY webhook_id")
    )
    last = db.all(
        f"SELECT webhook_id, {_DELIVERY} FROM (SELECT d.*, ROW_NUMBER() OVER (PARTITION BY webhook_id "
        "ORDER BY last_attempt DESC, delivery_id) AS place FROM webhook_delivery d WHERE last_attempt IS NOT NULL) AS tried "
        "WHERE place = 1"
    )
    tried = {row[0]: _delivery(row[1:]) for row in last}
    return [
        WebhookState(
            webhook_id=row[0],
            name=row[1],
            url=row[2],
            events=_WORDS.decode(row[3]),
            creation_timestamp=row[4],
            last_updated_timestamp=row[5],
            status=WebhookStatus(row[6]),
            description=row[7],
            experiment_ids=[str(number) for number in msgspec.json.decode(row[8], type=list[int])],
            has_secret=bool(row[9]),
            pending=waiting.get(row[0], 0),
            last_delivery=tried.get(row[0]),
        )
        for row in rows
    ]


def _delivery(row: Row) -> WebhookDelivery:
    delivery_id, event, status, attempts, creation_time, last_attempt, due, response_status, error = row
    return WebhookDelivery(
        delivery_id=delivery_id,
        event=event,
        status=status,
        attempts=attempts,
        creation_timestamp=creation_time,
        last_attempt=last_attempt,
        next_attempt=due if status == "PENDING" else None,
        response_status=response_status,
        error=error,
    )


# -- checks -------------------------------------------------------------------------------------------------------------


def _events(entries: Sequence[WebhookEventEntry]) -> list[WebhookEvent]:
    return sorted({entry.event for entry in entries})


def _alert_event(text: str) -> str:
    """A text in the form in which it is kept. Raises `InvalidParameter`."""
    meaning = read_alert_event(text)
    return f"run.{meaning}" if isinstance(meaning, str) else text.strip()


def _checked_name(name: str) -> str:
    if not name:
        raise InvalidParameter("Missing value for required parameter 'name'.")
    if not _NAME.fullmatch(name):
        raise InvalidParameter(
            f"Webhook name {name[:100]!r} is invalid. It must have at most 63 letters, digits, dots, underscores and hyphens, "
            "and start and end with a letter or digit."
        )
    return name


def _checked_url(url: str) -> str:
    """What can be said of a URL without asking anybody. Where it leads is looked at by whoever sends."""
    if not url:
        raise InvalidParameter("Missing value for required parameter 'url'.")
    try:
        parts = urlsplit(url)
        scheme, host = parts.scheme, parts.hostname
    except ValueError as error:
        raise InvalidParameter(f"Invalid webhook URL: {error}.") from None
    if scheme not in ("https", "http"):
        raise InvalidParameter(f"Invalid webhook URL scheme: {scheme!r}. Allowed schemes are: https.")
    if not host:
        raise InvalidParameter("Invalid webhook URL: it names no host.")
    return url


def _unknown(webhook_id: str) -> NotFound:
    return NotFound(f"Webhook with ID {webhook_id[:100]} not found.")
