"""`import runlore` stays light: a list of modules, not a stopwatch, so that the test says the same everywhere."""

from __future__ import annotations

import json
import subprocess
import sys

PROGRAM = """
import json, sys
before = set(sys.modules)
import runlore
print(json.dumps(sorted(set(sys.modules) - before)))
"""

# Standard-library modules that cost milliseconds each and that logging does not need.
HEAVY = {
    "asyncio",
    "email",
    "http.client",
    "logging.config",
    "multiprocessing",
    "sqlite3",
    "ssl",
    "unittest",
    "urllib.request",
    "xml",
}


def imported() -> list[str]:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    modules: list[str] = json.loads(done.stdout)
    return modules


def test_import_brings_no_third_party_package_but_msgspec() -> None:
    packages = {name.partition(".")[0] for name in imported()}
    foreign = packages - set(sys.stdlib_module_names) - {"runlore"}
    assert {name for name in foreign if not name.startswith("_")} <= {"msgspec"}


def test_import_is_small() -> None:
    modules = imported()
    assert HEAVY & set(modules) == set()
    assert len(modules) < 120, f"import runlore brings {len(modules)} modules"
