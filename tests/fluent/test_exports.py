"""The public names of the package."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import runlore

TYPED = ast.parse(Path(runlore.__file__).read_text())


@pytest.mark.parametrize("name", runlore.__all__)
def test_every_public_name_resolves_and_is_documented(name: str) -> None:
    value = getattr(runlore, name)
    assert name == "__version__" or value.__doc__


def test_type_checkers_see_the_same_names() -> None:
    imported = {alias.name for node in ast.walk(TYPED) if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert set(runlore.__all__) <= imported
    assert set(runlore.__all__) <= set(dir(runlore))


def test_unknown_names_are_attribute_errors() -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        runlore.nonsense  # noqa: B018
    assert not hasattr(runlore, "nonsense")


SUBMODULES = ["artifacts", "client", "data", "entities", "exceptions", "models", "pyfunc", "sklearn", "tracking", "types"]


@pytest.mark.parametrize("module", SUBMODULES)
def test_submodules_need_no_import_of_their_own(module: str) -> None:
    program = f"import runlore; m = runlore.{module}; import runlore.{module}; assert m is runlore.{module}"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_logging_locally_needs_no_heavy_package() -> None:
    program = """
import sys, runlore
with runlore.start_run():
    runlore.log_metric("m", 1)
    runlore.log_text("t", "t.txt")
heavy = {"pandas", "sklearn", "starlette", "uvicorn", "urllib3", "psycopg", "matplotlib", "PIL", "click"}
print(sorted(heavy & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=60)
    assert done.stdout == "[]\n"
