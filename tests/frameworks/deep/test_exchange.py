"""MLflow loads what Runlore saved, Runlore loads what MLflow saved. Needs a Python with these libraries and MLflow 3."""

from __future__ import annotations

import json
import os
import subprocess
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from tests.frameworks.deep import models_to_exchange as given

import runlore.pyfunc

VARIABLE = "RUNLORE_DEEP_MLFLOW_PYTHON"


@pytest.fixture
def referee() -> Path:
    """The interpreter of an environment with MLflow 3, its tensorflow, and the libraries of this one."""
    if not (python := os.environ.get(VARIABLE)):
        pytest.skip(f"{VARIABLE} names no Python with MLflow 3 and deep learning libraries: both are too large to ask for.")
    return Path(python)


def ask(referee: Path, what: str, place: Path) -> None:
    script = Path(__file__).with_name("referee.py")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "RUNLORE_", "PYTHON"))}
    command = [str(referee), "-W", "ignore", str(script), what, str(place)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def same(left: object, right: object) -> bool:
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list) and left and isinstance(left[0], dict | str):
        return len(left) == len(right) and all(same(*pair) for pair in zip(left, right, strict=True))
    return left == right if isinstance(left, str) else np.allclose(np.array(left), np.array(right))


def test_mlflow_predicts_the_same_by_our_models(referee: Path, tmp_path: Path) -> None:
    expected = {}
    for name, (module, model, options) in given.models(tmp_path).items():
        import_module(f"runlore.{module}").save_model(model, tmp_path / name, **options)
        given.note(tmp_path / f"{name}.json", runlore.pyfunc.load_model(tmp_path / name).predict(given.DATA[name]))
        expected[name] = json.loads((tmp_path / f"{name}.json").read_text())
    ask(referee, "read", tmp_path)
    for name, mine in expected.items():
        assert same(mine, json.loads((tmp_path / f"{name}.json").read_text())), name


def test_we_predict_the_same_by_models_of_mlflow(referee: Path, tmp_path: Path) -> None:
    ask(referee, "write", tmp_path)
    for name, data in given.DATA.items():
        expected = json.loads((tmp_path / f"{name}.json").read_text())
        given.note(tmp_path / "mine.json", runlore.pyfunc.load_model(tmp_path / name, allow_pickle=True).predict(data))
        assert same(expected, json.loads((tmp_path / "mine.json").read_text())), name
