"""The real `mlflow` packages, each in an environment of its own, against a real `runlore server`."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
VERSIONS = (2, 3)


def mlflow_of(version: int) -> Path:
    """The interpreter of an environment that holds a real MLflow of this major version; skips the test without one."""
    name = f"RUNLORE_MLFLOW{version}_PYTHON"
    python = Path(os.environ.get(name) or ROOT / f".venvs/mlflow{version}/bin/python")
    if not python.is_file():
        pytest.skip(f"No MLflow {version} at {python}. `make .venvs/mlflow{version}/.ready` installs it, or set {name}.")
    return python


@pytest.fixture(params=VERSIONS, ids=lambda version: f"mlflow{version}")
def mlflow_python(request: pytest.FixtureRequest) -> Path:
    """The interpreter of an environment that holds a real MLflow."""
    return mlflow_of(request.param)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """The URL of a `runlore server` on an empty store."""
    command = [sys.executable, "-m", "runlore.cli.main", "server", "--port", "0", "--store", str(tmp_path / "store")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        first = process.stderr.readline()
        found = re.search(r"http://localhost:\d+", first)
        assert found, first + process.stderr.read()
        yield found[0]
        process.send_signal(signal.SIGTERM)
        rest = process.stderr.read()
        assert process.wait(timeout=30) == 0
        assert rest == ""  # nothing failed inside the server
