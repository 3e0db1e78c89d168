"""From the URIs that people write to the place where the files are.

`resolve` turns `runs:/<run>/<path>`, `models:/<name>/<version>`, `models:/<name>@<alias>`, `models:/<name>/latest`,
`models:/<name>/<Stage>` and `models:/m-<id>` into an artifact URI, in one step and by asking the store. `open_blobs` opens
an artifact URI: `mlflow-artifacts:/…` is a path below the store's artifact root, nothing in it is decoded or normalised.
"""

from __future__ import annotations

import os
import re
from functools import lru_cache
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from runlore.api.logged_models import GetLoggedModel, SearchLoggedModels
from runlore.api.registry import GetLatestVersions, GetModelVersionByAlias, GetModelVersionDownloadUri
from runlore.api.runs import GetRun
from runlore.blobs.base import ArtifactPath
from runlore.blobs.http import PATIENCE_SECONDS, HttpBlobs
from runlore.blobs.local import LocalBlobs
from runlore.blobs.object import ObjectBlobs
from runlore.blobs.reference import ModelReference, RunReference, VersionReference, parse_reference
from runlore.blobs.tree import BlobTree
from runlore.exceptions import EndpointNotFound, InvalidParameter, NotFound
from runlore.store.base import Store
from runlore.store.http import HttpStore

OBJECT_SCHEMES = ("s3", "gs", "az")
PROXIED = "mlflow-artifacts"
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}")


def open_blobs(artifact_uri: str, store: Store, *, foreign: bool = False, patience: float = PATIENCE_SECONDS) -> BlobTree:
    """The files at an artifact URI of `store`, as a blob store of their own.

    Accepted are `mlflow-artifacts:/…` and URIs inside the store's own artifact root. Other object-store URIs are opened,
    with the credentials of this process, only when `foreign` is set: a client may, a server must not, since its callers
    choose these URIs. Local paths and other `file:` URIs are never accepted. Behind a server, what fails is tried again until
    nothing has got on for `patience` seconds.
    """
    root = store.artifact_root.rstrip("/")
    if artifact_uri == root or artifact_uri.startswith(root + "/"):
        return open_root(store, patience).under(ArtifactPath(artifact_uri[len(root) + 1 :]))
    scheme, path = split_uri(artifact_uri)
    if scheme == PROXIED:
        return open_root(store, patience).under(path)
    if not foreign:
        raise InvalidParameter(
            f"Refused to open {artifact_uri!r}: it is outside the artifact root. Files there can be read by clients with "
            "credentials of their own."
        )
    return _root(artifact_uri, os.getpid())


def is_own(artifact_uri: str, store: Store) -> bool:
    """True for URIs below the store's artifact root, which everybody who holds the store may open."""
    return artifact_uri.startswith((f"{PROXIED}:", store.artifact_root.rstrip("/") + "/"))


def open_root(store: Store, patience: float = PATIENCE_SECONDS) -> BlobTree:
    """All files that belong to a store: what `mlflow-artifacts:/` stands for."""
    if isinstance(store, HttpStore):
        return HttpBlobs(store.artifact_root, store.connections, store.headers, store.call, patience)
    return _root(store.artifact_root, os.getpid())


@lru_cache(maxsize=64)
def _root(uri: str, process: int) -> BlobTree:
    """One client per address and process: connection pools are shared between threads and do not survive a fork."""
    if uri.startswith("file:"):
        return LocalBlobs(Path(url2pathname(urlsplit(uri).path)))
    scheme, path = split_uri(uri)
    bucket, _, prefix = path.partition("/")
    return ObjectBlobs.at(f"{scheme}://{bucket}").under(ArtifactPath(prefix))


