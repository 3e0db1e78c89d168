"""Uploads in parts on every kind of store, and addresses that an object store signs itself."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.blobs.conftest import content, make

from runlore.blobs.base import ArtifactPath, HiddenPath
from runlore.blobs.object import ObjectBlobs
from runlore.blobs.tree import BlobTree
from runlore.blobs.uploads import Uploads, signed_address
from runlore.exceptions import InvalidParameter, NotFound

FILE = ArtifactPath("0/run/big.bin")


@pytest.fixture(params=["local", "local by path", "subtree", "object"])
def tree(request: pytest.FixtureRequest, tmp_path: Path) -> BlobTree:
    return make(request.param, tmp_path / "root")


def test_parts_become_a_file(tree: BlobTree) -> None:
    uploads = Uploads(tree)
    upload = uploads.begin()
    tags = {number: uploads.write_part(upload, number, [b"part", b"%d" % number]) for number in (3, 1, 2)}
    assert tree.list(ArtifactPath("")) == []
    uploads.complete(upload, FILE, list(tags.items()))
    uploads.complete(upload, FILE, list(tags.items()))
    assert content(tree, FILE) == b"part1part2part3"
    assert [info.path for info in tree.list(ArtifactPath(""))] == ["0"]
    uploads.abort(upload)
    assert content(tree, FILE) == b"part1part2part3"


def test_two_who_complete_at_once_both_succeed(tree: BlobTree) -> None:
    uploads = [Uploads(tree), Uploads(tree)]  # as in two processes, and twice in each
    upload = uploads[0].begin()
    parts = [(number, uploads[0].write_part(upload, number, [b"%d" % number])) for number in range(1, 10)]
    failures: list[Exception] = []

    def complete(own: Uploads) -> None:
        try:
            own.complete(upload, FILE, parts)
        except Exception as error:  # noqa: BLE001  # told to the test
            failures.append(error)

    threads = [threading.Thread(target=complete, args=(own,)) for own in uploads * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert content(tree, FILE) == b"123456789"


def test_a_part_that_breaks_off_is_not_there(tree: BlobTree) -> None:
    def broken() -> Iterator[bytes]:
        yield b"half"
        raise KeyError("gone")

    uploads = Uploads(tree)
    upload = uploads.begin()
    with pytest.raises(KeyError):
        uploads.write_part(upload, 1, broken())
    with pytest.raises(InvalidParameter, match="Part 1 of the upload has not arrived"):
        uploads.complete(upload, FILE, [(1, "")])


def test_a_replaced_part_is_not_the_one_that_was_meant(tree: BlobTree) -> None:
    uploads = Uploads(tree)
    upload = uploads.begin()
    old, new = (uploads.write_part(upload, 1, [text]) for text in (b"old one", b"new"))
    with pytest.raises(InvalidParameter, match="has the tag"):
        uploads.complete(upload, FILE, [(1, old)])
    uploads.complete(upload, FILE, [(1, new)])
    assert content(tree, FILE) == b"new"


def test_sweeping_leaves_what_is_young(tree: BlobTree) -> None:
    uploads = Uploads(tree)
    young = uploads.begin()
    uploads.write_part(young, 1, [b"young"])
    old = HiddenPath(f".uploads%/{'0' * 10}{'b' * 32}/00001")
    tree.write(old, [b"old"])
    assert uploads.sweep() == 1
    assert uploads.sweep() == 0
    with pytest.raises(NotFound):
        tree.stat(old)
    with pytest.raises(NotFound, match="was given up"):
        uploads.write_part("0" * 10 + "b" * 32, 1, [b"late"])
    uploads.complete(young, FILE, [(1, "")])


@pytest.mark.parametrize("upload", ["", "x", "../..", "0" * 41, "0" * 43, "0" * 41 + "\n"])
def test_ids_are_checked(tree: BlobTree, upload: str) -> None:
    for call in (Uploads(tree).place, lambda upload, number: Uploads(tree).write_part(upload, number, [])):
        with pytest.raises(InvalidParameter):
            call(upload, 1)
    with pytest.raises(InvalidParameter):
        Uploads(tree).abort(upload)


def test_only_known_object_stores_sign() -> None:
    from obstore.store import MemoryStore, S3Store

    keys = {"access_key_id": "a", "secret_access_key": "b", "region": "us-east-1"}
    bucket = ObjectBlobs(S3Store("bucket", **keys)).under(ArtifactPath("team"))
    address = signed_address(bucket, "GET", ArtifactPath("0/a b.bin"), 60)
    assert address is not None
    assert "bucket/team/0/a%20b.bin?" in address
    assert "X-Amz-Expires=60" in address
    assert "X-Amz-Signature=" in address
    own = ObjectBlobs(S3Store("bucket", endpoint="http://127.0.0.1:1", **keys))
    for silent in (own, ObjectBlobs(MemoryStore())):
        assert signed_address(silent, "GET", ArtifactPath("0/f"), 60) is None
