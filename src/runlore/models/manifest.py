"""The manifest beside a model: size and SHA-256 of every file, sealed with this installation's key.

The seal is an HMAC-SHA256 over the digests. It answers one question at load: "did this very installation write these very
files?" If so, they load without ceremony; if not, whatever could run code needs the caller's consent (see trust.py). It is
no signature for others: whoever lacks the key can not check it, and treats the model as foreign.

The key is 32 random bytes in `model.key` in the user's configuration directory (`RUNLORE_CONFIG_DIR`, else
`$XDG_CONFIG_HOME/runlore`, else `~/.config/runlore`), made at the first save with mode 0600. Deleting it makes earlier models
foreign, nothing worse; copying it to another machine makes the two installations trust each other's models.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import logging
import os
import secrets
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from runlore.exceptions import InvalidState, Untrusted
from runlore.settings import settings

MANIFEST_FILE = "runlore-manifest.json"
KEY_BYTES = 32
MAX_BYTES = 64 * 2**20
_ADDED_BY_DOWNLOADS = frozenset({"registered_model_meta"})
_SEALED = b"runlore model manifest 1\n"

_log = logging.getLogger("runlore")


class FileDigest(msgspec.Struct, frozen=True):
    """Size in bytes and SHA-256 (hexadecimal) of one file."""

    size: int
    sha256: str


class Seal(msgspec.Struct, frozen=True):
    """The HMAC over the files."""

    hmac_sha256: str


class Manifest(msgspec.Struct, frozen=True):
    """Every file of a model by its path under the model's directory."""

    files: dict[str, FileDigest]
    seal: Seal | None = None
    version: int = 1


def write_manifest(directory: Path, seal: bool = True) -> str:
    """Write the manifest of all files under `directory`, sealed unless told otherwise; returns its own SHA-256.

    Without a usable key (no home directory, read-only disk) the manifest stays unsealed and a warning is logged.
    """
    files = {name: _digest(path) for name, path in model_files(directory) if name != MANIFEST_FILE}
    made: Seal | None = None
    try:
        key = installation_key(create=True) if seal else None
        made = Seal(_hmac(key, files)) if key else None
    except OSError as error:
        _log.warning(
            "This model is not sealed: no key at %s (%s). It will load as if it came from elsewhere.", key_path(), error
        )
    raw = msgspec.json.format(msgspec.json.encode(Manifest(files, made)), indent=1)
    (directory / MANIFEST_FILE).write_bytes(raw)
    return hashlib.sha256(raw).hexdigest()


