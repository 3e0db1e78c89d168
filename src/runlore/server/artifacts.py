"""Files in and out, as streams: memory use does not depend on the size of a file.

Every path becomes an `ArtifactPath` here, once; what is behind works on the type. Callers name paths and objects, never
places: the server opens nothing outside its own artifact root. What comes out can do nothing in a browser: it is an
attachment, its type is not guessed, and a policy of its own forbids it everything.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar
from urllib.parse import parse_qs, quote

import msgspec

from runlore.api.artifacts import (
    FILE_ROUTES,
    FileRoute,
    FilesReply,
    GetServerInfo,
    ListArtifacts,
    ListLoggedModelArtifacts,
    ListProxiedArtifacts,
    MeasureFiles,
    RemoveReleasedFiles,
    RunFilesReply,
    ServerInfo,
)
from runlore.api.logged_models import GetLoggedModel
from runlore.api.operation import PREFIXES, Operation, encode
from runlore.api.registry import GetModelVersionDownloadUri
from runlore.api.runs import GetRun
from runlore.blobs.base import ArtifactPath
from runlore.blobs.digest import from_header, to_header
from runlore.blobs.earlier import knows_no_logged_models, place_of
from runlore.blobs.sweep import measure, remove_released
from runlore.blobs.tree import BlobTree
from runlore.blobs.uri import open_blobs, open_root, resolve
from runlore.entities import FileInfo
from runlore.exceptions import BadRequest, InvalidParameter, LimitExceeded, NotFound
from runlore.server.auth import Access
from runlore.server.dispatch import SubmittingStore, read_operation
from runlore.server.routes import Endpoint, Handler, Routes
from runlore.server.transfers import Transfers
from runlore.web.http import Headers, Refused, Reply, Request, json_reply

PIECE = 1 << 20
"""Bytes that go from the network to the disk at once."""
READERS, WRITERS = 16, 256
"""Threads for reading and for uploads, apart from each other: slow senders, who hold a thread each, do not keep readers
waiting, and it takes many of them to keep other senders waiting."""

MOST_UPLOADS = 4 * WRITERS
"""Uploads that are under way or wait for a thread; one more is asked to come back."""
SLOW_SECONDS, LOOK_SECONDS = 30.0, 5.0
"""How long an upload may take for `PIECE` bytes while others wait for its thread, and how often that is looked at."""
_TOO_SLOW = "The upload was ended because it is slow and others wait. Try again later, or send the file in parts."

_POLICY = b"default-src 'none'; sandbox; frame-ancestors 'none'"
_RANGE = re.compile(rb"bytes=([0-9]{0,18})-([0-9]{0,18})")
_PASSIVE = {
    "png": "image/png", "jpg": "image/jpeg", "jpeg": "image/jpeg", "gif": "image/gif", "webp": "image/webp",
    "txt": "text/plain; charset=utf-8", "log": "text/plain; charset=utf-8", "csv": "text/plain; charset=utf-8",
    "json": "text/plain; charset=utf-8", "yaml": "text/plain; charset=utf-8", "yml": "text/plain; charset=utf-8",
    "md": "text/plain; charset=utf-8", "py": "text/plain; charset=utf-8",
}  # fmt: skip
"""Types that hold no active content. Everything else, HTML and SVG included, is just bytes."""

Result = TypeVar("Result")


class Artifacts:
    """The endpoints for files of one store."""

    def __init__(self, store: SubmittingStore, access: Access) -> None:
        self._store = store
        self._access = access
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="runlore-files")
        self._writers = ThreadPoolExecutor(WRITERS, thread_name_prefix="runlore-uploads")
        self._uploads, self._threads = 0, WRITERS
        self._transfers = Transfers(store, access, self)

    def close(self) -> None:
        """Let go of the threads; what they are doing is finished first."""
        self._readers.shutdown()
        self._writers.shutdown()

    def operations(self) -> dict[type[Operation[Any]], Handler]:
        """The operations that are answered here and not by the store: lists of files are not rows."""
        return {
            ListProxiedArtifacts: self._list_root,
            ListArtifacts: self._list_run,
            ListLoggedModelArtifacts: self._list_logged_model,
            MeasureFiles: self._measure,
            RemoveReleasedFiles: self._remove_released,
            GetServerInfo: _server_info,
            **self._transfers.operations(),
        }

    def add_to(self, routes: Routes) -> None:
        """Serve every file route."""
        handlers: dict[str, Callable[[FileRoute, Request], Awaitable[Reply]]] = {
            "DownloadArtifact": self._download,
            "UploadArtifact": self._upload,
            "DeleteArtifact": self._delete,
            **self._transfers.files(),
            "UploadRunArtifact": self._upload_to_run,
            "DownloadRunArtifact": self._download_from_run,
            "DownloadModelVersionArtifact": self._download_from_version,
            "DownloadLoggedModelArtifact": self._download_from_logged_model,
        }
        first, *others = PREFIXES["mlflow-artifacts"]
        for route in FILE_ROUTES:
            handle = partial(handlers[route.name], route)
            paths = [route.path, *(other + route.path.removeprefix(first) for other in others if route.path.startswith(first))]
            for path in paths:
                routes.add(Endpoint(route.name, route.method, path, route.needs, handle))

    # -- lists -------------------------------------------------------------------------------------------------------------

    async def _list_root(self, request: Request) -> Reply:
        operation: ListProxiedArtifacts = await read_operation(ListProxiedArtifacts, self._access, request)
        path = await self._as_meant(ArtifactPath(operation.path), request)
        found = await self.run(lambda: open_root(self._store).described(path))
        names = [msgspec.structs.replace(info, path=info.path.rpartition("/")[2]) for info in found]
        return json_reply(encode(FilesReply(files=names)))

    async def _list_run(self, request: Request) -> Reply:
        operation: ListArtifacts = await read_operation(ListArtifacts, self._access, request)
        path = ArtifactPath(operation.path)
        run = await asyncio.wrap_future(self._store.submit(GetRun(run_id=operation.run_id)))
        return await self._list(run.run.info.artifact_uri, path)

    async def _list_logged_model(self, request: Request) -> Reply:
        operation: ListLoggedModelArtifacts = await read_operation(ListLoggedModelArtifacts, self._access, request)
        path = ArtifactPath(operation.artifact_directory_path)
        model = await asyncio.wrap_future(self._store.submit(GetLoggedModel(model_id=operation.model_id)))
        return await self._list(model.model.info.artifact_uri, path)

    async def _list(self, uri: str, path: ArtifactPath) -> Reply:
        files = await self.run(lambda: open_blobs(uri, self._store).described(path))
        return json_reply(encode(RunFilesReply(root_uri=uri, files=files)))

    # -- whole directories -------------------------------------------------------------------------------------------------

    async def _measure(self, request: Request) -> Reply:
        operation: MeasureFiles = await read_operation(MeasureFiles, self._access, request)
        return json_reply(encode(await self.run(lambda: measure(self._store, operation.uris))))

    async def _remove_released(self, request: Request) -> Reply:
        await read_operation(RemoveReleasedFiles, self._access, request)
        return json_reply(encode(await self.run(lambda: remove_released(self._store))))

    # -- single files ------------------------------------------------------------------------------------------------------

    async def _download(self, route: FileRoute, request: Request) -> Reply:
        path = await self._as_meant(self._proxied_path(route, request), request)
        return await self.send(lambda: open_root(self._store), path, request)

    async def _download_from_run(self, route: FileRoute, request: Request) -> Reply:
        (run_id, text) = _query(route, request)
        self._access.check(route.needs, run_id, request)
        path = ArtifactPath(text)
        run = await asyncio.wrap_future(self._store.submit(_checked(GetRun, run_id=run_id)))
        uri = run.run.info.artifact_uri
        return await self.send(lambda: open_blobs(uri, self._store), path, request)

    async def _download_from_version(self, route: FileRoute, request: Request) -> Reply:
        name, version, text = _query(route, request)
        self._access.check(route.needs, name, request)
        path = ArtifactPath(text)
        operation = _checked(GetModelVersionDownloadUri, name=name, version=version)
        found = await asyncio.wrap_future(self._store.submit(operation))
        return await self.send(lambda: open_blobs(resolve(found.artifact_uri, self._store), self._store), path, request)

    async def _download_from_logged_model(self, route: FileRoute, request: Request) -> Reply:
        model_id = request.parameters["model_id"]
        (text,) = _query(route, request)
        self._access.check(route.needs, model_id, request)
        path = ArtifactPath(text)
        model = await asyncio.wrap_future(self._store.submit(_checked(GetLoggedModel, model_id=model_id)))
        uri = model.model.info.artifact_uri
        return await self.send(lambda: open_blobs(uri, self._store), path, request)

    async def _upload(self, route: FileRoute, request: Request) -> Reply:
        path = self._proxied_path(route, request)
        sha256 = _expected(request)
        await self.take(request, lambda chunks: open_root(self._store).write(path, chunks, sha256))
        return json_reply(b"{}")

    async def _upload_to_run(self, route: FileRoute, request: Request) -> Reply:
        run_id, text = _query(route, request)
        self._access.check(route.needs, run_id, request)
        path = ArtifactPath(text)
        run = await asyncio.wrap_future(self._store.submit(_checked(GetRun, run_id=run_id)))
        uri = run.run.info.artifact_uri
        await self.take(request, lambda chunks: open_blobs(uri, self._store).write(path, chunks))
        return json_reply(b"{}")

    async def take(self, request: Request, write: Callable[[Iterator[bytes]], Result]) -> Result:
        """Hand the body of a request to `write`, on a thread of the uploads."""
        loop = asyncio.get_running_loop()
        pieces = request.pieces(PIECE)
        if self._uploads >= MOST_UPLOADS:
            raise LimitExceeded(f"{MOST_UPLOADS} uploads are under way. Try again later.")

        def arriving() -> Iterator[bytes]:
            while piece := self._piece(asyncio.run_coroutine_threadsafe(_next(pieces), loop)):
                yield piece

        self._uploads += 1
        try:
            return await loop.run_in_executor(self._writers, lambda: write(arriving()))
        finally:
            self._uploads -= 1

    def _piece(self, coming: Future[bytes]) -> bytes:
        """The next piece of an upload. When others wait for a thread, a slow sender has to make room."""
        began = time.monotonic()
        while True:
            try:
                return coming.result(timeout=LOOK_SECONDS)
            except TimeoutError:
                if self._uploads > self._threads and time.monotonic() - began > SLOW_SECONDS:
                    coming.cancel()
                    raise Refused(408, LimitExceeded.error_code, _TOO_SLOW) from None

    async def _delete(self, route: FileRoute, request: Request) -> Reply:
        path = self._proxied_path(route, request)
        await self.run(lambda: open_root(self._store).delete(path))
        return json_reply(b"{}")

    # -- parts of the above ------------------------------------------------------------------------------------------------

    def _proxied_path(self, route: FileRoute, request: Request) -> ArtifactPath:
        """The checked path of a proxied file: never the root. Its first part is the experiment that is asked about."""
        path = ArtifactPath(request.parameters["path"])
        self._access.check(route.needs, path.partition("/")[0], request)
        return path

    async def _as_meant(self, path: ArtifactPath, request: Request) -> ArtifactPath:
        """The path that a reader means: MLflow 2 looks for a run's models below the run."""
        if not knows_no_logged_models(request.header(b"user-agent")):
            return path
        return await self.run(lambda: place_of(path, self._store))

    async def run(self, work: Callable[[], Result], long: bool = False) -> Result:
        """Do work on a thread of the readers, or of the uploads when it is long."""
        return await asyncio.get_running_loop().run_in_executor(self._writers if long else self._readers, work)

    async def send(self, blobs: Callable[[], BlobTree], path: ArtifactPath, request: Request) -> Reply:
        """Answer with a file, or the range of it that is asked for."""
        if not path:
            raise InvalidParameter("A file needs a name: the artifact path is empty.")

        def look() -> tuple[BlobTree, FileInfo, str | None, str | None]:
            tree = blobs()
            info = tree.stat(path)
            if info.is_dir:
                raise NotFound(f"No such artifact: '{path}' is a directory.")
            return tree, info, tree.tag(path), tree.digest(path)

        tree, info, tag, sha256 = await self.run(look)
        size = info.file_size or 0
        headers = _file_headers(path, tag)
        if sha256:
            headers.append((b"repr-digest", to_header(sha256).encode()))
        if tag and _same_tag(request.header(b"if-none-match"), tag):
            return Reply(b"", headers, 304)
        span = _range(request, size, tag)
        start, end = span or (0, size)
        headers.append((b"content-length", b"%d" % (end - start)))
        if span:
            headers.append((b"content-range", b"bytes %d-%d/%d" % (start, end - 1, size)))
        body = self._pieces(tree, path, start, end) if end > start and request.method != "HEAD" else _nothing()
        return Reply(body, headers, 206 if span else 200)

    async def _pieces(self, tree: BlobTree, path: ArtifactPath, start: int, end: int) -> AsyncIterator[bytes]:
        pieces = await self.run(lambda: tree.read(path, start, end))
        while (piece := await self.run(lambda: next(pieces, None))) is not None:
            yield piece


