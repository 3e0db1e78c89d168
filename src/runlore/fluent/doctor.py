"""What to say of an installation when something is wrong with it."""

from __future__ import annotations

import os
import sys

from runlore.client import get_registry_uri, get_tracking_uri
from runlore.snapshot.host import host, python
from runlore.snapshot.packages import installed_packages
from runlore.snapshot.secrets import MASK, mask_text, mask_variables
from runlore.version import MLFLOW_VERSION, __version__

PACKAGES = ("msgspec", "numpy", "obstore", "pcodec", "psutil", "psycopg", "pysqlite3", "urllib3", "uvicorn",
            "pandas", "scikit-learn")  # fmt: skip


def doctor(mask_envs: bool = False) -> None:
    """Print what to tell others about this installation: versions, system, URIs, Runlore's environment variables.

    Secrets are masked; `mask_envs` masks every value of an environment variable. `runlore doctor` checks a store.
    """
    variables = {name: value for name, value in os.environ.items() if name.startswith(("RUNLORE_", "MLFLOW_"))}
    installed = installed_packages()
    facts = {
        "Runlore": f"{__version__}, with the surface of MLflow {MLFLOW_VERSION}",
        "Python": f"{python()['version']} ({python()['executable']})",
        "System": ", ".join(str(host()[name]) for name in ("distribution", "release", "machine") if name in host()),
        "Tracking URI": mask_text(get_tracking_uri()),
        "Registry URI": mask_text(get_registry_uri()),
        **{name: MASK if mask_envs else value for name, value in sorted(mask_variables(variables).items())},
        **{name: installed[name] for name in PACKAGES if name in installed},
    }
    sys.stdout.write("".join(f"{name}: {value}\n" for name, value in facts.items()))
