"""Signatures against those of the installed MLflow 3: names, order, kinds and defaults of the parameters.

Every difference is in `DIFFERENT` or `MISSING`, with its reason; one that is gone has to leave the table.
"""

from __future__ import annotations

import inspect
import json
import os
import re
import subprocess
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest

import runlore

ROOT = Path(__file__).parents[2]
VARIABLE = "RUNLORE_MLFLOW3_PYTHON"

PROGRAM = """
import inspect, json, sys
from types import SimpleNamespace
import mlflow, mlflow.artifacts, mlflow.config, mlflow.data, mlflow.deployments, mlflow.models, mlflow.pyfunc
import mlflow.exceptions, mlflow.system_metrics, mlflow.types
serving = SimpleNamespace(
    build_docker=mlflow.models.build_docker, build_model_env=mlflow.pyfunc.build_model_env, predict=mlflow.models.predict
)
places = {
    "mlflow": mlflow, "client": mlflow.MlflowClient, "artifacts": mlflow.artifacts, "data": mlflow.data,
    "deployments": mlflow.deployments, "deployment client": mlflow.deployments.BaseDeploymentClient, "serving": serving,
}
classes = {
    mlflow.models: "EvaluationResult MetricThreshold Model ModelConfig ModelSignature",
    mlflow.pyfunc: "PyFuncModel PythonModel PythonModelContext",
    mlflow.types: "ColSpec ParamSchema ParamSpec Schema TensorSpec",
}
for module in (mlflow.models, mlflow.pyfunc, mlflow.types, mlflow.config, mlflow.system_metrics, mlflow.exceptions):
    places[module.__name__.removeprefix("mlflow.")] = module
    places |= {name: getattr(module, name) for name in classes.get(module, "").split()}

def is_its_own(owner, value):
    # not what a module imported for itself
    own = getattr(owner, "__name__", "")
    place = getattr(value, "__module__", None) or ""
    if own == "mlflow.models":
        return getattr(value, "__name__", "") in owner.__all__
    return own not in ("mlflow.pyfunc", "mlflow.types", "mlflow.exceptions") or place.startswith(own)

def described(value):
    if not callable(value) or inspect.isclass(value):
        return None
    parameters = inspect.signature(value).parameters.values()
    return [[p.name, p.kind.name, None if p.default is p.empty else repr(p.default)] for p in parameters]

found = {}
for place, owner in places.items():
    functions = {n: described(getattr(owner, n)) for n in dir(owner) if n[0] != "_" and is_its_own(owner, getattr(owner, n))}
    if inspect.isclass(owner):
        functions["__init__"] = described(owner.__init__)
    found[place] = {name: parameters for name, parameters in functions.items() if parameters is not None}
json.dump(found, sys.stdout)
"""


class Parameter(NamedTuple):
    """What has to agree about a parameter."""

    name: str
    kind: str
    default: str | None


VIEW = "Runlore's ViewType holds the words of the wire; MLflow's numbers are accepted as well"
CONSENT = "Runlore's own, by keyword alone: what the caller vouches for"

DIFFERENT: dict[tuple[str, str, str], str] = {
    ("mlflow", "search_runs", "run_view_type"): VIEW,
    ("mlflow", "search_runs", "grammar"): "Runlore's own, by keyword alone: says which grammar a filter is in",
    ("mlflow", "search_experiments", "view_type"): VIEW,
    ("mlflow", "evaluate", "_called_from_genai_evaluate"): "not for callers",
    ("models", "evaluate", "_called_from_genai_evaluate"): "not for callers",
    ("models", "build_docker", "allow_pickle"): CONSENT,
    ("models", "build_docker", "trusted"): CONSENT,
    ("models", "predict", "allow_pickle"): CONSENT,
    ("models", "predict", "trusted"): CONSENT,
    ("models", "validate_serving_input", "allow_pickle"): CONSENT,
    ("models", "validate_serving_input", "trusted"): CONSENT,
    ("pyfunc", "load_model", "allow_pickle"): CONSENT,
    ("pyfunc", "load_model", "trusted"): CONSENT,
    ("pyfunc", "spark_udf", "allow_pickle"): CONSENT,
    ("pyfunc", "spark_udf", "trusted"): CONSENT,
    ("EvaluationResult", "load", "allow_pickle"): CONSENT,
    ("Model", "__init__", "model_uuid"): "MLflow's default makes one; None makes one here",
    ("Model", "__init__", "mlflow_version"): "what MLflow wrote: None for what Runlore writes",
    ("Model", "__init__", "kwargs"): "named others here: keys of a file that nobody knows",
    ("client", "search_runs", "run_view_type"): VIEW,
    ("client", "search_experiments", "view_type"): VIEW,
    ("serving", "build_docker", "allow_pickle"): CONSENT,
    ("serving", "build_docker", "trusted"): CONSENT,
    ("serving", "predict", "allow_pickle"): CONSENT,
    ("serving", "predict", "trusted"): CONSENT,
}
"""(place, function, parameter) -> why its default, kind or place is another one."""

