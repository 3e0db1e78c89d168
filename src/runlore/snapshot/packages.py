"""Which distributions are installed, and the lock file that they came from."""

from __future__ import annotations

import json
import os
import re
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from runlore.snapshot.secrets import mask_url

MAX_LOCK = 4 << 20
LOCK_FILES = (
    "uv.lock", "poetry.lock", "pdm.lock", "Pipfile.lock", "pixi.lock", "conda-lock.yml", "pylock.toml", "requirements.lock",
    "requirements.txt", "environment.yml", "environment.yaml",
)  # fmt: skip
"""Looked for in this order, from the script's directory up to the repository's root; after them `requirements*.txt`."""
_DIRECTORY = re.compile(r"(?P<name>[A-Za-z0-9][\w.]*?)-(?P<version>[^-]+)(?:-py[\d.]+)?\.(?:dist-info|egg-info)")
_CONDA = re.compile(r"(?P<name>.+)-(?P<version>[^-]+)-(?P<build>[^-]+)\.json")


def installed_packages(places: list[str] | None = None) -> dict[str, str]:
    """Name (in its normal form) -> version of every distribution on `sys.path`, sorted.

    Versions are read from the names of the metadata directories: a hundred times as fast as reading the metadata. A package
    that did not come from an index carries where it came from: `"1.2 @ git+https://…@commit"`, `"1.2 @ file:///…"`.
    """
    found: dict[str, str] = {}
    for place in sys.path if places is None else places:
        with suppress(OSError), os.scandir(place or ".") as entries:
            for entry in entries:
                match = _DIRECTORY.fullmatch(entry.name)
                if match:
                    found.setdefault(normal_name(match["name"]), match["version"] + _origin(entry.path))
    return dict(sorted(found.items()))


def conda_packages(prefix: str | None = None) -> dict[str, str]:
    """Name -> `version=build` of every package of the conda environment that this interpreter belongs to, others than Python's
    too (CUDA, compilers, MKL); empty outside of one."""
    found: dict[str, str] = {}
    with suppress(OSError), os.scandir(os.path.join(prefix or sys.prefix, "conda-meta")) as entries:
        for entry in entries:
            if match := _CONDA.fullmatch(entry.name):
                found[match["name"]] = f"{match['version']}={match['build']}"
    return dict(sorted(found.items()))


def normal_name(name: str) -> str:
    """The normal form of a distribution's name, in which spellings of it are equal."""
    return re.sub(r"[-_.]+", "-", name).lower()


def lock_file(start: Path, root: Path | None) -> Path | None:
    """The lock file nearest to a directory, up to `root` (without one: only in the directory itself). None: there is none."""
    top = (root or start).resolve()
    others: list[str] = []
    for directory in (start.resolve(), *start.resolve().parents):
        with suppress(OSError):
            others = sorted(path.name for path in directory.glob("requirements*.txt"))
        for name in (*LOCK_FILES, *others):
            path = directory / name
            with suppress(OSError):
                if path.is_file() and not path.is_symlink() and path.stat().st_size <= MAX_LOCK:
                    return path
        if directory == top:
            break
    return None


def _origin(directory: str) -> str:
    """` @ URL` for a distribution that was installed from a repository, a directory or a file."""
    try:
        with open(os.path.join(directory, "direct_url.json"), encoding="utf-8") as file:
            described: Any = json.load(file)
        url = mask_url(str(described["url"]))
        version_control = described.get("vcs_info")
        if version_control:
            return f" @ {version_control['vcs']}+{url}@{version_control['commit_id']}"
        return f" @ {url}"
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return ""
