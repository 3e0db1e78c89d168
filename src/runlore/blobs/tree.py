"""What every blob store does the same way: whole directories up and down, and a store seen from one of its directories.

Each store brings `list`, `stat`, `read`, `write` and `delete`; the rest follows from them here.
"""

from __future__ import annotations

import os
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import TypeVar

from runlore.blobs.base import Advance, ArtifactPath
from runlore.entities import FileInfo
from runlore.exceptions import InvalidParameter, NotFound

CHUNK = 1 << 18
"""Bytes read at once: large enough for full speed on disks and networks, small enough for thousands of streams."""
_PARALLEL = 4
_BATCH = 64

Item = TypeVar("Item")
Files = list[FileInfo]
"""A directory's content; a name of its own because the stores have a method called `list`."""


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
    def write(self, path: ArtifactPath, chunks: Iterable[bytes]) -> int:
        """See `BlobStore.write`."""

    @abstractmethod
    def delete(self, path: ArtifactPath) -> None:
        """See `BlobStore.delete`."""

    def tag(self, path: ArtifactPath) -> str | None:
        """See `BlobStore.tag`. Stores that know more than a size override this."""
        return None

    def write_file(self, local: Path, path: ArtifactPath, advance: Advance | None = None) -> int:
        """Store one local file; returns its size. Stores that can use a length or start again override this."""
        with local.open("rb") as file:
            return self.write(path, counted(iter(lambda: file.read(CHUNK), b""), advance))

    def upload(self, local: Path, path: ArtifactPath, advance: Advance | None = None) -> None:
        """See `BlobStore.upload`. A file keeps its name under `path`; names are brought to Unicode normal form C."""
        local, path = Path(local), ArtifactPath(path)
        if not local.exists():
            raise NotFound(f"There is no file or directory {os.fspath(local)!r} to upload.")
        if not local.is_dir():
            self.write_file(local.resolve(), path.child(_artifact_name(local.name)), advance)
            return
        _in_parallel(
            lambda pair: self.write_file(pair[1], path.child(pair[0]), advance),
            _local_files(local.resolve(), "", (local.resolve(),)),
        )

    def download(self, path: ArtifactPath, local: Path) -> Path:
        """See `BlobStore.download`. Existing files are replaced; links inside `local` are never followed."""
        from runlore.blobs.local import LocalBlobs  # local.py needs this module

        path, into = ArtifactPath(path), LocalBlobs(Path(local), private=False)
        target = Path(local) / path
        if self.stat(path).is_dir:
            target.mkdir(parents=True, exist_ok=True)
            _in_parallel(lambda file: into.write(file, self.read(file)), self.files(path))
        else:
            into.write(path, self.read(path))
        return target

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

    def write(self, path: ArtifactPath, chunks: Iterable[bytes]) -> int:
        return self.whole.write(self._below(file_path(path)), chunks)

    def write_file(self, local: Path, path: ArtifactPath, advance: Advance | None = None) -> int:
        return self.whole.write_file(local, self._below(file_path(path)), advance)

    def delete(self, path: ArtifactPath) -> None:
        self.whole.delete(self._below(path))

    def _below(self, path: ArtifactPath) -> ArtifactPath:
        return self.prefix.child(ArtifactPath(path))

    def _inside(self, info: FileInfo) -> FileInfo:
        path = info.path.removeprefix(self.prefix).removeprefix("/")
        return FileInfo(path=path, is_dir=info.is_dir, file_size=info.file_size)


def counted(chunks: Iterator[bytes], advance: Advance | None) -> Iterator[bytes]:
    """The same chunks; `advance` is told the size of each when the next one is asked for."""
    if advance is None:
        return chunks
    return _told(chunks, advance)


def _told(chunks: Iterator[bytes], advance: Advance) -> Iterator[bytes]:
    for chunk in chunks:
        yield chunk
        advance(len(chunk))


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


def _in_parallel(work: Callable[[Item], object], items: Iterable[Item]) -> None:
    """Do `work` on each item, a few at a time; the first failure ends it and is raised."""
    rest = iter(items)
    with ThreadPoolExecutor(_PARALLEL, thread_name_prefix="runlore-files") as pool:
        while batch := list(islice(rest, _BATCH)):
            for future in [pool.submit(work, item) for item in batch]:
                future.result()


def _local_files(directory: Path, prefix: str, above: tuple[Path, ...]) -> Iterator[tuple[str, Path]]:
    """Artifact path and real path of each file; `above` are the real directories on the way here, to end link cycles."""
    taken: set[str] = set()
    for entry in sorted(directory.iterdir()):
        name = _artifact_name(entry.name)
        if name in taken:
            raise InvalidParameter(f"Two files in {os.fspath(directory)!r} have the name {name!r} in Unicode normal form C.")
        taken.add(name)
        real = entry.resolve()
        if entry.is_symlink() and not real.is_relative_to(above[0]):
            raise InvalidParameter(
                f"Refused to upload {os.fspath(entry)!r}: the link leads out of the directory, to {os.fspath(real)!r}. "
                "Copy the file in its place, or upload the target by itself."
            )
        if real.is_dir():
            if real in above:
                raise InvalidParameter(f"Refused to upload {os.fspath(entry)!r}: the link leads to a directory above itself.")
            yield from _local_files(real, f"{prefix}{name}/", (*above, real))
        elif real.is_file():
            yield f"{prefix}{name}", real
        else:
            raise InvalidParameter(f"Refused to upload {os.fspath(entry)!r}: it is neither a file nor a directory.")


def _artifact_name(name: str) -> str:
    return unicodedata.normalize("NFC", name)
