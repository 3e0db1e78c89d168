"""What a project says of itself: the `MLproject` file with its entry points, their parameters and commands.

Values of parameters never become part of a command that a shell reads, unless the project's own command asks for a shell; then
they are quoted.
"""

from __future__ import annotations

import math
import re
import shlex
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec

from runlore.exceptions import ExecutionException
from runlore.models.model import read_yaml

Kind = Literal["string", "float", "path", "uri"]
KINDS: tuple[Kind, ...] = ("string", "float", "path", "uri")
FILE = "MLproject"
MAX_PARAMETERS = 1_000

_PLACE = re.compile(r"\{\{|\}\}|\{(?P<name>[^{}]*)\}")
_SHELL = re.compile(r"[|&;<>()$`*?\[\]~#!\n\\{}]")
_KEYS = {"name", "entry_points", "python_env", "conda_env", "docker_env"}


class Parameter(msgspec.Struct, frozen=True):
    """A parameter of an entry point. Without a default it has to be given."""

    kind: Kind = "string"
    default: str | None = None


class EntryPoint(msgspec.Struct, frozen=True):
    """A command with places for parameters: `python train.py --alpha {alpha}`."""

    name: str
    command: str
    parameters: dict[str, Parameter] = {}

    def values(self, given: Mapping[str, Any], project: Path, fetch: Fetch) -> dict[str, str]:
        """The value of every parameter, those that were given beyond the known ones too. Raises `ExecutionException`."""
        if missing := [name for name, item in self.parameters.items() if item.default is None and name not in given]:
            raise ExecutionException(f"No value given for missing parameters: {', '.join(map(repr, missing))}")
        known = {
            name: _checked(name, item.kind, _text(given.get(name, item.default)), project, fetch)
            for name, item in self.parameters.items()
        }
        return known | {name: _text(value) for name, value in given.items() if name not in known}

    def arguments(self, values: Mapping[str, str]) -> list[str]:
        """The command as a list for the operating system. Parameters that it does not know follow as `--name value`."""
        further = [part for name, value in values.items() if name not in self.parameters for part in (f"--{name}", value)]
        if not _SHELL.search(_PLACE.sub("", self.command)):
            try:
                words = shlex.split(self.command)
            except ValueError as error:
                raise ExecutionException(f"The command of entry point {self.name!r} can not be read: {error}.") from None
            return [self._filled(word, values, quoted=False) for word in words] + further
        if (shell := shutil.which("bash") or shutil.which("sh")) is None or sys.platform == "win32":
            raise ExecutionException(f"The command of entry point {self.name!r} needs a POSIX shell, which this machine lacks.")
        return [shell, "-c", " ".join([self._filled(self.command, values, quoted=True), *map(shlex.quote, further)])]

    def _filled(self, text: str, values: Mapping[str, str], quoted: bool) -> str:
        def value(found: re.Match[str]) -> str:
            name = found["name"]
            if name is None:
                return found[0][0]  # {{ is {
            if name not in self.parameters:
                raise ExecutionException(
                    f"The command of entry point {self.name!r} names {{{name}}}, which is no parameter of it."
                )
            return shlex.quote(values[name]) if quoted else values[name]

        return _PLACE.sub(value, text)


class Project(msgspec.Struct, frozen=True):
    """A project in a directory. `environment` is the file that says what it needs, if there is one."""

    directory: Path
    name: str | None
    entry_points: dict[str, EntryPoint]
    environment: Path | None

    def entry_point(self, name: str) -> EntryPoint:
        """An entry point of the file or, where none has the name, a Python or shell script. Raises `ExecutionException`."""
        if found := self.entry_points.get(name):
            return found
        script = (self.directory / name).resolve()
        if script.suffix in (".py", ".sh") and script.is_file() and script.is_relative_to(self.directory.resolve()):
            program = "python" if script.suffix == ".py" else "bash"
            return EntryPoint(name, f"{program} {shlex.quote(name)}")
        raise ExecutionException(
            f"Could not find {name} among entry points {list(self.entry_points)} or interpret {name} as a runnable script. "
            "Supported script file extensions: ['.py', '.sh']"
        )


class Fetch:
    """Brings what a URI of a parameter of type `path` names to this machine."""

    def __init__(self, storage: Path) -> None:
        self._storage = storage

    def __call__(self, uri: str) -> str:
        """The local path of a copy."""
        import tempfile

        from runlore.artifacts import download_artifacts

        return download_artifacts(artifact_uri=uri, dst_path=tempfile.mkdtemp(dir=self._storage))


