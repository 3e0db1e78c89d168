"""Files from a store into a directory of the user: whole or absent, checked, and begun where an interrupted call stopped."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

from runlore.blobs.base import Advance, ArtifactPath
from runlore.blobs.local import LocalBlobs, try_lock
from runlore.blobs.sources import CHUNK
from runlore.entities import FileInfo
from runlore.exceptions import InvalidParameter, RunloreError

if TYPE_CHECKING:
    from runlore.blobs.tree import BlobTree


class Fetch:
    """Fetches files of one store into one local directory. May be called from several threads."""

    def __init__(self, tree: BlobTree, local: Path, advance: Advance | None) -> None:
        self._tree, self._local, self._advance = tree, local, advance
        self._into = LocalBlobs(local, private=False)

    def __call__(self, info: FileInfo) -> None:
        """Fetch one file, with the digest that `info` says, if it does."""
        path = ArtifactPath(info.path)
        sha256 = info.sha256 or self._tree.digest(path)
        size = info.file_size
        if sha256 is None or size is None:
            self._into.write(path, self._counted(self._tree.read(path)))
        elif self._is_there(path, size, sha256):
            self._tell(size)
        elif not self._resumed(path, size, sha256):
            self._into.write(path, self._counted(self._tree.read(path)), sha256)

    def _is_there(self, path: ArtifactPath, size: int, sha256: str) -> bool:
        """Whether the local file has the content already."""
        try:
            if self._into.stat(path).file_size != size:
                return False
            found = hashlib.sha256()
            for chunk in self._into.read(path):
                found.update(chunk)
        except (RunloreError, OSError):
            return False
        return found.hexdigest() == sha256

    def _resumed(self, path: ArtifactPath, size: int, sha256: str) -> bool:
        """Fetch what is missing of a file, into a part that lies in the directory until it is whole; False when somebody else
        does so now. The part stays when the connection, or this process, does not."""
        part = f".{sha256[:32]}.part"
        with self._into.open_root(make=True) as root, os.fdopen(root.open_or_create(part, 0o666), "r+b", buffering=0) as file:
            if not try_lock(file.fileno()):
                return False
            try:
                self._fill(file, path, size, sha256)
                if os.name == "nt":
                    file.close()  # Windows does not rename open files
                self._into.place(root, root, part, path)
            except InvalidParameter:  # it can not be placed there
                with suppress(OSError):
                    root.unlink(part)
                raise
        return True

    def _fill(self, file: IO[bytes], path: ArtifactPath, size: int, sha256: str) -> None:
        """Append what is missing. What was there already is believed only as far as the digest of the whole is right."""
        found, have = hashlib.sha256(), 0
        while have < size and (chunk := file.read(min(CHUNK, size - have))):
            found.update(chunk)
            have += len(chunk)
        again = have > 0
        self._tell(have)
        file.seek(have)
        if have < size:
            for chunk in self._counted(self._tree.read(path, have) if have else self._tree.read(path)):
                found.update(chunk)
                file.write(chunk)
        if found.hexdigest() == sha256:
            file.truncate()
            return
        file.truncate(0)
        file.seek(0)
        if again:
            self._fill(file, path, size, sha256)
            return
        raise RunloreError(
            f"'{path}' has the SHA-256 {found.hexdigest()}, not {sha256} as when it was stored: it was damaged, or replaced "
            "just now."
        )

    def _counted(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            yield chunk
            self._tell(len(chunk))

    def _tell(self, size: int) -> None:
        if self._advance is not None:
            self._advance(size)
