"""Operations on lists of files. The bytes themselves are streamed by `server/artifacts.py`, outside the JSON contract.

Handled by the server with the blob store beside it, not by the SQL store: a list of files is not a row.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, field

from runlore.api.operation import Edit, Manage, ModelId, Need, Operation, PageToken, Public, Route, RunId, Uri, View
from runlore.entities import Entity, FileInfo

_Path = Annotated[str, Meta(max_length=1_024)]


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
    """What MLflow 3 clients ask before they choose how to transfer files."""

    store_type: str = "SqlStore"
    workspaces_enabled: bool = False
    trace_archival_enabled: bool = False
    multipart_uploads_enabled: bool = False
    multipart_downloads_enabled: bool = False


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


class FileRoute(msgspec.Struct, frozen=True):
    """An endpoint whose request or reply is a file, streamed instead of decoded. `{path}` is an `ArtifactPath`.

    `query` names the query parameters; a group of names is one parameter under several spellings.
    """

    name: str
    method: Literal["GET", "PUT", "DELETE"]
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
        "The bytes of one file. The first part of the path is the experiment. One `Range` is honoured.",
    ),
    FileRoute(
        "UploadArtifact",
        "PUT",
        "/api/2.0/mlflow-artifacts/artifacts/{path}",
        Edit("path", kind="experiment"),
        "Store the body as one file, replacing one of that name. The file appears when it is whole.",
    ),
    FileRoute(
        "DeleteArtifact",
        "DELETE",
        "/api/2.0/mlflow-artifacts/artifacts/{path}",
        Manage("path", kind="experiment"),
        "Remove a file, or everything under a directory.",
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
