"""Autologging of every library that Runlore knows at once."""

from __future__ import annotations

import inspect
from importlib import import_module
from typing import Any

from runlore.autologging.patch import when_imported

FRAMEWORKS = {
    "keras": "keras",
    "lightgbm": "lightgbm",
    "pytorch": "lightning pytorch_lightning",
    "sklearn": "sklearn",
    "statsmodels": "statsmodels",
    "transformers": "transformers.trainer",
    "xgboost": "xgboost",
}
"""Runlore's module -> the library whose import it waits for, or several."""


def autolog(
    log_input_examples: bool = False,
    log_model_signatures: bool = True,
    log_models: bool = True,
    log_datasets: bool = True,
    log_traces: bool = True,
    disable: bool = False,
    exclusive: bool = False,
    disable_for_unsupported_versions: bool = False,
    silent: bool = False,
    extra_tags: dict[str, str] | None = None,
    exclude_flavors: list[str] | None = None,
) -> None:
    """Keep a run of every training from now on, of all libraries that Runlore knows and that are or will be imported.

    What is recorded says the `autolog` of each library, `runlore.sklearn.autolog` …; `exclude_flavors` names those to leave
    alone. `log_traces` belongs to language models and changes nothing.
    """
    options: dict[str, Any] = {
        "log_input_examples": log_input_examples,
        "log_model_signatures": log_model_signatures,
        "log_models": log_models,
        "log_datasets": log_datasets,
        "disable": disable,
        "exclusive": exclusive,
        "disable_for_unsupported_versions": disable_for_unsupported_versions,
        "silent": silent,
        "extra_tags": extra_tags,
    }
    for name, libraries in FRAMEWORKS.items():
        for library in libraries.split() if name not in (exclude_flavors or ()) else ():
            when_imported(library, lambda name=name: _start(name, options))  # type: ignore[misc]


def _start(name: str, options: dict[str, Any]) -> None:
    """Start one library's autologging with those of the options that it has."""
    start = import_module(f"runlore.{name}").autolog
    known = inspect.signature(start).parameters
    start(**{option: value for option, value in options.items() if option in known})
