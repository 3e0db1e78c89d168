"""Operations on lists of files. The bytes themselves are streamed by `server/artifacts.py`, outside the JSON contract.

Handled by the server with the blob store beside it, not by the SQL store: a list of files is not a row.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, field

from runlore.api.operation import Edit, Manage, ModelId, Need, Operation, PageToken, Public, Route, RunId, Signed, Uri, View
from runlore.entities import Empty, Entity, FileInfo, Value

_Path = Annotated[str, Meta(max_length=1_024)]
_FilePath = Annotated[str, Meta(min_length=1, max_length=1_024)]
_Part = Annotated[str, Meta(min_length=1, max_length=255)]
_ForeignPath = Annotated[str, Meta(min_length=1, max_length=8_192, description="a path on the client's machine")]
_UploadId = Annotated[str, Meta(pattern=r"^[0-9a-f]{42}\.[0-9a-f]{32}\Z", description="an upload's id")]
_Sha256 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z", description="SHA-256 of the content, in hexadecimal digits")]
_Expiration = Annotated[int, Meta(ge=1, le=604_800, description="seconds")]


class FilesReply(Entity):
    """Files directly under a path, without the path's own prefix."""

    files: list[FileInfo] = field(default_factory=list)


class RunFilesReply(Entity):
    """Files directly under a path of a run, paths relative to the run's artifact root."""

    root_uri: str
    files: list[FileInfo] = field(default_factory=list)
    next_page_token: str | None = None


class Kept(Entity):
    """Something that was not purged, or whose files were not removed, and why."""

    kind: Literal["experiment", "run", "logged_model", "files"]
    id: str
    reason: str


class MeasuredFiles(Entity):
    """How many files, and their bytes together."""

    files: int = 0
    size: int = 0


class RemovedFiles(Entity):
    """What one call removed. `more`: call again. `kept`: directories that stay, and why; ask again when that has changed."""

    directories: int = 0
    files: int = 0
    size: int = 0
    more: bool = False
    kept: list[Kept] = field(default_factory=list)


class ServerInfo(Entity):
    """What MLflow 3 clients ask before they choose how to transfer files. Every key is always there."""

    store_type: str
    workspaces_enabled: bool
    trace_archival_enabled: bool
    multipart_uploads_enabled: bool
    multipart_downloads_enabled: bool
    presigned_upload_run_id_supported: bool
    presigned_upload_model_id_supported: bool
    features_enabled: dict[str, bool]


class PartAddress(Entity):
    """Where to PUT one part of an upload. The answer's `ETag` belongs into `CompleteMultipartUpload`."""

    url: str
    part_number: int
    headers: dict[str, str] = field(default_factory=dict)


class UploadReply(Entity):
    """An upload in parts has begun."""

    upload_id: str
    credentials: list[PartAddress]


class UploadedPart(Value):
    """A part that has arrived. Without a tag, whatever part of that number came last is meant."""

    part_number: Annotated[int, Meta(ge=1, le=10_000)]
    etag: Annotated[str, Meta(max_length=256)] | None = None
    url: Annotated[str, Meta(max_length=8_192)] | None = None


class OpenedUpload(Entity):
    """What the server has of a file. `whole`: the file is there, nothing is to be sent. Otherwise its parts have `part_size`
    bytes each (the last one what is left), are numbered from 1, and those in `arrived` need not be sent again."""

    upload_id: str
    part_size: int
    arrived: list[int] = field(default_factory=list)
    whole: bool = False


class FileAddress(Entity):
    """Where to GET a file, with `Range` if need be, without credentials."""

    url: str
    headers: dict[str, str]
    file_size: int


class SignedAddress(Entity):
    """Where to GET or PUT a file, without credentials."""

    presigned_url: str
    headers: dict[str, str] = field(default_factory=dict)
    file_size: int | None = None


class ListProxiedArtifacts(Operation[FilesReply]):
    """Files under `path` of the proxied artifact root."""

    route = Route("GET", "artifacts", needs=View(), base="mlflow-artifacts")
    path: _Path = ""


