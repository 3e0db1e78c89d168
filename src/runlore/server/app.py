"""Everything that is served, put together: this file is the list of the house's doors."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from functools import cache, partial
from pathlib import Path

from runlore.api.experiments import GetExperiment
from runlore.api.openapi import document
from runlore.api.operation import Public, View
from runlore.exceptions import RunloreError
from runlore.server import static
from runlore.server.artifacts import Artifacts
from runlore.server.auth import Access, LocalAccess
from runlore.server.dispatch import Dispatcher, SubmittingStore, add_operations
from runlore.server.events import Events
from runlore.server.export import Exports
from runlore.server.reference import STYLE, page
from runlore.server.routes import Endpoint, Handler, Routes
from runlore.server.webhooks import Webhooks
from runlore.version import MLFLOW_VERSION, __version__
from runlore.web.http import Application, Receive, Reply, Request, Scope, Send, json_reply, text_reply
from runlore.web.observer import Observer, prometheus
from runlore.web.proxies import Proxies
from runlore.web.security import Security

READY_SECONDS = 5.0
"""How long the database may take to answer `/health/ready`."""


class App:
    """The ASGI application of one store. When it shuts down it closes the store, after the last request."""

    def __init__(
        self,
        store: SubmittingStore,
        host: str = "127.0.0.1",
        allowed_hosts: Iterable[str] = (),
        access: Access | None = None,
        dashboard: Path = static.FOLDER,
        proxies: Proxies | None = None,
    ) -> None:
        access = access or LocalAccess()
        self._store, self.access = store, access
        self._artifacts = Artifacts(store, access)
        self.routes = Routes()
        self.webhooks = Webhooks(store, access)
        own = self._artifacts.operations() | Exports(store, access).operations() | self.webhooks.operations()
        add_operations(self.routes, store, access, own)
        self._artifacts.add_to(self.routes)
        self.events = Events(store, access)
        self.events.add_to(self.routes)
        _add_pages(self.routes, store)
        static.Dashboard(dashboard).add_to(self.routes)
        self._guarded: Application = Security(Dispatcher(self.routes), host, allowed_hosts, proxies)

    def observe(self, observer: Observer, *, metrics: bool = False) -> None:
        """Let every request from now on be seen; with `metrics`, `/metrics` says what was."""
        if metrics:
            self.routes.add(Endpoint("Metrics", "GET", "/metrics", View(), partial(_metrics, self, observer)))
        self._guarded = observer.observing(self._guarded)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or follow the server's start and stop. WebSockets are not spoken."""
        if scope["type"] == "http":
            await self._guarded(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._live(receive, send)
        else:
            await send({"type": "websocket.close", "code": 1003})

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                self.webhooks.start()
                await send({"type": "lifespan.startup.complete"})
                continue
            await asyncio.to_thread(self.close)
            await send({"type": "lifespan.shutdown.complete"})
            return

    def end_streams(self) -> None:
        """End the answers that would go on for ever: the server is about to stop."""
        self.events.close()

    def close(self) -> None:
        """Finish what is under way and close the store. Calling it twice is harmless."""
        self.end_streams()
        self.webhooks.close()
        self._artifacts.close()
        self._store.close()


def _add_pages(routes: Routes, store: SubmittingStore) -> None:
    pages: dict[str, Handler] = {
        "/health": partial(_health, store),
        "/health/ready": partial(_ready, store),
        "/version": _version,
        "/api/openapi.json": _openapi,
        "/api/docs": _reference,
        "/api/docs.css": _style,
    }
    for path, handle in pages.items():
        routes.add(Endpoint("Page", "GET", path, Public, handle))


async def _health(store: SubmittingStore, request: Request) -> Reply:
    """`OK`, as MLflow says it, unless the store takes no more writes."""
    failure = getattr(store, "failure", None)
    return text_reply(f"The store takes no writes: {failure}", status=503) if failure else text_reply("OK")


async def _ready(store: SubmittingStore, request: Request) -> Reply:
    """Whether the database answers now: for load balancers, where `/health` is for supervisors."""
    try:
        await asyncio.wait_for(asyncio.wrap_future(store.submit(GetExperiment(experiment_id="0"))), READY_SECONDS)
    except (RunloreError, TimeoutError):  # what exactly is wrong is nobody's business here
        return text_reply("The database does not answer.", status=503)
    return await _health(store, request)


async def _version(request: Request) -> Reply:
    """MLflow's version, which its clients parse; Runlore's own is in a header, and that creations may carry keys."""
    reply = text_reply(MLFLOW_VERSION)
    reply.headers += [(b"x-runlore-version", __version__.encode()), (b"x-runlore-honours", b"idempotency-key")]
    return reply


async def _metrics(app: App, observer: Observer, request: Request) -> Reply:
    app.access.check(View(), None, request)
    return observer.reply(prometheus("runlore_event_listeners", "gauge", "Streams of changes.", [("", app.events.listeners)]))


async def _openapi(request: Request) -> Reply:
    return json_reply(_document_bytes())


async def _reference(request: Request) -> Reply:
    return text_reply(_page(), "text/html; charset=utf-8")


async def _style(request: Request) -> Reply:
    return text_reply(STYLE, "text/css; charset=utf-8")


@cache
def _document_bytes() -> bytes:
    import msgspec

    return msgspec.json.encode(document())


@cache
def _page() -> str:
    return page(document())
