"""Whole directories up and down, several files at a time: what every kind of store does the same way."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import islice
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, TypeVar

from runlore.blobs.base import ArtifactPath, Meter
from runlore.blobs.digest import sha256_of
from runlore.blobs.sources import Source, SourceError, artifact_name, open_source, raise_together, sources_in
from runlore.entities import FileInfo
from runlore.exceptions import NotFound

if TYPE_CHECKING:
    from runlore.blobs.tree import BlobTree

_PARALLEL = 8
_AHEAD = 64
"""Files that are handed to the threads before the first of them is done: bounds memory, whatever the number of files."""

Item = TypeVar("Item")


def upload(tree: BlobTree, local: Path, path: ArtifactPath, meter: Meter | None) -> None:
    """See `BlobStore.upload`."""
    if not local.exists():
        raise NotFound(f"There is no file or directory {os.fspath(local)!r} to upload.")
    advance = meter.advance if meter else None
    if not local.is_dir():
        if meter:
            meter.expect(local.stat().st_size)
        tree.write_file(local.resolve(), path.child(artifact_name(local.name)), advance)
        return
    found = list(sources_in(local))
    sources = [item for item in found if isinstance(item, Source)]
    errors = [item for item in found if isinstance(item, SourceError)]
    if meter:
        meter.expect(sum(_size(source.path) for source in sources))
    present = _Present(tree, path)

    def store(source: Source) -> None:
        try:
            there = present.info(source.name)
            if there is not None and _is_same(source.path, there):
                if advance and there.file_size:
                    advance(there.file_size)
                return
            tree.write_file(source.path, path.child(source.name), advance)
        except SourceError as error:
            errors.append(error)

    in_parallel(store, sources)
    raise_together(errors, local, len(found) - len(errors))


class _Present:
    """What is in the target directory already: each directory is listed once, and none below one that is not there."""

    def __init__(self, tree: BlobTree, root: ArtifactPath) -> None:
        self._tree, self._root = tree, root
        self._listed: dict[str, dict[str, FileInfo]] = {}
        self._lock = Lock()

    def info(self, name: ArtifactPath) -> FileInfo | None:
        """The file of that name, with its digest, if there is one."""
        with self._lock:
            found = self._in(name.parent).get(self._root.child(name))
        return found if found is not None and not found.is_dir else None

    def _in(self, directory: ArtifactPath) -> dict[str, FileInfo]:
        if directory not in self._listed:
            place = self._root.child(directory)
            there = directory == "" or place in self._in(directory.parent)
            files = self._tree.described(place) if there else []
            self._listed[directory] = {info.path: info for info in files}
        return self._listed[directory]


def _is_same(local: Path, there: FileInfo) -> bool:
    """Whether a local file has the content of a stored one. It is read only when the sizes agree."""
    if there.sha256 is None:
        return False
    with open_source(local) as source:
        return source.size == there.file_size and sha256_of(source.chunks()) == there.sha256


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def download(tree: BlobTree, path: ArtifactPath, local: Path, meter: Meter | None) -> Path:
    """See `BlobStore.download`."""
    from runlore.blobs.fetch import Fetch  # needs LocalBlobs, which needs this module

    target = local / path
    info = tree.stat(path)
    if info.is_dir:
        target.mkdir(parents=True, exist_ok=True)
        files = list(_described_files(tree, path))
    else:
        files = [info]
    if meter:
        meter.expect(sum(file.file_size or 0 for file in files))
    fetch = Fetch(tree, local, meter.advance if meter else None)
    in_parallel(fetch, files)
    return target


def _described_files(tree: BlobTree, directory: ArtifactPath) -> Iterable[FileInfo]:
    for entry in tree.described(directory):
        if entry.is_dir:
            yield from _described_files(tree, ArtifactPath(entry.path))
        else:
            yield entry


def in_parallel(work: Callable[[Item], object], items: Iterable[Item], at_once: int = _PARALLEL) -> None:
    """Do `work` on each item, `at_once` of them at a time. After a failure nothing more is begun; the first one is raised."""
    rest = iter(items)
    with ThreadPoolExecutor(at_once, thread_name_prefix="runlore-files") as pool:
        waiting: set[Future[object]] = set()
        try:
            while True:
                waiting |= {pool.submit(work, item) for item in islice(rest, _AHEAD - len(waiting))}
                if not waiting:
                    return
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                for future in done:
                    future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
