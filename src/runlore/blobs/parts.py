"""Large files in parts, several at a time: what an interrupted call has sent is not sent again by the next one.

The server knows an upload by the file's path, size and digest, so nothing has to be remembered here: whoever sends the same
file to the same place goes on with it.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from runlore.api.artifacts import CompleteUpload, OpenedUpload, OpenUpload
from runlore.blobs.base import Advance, ArtifactPath
from runlore.blobs.directories import in_parallel
from runlore.blobs.patience import Patience
from runlore.blobs.sources import OpenSource, open_source
from runlore.exceptions import EndpointNotFound, NotFound

if TYPE_CHECKING:
    from runlore.blobs.http import HttpBlobs

LEAST_BYTES = 16 << 20
"""Smaller files are sent whole."""
_AT_ONCE = 4
_ROUNDS = 3
"""How often to begin again when parts are gone that had arrived: somebody swept them, or completed the same upload."""
_SLOWEST = 20e6
"""Bytes per second at which a server puts a file together, at least."""


class Span(NamedTuple):
    """Which bytes of a file to send, and with what patience."""

    start: int
    end: int
    patience: Patience
    advance: Advance | None


def send_in_parts(blobs: HttpBlobs, source: OpenSource, path: ArtifactPath, sha256: str, advance: Advance | None) -> bool:
    """Send a local file; False when the server does not know uploads of this kind. Raises what the server says."""
    experiment_id, _, rest = path.partition("/")
    patience = blobs.new_patience()
    told = 0
    for attempt in range(_ROUNDS):
        operation = OpenUpload(experiment_id=experiment_id, path=rest, size=source.size, sha256=sha256)
        try:
            upload = blobs.call(operation, patience)
        except EndpointNotFound:
            return False
        missing = _missing(upload, source.size)
        there = source.size - sum(end - start for _, start, end in missing)
        if advance and there > told:
            advance(there - told)
        told = source.size
        if upload.whole:
            return True
        _send(
            blobs, source.path, path, upload, [(n, Span(a, b, patience, None if attempt else advance)) for n, a, b in missing]
        )
        patient = Patience(max(60.0, source.size / _SLOWEST))
        completion = CompleteUpload(
            experiment_id=experiment_id, path=rest, upload_id=upload.upload_id, size=source.size, sha256=sha256
        )
        try:
            blobs.call(completion, patient)
        except NotFound:
            if attempt + 1 == _ROUNDS:
                raise
        else:
            return True
    raise AssertionError("the last round returns or raises")


def _missing(upload: OpenedUpload, size: int) -> list[tuple[int, int, int]]:
    """Number, start and end of each part that the server does not have."""
    if upload.whole:
        return []
    step, arrived = upload.part_size, set(upload.arrived)
    starts = enumerate(range(0, size, step), 1)
    return [(number, start, min(start + step, size)) for number, start in starts if number not in arrived]


def _send(blobs: HttpBlobs, local: Path, path: ArtifactPath, upload: OpenedUpload, spans: Iterable[tuple[int, Span]]) -> None:
    def put(numbered: tuple[int, Span]) -> None:
        number, span = numbered
        with open_source(local) as source:
            blobs.put_part(upload.upload_id, number, path, source, span)

    in_parallel(put, spans, _AT_ONCE)
