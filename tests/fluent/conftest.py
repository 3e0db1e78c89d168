"""A working directory, an environment and a fluent state of its own for every test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.running import forget_environment

import runlore
from runlore.client.connection import close_stores


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A new directory with a blank and a letter beyond ASCII in its path; no run stays open after the test."""
    forget_environment(monkeypatch)
    place = tmp_path / "mon projet é"
    place.mkdir()
    monkeypatch.chdir(place)
    yield
    while runlore.active_run():
        runlore.end_run()
    runlore.clear_active_model()
    close_stores()


@pytest.fixture(params=["local", "server"])
def tracking_uri(request: pytest.FixtureRequest) -> str:
    """The store in use: the one of the working directory, or a server."""
    if request.param == "server":
        runlore.set_tracking_uri(request.getfixturevalue("server"))
    return runlore.get_tracking_uri()


@pytest.fixture
def experiment(tracking_uri: str, request: pytest.FixtureRequest) -> str:
    """The id of the active experiment, one of its own for the test."""
    return runlore.set_experiment(request.node.nodeid).experiment_id
