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
from runlore.blobs.http import HttpBlobs
from runlore.blobs.local import LocalBlobs
from runlore.blobs.object import ObjectBlobs
from runlore.blobs.tree import BlobTree
from runlore.exceptions import EndpointNotFound, InvalidParameter, NotFound
from runlore.store.base import Store
from runlore.store.http import HttpStore

OBJECT_SCHEMES = ("s3", "gs", "az")
PROXIED = "mlflow-artifacts"
_RUN = re.compile(r"[0-9a-fA-F]{32}")
_MODEL = re.compile(r"m-[0-9a-f]{32}")
_VERSION = re.compile(r"[1-9][0-9]{0,17}")
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}")
_STAGES = ("none", "staging", "production", "archived")


def open_blobs(artifact_uri: str, store: Store, *, foreign: bool = False) -> BlobTree:
    """The files at an artifact URI of `store`, as a blob store of their own.

    Accepted are `mlflow-artifacts:/…` and URIs inside the store's own artifact root. Other object-store URIs are opened,
    with the credentials of this process, only when `foreign` is set: a client may, a server must not, since its callers
    choose these URIs. Local paths and `file:` URIs are never accepted.
    """
    scheme, path = split_uri(artifact_uri)
    if scheme == PROXIED:
        return open_root(store).under(path)
    root = store.artifact_root.rstrip("/")
    if artifact_uri == root or artifact_uri.startswith(root + "/"):
        return open_root(store).under(ArtifactPath(artifact_uri[len(root) + 1 :]))
    if not foreign:
        raise InvalidParameter(
            f"Refused to open {artifact_uri!r}: it is outside the artifact root. Files there can be read by clients with "
            "credentials of their own."
        )
    return _root(artifact_uri, os.getpid())


def open_root(store: Store) -> BlobTree:
    """All files that belong to a store: what `mlflow-artifacts:/` stands for."""
    if isinstance(store, HttpStore):
        return HttpBlobs(store.artifact_root, store.connections, store.headers)
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


def resolve(uri: str, store: Store) -> str:
    """The artifact URI that `uri` means now. Artifact URIs are checked and passed through.

    Raises `NotFound` for a run, model, version or alias that does not exist, `InvalidParameter` for what is no URI.
    """
    scheme, _, rest = uri.partition(":")
    if scheme == "runs":
        return _resolve_run(uri, _path(uri, rest), store)
    if scheme == "models":
        return _resolve_model(uri, _path(uri, rest), store)
    split_uri(uri)
    return uri


def join_uri(artifact_uri: str, path: str) -> str:
    """The URI of `path` below an artifact URI."""
    checked = ArtifactPath(path)
    return f"{artifact_uri.rstrip('/')}/{checked}" if checked else artifact_uri


def _path(uri: str, rest: str) -> str:
    """What follows `runs:/`; `runs:///` is read as the same, a host is refused."""
    path = rest.lstrip("/")
    if len(rest) - len(path) not in (1, 3) or not path:
        raise InvalidParameter(f"Invalid URI {uri[:200]!r}. Expected runs:/<run_id>/<path>, models:/<name>/<version> or alike.")
    return path.removesuffix("/")


def _resolve_run(uri: str, text: str, store: Store) -> str:
    run_id, _, rest = text.partition("/")
    if not _RUN.fullmatch(run_id):
        raise InvalidParameter(f"Invalid URI {uri[:200]!r}: {run_id[:100]!r} is not a run id (32 hexadecimal digits).")
    path = ArtifactPath(rest)
    info = store.call(GetRun(run_id=run_id)).run.info
    own = join_uri(info.artifact_uri, path)
    if not path:
        return own
    name, _, inner = path.partition("/")
    model = _model_of_run(info.experiment_id, info.run_id, name, store)
    if model is None or _exists(info.artifact_uri, path, store):
        return own
    return join_uri(model, inner)


def _model_of_run(experiment_id: str, run_id: str, name: str, store: Store) -> str | None:
    """Where the newest model lies that a run logged under a name."""
    if any(letter in name for letter in "'\"%:"):
        return None  # no logged model can have such a name
    query = f"name = '{name}' AND source_run_id = '{run_id}'"
    try:
        found = store.call(SearchLoggedModels(experiment_ids=[experiment_id], filter=query, max_results=1)).models
    except EndpointNotFound:
        return None  # an MLflow server before 3.0
    return found[0].info.artifact_uri if found else None


def _exists(artifact_uri: str, path: ArtifactPath, store: Store) -> bool:
    try:
        open_blobs(artifact_uri, store, foreign=True).stat(path)
    except NotFound:
        return False
    return True


def _resolve_model(uri: str, text: str, store: Store) -> str:
    first, _, rest = text.partition("/")
    if _MODEL.fullmatch(first):
        return _checked(uri, store.call(GetLoggedModel(model_id=first)).model.info.artifact_uri, rest)
    word, _, inner = rest.partition("/")
    if _VERSION.fullmatch(word):
        name, version = first, word
    elif word.lower() == "latest" or word.lower() in _STAGES:
        name, version = first, _latest(first, word, store)
    elif "@" in first:
        name, _, alias = first.rpartition("@")
        inner = rest
        version = store.call(GetModelVersionByAlias(name=name, alias=alias)).model_version.version
    else:
        raise InvalidParameter(
            f"Invalid model URI {uri[:200]!r}. Expected models:/<name>/<version>, models:/<name>/latest, "
            "models:/<name>/<stage>, models:/<name>@<alias> or models:/<model_id>."
        )
    return _checked(uri, store.call(GetModelVersionDownloadUri(name=name, version=version)).artifact_uri, inner)


def _latest(name: str, word: str, store: Store) -> str:
    stages = [] if word.lower() == "latest" else [word]
    versions = store.call(GetLatestVersions(name=name, stages=stages)).model_versions
    if not versions:
        where = f" and stage '{word}'" if stages else ""
        raise NotFound(f"No versions of model with name '{name}'{where} found")
    return max((entry.version for entry in versions), key=int)


def _checked(uri: str, location: str, path: str) -> str:
    """A location from the store, if it is an artifact URI: one step, never a chain."""
    try:
        split_uri(location)
    except InvalidParameter as error:
        raise InvalidParameter(f"The files of {uri!r} can not be opened. {error.message}") from None
    return join_uri(location, path)
