"""Where a run comes from: the tags that every run gets. Quick, without other programs, and never a reason to fail."""

from __future__ import annotations

import getpass
from pathlib import Path

from runlore.entities import SourceType
from runlore.settings import read_settings
from runlore.snapshot.git import git_place
from runlore.snapshot.process import CONSOLE, NOTEBOOK, entry_point, in_notebook


def source_tags() -> dict[str, str]:
    """User, script and what git says of its directory, under MLflow's keys."""
    name = entry_point()
    tags = {
        "mlflow.user": user_name(),
        "mlflow.source.name": name,
        "mlflow.source.type": SourceType.NOTEBOOK if name.endswith(".ipynb") or in_notebook() else SourceType.LOCAL,
    }
    place = git_place(Path.cwd() if name in (CONSOLE, NOTEBOOK) else Path(name).absolute().parent)
    if place is not None:
        found = {"commit": place.commit, "branch": place.branch, "repoURL": place.remote}
        tags |= {f"mlflow.source.git.{key}": value for key, value in found.items() if value}
    return tags


def user_name() -> str:
    """Who runs this: the name given to the server, else the account."""
    try:
        return read_settings().username or getpass.getuser()
    except (KeyError, OSError, ImportError):
        return "unknown"  # an account without a name, as in containers
