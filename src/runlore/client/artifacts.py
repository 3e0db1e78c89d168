"""Files of runs: up, down, listed, and written from Python values. Tables are in `tables.py`, images in `images.py`."""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, BinaryIO

from runlore.client.base import ClientBase
from runlore.client.connection import flush_files
from runlore.client.outbox import Outbox
from runlore.client.progress import Progress
from runlore.entities import FileInfo
from runlore.exceptions import InvalidParameter, MissingDependency
from runlore.spool.spool import READ_SECONDS

if TYPE_CHECKING:
    from runlore.blobs.base import BlobStore

CHUNK = 1 << 20


class ArtifactsClient(ClientBase):
    """Files of runs. Paths are relative to the run's artifact root, with forward slashes."""

    def list_artifacts(self, run_id: str, path: str | None = None) -> list[FileInfo]:
        """Files and directories directly under `path`, sorted."""
        from runlore.blobs.base import ArtifactPath

        return self._files(run_id).described(ArtifactPath(path or ""))

    def download_artifacts(self, run_id: str, path: str, dst_path: str | None = None) -> str:
        """Fetch a file, or everything under a directory, into the local directory `dst_path`; returns the local path.

        Without `dst_path` a new temporary directory is made. `""` means all files of the run.
        """
        from runlore.blobs.base import ArtifactPath

        with Progress(f"Downloading {PurePosixPath(path or run_id).name}") as progress:
            return str(self._files(run_id).download(ArtifactPath(path or ""), local_directory(dst_path), progress))

    def log_artifact(self, run_id: str, local_path: str | Path, artifact_path: str | None = None) -> None:
        """Store one local file, or a directory under its own name, under the directory `artifact_path`.

        Large files are sent in parts: what an interrupted call has sent is not sent again. While a server does not answer the
        files are kept, and delivered later.
        """
        local = Path(local_path)
        path = PurePosixPath(artifact_path or "", local.resolve().name) if local.is_dir() else artifact_path
        self._upload(run_id, local, str(path or ""))

    def log_artifacts(self, run_id: str, local_dir: str | Path, artifact_path: str | None = None) -> None:
        """Store everything in a local directory under the directory `artifact_path`, several files at a time.

        Files whose content is there already are not sent. On a terminal a line shows how far 8 MB or more are. Files that can
        not be read, that change meanwhile, and links that lead out of the directory are named in one error at the end; the
        others are stored.
        """
        local = Path(local_dir)
        if local.exists() and not local.is_dir():
            raise InvalidParameter(f"{str(local)!r} is not a directory. hint: log_artifact stores single files.")
        self._upload(run_id, local, artifact_path or "")

    def log_text(self, run_id: str, text: str, artifact_file: str) -> None:
        """Store a text as a file in UTF-8."""
        if not isinstance(text, str):
            raise InvalidParameter(f"log_text expects text, got {type(text).__name__}. hint: log_dict stores dictionaries.")
        self._write(run_id, artifact_file, text.encode("utf-8", "surrogateescape"))

    def log_dict(self, run_id: str, dictionary: dict[str, Any], artifact_file: str) -> None:
        """Store a dictionary as YAML when the file's name ends in .yml or .yaml, as JSON otherwise.

        numpy values become plain ones; other values that these formats do not know are stored as their text.
        """
        if PurePosixPath(artifact_file).suffix.lower() in (".yml", ".yaml"):
            text = _yaml(dictionary)
        else:
            text = json.dumps(dictionary, indent=2, default=plain_value, ensure_ascii=False)
        self._write(run_id, artifact_file, text.encode())

    def log_stream(self, run_id: str, stream: BinaryIO, artifact_file: str) -> None:
        """Store what a binary stream gives, piece by piece: its length is not limited by memory."""
        from runlore.blobs.base import ArtifactPath

        if isinstance(stream, io.TextIOBase):
            raise InvalidParameter("log_stream expects a binary stream. hint: open the file in mode 'rb'.")
        path, pieces = ArtifactPath(artifact_file), _pieces(stream)
        if (outbox := self._outbox(run_id)) is not None:
            outbox.write(path, pieces)
        else:
            self._files(run_id).write(path, pieces)

    def log_figure(self, run_id: str, figure: Any, artifact_file: str, *, save_kwargs: dict[str, Any] | None = None) -> None:
        """Store a matplotlib or plotly figure; the format follows from the name (.png, .svg, .pdf …, .html for plotly).

        `save_kwargs` go to the figure's own saving function.
        """
        self._write(run_id, artifact_file, _drawn(figure, artifact_file, save_kwargs or {}))

    def _files(self, run_id: str) -> BlobStore:
        """The files of a run, after those that wait have arrived."""
        from runlore.api.runs import GetRun

        flush_files(self._tracking_uri, READ_SECONDS)
        return self._blobs(self._call(GetRun(run_id=run_id)).run.info.artifact_uri)

    def _outbox(self, run_id: str) -> Outbox | None:
        """The way of files to a server that may be away; None for stores of this machine, and in strict mode."""
        spool = self._spool()
        if spool is None or not self._tracking_uri.startswith(("http:", "https:")) or spool.made_here(run_id):
            return None
        return Outbox(self._tracking_uri, run_id, spool.away)

    def _upload(self, run_id: str, local: Path, artifact_path: str) -> None:
        from runlore.blobs.base import ArtifactPath

        path = ArtifactPath("" if artifact_path == "." else artifact_path)
        outbox = self._outbox(run_id)
        with Progress(f"Uploading {local.name}") as progress:
            if outbox is not None:
                outbox.upload(local, path, progress)
            else:
                self._files(run_id).upload(local, path, progress)

    def _write(self, run_id: str, artifact_file: str, content: bytes) -> None:
        from runlore.blobs.base import ArtifactPath

        if not artifact_file:
            raise InvalidParameter("The name of the artifact file is empty.")
        path = ArtifactPath(artifact_file)
        if (outbox := self._outbox(run_id)) is not None:
            outbox.write(path, iter([content]))
        else:
            self._files(run_id).write(path, [content])


