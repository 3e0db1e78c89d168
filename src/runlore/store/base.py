"""What a store is, and how a URI becomes one."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import Protocol, TypeVar
from urllib.parse import unquote, urlsplit

from runlore.api.operation import Operation
from runlore.exceptions import InvalidParameter, InvalidState
from runlore.store import location

Reply = TypeVar("Reply")
_POSTGRESQL = re.compile(r"^postgres(ql)?(\+\w+)?:", re.IGNORECASE)


class Store(Protocol):
    """Answers operations. Safe to use from many threads.

    `call` returns the reply, or raises a `RunloreError` and has changed nothing. When a writing operation returns, its
    effect is on stable storage. Sending the same write again is harmless.
    """

    uri: str
    artifact_root: str
    """Where `mlflow-artifacts:/` points: a `file:`, `s3:`, `gs:`, `az:` or `http(s):` URI."""

    def call(self, operation: Operation[Reply]) -> Reply:
        """Carry out one operation."""
        ...

    def close(self) -> None:
        """Finish waiting writes and let go of files and sockets. Calling it twice is harmless."""
        ...


def open_store(uri: str | None = None, artifacts: str | None = None) -> Store:
    """The store that a URI names.

    * `None`: the local store, `.runlore/` of this project (see `location.py`);
    * a directory, as a path or `file:` URI: `runlore.db` and `artifacts/` in it;
    * `sqlite:///relative.db`, `sqlite:////absolute.db`: that file, and `artifacts/` beside it;
    * `postgresql://…`: that database; artifacts in the local store's directory unless `artifacts` says otherwise, which is
      right for one machine only: give a team an object store;
    * `http://…`, `https://…`: a Runlore or MLflow server, which knows where artifacts are.

    `artifacts` is a directory or a URI (`s3://bucket/prefix`, …). Databases and directories are made when they do not exist,
    PostgreSQL databases excepted. Raises `InvalidParameter` for a URI that names no store, `InvalidState` for a file system
    or database that can not hold one, `Unavailable` when it can not be reached.
    """
    if uri is None:
        return _open_directory(location.locate(), artifacts)
    if re.match(r"databricks(-uc)?(:|$)", uri):
        raise InvalidParameter(
            f"The tracking URI is {uri!r}: Runlore does not speak to Databricks. Unset MLFLOW_TRACKING_URI, or name "
            "another store: a directory, sqlite:///file.db, postgresql://user@host/database, http://host:port."
        )
    scheme = re.match(r"([A-Za-z][A-Za-z0-9.-]*)(\+\w+)?:", uri)
    if scheme is None or len(scheme[1]) == 1:  # C:\… is a path
        return _open_directory(Path(uri), artifacts)
    match scheme[1].lower():
        case "http" | "https":
            return _open_http(uri, artifacts)
        case "sqlite":
            return _open_sqlite(uri, artifacts)
        case "postgresql" | "postgres":
            return _open_postgresql(uri, artifacts)
        case "file":
            return _open_directory(Path(unquote(urlsplit(uri).path)), artifacts)
    raise InvalidParameter(
        f"{uri!r} names no store. Stores are: a directory, sqlite:///file.db, postgresql://user@host/database, http://host:port."
    )


def is_postgresql(uri: str | None) -> bool:
    """Whether a URI names a PostgreSQL database."""
    return uri is not None and _POSTGRESQL.match(uri) is not None


def _open_directory(directory: Path, artifacts: str | None) -> Store:
    from runlore.store.sql.store import open_sqlite

    if directory.is_file() or directory.suffix in (".db", ".sqlite", ".sqlite3"):
        raise InvalidParameter(f"{str(directory)!r} is a file. hint: sqlite:///{directory}")
    directory = location.create(directory.absolute())
    _refuse_shared(directory)
    return open_sqlite(directory / "runlore.db", str(directory), artifact_uri(artifacts or directory / "artifacts"))


def _open_sqlite(uri: str, artifacts: str | None) -> Store:
    from runlore.store.sql.store import open_sqlite

    _, found, name = uri.partition(":///")
    if not found or not name or "?" in name:
        raise InvalidParameter(f"{uri!r} names no file. Write sqlite:///relative.db or sqlite:////absolute/path.db.")
    path = Path(name).absolute()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _refuse_shared(path.parent)
    return open_sqlite(path, uri, artifact_uri(artifacts or path.parent / "artifacts"))


def _refuse_shared(directory: Path) -> None:
    """Raise `InvalidState` when every user of this machine may exchange files in `directory`.

    They could put a link or a database of their own in the place of ours. Where only owners may remove files (`/tmp`), they
    can not, but the owner of the directory can.
    """
    if not hasattr(os, "getuid"):
        return
    facts = directory.stat()
    mode, sticky = facts.st_mode, facts.st_mode & stat.S_ISVTX and facts.st_uid in (0, os.getuid())
    if mode & stat.S_IWOTH and not sticky:
        raise InvalidState(
            f"{directory} may be written by every user of this machine (mode {stat.filemode(mode)}), who could exchange the "
            f"files in it. Use a directory in it, which will be private, or run: chmod o-w '{directory}'"
        )


def _open_postgresql(uri: str, artifacts: str | None) -> Store:
    from runlore.store.sql.store import open_postgresql

    uri = _POSTGRESQL.sub("postgresql:", uri)
    return open_postgresql(uri, artifact_uri(artifacts or location.locate() / "artifacts"))


def _open_http(uri: str, artifacts: str | None) -> Store:
    from runlore.store.http import HttpStore

    if artifacts is not None:
        raise InvalidParameter(f"The server {uri} says where its artifacts are; {artifacts!r} can not be given with it.")
    return HttpStore(uri)


def artifact_uri(place: str | Path) -> str:
    """The URI of an artifact root: URIs stay what they are, a path becomes a `file:` URI."""
    if isinstance(place, str) and re.match(r"[A-Za-z][A-Za-z0-9+.-]+:", place):
        return place.rstrip("/")
    directory = Path(place).absolute()
    if directory.is_dir():
        _refuse_shared(directory)
    return directory.as_uri()
