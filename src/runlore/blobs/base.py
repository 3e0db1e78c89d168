"""What a blob store is: streamed files under checked paths.

`ArtifactPath` is parsed once, at the border, and rejects instead of cleaning: everything behind it works on the type. The
rules are those that four years of path traversal reports in trackers add up to.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Protocol, Self

from runlore.entities import FileInfo
from runlore.exceptions import InvalidParameter

Advance = Callable[[int], object]
"""Hears of bytes that have been transferred."""


Files = list[FileInfo]
"""A directory's content; a name of its own because the stores have a method called `list`."""


class Meter(Protocol):
    """Watches a transfer. Called from several threads."""

    def expect(self, size: int) -> None:
        """So many bytes will go, in all."""
        ...

    def advance(self, size: int) -> None:
        """So many bytes more have gone, or need not go because they are there."""
        ...


MAX_PART_BYTES = 255
MAX_PATH_BYTES = 1_024


class ArtifactPath(str):
    """A relative path with forward slashes that can not leave its root; `""` is the root itself.

    Refused: NUL and control characters, backslash, `%`, empty parts, `.` and `..`, a leading slash, `:` in the first part,
    parts above 255 bytes, more than 1,024 bytes in all, text that is not in Unicode normal form C.
    """

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        if isinstance(text, cls):
            return text
        if reason := _refusal(text):
            raise InvalidParameter(f"Invalid artifact path {text[:200]!r}: {reason}.")
        return super().__new__(cls, text)

    @property
    def parent(self) -> Self:
        """The directory that this path is in; the root is in itself."""
        return str.__new__(type(self), self.rpartition("/")[0])

    def child(self, name: str) -> ArtifactPath:
        """The path of `name` (one or more parts) under this one."""
        path = f"{self}/{name}" if self and name else f"{self}{name}"
        return HiddenPath(path) if isinstance(name, HiddenPath) else ArtifactPath(path)


class HiddenPath(ArtifactPath):
    """A path for what a store keeps beside its artifacts. A part of it ends in `%`, which nobody else can name: artifact paths
    refuse that, and listings leave it out. Not checked; made of constants and checked ids alone."""

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        return str.__new__(cls, text)

    def child(self, name: str) -> ArtifactPath:
        return HiddenPath(f"{self}/{name}")


def _refusal(text: str) -> str | None:
    if text == "":
        return None
    if len(text.encode("utf-8", "surrogatepass")) > MAX_PATH_BYTES:
        return f"it is longer than {MAX_PATH_BYTES} bytes"
    if any(unicodedata.category(letter) in ("Cc", "Cs") for letter in text):
        return "control characters are not allowed"
    if "\\" in text or "%" in text:
        return "backslash and % are not allowed"
    if unicodedata.normalize("NFC", text) != text:
        return "it is not in Unicode normal form C"
    parts = text.split("/")
    if any(part in ("", ".", "..") for part in parts):
        return "empty parts, '.' and '..' are not allowed"
    if ":" in parts[0]:
        return "':' is not allowed in the first part"
    if any(len(part.encode()) > MAX_PART_BYTES for part in parts):
        return f"a part is longer than {MAX_PART_BYTES} bytes"
    return None


class BlobStore(Protocol):
    """Files under one root. Safe to use from many threads.

    Writes are atomic: a file is visible only when it is whole. Reading and writing stream: memory use does not depend on the
    size of a file. A path that does not exist raises `NotFound`; listing one gives an empty list.
    """

    def list(self, path: ArtifactPath) -> Files:
        """Files and directories directly under `path`, sorted, with paths relative to this store's root. Digests are there only
        where they cost nothing."""
        ...

    def stat(self, path: ArtifactPath) -> FileInfo:
        """Size and kind of one path."""
        ...

    def described(self, path: ArtifactPath) -> Files:
        """As `list`, with the SHA-256 of each file where it is known. Costs a look at each file in object stores."""
        ...

    def digest(self, path: ArtifactPath) -> str | None:
        """The SHA-256 of a file that was noted when it was written: 64 hexadecimal digits; None where it is not known."""
        ...

    def tag(self, path: ArtifactPath) -> str | None:
        """A text that is another one when a file's bytes are others (an HTTP entity tag); None where that is not known."""
        ...

    def read(self, path: ArtifactPath, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """The bytes of a file from `start` up to, not including, `end`."""
        ...

    def write(self, path: ArtifactPath, chunks: Iterable[bytes], sha256: str | None = None) -> int:
        """Store a file, replacing one of that name; returns its size in bytes. With `sha256`, raises `InvalidParameter` and
        stores nothing when the bytes have another digest."""
        ...

    def delete(self, path: ArtifactPath) -> None:
        """Remove a file, or everything under a directory."""
        ...

    def upload(self, local: Path, path: ArtifactPath, meter: Meter | None = None) -> None:
        """Store a local file, keeping its name, in the directory `path`, or all files of a local directory (without the
        directory's own name) in the directory `path`, several at a time.

        Files whose content is there already are not sent. What is wrong with some files of a directory (unreadable, changed
        while they were read, links that lead out of it) is raised at the end, as one error; the others are stored."""
        ...

    def download(self, path: ArtifactPath, local: Path, meter: Meter | None = None) -> Path:
        """Fetch a file, or everything under a directory, into the directory `local`; returns `local / path`.

        A file appears when it is whole and has the digest that is known of it. What an interrupted call has fetched of a file
        is not fetched again, and neither is a file that is there already."""
        ...
