"""One directory at a time, links never followed: the only place where artifact paths meet the operating system.

Where the platform can open relative to an open directory (Linux, macOS, BSD), every part of a path is opened that way with
`O_NOFOLLOW`: between the check and the use there is no moment in which a part could be exchanged for a link. Elsewhere
(Windows) each part is checked just before it is used; whoever may write into the artifact directory could win that race,
which is why Runlore keeps the directory private to its user.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

BY_HANDLE = {os.open, os.stat, os.mkdir, os.unlink, os.rmdir, os.rename} <= os.supports_dir_fd and os.scandir in os.supports_fd
"""True where the platform offers everything that race-free opening needs."""
ATTEMPTS = 100
"""How often to begin again when somebody writes what is being deleted, or deletes where something is being written."""
_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_DIRECTORY = getattr(os, "O_DIRECTORY", 0)
_NO_WAIT = getattr(os, "O_NONBLOCK", 0)
_REPARSE_POINT = 0x400  # FILE_ATTRIBUTE_REPARSE_POINT: links and junctions on Windows
_WINDOWS_DEVICES = {"CON", "PRN", "AUX", "NUL"} | {f"{name}{digit}" for name in ("COM", "LPT") for digit in range(1, 10)}


class Folder:
    """An open directory. All names are single parts; a name that is a link raises `OSError`, as a missing one does.

    Use it as a context manager: it holds a file descriptor.
    """

    def __init__(self, path: str, handle: int | None) -> None:
        self._path = path
        self._handle = handle

    @classmethod
    def root(cls, path: Path, by_handle: bool = BY_HANDLE) -> Self:
        """Open the top directory. This path is the administrator's: it may be or contain links."""
        name = os.path.realpath(path)
        if not by_handle:
            os.stat(os.path.join(name, ""))
            return cls(name, None)
        return cls(name, os.open(name, os.O_RDONLY | _DIRECTORY | _NO_FOLLOW))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the descriptor. Calling it twice is harmless."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def child(self, name: str) -> Folder:
        """Open a directory in this one."""
        path = os.path.join(self._path, name)
        if self._handle is None:
            if not stat.S_ISDIR(self.stat(name).st_mode):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
            return Folder(path, None)
        return Folder(path, os.open(name, os.O_RDONLY | _DIRECTORY | _NO_FOLLOW, dir_fd=self._handle))

    def make(self, name: str, mode: int, durable: bool) -> None:
        """Make a directory in this one; one that exists is left alone."""
        with suppress(FileExistsError):
            os.mkdir(self._at(name), mode, dir_fd=self._handle)
            if durable:
                self.sync()

    def open_to_read(self, name: str) -> int:
        """A descriptor of an ordinary file. Never waits, not even for a pipe."""
        self._refuse_link(name)
        handle = os.open(self._at(name), os.O_RDONLY | _NO_WAIT | _NO_FOLLOW, dir_fd=self._handle)
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            os.close(handle)
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)
        return handle

    def create(self, name: str, mode: int) -> int:
        """A descriptor of a new, empty file, open for writing. A name that exists raises `FileExistsError`."""
        return os.open(self._at(name), os.O_RDWR | os.O_CREAT | os.O_EXCL | _NO_FOLLOW, mode, dir_fd=self._handle)

    def read(self, name: str) -> bytes:
        """All of a short file."""
        with os.fdopen(self.open_to_read(name), "rb") as file:
            return file.read()

    def write(self, name: str, content: bytes) -> None:
        """Store a short file, replacing one of that name."""
        temporary = f".{secrets.token_hex(16)}%"
        with os.fdopen(self.create(temporary, 0o600), "wb") as file:
            file.write(content)
        self.replace(temporary, self, name)

    def append(self, name: str, content: bytes) -> int:
        """Add to the end of a short file in one piece, making it when it is missing; returns its size before."""
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | _NO_WAIT | _NO_FOLLOW
        self._refuse_link_if_there(name)
        handle = os.open(self._at(name), flags, 0o600, dir_fd=self._handle)
        try:
            before = os.fstat(handle).st_size
            os.write(handle, content)
        finally:
            os.close(handle)
        return before

    def open_or_create(self, name: str, mode: int) -> int:
        """A descriptor of a file, open for reading and writing, made when it is missing."""
        self._refuse_link_if_there(name)
        return os.open(self._at(name), os.O_RDWR | os.O_CREAT | _NO_WAIT | _NO_FOLLOW, mode, dir_fd=self._handle)

    def open_to_lock(self, name: str) -> int:
        """A descriptor of an existing file, open for writing and without waiting."""
        return os.open(self._at(name), os.O_RDWR | _NO_WAIT | _NO_FOLLOW, dir_fd=self._handle)

    def stat(self, name: str) -> os.stat_result:
        """Kind and size of an entry, never of what a link points to; a link raises `OSError` (ELOOP)."""
        result = os.stat(self._at(name), dir_fd=self._handle, follow_symlinks=False)
        if _is_link(result):
            raise OSError(errno.ELOOP, "links are not followed", name)
        return result

    def entries(self) -> Iterator[tuple[str, os.stat_result]]:
        """Name and kind of each directory and ordinary file; everything else is left out."""
        with os.scandir(self._path if self._handle is None else self._handle) as found:
            for entry in found:
                with suppress(FileNotFoundError):  # removed meanwhile
                    result = entry.stat(follow_symlinks=False)
                    if not _is_link(result) and (stat.S_ISREG(result.st_mode) or stat.S_ISDIR(result.st_mode)):
                        yield entry.name, result

    def replace(self, name: str, into: Folder, new: str) -> None:
        """Move an entry, atomically taking the place of a file of that name."""
        os.replace(self._at(name), into._at(new), src_dir_fd=self._handle, dst_dir_fd=into._handle)

    def unlink(self, name: str) -> None:
        """Remove a file, or a link itself."""
        os.unlink(self._at(name), dir_fd=self._handle)

    def remove(self, name: str) -> None:
        """Remove a file, or a directory with everything in it. Links are removed, never followed."""
        kind = os.stat(self._at(name), dir_fd=self._handle, follow_symlinks=False)
        if not stat.S_ISDIR(kind.st_mode) or _is_link(kind):
            self.unlink(name)
            return
        for attempt in range(ATTEMPTS):
            with self.child(name) as inner:
                for entry in inner.names():
                    with suppress(FileNotFoundError):  # somebody else deletes too
                        inner.remove(entry)
            try:
                os.rmdir(self._at(name), dir_fd=self._handle)
                return
            except OSError as error:  # somebody wrote a file meanwhile
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST) or attempt + 1 == ATTEMPTS:
                    raise

    def names(self) -> list[str]:
        """The names of all entries, links and special files too."""
        return os.listdir(self._path if self._handle is None else self._handle)

    def sync(self) -> None:
        """Put the directory itself (names, not contents) on stable storage, where the platform can."""
        if self._handle is not None:
            os.fsync(self._handle)

    def _at(self, name: str) -> str:
        if self._handle is not None:
            return name
        if os.name == "nt":
            refuse_windows_name(name)
        return os.path.join(self._path, name)

    def _refuse_link(self, name: str) -> None:
        if self._handle is None:
            self.stat(name)

    def _refuse_link_if_there(self, name: str) -> None:
        with suppress(FileNotFoundError):
            self._refuse_link(name)


@contextmanager
def walk(root: Folder, parts: list[str], make_mode: int | None = None, durable: bool = True) -> Iterator[Folder]:
    """The directory that `parts` lead to, below `root`; with `make_mode`, missing ones are made with that mode."""
    here, opened = root, []
    try:
        for name in parts:
            try:
                here = here.child(name)
            except FileNotFoundError:
                if make_mode is None:
                    raise
                here.make(name, make_mode, durable)
                here = here.child(name)
            opened.append(here)
        yield here
    finally:
        for folder in opened:
            folder.close()


def refuse_windows_name(name: str) -> None:
    """Raise `FileNotFoundError` for names that mean something else on Windows: devices, streams, trailing dots and spaces."""
    device = name.partition(".")[0].rstrip().upper() in _WINDOWS_DEVICES
    if device or name[-1:] in (".", " ") or any(letter in '<>:"|?*' for letter in name):
        raise FileNotFoundError(errno.ENOENT, "this name can not be used on Windows", name)


def _is_link(kind: os.stat_result) -> bool:
    return stat.S_ISLNK(kind.st_mode) or bool(getattr(kind, "st_file_attributes", 0) & _REPARSE_POINT)
