"""Sending webhooks: a thread looks for messages that are due, a few others send them.

Nothing here is in the way of a request. Messages are rows that were written with what they tell (`store/sql/outbox.py`), so a
server that is killed has lost none; several server processes share the work, and what one of them has taken no other sends.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import threading
import time
from base64 import b64encode
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any
from uuid import uuid4

from runlore.api.operation import Operation, encode
from runlore.api.webhooks import CreateAlert, CreateWebhook, TestWebhook, UpdateWebhook, WebhookTestReply
from runlore.entities import WebhookEvent, WebhookTestResult
from runlore.exceptions import RunloreError
from runlore.server.auth import Access
from runlore.server.dispatch import SubmittingStore, read_operation
from runlore.server.outbound import Network, Outbound, Refused, Unreachable
from runlore.server.routes import Handler
from runlore.store.outbox import GetOutlook, GetTarget, Message, SettleMessage, TakeMessages, Target, TellOfLostRuns
from runlore.store.sql.messages import message
from runlore.version import __version__
from runlore.web.http import Reply, Request, json_reply

LOOK_SECONDS = 0.5
"""Between two looks at whether anything was written."""
LOST_SECONDS = 5.0
"""Between two looks for lost runs, where somebody waits for them."""
SENDERS = 16
"""Messages on their way at once, in this process."""
STOP_SECONDS = 3.0
"""How long messages on their way may take when the server stops."""
_TRY_AGAIN = (408, 425, 429)

logger = logging.getLogger("runlore.server")

_TAGS = {"example_key": "example_value"}
_MODEL = {"name": "example_model", "version": "1"}
EXAMPLES: dict[str, dict[str, Any]] = {
    "registered_model.created": {"name": "example_model", "tags": _TAGS, "description": "An example"},
    "model_version.created": {
        **_MODEL, "source": "models:/m-00000000000000000000000000000000", "run_id": "0" * 32, "tags": _TAGS,
        "description": "An example",
    },
    "model_version_tag.set": {**_MODEL, "key": "example_key", "value": "example_value"},
    "model_version_tag.deleted": {**_MODEL, "key": "example_key"},
    "model_version_alias.created": {"name": "example_model", "alias": "example_alias", "version": "1"},
    "model_version_alias.deleted": {"name": "example_model", "alias": "example_alias"},
}  # fmt: skip
_EXAMPLE_RUN = {
    "run_id": "0" * 32, "run_name": "example-run", "status": "FAILED", "start_time": 0, "end_time": None,
    "experiment_id": "0", "experiment_name": "Default",
    "text": "This is a test: run example-run of experiment Default has failed.",
}  # fmt: skip


class Webhooks:
    """The webhooks of one server process."""

    def __init__(self, store: SubmittingStore, access: Access) -> None:
        self._store, self._access = store, access
        self._outbound = Outbound()
        self._stopped, self._wake = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        self._senders = ThreadPoolExecutor(SENDERS, thread_name_prefix="runlore-webhook")
        self._busy: Counter[str] = Counter()
        self._sending = 0
        self._lock = threading.Lock()
        self._seen: int | str | None = None
        self._look_again = 0.0

    def operations(self) -> dict[type[Operation[Any]], Handler]:
        """Those that are answered here: they name an address, or ask to send."""
        made: dict[type[Operation[Any]], Handler] = {
            kind: partial(self._keep, kind) for kind in (CreateWebhook, UpdateWebhook, CreateAlert)
        }
        return {**made, TestWebhook: self._test}

    def allow(self, networks: Iterable[Network]) -> None:
        """Let messages go to these networks, too. Before `start`."""
        self._outbound = Outbound(networks)

    def start(self) -> None:
        """Begin to send. Calling it twice is harmless."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="runlore-webhooks", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Stop taking messages, and wait a little for those on their way. Calling it twice is harmless."""
        self._stopped.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
        self._senders.shutdown(wait=False, cancel_futures=True)  # what was not begun is sent when its lease ends
        deadline = time.monotonic() + STOP_SECONDS
        while self._sending and time.monotonic() < deadline:
            time.sleep(0.02)
        self._outbound.cut()
        self._senders.shutdown()

    # -- requests ---------------------------------------------------------------------------------------------------------

    async def _keep(self, kind: type[Operation[Any]], request: Request) -> Reply:
        operation = await read_operation(kind, self._access, request)
        if operation.url:
            self._outbound.check(operation.url)
        return json_reply(encode(await asyncio.wrap_future(self._store.submit(operation))))

    async def _test(self, request: Request) -> Reply:
        operation: TestWebhook = await read_operation(TestWebhook, self._access, request)
        target = await asyncio.wrap_future(self._store.submit(GetTarget(webhook_id=operation.webhook_id)))
        event = operation.event.event if operation.event else None
        result = await asyncio.to_thread(send_test, self._outbound, target, event)
        return json_reply(encode(WebhookTestReply(result=result)))

    # -- the thread -------------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._wake.wait(LOOK_SECONDS)
            self._wake.clear()
            if self._stopped.is_set():
                return
            try:
                self._look()
            except RunloreError as error:
                logger.warning("Webhooks have to wait: %s", error.message)
                self._stopped.wait(LOST_SECONDS)

    def _look(self) -> None:
        version = self._store.version()
        if version == self._seen and time.monotonic() < self._look_again:
            return
        outlook = self._store.call(GetOutlook())
        if outlook.lost:
            self._store.call(TellOfLostRuns())
        wait = LOST_SECONDS if outlook.watches_lost or outlook.due is not None else 3_600.0
        if outlook.due is not None:
            wait = min(wait, outlook.due / 1_000 - time.time())
            if wait <= 0:
                self._take()
        self._seen, self._look_again = version, time.monotonic() + max(wait, 0.0)

    def _take(self) -> None:
        with self._lock:
            free, busy = SENDERS - self._busy.total(), list(self._busy)
        if free <= 0:
            return
        for each in self._store.call(TakeMessages(limit=free, busy=busy)).messages:
            with self._lock:
                self._busy[each.target.webhook_id] += 1
            self._senders.submit(self._send, each)

    def _send(self, each: Message) -> None:
        with self._lock:
            self._sending += 1
        try:
            outcome = attempt(self._outbound, each)
            if outcome.error is not None:
                logger.warning("Webhook %s, attempt %d: %s", each.target.webhook_id, each.attempt, outcome.error)
            self._store.call(outcome)
        except RunloreError as error:  # the message is sent again when its lease ends
            logger.warning("What became of a message of webhook %s was not kept: %s", each.target.webhook_id, error.message)
        finally:
            with self._lock:
                self._sending -= 1
                self._busy[each.target.webhook_id] -= 1
                self._busy += Counter()  # forgets those with none
                free = each.target.webhook_id not in self._busy
            if free:
                self._wake.set()


