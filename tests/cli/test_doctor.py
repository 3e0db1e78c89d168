"""`runlore doctor` on what is not the store: installation, journals, servers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import runlore
from runlore.version import __version__

DIES = """
import os, runlore
runlore.set_tracking_uri("http://127.0.0.1:1")
with runlore.start_run():
    for step in range(5):
        runlore.log_metric("loss", 1.0, step=step)
    os._exit(0)
"""


def examined(place: Path, *arguments: str, **variables: str) -> tuple[int, dict[str, str]]:
    """Exit code, and the findings: text by level (the last of a level)."""
    environment = {"PATH": os.environ["PATH"], "XDG_STATE_HOME": str(place / "state"), **variables}
    command = [sys.executable, "-m", "runlore.cli.main", "doctor", "--json", *arguments]
    done = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert "Error" not in done.stderr  # it may say that it tries again
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return done.returncode, {finding["what"]: finding["level"] for finding in found}


def test_an_installation_without_a_store(tmp_path: Path) -> None:
    code, found = examined(tmp_path, RUNLORE_API_TOKEN="abcdefgh", RUNLORE_CONSOLE="0")
    assert code == 0
    assert any(what.startswith(f"Runlore {__version__} ") for what in found)
    assert "The environment says RUNLORE_API_TOKEN=***, RUNLORE_CONSOLE=0." in found
    assert any("GPU" in what for what in found)
    assert [what.split(":")[0] for what, level in found.items() if level == "note"] == ["There is no store yet"]
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_behind_is_counted_and_stays(tmp_path: Path) -> None:
    state = {"XDG_STATE_HOME": str(tmp_path / "state"), "RUNLORE_OFFLINE": "1"}
    subprocess.run([sys.executable, "-c", DIES], cwd=tmp_path, env={**os.environ, **state}, check=True, timeout=60)
    for _ in range(2):
        _, found = examined(tmp_path)
        [warning] = [what for what, level in found.items() if level == "warning"]
        assert "log calls of 1 ended process wait in " in warning


def test_a_server_and_one_that_is_not_there(tmp_path: Path, server: str) -> None:
    code, found = examined(tmp_path, server)
    assert code == 0
    assert any(what.startswith(f"{server} is a server of Runlore {runlore.__version__} and answers in ") for what in found)
    code, found = examined(tmp_path, "http://127.0.0.1:1")
    assert (code, "error" in found.values()) == (1, True)
