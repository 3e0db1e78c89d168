"""Files of runs that a server does not take just now: kept in the spool, delivered by this process, a later one, or
`runlore sync`.

    <spool>/files/<run id>/store               whose run it is, as in journals
    <spool>/files/<run id>/artifacts/…         the files, under their paths in the run
    <spool>/files/<run id>/references/<hash>   a local file that is too large to be copied: path, size and time

A file is copied, since training goes on: a hard link would follow when the script writes the next checkpoint into the same
file. Only when the disk has no room for a copy is the file merely referred to, and delivered if nobody has changed it by then.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from runlore.api.runs import GetRun
from runlore.exceptions import InvalidParameter, NotFound, PermissionDenied, RunloreError
from runlore.spool.files import staged
from runlore.spool.places import FILES, open_here, user_spool
from runlore.store.base import Store

if TYPE_CHECKING:
    from runlore.blobs.sources import Source

FREE_SHARE = 0.1
"""Of the disk: copies that would leave less free are not made."""
ALWAYS_COPIED = 1 << 20
"""Bytes of a file that is copied all the same."""
_STORE, _REFERENCES, _REFUSED, _LOCK = "store", "references", "refused-files", "lock"
_FINAL = (NotFound, InvalidParameter, PermissionDenied)
_LONGEST_WAIT_SECONDS = 30.0
_HOPELESS_SECONDS = 2.0
_PATIENCE_SECONDS = 5.0

logger = logging.getLogger("runlore")


class Reference(msgspec.Struct):
    """A local file in the place of its copy."""

    path: str
    local: str
    size: int
    mtime_ns: int


class KeptFiles:
    """The files that this process keeps for one store. Safe to use from many threads."""

    def __init__(self, place: Path, name: str, store: Callable[[], Store]) -> None:
        """`place` is a spool, `name` what journals there call the store; `store` opens it with no patience of its own."""
        self._place, self._name, self._store = place, name, store
        self._door = threading.Lock()
        self._changed = threading.Condition()
        self._runs: set[str] = set()
        self._thread: threading.Thread | None = None
        self._hurry = threading.Event()
        self._failures = 0
        self.trouble: str | None = None
        """Why they have not been delivered."""
        self._adopt()

    def holds(self, run_id: str | None = None) -> bool:
        """Whether files wait: of one run, or of any. What is stored after them has to wait, too, or they would replace it."""
        return bool(self._runs) if run_id is None else run_id in self._runs

    def keep(self, run_id: str, path: str, content: Iterable[bytes] | Path) -> None:
        """Keep one file for a path of a run, replacing one that waits there. Raises `SourceError` when a local file is at
        fault, `OSError` when it can be kept nowhere."""
        from runlore.blobs.base import ArtifactPath
        from runlore.blobs.local import LocalBlobs
        from runlore.blobs.sources import open_source

        directory = staged(self._place, run_id)
        with self._door:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not (directory.parent / _STORE).exists():
                (directory.parent / _STORE).write_text(self._name, "utf-8")
            reference = _reference_file(directory.parent, path)
            if isinstance(content, Path) and not _has_room(directory, content):
                _refer(reference, path, content)
            elif isinstance(content, Path):
                with open_source(content) as source:
                    LocalBlobs(directory).write(ArtifactPath(path), source.chunks())
                reference.unlink(missing_ok=True)
            else:
                LocalBlobs(directory).write(ArtifactPath(path), content)
                reference.unlink(missing_ok=True)
            self._runs.add(run_id)
            self._start()

    def flush(self, seconds: float) -> bool:
        """Wait until nothing waits; False after so many seconds, or about two when the store does not answer."""
        began, failures = time.monotonic(), self._failures
        self._hurry.set()
        with self._changed:
            while self._runs:
                waited = time.monotonic() - began
                if waited > seconds or (waited > _HOPELESS_SECONDS and self._failures > failures):
                    return False
                self._changed.wait(0.1)
        return True

    def tell_what_waits(self) -> None:
        """Warn of files that this process leaves behind."""
        if self._runs:
            logger.warning(
                "Files of %d runs have not arrived: %s They are kept in %s; `runlore sync` delivers them.",
                len(self._runs), self.trouble or "it takes its time.", self._place / FILES,
            )  # fmt: skip

    def _adopt(self) -> None:
        """What an earlier process has left for this store, this one delivers."""
        with suppress(OSError):
            for file in (self._place / FILES).glob(f"*/{_STORE}"):
                with suppress(OSError, InvalidParameter):
                    if _name_of(file.parent) == self._name and staged(self._place, file.parent.name):
                        self._runs.add(file.parent.name)
        if self._runs:
            self._start()

    def _start(self) -> None:
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run, name="runlore-kept-files", daemon=True)
            with suppress(RuntimeError):  # the interpreter ends: it is left to `runlore sync`
                self._thread.start()

    def _run(self) -> None:
        while True:
            for run_id in sorted(self._runs):
                try:
                    gone = deliver_kept(self._place, run_id, self._store(), self._door)
                    self._failures, self.trouble = 0, None
                except (RunloreError, OSError) as error:
                    gone = False
                    self._failures += 1
                    self.trouble = getattr(error, "message", str(error))
                    if self._failures == 2:
                        logger.warning("Files are kept in %s until the store takes them: %s", self._place / FILES, self.trouble)
                if gone:
                    self._forget(run_id)
            with self._changed:
                self._changed.notify_all()
            with self._door:
                if not self._runs:
                    self._thread = None
                    return
            self._hurry.wait(min(_LONGEST_WAIT_SECONDS, 0.5 * 2 ** min(self._failures, 10)))
            self._hurry.clear()

    def _forget(self, run_id: str) -> None:
        with self._door:
            if not _waiting(self._place / FILES / run_id):
                self._runs.discard(run_id)


def deliver_all_kept(place: Path, open_store: Callable[[str], Store | None]) -> Iterator[RunloreError | OSError | str]:
    """Deliver what is kept in a spool; yields the id of each run of which nothing waits any more, and why others wait."""
    try:
        found = sorted(path.parent for path in (place / FILES).glob(f"*/{_STORE}") if not path.parent.is_symlink())
    except OSError:
        return
    for directory in found:
        try:
            store = open_store(_name_of(directory))
            if store is None:
                continue
            if deliver_kept(place, directory.name, store, threading.Lock()):
                yield directory.name
        except (RunloreError, OSError) as error:
            yield error


def deliver_kept(place: Path, run_id: str, store: Store, door: threading.Lock) -> bool:
    """Deliver what is kept of one run. False when somebody else does so now, or something new came meanwhile.

    `door` is held while a delivered file is removed, if it is still the same. What the store refuses for good is set aside.
    """
    directory = staged(place, run_id).parent
    if directory.is_symlink() or not directory.is_dir():
        return True
    with _locked(directory) as mine:
        if not mine:
            return False
        try:
            _deliver(directory, run_id, store, door, trusted=place == user_spool())
        except _FINAL as error:
            _set_aside(place, directory, error)
            return True
        with door:
            return not _waiting(directory) and _remove(directory)


def _deliver(directory: Path, run_id: str, store: Store, door: threading.Lock, trusted: bool) -> None:
    from runlore.blobs.base import ArtifactPath
    from runlore.blobs.directories import in_parallel
    from runlore.blobs.sources import SourceError
    from runlore.blobs.uri import open_blobs

    uri = store.call(GetRun(run_id=run_id)).run.info.artifact_uri
    blobs = open_blobs(uri, store, foreign=True, patience=_PATIENCE_SECONDS)

    def send(source: Source) -> None:
        with suppress(FileNotFoundError, SourceError):  # replaced or removed meanwhile: the next round sees what is there
            then = source.path.lstat()
            blobs.write_file(source.path, source.name)
            with door:
                if _identity(source.path.lstat()) == _identity(then):
                    source.path.unlink()

    def send_referred(file: Path) -> None:
        reference = msgspec.json.decode(file.read_bytes(), type=Reference)
        local = Path(reference.local)
        with suppress(FileNotFoundError):
            now = local.stat()
            if (now.st_size, now.st_mtime_ns) == (reference.size, reference.mtime_ns):
                blobs.write_file(local, ArtifactPath(reference.path))
                file.unlink()
                return
        logger.warning(
            "%r was changed or removed before it could be delivered to run %s, and the disk had no room for a copy.",
            reference.local, run_id,
        )  # fmt: skip
        file.rename(file.with_suffix(".lost"))

    in_parallel(send, _files(directory))
    if trusted:  # whoever made a spool elsewhere would choose which files of this user are sent
        in_parallel(send_referred, [file for file in (directory / _REFERENCES).glob("*.json") if not file.is_symlink()])


def _files(directory: Path) -> Iterator[Source]:
    """The files that wait. Links are not followed: nothing of this SDK makes one here."""
    from runlore.blobs.base import ArtifactPath
    from runlore.blobs.sources import OWN_NAMES, Source

    top = directory / "artifacts"
    if top.is_symlink():
        return
    for folder, folders, names in os.walk(top):
        folders[:] = sorted(name for name in folders if name not in OWN_NAMES)
        for name in sorted(names):
            path = Path(folder, name)
            if name not in OWN_NAMES and not path.is_symlink():
                yield Source(ArtifactPath(path.relative_to(top).as_posix()), path)


def _waiting(directory: Path) -> bool:
    return next(_files(directory), None) is not None or any((directory / _REFERENCES).glob("*.json"))


def _identity(kind: os.stat_result) -> tuple[int, int, int]:
    return kind.st_ino, kind.st_mtime_ns, kind.st_size


def _has_room(directory: Path, local: Path) -> bool:
    disk, size = shutil.disk_usage(directory), local.stat().st_size
    return size <= ALWAYS_COPIED or disk.free - size > disk.total * FREE_SHARE


def _reference_file(directory: Path, path: str) -> Path:
    return directory / _REFERENCES / f"{hashlib.sha256(path.encode()).hexdigest()[:32]}.json"


def _refer(file: Path, path: str, local: Path) -> None:
    kind = local.stat()
    file.parent.mkdir(mode=0o700, exist_ok=True)
    made = Reference(str(path), os.fspath(local.absolute()), kind.st_size, kind.st_mtime_ns)
    file.write_bytes(msgspec.json.encode(made))
    logger.warning(
        "%r (%d MB) is not copied, the disk has too little room: it is delivered later if nobody changes it until then.",
        made.local, kind.st_size // 10**6,
    )  # fmt: skip


def _name_of(directory: Path) -> str:
    descriptor = open_here(directory / _STORE, os.O_RDONLY)
    with os.fdopen(descriptor, "rb") as file:
        return file.read(8_192).decode("utf-8", "replace")


@contextmanager
def _locked(directory: Path) -> Iterator[bool]:
    """True for the one who may deliver a directory now."""
    from runlore.blobs.local import try_lock

    descriptor = open_here(directory / _LOCK, os.O_RDWR | os.O_CREAT)
    try:
        yield try_lock(descriptor)
    finally:
        os.close(descriptor)


def _remove(directory: Path) -> bool:
    """Remove what is left of an empty directory; False when another process has put something there. Lost references stay, for
    a person to read."""
    from runlore.blobs.sources import OWN_NAMES

    for folder, _, names in os.walk(directory / "artifacts", topdown=False):
        for name in names:
            if name in OWN_NAMES:
                Path(folder, name).unlink(missing_ok=True)
        with suppress(OSError):
            Path(folder).rmdir()
    if (directory / "artifacts").exists():
        return False
    (directory / _STORE).unlink(missing_ok=True)
    (directory / _LOCK).unlink(missing_ok=True)
    for empty in (directory / _REFERENCES, directory):
        with suppress(OSError):
            empty.rmdir()
    return True


def _set_aside(place: Path, directory: Path, error: RunloreError) -> None:
    target = place / _REFUSED / f"{directory.name}-{time.time_ns()}"
    target.parent.mkdir(mode=0o700, exist_ok=True)
    directory.rename(target)
    logger.warning("The store refused files of run %s: %s They are kept in %s.", directory.name, error.message, target)