def split_uri(uri: str) -> tuple[str, ArtifactPath]:
    """Scheme and path of an artifact URI. The path of an object-store URI begins with the bucket.

    `mlflow-artifacts:/1/x` gives `("mlflow-artifacts", "1/x")`, `s3://bucket/a` gives `("s3", "bucket/a")`.
    Raises `InvalidParameter` for every other scheme, and for a path that is not an `ArtifactPath`.
    """
    scheme, colon, rest = uri.partition(":")
    if not colon or "/" in scheme:
        raise InvalidParameter(f"{uri[:200]!r} is not an artifact URI. hint: a local path is used as it is, without a store.")
    if scheme == PROXIED and rest.startswith("/") and (not rest.startswith("//") or rest.startswith("///")):
        return scheme, ArtifactPath(rest.lstrip("/").removesuffix("/"))
    if scheme in OBJECT_SCHEMES and rest.startswith("//"):
        bucket = rest[2:].partition("/")[0]
        if not _BUCKET.fullmatch(bucket):
            raise InvalidParameter(f"Invalid artifact URI {uri[:200]!r}: {bucket[:100]!r} is not the name of a bucket.")
        return scheme, ArtifactPath(rest[2:].removesuffix("/"))
    raise InvalidParameter(
        f"Invalid artifact URI {uri[:200]!r}. Expected mlflow-artifacts:/<path>, or an object store: "
        f"{', '.join(f'{name}://<bucket>/<path>' for name in OBJECT_SCHEMES)}."
    )


def resolve(uri: str, store: Store, *, foreign: bool = False) -> str:
    """The artifact URI that `uri` means now. Artifact URIs are checked and passed through.

    `runs:/<run>/<name>` may mean a file of the run or a logged model of that name; the file comes first. In an object store
    outside the artifact root it is looked for only when `foreign` is set, as in `open_blobs`; otherwise the model is meant.

    Raises `NotFound` for a run, model, version or alias that does not exist, `InvalidParameter` for what is no URI.
    """
    match parse_reference(uri):
        case RunReference(run_id=run_id, path=path):
            return _resolve_run(run_id, path, store, foreign)
        case ModelReference(model_id=model_id, path=path):
            return _checked(uri, store.call(GetLoggedModel(model_id=model_id)).model.info.artifact_uri, path)
        case VersionReference(name=name, path=path) as reference:
            operation = GetModelVersionDownloadUri(name=name, version=_version(reference, store))
            return _checked(uri, store.call(operation).artifact_uri, path)
    split_uri(uri)
    return uri


def join_uri(artifact_uri: str, path: str) -> str:
    """The URI of `path` below an artifact URI."""
    checked = ArtifactPath(path)
    return f"{artifact_uri.rstrip('/')}/{checked}" if checked else artifact_uri


def _resolve_run(run_id: str, path: ArtifactPath, store: Store, foreign: bool) -> str:
    info = store.call(GetRun(run_id=run_id)).run.info
    own = join_uri(info.artifact_uri, path)
    if not path:
        return own
    name, _, inner = path.partition("/")
    model = _model_of_run(info.experiment_id, run_id, name, store)
    if model is None or _exists(info.artifact_uri, path, store, foreign):
        return own
    return join_uri(model, inner)


def _model_of_run(experiment_id: str, run_id: str, name: str, store: Store) -> str | None:
    """Where the newest model lies that a run logged under a name."""
    if any(letter in name for letter in "'\"%:."):
        return None  # no logged model can have such a name
    query = f"name = '{name}' AND source_run_id = '{run_id}'"
    try:
        found = store.call(SearchLoggedModels(experiment_ids=[experiment_id], filter=query, max_results=1)).models
    except EndpointNotFound:
        return None  # an MLflow server before 3.0
    return found[0].info.artifact_uri if found else None


def _exists(artifact_uri: str, path: ArtifactPath, store: Store, foreign: bool) -> bool:
    if not foreign and not is_own(artifact_uri, store):
        return False
    try:
        open_blobs(artifact_uri, store, foreign=foreign).stat(path)
    except NotFound:
        return False
    return True


def _version(reference: VersionReference, store: Store) -> str:
    name = reference.name
    if reference.version:
        return reference.version
    if reference.alias:
        return store.call(GetModelVersionByAlias(name=name, alias=reference.alias)).model_version.version
    stages = [reference.stage] if reference.stage else []
    versions = store.call(GetLatestVersions(name=name, stages=stages)).model_versions
    if not versions:
        where = f" and stage '{reference.stage}'" if stages else ""
        raise NotFound(f"No versions of model with name '{name}'{where} found")
    return max((entry.version for entry in versions), key=int)


def _checked(uri: str, location: str, path: ArtifactPath) -> str:
    """A location from the store, if it is an artifact URI: one step, never a chain."""
    try:
        split_uri(location)
    except InvalidParameter as error:
        raise InvalidParameter(f"The files of {uri!r} can not be opened. {error.message}") from None
    return join_uri(location, path)
