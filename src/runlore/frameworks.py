"""Autologging of every library that Runlore knows at once."""

from __future__ import annotations

from typing import Any

from runlore import keras, sklearn
from runlore.autologging.patch import when_imported

FRAMEWORKS = {"keras": keras.autolog, "sklearn": sklearn.autolog}


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
    """Keep a run of every training from now on, of the libraries that are or will be imported: scikit-learn.

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
    for name, start in FRAMEWORKS.items():
        if name not in (exclude_flavors or ()):
            when_imported(name, lambda start=start: start(**options))  # type: ignore[misc]
