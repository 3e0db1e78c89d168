"""Large files that arrive in parts: in any order, at the same time, each again if need be.

Parts lie in a directory of the store itself that no artifact path can name, so that any number of server processes can take
them. The file appears under its path when all of them are there, whole; until then nobody sees it. What was given up is removed
after two days, by whoever begins the next upload.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from threading import Lock
from typing import Literal
from weakref import WeakValueDictionary

from runlore.blobs.base import ArtifactPath, HiddenPath
from runlore.blobs.object import ObjectBlobs
from runlore.blobs.tree import BlobTree, Subtree
from runlore.exceptions import InvalidParameter, NotFound

STALE_SECONDS = 2 * 86_400
"""An upload that began so long ago is given up: the addresses of its parts have long expired."""
MAX_PARTS = 10_000
"""Parts of one file, as in S3."""

_PLACE = HiddenPath(".uploads%")
_ID = re.compile(r"(?P<time>[0-9a-f]{10})[0-9a-f]{32}")
_DONE = "done"

LEAST_PART, MOST_PART = 1 << 20, 8 << 20

Method = Literal["GET", "PUT"]
Part = tuple[int, str]
"""The number of a part, and the tag that `write_part` gave; an empty tag is not compared."""


class _Busy:
    """A lock that lives as long as somebody holds or waits for it."""

    def __init__(self) -> None:
        self.lock = Lock()


class Uploads:
    """The unfinished uploads of one store. Safe to use from many threads and processes; writes block while bytes arrive."""

    def __init__(self, tree: BlobTree) -> None:
        self._tree = tree
        self._busy: WeakValueDictionary[str, _Busy] = WeakValueDictionary()
        self._door = Lock()

    def begin(self) -> str:
        """The id of a new upload. Costs nothing until its first part arrives."""
        return f"{int(time.time()):010x}{secrets.token_hex(16)}"

    def resume(self, what: str) -> str:
        """The id of the upload of a certain content to a certain place, told apart by `what`: that of an earlier call as
        long as it lies here, else a new one."""
        known = hashlib.sha256(what.encode("utf-8", "surrogatepass")).hexdigest()[:32]
        names = (entry.path.rpartition("/")[2] for entry in self._tree.list(_PLACE))
        for name in sorted((name for name in names if name[10:] == known and not _is_old(name)), reverse=True):
            return name
        return f"{int(time.time()):010x}{known}"

    def sizes(self, upload: str) -> dict[int, int]:
        """Number -> bytes of the parts that have arrived."""
        place = HiddenPath(self.place(upload, 1).rpartition("/")[0])
        named = ((entry.path.rpartition("/")[2], entry.file_size or 0) for entry in self._tree.list(place))
        return {int(name): size for name, size in named if re.fullmatch("[0-9]{5}", name)}

    def place(self, upload: str, number: int) -> HiddenPath:
        """Where a part lies. Raises `InvalidParameter` for what is no id, `NotFound` for one that is too old."""
        found = _ID.fullmatch(upload)
        if not found or not 1 <= number <= MAX_PARTS:
            raise InvalidParameter(f"There is no part {number} of an upload {upload[:100]!r}.")
        if _age(found) > STALE_SECONDS:
            raise NotFound(f"The upload {upload} was given up, {STALE_SECONDS // 3_600} hours after it began. Begin anew.")
        return HiddenPath(f"{_PLACE}/{upload}/{number:05d}")

    def write_part(self, upload: str, number: int, chunks: Iterable[bytes]) -> str:
        """Store one part, replacing an earlier one of its number; returns its tag."""
        place = self.place(upload, number)
        self._tree.write(place, chunks)
        return self._tree.tag(place) or ""

    def complete(self, upload: str, path: ArtifactPath, parts: Sequence[Part]) -> None:
        """Make the file of its parts, in the order of their numbers. Doing it twice is harmless.

        Raises `InvalidParameter` for a part that is missing or is not the one that the tag says.
        """
        place = self.place(upload, 1).rpartition("/")[0]
        done = HiddenPath(f"{place}/{_DONE}")
        with self._alone(upload):
            if self._exists(done):
                return
            ordered = sorted(parts)
            try:
                self._check(upload, ordered)
                self._tree.write(path, self._bytes(upload, ordered))
            except (NotFound, InvalidParameter):
                if self._exists(done):  # another process was faster
                    return
                raise
            self._tree.write(done, [b"done"])
            for number, _ in ordered:
                with suppress(NotFound):
                    self._tree.delete(self.place(upload, number))

    def complete_checked(self, upload: str, path: ArtifactPath, count: int, sha256: str) -> None:
        """As `complete`, with all of `count` parts and a digest, leaving nothing of the upload behind.

        Raises `NotFound` for a part that is missing, `InvalidParameter` when the digest is another one.
        """
        with self._alone(upload):
            if self.is_there(path, sha256):
                self._forget(upload)
                return
            numbers = range(1, count + 1)
            arrived = self.sizes(upload)
            if missing := [number for number in numbers if number not in arrived]:
                raise NotFound(f"Part {missing[0]} of {count} has not arrived. Open the upload again.")
            try:
                self._tree.write(path, self._bytes(upload, [(number, "") for number in numbers]), sha256)
            except InvalidParameter:
                self._forget(upload)  # one of them is wrong, and nobody knows which
                raise
            self._forget(upload)

    def is_there(self, path: ArtifactPath, sha256: str) -> bool:
        """Whether a file with that content is there."""
        try:
            return self._tree.digest(path) == sha256
        except NotFound:
            return False

    def _forget(self, upload: str) -> None:
        with suppress(NotFound):
            self._tree.delete(HiddenPath(self.place(upload, 1).rpartition("/")[0]))

    def abort(self, upload: str) -> None:
        """Forget an upload. One that is not known, or complete, is left as it is."""
        place = self.place(upload, 1).rpartition("/")[0]
        if not self._exists(HiddenPath(f"{place}/{_DONE}")):
            self._forget(upload)

    def sweep(self) -> int:
        """Remove what was given up, and what is left of uploads that are complete; returns how many that were."""
        old = [entry.path for entry in self._tree.list(_PLACE) if _is_old(entry.path.rpartition("/")[2])]
        for path in old:
            with suppress(NotFound):
                self._tree.delete(HiddenPath(path))
        return len(old)

    def _check(self, upload: str, parts: Sequence[Part]) -> None:
        if not parts or [number for number, _ in parts] != list(range(1, len(parts) + 1)):
            raise InvalidParameter("The parts of an upload are numbered from 1 without gaps, each number once.")
        for number, tag in parts:
            try:
                found = self._tree.tag(self.place(upload, number))
            except NotFound:
                raise InvalidParameter(f"Part {number} of the upload has not arrived.") from None
            if tag and found and tag != found:
                raise InvalidParameter(f"Part {number} of the upload has the tag {found!r}, not {tag[:100]!r}.")

    def _bytes(self, upload: str, parts: Sequence[Part]) -> Iterator[bytes]:
        for number, _ in parts:
            yield from self._tree.read(self.place(upload, number))

    def _exists(self, path: HiddenPath) -> bool:
        try:
            self._tree.stat(path)
        except NotFound:
            return False
        return True

    @contextmanager
    def _alone(self, upload: str) -> Iterator[None]:
        """One at a time in this process: a client that asks again waits for what it asked first."""
        with self._door:
            busy = self._busy.setdefault(upload, _Busy())
        with busy.lock:
            yield


def part_size(size: int) -> int:
    """Bytes of each part of a file: small against the whole, since what is under way when a connection breaks is sent again,
    and large enough that there are not too many."""
    wanted = min(MOST_PART, max(LEAST_PART, size >> 8))
    return 1 << (max(wanted, -(-size // MAX_PARTS)) - 1).bit_length()


def _age(found: re.Match[str]) -> float:
    return time.time() - int(found["time"], 16)


def _is_old(name: str) -> bool:
    found = _ID.fullmatch(name)
    return found is None or _age(found) > STALE_SECONDS


def signed_address(tree: BlobTree, method: Method, path: ArtifactPath, seconds: int) -> str | None:
    """An address at which the object store itself gives or takes one file; None where there is no such thing."""
    if isinstance(tree, Subtree):
        return signed_address(tree.whole, method, tree.prefix.child(path), seconds)
    return tree.signed(method, path, timedelta(seconds=seconds)) if isinstance(tree, ObjectBlobs) else None
