"""A server sends webhooks: as MLflow's receivers expect them, signed, again where it failed, and to nobody else."""

from __future__ import annotations

import base64
import hashlib
import hmac
import math
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.receiver import Received, Receiver, receiving
from tests.server.live import House, LiveServer

from runlore.api.metrics import LogMetric
from runlore.api.registry import CreateRegisteredModel
from runlore.api.runs import CreateRun, UpdateRun
from runlore.api.webhooks import CreateAlert, CreateWebhook, FindWebhooks, ListDeliveries
from runlore.entities import WebhookDelivery
from runlore.entities.webhook import WebhookEventEntry
from runlore.server import webhooks
from runlore.server.app import App
from runlore.server.outbound import networks_of
from runlore.store.base import open_store
from runlore.store.sql.store import SqlStore

CREATED = WebhookEventEntry(entity="REGISTERED_MODEL", action="CREATED")
EVENTS = [{"entity": "REGISTERED_MODEL", "action": "CREATED"}]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as started:
        yield started


@pytest.fixture
def sending(live_server: LiveServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    """A server that may send to this machine, and does, without taking its time."""
    monkeypatch.setattr(webhooks, "LOOK_SECONDS", 0.02)
    store = open_store(f"sqlite:///{tmp_path / 'runlore.db'}", artifacts=str(tmp_path))
    assert isinstance(store, SqlStore)
    app = App(store, dashboard=tmp_path / "nothing")
    app.webhooks.allow(networks_of(["127.0.0.1"]))
    with live_server.serving(app):
        app.webhooks.start()
        yield House(live_server, app, store, tmp_path)


def hook(house: House, url: str, secret: str = "") -> str:
    return house.store.call(CreateWebhook(name="hook", url=url, events=[CREATED], secret=secret)).webhook.webhook_id


def settled(house: House, webhook_id: str, *statuses: str) -> WebhookDelivery:
    """The one message to a webhook, when it has one of the statuses and was tried."""
    deadline = time.monotonic() + 30
    while True:
        found = house.store.call(ListDeliveries(webhook_id=webhook_id)).deliveries
        if found and found[0].status in statuses and (found[0].response_status or found[0].error):
            return found[0]
        assert time.monotonic() < deadline, found
        time.sleep(0.02)


def is_signed(message: Received, brand: str, secret: str) -> bool:
    """As MLflow's documentation tells receivers to check it."""
    id_, time_ = (message.headers[f"X-{brand}-{name}"] for name in ("Delivery-Id", "Timestamp"))
    digest = hmac.new(secret.encode(), f"{id_}.{time_}.{message.raw.decode()}".encode(), hashlib.sha256).digest()
    assert abs(time.time() - int(time_)) < 300
    return message.headers[f"X-{brand}-Signature"] == f"v1,{base64.b64encode(digest).decode()}"


def test_events_of_the_registry_arrive_as_from_mlflow(sending: House, receiver: Receiver) -> None:
    hook(sending, receiver.url, secret="hush")
    sending.call("POST", "registered-models/create", {"name": "M", "tags": [{"key": "a", "value": "1"}], "description": "d"})
    (message,) = receiver.wait_for(1)
    body = message.body
    assert body.pop("timestamp")
    assert body == {
        "entity": "registered_model", "action": "created", "data": {"name": "M", "tags": {"a": "1"}, "description": "d"},
    }  # fmt: skip
    assert message.headers["Content-Type"] == "application/json"
    assert is_signed(message, "MLflow", "hush")


def test_without_a_secret_nothing_is_signed(sending: House, receiver: Receiver) -> None:
    hook(sending, receiver.url)
    sending.store.call(CreateRegisteredModel(name="M"))
    (message,) = receiver.wait_for(1)
    assert not [name for name in message.headers if name.endswith("Signature")]


def test_alerts_arrive_under_runlores_name(sending: House, receiver: Receiver) -> None:
    events = ["run.failed", "metrics.loss is nan"]
    sending.store.call(CreateAlert(name="alert", url=receiver.url, events=events, secret="hush"))
    run_id = sending.new_run()
    sending.store.call(LogMetric(run_id=run_id, key="loss", value=math.nan, timestamp=1, step=3))
    (message,) = receiver.wait_for(1)
    assert message.body["data"]["metric"] == {"key": "loss", "value": "NaN", "step": 3}
    assert is_signed(message, "Runlore", "hush")
    assert not [name for name in message.headers if name.startswith("X-MLflow")]
    sending.store.call(UpdateRun(run_id=run_id, status="FAILED"))
    assert receiver.wait_for(2)[1].body["data"]["status"] == "FAILED"


def test_a_run_that_falls_silent_is_told_once(sending: House, receiver: Receiver) -> None:
    alert = sending.store.call(CreateAlert(name="alert", url=receiver.url, events=["run.lost"])).webhook.webhook_id
    run_id = sending.store.call(CreateRun()).run.info.run_id
    body = {"run_id": run_id, "writer_id": "a" * 32, "after": 0, "next_seq": 0}
    assert sending.ask("POST", "/api/v1/runs/deliver", {"Content-Type": "application/json"}, _json(body)).status == 200
    _let_pass(sending, alert, run_id, 100_000)
    (message,) = receiver.wait_for(1)
    assert (message.body["entity"], message.body["action"], message.body["data"]["run_id"]) == ("run", "lost", run_id)
    sending.store.call(CreateRun())  # another look
    settled(sending, alert, "DELIVERED")
    assert len(receiver.received) == 1


def _json(value: object) -> bytes:
    import json

    return json.dumps(value).encode()


def _let_pass(house: House, alert: str, run_id: str, millis: int) -> None:
    """Both began earlier: nobody has to wait for 90 seconds."""
    db = house.store._database.write()
    db.execute("UPDATE webhook SET creation_time = creation_time - ? WHERE webhook_id = ?", (millis, alert))
    db.execute("UPDATE writer_mark SET last_heard = last_heard - ?", (millis,))
    db.commit()


@pytest.mark.parametrize("status", [404, 401, 302, 304, 410])
def test_an_answer_that_will_not_change_is_final(sending: House, receiver: Receiver, status: int) -> None:
    receiver.statuses = [status]
    webhook_id = hook(sending, receiver.url)
    sending.store.call(CreateRegisteredModel(name="M"))
    delivery = settled(sending, webhook_id, "FAILED")
    assert (delivery.response_status, delivery.attempts) == (status, 1)
    assert [message.path for message in receiver.received] == ["/hook"]  # no redirect was followed


def test_a_receiver_in_trouble_is_asked_again(sending: House, receiver: Receiver) -> None:
    receiver.statuses = [503]
    webhook_id = hook(sending, receiver.url)
    sending.store.call(CreateRegisteredModel(name="M"))
    assert settled(sending, webhook_id, "PENDING").response_status == 503
    db = sending.store._database.write()
    db.execute("UPDATE webhook_delivery SET due = 0")  # nobody has to wait for five seconds
    db.execute("UPDATE webhook SET paused_until = 0")
    db.commit()
    first, second = receiver.wait_for(2)
    assert first.headers["X-MLflow-Delivery-Id"] == second.headers["X-MLflow-Delivery-Id"]
    assert settled(sending, webhook_id, "DELIVERED").attempts == 2


def test_writes_do_not_wait_for_receivers(sending: House, receiver: Receiver) -> None:
    receiver.open.clear()
    webhook_id = hook(sending, receiver.url)
    sending.store.call(CreateRegisteredModel(name="first"))
    receiver.wait_for(1)
    for number in range(20):
        assert sending.call("POST", "registered-models/create", {"name": f"M{number}"}).status == 200
    found = sending.store.call(ListDeliveries(webhook_id=webhook_id)).deliveries
    assert (len(found), {item.status for item in found}) == (21, {"PENDING"})
    receiver.open.set()
    receiver.wait_for(21)


def test_a_test_says_how_it_went_and_nothing_else(sending: House, receiver: Receiver) -> None:
    webhook_id = hook(sending, receiver.url, secret="hush")
    answer = sending.call("POST", f"webhooks/{webhook_id}/test", {})
    assert answer.json() == {"result": {"success": True, "response_status": 200}}
    assert is_signed(receiver.received[0], "MLflow", "hush")
    receiver.statuses = [500]
    event = {"entity": "MODEL_VERSION_ALIAS", "action": "DELETED"}
    answer = sending.call("POST", f"webhooks/{webhook_id}/test", {"event": event})
    assert answer.json()["result"] == {
        "success": False, "response_status": 500, "error_message": "Answered with status 500.",
    }  # fmt: skip
    assert receiver.received[1].body["data"] == {"name": "example_model", "alias": "example_alias"}
    assert b"inside" not in answer.body
    assert sending.store.call(ListDeliveries(webhook_id=webhook_id)).deliveries == []


def test_what_a_server_may_not_ask_is_refused_when_it_is_made(house: House, receiver: Receiver) -> None:
    for url in (
        receiver.url,
        "http://example.com/hook",
        "https://127.0.0.1/",
        "https://localhost/",
        "https://u:p@example.com/",
    ):
        answer = house.call("POST", "webhooks", {"name": "hook", "url": url, "events": EVENTS})
        assert (answer.status, answer.code) == (400, "INVALID_PARAMETER_VALUE"), url
        made = {"name": "alert", "url": url, "events": ["run.failed"]}
        answer = house.ask("POST", "/api/v1/alerts", {"Content-Type": "application/json"}, _json(made))
        assert answer.status == 400, url
    kept = house.call("POST", "webhooks", {"name": "hook", "url": "https://example.com/hook", "events": EVENTS}).json()
    change = house.call("PATCH", f"webhooks/{kept['webhook']['webhook_id']}", {"url": receiver.url})
    assert change.status == 400
    assert len(house.store.call(FindWebhooks()).webhooks) == 1


def test_what_a_server_may_not_ask_is_not_asked(house: House, receiver: Receiver) -> None:
    """A webhook that was made past the server, or when it allowed more."""
    webhook_id = hook(house, receiver.url)
    house.app.webhooks.start()
    house.store.call(CreateRegisteredModel(name="M"))
    delivery = settled(house, webhook_id, "FAILED")
    assert "127.0.0.1 is no public address" in (delivery.error or "")
    assert receiver.received == []


def test_secrets_are_in_no_answer(sending: House, receiver: Receiver) -> None:
    made = {"name": "hook", "url": receiver.url, "events": EVENTS, "secret": "hush-hush"}
    webhook_id = sending.call("POST", "webhooks", made).json()["webhook"]["webhook_id"]
    sending.store.call(CreateRegisteredModel(name="M"))
    settled(sending, webhook_id, "DELIVERED")
    answers = [
        sending.ask("GET", f"/api/2.0/mlflow/webhooks/{webhook_id}"),
        sending.ask("GET", "/api/2.0/mlflow/webhooks"),
        sending.call("PATCH", f"webhooks/{webhook_id}", {"secret": "hush-hush-2"}),
        sending.ask("GET", "/api/v1/webhooks"),
        sending.ask("GET", f"/api/v1/webhooks/{webhook_id}/deliveries"),
        sending.call("POST", f"webhooks/{webhook_id}/test", {}),
        sending.ask("GET", "/api/v1/changes"),
    ]
    assert [answer.status for answer in answers] == [200] * 7
    assert not [answer for answer in answers if b"hush" in answer.body]
