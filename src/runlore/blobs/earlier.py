"""Where clients from before logged models look for a model, and where it is.

MLflow 2 reads `runs:/<run id>/<name>` below the run's own artifacts. Runlore and MLflow 3 keep a logged model's files at a
location of its own. Reads of an MLflow 2 client are led there, so that no file is stored twice. Clients of MLflow 3 look in
both places by themselves; they would see everything double.
"""

from __future__ import annotations

import re

from runlore.blobs.base import ArtifactPath
from runlore.blobs.uri import PROXIED, resolve, split_uri
from runlore.exceptions import InvalidParameter, NotFound
from runlore.store.base import Store

_RUN_FILE = re.compile(r"(?P<experiment>[^/]+)/(?P<run_id>[0-9a-f]{32})/artifacts/(?P<path>.+)")
_EARLIER = re.compile(rb"mlflow-[a-z-]+/[12]\.")


def knows_no_logged_models(user_agent: bytes | None) -> bool:
    """True for clients of MLflow 1 and 2, by the header with which they introduce themselves."""
    return user_agent is not None and _EARLIER.match(user_agent) is not None


def place_of(path: ArtifactPath, store: Store) -> ArtifactPath:
    """The same path, or that of the logged model which a path below a run's artifacts means.

    A file of the run itself comes first. The answer stays within the experiment of the path. Blocks: asks the store.
    """
    found = _RUN_FILE.fullmatch(path)
    if found is None:
        return path
    try:
        scheme, place = split_uri(resolve(f"runs:/{found['run_id']}/{found['path']}", store))
    except (NotFound, InvalidParameter):
        return path
    return place if scheme == PROXIED and place.partition("/")[0] == found["experiment"] else path
