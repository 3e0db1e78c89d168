"""Functions of the framework modules against those of the installed MLflow: names, order, kinds and defaults of parameters."""

from __future__ import annotations

import inspect
from importlib import import_module
from typing import Any

import pytest

pytest.importorskip("mlflow", reason="`make test-frameworks` installs it in .venvs/boosters")

FRAMEWORKS = ("catboost", "h2o", "lightgbm", "onnx", "pmdarima", "prophet", "shap", "statsmodels", "xgboost")
OURS = {"allow_pickle", "trusted"}
"""Parameters of Runlore's own, by keyword alone: the caller's consent."""


def functions(module: Any) -> dict[str, list[tuple[str, Any, Any]]]:
    """The public functions that a module defines."""
    return {
        name: [(item.name, item.kind, item.default) for item in inspect.signature(value).parameters.values()]
        for name, value in vars(module).items()
        if inspect.isfunction(value) and not name.startswith("_") and value.__module__ == module.__name__
    }


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_signatures_are_mlflows(framework: str) -> None:
    theirs, ours = (functions(import_module(f"{package}.{framework}")) for package in ("mlflow", "runlore"))
    assert len(theirs) >= 5
    assert theirs.keys() == ours.keys()
    for name, parameters in theirs.items():
        common = [item for item in ours[name] if item[0] not in OURS]
        assert common == parameters, name
        assert all(kind is inspect.Parameter.KEYWORD_ONLY for given, kind, _ in ours[name] if given in OURS)
