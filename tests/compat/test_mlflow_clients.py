"""Unmodified MLflow clients, 2.22 and 3.17, do what their users do with them, against Runlore."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from tests.compat.conftest import mlflow_of

SCRIPTS = Path(__file__).parent / "scripts"


def environment_of(server: str, folder: Path) -> dict[str, str]:
    """A user's environment, in which a server's address is set."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "RUNLORE_", "PYTHON"))}
    return environment | {
        "MLFLOW_TRACKING_URI": server,
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MPLCONFIGDIR": str(folder),
        "GIT_PYTHON_REFRESH": "quiet",
    }


def run(python: Path, script: str, server: str, folder: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run a script as a user would: the server's address is in the environment, the code knows nothing of it."""
    return subprocess.run(
        [str(python), "-W", "ignore", str(SCRIPTS / script)],
        cwd=folder, env=environment_of(server, folder) | settings, capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip


def test_the_guides_script_runs_unmodified(mlflow_python: Path, server: str, tmp_path: Path) -> None:
    done = run(mlflow_python, "guide.py", server, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].startswith("done ")
    assert not (tmp_path / "mlruns").exists()


def test_everyday_use(mlflow_python: Path, server: str, tmp_path: Path) -> None:
    done = run(mlflow_python, "everyday.py", server, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "FAILED" not in done.stdout
    assert done.stdout.count("\nok ") + done.stdout.startswith("ok ") == 13
    assert "Logging model metadata to the tracking server has failed" not in done.stderr


@pytest.mark.parametrize(
    "forced", [{}, {"MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD": "true", "MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD": "true"}]
)
def test_large_files_go_in_parts(server: str, tmp_path: Path, forced: dict[str, str]) -> None:
    """MLflow 3 sends large files in parts where the server says that it takes them, and where it is told to."""
    python = mlflow_of(3)
    small = {"UPLOAD_MINIMUM_FILE_SIZE": "300000", "UPLOAD_CHUNK_SIZE": "200000", "DOWNLOAD_CHUNK_SIZE": "150000"}
    settings = {f"MLFLOW_MULTIPART_{name}": value for name, value in small.items()}
    done = run(python, "large_files.py", server, tmp_path, **settings, **forced)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "done"
    left = [path.name for path in (tmp_path / "store" / "artifacts" / ".uploads%").rglob("*") if path.is_file()]
    assert left == ["done"] * 2
