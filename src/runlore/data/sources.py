"""Where data came from: what kind of place, how it is written down with a run, and how the data is fetched from there again."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import tempfile
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, Self
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from runlore.exceptions import InvalidParameter, MissingDependency, NotFound, RunloreError

_OBJECT_SCHEMES = ("s3", "gs", "az")
_KINDS = {"": "local", "file": "local", "http": "http", "https": "http"}
_TIMEOUT_S = 60.0
_PIECE = 1 << 20


class DatasetSource(ABC):
    """A place that data came from. `to_json` is what a run keeps of it, together with its kind."""

    kind: str = ""
    """How MLflow calls such a place."""

    @abstractmethod
    def load(self, dst_path: str | None = None) -> Any:
        """Fetch the data: the local path of a file or directory, or what the source's library makes of it."""

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """The source as a dictionary of JSON values."""

    @classmethod
    def from_dict(cls, source_dict: dict[str, Any]) -> Self:
        """The source that `to_dict` described. Keys that are not known are left out."""
        try:
            return cls(**source_dict)
        except TypeError as error:
            raise InvalidParameter(f"{source_dict!r} describes no {cls.kind} source: {error}.") from None

    def to_json(self) -> str:
        """The source as JSON."""
        return json.dumps(self.to_dict())

    @classmethod
    def from_json(cls, source_json: str) -> Self:
        """The source that `to_json` described. Raises `InvalidParameter` for other texts."""
        try:
            found = json.loads(source_json)
        except ValueError as error:
            raise InvalidParameter(f"A source is described by JSON, not by {source_json[:100]!r}: {error}.") from None
        if not isinstance(found, dict):
            raise InvalidParameter(f"A source is described by a JSON object, not by {source_json[:100]!r}.")
        return cls.from_dict(found)

    def _get_source_type(self) -> str:
        """As MLflow names it."""
        return self.kind

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DatasetSource) and (self.kind, self.to_dict()) == (other.kind, other.to_dict())

    def __hash__(self) -> int:
        return hash((self.kind, self.to_json()))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{key}={value!r}' for key, value in self.to_dict().items())})"


class CodeSource(DatasetSource):
    """Data that a program made, or read from a place that it does not name."""

    kind = "code"

    def __init__(self, tags: dict[str, str]) -> None:
        self.tags = tags

    @classmethod
    def here(cls) -> Self:
        """The running program."""
        return cls({"mlflow.source.name": sys.argv[0] if sys.argv else "", "mlflow.source.type": "LOCAL"})

    def load(self, dst_path: str | None = None) -> Any:
        """Not possible: only the program can make the data again."""
        name = self.tags.get("mlflow.source.name", "")
        raise NotImplementedError(f"The data came from the program {name!r}. Run it again, at the commit that the run names.")

    def to_dict(self) -> dict[str, Any]:
        """The program, as tags."""
        return {"tags": self.tags}


class FileSource(DatasetSource):
    """A file or directory: on this machine, or in an object store (`s3://`, `gs://`, `az://`; others are only written down)."""

    kind = "local"

    def __init__(self, uri: str) -> None:
        self.uri = str(uri)
        scheme = _scheme(self.uri)
        self.kind = _KINDS.get(scheme, scheme)

    def load(self, dst_path: str | None = None) -> str:
        """The local path. Without `dst_path` what is on this machine stays where it is, and the rest goes to a new directory.

        Raises `NotFound` when nothing is there, `InvalidParameter` for a scheme that Runlore can not read.
        """
        if self.kind == "local":
            return self._local(dst_path)
        if self.kind not in _OBJECT_SCHEMES:
            raise InvalidParameter(
                f"Runlore reads from local paths, http, {', '.join(_OBJECT_SCHEMES)}, and not from {self.uri!r}. "
                "hint: fetch it with its own tool; get_source(…).uri says where from."
            )
        from runlore.blobs.base import ArtifactPath
        from runlore.blobs.object import ObjectBlobs

        parts = urlsplit(self.uri)
        folder, _, name = parts.path.strip("/").rpartition("/")
        blobs = ObjectBlobs.at(f"{parts.scheme}://{parts.netloc}").under(ArtifactPath(folder))
        return str(blobs.download(ArtifactPath(name), _directory(dst_path)))

    def to_dict(self) -> dict[str, Any]:
        """The URI."""
        return {"uri": self.uri}

    def _local(self, dst_path: str | None) -> str:
        path = Path(url2pathname(urlsplit(self.uri).path)) if _scheme(self.uri) == "file" else Path(self.uri).expanduser()
        if not path.exists():
            raise NotFound(f"There is no file or directory {str(path)!r}.")
        if dst_path is None:
            return str(path)
        target = _directory(dst_path) / path.name
        if path.is_dir():
            shutil.copytree(path, target, dirs_exist_ok=True)
        else:
            shutil.copyfile(path, target)
        return str(target)


