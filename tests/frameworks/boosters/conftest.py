"""Boosting, statistics and forecasting libraries, in .venvs/boosters: a store and a key of its own for every test."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.running import forget_environment

import runlore
from runlore.client.connection import close_stores
from runlore.settings import settings

os.environ |= {"MPLBACKEND": "agg", "OMP_NUM_THREADS": "1"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What other libraries warn of is theirs; a warning of our own is an error."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("ignore"))
            item.add_marker(pytest.mark.filterwarnings("error:::runlore"))


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No run stays open after a test, and nothing of it is where the next one looks."""
    forget_environment(monkeypatch)
    monkeypatch.setenv("RUNLORE_CONFIG_DIR", str(tmp_path / "config"))
    place = tmp_path / "work"
    place.mkdir()
    monkeypatch.chdir(place)
    runlore.set_tracking_uri(tmp_path / "store")
    yield
    while runlore.active_run():
        runlore.end_run()
    close_stores()


@pytest.fixture
def stranger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Call it to become another installation, which has written none of the models."""

    def become() -> None:
        monkeypatch.setenv("RUNLORE_CONFIG_DIR", str(tmp_path / "stranger"))
        settings.cache_clear()

    return become
