"""Is a store well? Its directory, its database, its files: what is wrong, and what to do about it. Nothing is changed.

Works on a store in use, and on one that can not be opened any more: each part is looked at by itself, and what fails there
becomes a finding.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit
from urllib.request import url2pathname

from runlore.api.operation import Operation
from runlore.api.trash import GetReleasedFiles
from runlore.blobs.base import ArtifactPath
from runlore.blobs.local import STAGING
from runlore.blobs.sweep import census, measure
from runlore.blobs.uri import is_own, open_blobs
from runlore.exceptions import NotFound, RunloreError
from runlore.store.base import artifact_uri
from runlore.store.sql.checkup import Finding, check_postgresql, check_runs, check_schema
from runlore.store.sql.database import Database
from runlore.store.sql.file_systems import NETWORK_FILE_SYSTEMS, file_system
from runlore.store.sql.sqlite import (
    FIRST_SAFE_VERSION,
    SqliteDatabase,
    driver,
)
from runlore.store.sql.store import answer

Reply = TypeVar("Reply")

_LARGE_LOG = 512 << 20
_LITTLE_SPACE = 1 << 30
_EXAMPLES = 10
_BACKUP = "Stop everything that writes, keep the file, and restore the newest backup that `runlore doctor` finds sound."


class _Reader:
    """A store for looking: reads are answered, nothing else happens."""

    def __init__(self, database: Database, uri: str, artifact_root: str) -> None:
        self.uri, self.artifact_root = uri, artifact_root
        self._database = database

    def call(self, operation: Operation[Reply]) -> Reply:
        """Carry out an operation that reads."""
        with self._database.read() as db:
            return answer(db, operation)  # type: ignore[no-any-return]

    def close(self) -> None:
        """The database is closed by whoever opened it."""


def examine_sqlite(path: Path, artifacts: str | None, quick: bool = False) -> Iterator[Finding]:
    """Findings on a store in a SQLite file. `quick` leaves out what takes long: reading every point and looking at files."""
    yield from _place(path)
    sound = True
    for finding in _sqlite_file(path):
        sound = sound and finding.level != "error"
        yield finding
    if not sound:
        return
    try:
        with closing(SqliteDatabase(path)) as database:
            yield from _content(database, str(path), artifact_uri(artifacts or path.parent / "artifacts"), quick)
    except (RunloreError, driver().Error) as error:
        yield Finding(level="error", what=f"{path.name} can not be read to the end: {error}", advice=_BACKUP)


def examine_postgresql(uri: str, artifacts: str, quick: bool = False) -> Iterator[Finding]:
    """Findings on a store in a PostgreSQL database."""
    from runlore.store.sql.postgresql import PostgresDatabase

    with closing(PostgresDatabase(uri)) as database:
        yield from check_postgresql(database)
        yield from _content(database, uri, artifact_uri(artifacts), quick)


def _content(database: Database, uri: str, root: str, quick: bool) -> Iterator[Finding]:
    schema = check_schema(database)
    yield schema
    if schema.level != "ok" or quick:
        return
    yield from check_runs(database)
    yield from _staging(root)
    try:
        yield from _files(_Reader(database, uri, root), database)
    except (RunloreError, OSError) as error:
        what = f"The artifacts in {root} can not be looked at: {error}"
        yield Finding(level="error", what=what, advice="Check the place, and the credentials for it in the environment.")


# -- the directory and the file ------------------------------------------------------------------------------------------


def _place(path: Path) -> Iterator[Finding]:
    kind = file_system(path.parent)
    if kind in NETWORK_FILE_SYSTEMS:
        advice = "Move it to a local disk, or use PostgreSQL or a `runlore server`."
        yield Finding(level="error", what=f"{path.parent} is on a network file system ({kind}).", advice=advice)
    if os.name == "posix":
        yield from _modes(path)
    free = shutil.disk_usage(path.parent).free
    what = f"{free / 1e9:,.1f} GB are left on the disk of {path.parent}."
    if free < _LITTLE_SPACE:
        yield Finding(level="warning", what=what, advice="Make space: when the disk is full nothing more is written.")
    else:
        yield Finding(level="ok", what=what)
    log = path.with_name(path.name + "-wal")
    with suppress(FileNotFoundError):
        if log.stat().st_size > _LARGE_LOG:
            what = f"The write-ahead log {log.name} has {log.stat().st_size >> 20} MiB."
            yield Finding(
                level="warning", what=what, advice="A reader that never ends keeps it. Restart what has the store open."
            )
    leftovers = sorted(entry.name for entry in path.parent.glob(f"{path.name}.*.bak*"))
    if leftovers:
        what = f"Copies from before migrations: {', '.join(leftovers)}."
        yield Finding(level="note", what=what, advice="Delete them when you are content with the newer version.")


def _modes(path: Path) -> Iterator[Finding]:
    """Others must not read the store, and least of all write it."""
    open_to_others = []
    private = path.parent.name == ".runlore"
    for entry in (path.parent, path, path.with_name(path.name + "-wal"), path.parent / "artifacts"):
        with suppress(FileNotFoundError):
            mode = stat.S_IMODE(entry.stat().st_mode)
            if mode & 0o022 or (mode & 0o077 and (private or entry != path.parent)):
                open_to_others.append(f"{entry.name} ({mode:04o})")
    if open_to_others:
        what = f"Other users of this machine may get at {', '.join(open_to_others)}."
        yield Finding(level="warning", what=what, advice=f"chmod -R go-rwx {str(path.parent)!r}, if that is not meant.")
    else:
        yield Finding(level="ok", what=f"{path.parent} is private.")


def _sqlite_file(path: Path) -> Iterator[Finding]:
    """What SQLite itself says of the file."""
    module = driver()
    version = module.sqlite_version
    if module.sqlite_version_info < FIRST_SAFE_VERSION:
        yield Finding(
            level="warning",
            what=f"SQLite {version} can corrupt a database that two processes write.",
            advice="pip install pysqlite3; until then one process at a time may use the store.",
        )
    else:
        yield Finding(level="ok", what=f"SQLite {version} is safe with several processes.")
    connection = module.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None, timeout=5.0)
    try:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if "schema_version" not in tables:
            yield Finding(level="error", what=f"{path} is a database, but not one of Runlore's.", advice="Name another file.")
            return
        problems = [row[0] for row in connection.execute(f"PRAGMA integrity_check({_EXAMPLES})")]
        broken = connection.execute("PRAGMA foreign_key_check").fetchmany(_EXAMPLES)
        pages, free, size = (
            connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
        )
    except module.Error as error:
        yield Finding(level="error", what=f"{path} can not be read: {error}.", advice=_BACKUP)
        return
    finally:
        connection.close()
    for problem in problems if problems != ["ok"] else []:
        yield Finding(level="error", what=f"{path.name} is damaged: {problem}", advice=_BACKUP)
    for table, row, parent, _ in broken:
        what = f"Row {row} of {table} belongs to a {parent} that is not there."
        yield Finding(level="error", what=what, advice=_BACKUP)
    if problems == ["ok"] and not broken:
        what = f"{path.name} is sound: {pages * size / 1e6:,.1f} MB, {free * size / 1e6:,.1f} MB of them free for what comes."
        yield Finding(level="ok", what=what)


# -- files -----------------------------------------------------------------------------------------------------------------


def _staging(root: str) -> Iterator[Finding]:
    if not root.startswith("file:"):
        return
    with suppress(FileNotFoundError):
        unfinished = os.listdir(Path(url2pathname(urlsplit(root).path)) / STAGING)
        if unfinished:
            advice = "Those of killed programs are removed when the store is opened next."
            yield Finding(level="note", what=f"{len(unfinished)} uploads are not finished.", advice=advice)


def _files(store: _Reader, database: Database) -> Iterator[Finding]:
    missing = list(_missing(store, database))
    for name in missing[:_EXAMPLES]:
        advice = "Copy them back from a backup, or delete what can not be loaded any more."
        yield Finding(level="error", what=f"The files of {name} are missing.", advice=advice)
    if len(missing) > _EXAMPLES:
        yield Finding(level="error", what=f"So are those of {len(missing) - _EXAMPLES} more.")
    released = store.call(GetReleasedFiles(max_results=10_000))
    if released.uris:
        what = f"{len(released.uris)} directories of purged runs and models wait to be removed."
        yield Finding(level="note", what=what, advice="runlore gc")
    found = census(store)
    if found.unowned:
        yield _strangers(store, found.unowned, found.owned)
    elif not missing:
        yield Finding(level="ok", what=f"{found.owned:,} directories of files have an owner, and no model misses its files.")


def _strangers(store: _Reader, unowned: list[str], owned: int) -> Finding:
    size = measure(store, unowned).size
    if not owned:
        what = f"None of the {len(unowned)} directories in {store.artifact_root} belongs to this store."
        return Finding(level="warning", what=what, advice="Is it the artifact root of another store? hint: --artifacts")
    what = f"{len(unowned)} directories ({size / 1e6:,.1f} MB) belong to no run or model of this store, such as {unowned[0]}."
    return Finding(
        level="warning", what=what, advice="runlore gc --unowned removes them, if no other store has its files there."
    )


def _missing(store: _Reader, database: Database) -> Iterator[str]:
    """Model versions and finished logged models whose files are not in the artifact root, where they should be."""
    with database.read() as db:
        places = db.all(
            "SELECT 'model version ' || name || '/' || CAST(version AS TEXT), storage_location FROM model_version UNION ALL "
            "SELECT 'logged model ' || model_id, artifact_uri FROM logged_model WHERE status = 'READY' AND deleted_time IS NULL"
        )
    for name, uri in places:
        if is_own(uri, store):
            try:
                open_blobs(uri, store).stat(ArtifactPath(""))
            except NotFound:
                yield name