class HttpSource(DatasetSource):
    """A file on the web."""

    kind = "http"

    def __init__(self, url: str) -> None:
        if _scheme(url) not in ("http", "https"):
            raise InvalidParameter(f"{url!r} is no address that begins with http:// or https://.")
        self.url = url

    def load(self, dst_path: str | None = None) -> str:
        """Fetch the file; returns its local path. Raises `RunloreError` when the server does not give it."""
        import urllib3

        directory = _directory(dst_path)
        try:
            reply = urllib3.request("GET", self.url, preload_content=False, timeout=_TIMEOUT_S)
            if reply.status != 200:
                raise RunloreError(f"{self.url} answered {reply.status} instead of the data.")
            target = directory / self._name(reply.headers.get("Content-Disposition", ""))
            part = target.with_name(f"{target.name}.part")
            with part.open("wb") as file:
                for piece in reply.stream(_PIECE, decode_content=True):
                    file.write(piece)
            part.replace(target)
        except urllib3.exceptions.HTTPError as error:
            raise RunloreError(f"{self.url} could not be fetched: {error}.") from None
        return str(target)

    def to_dict(self) -> dict[str, Any]:
        """The address."""
        return {"url": self.url}

    def _name(self, disposition: str) -> str:
        """A name for the file: what the server calls it, else the end of the address. Never a path."""
        said = re.search(r'filename="?([^";]+)', disposition)
        name = said[1] if said else unquote(urlsplit(self.url).path)
        name = re.sub(r"[\x00-\x1f:*?\"<>|]", "_", re.split(r"[/\\]", name)[-1]).strip(". ")
        return name or "dataset"


class HuggingFaceSource(DatasetSource):
    """A dataset of the Hugging Face hub, or files that its library reads."""

    kind = "hugging_face"

    def __init__(
        self,
        path: str,
        config_name: str | None = None,
        data_dir: str | None = None,
        data_files: Any = None,
        split: str | None = None,
        revision: str | None = None,
        trust_remote_code: bool | None = None,
    ) -> None:
        self.path, self.config_name, self.data_dir, self.data_files = path, config_name, data_dir, data_files
        self.split = None if split is None else str(split)
        self.revision = None if revision is None else str(revision)
        self.trust_remote_code = trust_remote_code

    def load(self, dst_path: str | None = None, **options: Any) -> Any:
        """What `datasets.load_dataset` gives; `options` go to it. `dst_path` becomes its cache directory.

        `trust_remote_code` is not taken from what a run says, which anybody may have written: it has to be among the options.
        """
        try:
            import datasets
        except ModuleNotFoundError:
            raise MissingDependency(f"Loading {self.path!r} needs datasets. hint: pip install datasets") from None
        known = {"data_dir": self.data_dir, "data_files": self.data_files, "split": self.split, "revision": self.revision}
        named: dict[str, Any] = {key: value for key, value in known.items() if value is not None}
        if dst_path is not None:
            named["cache_dir"] = dst_path
        return datasets.load_dataset(self.path, self.config_name, **{**named, **options})

    def to_dict(self) -> dict[str, Any]:
        """The arguments of `load_dataset`."""
        found = {name: getattr(self, name) for name in ("path", "config_name", "data_dir", "data_files", "split", "revision")}
        return found | ({} if self.trust_remote_code is None else {"trust_remote_code": self.trust_remote_code})


def source_of(source: str | os.PathLike[str] | DatasetSource | None) -> DatasetSource:
    """The source that is meant: by a path or URI, or the running program by nothing."""
    if source is None:
        return CodeSource.here()
    if isinstance(source, DatasetSource):
        return source
    text = os.fspath(source)
    if not isinstance(text, str):
        raise InvalidParameter(f"Expected a path, a URI or a DatasetSource, got {source!r}.")
    return HttpSource(text) if _KINDS.get(_scheme(text)) == "http" else FileSource(text)


def _scheme(uri: str) -> str:
    scheme = urlsplit(uri).scheme
    return "" if len(scheme) == 1 else scheme  # C:\…


def _directory(dst_path: str | None) -> Path:
    if dst_path is None:
        return Path(tempfile.mkdtemp(prefix="runlore-data-"))
    Path(dst_path).mkdir(parents=True, exist_ok=True)
    return Path(dst_path)
