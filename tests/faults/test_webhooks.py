"""Webhooks when servers are killed, and when there are several: nothing is lost, and nothing is sent by two at once."""

from __future__ import annotations

from pathlib import Path

from tests.faults.served import serving
from tests.receiver import receiving

from runlore.api.registry import CreateRegisteredModel
from runlore.api.webhooks import CreateWebhook, FindWebhooks
from runlore.entities.webhook import WebhookEventEntry
from runlore.settings import Settings
from runlore.store.base import open_store
from runlore.store.http import HttpStore

CREATED = WebhookEventEntry(entity="REGISTERED_MODEL", action="CREATED")
OPTIONS = ["--webhook-networks", "127.0.0.1"]


def test_what_was_acknowledged_is_told_after_a_kill(tmp_path: Path) -> None:
    """The receiver answers nobody before the server is killed, so whatever was sent by then is not known to have arrived."""
    names = [f"M{number}" for number in range(20)]
    with receiving() as receiver, serving(str(tmp_path / "store"), tmp_path, options=OPTIONS) as served:
        receiver.open.clear()
        store = HttpStore(served.url, Settings())
        store.call(CreateWebhook(name="hook", url=receiver.url, events=[CREATED]))
        for name in names:
            store.call(CreateRegisteredModel(name=name))
        store.close()
        receiver.wait_for(1)
        served.kill()
        receiver.received.clear()
        receiver.open.set()
        _end_leases(str(tmp_path / "store"))
        served.start()
        receiver.wait_for(len(names))
        assert sorted(message.body["data"]["name"] for message in receiver.received) == sorted(names)


def test_several_servers_send_each_message_once(tmp_path: Path, postgresql: str) -> None:
    names = [f"M{number}" for number in range(60)]
    with (
        receiving() as receiver,
        serving(postgresql, tmp_path, options=OPTIONS) as first,
        serving(postgresql, tmp_path, options=OPTIONS) as second,
    ):
        stores = [HttpStore(served.url, Settings()) for served in (first, second)]
        stores[0].call(CreateWebhook(name="hook", url=receiver.url, events=[CREATED]))
        for number, name in enumerate(names):
            stores[number % 2].call(CreateRegisteredModel(name=name))
        receiver.wait_for(len(names))
        while stores[0].call(FindWebhooks()).webhooks[0].pending:
            pass
        for store in stores:
            store.close()
        assert sorted(message.body["data"]["name"] for message in receiver.received) == sorted(names)


def _end_leases(uri: str) -> None:
    """Nobody has to wait for a minute."""
    store = open_store(uri)
    db = store._database.write()  # type: ignore[attr-defined]
    db.execute("UPDATE webhook_delivery SET due = 0")
    db.commit()
    store.close()
