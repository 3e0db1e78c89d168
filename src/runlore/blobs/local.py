"""Files on the local disk: whole or absent, private, and never outside their root.

A file is written under a random name in a staging directory on the same file system, synced, renamed into place, and its
directory synced: after `write` returns it survives loss of power, and until then nobody sees it. The writer holds a lock on
its staging file, so a later start can tell what a killed writer left behind from what another process is still writing.

Plain system calls instead of obstore, which is used for everything remote: its local store follows links, does not sync, and
makes files that others may read (docs/decisions/0002-local-files-without-obstore.md).
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from runlore.blobs.base import ArtifactPath, Files, HiddenPath
from runlore.blobs.digest import Hashed, known_digests, note, version_of
from runlore.blobs.folder import ATTEMPTS, BY_HANDLE, Folder, walk
from runlore.blobs.sources import CHUNK
from runlore.blobs.tree import BlobTree, byte_range, file_path, not_found, opened
from runlore.entities import FileInfo
from runlore.exceptions import InvalidParameter, Unavailable

if sys.platform != "win32":
    import fcntl
else:
    fcntl = None

STAGING = ".staging%"
"""Holds files that are being written. No `ArtifactPath` can name it: they refuse `%`."""
Noted = tuple[os.stat_result, str]
"""What a file was like when it was written, and its SHA-256."""
_ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EMLINK, errno.ENAMETOOLONG)


class LocalBlobs(BlobTree):
    """A blob store in a directory. Symbolic links in it are treated as if they were not there.

    `private=False` is for directories that belong to the user (a download): modes follow the umask, nothing is synced, and
    no staging directory appears; files still become visible whole.
    """

    def __init__(self, root: Path, private: bool = True, by_handle: bool = BY_HANDLE) -> None:
        self.root = Path(root)
        self._private = private
        self._by_handle = by_handle
        if private:
            with suppress(OSError):  # a read-only directory can be read all the same
                self.sweep()

    def __repr__(self) -> str:
        return f"LocalBlobs({os.fspath(self.root)!r})"

    def list(self, path: ArtifactPath) -> Files:
        path = ArtifactPath(path)
        try:
            with self._folder(path) as folder:
                found = [_info(path, name, kind) for name, kind in folder.entries() if _visible(path, name)]
        except OSError as error:
            if error.errno in _ABSENT:
                return []
            raise
        return sorted(found, key=lambda info: info.path)

    def stat(self, path: ArtifactPath) -> FileInfo:
        path = ArtifactPath(path)
        name = path.rpartition("/")[2]
        try:
            with self._folder(path.parent) as folder:
                return _info(path.parent, name, folder.stat(name)) if name else FileInfo(path="", is_dir=True)
        except OSError as error:
            raise _missing(error, path) from None

    def described(self, path: ArtifactPath) -> Files:
        path = ArtifactPath(path)
        try:
            with self._folder(path) as folder:
                known = known_digests(folder)
                kinds = [(name, kind) for name, kind in folder.entries() if _visible(path, name)]
        except OSError as error:
            if error.errno in _ABSENT:
                return []
            raise
        found = [_info(path, name, kind, known.get((name, version_of(kind)))) for name, kind in kinds]
        return sorted(found, key=lambda info: info.path)

    def digest(self, path: ArtifactPath) -> str | None:
        path = file_path(path)
        name = path.rpartition("/")[2]
        try:
            with self._folder(path.parent) as folder:
                return known_digests(folder).get((name, version_of(folder.stat(name))))
        except OSError as error:
            raise _missing(error, path) from None

    def tag(self, path: ArtifactPath) -> str | None:
        path = file_path(path)
        name = path.rpartition("/")[2]
        try:
            with self._folder(path.parent) as folder:
                found = folder.stat(name)
        except OSError as error:
            raise _missing(error, path) from None
        return f"{found.st_ino:x}-{found.st_mtime_ns:x}-{found.st_size:x}"

    def read(self, path: ArtifactPath, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        return opened(self._read(file_path(path), start, end))

    def _read(self, path: ArtifactPath, start: int, end: int | None) -> Iterator[bytes]:
        name = path.rpartition("/")[2]
        try:
            with self._folder(path.parent) as folder:
                handle = folder.open_to_read(name)
        except OSError as error:
            raise _missing(error, path) from None
        with os.fdopen(handle, "rb", buffering=0) as file:
            start, end = byte_range(os.fstat(handle).st_size, start, end)
            yield b""
            file.seek(start)
            while start < end and (chunk := file.read(min(CHUNK, end - start))):
                start += len(chunk)
                yield chunk

    def write(self, path: ArtifactPath, chunks: Iterable[bytes], sha256: str | None = None) -> int:
        path = file_path(path)
        noted = self._private and not isinstance(path, HiddenPath)
        hashed = Hashed(chunks, sha256) if noted or sha256 else None
        with self.open_root(make=True) as root, self._staging(root) as staging:
            name, handle = _create(staging, 0o600 if self._private else 0o666)
            with os.fdopen(handle, "wb") as file:
                try:
                    size = sum(file.write(chunk) for chunk in hashed or chunks)
                    file.flush()
                    if self._private:
                        _sync_file(handle)
                    digest = (os.fstat(handle), hashed.sha256) if hashed and noted else None
                    if fcntl is None:
                        file.close()  # Windows does not rename open files
                    self.place(root, staging, name, path, digest)
                except BaseException as error:
                    file.close()
                    with suppress(FileNotFoundError):
                        staging.unlink(name)
                    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
                        raise Unavailable(
                            f"No space left for '{path}' in {os.fspath(self.root)!r}: {error.strerror}."
                        ) from error
                    raise
        return size

    def place(self, root: Folder, staging: Folder, name: str, path: ArtifactPath, digest: Noted | None = None) -> None:
        """Make a finished file visible under its path, and keep its digest."""
        *parts, last = path.split("/")
        for attempt in range(ATTEMPTS):
            try:
                with walk(root, parts, self._directory_mode, self._private) as folder:
                    staging.replace(name, folder, last)
                    if digest is not None:
                        note(folder, last, *digest)
                    if self._private:
                        folder.sync()
                    return
            except FileNotFoundError:  # a directory on the way was deleted just after it was made
                if attempt + 1 == ATTEMPTS:
                    raise
            except OSError as error:
                if error.errno in (errno.EISDIR, errno.EEXIST, errno.ENOTEMPTY):
                    raise InvalidParameter(f"Can not write the file '{path}': there is a directory of that name.") from None
                if error.errno in _ABSENT:
                    raise InvalidParameter(f"Can not write '{path}': a part of it is not a directory.") from None
                raise

    def delete(self, path: ArtifactPath) -> None:
        path = ArtifactPath(path)
        name = path.rpartition("/")[2]
        try:
            with self._folder(path.parent) as folder:
                if name:
                    folder.stat(name)
                for entry in [name] if name else [entry for entry in folder.names() if entry != STAGING]:
                    folder.remove(entry)
                if self._private:
                    folder.sync()
        except OSError as error:
            raise _missing(error, path) from None

    def sweep(self) -> None:
        """Remove what killed writers left in the staging directory; files that a living process writes stay."""
        with self.open_root() as root, root.child(STAGING) as staging:
            for name in staging.names():
                with suppress(OSError):
                    if fcntl is None:
                        staging.unlink(name)  # Windows refuses while the file is open
                        continue
                    handle = staging.open_to_lock(name)
                    try:
                        if try_lock(handle):
                            staging.unlink(name)
                    finally:
                        os.close(handle)

    @property
    def _directory_mode(self) -> int:
        return 0o700 if self._private else 0o777

    def open_root(self, make: bool = False) -> Folder:
        """The directory of this store; with `make`, made when it is missing."""
        if make and not self.root.is_dir():
            self.root.mkdir(mode=self._directory_mode, parents=True, exist_ok=True)
            if self._private:
                with Folder.root(self.root.parent, self._by_handle) as parent:
                    parent.sync()
        return Folder.root(self.root, self._by_handle)

    @contextmanager
    def _folder(self, path: ArtifactPath) -> Iterator[Folder]:
        with self.open_root() as root, walk(root, path.split("/") if path else []) as folder:
            yield folder

    @contextmanager
    def _staging(self, root: Folder) -> Iterator[Folder]:
        if not self._private:
            yield root
            return
        with walk(root, [STAGING], 0o700) as folder:
            yield folder


def _create(staging: Folder, mode: int) -> tuple[str, int]:
    """A new file of a random name, locked; the loop ends when no sweep came between creation and lock."""
    while True:
        name = f".{secrets.token_hex(16)}.part"
        handle = staging.create(name, mode)
        if fcntl is None:
            return name, handle
        if try_lock(handle) and os.fstat(handle).st_nlink:
            return name, handle
        os.close(handle)


def try_lock(handle: int) -> bool:
    """Lock an open file for as long as it is open; False when somebody else has. On Windows open files are safe as they are."""
    if fcntl is not None:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def _sync_file(handle: int) -> None:
    if fcntl is not None and hasattr(fcntl, "F_FULLFSYNC"):  # macOS: fsync alone leaves the data in the drive's cache
        fcntl.fcntl(handle, fcntl.F_FULLFSYNC)
    else:
        os.fsync(handle)


def _info(parent: ArtifactPath, name: str, kind: os.stat_result, sha256: str | None = None) -> FileInfo:
    path = f"{parent}/{name}" if parent else name
    if stat.S_ISDIR(kind.st_mode):
        return FileInfo(path=path, is_dir=True)
    if not stat.S_ISREG(kind.st_mode):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
    return FileInfo(path=path, is_dir=False, file_size=kind.st_size, sha256=sha256)


def _visible(parent: ArtifactPath, name: str) -> bool:
    """False for the staging directory and for names that no artifact path can express."""
    try:
        parent.child(name)
    except InvalidParameter:
        return False
    return True


def _missing(error: OSError, path: ArtifactPath) -> Exception:
    return not_found(path) if error.errno in _ABSENT else error
