"""Files behind a server: the client side of the artifact proxy.

Works with Runlore's and MLflow's server. The server is not trusted: every name it sends must be one plain part of a path,
redirects are not followed, and what is shorter than announced is an error.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from runlore.api.artifacts import FilesReply
from runlore.blobs.base import Advance, ArtifactPath
from runlore.blobs.tree import CHUNK, BlobTree, Files, counted, file_path, not_found, opened
from runlore.entities import FileInfo
from runlore.exceptions import InvalidParameter, NotFound, RunloreError, Unavailable, error_from_code
from runlore.store.http import RETRIED, ErrorBody

if TYPE_CHECKING:
    import urllib3

Connections = Callable[[], "urllib3.PoolManager"]
_LISTING_LIMIT = 64 << 20
_WHOLE = 8 << 20
"""A body up to this size is kept in memory, so that its upload can be repeated after a lost connection."""
_PAUSES = (0.1, 0.3, 1.0, 3.0)


class HttpBlobs(BlobTree):
    """A blob store behind `<root>/<path>` of a server.

    `connections` gives the pool to use: it makes no retries of its own. Reads, listings, deletions and uploads that can
    start again are repeated a few times, for about ten seconds, when the connection or the server fails.
    """

    def __init__(self, root: str, connections: Connections, headers: Mapping[str, str] | None = None) -> None:
        self.root = root.rstrip("/")
        self._connections = connections
        self._headers = {name: value for name, value in (headers or {}).items() if name.lower() != "content-type"}

    def __repr__(self) -> str:
        return f"HttpBlobs({self.root!r})"

    def list(self, path: ArtifactPath) -> Files:
        path = ArtifactPath(path)
        url = f"{self.root}?{urlencode({'path': path})}" if path else self.root
        try:
            response = self._send("GET", url)
        except NotFound:
            return []
        with _released(response):
            raw = b"".join(_limited(_body(response), _LISTING_LIMIT, url))
        try:
            reply = msgspec.json.decode(raw, type=FilesReply, strict=False)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise RunloreError(f"{url} did not answer with a list of files ({error}); it begins with {raw[:80]!r}.") from None
        return sorted((_checked(path, info) for info in reply.files), key=lambda info: info.path)

    def stat(self, path: ArtifactPath) -> FileInfo:
        path = ArtifactPath(path)
        if not path:
            return FileInfo(path="", is_dir=True)
        for info in self.list(ArtifactPath(path.rpartition("/")[0])):
            if info.path == path:
                return info
        raise not_found(path)

    def read(self, path: ArtifactPath, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        path = file_path(path)
        if start < 0 or (end is not None and end < start):
            raise InvalidParameter(f"Invalid byte range [{start}, {end}): it must satisfy 0 <= start <= end.")
        if start == end:
            self.stat(path)
            return iter(())
        return opened(self._read(path, start, end))

    def _read(self, path: ArtifactPath, start: int, end: int | None) -> Iterator[bytes]:
        whole = start == 0 and end is None
        span = {} if whole else {"Range": f"bytes={start}-{'' if end is None else end - 1}"}
        response = self._send("GET", self._url(path), {"Accept-Encoding": "identity", **span})
        with _released(response):
            yield b""
            if response.status == 416:
                return
            body = _body(response)
            yield from body if whole or response.status == 206 else _cut(body, start, end)

    def write(self, path: ArtifactPath, chunks: Iterable[bytes]) -> int:
        path, source = file_path(path), iter(chunks)
        head = bytearray()
        for chunk in source:
            head += chunk
            if len(head) > _WHOLE:
                return self._put_stream(path, chain([bytes(head)], source))
        self._put(path, lambda: iter([bytes(head)]), len(head))
        return len(head)

    def write_file(self, local: Path, path: ArtifactPath, advance: Advance | None = None) -> int:
        size = local.stat().st_size

        def chunks() -> Iterator[bytes]:
            with local.open("rb") as file:
                yield from counted(_exactly(file, size, local), advance)

        self._put(file_path(path), chunks, size)
        return size

    def delete(self, path: ArtifactPath) -> None:
        with _released(self._send("DELETE", self._url(file_path(path)))) as response:
            _finish(response)

    def _put(self, path: ArtifactPath, body: Callable[[], Iterator[bytes]], size: int) -> None:
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
        with _released(self._send("PUT", self._url(path), headers, body)) as response:
            _finish(response)

    def _put_stream(self, path: ArtifactPath, chunks: Iterator[bytes]) -> int:
        """Upload what can be read only once: no second attempt."""
        size = 0

        def counted() -> Iterator[bytes]:
            nonlocal size
            for chunk in chunks:
                size += len(chunk)
                yield chunk

        headers = {"Content-Type": "application/octet-stream", "Transfer-Encoding": "chunked"}
        with _released(self._send("PUT", self._url(path), headers, counted, attempts=1)) as response:
            _finish(response)
        return size

    def _url(self, path: ArtifactPath) -> str:
        return "/".join([self.root, *(quote(part, safe="") for part in path.split("/"))])

    def _send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None = None,
        body: Callable[[], Iterator[bytes]] | None = None,
        *,
        attempts: int = len(_PAUSES) + 1,
    ) -> urllib3.BaseHTTPResponse:
        """The first good answer, body unread. Raises what the server says, or `Unavailable`."""
        import urllib3

        all_headers = {**self._headers, **(headers or {})}
        for attempt in range(attempts):
            last = attempt + 1 == attempts
            try:
                response = self._connections().request(
                    method, url, headers=all_headers, body=body() if body else None, preload_content=False, redirect=False
                )
            except (urllib3.exceptions.HTTPError, OSError) as error:
                if last:
                    host = urlsplit(self.root).netloc
                    raise Unavailable(f"{method} {url} failed: {error}. Is the server at {host} running?") from error
            else:
                if response.status < 300 or response.status == 416:
                    return response
                if response.status not in RETRIED or last:
                    if method == "DELETE" and response.status == 404 and attempt:
                        return response  # an earlier attempt did it
                    raise _refusal(method, url, response)
                _finish(response)
                response.release_conn()
            time.sleep(_PAUSES[attempt])
        raise AssertionError("the last attempt returns or raises")


@contextmanager
def _released(response: urllib3.BaseHTTPResponse) -> Iterator[urllib3.BaseHTTPResponse]:
    """Give the connection back: for reuse when the body was read to its end, closed when not."""
    try:
        yield response
    except BaseException:
        response.close()
        raise
    finally:
        response.release_conn()


def _finish(response: urllib3.BaseHTTPResponse) -> None:
    """Read a short body nobody needs, so that the connection can be used again; close it on a long one."""
    if len(response.read(1 << 16, decode_content=False)) == 1 << 16:
        response.close()


def _body(response: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    import urllib3

    coding = response.headers.get("content-encoding", "identity")
    if coding != "identity":
        raise RunloreError(f"The server sent a file in the coding {coding!r}, which was not asked for.")
    try:
        while chunk := response.read(CHUNK, decode_content=False):
            yield chunk
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise Unavailable(f"The connection broke before the whole file had arrived: {error}") from error


def _cut(chunks: Iterator[bytes], start: int, end: int | None) -> Iterator[bytes]:
    """A range of a body, for servers that send the whole file."""
    position = 0
    for chunk in chunks:
        piece = chunk[max(0, start - position) : None if end is None else max(0, end - position)]
        position += len(chunk)
        if piece:
            yield piece
        if end is not None and position >= end:
            return


def _limited(chunks: Iterator[bytes], limit: int, url: str) -> Iterator[bytes]:
    for chunk in chunks:
        limit -= len(chunk)
        if limit < 0:
            raise RunloreError(f"The answer of {url} is too long for a list of files.")
        yield chunk


def _exactly(file: IO[bytes], size: int, local: Path) -> Iterator[bytes]:
    """The first `size` bytes: a file that grows while it is read must not break the length that was announced."""
    while size:
        chunk = file.read(min(CHUNK, size))
        if not chunk:
            raise InvalidParameter(f"{str(local)!r} became shorter while it was uploaded.")
        size -= len(chunk)
        yield chunk


def _checked(path: ArtifactPath, info: FileInfo) -> FileInfo:
    """A server's entry with the full path, if its name is one plain part."""
    if not info.path or "/" in info.path:
        raise InvalidParameter(f"The server listed the name {info.path[:200]!r}, which is not a single file name.")
    return FileInfo(path=path.child(info.path), is_dir=info.is_dir, file_size=None if info.is_dir else info.file_size)


def _refusal(method: str, url: str, response: urllib3.BaseHTTPResponse) -> RunloreError:
    with _released(response):
        raw = response.read(1 << 16, decode_content=False)
        response.close()
    if 300 <= response.status < 400:
        return RunloreError(
            f"{method} {url} was redirected; redirects are not followed, so that credentials stay with one host."
        )
    try:
        body = msgspec.json.decode(raw, type=ErrorBody)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        kind: Any = NotFound if response.status == 404 else RunloreError
        return kind(f"{method} {url} answered status {response.status}.")  # type: ignore[no-any-return]
    if response.status == 404:
        return NotFound(body.message)
    return error_from_code(body.error_code, body.message)
