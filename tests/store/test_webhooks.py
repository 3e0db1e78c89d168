"""Webhooks and alerts in every store: what is kept of them, and which messages are written for them."""

from __future__ import annotations

import json
import math
import struct
from typing import Any

import pytest

from runlore.api.delivery import Deliver, JournalPoints, JournalRecord
from runlore.api.experiments import CreateExperiment
from runlore.api.metrics import LogMetric
from runlore.api.registry import (
    CreateModelVersion,
    CreateRegisteredModel,
    DeleteModelVersionTag,
    DeleteRegisteredModelAlias,
    SetModelVersionTag,
    SetRegisteredModelAlias,
)
from runlore.api.runs import CreateRun, LogBatch, MetricPoint, UpdateRun
from runlore.api.webhooks import (
    CreateAlert,
    CreateWebhook,
    DeleteWebhook,
    FindWebhooks,
    GetWebhook,
    ListDeliveries,
    ListWebhooks,
    UpdateWebhook,
)
from runlore.entities import RegisteredModelTag, Webhook, WebhookEvent, WebhookStatus
from runlore.entities.webhook import WebhookEventEntry, known_webhook_events
from runlore.exceptions import InvalidParameter, InvalidState, NotFound
from runlore.store.base import Store
from runlore.store.outbox import GetOutlook, Message, SettleMessage, TakeMessages
from runlore.store.sql.store import SqlStore
from runlore.store.sql.webhooks import MOST_WEBHOOKS

URL = "https://receiver.example.com/hook"
ALL = [WebhookEventEntry(entity=each.entity.name, action=each.action.name) for each in known_webhook_events()]
CREATED = ALL[:1]


def webhook(store: Store, **fields: Any) -> Webhook:
    return store.call(CreateWebhook(**({"name": "hook", "url": URL, "events": CREATED} | fields))).webhook


def alert(store: Store, *events: str, **fields: Any) -> str:
    return store.call(CreateAlert(**({"name": "alert", "url": URL, "events": list(events)} | fields))).webhook.webhook_id


def told(store: Store, webhook_id: str) -> list[str]:
    """The events that a webhook is told of, in order of time."""
    found = store.call(ListDeliveries(webhook_id=webhook_id)).deliveries
    return sorted(item.event for item in found)


def new_run(store: Store, experiment_id: str = "0") -> str:
    return store.call(CreateRun(experiment_id=experiment_id, run_name="calm-otter")).run.info.run_id


def test_a_webhook_is_kept_without_showing_its_secret(store: Store) -> None:
    made = webhook(store, description="d", secret="hush", events=[ALL[1], ALL[0], ALL[0]])
    assert (made.name, made.url, made.description, made.status) == ("hook", URL, "d", WebhookStatus.ACTIVE)
    assert [str(event) for event in made.events] == ["model_version.created", "registered_model.created"]
    assert made.creation_timestamp == made.last_updated_timestamp > 0
    assert store.call(GetWebhook(webhook_id=made.webhook_id)).webhook == made
    state = store.call(FindWebhooks()).webhooks[0]
    assert (state.webhook_id, state.has_secret, state.pending, state.last_delivery) == (made.webhook_id, True, 0, None)
    assert "hush" not in json.dumps([made.to_dictionary(), state.to_dictionary()])


def test_webhooks_come_in_pages_made_last_first(store: Store) -> None:
    ids = [webhook(store, name=f"hook-{number}").webhook_id for number in range(5)]
    alert(store, "run.failed")
    seen, token = [], ""
    while True:
        page = store.call(ListWebhooks(max_results=2, page_token=token))
        seen += [item.webhook_id for item in page.webhooks]
        if not (token := page.next_page_token or ""):
            break
    assert sorted(seen) == sorted(ids)
    times = {item.webhook_id: item.creation_timestamp for item in store.call(ListWebhooks()).webhooks}
    assert [times[each] for each in seen] == sorted(times.values(), reverse=True)
    assert len(store.call(FindWebhooks()).webhooks) == 6


