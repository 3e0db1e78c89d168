"""What `runs:/…` and `models:/…` say, before anybody is asked what it means.

Nothing is decoded: `models:/a%2Fb/1` names the model `a%2Fb`. Two spellings never become one by unquoting.
"""

from __future__ import annotations

import re

from runlore.blobs.base import ArtifactPath
from runlore.entities import Value
from runlore.exceptions import InvalidParameter

RUN_ID = re.compile(r"[0-9a-fA-F]{32}")
MODEL_ID = re.compile(r"m-[0-9a-f]{32}")
_VERSION = re.compile(r"[1-9][0-9]{0,17}")
_STAGES = ("none", "staging", "production", "archived")


class RunReference(Value):
    """`runs:/<run_id>/<path>`."""

    run_id: str
    path: ArtifactPath


class ModelReference(Value):
    """`models:/m-<id>`, and perhaps a path in its files."""

    model_id: str
    path: ArtifactPath


class VersionReference(Value):
    """A version of a registered model by its number, alias or stage; with none of the three, the latest."""

    name: str
    path: ArtifactPath
    version: str | None = None
    alias: str | None = None
    stage: str | None = None


Reference = RunReference | ModelReference | VersionReference


def parse_reference(uri: str) -> Reference | None:
    """The meaning of a `runs:` or `models:` URI, None for other schemes. Raises `InvalidParameter` for malformed ones."""
    scheme, _, rest = uri.partition(":")
    if scheme not in ("runs", "models"):
        return None
    text = rest.lstrip("/").removesuffix("/")
    if len(rest) - len(rest.lstrip("/")) not in (1, 3) or not text:  # two slashes would be followed by a host
        raise InvalidParameter(f"Invalid URI {uri[:200]!r}. Expected runs:/<run_id>/<path>, models:/<name>/<version> or alike.")
    first, _, rest = text.partition("/")
    if scheme == "runs":
        if not RUN_ID.fullmatch(first):
            raise InvalidParameter(f"Invalid URI {uri[:200]!r}: {first[:100]!r} is not a run id (32 hexadecimal digits).")
        return RunReference(run_id=first.lower(), path=ArtifactPath(rest))
    if MODEL_ID.fullmatch(first):
        return ModelReference(model_id=first, path=ArtifactPath(rest))
    return _version(uri, first, rest)


def _version(uri: str, name: str, rest: str) -> VersionReference:
    word, _, inner = rest.partition("/")
    if _VERSION.fullmatch(word):
        return VersionReference(name=name, version=word, path=ArtifactPath(inner))
    if word.lower() == "latest":
        return VersionReference(name=name, path=ArtifactPath(inner))
    if word.lower() in _STAGES:
        return VersionReference(name=name, stage=word, path=ArtifactPath(inner))
    if "@" in name:
        name, _, alias = name.rpartition("@")
        if name and alias:
            return VersionReference(name=name, alias=alias, path=ArtifactPath(rest))
    raise InvalidParameter(
        f"Invalid model URI {uri[:200]!r}. Expected models:/<name>/<version>, models:/<name>/latest, "
        "models:/<name>/<stage>, models:/<name>@<alias> or models:/<model_id>."
    )
