"""A key, a store and a working directory of its own for every test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from runlore.settings import settings


@pytest.fixture(autouse=True)
def installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The configuration directory of this test's installation."""
    place = tmp_path / "config"
    for name in ("RUNLORE_TRACKING_URI", "MLFLOW_TRACKING_URI", "RUNLORE_RUN_ID", "MLFLOW_RUN_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RUNLORE_CONFIG_DIR", str(place))
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    settings.cache_clear()
    yield place
    settings.cache_clear()
