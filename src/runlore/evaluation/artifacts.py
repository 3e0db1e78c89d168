"""Files that an evaluation leaves: pictures, tables, arrays, texts; each knows how it is written and read."""

from __future__ import annotations

import json
import logging
import pickle
import tempfile
from pathlib import Path
from typing import Any, ClassVar

from runlore.artifacts import download_artifacts
from runlore.exceptions import InvalidParameter, Untrusted

_log = logging.getLogger("runlore")


class EvaluationArtifact:
    """One file of an evaluation. `uri` is where it is; its `content` is read when it is first asked for."""

    EXTENSION: ClassVar[str] = ""

    def __init__(self, uri: str | None, content: Any = None) -> None:
        self._uri = uri
        self._content = content

    @property
    def uri(self) -> str | None:
        """Where the file is."""
        return self._uri

    @property
    def content(self) -> Any:
        """What is in the file, as the value that it was made from or is like."""
        if self._content is None:
            with tempfile.TemporaryDirectory(prefix="runlore-evaluation-") as place:
                self._content = self.read(Path(download_artifacts(artifact_uri=self._uri, dst_path=place)))
        return self._content

    def save(self, path: Path) -> None:
        """Write the content to a file."""
        raise NotImplementedError

    def read(self, path: Path) -> Any:
        """The content of a file."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"{type(self).__name__}(uri={self._uri!r})"


class ImageEvaluationArtifact(EvaluationArtifact):
    """A picture: a PIL image."""

    EXTENSION = ".png"

    def save(self, path: Path) -> None:
        """Write a PNG file."""
        self.content.save(path)

    def read(self, path: Path) -> Any:
        """The picture in a file."""
        from PIL import Image

        with Image.open(path) as image:
            image.load()
            return image


class CsvEvaluationArtifact(EvaluationArtifact):
    """A table: a pandas frame, as CSV."""

    EXTENSION = ".csv"

    def save(self, path: Path) -> None:
        """Write a CSV file without the index."""
        self.content.to_csv(path, index=False)

    def read(self, path: Path) -> Any:
        """The table in a file."""
        import pandas as pd

        return pd.read_csv(path)


class ParquetEvaluationArtifact(EvaluationArtifact):
    """A table: a pandas frame, as Parquet."""

    EXTENSION = ".parquet"

    def save(self, path: Path) -> None:
        """Write a Parquet file."""
        self.content.to_parquet(path)

    def read(self, path: Path) -> Any:
        """The table in a file."""
        import pandas as pd

        return pd.read_parquet(path)


class NumpyEvaluationArtifact(EvaluationArtifact):
    """A numpy array."""

    EXTENSION = ".npy"

    def save(self, path: Path) -> None:
        """Write an array without Python objects."""
        import numpy as np

        np.save(path, self.content, allow_pickle=False)

    def read(self, path: Path) -> Any:
        """The array in a file."""
        import numpy as np

        return np.load(path, allow_pickle=False)


class JsonEvaluationArtifact(EvaluationArtifact):
    """A value of dictionaries, lists, texts and numbers."""

    EXTENSION = ".json"

    def save(self, path: Path) -> None:
        """Write a JSON file."""
        path.write_text(json.dumps(self.content), encoding="utf-8")

    def read(self, path: Path) -> Any:
        """The value in a file."""
        return json.loads(path.read_text(encoding="utf-8"))


class TextEvaluationArtifact(EvaluationArtifact):
    """A text."""

    EXTENSION = ".txt"

    def save(self, path: Path) -> None:
        """Write the text in UTF-8."""
        path.write_text(self.content, encoding="utf-8")

    def read(self, path: Path) -> Any:
        """The text in a file."""
        return path.read_text(encoding="utf-8")


class PickleEvaluationArtifact(EvaluationArtifact):
    """Any other Python object. Reading the file runs whatever its author put in: it needs the reader's consent."""

    EXTENSION = ".pickle"
    allow_pickle = False

    def save(self, path: Path) -> None:
        """Write a pickle."""
        path.write_bytes(pickle.dumps(self.content))

    def read(self, path: Path) -> Any:
        """The object in a file. Raises `Untrusted` without consent."""
        if not self.allow_pickle:
            raise Untrusted(
                f"Refused to read {self.uri}, a pickle: it can run any code. If you know where it comes from, say so: "
                "EvaluationResult.load(path, allow_pickle=True)."
            )
        return pickle.loads(path.read_bytes())  # the caller said allow_pickle=True


KINDS: dict[str, type[EvaluationArtifact]] = {
    kind.__name__: kind
    for kind in (
        ImageEvaluationArtifact, CsvEvaluationArtifact, ParquetEvaluationArtifact, NumpyEvaluationArtifact,
        JsonEvaluationArtifact, TextEvaluationArtifact, PickleEvaluationArtifact,
    )
}  # fmt: skip
_BY_EXTENSION = {kind.EXTENSION: kind for kind in KINDS.values()} | {
    ".jpg": ImageEvaluationArtifact,
    ".jpeg": ImageEvaluationArtifact,
}


def artifact_from(name: str, value: Any) -> tuple[EvaluationArtifact, str]:
    """The kind of artifact that fits a value, with the extension of its file. The path of a file means that file's content."""
    kind: type[EvaluationArtifact]
    if isinstance(value, str | Path):
        return _from_text(name, value)
    library = type(value).__module__.partition(".")[0]
    if library == "matplotlib":
        return ImageEvaluationArtifact(None, picture(value)), ".png"
    if library == "PIL":
        kind = ImageEvaluationArtifact
    elif library == "pandas":
        value, kind = (value if type(value).__name__ == "DataFrame" else value.to_frame()), CsvEvaluationArtifact
    elif library == "numpy" and hasattr(value, "shape") and value.dtype.kind != "O":
        kind = NumpyEvaluationArtifact
    elif isinstance(value, dict | list | tuple) and _is_json(value):
        kind = JsonEvaluationArtifact
    else:
        _log.warning("The artifact %r is a %s, which is kept as a pickle.", name, type(value).__name__)
        kind = PickleEvaluationArtifact
    return kind(None, value), kind.EXTENSION


def _from_text(name: str, value: str | Path) -> tuple[EvaluationArtifact, str]:
    kind: type[EvaluationArtifact]
    if len(str(value)) < 4096 and "\n" not in str(value) and Path(value).is_file():
        path = Path(value)
        if path.suffix.lower() not in _BY_EXTENSION:
            raise InvalidParameter(
                f"The artifact {name!r} is a file {path.suffix or 'without an extension'}, of which nothing is known; "
                f"known are {', '.join(sorted(_BY_EXTENSION))}."
            )
        kind = _BY_EXTENSION[path.suffix.lower()]
        if kind is PickleEvaluationArtifact:
            return kind(None, pickle.loads(path.read_bytes())), ".pickle"  # written a moment ago by the caller's own function
        return kind(None, kind(str(path)).read(path)), path.suffix.lower()
    try:
        return JsonEvaluationArtifact(None, json.loads(str(value))), ".json"
    except ValueError:
        return TextEvaluationArtifact(None, str(value)), ".txt"


def _is_json(value: Any) -> bool:
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return False
    return True


def picture(figure: Any) -> Any:
    """A matplotlib figure as a PIL image."""
    from io import BytesIO

    from PIL import Image

    stream = BytesIO()
    figure.savefig(stream, format="png")
    stream.seek(0)
    with Image.open(stream) as image:
        image.load()
        return image
