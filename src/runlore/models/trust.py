"""The one gate that every loader goes through: may this file do what it asks for?

What this installation wrote itself (sealed manifest, see manifest.py) loads without ceremony. For everything else:

* skops files load when their types are allowed and their content is in range (skops_audit.py);
* pickle and cloudpickle files, and Python files under `code/`, run whatever their author put in. They need the caller's word:
  `load_model(uri, allow_pickle=True)`.

Consent comes from the caller of `load_model` only: never from the model's own files, a tag, or the server.
"""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from runlore.blobs.base import ArtifactPath
from runlore.exceptions import InvalidParameter, MissingDependency, NotFound, Untrusted
from runlore.models.model import Model
from runlore.models.skops_audit import load_skops

FORMATS = ("skops", "pickle", "cloudpickle")
_imported: list[LocalModel] = []  # models whose code/ is on sys.path: their files stay until the process ends


@dataclass(frozen=True)
class Consent:
    """What the caller of a load function vouches for: any code at all, or types in a skops file by name."""

    allow_pickle: bool = False
    trusted: tuple[str, ...] = ()

    @classmethod
    def of(cls, allow_pickle: bool, trusted: Any) -> Consent:
        """The arguments of a load function, checked: `trusted` is a list of full type names, or None."""
        if isinstance(trusted, str | bool) or not all(isinstance(name, str) for name in trusted or ()):
            raise InvalidParameter(
                f"trusted must be a list of full type names such as 'package.module.Class', got {trusted!r}."
            )
        return cls(allow_pickle is True, tuple(trusted or ()))


@dataclass(frozen=True)
class LocalModel:
    """A model's files on this machine. `ours` says that this installation wrote exactly these files."""

    path: Path
    model: Model
    ours: bool
    consent: Consent = field(default_factory=Consent)

    @property
    def may_run_code(self) -> bool:
        """True when the files may run code of their own."""
        return self.ours or self.consent.allow_pickle

    def file(self, name: Any) -> Path:
        """A file or directory of the model by the name that its `MLmodel` gives; it can not lie outside."""
        path = self.path / ArtifactPath(str(name))
        if not path.exists() or path.resolve() != self.path.resolve() / str(name):
            raise NotFound(f"The model at {self.path} has no file {str(name)!r}.")
        return path


def require_consent(local: LocalModel, what: str) -> None:
    """Raise `Untrusted`, saying how to consent, unless the model may run code."""
    if not local.may_run_code:
        raise Untrusted(
            f"Refused to load {what}: it can run any code, and this installation did not write it. If you know where it comes "
            "from and trust its author, say so: load_model(model_uri, allow_pickle=True)."
        )


def load_object(
    local: LocalModel, name: Any, serialization_format: str, unpickler: Callable[[BinaryIO], pickle.Unpickler] | None = None
) -> Any:
    """The Python object in one of the model's files; `unpickler` reads names of a pickle in another way than Python does."""
    path = local.file(name)
    if serialization_format == "skops":
        return load_skops(path, list(local.consent.trusted), everything=local.may_run_code)
    if serialization_format not in FORMATS:
        raise InvalidParameter(f"Unrecognized serialization format: {serialization_format}. Expected one of {FORMATS}.")
    require_consent(local, f"{path.name}, a {serialization_format} file")
    if serialization_format == "cloudpickle":
        require_cloudpickle()
    with path.open("rb") as stream:
        return (unpickler or pickle.Unpickler)(
            stream
        ).load()  # sealed by this installation, or the caller said allow_pickle=True


def require_cloudpickle() -> Any:
    """The module cloudpickle. Raises `MissingDependency` with a hint."""
    try:
        import cloudpickle
    except ImportError:
        raise MissingDependency("cloudpickle is not installed. hint: pip install 'runlore[sklearn]'") from None
    return cloudpickle


def import_code(local: LocalModel, configuration: dict[str, Any]) -> None:
    """Put the model's own `code/` on `sys.path`, if it has one and may run code."""
    name = configuration.get("code")
    if not name:
        return
    require_consent(local, f"the Python files under {name}/")
    directory = str(local.file(name))
    if directory not in sys.path:
        sys.path.insert(0, directory)
    _imported.append(local)
