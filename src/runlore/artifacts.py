"""Files by URI: `runs:/<run_id>/<path>`, `models:/<name>/<version>`, `mlflow-artifacts:/…`, object stores, and local paths."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from runlore.client import RunloreClient
from runlore.client.artifacts import local_directory
from runlore.client.images import pillow_image
from runlore.client.progress import Progress
from runlore.entities import FileInfo
from runlore.exceptions import InvalidParameter, NotFound

if TYPE_CHECKING:
    from PIL.Image import Image

    from runlore.blobs.base import BlobStore

__all__ = ["download_artifacts", "list_artifacts", "load_dict", "load_image", "load_text"]


def download_artifacts(
    artifact_uri: str | None = None,
    run_id: str | None = None,
    artifact_path: str | None = None,
    dst_path: str | None = None,
    tracking_uri: str | None = None,
    registry_uri: str | None = None,
) -> str:
    """Fetch a file, or everything under a directory; returns its local path.

    Give `artifact_uri`, or `run_id` and `artifact_path`. `dst_path` is a local directory, made when it is missing; without it
    a new temporary directory is made, and what is local already stays where it is.
    """
    from runlore.blobs.base import ArtifactPath

    uri = _uri(artifact_uri, run_id, artifact_path)
    local = _local(uri)
    if local is not None and dst_path is None:
        return str(local)
    blobs, name = _parent(RunloreClient(tracking_uri, registry_uri), uri, local)
    with Progress(f"Downloading {name or uri}") as progress:
        return str(blobs.download(ArtifactPath(name), local_directory(dst_path), progress))


def list_artifacts(
    artifact_uri: str | None = None,
    run_id: str | None = None,
    artifact_path: str | None = None,
    tracking_uri: str | None = None,
) -> list[FileInfo]:
    """Files and directories directly under a URI, or under a path of a run. Paths are relative to the run or the URI's root."""
    from runlore.blobs.base import ArtifactPath

    client = RunloreClient(tracking_uri)
    if artifact_uri is None and run_id is not None:
        return client.list_artifacts(run_id, artifact_path)
    blobs, name = _parent(client, _uri(artifact_uri, run_id, artifact_path), None)
    return blobs.described(ArtifactPath(name))


def load_text(artifact_uri: str) -> str:
    """The content of a text file in UTF-8."""
    return _content(artifact_uri).decode()


def load_dict(artifact_uri: str) -> dict[str, Any]:
    """The content of a JSON file as a dictionary."""
    try:
        value: dict[str, Any] = json.loads(_content(artifact_uri))
    except json.JSONDecodeError as error:
        raise InvalidParameter(f"Unable to form a JSON object from file content of {artifact_uri!r}: {error}.") from None
    return value


def load_image(artifact_uri: str) -> Image:
    """The content of an image file as a pillow image."""
    content = io.BytesIO(_content(artifact_uri))
    try:
        from PIL import Image, UnidentifiedImageError
    except ModuleNotFoundError:
        return pillow_image(content)  # type: ignore[no-any-return]  # says how to get pillow
    try:
        return Image.open(content)
    except UnidentifiedImageError:
        raise InvalidParameter(f"Unable to form a PIL Image object from file content of {artifact_uri!r}.") from None


def _content(uri: str) -> bytes:
    from runlore.blobs.base import ArtifactPath

    blobs, name = _parent(RunloreClient(), uri, _local(uri))
    return b"".join(blobs.read(ArtifactPath(name)))


def _uri(artifact_uri: str | None, run_id: str | None, artifact_path: str | None) -> str:
    if (artifact_uri is None) == (run_id is None):
        raise InvalidParameter("Exactly one of artifact_uri and run_id must be specified.")
    if artifact_uri is not None:
        if artifact_path is not None:
            raise InvalidParameter("artifact_path cannot be specified if artifact_uri is specified.")
        return str(artifact_uri)
    return f"runs:/{run_id}/{artifact_path}" if artifact_path else f"runs:/{run_id}"


def _local(uri: str) -> Path | None:
    """The local path that a URI without a scheme, or a `file:` URI, is."""
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]+):", uri)
    if scheme and scheme[1].lower() != "file":
        return None
    path = Path(url2pathname(urlsplit(uri).path)) if scheme else Path(uri)
    if not path.exists():
        raise NotFound(f"No such file or directory: {str(path)!r}.")
    return path


def _parent(client: RunloreClient, uri: str, local: Path | None) -> tuple[BlobStore, str]:
    """The blob store that holds a URI's last part, and that part: a downloaded file keeps its own name, not its path."""
    from runlore.blobs.local import LocalBlobs
    from runlore.blobs.uri import open_blobs, resolve

    if local is not None:
        return LocalBlobs(local.absolute().parent, private=False), local.absolute().name
    store = client.registry_store if _names_version(uri) else client.store
    place = resolve(uri, store, foreign=True)
    above, _, name = place.rstrip("/").rpartition("/")
    if above.endswith(":") or above.endswith("/"):
        return open_blobs(place, store, foreign=True), ""
    return open_blobs(above, store, foreign=True), name


def _names_version(uri: str) -> bool:
    return uri.startswith("models:/") and re.match(r"models:/m-[0-9a-f]{32}(/|\Z)", uri) is None