def test_what_is_given_is_changed(store: Store) -> None:
    made = webhook(store, description="d")
    change = UpdateWebhook(webhook_id=made.webhook_id, name="other", events=[ALL[1]], status=WebhookStatus.DISABLED, secret="s")
    changed = store.call(change).webhook
    assert (changed.name, changed.url, changed.description, changed.status) == ("other", URL, "d", "DISABLED")
    assert [str(event) for event in changed.events] == ["model_version.created"]
    same = store.call(UpdateWebhook(webhook_id=made.webhook_id, name="", url="", description="", secret="")).webhook
    assert (same.name, same.url, same.description) == ("other", URL, None)
    assert not store.call(FindWebhooks()).webhooks[0].has_secret


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": ""}, "Missing value for required parameter 'name'"),
        ({"name": "a b"}, "Webhook name 'a b' is invalid"),
        ({"name": "x" * 64}, "is invalid"),
        ({"url": ""}, "Missing value for required parameter 'url'"),
        ({"url": "ftp://x/y"}, "Invalid webhook URL scheme: 'ftp'"),
        ({"url": "nowhere"}, "Invalid webhook URL scheme: ''"),
        ({"url": "https:///x"}, "names no host"),
        ({"events": []}, "non-empty list"),
        (
            {"events": [WebhookEventEntry(entity="REGISTERED_MODEL", action="SET")]},
            "Invalid action 'set' for entity 'registered_model'. Valid actions are: ['created']",
        ),
    ],
)
def test_what_can_not_be_a_webhook_is_refused(store: Store, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidParameter) as refused:
        webhook(store, **fields)
    assert message in refused.value.message
    assert store.call(FindWebhooks()).webhooks == []


def test_unknown_webhooks_are_named(store: Store) -> None:
    for operation in (
        GetWebhook(webhook_id="nope"), UpdateWebhook(webhook_id="nope"), DeleteWebhook(webhook_id="nope"),
        ListDeliveries(webhook_id="nope"),
    ):  # fmt: skip
        with pytest.raises(NotFound, match="Webhook with ID nope not found"):
            store.call(operation)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "event",
    ["run.done", "model_version.created", "metrics.loss", "metrics.loss = 3", "metrics.loss@min < 3", "params.x > 3", ""],
)
def test_what_alerts_can_not_wait_for_is_refused(store: Store, event: str) -> None:
    with pytest.raises(InvalidParameter):
        alert(store, event)


def test_events_of_the_registry_are_told_to_those_who_asked(store: Store) -> None:
    everything = webhook(store, events=ALL).webhook_id
    versions = webhook(store, events=[ALL[1]]).webhook_id
    disabled = webhook(store, events=ALL, status=WebhookStatus.DISABLED).webhook_id
    store.call(CreateRegisteredModel(name="M", tags=[RegisteredModelTag(key="a", value="1")], description="desc"))
    with pytest.raises(InvalidParameter):
        store.call(CreateModelVersion(name="M", source="/etc"))
    store.call(CreateModelVersion(name="M", source="s3://bucket/key"))
    store.call(SetModelVersionTag(name="M", version="1", key="k", value="v"))
    store.call(DeleteModelVersionTag(name="M", version="1", key="k"))
    store.call(SetRegisteredModelAlias(name="M", alias="champion", version="1"))
    store.call(DeleteRegisteredModelAlias(name="M", alias="champion"))
    assert told(store, everything) == sorted(str(event) for event in known_webhook_events())
    assert told(store, versions) == ["model_version.created"]
    assert told(store, disabled) == []


def test_a_creation_that_is_sent_twice_is_told_once(store: Store) -> None:
    hook = webhook(store).webhook_id
    for _ in range(2):
        store.call(CreateRegisteredModel(name="M", idempotency_key="k"))
    assert told(store, hook) == ["registered_model.created"]


def test_ends_of_runs_are_told_once(store: Store) -> None:
    experiment = store.call(CreateExperiment(name="fruit")).experiment_id
    hook = alert(store, "run.finished", "RUN.FAILED", "run.killed")
    here = alert(store, "run.failed", experiment_ids=[experiment])
    for experiment_id, status in (("0", "FAILED"), (experiment, "FAILED"), (experiment, "FINISHED"), ("0", "KILLED")):
        run_id = new_run(store, experiment_id)
        for _ in range(2):
            store.call(UpdateRun(run_id=run_id, status=status, end_time=1))  # type: ignore[arg-type]
    assert told(store, hook) == ["run.failed", "run.failed", "run.finished", "run.killed"]
    assert told(store, here) == ["run.failed"]


