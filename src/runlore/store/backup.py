"""Copies of a store that is in use, whole or absent.

The database first, as of one moment, then the files: whatever the copied rows speak of was complete before its file is copied.
The copy is a directory like any other store's; opening it is restoring it.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import msgspec

from runlore.blobs.digest import INDEX
from runlore.exceptions import InvalidParameter, InvalidState
from runlore.store.base import artifact_uri
from runlore.store.sql.sqlite import SqliteDatabase

_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)


class Backup(msgspec.Struct, frozen=True, kw_only=True):
    """What was copied. `left_out` is the artifact root when its files are not part of the copy."""

    directory: str
    database_size: int
    files: int = 0
    size: int = 0
    linked: bool = False
    left_out: str | None = None


def back_up(database: Path, artifacts: str | None, target: Path, files: bool = True, link: bool = False) -> Backup:
    """Copy the store in a SQLite file, with its artifact root (`artifacts`, else the directory beside it), to `target`.

    `link` makes hard links instead of copies: no space is taken, and since files are only ever replaced as a whole, the links
    keep what they are. Files in object stores are left out. Raises `InvalidState` when `target` exists and is not empty,
    `InvalidParameter` when it lies inside the artifact root or links are not possible.
    """
    root = artifact_uri(artifacts or database.parent / "artifacts")
    source = Path(url2pathname(urlsplit(root).path)) if root.startswith("file:") else None
    target = target.absolute()
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InvalidState(f"{str(target)!r} exists already. Name a new directory: a backup is never written over another.")
    if source is not None and target.is_relative_to(source):
        raise InvalidParameter(f"{str(target)!r} is inside the artifacts {str(source)!r} that are to be copied.")
    part = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    part.mkdir(mode=0o700, parents=True)
    try:
        with closing(SqliteDatabase(database)) as opened:
            opened.copy_to(part / "runlore.db")
        (part / ".gitignore").write_text("*\n")
        count = size = 0
        if files and source is not None and source.is_dir():
            for written in _copies(source, part / "artifacts", link):
                count, size = count + 1, size + written
        done = Backup(
            directory=str(target),
            database_size=(part / "runlore.db").stat().st_size,
            files=count,
            size=size,
            linked=link,
            left_out=None if files and source is not None else root,
        )
        if hasattr(os, "sync"):
            os.sync()
        os.replace(part, target)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    return done


def refusal(uri: str) -> InvalidState:
    """Why a store that is not a SQLite file can not be backed up here, and what to do instead."""
    if re.match(r"postgres(ql)?(\+\w+)?:", uri, flags=re.IGNORECASE):
        shown = re.sub(r"//([^/@:]*):[^/@]*@", r"//\1@", uri)
        return InvalidState(
            "PostgreSQL makes its own backups, also while Runlore writes: first pg_dump --format=custom --file=runlore.dump "
            f"'{shown}', then copy the artifacts. Restore with pg_restore into an empty database."
        )
    return InvalidState(f"{uri} is a server. Run `runlore backup` on its machine, with the --store that it was started with.")


def _copies(source: Path, target: Path, link: bool) -> Iterator[int]:
    """Copy a directory, yielding the size of each file. Links, special files and unfinished uploads are left out."""
    target.mkdir(mode=0o700)
    with os.scandir(source) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        with suppress(FileNotFoundError):  # deleted meanwhile
            if entry.is_dir(follow_symlinks=False):
                if "%" not in entry.name:  # no artifact has such a name; ".staging%" holds what is being written
                    yield from _copies(Path(entry.path), target / entry.name, link)
            elif entry.name == INDEX:  # it grows in place, so a link would grow with it
                _copy(entry.path, target / INDEX)
            elif entry.is_file(follow_symlinks=False):
                yield _link(entry.path, target / entry.name) if link else _copy(entry.path, target / entry.name)


def _copy(source: str, target: Path) -> int:
    with (
        os.fdopen(os.open(source, os.O_RDONLY | _NO_FOLLOW), "rb") as reader,
        os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_FOLLOW, 0o600), "wb") as writer,
    ):
        shutil.copyfileobj(reader, writer, 1 << 20)
        size = writer.tell()
    then = os.stat(source, follow_symlinks=False)
    os.utime(target, ns=(then.st_atime_ns, then.st_mtime_ns))  # digests are kept with the time of the file
    return size


def _link(source: str, target: Path) -> int:
    try:
        os.link(source, target, follow_symlinks=False)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise InvalidParameter(
            f"Hard links from {source!r} to {str(target.parent)!r} are not possible: {error.strerror}. hint: leave out --link"
        ) from None
    return target.stat().st_size
