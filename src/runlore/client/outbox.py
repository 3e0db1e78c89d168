"""Files on their way to a server: sent now while it answers, kept for later when it does not. Training is never in the way.

A server that does not answer is tried for a few seconds once; from then on files go into the spool at once, until those that
wait there have arrived.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from runlore.client.connection import delivery_store, kept_files_at
from runlore.exceptions import InvalidParameter, NotFound, Unavailable
from runlore.spool.kept import logger

if TYPE_CHECKING:
    from runlore.blobs.base import ArtifactPath, BlobStore, Meter

PATIENCE_SECONDS = 4.0
"""How long to try without any progress before files are kept."""
_IN_MEMORY = 8 << 20
"""Streams up to this size are sent from memory; longer ones can be read only once, and go through the spool."""
_KNOWN = 1_000

_places: dict[tuple[str, str], str] = {}
"""(store, run id) -> artifact URI: runs never change theirs."""


class Outbox:
    """The way of one run's files to one server."""

    def __init__(self, uri: str, run_id: str, away: bool) -> None:
        """`away`: the server did not answer the last time."""
        self._uri, self._run_id, self._away = uri, run_id, away
        self._kept = kept_files_at(uri)

    def upload(self, local: Path, path: ArtifactPath, meter: Meter | None) -> None:
        """As `BlobStore.upload`, but for outages."""
        if not local.exists():
            raise NotFound(f"There is no file or directory {os.fspath(local)!r} to upload.")
        self._send(lambda blobs: blobs.upload(local, path, meter), lambda: self._keep_all(local, path))

    def write(self, path: ArtifactPath, chunks: Iterator[bytes]) -> None:
        """As `BlobStore.write`, but for outages."""
        head: list[bytes] = []
        size = 0
        for chunk in chunks:
            head.append(chunk)
            size += len(chunk)
            if size > _IN_MEMORY:
                self._keep(path, chain(head, chunks))
                return
        self._send(lambda blobs: blobs.write(path, head), lambda: self._keep(path, iter(head)))

    def _send(self, send: Callable[[BlobStore], object], keep: Callable[[], None]) -> None:
        if not self._away and not self._kept.holds(self._run_id):
            try:
                send(self._blobs())
            except Unavailable as error:
                logger.warning("Files of run %s are kept until the server takes them: %s", self._run_id, error.message)
            else:
                return
        keep()

    def _blobs(self) -> BlobStore:
        from runlore.api.runs import GetRun
        from runlore.blobs.patience import Patience
        from runlore.blobs.uri import open_blobs

        store, key = delivery_store(self._uri), (self._uri, self._run_id)
        patience = Patience(PATIENCE_SECONDS)
        while key not in _places:
            try:
                place = store.call(GetRun(run_id=self._run_id)).run.info.artifact_uri
            except Unavailable as error:
                patience.pause(error)
            else:
                while len(_places) >= _KNOWN:
                    _places.pop(next(iter(_places)), None)
                _places[key] = place
        return open_blobs(_places[key], store, foreign=True, patience=PATIENCE_SECONDS)

    def _keep_all(self, local: Path, path: ArtifactPath) -> None:
        from runlore.blobs.sources import Source, SourceError, artifact_name, raise_together, sources_in

        if not local.is_dir():
            self._keep(path.child(artifact_name(local.name)), local.resolve())
            return
        found = list(sources_in(local))
        errors = [item for item in found if isinstance(item, SourceError)]
        for source in found:
            if isinstance(source, Source):
                try:
                    self._keep(path.child(source.name), source.path)
                except SourceError as error:
                    errors.append(error)
        raise_together(errors, local, len(found) - len(errors))

    def _keep(self, path: ArtifactPath, content: Iterator[bytes] | Path) -> None:
        try:
            self._kept.keep(self._run_id, path, content)
        except InvalidParameter:
            raise
        except (OSError, Unavailable) as error:  # the disk is full: training goes on
            logger.warning("%r of run %s is lost: it can be kept nowhere: %s", str(path), self._run_id, error)
