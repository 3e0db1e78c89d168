"""Files in object stores: S3 and what speaks like it, Google Cloud Storage, Azure; memory in tests.

An object appears when it is whole: small ones by one PUT, larger ones by a multipart upload that is completed at the end
and aborted on failure. Credentials and endpoints come from the environment (`AWS_ACCESS_KEY_ID`, `AWS_ENDPOINT_URL`,
`GOOGLE_APPLICATION_CREDENTIALS`, `AZURE_STORAGE_ACCOUNT_NAME` …). A killed writer's parts are invisible; buckets remove them
by a lifecycle rule.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import timedelta
from itertools import chain, islice
from typing import TYPE_CHECKING, Literal

import msgspec

from runlore.blobs.base import ArtifactPath, Files, HiddenPath
from runlore.blobs.digest import SHA256, Hashed, sha256_of
from runlore.blobs.sources import CHUNK
from runlore.blobs.tree import BlobTree, byte_range, file_path, not_found, opened
from runlore.entities import FileInfo
from runlore.exceptions import InvalidParameter, NotFound, PermissionDenied, Unavailable

if TYPE_CHECKING:
    from obstore import Attributes
    from obstore.store import ObjectStore

_PART = 16 << 20
"""Bytes of one part. S3 takes 10,000 parts, so one object can have 156 GiB."""
_PARTS_AT_ONCE = 1
"""Parts in flight while the next one is filled: bounds memory to some 32 MiB a writer."""
_WHOLE = 6 << 20
"""Objects up to this size are put in one request, with their digest."""
_DELETE_BATCH = 1_000
_DIGEST = "sha256"
"""The name of the metadata that holds an object's SHA-256 in hexadecimal digits."""
_LOOKED_AT, _LOOKS_AT_ONCE = 500, 16
"""Digests are not in lists of objects: those of larger directories are only told for single files."""