class ListArtifacts(Operation[RunFilesReply]):
    """Files under `path` of a run."""

    route = Route("GET", "artifacts/list", needs=View("run_id"))
    run_id: RunId
    path: _Path = ""
    page_token: PageToken = ""


class ListLoggedModelArtifacts(Operation[RunFilesReply]):
    """Files under a directory of a logged model."""

    route = Route("GET", "logged-models/{model_id}/artifacts/directories", needs=View("model_id"))
    model_id: ModelId
    artifact_directory_path: _Path = ""
    page_token: PageToken = ""


class MeasureFiles(Operation[MeasuredFiles]):
    """Count the files in directories of the artifact root. Directories elsewhere, and ones that do not exist, hold none."""

    route = Route("POST", "files/measure", needs=View(), base="v1")
    uris: Annotated[list[Uri], Meta(max_length=1_000)]


class RemoveReleasedFiles(Operation[RemovedFiles]):
    """Remove the files that purged runs and logged models have left (`GetReleasedFiles`), for some seconds a call.

    What a model version is made of stays, and so do files outside the artifact root. Asking again does no harm.
    """

    route = Route("POST", "trash/files/remove", needs=Manage(), base="v1")


class GetServerInfo(Operation[ServerInfo]):
    """What this server can do. Public."""

    route = Route("GET", "server-info", needs=Public)


class CreateMultipartUpload(Operation[UploadReply]):
    """Begin to upload a file in parts into a directory, `experiment_id/directory`. The file's name is the last part of `path`.

    The addresses are valid for a day and need no credentials; parts may be sent in any order and at the same time.
    """

    route = Route("POST", "mpu/create/{experiment_id}/{directory}", needs=Edit("experiment_id"), base="mlflow-artifacts")
    experiment_id: _Part
    directory: _Path
    path: _ForeignPath
    num_parts: Annotated[int, Meta(ge=1, le=10_000)] = 1


class CompleteMultipartUpload(Operation[Empty]):
    """Make the file of its parts: it becomes visible now, whole. Doing it again is harmless."""

    route = Route("POST", "mpu/complete/{experiment_id}/{directory}", needs=Edit("experiment_id"), base="mlflow-artifacts")
    experiment_id: _Part
    directory: _Path
    path: _ForeignPath
    upload_id: _UploadId
    parts: Annotated[list[UploadedPart], Meta(min_length=1, max_length=10_000)]


class AbortMultipartUpload(Operation[Empty]):
    """Give up an upload and its parts. One that is complete stays."""

    route = Route("POST", "mpu/abort/{experiment_id}/{directory}", needs=Edit("experiment_id"), base="mlflow-artifacts")
    experiment_id: _Part
    directory: _Path
    path: _ForeignPath
    upload_id: _UploadId


class OpenUpload(Operation[OpenedUpload]):
    """Begin to send the file `experiment_id/path` in parts (`UploadPart`), or go on with it.

    An upload is known by path, size and digest: whoever sends the same file again, after whatever interruption, gets the same
    upload, for two days. Nothing is visible before `CompleteUpload`.
    """

    route = Route("POST", "uploads/open", needs=Edit("experiment_id"), base="v1")
    experiment_id: _Part
    path: _FilePath
    size: Annotated[int, Meta(ge=1, le=1 << 46)]
    sha256: _Sha256


class CompleteUpload(Operation[Empty]):
    """Make the file of its parts: it becomes visible now, whole, when its digest is right. Doing it again is harmless.

    404 when a part is missing: open the upload again to learn which. 400 when the digest is another one; then nothing of the
    upload is kept.
    """

    route = Route("POST", "uploads/complete", needs=Edit("experiment_id"), base="v1")
    experiment_id: _Part
    path: _FilePath
    upload_id: _UploadId
    size: Annotated[int, Meta(ge=1, le=1 << 46)]
    sha256: _Sha256


class GetFileAddress(Operation[FileAddress]):
    """An address for the file `experiment_id/path`, valid for an hour: the object store's own where it can sign one."""

    route = Route("GET", "presigned/{experiment_id}/{path}", needs=View("experiment_id"), base="mlflow-artifacts")
    experiment_id: _Part
    path: _Path