LATER = "not offered yet"
DATABRICKS = "belongs to Databricks"
INTERNAL = "not a documented function"

MISSING: dict[str, str] = {
    "add_libraries_to_model": "wheels beside a model fit one platform and pin nothing: requirements are pinned instead",
    "archive_directory": INTERNAL,
    "extract_archive_to_dir": INTERNAL,
    "set_prediction_context": INTERNAL,
    "set_retriever_schema": "belongs to language models",
    "update_signature_for_type_hint_from_example": INTERNAL,
    "add_databricks_profile_info_to_artifact_uri": DATABRICKS,
    "context": INTERNAL,
    "get_artifact_repository": INTERNAL,
    "get_registered_sources": INTERNAL,
    "login": DATABRICKS,
    "test": INTERNAL,
}
"""Functions of MLflow's classic tracking that Runlore does not offer, and why."""

OUT_OF_SCOPE = re.compile(
    "trace|tracing|span|prompt|mcp|assessment|feedback|expectation|issue|session|workspace|telemetry|_dataset(s|_tag|_tags)?(_|$)"
)
"""Tracing, prompts, evaluation data sets of language models, workspaces: no part of classic tracking."""

PLACES: dict[str, Any] = {
    "mlflow": runlore,
    "client": runlore.MlflowClient,
    "artifacts": runlore.artifacts,
    "data": runlore.data,
    "models": runlore.models,
    "EvaluationResult": runlore.models.EvaluationResult,
    "MetricThreshold": runlore.models.MetricThreshold,
    "Model": runlore.models.Model,
    "ModelConfig": runlore.models.ModelConfig,
    "ModelSignature": runlore.models.ModelSignature,
    "pyfunc": runlore.pyfunc,
    "PyFuncModel": runlore.pyfunc.PyFuncModel,
    "PythonModel": runlore.pyfunc.PythonModel,
    "PythonModelContext": runlore.pyfunc.PythonModelContext,
    "types": runlore.types,
    "ColSpec": runlore.types.ColSpec,
    "ParamSchema": runlore.types.ParamSchema,
    "ParamSpec": runlore.types.ParamSpec,
    "Schema": runlore.types.Schema,
    "TensorSpec": runlore.types.TensorSpec,
    "config": runlore.config,
    "system_metrics": runlore.system_metrics,
    "exceptions": runlore.exceptions,
    "deployments": runlore.deployments,
    "deployment client": runlore.deployments.BaseDeploymentClient,
    "serving": SimpleNamespace(
        build_docker=runlore.models.build_docker, build_model_env=runlore.pyfunc.build_model_env, predict=runlore.models.predict
    ),
}


@cache
def mlflows() -> dict[str, dict[str, list[Parameter]]]:
    """Place -> function -> parameters, as the installed MLflow has them."""
    python = Path(os.environ.get(VARIABLE) or ROOT / ".venvs/mlflow3/bin/python")
    if not python.is_file():
        pytest.skip(f"No MLflow 3 at {python}. `make .venvs/mlflow3/.ready` installs it, or set {VARIABLE}.")
    done = subprocess.run([str(python), "-I", "-W", "ignore", "-c", PROGRAM], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    found = {
        place: {name: [Parameter(*item) for item in items] for name, items in functions.items()}
        for place, functions in json.loads(done.stdout).items()
    }
    return {
        place: {name: items for name, items in functions.items() if not OUT_OF_SCOPE.search(name)}
        for place, functions in found.items()
    }


def ours(place: str, name: str) -> list[Parameter]:
    parameters = inspect.signature(getattr(PLACES[place], name)).parameters.values()
    return [
        Parameter(item.name, item.kind.name, None if item.default is item.empty else repr(item.default)) for item in parameters
    ]


@pytest.mark.parametrize("place", PLACES)
def test_signatures_are_mlflows(place: str) -> None:
    different: dict[tuple[str, str, str], Any] = {}
    compared = 0
    for name, theirs in mlflows()[place].items():
        if not hasattr(PLACES[place], name):
            continue
        compared += 1
        mine = ours(place, name)
        for position in range(max(len(mine), len(theirs))):
            pair = mine[position : position + 1], theirs[position : position + 1]
            if pair[0] != pair[1]:
                parameter = (pair[1] or pair[0])[0].name
                different[place, name, parameter] = pair
    expected = {key for key in DIFFERENT if key[0] == place}
    assert {key: pair for key, pair in different.items() if key not in expected} == {}
    assert expected <= set(different), "these are the same by now: take them out of the table"
    least = {"mlflow": 60, "client": 65, "artifacts": 5, "data": 2, "deployments": 4, "deployment client": 13, "serving": 3}
    least |= {"models": 13, "pyfunc": 9, "config": 11, "types": 0}
    assert compared >= least.get(place, 1)


def test_what_is_missing_is_known() -> None:
    missing = {name for place, names in mlflows().items() for name in names if not hasattr(PLACES[place], name)}
    assert missing == set(MISSING)