async def _server_info(request: Request) -> Reply:
    info = ServerInfo(
        store_type="SqlStore",
        workspaces_enabled=False,
        trace_archival_enabled=False,
        multipart_uploads_enabled=True,
        multipart_downloads_enabled=True,
        presigned_upload_run_id_supported=True,
        presigned_upload_model_id_supported=True,
        features_enabled={"gateway": False},
    )
    return json_reply(encode(info))


async def _next(pieces: AsyncIterator[bytes]) -> bytes:
    """The next piece; empty at the end. A client that went away becomes an error that undoes the write."""
    return await anext(pieces, b"")


async def _nothing() -> AsyncIterator[bytes]:
    return
    yield b""


def _checked(kind: type[Operation[Any]], **values: str) -> Any:
    from msgspec import ValidationError, convert

    try:
        return convert(values, kind)
    except ValidationError as error:
        raise InvalidParameter(f"{error}") from None


def _query(route: FileRoute, request: Request) -> list[str]:
    """The query parameters that a route names, each given once under one of its spellings."""
    try:
        given = parse_qs(request.query_string.decode("ascii"), keep_blank_values=True, max_num_fields=20)
    except ValueError as error:
        raise BadRequest(f"The query string can not be read: {error}.") from None
    found = []
    for spellings in route.query:
        values = {value for name in spellings for value in given.get(name, ())}
        if len(values) != 1:
            raise InvalidParameter(f"Request must include the query parameter {spellings[0]!r}, once.")
        found.append(values.pop())
    return found


