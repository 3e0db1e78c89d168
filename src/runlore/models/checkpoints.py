"""Checkpoints that lie somewhere already become logged models, so that they are found, compared and linked to metrics."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

from runlore.artifacts import list_artifacts
from runlore.client import RunloreClient
from runlore.entities import LoggedModel
from runlore.exceptions import InvalidParameter, NotFound
from runlore.fluent import context
from runlore.fluent.logged_models import create_external_model, search_logged_models

_REFUSED = re.compile(r"""[./:%'"]""")

CHECKPOINT_TAG = "runlore.model.checkpoint"
"""Tag of a logged model: where its checkpoint lies."""


def import_checkpoints(
    checkpoint_path: str,
    source_run_id: str | None = None,
    model_prefix: str | None = None,
    overwrite_checkpoints: bool = False,
) -> list[LoggedModel]:
    """A logged model for each file and directory directly in a directory of checkpoints, local or by artifact URI.

    Nothing is copied: the models are external, and the tag `runlore.model.checkpoint` says where each one lies. They belong to
    `source_run_id` (by default the active run), and are named after their files: with `model_prefix` before, and with `_` in
    place of the `. / : % ' "` that no name of a model has. What the experiment has under that name is answered as it is;
    with `overwrite_checkpoints`, it is deleted and made anew. Files whose names begin with a dot are left out.
    """
    if not isinstance(checkpoint_path, str) or not checkpoint_path:
        raise InvalidParameter(f"checkpoint_path must be the path or URI of a directory, got {checkpoint_path!r}.")
    names = _names(checkpoint_path)
    client = RunloreClient()
    run = client.get_run(source_run_id) if source_run_id else None
    opened = context.stack()[-1].run if context.stack() else None
    source = run or opened
    experiment = source.info.experiment_id if source else context.current_experiment_id()
    found = search_logged_models([experiment], output_format="list")
    present = {model.name: model for model in reversed(found) if isinstance(found, list)}
    models = []
    for name in names:
        full = _REFUSED.sub("_", f"{model_prefix or ''}{name}")
        if full in present and not overwrite_checkpoints:
            models.append(present[full])
            continue
        if full in present:
            client.delete_logged_model(present[full].model_id)
        place = (
            f"{checkpoint_path.rstrip('/')}/{name}" if _is_uri(checkpoint_path) else str(Path(checkpoint_path, name).absolute())
        )
        run_id = source.info.run_id if source else None
        models.append(create_external_model(full, run_id, {CHECKPOINT_TAG: place}, experiment_id=experiment))
    return models


def _names(path: str) -> list[str]:
    """Files and directories directly in a directory, sorted."""
    if _is_uri(path):
        names = [entry.path.rstrip("/").rpartition("/")[2] for entry in list_artifacts(path)]
    else:
        directory = Path(path)
        if not directory.is_dir():
            raise NotFound(f"There is no directory of checkpoints at {path!r}.")
        names = [entry.name for entry in directory.iterdir()]
    return sorted(name for name in names if not name.startswith("."))


def _is_uri(path: str) -> bool:
    return len(urlsplit(path).scheme) > 1
