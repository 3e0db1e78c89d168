"""What several rooms' tests share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp

import pytest
from tests.running import running_server
from tests.server.live import House, LiveServer

from runlore.server.app import App
from runlore.store.base import open_store
from runlore.store.sql.store import SqlStore

# Runs are recorded where that is tested: in tests/snapshot and tests/console.
os.environ["RUNLORE_SNAPSHOT"] = os.environ["RUNLORE_CONSOLE"] = "0"

os.environ.setdefault("XDG_STATE_HOME", mkdtemp(prefix="runlore-state-"))  # journals; child processes look there too


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a server that all tests of the session share."""
    with running_server(tmp_path_factory.mktemp("server") / "store") as url:
        yield url


@pytest.fixture(scope="session")
def live_server() -> Iterator[LiveServer]:
    """A real server; `serving(app)` puts an application behind it."""
    server = LiveServer()
    yield server
    server.stop()


@pytest.fixture
def house(live_server: LiveServer, tmp_path: Path) -> Iterator[House]:
    """A server on an empty store, with the application and the artifact directory at hand."""
    artifacts = tmp_path / "store" / "artifacts"
    store = open_store(f"sqlite:///{tmp_path / 'store' / 'runlore.db'}", artifacts=str(artifacts))
    assert isinstance(store, SqlStore)
    dashboard = tmp_path / "dashboard"
    (dashboard / "assets").mkdir(parents=True)
    (dashboard / "index.html").write_text("<!doctype html><title>Runlore</title>" + "<p>page</p>" * 100)
    (dashboard / "assets" / "index-abc123.js").write_text("console.log('hello');" * 100)
    app = App(store, dashboard=dashboard)
    with live_server.serving(app):
        yield House(live_server, app, store, artifacts)