class CreatePresignedUploadUrl(Operation[SignedAddress]):
    """An address to PUT one file of a run, or of a logged model, as a whole. `expiration` in seconds."""

    route = Route("POST", "artifacts/presigned-upload-url", needs=Edit("run_id"))
    path: _FilePath
    run_id: RunId | None = None
    model_id: ModelId | None = None
    expiration: _Expiration = 900


class CreatePresignedDownloadUrl(Operation[SignedAddress]):
    """An address to GET one file of a run. `expiration` in seconds."""

    route = Route("POST", "artifacts/presigned-download-url", needs=View("run_id"))
    run_id: RunId
    path: _FilePath
    expiration: _Expiration = 900


class FileRoute(msgspec.Struct, frozen=True):
    """An endpoint whose request or reply is a file, streamed instead of decoded. `{path}` is an `ArtifactPath`.

    `query` names the query parameters; a group of names is one parameter under several spellings.
    """

    name: str
    method: Literal["GET", "PUT", "POST", "DELETE"]
    path: str
    needs: Need
    summary: str
    query: tuple[tuple[str, ...], ...] = ()


FILE_ROUTES = (
    FileRoute(
        "DownloadArtifact",
        "GET",
        "/api/2.0/mlflow-artifacts/artifacts/{path}",
        View("path", kind="experiment"),
        "The bytes of one file. The first part of the path is the experiment. One `Range` is honoured; `Repr-Digest` says the "
        "SHA-256 of the whole file where it is known.",
    ),
    FileRoute(
        "UploadArtifact",
        "PUT",
        "/api/2.0/mlflow-artifacts/artifacts/{path}",
        Edit("path", kind="experiment"),
        "Store the body as one file, replacing one of that name. The file appears when it is whole, and when it has "
        "the SHA-256 that the header `Repr-Digest` says, if there is one.",
    ),
    FileRoute(
        "UploadPart",
        "PUT",
        "/api/v1/uploads/{upload_id}/{part}/{path}",
        Edit("path", kind="experiment"),
        "Store the body as one part of the upload that `OpenUpload` has begun for this path. The first part of the path is the "
        "experiment.",
    ),
    FileRoute(
        "DeleteArtifact",
        "DELETE",
        "/api/2.0/mlflow-artifacts/artifacts/{path}",
        Manage("path", kind="experiment"),
        "Remove a file, or everything under a directory.",
    ),
    FileRoute(
        "DownloadSigned",
        "GET",
        "/api/2.0/mlflow-artifacts/signed/{path}",
        Signed,
        "The bytes of the file that this address was signed for. One `Range` is honoured.",
        (("expires",), ("signature",)),
    ),
    FileRoute(
        "UploadSigned",
        "PUT",
        "/api/2.0/mlflow-artifacts/signed/{path}",
        Signed,
        "Store the body as the file, or the part of an upload, that this address was signed for.",
        (("expires",), ("signature",)),
    ),
    FileRoute(
        "UploadRunArtifact",
        "POST",
        "/ajax-api/2.0/mlflow/upload-artifact",
        Edit("run_id"),
        "Store the body as one file of a run.",
        (("run_id", "run_uuid"), ("path",)),
    ),
    FileRoute(
        "DownloadRunArtifact",
        "GET",
        "/get-artifact",
        View("run_id"),
        "The bytes of one file of a run.",
        (("run_id", "run_uuid"), ("path",)),
    ),
    FileRoute(
        "DownloadModelVersionArtifact",
        "GET",
        "/model-versions/get-artifact",
        View("name"),
        "The bytes of one file of a model version.",
        (("name",), ("version",), ("path",)),
    ),
    FileRoute(
        "DownloadLoggedModelArtifact",
        "GET",
        "/ajax-api/2.0/mlflow/logged-models/{model_id}/artifacts/files",
        View("model_id"),
        "The bytes of one file of a logged model.",
        (("artifact_file_path",),),
    ),
)
"""Every endpoint that streams a file; `mlflow-artifacts` ones are served under both of that family's prefixes."""
