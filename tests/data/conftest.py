"""Clean surroundings."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.running import forget_environment

from runlore.client.connection import close_stores


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    forget_environment(monkeypatch)
    yield
    close_stores()
