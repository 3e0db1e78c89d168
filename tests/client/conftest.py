"""Clients to test: of a local directory, and of a real server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.running import forget_environment

from runlore.client import RunloreClient
from runlore.client.connection import close_stores


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A working directory of its own, with a blank and a letter beyond ASCII in its path."""
    forget_environment(monkeypatch)
    place = tmp_path / "mein Verzeichnis é"
    place.mkdir()
    monkeypatch.chdir(place)
    yield
    close_stores()


@pytest.fixture(params=["local", "server"])
def client(request: pytest.FixtureRequest) -> RunloreClient:
    """A client of an empty local store, and one of a server."""
    return RunloreClient(Path.cwd() / "store" if request.param == "local" else request.getfixturevalue("server"))


@pytest.fixture
def experiment(client: RunloreClient, request: pytest.FixtureRequest) -> str:
    """An experiment of its own for the test."""
    return client.create_experiment(request.node.nodeid)


@pytest.fixture
def run_id(client: RunloreClient, experiment: str) -> str:
    """An open run."""
    return client.create_run(experiment).info.run_id
