"""SHA-256 of files: computed while bytes pass, and kept so that nobody has to read a file to know it.

A digest is kept with what it was true of. A file that somebody else has changed since has none; there is never a wrong one.
"""

from __future__ import annotations

import hashlib
import os
import re
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import Iterable, Iterator
from contextlib import suppress

from runlore.blobs.folder import Folder
from runlore.exceptions import InvalidParameter

INDEX = ".digests%"
"""The file of a directory that holds the digests of its files. No `ArtifactPath` can name it: they refuse `%`."""
SHA256 = re.compile(r"[0-9a-f]{64}")
_TIDY = 1 << 20
"""Each time an index grows beyond a multiple of this that is a power of two, what is not true any more is left out."""
_LINE = re.compile(rb"([0-9a-f]{64}) ([0-9a-f]+-[0-9a-f]+) ([^\n]+)")
_HEADER = re.compile(r"(?:^|,)\s*sha-256=:([A-Za-z0-9+/=]{44}):")

Known = dict[tuple[str, str], str]
"""(name, version) -> digest."""


class Hashed:
    """Chunks on their way somewhere, and the SHA-256 of those that have passed."""

    def __init__(self, chunks: Iterable[bytes], expected: str | None = None) -> None:
        """With `expected` the last step raises `InvalidParameter` when the chunks have another digest."""
        self._chunks, self._expected = chunks, expected
        self._sum = hashlib.sha256()

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            self._sum.update(chunk)
            yield chunk
        if self._expected is not None and self._expected != self.sha256:
            raise InvalidParameter(f"The bytes have the SHA-256 {self.sha256}, not {self._expected} as expected.")

    @property
    def sha256(self) -> str:
        """Of what has passed so far: 64 hexadecimal digits."""
        return self._sum.hexdigest()


def sha256_of(chunks: Iterable[bytes]) -> str:
    """The digest of all chunks together."""
    found = hashlib.sha256()
    for chunk in chunks:
        found.update(chunk)
    return found.hexdigest()


def to_header(sha256: str) -> str:
    """A digest as the value of `Repr-Digest` (RFC 9530)."""
    return f"sha-256=:{b64encode(bytes.fromhex(sha256)).decode()}:"


def from_header(value: str | None) -> str | None:
    """The SHA-256 in a `Repr-Digest`; None where there is none."""
    found = _HEADER.search(value or "")
    try:
        raw = b64decode(found[1], validate=True) if found else b""
    except NotBase64:
        return None
    return raw.hex() if len(raw) == 32 else None


# -- the index of a directory on disk -------------------------------------------------------------------------------------


def version_of(kind: os.stat_result) -> str:
    """What changes when somebody changes a file: its size and its time. A copy that keeps times keeps digests, too."""
    return f"{kind.st_size:x}-{kind.st_mtime_ns:x}"


def note(folder: Folder, name: str, kind: os.stat_result, sha256: str) -> None:
    """Keep the digest of a file in the index of its directory. What can not be kept is not known later, that is all."""
    line = f"\n{sha256} {version_of(kind)} {name}\n".encode()
    with suppress(OSError):
        before = folder.append(INDEX, line)
        if (before // _TIDY).bit_length() != ((before + len(line)) // _TIDY).bit_length():
            _tidy(folder)


def known_digests(folder: Folder) -> Known:
    """What the index of a directory says, later lines before earlier ones. Ask with `version_of` the file that is there."""
    try:
        raw = folder.read(INDEX)
    except OSError:
        return {}
    found = (_LINE.fullmatch(line) for line in raw.split(b"\n") if line)
    return {(line[3].decode("utf-8", "replace"), line[2].decode()): line[1].decode() for line in found if line}


def _tidy(folder: Folder) -> None:
    """Write the index anew with what is true. A line that somebody adds meanwhile may be lost: that file has no digest."""
    known = known_digests(folder)
    lines = []
    for name, kind in folder.entries():
        if sha256 := known.get((name, version_of(kind))):
            lines.append(f"{sha256} {version_of(kind)} {name}\n")
    folder.write(INDEX, "".join(lines).encode())
