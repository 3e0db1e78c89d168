"""What several rooms' tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.server.live import LiveServer


@pytest.fixture(scope="session")
def live_server() -> Iterator[LiveServer]:
    """A real server; `serving(app)` puts an application behind it."""
    server = LiveServer()
    yield server
    server.stop()
