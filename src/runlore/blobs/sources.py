"""Local files on their way into a store: what belongs to a directory, what does not, and whether a file held still.

Everything that is wrong with a local file is a `SourceError`, so that one bad file of a directory keeps no other back.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

from runlore.blobs.base import Advance, ArtifactPath
from runlore.exceptions import InvalidParameter

CHUNK = 1 << 18
"""Bytes read at once: large enough for full speed on disks and networks, small enough for thousands of streams."""
_NAMED = 10
OWN_NAMES = (".digests%", ".staging%")
"""What a store on disk keeps beside its files; it goes nowhere else."""


class SourceError(InvalidParameter):
    """A local file can not be stored: it can not be read, changed meanwhile, leads elsewhere, or has an impossible name."""


class Source(NamedTuple):
    """A file to store: its path below the directory, and where it really is."""

    name: ArtifactPath
    path: Path


class OpenSource:
    """A local file as it was when it was opened: its first `size` bytes, whatever is added to it meanwhile."""

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self.path, self._file = path, file
        self._then = os.fstat(file.fileno())
        self.size = self._then.st_size

    def chunks(self, start: int = 0, end: int | None = None, advance: Advance | None = None) -> Iterator[bytes]:
        """The bytes from `start` up to `end`, each time anew; `advance` is told of each chunk when the next one is asked for.

        Raises `SourceError` at the end when the bytes may have changed since the file was opened. More at its end is fine.
        """
        end = self.size if end is None else min(end, self.size)
        self._file.seek(start)
        while start < end:
            chunk = self._read(min(CHUNK, end - start))
            start += len(chunk)
            if start >= end:
                self.check()
            yield chunk
            if advance is not None:
                advance(len(chunk))

    def check(self) -> None:
        """Raise `SourceError` when the file was changed since it was opened."""
        now = os.fstat(self._file.fileno())
        if now.st_mtime_ns != self._then.st_mtime_ns and now.st_size <= self.size:
            raise SourceError(f"{os.fspath(self.path)!r} was changed while it was stored. Log it when nobody writes to it.")

    def _read(self, size: int) -> bytes:
        try:
            chunk = self._file.read(size)
        except OSError as error:
            raise _unreadable(self.path, error) from error
        if not chunk:
            raise SourceError(f"{os.fspath(self.path)!r} became shorter while it was stored. Log it when nobody writes to it.")
        return chunk


@contextmanager
def open_source(path: Path) -> Iterator[OpenSource]:
    """A local file to read. Raises `SourceError` when that is not possible."""
    try:
        file = path.open("rb", buffering=0)
    except OSError as error:
        raise _unreadable(path, error) from error
    with file:
        yield OpenSource(path, file)


def sources_in(directory: Path) -> Iterator[Source | SourceError]:
    """Every file below a directory in order, and what is wrong with the others. Links that stay inside are followed; ones that
    lead out of the directory, or to a directory above themselves, are wrong. Empty directories leave no trace."""
    real = directory.resolve()
    return _sources(real, "", (real,))


def _sources(directory: Path, prefix: str, above: tuple[Path, ...]) -> Iterator[Source | SourceError]:
    """`above` are the real directories on the way here, to end link cycles."""
    taken: set[str] = set()
    try:
        entries = sorted(entry for entry in directory.iterdir() if entry.name not in OWN_NAMES)
    except OSError as error:
        yield _unreadable(directory, error)
        return
    for entry in entries:
        try:
            name = ArtifactPath(prefix + artifact_name(entry.name))
            if name in taken:
                raise SourceError(f"Two files in {os.fspath(directory)!r} have the name {name!r} in Unicode normal form C.")
            taken.add(name)
            real = _followed(entry, above)
        except OSError as error:
            yield _unreadable(entry, error)
        except InvalidParameter as error:
            yield error if isinstance(error, SourceError) else SourceError(error.message)
        else:
            if real.is_dir():
                yield from _sources(real, f"{name}/", (*above, real))
            else:
                yield Source(name, real)


def _followed(entry: Path, above: tuple[Path, ...]) -> Path:
    """Where an entry really is. Raises `SourceError` for what is not taken along."""
    is_link = entry.is_symlink()
    real = entry.resolve() if is_link else entry
    if is_link and not real.is_relative_to(above[0]):
        raise SourceError(
            f"Refused to upload {os.fspath(entry)!r}: the link leads out of the directory, to {os.fspath(real)!r}. "
            "Copy the file in its place, or upload the target by itself."
        )
    if real.is_dir():
        if real in above:
            raise SourceError(f"Refused to upload {os.fspath(entry)!r}: the link leads to a directory above itself.")
    elif is_link and not real.exists():
        raise SourceError(f"Refused to upload {os.fspath(entry)!r}: the link leads to nothing.")
    elif not real.is_file():
        raise SourceError(f"Refused to upload {os.fspath(entry)!r}: it is neither a file nor a directory.")
    return real


def raise_together(errors: list[SourceError], directory: Path, stored: int) -> None:
    """One error that names what could not be stored, if there is any."""
    if not errors:
        return
    if len(errors) == 1 and not stored:
        raise errors[0]
    lines = [f"\n  {error.message}" for error in errors[:_NAMED]]
    if len(errors) > _NAMED:
        lines.append(f"\n  … and {len(errors) - _NAMED} more.")
    count = f"{len(errors)} of {len(errors) + stored} entries"
    raise SourceError(f"{count} of {os.fspath(directory)!r} could not be stored; the others are.{''.join(lines)}") from errors[
        0
    ]


def artifact_name(name: str) -> str:
    """The name that a local file has as an artifact: in Unicode normal form C."""
    return unicodedata.normalize("NFC", name)


def _unreadable(path: Path, error: OSError) -> SourceError:
    return SourceError(f"{os.fspath(path)!r} can not be read: {error.strerror or error}.")