class ObjectBlobs(BlobTree):
    """A blob store in an object store. Directories are what the paths of objects imply; empty ones do not exist."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    @classmethod
    def at(cls, uri: str) -> ObjectBlobs:
        """The store that an `s3:`, `gs:` or `az:` URI names, below the URI's path."""
        from obstore.exceptions import BaseError
        from obstore.store import from_url

        try:
            return cls(from_url(uri))
        except (BaseError, ValueError) as error:
            raise InvalidParameter(f"Can not open {uri!r} as an object store: {error}") from None

    def __repr__(self) -> str:
        return f"ObjectBlobs({self._store!r})"

    def list(self, path: ArtifactPath) -> Files:
        with _explained():
            found = self._store.list_with_delimiter(ArtifactPath(path) or None)
        files = [_file(entry["path"], entry["size"]) for entry in found["objects"]]
        folders = [FileInfo(path=name, is_dir=True) for name in found["common_prefixes"]]
        hidden = isinstance(path, HiddenPath)
        return sorted((info for info in files + folders if hidden or _expressible(info.path)), key=lambda info: info.path)

    def stat(self, path: ArtifactPath) -> FileInfo:
        path = ArtifactPath(path)
        with _explained():
            if path:
                with suppress(FileNotFoundError):
                    return _file(path, self._store.head(path)["size"])
            for _ in self._store.list(path or None, chunk_size=1):
                return FileInfo(path=path, is_dir=True)
        raise not_found(path)

    def described(self, path: ArtifactPath) -> Files:
        found = self.list(path)
        files = [info for info in found if not info.is_dir]
        if not self._keeps_digests() or len(files) > _LOOKED_AT:
            return found
        with ThreadPoolExecutor(_LOOKS_AT_ONCE, thread_name_prefix="runlore-digests") as pool:
            digests = dict(zip((info.path for info in files), pool.map(self._digest, files), strict=True))
        return [msgspec.structs.replace(info, sha256=digests.get(info.path)) for info in found]

    def _digest(self, info: FileInfo) -> str | None:
        try:
            return self.digest(ArtifactPath(info.path))
        except NotFound:
            return None  # deleted meanwhile

    def digest(self, path: ArtifactPath) -> str | None:
        path = file_path(path)
        if not self._keeps_digests():
            return None
        try:
            with _explained():
                found = self._store.get(path, options={"head": True}).attributes.get(_DIGEST)
        except FileNotFoundError:
            raise not_found(path) from None
        return found if isinstance(found, str) and SHA256.fullmatch(found) else None

    def _keeps_digests(self) -> bool:
        """Whether objects have attributes."""
        from obstore.store import LocalStore

        return not isinstance(self._store, LocalStore)

    def tag(self, path: ArtifactPath) -> str | None:
        try:
            with _explained():
                found = self._store.head(file_path(path))["e_tag"]
        except FileNotFoundError:
            raise not_found(path) from None
        return found and found.removeprefix("W/").strip('"')

    def read(self, path: ArtifactPath, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        return opened(self._read(file_path(path), start, end))

    def _read(self, path: ArtifactPath, start: int, end: int | None) -> Iterator[bytes]:
        try:
            with _explained():
                if start or end is not None:
                    start, end = byte_range(self._store.head(path)["size"], start, end)
                    if start == end:
                        yield b""
                        return
                    found = self._store.get(path, options={"range": (start, end)})
                else:
                    found = self._store.get(path)
        except FileNotFoundError:
            raise not_found(path) from None
        yield b""
        with _explained():
            for piece in found.stream(min_chunk_size=CHUNK):
                view = memoryview(piece)  # the piece lives outside Python's memory and can be as large as the object
                for offset in range(0, len(view), CHUNK):
                    yield bytes(view[offset : offset + CHUNK])

    def write(self, path: ArtifactPath, chunks: Iterable[bytes], sha256: str | None = None) -> int:
        import obstore

        # Not obstore.put(iterator): it runs the iterator inside its event loop, where reading from another store panics.
        path = file_path(path)
        stream = iter(Hashed(chunks, sha256))
        head = bytearray()
        for chunk in stream:
            head += chunk
            if len(head) > _WHOLE:
                break
        else:
            with _explained():
                content = bytes(head)
                self._store.put(path, content, attributes=self._attributes(sha256_of([content])))
            return len(head)
        with (
            _explained(),
            obstore.open_writer(
                self._store, path, buffer_size=_PART, max_concurrency=_PARTS_AT_ONCE, attributes=self._attributes(sha256)
            ) as writer,
        ):
            return sum(writer.write(chunk) for chunk in chain([bytes(head)], stream))

    def _attributes(self, sha256: str | None) -> Attributes | None:
        """What an object says of itself. The digest of a large one has to be known beforehand."""
        return {_DIGEST: sha256} if sha256 is not None and self._keeps_digests() else None

    def delete(self, path: ArtifactPath) -> None:
        path = ArtifactPath(path)
        is_dir = self.stat(path).is_dir
        with _explained(), suppress(FileNotFoundError):  # somebody else deletes too
            if not is_dir:
                self._store.delete(path)
            found = (entry["path"] for page in self._store.list(path or None) for entry in page)
            while batch := list(islice(found, _DELETE_BATCH)):
                self._store.delete(batch)

    def signed(self, method: Literal["GET", "PUT"], path: ArtifactPath, age: timedelta) -> str | None:
        """An address at which the object store gives or takes one file for a while, without credentials.

        None where that is not known to work: in memory, without credentials that can sign, and at an endpoint of one's own
        (`AWS_ENDPOINT_URL`), which clients may not reach.
        """
        import obstore
        from obstore.store import AzureStore, GCSStore, S3Store

        store = self._store
        if not isinstance(store, S3Store | GCSStore | AzureStore) or any("endpoint" in name for name in store.config):
            return None
        try:
            with _explained():
                return obstore.sign(store, method, file_path(path), age)
        except (Unavailable, PermissionDenied):
            return None


@contextmanager
def _explained() -> Iterator[None]:
    """obstore's errors as Runlore's, without the debug print that follows their first lines."""
    from obstore.exceptions import BaseError

    try:
        yield
    except FileNotFoundError:
        raise
    except (BaseError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # of whoever makes the chunks: obstore's have no number
        text = _first_lines(error)
        if re.search(r"status code: 40[13]\b", text) or type(error).__name__ in (
            "PermissionDeniedError",
            "UnauthenticatedError",
        ):
            raise PermissionDenied(
                f"The object store refused: {text} hint: check the credentials in the environment."
            ) from error
        raise Unavailable(f"The object store failed: {text}") from error


def _first_lines(error: Exception) -> str:
    return str(error).partition("\n\nDebug source:")[0].strip()[:1_000]


def _file(path: str, size: int) -> FileInfo:
    return FileInfo(path=path, is_dir=False, file_size=size)


def _expressible(path: str) -> bool:
    try:
        ArtifactPath(path)
    except InvalidParameter:
        return False
    return True
