"""The same project, run by MLflow 3 and by Runlore: the same arguments reach it, and the same is recorded."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.compat.conftest import mlflow_of

PROJECT = """
entry_points:
  main:
    parameters:
      alpha: {type: float, default: 0.5}
      name: {type: string, default: plain}
      l1: float
      data: {type: path, default: data.csv}
      place: {type: uri, default: "s3://bucket/x"}
    command: "python show.py --alpha {alpha} --l1 {l1} --name {name} --data {data} --place {place}"
"""
SHOW = "import json, sys\nopen('said.json', 'w').write(json.dumps(sys.argv[1:]))\n"
SCRIPT = """
import json, sys
if sys.argv[1] == "runlore":
    import runlore
    runlore.install_as_mlflow()
import mlflow
mlflow.set_tracking_uri(sys.argv[2])
mlflow.set_experiment("E")
with mlflow.start_run():
    submitted = mlflow.run(".", parameters={"l1": 0.1, "more": "x y"}, run_name="rn", env_manager="local")
run = mlflow.get_run(submitted.run_id)
print(json.dumps({
    "status": run.info.status, "name": run.info.run_name, "params": run.data.params, "tags": run.data.tags,
    "said": json.load(open("said.json")), "waited": submitted.wait(), "state": submitted.get_status(),
}))
"""


def asked(python: Path, which: str, store: str, project: Path) -> dict[str, Any]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "RUNLORE_", "PYTHON"))}
    environment |= {"PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}", "GIT_PYTHON_REFRESH": "quiet"}
    done = subprocess.run(
        [str(python), "-W", "ignore", "-c", SCRIPT, which, store],
        cwd=project, env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    found["params"]["more"] = found["params"]["more"].strip("'")  # MLflow records the quotes of the shell, too
    assert found["tags"].pop("mlflow.parentRunId")
    return found


def test_a_project_is_the_same_to_both(tmp_path: Path, server: str) -> None:
    project = tmp_path / "project"
    project.mkdir()
    for name, text in {"MLproject": PROJECT, "show.py": SHOW, "data.csv": "a\n"}.items():
        (project / name).write_text(text)
    theirs = asked(mlflow_of(3), "mlflow", server, project)
    ours = asked(Path(sys.executable), "runlore", server, project)
    assert ours == theirs