def local_directory(path: str | Path | None) -> Path:
    """A directory for a download: the given one, made when it is missing, or a new temporary one."""
    if path is None:
        return Path(tempfile.mkdtemp(prefix="runlore-"))
    directory = Path(path)
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def _pieces(stream: BinaryIO) -> Iterator[bytes]:
    while piece := stream.read(CHUNK):
        yield piece


def _yaml(dictionary: dict[str, Any]) -> str:
    import yaml

    class Dumper(yaml.SafeDumper):
        """Plain YAML for every value: no tags that only Python understands."""

        def represent_other(self, value: Any) -> yaml.Node:
            return self.represent_data(plain_value(value))

    Dumper.add_representer(None, Dumper.represent_other)  # type: ignore[arg-type]  # for types without a representer
    return str(yaml.dump(dictionary, Dumper=Dumper, indent=2, default_flow_style=False, allow_unicode=True, sort_keys=False))


def plain_value(value: Any) -> Any:
    """What JSON and YAML can not say: numpy values as plain ones, everything else as its text."""
    for method in ("item", "tolist"):
        if hasattr(value, method) and hasattr(value, "dtype"):
            try:
                return getattr(value, method)()
            except ValueError:
                continue  # item() of an array with several elements
    return str(value)


def _drawn(figure: Any, artifact_file: str, options: dict[str, Any]) -> bytes:
    suffix = PurePosixPath(artifact_file).suffix.lstrip(".").lower()
    buffer = io.BytesIO()
    if hasattr(figure, "savefig"):
        figure.savefig(buffer, **{"format": suffix or "png", **options})
    elif not hasattr(figure, "write_html"):
        raise InvalidParameter(f"Unsupported figure object type: {type(figure)}. Expected a matplotlib or plotly figure.")
    elif suffix in ("html", "htm"):
        html: str = figure.to_html(**options)
        return html.encode()
    else:
        try:
            figure.write_image(buffer, **{"format": suffix or "png", **options})
        except ValueError as error:
            raise MissingDependency(
                f"Plotly could not draw {artifact_file!r}: {error}. "
                "hint: pip install kaleido, or choose a name that ends in .html"
            ) from error
    return buffer.getvalue()
