"""Files in parts and by signed addresses: how clients move large files, several pieces at a time, and only the piece again
that was lost.

Where the object store can sign addresses itself, bytes go to and from it directly; otherwise the addresses are this server's.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Iterator
from functools import cached_property
from typing import Any, Protocol, TypeVar
from urllib.parse import parse_qsl

from runlore.api.artifacts import (
    AbortMultipartUpload,
    CompleteMultipartUpload,
    CompleteUpload,
    CreateMultipartUpload,
    CreatePresignedDownloadUrl,
    CreatePresignedUploadUrl,
    FileAddress,
    FileRoute,
    GetFileAddress,
    OpenedUpload,
    OpenUpload,
    PartAddress,
    SignedAddress,
    UploadReply,
)
from runlore.api.logged_models import GetLoggedModel
from runlore.api.operation import Edit, Operation, encode
from runlore.api.runs import GetRun
from runlore.blobs.base import ArtifactPath
from runlore.blobs.tree import BlobTree
from runlore.blobs.uploads import Method, Uploads, part_size, signed_address
from runlore.blobs.uri import PROXIED, open_blobs, open_root, split_uri
from runlore.exceptions import BadRequest, InvalidParameter, NotFound
from runlore.server.auth import Access
from runlore.server.dispatch import SubmittingStore, parse_operation, read_operation
from runlore.server.routes import Handler
from runlore.server.signatures import Signatures, Signed
from runlore.web.http import Reply, Request, json_reply
from runlore.web.proxies import prefix_of

PART_SECONDS = 86_400
"""How long the addresses of parts are good: clients get all of them at once, and large files take hours."""
DOWNLOAD_SECONDS = 3_600
_SWEEP_SECONDS = 3_600
_ADDRESS = "/api/2.0/mlflow-artifacts/signed"
_PREFIX = re.compile(rb"(?:/[A-Za-z0-9._~-]{1,100}){1,10}")

Result = TypeVar("Result")


class Streams(Protocol):
    """What moves bytes between connections and blob stores (`Artifacts`)."""

    async def send(self, blobs: Callable[[], BlobTree], path: ArtifactPath, request: Request) -> Reply:
        """Answer with a file."""
        ...

    async def take(self, request: Request, write: Callable[[Iterator[bytes]], Result]) -> Result:
        """Hand the body of a request to `write`, on a thread of the uploads."""
        ...

    async def run(self, work: Callable[[], Result], long: bool = False) -> Result:
        """Do work on a thread of the readers, or of the uploads when it is long."""
        ...


class Transfers:
    """The endpoints of one store for parts and signed addresses."""

    def __init__(self, store: SubmittingStore, access: Access, streams: Streams) -> None:
        self._store, self._access, self._streams = store, access, streams
        self._swept = -float(_SWEEP_SECONDS)

    def operations(self) -> dict[type[Operation[Any]], Handler]:
        """What is answered here."""
        return {
            CreateMultipartUpload: self._create,
            CompleteMultipartUpload: self._complete,
            AbortMultipartUpload: self._abort,
            OpenUpload: self._open_upload,
            CompleteUpload: self._complete_upload,
            GetFileAddress: self._file_address,
            CreatePresignedUploadUrl: self._upload_address,
            CreatePresignedDownloadUrl: self._download_address,
        }

    def files(self) -> dict[str, Callable[[FileRoute, Request], Awaitable[Reply]]]:
        """The file routes that are answered here."""
        return {"DownloadSigned": self._download, "UploadSigned": self._upload, "UploadPart": self._upload_part}

    @cached_property
    def _signatures(self) -> Signatures:
        return Signatures(self._store.secret("addresses"))

    @cached_property
    def _uploads(self) -> Uploads:
        return Uploads(open_root(self._store))

    # -- uploads in parts --------------------------------------------------------------------------------------------------

    async def _create(self, request: Request) -> Reply:
        operation: CreateMultipartUpload = await read_operation(CreateMultipartUpload, self._access, request)
        path, base = _target(operation), _base(request)

        def create() -> UploadReply:
            self._sweep()
            upload = self._uploads.begin()
            parts = [self._part_address(base, path, upload, number) for number in range(1, operation.num_parts + 1)]
            return UploadReply(upload_id=self._signatures.upload_id(upload, path), credentials=parts)

        return json_reply(encode(await self._streams.run(create)))

    def _part_address(self, base: str, path: ArtifactPath, upload: str, number: int) -> PartAddress:
        own = signed_address(open_root(self._store), "PUT", self._uploads.place(upload, number), PART_SECONDS)
        url = own or self._signatures.address(base, Signed("PUT", path, upload, number), PART_SECONDS)
        return PartAddress(url=url, part_number=number)

    async def _complete(self, request: Request) -> Reply:
        operation: CompleteMultipartUpload = await read_operation(CompleteMultipartUpload, self._access, request)
        path = _target(operation)
        parts = [(part.part_number, (part.etag or "").removeprefix("W/").strip('"')) for part in operation.parts]

        def complete() -> None:
            self._uploads.complete(self._signatures.upload_of(operation.upload_id, path), path, parts)

        await self._streams.run(complete, long=True)
        return json_reply(b"{}")

    async def _abort(self, request: Request) -> Reply:
        operation: AbortMultipartUpload = await read_operation(AbortMultipartUpload, self._access, request)
        path = _target(operation)
        await self._streams.run(lambda: self._uploads.abort(self._signatures.upload_of(operation.upload_id, path)))
        return json_reply(b"{}")

    # -- uploads that can be resumed -----------------------------------------------------------------------------------------

    async def _open_upload(self, request: Request) -> Reply:
        operation: OpenUpload = await read_operation(OpenUpload, self._access, request)
        path = ArtifactPath(f"{operation.experiment_id}/{operation.path}")
        step = part_size(operation.size)

        def look() -> OpenedUpload:
            self._sweep()
            if self._uploads.is_there(path, operation.sha256):
                return OpenedUpload(upload_id="", part_size=step, whole=True)
            upload = self._uploads.resume(f"{path}\0{operation.size}\0{operation.sha256}\0{step}")
            last = -(-operation.size // step)
            whole = dict.fromkeys(range(1, last), step) | {last: operation.size - (last - 1) * step}
            arrived = [number for number, size in self._uploads.sizes(upload).items() if whole.get(number) == size]
            return OpenedUpload(upload_id=self._signatures.upload_id(upload, path), part_size=step, arrived=sorted(arrived))

        return json_reply(encode(await self._streams.run(look)))

    async def _upload_part(self, route: FileRoute, request: Request) -> Reply:
        path = ArtifactPath(request.parameters["path"])
        self._access.check(route.needs, path.partition("/")[0], request)
        upload, number = self._signatures.upload_of(request.parameters["upload_id"], path), request.parameters["part"]
        if not re.fullmatch("[1-9][0-9]{0,4}", number):
            raise InvalidParameter(f"{number[:100]!r} is no number of a part.")
        self._uploads.place(upload, int(number))
        await self._streams.take(request, lambda chunks: self._uploads.write_part(upload, int(number), chunks))
        return json_reply(b"{}")

    async def _complete_upload(self, request: Request) -> Reply:
        operation: CompleteUpload = await read_operation(CompleteUpload, self._access, request)
        path = ArtifactPath(f"{operation.experiment_id}/{operation.path}")

        def complete() -> None:
            upload = self._signatures.upload_of(operation.upload_id, path)
            count = -(-operation.size // part_size(operation.size))
            self._uploads.complete_checked(upload, path, count, operation.sha256)

        await self._streams.run(complete, long=True)
        return json_reply(b"{}")

    def _sweep(self) -> None:
        """Now and then, remove what was given up."""
        now = time.monotonic()
        if now - self._swept > _SWEEP_SECONDS:
            self._swept = now
            self._uploads.sweep()

    # -- signed addresses --------------------------------------------------------------------------------------------------

    async def _file_address(self, request: Request) -> Reply:
        operation: GetFileAddress = await read_operation(GetFileAddress, self._access, request)
        path = ArtifactPath(f"{operation.experiment_id}/{operation.path}")
        url, size = await self._found(path, DOWNLOAD_SECONDS, request)
        return json_reply(encode(FileAddress(url=url, headers={}, file_size=size)))

    async def _download_address(self, request: Request) -> Reply:
        operation: CreatePresignedDownloadUrl = await read_operation(CreatePresignedDownloadUrl, self._access, request)
        run = await asyncio.wrap_future(self._store.submit(GetRun(run_id=operation.run_id)))
        path = self._below(run.run.info.artifact_uri, operation.path)
        url, size = await self._found(path, operation.expiration, request)
        return json_reply(encode(SignedAddress(presigned_url=url, file_size=size)))

    async def _upload_address(self, request: Request) -> Reply:
        operation: CreatePresignedUploadUrl = await parse_operation(CreatePresignedUploadUrl, request)
        if operation.run_id or not operation.model_id:
            self._access.check(operation.route.needs, operation.run_id, request)
        if operation.model_id:
            self._access.check(Edit("model_id"), operation.model_id, request)
        if bool(operation.run_id) == bool(operation.model_id):
            raise InvalidParameter("Exactly one of run_id and model_id must be provided.")
        if operation.run_id:
            run = await asyncio.wrap_future(self._store.submit(GetRun(run_id=operation.run_id)))
            uri = run.run.info.artifact_uri
        else:
            model = await asyncio.wrap_future(self._store.submit(GetLoggedModel(model_id=operation.model_id or "")))
            uri = model.model.info.artifact_uri
        path = self._below(uri, operation.path)
        url = await self._streams.run(lambda: self._address("PUT", path, operation.expiration, _base(request)))
        return json_reply(encode(SignedAddress(presigned_url=url)))

    async def _found(self, path: ArtifactPath, seconds: int, request: Request) -> tuple[str, int]:
        """The address and the size of a file that exists."""

        def look() -> tuple[str, int]:
            info = open_root(self._store).stat(path)
            if info.is_dir:
                raise NotFound(f"No such artifact: '{path}' is a directory.")
            return self._address("GET", path, seconds, _base(request)), info.file_size or 0

        return await self._streams.run(look)

    def _address(self, method: Method, path: ArtifactPath, seconds: int, base: str) -> str:
        own = signed_address(open_root(self._store), method, path, seconds)
        return own or self._signatures.address(base, Signed(method, path), seconds)

    def _below(self, artifact_uri: str, path: str) -> ArtifactPath:
        """The proxied path of a file below an artifact URI of the store's own."""
        open_blobs(artifact_uri, self._store)  # refuses foreign places
        root = self._store.artifact_root.rstrip("/")
        own = artifact_uri.startswith(root + "/")
        place = ArtifactPath(artifact_uri[len(root) + 1 :]) if own else split_uri(artifact_uri)[1]
        assert own or artifact_uri.startswith(PROXIED)
        return place.child(ArtifactPath(path))

    async def _download(self, route: FileRoute, request: Request) -> Reply:
        signed = self._checked("GET", request)
        return await self._streams.send(lambda: open_root(self._store), ArtifactPath(signed.path), request)

    async def _upload(self, route: FileRoute, request: Request) -> Reply:
        signed = self._checked("PUT", request)
        path = ArtifactPath(signed.path)
        if signed.upload:
            self._uploads.place(signed.upload, signed.part)
            tag = await self._streams.take(request, lambda chunks: self._uploads.write_part(signed.upload, signed.part, chunks))
        else:
            await self._streams.take(request, lambda chunks: open_root(self._store).write(path, chunks))
            tag = await self._streams.run(lambda: open_root(self._store).tag(path) or "")
        reply = json_reply(b"{}")
        reply.headers = [*reply.headers, (b"etag", f'"{tag}"'.encode())]
        return reply

    def _checked(self, method: Method, request: Request) -> Signed:
        """What the address of a request is for. Asks nobody: the signature says that whoever has it may."""
        try:
            pairs = parse_qsl(request.query_string.decode("ascii"), keep_blank_values=True, max_num_fields=10)
        except ValueError as error:
            raise BadRequest(f"The query string can not be read: {error}.") from None
        return self._signatures.check(method, request.parameters["path"], dict(pairs))


def _target(operation: CreateMultipartUpload | CompleteMultipartUpload | AbortMultipartUpload) -> ArtifactPath:
    """Where the file goes: its name is the last part of the client's own path, which may be a Windows one."""
    name = re.split(r"[/\\]", operation.path)[-1]
    if not name:
        raise InvalidParameter(f"A file needs a name: {operation.path[:200]!r} ends without one.")
    return ArtifactPath(f"{operation.experiment_id}/{operation.directory}").child(ArtifactPath(name))


def _base(request: Request) -> str:
    """The address at which this client reaches this server: `Host`, scheme and prefix as the security wrapper left them."""
    scheme = "https" if request.scope.get("scheme") == "https" else "http"
    host = (request.header(b"host") or b"").decode("latin-1")
    return f"{scheme}://{host}{prefix_of(request.scope)}{_ADDRESS}"
