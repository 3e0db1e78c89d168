"""Stores and servers for journals, and child processes that log."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.running import forget_environment

from runlore.client.connection import close_stores


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working directory and a spool of its own for every test."""
    forget_environment(monkeypatch)
    spool = tmp_path / "spöol"
    monkeypatch.setenv("RUNLORE_SPOOL_DIR", str(spool))
    place = tmp_path / "ein Ort"
    place.mkdir()
    monkeypatch.chdir(place)
    yield spool
    close_stores()


@pytest.fixture(params=["local", "server"])
def uri(request: pytest.FixtureRequest) -> str:
    """The URI of a local store, and of a server."""
    return str(Path.cwd() / "store") if request.param == "local" else str(request.getfixturevalue("server"))
