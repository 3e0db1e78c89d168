"""Where the local store is: the nearest `.runlore/` upwards, as git finds its repository."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from runlore.exceptions import InvalidState
from runlore.settings import settings

NAME = ".runlore"

logger = logging.getLogger("runlore.store")


def locate(start: Path | None = None) -> Path:
    """The directory of the local store, whether it exists or not.

    `RUNLORE_DIR` wins; then the nearest `.runlore/` from `start` (the working directory) upwards; then one at the git root;
    then one in `start`. A `.runlore/` that belongs to another user is passed over: whoever owns it decides what is in it.
    Raises `InvalidState` where a new one would have to have its name.
    """
    if chosen := settings().directory:
        return Path(chosen).expanduser().absolute()
    return nearest(start or Path.cwd())


def nearest(start: Path) -> Path:
    """The store of a directory, whatever `RUNLORE_DIR` says: what `locate` finds without it."""
    start = start.absolute()
    places = (start, *start.parents)
    for place in places:
        if (place / NAME).is_dir() and _ours(place / NAME):
            return place / NAME
    root = next((place for place in places if (place / ".git").exists()), start)
    if (root / NAME).is_dir():  # not ours, or it would have been found
        raise InvalidState(
            f"{root / NAME} belongs to another user, who decides what is in it. Work in another directory, or set "
            f"RUNLORE_DIR={root / NAME} if you trust its owner."
        )
    return root / NAME


def create(directory: Path) -> Path:
    """Make the directory, readable by its owner only, unless it exists; git is told to ignore what is in it.

    Raises `InvalidState` when it can not be made.
    """
    try:
        if not directory.is_dir():
            directory.parent.mkdir(parents=True, exist_ok=True)
            directory.mkdir(mode=0o700, exist_ok=True)
            ignore = directory / ".gitignore"
            if not ignore.exists():
                ignore.write_text("*\n")
    except OSError as error:
        raise InvalidState(
            f"The store {str(directory)!r} can not be made: {error.strerror}. hint: RUNLORE_DIR=/a/directory/of/yours (or "
            "another tracking URI) chooses another place."
        ) from None
    return directory


def _ours(directory: Path) -> bool:
    if not hasattr(os, "getuid"):
        return True
    owner, user = directory.stat().st_uid, os.getuid()
    if user == owner:
        return True
    if user == 0 and owner == directory.parent.stat().st_uid:
        return True  # root at work in somebody's directory, as in a container; not what somebody left in /tmp
    logger.warning("%s belongs to another user and is passed over. Set RUNLORE_DIR=%s to use it.", directory, directory)
    return False
