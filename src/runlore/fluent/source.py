"""Where a run comes from: the tags that every run gets. Quick, without other programs, and never a reason to fail."""

from __future__ import annotations

import getpass
import os
import re
import sys
from functools import lru_cache
from pathlib import Path

from runlore.entities import SourceType
from runlore.settings import read_settings

_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")


def source_tags() -> dict[str, str]:
    """User, script and git commit, under MLflow's keys."""
    script = sys.argv[0] if sys.argv else ""
    name = script if script not in ("", "-c", "-") else "<console>"
    tags = {
        "mlflow.user": user_name(),
        "mlflow.source.name": name,
        "mlflow.source.type": SourceType.LOCAL,
    }
    place = Path(script).absolute().parent if name == script else Path.cwd()
    if commit := git_commit(place):
        tags["mlflow.source.git.commit"] = commit
    return tags


def user_name() -> str:
    """Who runs this: the name given to the server, else the account."""
    try:
        return read_settings().username or getpass.getuser()
    except (KeyError, OSError, ImportError):
        return "unknown"  # an account without a name, as in containers


def git_commit(place: Path) -> str | None:
    """The commit checked out where `place` is, read from git's own files; None outside of a repository."""
    try:
        found = _git_directory(str(place))
        return _head(found) if found else None
    except (OSError, UnicodeDecodeError):
        return None


@lru_cache(maxsize=64)
def _git_directory(place: str) -> Path | None:
    for directory in (Path(place), *Path(place).parents):
        entry = directory / ".git"
        if entry.is_dir():
            return entry
        if entry.is_file():  # a worktree or submodule: the file names the directory
            return Path(os.path.join(directory, entry.read_text().removeprefix("gitdir:").strip()))
    return None


def _head(git: Path) -> str | None:
    head = (git / "HEAD").read_text().strip()
    if not head.startswith("ref:"):
        return head if _COMMIT.fullmatch(head) else None
    name = head.removeprefix("ref:").strip()
    shared = git / (git / "commondir").read_text().strip() if (git / "commondir").exists() else git
    for root in (git, shared):
        if (root / name).is_file():
            commit = (root / name).read_text().strip()
            return commit if _COMMIT.fullmatch(commit) else None
    packed = shared / "packed-refs"
    lines = packed.read_text().splitlines() if packed.exists() else []
    return next((line.split()[0] for line in lines if line.endswith(f" {name}")), None)
