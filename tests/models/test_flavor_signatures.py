"""Functions of frameworks take what those of the installed MLflow 3 take: names, order, kinds, defaults."""

from __future__ import annotations

import inspect
import json
import os
import subprocess
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest

VARIABLE = "RUNLORE_MLFLOW3_PYTHON"
PYTHON = Path(os.environ.get(VARIABLE) or Path(__file__).parents[2] / ".venvs/mlflow3/bin/python")

CONSENT = {"allow_pickle"}
"""Parameters of Runlore alone, by keyword: who may load what."""

FUNCTIONS = {
    "spark": "get_default_conda_env get_default_pip_requirements load_model log_model save_model",
    "pytorch": """
        autolog get_default_conda_env get_default_pip_requirements load_checkpoint load_model load_state_dict log_model
        log_state_dict save_model save_state_dict""",
    "sentence_transformers": "get_default_conda_env get_default_pip_requirements load_model log_model save_model",
    "spacy": "get_default_conda_env get_default_pip_requirements load_model log_model save_model",
    "transformers": "autolog get_default_conda_env get_default_pip_requirements load_model log_model save_model",
}
ADDED_DEFAULTS = {("transformers", "get_default_conda_env"), ("transformers", "get_default_pip_requirements")}
"""Functions whose argument may be left out here."""

PROGRAM = """
import importlib, inspect, json, sys
def described(value):
    parameters = inspect.signature(value).parameters.values()
    return [[p.name, p.kind.name, None if p.default is p.empty else repr(p.default)] for p in parameters]
found = {}
for name, functions in json.loads(sys.argv[1]).items():
    module = importlib.import_module("mlflow." + name)
    found[name] = {function: described(getattr(module, function)) for function in functions.split()}
print(json.dumps(found))
"""


@cache
def mlflows() -> dict[str, dict[str, list[list[str]]]]:
    """Module -> function -> parameters, as the installed MLflow has them."""
    if not PYTHON.is_file():
        pytest.skip(f"No MLflow 3 at {PYTHON}. `make .venvs/mlflow3/.ready` installs it, or set {VARIABLE}.")
    command = [str(PYTHON), "-I", "-W", "ignore", "-c", PROGRAM, json.dumps(FUNCTIONS)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    found: dict[str, dict[str, list[list[str]]]] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("module", FUNCTIONS)
def test_parameters_are_mlflows(module: str) -> None:
    for name, theirs in mlflows()[module].items():
        parameters = inspect.signature(getattr(import_module(f"runlore.{module}"), name)).parameters.values()
        mine = [
            [item.name, item.kind.name, None if item.default is item.empty else repr(item.default)]
            for item in parameters
            if not (item.kind is item.KEYWORD_ONLY and item.name in CONSENT)
        ]
        if (module, name) in ADDED_DEFAULTS:
            mine, theirs = [entry[:2] for entry in mine], [entry[:2] for entry in theirs]
        assert mine == theirs, f"runlore.{module}.{name}"
