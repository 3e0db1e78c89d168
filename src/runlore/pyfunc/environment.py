"""The environment that a model needs, to take along."""

from __future__ import annotations

from pathlib import Path

from runlore.environments import pack_environment, prepare, read_specification
from runlore.models.flavor import fetch


def build_model_env(model_uri: str | Path, save_path: str | Path, env_manager: str = "virtualenv") -> str:
    """Make the environment of a model, with Runlore in it, and pack it; returns the path of the archive in `save_path`.

    `env_manager` is "virtualenv" or "uv". What an archive is good for: see `runlore.environments.pack_environment`. Nothing of
    the model is loaded.
    """
    wanted = read_specification(fetch(model_uri).path)
    return str(pack_environment(prepare(wanted.completed("pandas>=2.1"), env_manager), save_path))
