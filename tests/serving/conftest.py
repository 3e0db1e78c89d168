"""Clean surroundings: a store and a configuration of the test's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.running import forget_environment

from runlore.settings import settings


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The working directory, the key and the environments of a test are below `tmp_path`."""
    forget_environment(monkeypatch)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RUNLORE_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setenv("RUNLORE_ENV_ROOT", str(tmp_path / "environments"))
    settings.cache_clear()
    yield
    settings.cache_clear()
