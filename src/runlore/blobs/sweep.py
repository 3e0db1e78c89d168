"""Removing files that nothing needs any more, and counting what that frees.

Two kinds: *released* directories, whose run or logged model this store has purged (it keeps a list, so a crash loses nothing),
and *unowned* ones, which carry the id of a run or a logged model that the store does not know. The latter may well belong to
another store with the same artifact root, so nothing removes them unless a person says so.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import NamedTuple, TypeVar

from runlore.api.artifacts import Kept, MeasuredFiles, MeasureFiles, RemovedFiles, RemoveReleasedFiles
from runlore.api.trash import ForgetReleasedFiles, GetOwnedFiles, GetReleasedFiles
from runlore.blobs.base import ArtifactPath
from runlore.blobs.reference import MODEL_ID, RUN_ID
from runlore.blobs.tree import BlobTree
from runlore.blobs.uri import PROXIED, is_own, open_blobs, open_root
from runlore.exceptions import NotFound, RunloreError
from runlore.store.base import Store
from runlore.store.http import HttpStore

Outcome = TypeVar("Outcome")

SECONDS = 20.0
"""How long one `remove_released` goes on before it answers."""
_AT_ONCE = 8
_BATCH = 200
_MOST = 10_000

_EMPTY = "This artifact root is empty. Is it the one of this store? The list of {} directories to remove is kept."
_OUTSIDE = "It is outside the artifact root. Remove it with credentials of your own."


def measure(store: Store, uris: Iterable[str]) -> MeasuredFiles:
    """Count the files in directories of the artifact root, missing ones as empty. Others are left out."""
    files = size = 0
    for batch in _batches(uris):
        if isinstance(store, HttpStore):
            found = [store.call(MeasureFiles(uris=batch))]
        else:
            found = list(_in_parallel(lambda uri: _measured(store, uri), [uri for uri in batch if is_own(uri, store)]))
        files, size = files + sum(item.files for item in found), size + sum(item.size for item in found)
    return MeasuredFiles(files=files, size=size)


def remove_released(store: Store, seconds: float = SECONDS) -> RemovedFiles:
    """Remove the files that purged objects have left, for about so many seconds; `more` tells whether to go on.

    A directory that can not be removed is in `kept` with the reason, and stays on the store's list; when no other was left,
    there is nothing `more` to do.
    """
    if isinstance(store, HttpStore):
        return store.call(RemoveReleasedFiles())
    deadline = time.monotonic() + seconds
    listed = store.call(GetReleasedFiles(max_results=_MOST))
    kept = [*listed.kept, *(Kept(kind="files", id=uri, reason=_OUTSIDE) for uri in listed.uris if not is_own(uri, store))]
    mine = [uri for uri in listed.uris if is_own(uri, store)]
    if mine and not open_root(store).list(ArtifactPath("")):
        return RemovedFiles(kept=[*kept, Kept(kind="files", id=store.artifact_root, reason=_EMPTY.format(len(mine)))])
    own = iter(mine)
    directories = files = size = done = 0
    while batch := list(islice(own, _BATCH)):
        outcomes = list(zip(batch, _in_parallel(lambda uri: _removed(store, uri), batch), strict=True))
        gone = [uri for uri, outcome in outcomes if isinstance(outcome, MeasuredFiles)]
        store.call(ForgetReleasedFiles(uris=gone))
        done += len(gone)
        for uri, outcome in outcomes:
            if isinstance(outcome, str):
                kept.append(Kept(kind="files", id=uri, reason=outcome))
                continue
            directories += outcome.files > 0
            files, size = files + outcome.files, size + outcome.size
        if time.monotonic() > deadline:
            break
    more = done > 0 and (next(own, None) is not None or len(listed.uris) == _MOST)
    return RemovedFiles(directories=directories, files=files, size=size, more=more, kept=kept)


class Census(NamedTuple):
    """Directories without an owner, and how many have one."""

    unowned: list[str]
    owned: int


def census(store: Store) -> Census:
    """Look at every directory of the artifact root that carries the id of a run or a logged model.

    They are listed before the store is asked, and a run is always there before its files: none of the unowned ones belongs to
    a run that has just begun. When the store owns none of many, the artifact root is probably that of another store.
    """
    unowned: list[str] = []
    owned = 0
    for batch in _batches(f"{PROXIED}:/{path}" for path in _directories(open_root(store), ArtifactPath(""))):
        known = set(store.call(GetOwnedFiles(uris=batch)).uris)
        owned += len(known)
        unowned += [uri for uri in batch if uri not in known]
    return Census(unowned, owned)


def remove(store: Store, uri: str) -> MeasuredFiles:
    """Remove one directory of the artifact root; returns what was in it."""
    found = _measured(store, uri)
    try:
        open_blobs(uri, store).delete(ArtifactPath(""))
    except NotFound:
        return MeasuredFiles()
    return found


def _removed(store: Store, uri: str) -> MeasuredFiles | str:
    """What was removed, or why nothing was."""
    try:
        return remove(store, uri)
    except RunloreError as error:
        return error.message
    except OSError as error:
        return f"{error.strerror or error}."


def _measured(store: Store, uri: str) -> MeasuredFiles:
    tree = open_blobs(uri, store)
    files = size = 0
    folders = [ArtifactPath("")]
    while folders:
        for entry in tree.list(folders.pop()):
            if entry.is_dir:
                folders.append(ArtifactPath(entry.path))
            else:
                files, size = files + 1, size + (entry.file_size or 0)
    return MeasuredFiles(files=files, size=size)


def _directories(tree: BlobTree, path: ArtifactPath) -> Iterator[ArtifactPath]:
    """Directories named like runs and logged models, not looking inside them."""
    for entry in tree.list(path):
        if entry.is_dir:
            name = entry.path.rpartition("/")[2]
            if RUN_ID.fullmatch(name) or MODEL_ID.fullmatch(name):
                yield ArtifactPath(entry.path)
            else:
                yield from _directories(tree, ArtifactPath(entry.path))


def _batches(items: Iterable[str]) -> Iterator[list[str]]:
    rest = iter(items)
    while batch := list(islice(rest, _BATCH)):
        yield batch


def _in_parallel(work: Callable[[str], Outcome], items: list[str]) -> Iterator[Outcome]:
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="runlore-sweep") as pool:
        yield from pool.map(work, items)
