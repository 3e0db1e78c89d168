"""Projects: directories and git repositories with an `MLproject` file, run with parameters in an environment of their own.

In the process of a project `import mlflow` gives Runlore, so that projects written for MLflow log where this process does.
"""

from __future__ import annotations

from runlore.projects.running import run
from runlore.projects.submitted import LocalSubmittedRun, SubmittedRun

__all__ = ["LocalSubmittedRun", "SubmittedRun", "run"]
