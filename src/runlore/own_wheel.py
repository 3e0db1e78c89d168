"""This very installation of Runlore as a wheel, for environments and images that are made for a model or a project.

It is packed from the files that run now, whether they were installed from a wheel or are a source tree that is worked on: what
was tried here is what runs there, with no index that would have to know this version.
"""

from __future__ import annotations

import base64
import hashlib
import zipfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from runlore.version import __version__

_LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the same files make the same wheel, byte for byte
_WHEEL = "Wheel-Version: 1.0\nGenerator: runlore\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def pack_wheel(folder: Path) -> Path:
    """Write `runlore-<version>-py3-none-any.whl` into a directory; returns its path. Takes about 0.2 s."""
    name = f"runlore-{__version__}"
    path = folder / f"{name}-py3-none-any.whl"
    records = []
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for inside, content in _contents(f"{name}.dist-info"):
            _add(archive, inside, content)
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            records.append(f"{inside},sha256={digest},{len(content)}\n")
        records.append(f"{name}.dist-info/RECORD,,\n")
        _add(archive, f"{name}.dist-info/RECORD", "".join(records).encode())
    return path


def _contents(information: str) -> Iterator[tuple[str, bytes]]:
    package = Path(__file__).parent
    for file in sorted(package.rglob("*")):
        if file.is_file() and "__pycache__" not in file.parts:
            yield f"runlore/{file.relative_to(package).as_posix()}", file.read_bytes()
    installed = metadata.distribution("runlore")
    for part in ("METADATA", "entry_points.txt"):
        yield f"{information}/{part}", (installed.read_text(part) or "").encode()
    yield f"{information}/WHEEL", _WHEEL.encode()


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    entry = zipfile.ZipInfo(name, _LONG_AGO)
    entry.external_attr = 0o644 << 16
    entry.compress_type = zipfile.ZIP_DEFLATED
    archive.writestr(entry, content)