def test_a_run_that_goes_on_may_end_again(store: Store) -> None:
    hook, run_id = alert(store, "run.finished"), new_run(store)
    for status in ("FINISHED", "RUNNING", "FINISHED"):
        store.call(UpdateRun(run_id=run_id, status=status))  # type: ignore[arg-type]
    assert told(store, hook) == ["run.finished", "run.finished"]


def test_a_bound_is_told_once_for_each_run(store: Store) -> None:
    over, under = "metrics.loss > 10", "metrics.`val/acc` <= 0.5"
    hook = alert(store, over, under, "metrics.loss is nan")
    first, second = new_run(store), new_run(store)
    points = [MetricPoint(key="loss", value=value, timestamp=1, step=step) for step, value in enumerate((1.0, 12.0, 3.0))]
    store.call(LogBatch(run_id=first, metrics=points))
    store.call(LogMetric(run_id=first, key="loss", value=11.0, timestamp=2, step=4))
    assert told(store, hook) == [over]
    store.call(LogMetric(run_id=first, key="val/acc", value=0.5, timestamp=2))
    store.call(LogMetric(run_id=first, key="other", value=math.nan, timestamp=2))
    store.call(LogMetric(run_id=second, key="loss", value=math.nan, timestamp=2))
    store.call(LogMetric(run_id=second, key="loss", value=math.inf, timestamp=3))
    assert told(store, hook) == sorted([over, under, "metrics.loss is nan"])
    store.call(LogMetric(run_id=second, key="loss", value=20, timestamp=4))
    assert told(store, hook) == sorted([over, under, "metrics.loss is nan", over])


def test_journals_are_looked_at_too(store: Store) -> None:
    hook, run_id = alert(store, "metrics.loss is nan", "run.failed"), new_run(store)
    data = struct.pack("<2q2I2q2q2d", 0, 1, 0, 0, 0, 1, 5, 6, 1.0, math.nan)
    end = JournalRecord(seq=2, update_run=UpdateRun(run_id=run_id, status="FAILED"))
    points = JournalPoints(keys=["loss"], data=data)
    for _ in range(2):  # a delivery that comes again tells nothing again
        store.call(Deliver(run_id=run_id, writer_id="a" * 32, next_seq=3, points=points, records=[end]))
    assert told(store, hook) == ["metrics.loss is nan", "run.failed"]


def test_webhooks_have_a_number(store: Store) -> None:
    for _ in range(MOST_WEBHOOKS):
        webhook(store)
    with pytest.raises(InvalidParameter, match="no more are kept"):
        webhook(store)
    with pytest.raises(InvalidParameter, match="no more are kept"):
        alert(store, "run.failed")


def test_messages_go_with_their_webhook(store: Store) -> None:
    hook = alert(store, "run.failed")
    store.call(UpdateRun(run_id=new_run(store), status="FAILED"))
    store.call(DeleteWebhook(webhook_id=hook))
    assert store.call(FindWebhooks()).webhooks == []


def test_events_have_mlflows_words() -> None:
    event = WebhookEvent("model_version", "created")  # type: ignore[arg-type]
    assert event == WebhookEvent.from_str("model_version.created")
    assert (str(event), event.entity.value, event.action.value) == ("model_version.created", "model_version", "created")
    for wrong in ("foo", "run.finished", "prompt.created", "registered_model.deleted"):
        with pytest.raises(InvalidParameter):
            WebhookEvent.from_str(wrong)


# -- sending ------------------------------------------------------------------------------------------------------------------


@pytest.fixture(params=["sqlite", "postgres"])
def sql_store(request: pytest.FixtureRequest, new_store: Any) -> SqlStore:
    """A store that messages can be taken from."""
    opened = new_store(request.param)
    assert isinstance(opened, SqlStore)
    return opened


def take(store: SqlStore, limit: int = 100, *busy: str) -> list[Message]:
    return store.call(TakeMessages(limit=limit, busy=list(busy))).messages


