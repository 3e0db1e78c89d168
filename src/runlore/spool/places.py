"""Where journals are: a directory for each writer, with a lock that its process holds for as long as it lives.

    <spool>/<writer id>/lock, 00000001.journal, …      <spool>/refused.jsonl      <spool>/files/<run id>/…

The lock says when its process began (ns), and, once somebody else has found it free, that this process is gone.

The spool of a local store is in its directory (`.runlore/spool`, or `runlore.db.spool` beside a database named by itself), so
that whoever opens the store finds it. Journals for servers and PostgreSQL are in the directory of this user's programs:
`RUNLORE_SPOOL_DIR`, else `$XDG_STATE_HOME/runlore/spool`, else `~/.local/state/runlore/spool`.
"""

from __future__ import annotations

import errno
import os
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from runlore.settings import read_settings

LOCK = "lock"
FILES = "files"
_TRIES, _GONE = 20, "gone"
_UNFOLLOWED = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)


def user_spool() -> Path:
    """The spool for stores that are not files of this machine."""
    named = read_settings()
    if named.spool_directory:
        return Path(named.spool_directory).expanduser().absolute()
    state = Path(named.state_directory).expanduser() if named.state_directory else Path.home() / ".local" / "state"
    return state / "runlore" / "spool"


def spool_of(uri: str) -> tuple[Path, str]:
    """The spool of a store, and what its journals call the store: nothing when they lie in it, else its URI without a
    password."""
    scheme, _, rest = uri.partition(":")
    if scheme == "file":
        return Path(url2pathname(urlsplit(uri).path)) / "spool", ""
    if scheme == "sqlite" and rest.startswith("///"):
        file = Path(rest[3:]).absolute()
        return file.with_name(file.name + ".spool"), ""
    parts = urlsplit(uri)
    return user_spool(), parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def open_here(path: Path, flags: int) -> int:
    """Open a file of a spool. A project's spool comes with the project, whoever made that: a link is not followed and a pipe
    not waited for. Raises `OSError`."""
    return os.open(path, flags | _UNFOLLOWED | getattr(os, "O_BINARY", 0), 0o600)


class Claim:
    """The right to a writer's directory, held until `release` or the end of the process."""

    def __init__(self, directory: Path, descriptor: int) -> None:
        self.directory, self._descriptor = directory, descriptor

    def release(self, remove: bool = False) -> None:
        """Give the directory free; with `remove`, remove it if nothing is in it any more."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor < 0:
            return
        if remove and os.name == "posix":  # the lock is held until the name is gone
            _remove(self.directory)
        os.close(descriptor)
        if remove and os.name != "posix":
            _remove(self.directory)

    def note(self, words: str) -> None:
        """Write something into the lock. On a full disk it stays unsaid."""
        with suppress(OSError):
            os.lseek(self._descriptor, 0, os.SEEK_END)
            os.write(self._descriptor, f"{words}\n".encode())

    def abandon(self) -> None:
        """Close this process's copy of the lock after a fork; the parent's stays."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def new_writer(spool: Path) -> Claim:
    """A directory for a new writer; its name is the writer's id. Raises `OSError`."""
    spool.mkdir(mode=0o700, parents=True, exist_ok=True)
    begun = max([time.time_ns(), *(_begun(directory)[0] + 1 for directory in writers(spool))])  # clocks are set back
    for _ in range(_TRIES):
        directory = spool / uuid.uuid4().hex
        directory.mkdir(mode=0o700)
        if (claim := claimed(directory)) is not None:
            claim.note(str(begun))
            return claim  # else it was taken for a leftover before it was locked
    raise OSError(errno.EAGAIN, "No directory for a journal could be locked", str(spool))


def writer_for(uri: str) -> tuple[Path, str, Claim]:
    """The spool of a store, what it calls the store, and a writer there. Where a store's directory takes no journal (it may be
    read-only), that of this user's programs does. Raises `OSError`."""
    place, name = spool_of(uri)
    try:
        return place, name, new_writer(place)
    except OSError:
        if name:
            raise
        return user_spool(), uri, new_writer(user_spool())


def claimed(directory: Path) -> Claim | None:
    """The claim on a writer's directory; None while its process lives, or another one delivers it, or when it is gone."""
    try:
        descriptor = open_here(directory / LOCK, os.O_RDWR | os.O_CREAT)
    except OSError:
        return None
    if not _try_lock(descriptor) or not directory.is_dir():
        os.close(descriptor)
        return None
    return Claim(directory, descriptor)


def left_behind(spool: Path) -> Iterator[Claim]:
    """Claims on the directories of writers whose processes are gone, the oldest first. Release each."""
    for directory in writers(spool):
        claim = claimed(directory)
        if claim is not None:
            if not is_gone(directory):
                claim.note(_GONE)  # so that who finds it locked now does not take its process for living
            yield claim


def is_gone(directory: Path) -> bool:
    """Whether somebody has found out that a writer's process is gone. Else its lock has to be tried."""
    return _GONE in _notes(directory)


def _notes(directory: Path) -> list[str]:
    try:
        descriptor = open_here(directory / LOCK, os.O_RDONLY)
    except OSError:
        return []
    try:
        return os.read(descriptor, 1_000).decode("ascii", "replace").split()
    except OSError:  # Windows keeps others out of what is locked
        return []
    finally:
        os.close(descriptor)


def writers(spool: Path) -> list[Path]:
    """The directories of all writers, in the order in which their processes began: a later one may go on with a run that an
    earlier one has made."""
    try:
        entries = [entry for entry in spool.iterdir() if _is_writer(entry.name) and not entry.is_symlink()]
    except OSError:
        return []
    return sorted(entries, key=_begun)


def _begun(directory: Path) -> tuple[int, str]:
    if (notes := _notes(directory)) and notes[0].isdigit():
        return int(notes[0]), directory.name
    try:
        return (directory / LOCK).stat(follow_symlinks=False).st_mtime_ns, directory.name
    except OSError:
        return 0, directory.name


def _is_writer(name: str) -> bool:
    return len(name) == 32 and all(letter in "0123456789abcdef" for letter in name)


def _remove(directory: Path) -> None:
    try:
        if [entry.name for entry in directory.iterdir()] == [LOCK]:
            (directory / LOCK).unlink()
            directory.rmdir()
    except OSError:
        return


if sys.platform != "win32":
    import fcntl

    def _try_lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True
else:

    def _try_lock(descriptor: int) -> bool:
        import msvcrt

        module: Any = msvcrt
        try:
            module.locking(descriptor, module.LK_NBLCK, 1)
        except OSError:
            return False
        return True
