"""What waits in a spool beside journals: files of runs that the store does not know yet, and names of its experiments."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import msgspec

from runlore.api.runs import GetRun
from runlore.exceptions import InvalidParameter, NotFound
from runlore.spool.places import open_here
from runlore.store.base import Store

_FILES, _ARTIFACTS = "files", "artifacts"
_EXPERIMENTS = "experiments.jsonl"
_PLACEHOLDER = "9"


def placeholder(experiment_name: str) -> str:
    """The id under which an experiment is spoken of until a store has given it one: it follows from the name."""
    return f"{_PLACEHOLDER}{int(hashlib.sha256(experiment_name.encode()).hexdigest(), 16) % 10**17:017d}"


def note_experiment(place: Path, name: str) -> None:
    """Remember the name of an experiment, for every process that uses this spool."""
    if name in noted_experiments(place):
        return
    descriptor = open_here(place / _EXPERIMENTS, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(descriptor, msgspec.json.encode(name) + b"\n")
    finally:
        os.close(descriptor)


def noted_experiments(place: Path) -> list[str]:
    """The names that were remembered."""
    try:
        lines = (place / _EXPERIMENTS).read_bytes().splitlines()
        return [msgspec.json.decode(line, type=str) for line in lines]
    except (OSError, msgspec.DecodeError):
        return []


def staged(place: Path, run_id: str) -> Path:
    """Where the files of a run wait. Raises `InvalidParameter` for what is no id of a run: it may come from a server."""
    if not re.fullmatch("[0-9a-fA-F]{32}", run_id):
        raise InvalidParameter(f"{run_id[:100]!r} is no id of a run: 32 hexadecimal digits were expected.")
    return place / _FILES / run_id / _ARTIFACTS


def staged_at(place: Path, artifact_uri: str) -> Path | None:
    """The directory in a spool that an artifact URI names; None for all others."""
    if not artifact_uri.startswith(place.as_uri() + "/"):
        return None
    path = Path(url2pathname(urlsplit(artifact_uri).path))
    return None if ".." in path.parts else path  # it may be a server that says this


def deliver_files(place: Path, run_id: str, store: Store) -> None:
    """Upload the files of a run that wait, and remove them. May be repeated. Raises what the store, or its artifacts, say.

    Links are neither followed nor uploaded: nothing of this SDK makes one here.
    """
    from runlore.blobs.base import ArtifactPath
    from runlore.blobs.sources import OWN_NAMES
    from runlore.blobs.uri import open_blobs

    directory = staged(place, run_id)
    if any(path.is_symlink() for path in (directory.parent.parent, directory.parent, directory)) or not directory.is_dir():
        return
    try:
        artifact_uri = store.call(GetRun(run_id=run_id)).run.info.artifact_uri
    except NotFound:
        return
    blobs = open_blobs(artifact_uri, store, foreign=True)
    for entry in sorted(directory.iterdir()):
        if entry.name not in OWN_NAMES and not entry.is_symlink():
            blobs.upload(entry, ArtifactPath(entry.name if entry.is_dir() else ""))
    shutil.rmtree(directory.parent)
