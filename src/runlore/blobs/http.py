"""Files behind a server: the client side of the artifact proxy.

Works with Runlore's and MLflow's server. The server is not trusted: every name it sends must be one plain part of a path,
redirects are not followed, and what is shorter than announced is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from runlore.api.artifacts import FilesReply
from runlore.api.operation import Operation
from runlore.blobs.base import Advance, ArtifactPath, Files
from runlore.blobs.digest import SHA256, sha256_of, to_header
from runlore.blobs.parts import LEAST_BYTES, Span, send_in_parts
from runlore.blobs.patience import Patience
from runlore.blobs.sources import CHUNK, OpenSource, open_source
from runlore.blobs.tree import BlobTree, file_path, not_found, opened
from runlore.entities import FileInfo
from runlore.exceptions import EndpointNotFound, InvalidParameter, NotFound, RunloreError, Unavailable, error_from_code
from runlore.store.http import ARTIFACTS, RETRIED, ErrorBody

if TYPE_CHECKING:
    import urllib3

Connections = Callable[[], "urllib3.PoolManager"]
Reply = TypeVar("Reply")
UPLOADS = "/api/v1/uploads"
_LISTING_LIMIT = 64 << 20
_WHOLE = 8 << 20
"""A body up to this size is kept in memory, so that its upload can be repeated after a lost connection."""
PATIENCE_SECONDS = 10.0


class HttpBlobs(BlobTree):
    """A blob store behind `<root>/<path>` of a server.

    `connections` gives the pool to use: it makes no retries of its own. What fails is tried again until nothing has got on for
    `patience` seconds: reads go on where they broke off, large local files are sent in parts. `call` carries out operations on
    the same server; without it files are sent whole.
    """

    def __init__(
        self,
        root: str,
        connections: Connections,
        headers: Mapping[str, str] | None = None,
        call: Callable[[Operation[Any]], Any] | None = None,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        self.root = root.rstrip("/")
        self._connections = connections
        self._call, self._seconds = call, patience
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

    def described(self, path: ArtifactPath) -> Files:
        return self.list(path)  # Runlore's server says digests, MLflow's knows none

    def digest(self, path: ArtifactPath) -> str | None:
        return self.stat(path).sha256

    def read(self, path: ArtifactPath, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        path = file_path(path)
        if start < 0 or (end is not None and end < start):
            raise InvalidParameter(f"Invalid byte range [{start}, {end}): it must satisfy 0 <= start <= end.")
        if start == end:
            self.stat(path)
            return iter(())
        return opened(self._read(path, start, end))

    def _read(self, path: ArtifactPath, start: int, end: int | None) -> Iterator[bytes]:
        """The bytes; after a broken connection from where it broke, as long as it is the same file."""
        patience = self.new_patience()
        tag: str | None = None
        first = True
        while True:
            response = self._get(path, start, end, tag, patience)
            with _released(response):
                if first:
                    yield b""
                if response.status == 416:
                    return
                now = response.headers.get("etag")
                if not first and now != tag:
                    raise Unavailable(f"'{path}' was replaced while it was read. Read it again.")
                tag, first = now, False
                body = _body(response)
                whole = (start == 0 and end is None) or response.status == 206
                try:
                    for piece in body if whole else _cut(body, start, end):
                        start += len(piece)
                        patience.moved()
                        yield piece
                    return
                except Unavailable as error:
                    if tag is None:  # what comes next may be of another file
                        raise
                    patience.pause(error)

    def _get(
        self, path: ArtifactPath, start: int, end: int | None, tag: str | None, patience: Patience
    ) -> urllib3.BaseHTTPResponse:
        headers = {"Accept-Encoding": "identity"}
        if start or end is not None:
            headers["Range"] = f"bytes={start}-{'' if end is None else end - 1}"
            if tag is not None:
                headers["If-Range"] = tag
        return self._send("GET", self._url(path), headers, patience=patience)

    def write(self, path: ArtifactPath, chunks: Iterable[bytes], sha256: str | None = None) -> int:
        path, source = file_path(path), iter(chunks)
        head = bytearray()
        for chunk in source:
            head += chunk
            if len(head) > _WHOLE:
                return self._put_stream(path, chain([bytes(head)], source), sha256)
        self._put(self._url(path), lambda: iter([bytes(head)]), len(head), sha256 or sha256_of([bytes(head)]))
        return len(head)

    def write_file(self, local: Path, path: ArtifactPath, advance: Advance | None = None) -> int:
        path = file_path(path)
        with open_source(local) as source:
            sha256 = sha256_of(source.chunks())
            try:
                if source.size < LEAST_BYTES or not send_in_parts(self, source, path, sha256, advance):
                    self._put(self._url(path), lambda: source.chunks(advance=advance), source.size, sha256)
            except InvalidParameter:
                source.check()  # whatever the server says: this is what happened
                raise
            return source.size

    def call(self, operation: Operation[Reply], patience: Patience) -> Reply:
        """Carry out an operation on the same server. Raises `EndpointNotFound` where it is not known."""
        if self._call is None:
            raise EndpointNotFound("This store takes files as a whole.")
        while True:
            try:
                reply: Reply = self._call(operation)
            except Unavailable as error:
                patience.pause(error)
            else:
                patience.moved()
                return reply

    def put_part(self, upload_id: str, number: int, path: ArtifactPath, source: OpenSource, span: Span) -> None:
        """Send one part of a file that `OpenUpload` has begun."""
        url = f"{self.root.removesuffix(ARTIFACTS)}{UPLOADS}/{upload_id}/{number}/{quote(path, safe='/')}"
        self._put(url, lambda: source.chunks(span.start, span.end, span.advance), span.end - span.start, None, span.patience)

    def delete(self, path: ArtifactPath) -> None:
        with _released(self._send("DELETE", self._url(file_path(path)))) as response:
            _finish(response)

    def _put(
        self, url: str, body: Callable[[], Iterator[bytes]], size: int, sha256: str | None, patience: Patience | None = None
    ) -> None:
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
        if sha256 is not None:
            headers["Repr-Digest"] = to_header(sha256)
        with _released(self._send("PUT", url, headers, body, patience=patience)) as response:
            _finish(response)

    def _put_stream(self, path: ArtifactPath, chunks: Iterator[bytes], sha256: str | None) -> int:
        """Upload what can be read only once: no second attempt."""
        size = 0

        def counted() -> Iterator[bytes]:
            nonlocal size
            for chunk in chunks:
                size += len(chunk)
                yield chunk

        headers = {"Content-Type": "application/octet-stream", "Transfer-Encoding": "chunked"}
        if sha256 is not None:
            headers["Repr-Digest"] = to_header(sha256)
        with _released(self._send("PUT", self._url(path), headers, counted, patience=Patience(0.0))) as response:
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
        patience: Patience | None = None,
    ) -> urllib3.BaseHTTPResponse:
        """The first good answer, body unread. Raises what the server says, or `Unavailable`."""
        import urllib3

        all_headers = {**self._headers, **(headers or {})}
        patience = patience or self.new_patience()
        for attempt in count():
            try:
                response = self._connections().request(
                    method, url, headers=all_headers, body=body() if body else None, preload_content=False, redirect=False
                )
            except (urllib3.exceptions.HTTPError, OSError) as error:
                host = urlsplit(self.root).netloc
                patience.pause(Unavailable(f"{method} {url} failed: {error}. Is the server at {host} running?"), error)
                continue
            if response.status < 300 or response.status == 416:
                return response
            if method == "DELETE" and response.status == 404 and attempt:
                return response  # an earlier attempt did it
            refusal = _refusal(method, url, response)
            if response.status not in RETRIED:
                raise refusal
            patience.pause(refusal)
        raise AssertionError("patience ends before the attempts do")

    def new_patience(self) -> Patience:
        """For one transfer."""
        return Patience(self._seconds)


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


def _checked(path: ArtifactPath, info: FileInfo) -> FileInfo:
    """A server's entry with the full path, if its name is one plain part."""
    if not info.path or "/" in info.path:
        raise InvalidParameter(f"The server listed the name {info.path[:200]!r}, which is not a single file name.")
    if info.is_dir:
        return FileInfo(path=path.child(info.path), is_dir=True)
    sha256 = info.sha256 if info.sha256 and SHA256.fullmatch(info.sha256) else None
    return FileInfo(path=path.child(info.path), is_dir=False, file_size=info.file_size, sha256=sha256)


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
        kind: Any = NotFound if response.status == 404 else Unavailable if response.status in RETRIED else RunloreError
        return kind(f"{method} {url} answered status {response.status}.")  # type: ignore[no-any-return]
    if response.status == 404:
        return NotFound(body.message)
    return error_from_code(body.error_code, body.message)