def check_manifest(directory: Path, expected: str | None = None) -> bool:
    """True when this installation wrote exactly the files under `directory`; False when someone else may have.

    `expected` is the SHA-256 of the manifest as the store knows it. A file that differs from the manifest, or a manifest
    that differs from `expected`, raises `Untrusted`: it was damaged or tampered with.
    """
    path = directory / MANIFEST_FILE
    if not path.is_file():
        if expected is not None:
            raise Untrusted(
                f"{MANIFEST_FILE} is missing in {directory}, but the store knows its digest: the model was changed."
            )
        return False
    if path.stat().st_size > MAX_BYTES:
        raise InvalidState(f"{path} is larger than {MAX_BYTES} bytes.")
    raw = path.read_bytes()
    found = hashlib.sha256(raw).hexdigest()
    if expected is not None and not hmac.compare_digest(found, expected):
        raise Untrusted(f"{MANIFEST_FILE} has the SHA-256 {found}, the store expects {expected}: the model was changed.")
    try:
        manifest = msgspec.json.decode(raw, type=Manifest)
    except (msgspec.ValidationError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidState(f"{path} can not be read: {error}.") from None
    present = dict(model_files(directory))
    _compare(manifest, present)
    complete = present.keys() - {MANIFEST_FILE} - _ADDED_BY_DOWNLOADS == manifest.files.keys()
    return complete and _sealed_here(manifest)


def _compare(manifest: Manifest, present: dict[str, Path]) -> None:
    for name, recorded in manifest.files.items():
        if name not in present:
            raise Untrusted(f"The model's file {name!r} is missing: it is in {MANIFEST_FILE}.")
        actual = _digest(present[name])
        if actual != recorded:
            raise Untrusted(
                f"The model's file {name!r} is not what was logged: {actual.size} bytes with SHA-256 {actual.sha256}, "
                f"expected {recorded.size} bytes with SHA-256 {recorded.sha256}. It was damaged or changed."
            )


def _sealed_here(manifest: Manifest) -> bool:
    if manifest.seal is None or manifest.version != 1:
        return False
    with contextlib.suppress(OSError):
        key = installation_key()
        return key is not None and hmac.compare_digest(_hmac(key, manifest.files), manifest.seal.hmac_sha256)
    return False


def model_files(directory: Path) -> Iterator[tuple[str, Path]]:
    """Regular files under `directory` with their relative names, sorted. A symbolic link raises `Untrusted`."""
    for folder, folders, names in os.walk(directory):
        folders.sort()
        for name in sorted([*names, *(item for item in folders if Path(folder, item).is_symlink())]):
            path = Path(folder, name)
            if path.is_symlink() or not path.is_file():
                raise Untrusted(f"{path} is a symbolic link or not a regular file: a model is made of regular files.")
            yield path.relative_to(directory).as_posix(), path


def others_can_not_change(directory: Path) -> bool:
    """True when only this user (and root) may exchange files under `directory`, or the directory itself.

    Between the check of a digest and the use of the file, others must not be able to put another one in its place.
    """
    if sys.platform == "win32":
        return True
    place = directory.resolve()
    inside = (Path(folder, name) for folder, folders, names in os.walk(place) for name in ("", *folders, *names))
    return all(_is_private(path.lstat()) for path in inside) and all(
        _is_private(facts) or facts.st_mode & stat.S_ISVTX for facts in map(Path.stat, place.parents)
    )


def _is_private(facts: os.stat_result) -> bool:
    """Nobody else may write. The user's own group is taken for nobody else: it is where the umask is 002."""
    if sys.platform == "win32":
        return True
    of_others = facts.st_mode & stat.S_IWOTH or (facts.st_mode & stat.S_IWGRP and facts.st_gid not in (0, os.getgid()))
    return facts.st_uid in (0, os.getuid()) and not of_others


def key_path() -> Path:
    """Where this installation's key is, or will be."""
    configured = settings().config_directory
    return (Path(configured) if configured else Path("~/.config/runlore").expanduser()) / "model.key"


def installation_key(create: bool = False) -> bytes | None:
    """The key of this installation; None when there is none and `create` is false.

    A key that others may read or write is refused with `InvalidState`. Raises `OSError` when it can not be made or read.
    """
    path = key_path()
    if create and not path.exists():
        _create_key(path)
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    except FileNotFoundError:
        return None
    with os.fdopen(descriptor, "rb") as stream:
        facts = os.fstat(stream.fileno())
        if not stat.S_ISREG(facts.st_mode) or (os.name == "posix" and facts.st_mode & 0o077):
            raise InvalidState(f"{path} may be read by others (mode {stat.filemode(facts.st_mode)}). Run: chmod 600 '{path}'")
        key = stream.read(KEY_BYTES + 1)
    if len(key) != KEY_BYTES:
        raise InvalidState(f"{path} is not a key: it has not {KEY_BYTES} bytes. Delete it; a new one is made at the next save.")
    return key


def _create_key(path: Path) -> None:
    """Make the key whole or not at all; when two processes do so at once, one key wins for both."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".model.key.")
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(secrets.token_bytes(KEY_BYTES))
            stream.flush()
            os.fsync(stream.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(name, path)
    finally:
        os.unlink(name)


def _hmac(key: bytes, files: dict[str, FileDigest]) -> str:
    plain: dict[str, Any] = {name: [entry.size, entry.sha256] for name, entry in files.items()}
    return hmac.new(key, _SEALED + json.dumps(plain, sort_keys=True).encode(), hashlib.sha256).hexdigest()


def _digest(path: Path) -> FileDigest:
    with path.open("rb") as stream:
        return FileDigest(path.stat().st_size, hashlib.file_digest(stream, "sha256").hexdigest())
