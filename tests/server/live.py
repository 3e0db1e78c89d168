"""A real server on a real socket, in a thread of the test process: the application behind it is changed in no time."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.server.wire import Wire

from runlore.server.app import App
from runlore.store.sql.store import SqlStore
from runlore.web.http import Receive, Scope, Send
from runlore.web.listening import bind, configuration
from runlore.web.protocol import BoundedProtocol, BoundedServer


class LiveServer:
    """One listening uvicorn for the whole session; `serving` puts an application behind it."""

    def __init__(self) -> None:
        self._app: App | None = None
        self._listener: socket.socket = bind("127.0.0.1", 0)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._ready = threading.Event()
        self._server = BoundedServer(configuration(self), self._ready.set)  # type: ignore[arg-type]
        self._thread = threading.Thread(target=self._server.run, args=([self._listener],), daemon=True)
        self._thread.start()
        assert self._ready.wait(30)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on to the application of the current test; the server's own start and stop are not its business."""
        if scope["type"] == "lifespan":
            while (await receive())["type"] == "lifespan.startup":
                await send({"type": "lifespan.startup.complete"})
            await send({"type": "lifespan.shutdown.complete"})
            return
        assert self._app is not None, "a request came in between two tests"
        await self._app(scope, receive, send)

    @contextmanager
    def serving(self, app: App) -> Iterator[str]:
        """Serve an application, and close it, its store too, at the end."""
        self._app = app
        try:
            yield self.url
        finally:
            self._app = None
            app.close()

    def pass_time(self, seconds: float) -> None:
        """Let the server look for stalled connections as if it were later by so much."""
        for connection in list(self._server.server_state.connections):
            assert isinstance(connection, BoundedProtocol)
            connection.loop.call_soon_threadsafe(lambda one=connection: one.end_if_stalled(one.loop.time() + seconds))

    def stop(self) -> None:
        """End the server."""
        self._server.should_exit = True
        self._thread.join(30)
        self._listener.close()


class House(Wire):
    """A served store with everything at hand."""

    def __init__(self, server: LiveServer, app: App, store: SqlStore, artifacts: Path) -> None:
        super().__init__(server.port)
        self.server, self.app, self.store, self.artifacts = server, app, store, artifacts
