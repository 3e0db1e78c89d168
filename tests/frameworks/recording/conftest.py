"""Clean surroundings, in an environment that holds notebooks' kernels and libraries of datasets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.running import forget_environment

import runlore
from runlore.client.connection import close_stores


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    forget_environment(monkeypatch)
    monkeypatch.setenv("RUNLORE_SNAPSHOT", "1")
    monkeypatch.setenv("RUNLORE_CONSOLE", "1")
    runlore.set_tracking_uri(tmp_path / "store")
    yield
    while runlore.active_run():
        runlore.end_run()
    close_stores()
