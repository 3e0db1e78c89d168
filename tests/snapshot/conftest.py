"""A project in a git repository, and scripts that are run in it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.running import forget_environment

import runlore
from runlore.client.connection import close_stores

SCRIPT = """
import runlore
runlore.set_tracking_uri("../store")
with runlore.start_run() as run:
    print(run.info.run_id)
"""


def git(place: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "init.defaultBranch=main"]
    done = subprocess.run(["git", *identity, *arguments], cwd=place, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing of the environment decides; the store lies beside the project."""
    forget_environment(monkeypatch)
    monkeypatch.setenv("RUNLORE_SNAPSHOT", "1")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    runlore.set_tracking_uri(tmp_path / "store")
    yield
    while runlore.active_run():
        runlore.end_run()
    close_stores()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A repository with one commit, on the branch main, with a remote whose URL holds a password."""
    place = tmp_path / "projekt ß"
    place.mkdir()
    git(place, "init", "-q")
    (place / "train.py").write_text(SCRIPT)
    (place / "model.py").write_text("LAYERS = 3\n")
    git(place, "add", ".")
    git(place, "commit", "-qm", "Begin")
    git(place, "remote", "add", "origin", "https://ada:hunter22@git.example.org/team/project.git")
    return place


@pytest.fixture
def ran() -> Callable[..., str]:
    """Runs train.py in a directory; gives the id of the run that it logged."""

    def run(place: Path, *arguments: str, **variables: str) -> str:
        environment = {**os.environ, **variables}
        command = [sys.executable, "train.py", *arguments]
        done = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout.strip()

    return run


def stored(run_id: str) -> dict[str, Any]:
    """The snapshot of a run."""
    found: dict[str, Any] = json.loads(text(run_id, "snapshot.json"))
    return found


def text(run_id: str, name: str) -> str:
    return runlore.artifacts.load_text(f"runs:/{run_id}/runlore/snapshot/{name}")


def files(run_id: str) -> set[str]:
    """The names of the files of a snapshot."""
    client = runlore.MlflowClient()
    return {info.path.removeprefix("runlore/snapshot/") for info in client.list_artifacts(run_id, "runlore/snapshot")}
