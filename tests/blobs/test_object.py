"""Object stores: what their refusals become, and streaming from one into another."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from obstore.store import MemoryStore, S3Store
from tests.blobs.conftest import content
from tests.blobs.test_http import Script, say

from runlore.blobs.base import ArtifactPath
from runlore.blobs.object import ObjectBlobs
from runlore.exceptions import InvalidParameter, NotFound, PermissionDenied, Unavailable

P = ArtifactPath


@pytest.fixture
def peer() -> Iterator[Script]:
    with Script() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def blobs(peer: Script) -> ObjectBlobs:
    """A bucket of an S3 that answers what the test says."""
    return ObjectBlobs(
        S3Store("bucket", endpoint=peer.root, access_key_id="id", secret_access_key="key", client_options={"allow_http": True})
    )


@pytest.mark.parametrize(("status", "error"), [(401, PermissionDenied), (403, PermissionDenied), (400, Unavailable)])
def test_refusals_are_told_in_one_line(peer: Script, blobs: ObjectBlobs, status: int, error: type[Exception]) -> None:
    peer.answers = [say(status)]
    for action in (
        lambda: blobs.list(P("")),
        lambda: blobs.stat(P("f")),
        lambda: blobs.tag(P("f")),
        lambda: blobs.read(P("f")),
        lambda: blobs.read(P("f"), 1, 2),
        lambda: blobs.write(P("f"), [b"x"]),
        lambda: blobs.delete(P("f")),
    ):
        with pytest.raises(error, match="The object store") as caught:
            action()
        assert "Debug source" not in str(caught.value)
        assert "secret" not in str(caught.value)


def test_the_callers_own_error_stays_what_it_is(peer: Script, blobs: ObjectBlobs) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"x"
        raise OSError(5, "the disk of the reader")

    peer.answers = [say(403)]
    with pytest.raises(OSError, match="the disk of the reader"):
        blobs.write(P("f"), chunks())
    assert peer.seen == []


def test_a_missing_object_is_not_found(peer: Script, blobs: ObjectBlobs) -> None:
    peer.answers = [say(404)]
    with pytest.raises(NotFound):
        blobs.read(P("f"))


def test_one_store_streams_into_another() -> None:
    one, two = ObjectBlobs(MemoryStore()), ObjectBlobs(MemoryStore())
    one.write(P("f"), [b"x" * 1_000_000] * 40)
    assert two.write(P("g"), one.read(P("f"))) == 40_000_000
    assert content(two, "g") == b"x" * 40_000_000


def test_an_address_that_is_no_store_is_refused() -> None:
    with pytest.raises(InvalidParameter, match="Can not open"):
        ObjectBlobs.at("nonsense://bucket")