def test_a_message_says_what_happened(sql_store: SqlStore) -> None:
    hook, run_id = alert(sql_store, "metrics.loss > 1", secret="hush"), new_run(sql_store)
    webhook(sql_store, events=[ALL[1]])
    sql_store.call(LogMetric(run_id=run_id, key="loss", value=2.5, timestamp=1, step=7))
    (message,) = take(sql_store)
    assert (message.target.webhook_id, message.target.url, message.target.secret, message.attempt) == (hook, URL, "hush", 1)
    body = json.loads(message.body)
    data = body.pop("data")
    assert body.pop("timestamp").endswith("+00:00")
    assert body == {"entity": "metric", "action": "reached"}
    assert data["metric"] == {"key": "loss", "value": 2.5, "step": 7}
    assert (data["run_id"], data["run_name"], data["experiment_name"]) == (run_id, "calm-otter", "Default")
    assert data["text"] == "metrics.loss > 1: loss is 2.5 at step 7 in run calm-otter of experiment Default."


def test_what_one_process_has_taken_no_other_takes(sql_store: SqlStore) -> None:
    hook = webhook(sql_store).webhook_id
    for number in range(6):
        sql_store.call(CreateRegisteredModel(name=f"M{number}"))
    first, second, third = take(sql_store, 3), take(sql_store), take(sql_store)
    assert (len(first), len(second), len(third)) == (3, 3, 0)
    assert len({each.delivery_id for each in first + second}) == 6
    assert take(sql_store, 100, hook) == []
    outlook = sql_store.call(GetOutlook())
    assert outlook.due is not None
    assert not outlook.watches_lost


def test_a_webhook_gets_its_share_and_no_more(sql_store: SqlStore) -> None:
    slow = webhook(sql_store, name="slow").webhook_id
    for number in range(8):
        sql_store.call(CreateRegisteredModel(name=f"M{number}"))
    webhook(sql_store, name="quick")
    sql_store.call(CreateRegisteredModel(name="last"))
    taken = [each.target.webhook_id for each in take(sql_store)]
    assert (taken.count(slow), len(taken)) == (4, 5)


def test_how_it_went_is_kept(sql_store: SqlStore) -> None:
    hook = webhook(sql_store).webhook_id
    sql_store.call(CreateRegisteredModel(name="A"))
    (message,) = take(sql_store)
    sql_store.call(
        SettleMessage(delivery_id=message.delivery_id, attempt=1, response_status=503, error="Answered with status 503.")
    )
    (delivery,) = sql_store.call(ListDeliveries(webhook_id=hook)).deliveries
    assert (delivery.status, delivery.attempts, delivery.response_status) == ("PENDING", 1, 503)
    assert delivery.next_attempt is not None
    assert delivery.last_attempt is not None
    assert 2_500 <= delivery.next_attempt - delivery.last_attempt <= 20_000
    assert take(sql_store) == []  # it is left alone for a while, with all that comes meanwhile
    sql_store.call(CreateRegisteredModel(name="B"))
    assert take(sql_store) == []
    sql_store.call(UpdateWebhook(webhook_id=hook, url=URL + "/new"))  # somebody saw to it
    (other,) = take(sql_store)
    sql_store.call(SettleMessage(delivery_id=other.delivery_id, attempt=1, response_status=200))
    sql_store.call(SettleMessage(delivery_id=other.delivery_id, attempt=1, error="too late"))
    state = sql_store.call(FindWebhooks()).webhooks[0]
    assert state.pending == 1
    assert state.last_delivery is not None
    assert (state.last_delivery.status, state.last_delivery.response_status) == ("DELIVERED", 200)


def test_what_is_no_use_is_given_up(sql_store: SqlStore) -> None:
    hook = webhook(sql_store).webhook_id
    for number in range(2):
        sql_store.call(CreateRegisteredModel(name=f"M{number}"))
    first, second = take(sql_store)
    sql_store.call(SettleMessage(delivery_id=first.delivery_id, attempt=1, response_status=404, error="no", final=True))
    sql_store.call(SettleMessage(delivery_id=second.delivery_id, attempt=1, response_status=204))
    found = sql_store.call(ListDeliveries(webhook_id=hook)).deliveries
    assert sorted(item.status for item in found) == ["DELIVERED", "FAILED"]
    assert sql_store.call(GetOutlook()).due is None


def test_tests_need_a_server(sql_store: SqlStore) -> None:
    from runlore.api.webhooks import TestWebhook

    with pytest.raises(InvalidState, match="runlore server"):
        sql_store.call(TestWebhook(webhook_id=webhook(sql_store).webhook_id))
