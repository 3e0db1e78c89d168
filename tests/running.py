"""A real `runlore server` for tests, and clean surroundings for code that looks at the environment."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from runlore.settings import settings

VARIABLES = (
    "TRACKING_URI", "REGISTRY_URI", "EXPERIMENT_ID", "EXPERIMENT_NAME", "RUN_ID", "ACTIVE_EXPERIMENT", "TRUNCATE_LONG_VALUES",
)  # fmt: skip


@contextmanager
def running_server(store: Path, port: int = 0) -> Iterator[str]:
    """The URL of a server on a store of its own. Nothing may go wrong inside it: its standard error stays empty."""
    command = [sys.executable, "-m", "runlore.cli.main", "server", "--port", str(port), "--store", str(store)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        first = process.stderr.readline()
        found = re.search(r"http://localhost:\d+", first)
        assert found, first + process.stderr.read()
        try:
            yield found[0].replace("localhost", "127.0.0.1")
        finally:
            process.send_signal(signal.SIGTERM)
            rest = process.stderr.read()
            assert process.wait(timeout=30) == 0
        assert rest == ""


def forget_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No tracking variable is set, and those that the test sets are taken back after it."""
    for name in VARIABLES:
        for prefix in ("RUNLORE", "MLFLOW"):
            monkeypatch.setenv(f"{prefix}_{name}", "")
            monkeypatch.delenv(f"{prefix}_{name}")
    settings.cache_clear()