def attempt(outbound: Outbound, each: Message) -> SettleMessage:
    """Send a message once; returns what became of it."""
    settled = partial(SettleMessage, delivery_id=each.delivery_id, attempt=each.attempt)
    try:
        answer = outbound.post(each.target.url, headers(each.target, each.delivery_id, each.body), each.body.encode())
    except Refused as error:
        return settled(error=error.message, final=True)
    except Unreachable as error:
        return settled(error=error.reason)
    if 200 <= answer.status < 300:
        return settled(response_status=answer.status)
    final = answer.status < 500 and answer.status not in _TRY_AGAIN
    said = f"Answered with status {answer.status}" + (", a redirect, which is not followed." if answer.status < 400 else ".")
    return settled(response_status=answer.status, error=said, final=final, pause_millis=1_000 * min(answer.retry_after, 3_600))


def send_test(outbound: Outbound, target: Target, event: WebhookEvent | None = None) -> WebhookTestResult:
    """Send a message with made-up content, once."""
    if target.kind == "alert":
        happened, data = ("run", "failed"), {**_EXAMPLE_RUN}
    else:
        chosen = event or WebhookEvent.from_str(target.events[0])
        happened, data = (chosen.entity, chosen.action), EXAMPLES[str(chosen)]
    body = message(happened, data, int(time.time() * 1_000))
    outcome = attempt(outbound, Message(str(uuid4()), 1, target, body))
    return WebhookTestResult(
        success=outcome.error is None, response_status=outcome.response_status, error_message=outcome.error
    )


def headers(target: Target, delivery_id: str, body: str) -> dict[str, str]:
    """The headers of a message: MLflow's for events of the registry, the same under Runlore's name for alerts.

    The id is that of the message, the same in every attempt; the time is that of the attempt.
    """
    brand, now = "MLflow" if target.kind == "registry" else "Runlore", str(int(time.time()))
    found = {
        "Content-Type": "application/json",
        "User-Agent": f"Runlore/{__version__}",
        f"X-{brand}-Delivery-Id": delivery_id,
        f"X-{brand}-Timestamp": now,
    }
    if target.secret:
        signed = hmac.digest(target.secret.encode(), f"{delivery_id}.{now}.{body}".encode(), "sha256")
        found[f"X-{brand}-Signature"] = f"v1,{b64encode(signed).decode()}"
    return found
