"""Files behind a server that is not to be trusted, or not always there."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import urllib3
from tests.blobs.conftest import content
from tests.blobs.test_blobs import HOSTILE

from runlore.blobs.base import ArtifactPath
from runlore.blobs.http import HttpBlobs
from runlore.exceptions import InvalidParameter, NotFound, PermissionDenied, RunloreError, Unavailable
from runlore.store.http import HttpStore

P = ArtifactPath


class Peer(BaseHTTPRequestHandler):
    """One answer of a scripted server: `answers` are taken one by one, the last one stays."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet

    def answer(self) -> None:
        length = int(self.headers.get("content-length") or 0)
        body = self.rfile.read(length) if length else self._chunks()
        server: Script = self.server  # type: ignore[assignment]
        server.seen.append((self.command, self.path, dict(self.headers), body))
        answer = server.answers.pop(0) if len(server.answers) > 1 else server.answers[0]
        answer(self)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = answer

    def _chunks(self) -> bytes:
        body, size = b"", int(self.headers.get("transfer-encoding") == "chunked")
        while size:
            size = int(self.rfile.readline(), 16)
            body += self.rfile.read(size)
            self.rfile.readline()
        return body

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


Answer = Callable[[Peer], None]


class Script(ThreadingHTTPServer):
    """A server that answers from a list."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Peer)
        self.seen: list[tuple[str, str, dict[str, str], bytes]] = []
        self.answers: list[Answer] = []

    @property
    def root(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/root"


def say(status: int, body: bytes | object = b"", **headers: str) -> Answer:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()

    def send(peer: Peer) -> None:
        peer.send_response(status)
        for name, value in {"content_length": str(len(raw)), **headers}.items():
            peer.send_header(name.replace("_", "-"), value)
        peer.end_headers()
        peer.wfile.write(raw)
        peer.close_connection = "content_length" in headers

    return send


def hang_up(peer: Peer) -> None:
    peer.close_connection = True


def files(*names: str, is_dir: bool = False) -> Answer:
    return say(200, {"files": [{"path": name, "is_dir": is_dir, "file_size": 1} for name in names]})


@pytest.fixture
def peer() -> Iterator[Script]:
    with Script() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def blobs(peer: Script) -> Iterator[HttpBlobs]:
    with urllib3.PoolManager(retries=False, maxsize=8) as pool:
        yield HttpBlobs(peer.root, lambda: pool, {"Authorization": "Bearer secret", "Content-Type": "application/json"})


# -- what is sent --------------------------------------------------------------------------------------------------------


def test_parts_of_a_path_are_encoded_each_by_itself(peer: Script, blobs: HttpBlobs) -> None:
    peer.answers = [say(200, b"x")]
    assert content(blobs, "a b/ü?#&+;=:@,~$/[x]") == b"x"
    assert peer.seen[0][1] == "/root/a%20b/%C3%BC%3F%23%26%2B%3B%3D%3A%40%2C~%24/%5Bx%5D"
    peer.answers = [files()]
    blobs.list(P("a b/?#&=+"))
    assert peer.seen[1][1] == "/root?path=a+b%2F%3F%23%26%3D%2B"


def test_credentials_go_along_and_bodies_have_a_length(peer: Script, blobs: HttpBlobs, tmp_path: Path) -> None:
    peer.answers = [say(200, {})]
    (tmp_path / "f").write_bytes(b"12345")
    blobs.upload(tmp_path / "f", P("d"))
    blobs.write(P("g"), [b"123", b"45"])
    for (method, path, headers, body), expected in zip(peer.seen, ("/root/d/f", "/root/g"), strict=True):
        assert (method, path, body) == ("PUT", expected, b"12345")
        assert headers["Authorization"] == "Bearer secret"
        assert headers["Content-Type"] == "application/octet-stream"
        assert headers["Content-Length"] == "5"


# -- a hostile server ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*HOSTILE, "a/b", "a/b/c", ""], ids=ascii)
@pytest.mark.parametrize("is_dir", [False, True], ids=["file", "directory"])
def test_a_listed_name_that_is_not_one_plain_part_is_refused(
    peer: Script, blobs: HttpBlobs, tmp_path: Path, name: str, is_dir: bool
) -> None:
    peer.answers = [files(name, is_dir=is_dir)]
    for path in ("", "d"):
        if path and ":" in name and not any(bad in name for bad in "/\\"):
            continue  # a colon is fine below a directory
        with pytest.raises(
            (InvalidParameter, RunloreError), match=r"not a single file name|Invalid artifact path|list of files"
        ):
            blobs.list(P(path))
        with pytest.raises((InvalidParameter, RunloreError)):
            blobs.download(P(path), tmp_path / "down")
    assert [entry for entry in tmp_path.rglob("*") if entry.name != "down"] == []


def test_a_tree_without_end_is_given_up(peer: Script, blobs: HttpBlobs, tmp_path: Path) -> None:
    peer.answers = [files("d" * 100, is_dir=True)]
    with pytest.raises(InvalidParameter, match="longer than"):
        blobs.download(P(""), tmp_path)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(peer: Script, blobs: HttpBlobs, status: int) -> None:
    with Script() as other:
        peer.answers = [say(status, location=other.root)]
        for action in (
            lambda: blobs.read(P("f")),
            lambda: blobs.list(P("")),
            lambda: blobs.write(P("f"), [b"x"]),
            lambda: blobs.delete(P("f")),
        ):
            with pytest.raises(RunloreError, match="redirects are not followed"):
                action()
        assert other.seen == []


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"files": 3}', b'{"files": [{}]}', b"\xff", b"[" * 100_000])
def test_a_list_that_is_none_is_an_error(peer: Script, blobs: HttpBlobs, body: bytes) -> None:
    peer.answers = [say(200, body)]
    with pytest.raises(RunloreError, match="did not answer with a list of files"):
        blobs.list(P(""))


def test_a_file_that_ends_early_is_an_error_and_leaves_nothing(peer: Script, blobs: HttpBlobs, tmp_path: Path) -> None:
    listed, short = files("f"), say(200, b"half", content_length="8")
    peer.answers = [listed, short]
    with pytest.raises(Unavailable, match="before the whole file had arrived"):
        blobs.download(P("f"), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_encoding_that_was_not_asked_for_is_refused(peer: Script, blobs: HttpBlobs) -> None:
    peer.answers = [say(200, b"x", content_encoding="gzip")]
    with pytest.raises(RunloreError, match="gzip"):
        content(blobs, "f")
    assert peer.seen[0][2]["Accept-Encoding"] == "identity"


@pytest.mark.parametrize("status", [200, 400, 503])
def test_answers_nobody_needs_are_not_collected(peer: Script, blobs: HttpBlobs, tmp_path: Path, status: int) -> None:
    sent: list[int] = []

    def without_end(other: Peer) -> None:
        say(status, b"", content_length=str(1 << 40))(other)
        with suppress(OSError):
            while len(sent) < 100_000:
                other.wfile.write(b" " * 10_000)
                sent.append(10_000)

    for action in (lambda: blobs.write(P("f"), [b"x"]), lambda: blobs.delete(P("f"))):
        sent.clear()
        peer.answers = [without_end, say(200)]
        with suppress(RunloreError):
            action()
        assert sum(sent) < 50_000_000


def test_refusals_carry_the_servers_words(peer: Script, blobs: HttpBlobs) -> None:
    peer.answers = [say(403, {"error_code": "PERMISSION_DENIED", "message": "not yours"})]
    with pytest.raises(PermissionDenied, match="not yours"):
        blobs.write(P("f"), [b"x"])
    peer.answers = [say(404, b"<html>")]
    with pytest.raises(NotFound):
        blobs.read(P("f"))
    assert blobs.list(P("d")) == []


# -- ranges --------------------------------------------------------------------------------------------------------------


def test_ranges_from_servers_that_know_them_and_servers_that_do_not(peer: Script, blobs: HttpBlobs) -> None:
    peer.answers = [say(206, b"345")]
    assert b"".join(blobs.read(P("f"), 3, 6)) == b"345"
    assert peer.seen[0][2]["Range"] == "bytes=3-5"
    peer.answers = [say(200, b"0123456789")]
    assert b"".join(blobs.read(P("f"), 3, 6)) == b"345"
    assert b"".join(blobs.read(P("f"), 7)) == b"789"
    assert b"".join(blobs.read(P("f"), 20)) == b""
    peer.answers = [say(416)]
    assert b"".join(blobs.read(P("f"), 20)) == b""


# -- a server that is not always there --------------------------------------------------------------------------------------


@pytest.mark.parametrize("trouble", [hang_up, say(503), say(429), say(502, b"<html>")], ids=["hang-up", "503", "429", "502"])
def test_what_can_be_repeated_is_repeated(peer: Script, blobs: HttpBlobs, tmp_path: Path, trouble: Answer) -> None:
    def after_trouble(answer: Answer) -> None:
        peer.answers = [trouble, answer]

    after_trouble(files("f"))
    assert [info.path for info in blobs.list(P(""))] == ["f"]
    after_trouble(say(200, b"x"))
    assert content(blobs, "f") == b"x"
    after_trouble(say(200, {}))
    assert blobs.write(P("f"), iter([b"1", b"2"])) == 2
    after_trouble(say(200, {}))
    (tmp_path / "f").write_bytes(b"x" * 9_000_000)
    blobs.upload(tmp_path / "f", P(""))
    after_trouble(say(200, {}))
    blobs.delete(P("f"))
    done = {method: body for method, _, _, body in peer.seen}
    assert len(done["PUT"]) == 9_000_000
    assert len(peer.seen) == 10


def test_a_deletion_whose_answer_was_lost_is_done(peer: Script, blobs: HttpBlobs) -> None:
    peer.answers = [hang_up, say(404, {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "gone"})]
    blobs.delete(P("f"))
    peer.answers = peer.answers[-1:]
    with pytest.raises(NotFound, match="gone"):
        blobs.delete(P("f"))


def test_a_large_stream_is_sent_once(peer: Script, blobs: HttpBlobs) -> None:
    peer.answers = [say(503), say(200, {})]
    with pytest.raises(RunloreError, match="status 503"):
        blobs.write(P("f"), iter([b"x" * 5_000_000] * 3))
    assert len(peer.seen) == 1
    assert blobs.write(P("f"), iter([b"x" * 5_000_000] * 3)) == 15_000_000
    assert peer.seen[1][3] == b"x" * 15_000_000


def test_a_server_that_is_not_there_is_named() -> None:
    with urllib3.PoolManager(retries=False) as pool:
        blobs = HttpBlobs("http://127.0.0.1:9/root", lambda: pool)
        with pytest.raises(Unavailable, match=r"Is the server at 127\.0\.0\.1:9 running"):
            blobs.write(P("f"), iter([b"x" * 5_000_000] * 3))  # a stream is not tried twice


def test_the_store_lends_its_connections_and_credentials(peer: Script) -> None:
    from runlore.blobs.uri import open_blobs
    from runlore.settings import Settings

    peer.answers = [say(200, b"x")]
    store = HttpStore(peer.root.removesuffix("/root"), Settings(token="abc"))
    try:
        assert content(open_blobs("mlflow-artifacts:/0/run/artifacts", store).under(P("")), "f") == b"x"  # type: ignore[arg-type]
    finally:
        store.close()
    [(_, path, headers, _)] = peer.seen
    assert path == "/api/2.0/mlflow-artifacts/artifacts/0/run/artifacts/f"
    assert headers["Authorization"] == "Bearer abc"
