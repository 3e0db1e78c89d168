"""Blob stores to test against: every test that takes `blobs` runs on each kind."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from runlore.blobs.base import ArtifactPath
from runlore.blobs.local import LocalBlobs
from runlore.blobs.object import ObjectBlobs
from runlore.blobs.tree import BlobTree
from runlore.blobs.uri import open_root
from runlore.server.app import App
from runlore.store.base import open_store
from runlore.store.http import HttpStore
from runlore.web.listening import address_of, bind, configuration
from runlore.web.protocol import BoundedServer

KINDS = ("local", "local by path", "user's directory", "subtree", "object", "http")


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
        case "object on disk":
            return ObjectBlobs(LocalStore(root, mkdir=True))
    return ObjectBlobs(MemoryStore())


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server with a store of its own."""
    from runlore.store.sql.store import SqlStore

    place = tmp_path_factory.mktemp("server")
    store = open_store(f"sqlite:///{place / 'runlore.db'}", artifacts=str(place / "artifacts"))
    assert isinstance(store, SqlStore)
    listener, ready = bind("127.0.0.1", 0), threading.Event()
    running = BoundedServer(configuration(App(store)), ready.set)
    thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]})
    thread.start()
    assert ready.wait(60)
    yield address_of(listener)
    running.should_exit = True
    thread.join()


@pytest.fixture
def http_store(server: str) -> Iterator[HttpStore]:
    """A client of that server."""
    with closing(HttpStore(server)) as store:
        yield store


@pytest.fixture(params=KINDS)
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> BlobTree:
    """An empty blob store of each kind."""
    return opened(request, tmp_path)


@pytest.fixture(params=[kind for kind in KINDS if kind != "object"] + ["object on disk"])
def bounded_blobs(request: pytest.FixtureRequest, tmp_path: Path) -> BlobTree:
    """An empty blob store of each kind, except one that keeps everything in memory."""
    return opened(request, tmp_path)


def opened(request: pytest.FixtureRequest, tmp_path: Path) -> BlobTree:
    if request.param == "http":
        return open_root(request.getfixturevalue("http_store")).under(ArtifactPath(f"0/{uuid.uuid4().hex}/artifacts"))
    return make(request.param, tmp_path / "root")
