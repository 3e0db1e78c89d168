"""Datasets that are files: images, recordings, shards, whatever a directory holds."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from runlore.data.dataset import DIGEST_DIGITS, Dataset
from runlore.data.sources import DatasetSource
from runlore.exceptions import InvalidParameter, NotFound

_CHUNK = 1 << 20


class FilesDataset(Dataset):
    """A dataset that is a file, or all files under a directory."""

    def __init__(self, path: Path, source: str | DatasetSource | None, name: str | None, digest: str | None) -> None:
        self.path = path
        found = list(_files(path))
        profile = {"num_files": len(found), "num_bytes": sum(file.stat().st_size for _, file in found)}
        super().__init__(source or path.absolute().as_posix(), name or path.name, digest or files_digest(path), None, profile)


def from_files(
    path: str | Path, source: str | DatasetSource | None = None, name: str | None = None, digest: str | None = None
) -> FilesDataset:
    """A dataset from a file, or from all files under a directory. `source` says where else they came from.

    Every byte is read for the digest; give a `digest` to spare a large directory that. Links are not followed. Raises
    `NotFound` when nothing is there.
    """
    place = Path(path)
    if not place.exists():
        raise NotFound(f"There is no file or directory {str(place)!r}.")
    return FilesDataset(place, source, name, digest)


def files_digest(path: Path) -> str:
    """A digest of the names (relative, in order) and contents of all files; of a single file its contents alone."""
    state = hashlib.sha256()
    for name, file in _files(path):
        state.update(f"{name}\0".encode("utf-8", "surrogateescape") if name else b"")
        content = hashlib.sha256()
        with file.open("rb") as opened:
            while chunk := opened.read(_CHUNK):
                content.update(chunk)
        state.update(content.digest())
    return state.hexdigest()[:DIGEST_DIGITS]


def _files(path: Path) -> Iterator[tuple[str, Path]]:
    """Relative name, with forward slashes, and path of each ordinary file, in the order of the names."""
    if path.is_file():
        yield "", path
        return
    if not path.is_dir():
        raise InvalidParameter(f"{os.fspath(path)!r} is neither a file nor a directory.")
    found: list[Any] = []
    for directory, folders, names in os.walk(path):
        folders.sort()
        places = (Path(directory, name) for name in names)
        found += [(place.relative_to(path).as_posix(), place) for place in places if place.is_file() and not place.is_symlink()]
    yield from sorted(found)
