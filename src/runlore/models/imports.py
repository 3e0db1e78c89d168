"""Which distributions a saved model needs: another Python process loads it, and says what it imported."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import warnings
from importlib import metadata
from pathlib import Path

from runlore.exceptions import InvalidParameter, InvalidState
from runlore.models.requirements import pinned

_SECONDS = 120
_TESTS = "pytest"
_OWN = {"runlore", "mlflow", "pip", "setuptools", "wheel"}
_PROGRAM = """
import json, sys
import runlore.pyfunc
import runlore.models.flavor
before = set(sys.modules)
model = runlore.pyfunc.load_model(sys.argv[1])
example = model.input_example
if example is not None:
    model.predict(example)
names = {name.partition(".")[0] for name in set(sys.modules) - before}
open(sys.argv[2], "w").write(json.dumps(sorted(names)))
"""


def infer_pip_requirements(
    model_uri: str | Path,
    flavor: str,
    fallback: list[str] | None = None,
    timeout: int | None = None,
    extra_env_vars: dict[str, str] | None = None,
    uv_project_dir: str | Path | None = None,
    uv_groups: list[str] | None = None,
    uv_extras: list[str] | None = None,
) -> list[str]:
    """Pinned requirements of the model at a local path or URI, found by loading it in another process and predicting its
    input example there, for at most `timeout` (120) seconds.

    Where that fails, `fallback` is answered with a warning, and without a fallback the error is raised. A model that may not
    run code here (see `load_model`) may not there either. `flavor` is named in messages.
    """
    if uv_project_dir is not None or uv_groups is not None or uv_extras is not None:
        raise InvalidParameter("Requirements are not read from a uv project: use `uv export --no-hashes` for that.")
    try:
        names = _imported(str(model_uri), timeout or _SECONDS, extra_env_vars or {})
    except InvalidState as error:
        if fallback is None:
            raise
        warnings.warn(f"The requirements of this {flavor} model are its usual ones: {error.message}", stacklevel=2)
        return list(fallback)
    owners = metadata.packages_distributions()
    found = {owner for name in names for owner in owners.get(name, ())[:1]} - _OWN
    return sorted(pinned(name) for name in found - _only_for_tests(found))


def _only_for_tests(found: set[str]) -> set[str]:
    """pytest, which scikit-learn imports where it is installed, and what nothing but pytest needs."""
    needed = {name: {_project(text) for text in metadata.requires(name) or ()} for name in found}
    others = set().union(*(names for name, names in needed.items() if name != _TESTS))
    brought = needed.get(_TESTS, set()) - others
    return {name for name in found if name == _TESTS or _project(name) in brought}


def _project(requirement: str) -> str:
    return re.sub(r"[-_.]+", "-", re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0]).lower()


def _imported(model_uri: str, seconds: int, variables: dict[str, str]) -> list[str]:
    """Top-level modules that loading the model imported. Raises `InvalidState` with the other process's last words."""
    with tempfile.TemporaryDirectory(prefix="runlore-imports-") as place:
        answer = Path(place, "modules.json")
        command = [sys.executable, "-W", "ignore", "-c", _PROGRAM, model_uri, str(answer)]
        try:
            done = subprocess.run(
                command, env={**os.environ, **variables}, capture_output=True, text=True, errors="replace", timeout=seconds,
                stdin=subprocess.DEVNULL, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise InvalidState(f"Loading {model_uri!r} took more than {seconds} seconds; `timeout` allows more.") from None
        if done.returncode or not answer.is_file():
            words = "\n".join(done.stderr.splitlines()[-5:])
            raise InvalidState(f"Loading {model_uri!r} in another process failed:\n{words}")
        modules: list[str] = json.loads(answer.read_text(encoding="utf-8"))
        return modules
