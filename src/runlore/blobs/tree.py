"""What every blob store does the same way: whole directories up and down, and a store seen from one of its directories.

Each store brings `list`, `stat`, `read`, `write` and `delete`; the rest follows from them here and in `directories.py`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from runlore.blobs.base import Advance, ArtifactPath, Files, Meter
from runlore.blobs.directories import download, upload
from runlore.blobs.sources import open_source
from runlore.entities import FileInfo
from runlore.exceptions import InvalidParameter, NotFound


class BlobTree(ABC):
    """The `BlobStore` protocol with everything that can be said in terms of five methods."""

    @abstractmethod
    def list(self, path: ArtifactPath) -> Files:
        """See `BlobStore.list`."""

    @abstractmethod
    def stat(self, path: ArtifactPath) -> FileInfo:
        """See `BlobStore.stat`."""

    @abstractmethod
    def read(self, path: ArtifactPath, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """See `BlobStore.read`. A missing file raises here, not at the first chunk."""

    @abstractmethod
    def write(self, path: ArtifactPath, chunks: Iterable[bytes], sha256: str | None = None) -> int:
        """See `BlobStore.write`."""

    @abstractmethod
    def delete(self, path: ArtifactPath) -> None:
        """See `BlobStore.delete`."""

    def tag(self, path: ArtifactPath) -> str | None:
        """See `BlobStore.tag`. Stores that know more than a size override this."""
        return None

    def described(self, path: ArtifactPath) -> Files:
        """See `BlobStore.described`. Stores that keep digests override this."""
        return self.list(path)

    def digest(self, path: ArtifactPath) -> str | None:
        """See `BlobStore.digest`. Stores that keep digests override this."""
        return None

    def write_file(self, local: Path, path: ArtifactPath, advance: Advance | None = None) -> int:
        """Store one local file; returns its size. Raises `SourceError` when the local file is at fault. Stores that can send a
        file in parts override this."""
        with open_source(local) as source:
            return self.write(path, source.chunks(advance=advance))

    def upload(self, local: Path, path: ArtifactPath, meter: Meter | None = None) -> None:
        """See `BlobStore.upload`. Names are brought to Unicode normal form C."""
        upload(self, Path(local), ArtifactPath(path), meter)

    def download(self, path: ArtifactPath, local: Path, meter: Meter | None = None) -> Path:
        """See `BlobStore.download`. Links inside `local` are never followed."""
        return download(self, ArtifactPath(path), Path(local), meter)

    def files(self, path: ArtifactPath) -> Iterator[ArtifactPath]:
        """Every file under a directory, depth first."""
        for entry in self.list(path):
            if entry.is_dir:
                yield from self.files(ArtifactPath(entry.path))
            else:
                yield ArtifactPath(entry.path)

    def under(self, path: ArtifactPath) -> BlobTree:
        """This store seen from one of its directories, which need not exist yet."""
        return Subtree(self, path) if path else self


class Subtree(BlobTree):
    """One directory of a store as a store of its own."""

    def __init__(self, whole: BlobTree, prefix: ArtifactPath) -> None:
        self.whole = whole
        self.prefix = ArtifactPath(prefix)

    def __repr__(self) -> str:
        return f"{self.whole!r}.under({str(self.prefix)!r})"

    def list(self, path: ArtifactPath) -> Files:
        return [self._inside(info) for info in self.whole.list(self._below(path))]

    def stat(self, path: ArtifactPath) -> FileInfo:
        return self._inside(self.whole.stat(self._below(path)))

    def tag(self, path: ArtifactPath) -> str | None:
        return self.whole.tag(self._below(file_path(path)))

    def read(self, path: ArtifactPath, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        return self.whole.read(self._below(file_path(path)), start, end)

    def described(self, path: ArtifactPath) -> Files:
        return [self._inside(info) for info in self.whole.described(self._below(path))]

    def digest(self, path: ArtifactPath) -> str | None:
        return self.whole.digest(self._below(file_path(path)))

    def write(self, path: ArtifactPath, chunks: Iterable[bytes], sha256: str | None = None) -> int:
        return self.whole.write(self._below(file_path(path)), chunks, sha256)

    def write_file(self, local: Path, path: ArtifactPath, advance: Advance | None = None) -> int:
        return self.whole.write_file(local, self._below(file_path(path)), advance)

    def delete(self, path: ArtifactPath) -> None:
        self.whole.delete(self._below(path))

    def _below(self, path: ArtifactPath) -> ArtifactPath:
        return self.prefix.child(ArtifactPath(path))

    def _inside(self, info: FileInfo) -> FileInfo:
        return msgspec.structs.replace(info, path=info.path.removeprefix(self.prefix).removeprefix("/"))


def file_path(path: ArtifactPath) -> ArtifactPath:
    """`path` when it can name a file: everything but the root itself."""
    path = ArtifactPath(path)
    if not path:
        raise InvalidParameter("A file needs a name: the artifact path is empty.")
    return path


def byte_range(size: int, start: int, end: int | None) -> tuple[int, int]:
    """`start` and `end` cut to a file of `size` bytes."""
    if start < 0 or (end is not None and end < start):
        raise InvalidParameter(f"Invalid byte range [{start}, {end}): it must satisfy 0 <= start <= end.")
    return min(start, size), size if end is None else min(end, size)


def opened(stream: Iterator[bytes]) -> Iterator[bytes]:
    """Run a generator up to its first `yield b""`, so that what can not be opened raises now.

    A generator that has started also closes its file when it is dropped; one that has not would leak it.
    """
    next(stream)
    return stream


def not_found(path: str) -> NotFound:
    """The error for a path that does not exist."""
    return NotFound(f"No such artifact: '{path}'")
