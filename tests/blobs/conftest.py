"""Blob stores to test against: every test that takes `blobs` runs on each kind."""

from __future__ import annotations

from pathlib import Path

import pytest

from runlore.blobs.base import ArtifactPath
from runlore.blobs.local import LocalBlobs
from runlore.blobs.object import ObjectBlobs
from runlore.blobs.tree import BlobTree

KINDS = ("local", "local by path", "user's directory", "subtree", "object")


def content(blobs: BlobTree, path: str) -> bytes:
    """A whole file."""
    return b"".join(blobs.read(ArtifactPath(path)))


def make(kind: str, root: Path) -> BlobTree:
    """An empty blob store; those on disk are at `root`."""
    from obstore.store import LocalStore, MemoryStore

    match kind:
        case "local":
            return LocalBlobs(root)
        case "local by path":
            return LocalBlobs(root, by_handle=False)
        case "user's directory":
            return LocalBlobs(root, private=False)
        case "subtree":
            return LocalBlobs(root).under(ArtifactPath("7/run/artifacts"))
        case "object on disk":  # the memory of a memory store is not bounded
            return ObjectBlobs(LocalStore(root, mkdir=True))
    return ObjectBlobs(MemoryStore())


@pytest.fixture(params=KINDS)
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> BlobTree:
    """An empty blob store of each kind."""
    return make(request.param, tmp_path / "root")