def _expected(request: Request) -> str | None:
    """The SHA-256 that the sender says the body has."""
    return from_header((request.header(b"repr-digest") or b"").decode("latin-1"))


def _file_headers(path: ArtifactPath, tag: str | None) -> Headers:
    name = path.rpartition("/")[2]
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", name)
    kind = _PASSIVE.get(name.rpartition(".")[2].lower(), "application/octet-stream")
    headers = [
        (b"content-type", kind.encode()),
        (b"content-disposition", f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}".encode()),
        (b"content-security-policy", _POLICY),
        (b"accept-ranges", b"bytes"),
        (b"cache-control", b"private, no-cache"),
    ]
    return [*headers, (b"etag", f'"{tag}"'.encode())] if tag else headers


def _same_tag(header: bytes | None, tag: str) -> bool:
    return header is not None and header.removeprefix(b"W/").strip(b'"') == tag.encode()


def _range(request: Request, size: int, tag: str | None) -> tuple[int, int] | None:
    """Start and end of the one range that is asked for; None for the whole file. Several ranges: the whole file.

    Raises `Refused` (416) for a range that lies outside the file.
    """
    header = request.header(b"range")
    condition = request.header(b"if-range")
    if header is None or (condition is not None and not (tag and _same_tag(condition, tag))):
        return None
    found = _RANGE.fullmatch(header.strip())
    if not found or not (found[1] or found[2]):
        return None
    if found[1]:
        start, end = int(found[1]), min(int(found[2] or size) + 1, size)
    else:
        start, end = max(0, size - int(found[2])), size
    if start >= size or start >= end:
        raise Refused(416, InvalidParameter.error_code, f"The range lies outside the file of {size} bytes.")
    return start, end