def read_project(directory: Path) -> Project:
    """The project in a directory; without an `MLproject` file its scripts are its entry points. Raises `ExecutionException`."""
    file = next((item for item in directory.iterdir() if item.name.lower() == FILE.lower()), None)
    if file is None:
        return Project(directory, None, {}, _named_environment(directory, {}))
    content = read_yaml(file.read_bytes(), str(file))
    if not isinstance(content, dict) or not isinstance(content.get("entry_points", {}), dict):
        raise ExecutionException(f"{file} does not describe a project: expected a mapping with `entry_points`.")
    if "docker_env" in content:
        raise ExecutionException(f"{file} asks for Docker (docker_env), in which Runlore runs no projects.")
    if unknown := content.keys() - _KEYS:
        raise ExecutionException(
            f"{file} has unknown keys: {', '.join(sorted(map(str, unknown)))}. Known: {', '.join(sorted(_KEYS))}"
        )
    points = {str(name): _entry_point(str(name), item, file) for name, item in content.get("entry_points", {}).items()}
    name = content.get("name")
    return Project(directory, None if name is None else str(name), points, _named_environment(directory, content))


def _named_environment(directory: Path, content: Mapping[str, Any]) -> Path | None:
    if "python_env" in content and "conda_env" in content:
        raise ExecutionException(f"{directory / FILE} names python_env and conda_env. One of them is the environment.")
    for key in ("python_env", "conda_env"):
        if (named := content.get(key)) is not None:
            path = (directory / str(named)).resolve()
            if not path.is_relative_to(directory.resolve()) or not path.is_file():
                raise ExecutionException(f"{directory / FILE} names {key}: {named}, which is no file of the project.")
            return path
    if not content:
        return next((path for name in ("python_env.yaml", "conda.yaml") if (path := directory / name).is_file()), None)
    return None


def _entry_point(name: str, item: Any, file: Path) -> EntryPoint:
    if not isinstance(item, dict) or not isinstance(item.get("command"), str):
        raise ExecutionException(f"Entry point {name!r} of {file} has no command.")
    parameters = item.get("parameters") or {}
    if not isinstance(parameters, dict) or len(parameters) > MAX_PARAMETERS:
        raise ExecutionException(
            f"The parameters of entry point {name!r} of {file} must be a mapping of at most {MAX_PARAMETERS}."
        )
    return EntryPoint(name, item["command"], {str(key): _parameter(str(key), value, file) for key, value in parameters.items()})


def _parameter(name: str, item: Any, file: Path) -> Parameter:
    if not isinstance(item, dict):
        item = {"type": item}
    kind = item.get("type", "string")
    if not isinstance(kind, str):
        raise ExecutionException(f"Parameter {name!r} of {file} has the type {kind!r}. Types are {', '.join(KINDS)}.")
    if kind not in KINDS:  # "int" is common; MLflow checks none but these either
        kind = "string"
    default = item.get("default")
    return Parameter(kind, None if default is None else _text(default))


def _text(value: Any) -> str:
    text = str(value)
    if "\0" in text:
        raise ExecutionException("A value of a parameter holds the character NUL.")
    return text


def _checked(name: str, kind: Kind, value: str, project: Path, fetch: Fetch) -> str:
    """A value in the form in which the command gets it."""
    match kind:
        case "float":
            try:
                math.isnan(float(value))
            except ValueError:
                raise ExecutionException(f"Expected a number for parameter {name} but got {value}") from None
        case "uri":
            if not _is_uri(value):
                raise ExecutionException(f"Expected URI for parameter {name} but got {value}")
        case "path":
            return _path(name, value, project, fetch)
    return value


def _is_uri(value: str) -> bool:
    return len(urlsplit(value).scheme) > 1


def _path(name: str, value: str, project: Path, fetch: Fetch) -> str:
    """An absolute path: of the working directory of whoever asks, else of the project; what is elsewhere is downloaded."""
    if _is_uri(value) and not value.startswith("file:"):
        return fetch(value)
    place = Path(fetch(value) if value.startswith("file:") else value).expanduser()
    for path in (place.absolute(), project / place):
        if path.exists():
            return str(path)
    raise ExecutionException(f"Got value {value} for parameter {name}, but no such file or directory was found.")
