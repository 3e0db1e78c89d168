"""Directories of files whose owner was purged, and the question whether anything else still needs them.

A model version is made of files of a run or of a logged model; it says which (`storage_location`), and as long as it exists
those files stay. Once nothing needs a released directory, nothing ever will: a new version can only be made of files that have
an owner.
"""

from __future__ import annotations

from runlore.api.artifacts import Kept
from runlore.api.trash import ForgetReleasedFiles, GetOwnedFiles, GetReleasedFiles, OwnedFiles, ReleasedFiles
from runlore.blobs.reference import MODEL_ID, RUN_ID
from runlore.entities import Empty
from runlore.store.sql.database import Transaction
from runlore.store.sql.handlers import handles
from runlore.store.sql.run_rows import run_key

_MOST_VERSIONS = 20

# A place is in a directory when it is the directory, or begins with it and a slash; "0" is the character after the slash.
_NEEDED = (
    "(EXISTS (SELECT 1 FROM model_version v WHERE v.storage_location = f.uri) "
    "OR EXISTS (SELECT 1 FROM model_version v WHERE v.storage_location >= f.uri || '/' AND v.storage_location < f.uri || '0') "
    "OR EXISTS (SELECT 1 FROM experiment e WHERE e.artifact_location = f.uri "
    "OR (e.artifact_location >= f.uri || '/' AND e.artifact_location < f.uri || '0')))"
)


def directory_of(artifact_uri: str) -> str:
    """The directory that a run or a logged model has for itself: its artifact URI without the last part."""
    return artifact_uri.removesuffix("/artifacts")


def release(db: Transaction, artifact_uri: str) -> None:
    """Note that the files of something are without an owner."""
    db.execute(
        "INSERT INTO released_files (uri, time) VALUES (?, ?) ON CONFLICT (uri) DO NOTHING",
        (directory_of(artifact_uri), db.now),
    )


def versions_in(db: Transaction, directory: str) -> list[str]:
    """Model versions (`fruit/3`) whose files are in a directory; at most 20."""
    rows = db.all(
        "SELECT name, version FROM model_version WHERE storage_location = ? "
        "OR (storage_location >= ? AND storage_location < ?) ORDER BY name, version LIMIT ?",
        (directory, directory + "/", directory + "0", _MOST_VERSIONS),
    )
    return [f"{name}/{version}" for name, version in rows]


@handles(GetReleasedFiles)
def get_released_files(db: Transaction, op: GetReleasedFiles) -> ReleasedFiles:
    """Released longest ago first."""
    order = "ORDER BY f.time, f.uri LIMIT ?"
    free = db.all(f"SELECT f.uri FROM released_files f WHERE NOT {_NEEDED} {order}", (op.max_results,))
    needed = db.all(f"SELECT f.uri FROM released_files f WHERE {_NEEDED} {order}", (op.max_results,))
    return ReleasedFiles(
        uris=[uri for (uri,) in free], kept=[Kept(kind="files", id=uri, reason=_reason(db, uri)) for (uri,) in needed]
    )


def _reason(db: Transaction, uri: str) -> str:
    versions = versions_in(db, uri)
    if not versions:
        return "An experiment keeps its files there."
    return f"Model version {', '.join(versions)} is made of these files. They go when it is deleted."


@handles(ForgetReleasedFiles)
def forget_released_files(db: Transaction, op: ForgetReleasedFiles) -> Empty:
    """What is needed stays on the list."""
    if op.uris:
        condition, parameter = db.among("uri", op.uris)
        db.execute(f"DELETE FROM released_files AS f WHERE {condition} AND NOT {_NEEDED}", (parameter,))
    return Empty()


@handles(GetOwnedFiles)
def get_owned_files(db: Transaction, op: GetOwnedFiles) -> OwnedFiles:
    """A few look-ups each. In doubt, files have an owner."""
    return OwnedFiles(uris=[uri for uri in op.uris if _is_owned(db, uri)])


def _is_owned(db: Transaction, uri: str) -> bool:
    name = uri.rpartition("/")[2]
    if RUN_ID.fullmatch(name):
        run_id = name.lower()
        owner = db.one("SELECT 1 FROM run WHERE run_key = ? AND run_id = ?", (run_key(run_id), run_id))
    elif MODEL_ID.fullmatch(name):
        owner = db.one("SELECT 1 FROM logged_model WHERE model_id = ?", (name,))
    else:
        return True
    if owner or db.one("SELECT 1 FROM released_files WHERE uri = ?", (uri,)):
        return True
    return db.one(f"SELECT 1 FROM (SELECT CAST(? AS TEXT) AS uri) f WHERE {_NEEDED}", (uri,)) is not None
