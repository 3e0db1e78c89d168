"""Python environments for models and projects: made once for one set of requirements, kept in the user's cache, used by all.

`read_specification` reads what MLflow writes beside a model (`python_env.yaml`, `conda.yaml`, `requirements.txt`), `prepare`
gives an environment that holds it. Requirements are parsed and written back normalised (models made elsewhere are not trusted
with options of an installer), no shell is used, and nothing is installed into the environment that Runlore itself runs in.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import msgspec

from runlore.exceptions import InvalidParameter, InvalidState, MissingDependency, NotFound
from runlore.models.model import read_yaml
from runlore.models.requirements import parse_requirements
from runlore.own_wheel import pack_wheel
from runlore.settings import settings

LOCAL, UV, VIRTUALENV = "local", "uv", "virtualenv"
ENV_MANAGERS = (LOCAL, UV, VIRTUALENV)
"""`local` is the environment that runs now; `virtualenv` is Python's own venv with pip."""

PYTHON_ENV, CONDA_ENV, REQUIREMENTS = "python_env.yaml", "conda.yaml", "requirements.txt"
MAX_LINES = 15
"""Of an installer's complaints, the last ones."""
_READY = ".runlore-ready"
_VERSION = re.compile(r"(\d+\.\d+)(?:\.[\w.]+)?")

Tell = Callable[[str], object]


@dataclass(frozen=True)
class Specification:
    """What an environment has to hold. `python` is a version such as "3.11.4", of which the first two numbers count."""

    python: str | None = None
    requirements: tuple[str, ...] = ()
    build: tuple[str, ...] = ()
    """Installed before the requirements, which may need them to be built."""

    @property
    def minor(self) -> str:
        """The version of Python without its patch: "3.11"; that of this process where none is asked for."""
        if self.python is None:
            return ".".join(platform.python_version_tuple()[:2])
        if not (found := _VERSION.fullmatch(self.python)):
            raise InvalidParameter(f"{self.python[:50]!r} is no version of Python. Write one such as 3.11.")
        return found[1]

    def overridden(self, requirements: Iterable[str] | None) -> Specification:
        """The same with further requirements, each in the place of the one for its distribution."""
        given = parse_requirements(requirements or [])
        names = {distribution_name(text) for text in given}
        kept = [text for text in self.requirements if distribution_name(text) not in names]
        return Specification(self.python, (*kept, *given), self.build)

    def completed(self, *requirements: str) -> Specification:
        """The same with those of the requirements whose distribution it does not name yet."""
        names = {distribution_name(text) for text in self.requirements}
        return self.overridden([text for text in requirements if distribution_name(text) not in names])


@dataclass(frozen=True)
class Environment:
    """An environment that is ready: its directory (None: the one that runs now) and its interpreter."""

    root: Path | None
    python: Path

    def variables(self) -> dict[str, str]:
        """The environment variables of a process that runs in it."""
        found = {name: value for name, value in os.environ.items() if name not in ("PYTHONHOME", "__PYVENV_LAUNCHER__")}
        if self.root is not None:
            found["VIRTUAL_ENV"] = str(self.root)
            found["PATH"] = f"{self.python.parent}{os.pathsep}{found.get('PATH', os.defpath)}"
        return found


# -- reading --------------------------------------------------------------------------------------------------------------


def read_specification(place: str | Path) -> Specification:
    """What a file says: a `python_env.yaml`, a `conda.yaml` (its Python and pip part), or requirements; of a directory the
    first of these that is there. Raises `NotFound` where there is none, `InvalidParameter` for what can not be installed."""
    path = Path(place)
    if path.is_dir():
        path = next((path / name for name in (PYTHON_ENV, CONDA_ENV, REQUIREMENTS) if (path / name).is_file()), path)
    if not path.is_file():
        raise NotFound(f"{path} has no {PYTHON_ENV}, {CONDA_ENV} or {REQUIREMENTS} that says what it needs.")
    if path.suffix not in (".yaml", ".yml"):
        return Specification(None, tuple(parse_requirements(path)))
    content = read_yaml(path.read_bytes(), str(path))
    if not isinstance(content, dict) or not isinstance(content.get("dependencies", []), list):
        raise InvalidParameter(f"{path} does not describe an environment: expected a mapping with a list of dependencies.")
    if "channels" in content or any(isinstance(item, dict) for item in content.get("dependencies", [])):
        return _from_conda(content, path)
    return Specification(
        str(content["python"]) if content.get("python") is not None else None,
        tuple(_lines(content.get("dependencies"), path)),
        tuple(_lines(content.get("build_dependencies"), path)),
    )


def _lines(entries: Any, path: Path) -> list[str]:
    """Requirements; `-r file` stands for the lines of a file beside the one that is read."""
    found: list[str] = []
    for entry in entries or []:
        option, _, name = str(entry).strip().partition(" ")
        if option not in ("-r", "--requirement"):
            found += parse_requirements([str(entry)])
            continue
        other = path.parent / name.strip()
        if not other.resolve().is_relative_to(path.parent.resolve()) or not other.is_file():
            raise InvalidParameter(f"{path} names the file {name.strip()[:200]!r}, which is not beside it.")
        found += parse_requirements(other)
    return found


def _from_conda(content: dict[str, Any], path: Path) -> Specification:
    python: str | None = None
    requirements: list[str] = []
    foreign: list[str] = []
    for item in content.get("dependencies", []):
        if isinstance(item, dict):
            requirements += _lines(item.get("pip"), path)
            continue
        name = re.split(r"[\s=<>!~]", str(item), maxsplit=1)[0]
        if name == "python":
            version = re.search(r"\d[\w.]*", str(item))
            python = version[0] if version else None
        elif name not in ("pip", "setuptools", "wheel"):
            foreign.append(str(item))
    if foreign:
        raise InvalidParameter(
            f"{path} asks conda for {', '.join(foreign)[:300]}, and Runlore makes environments with uv or pip. "
            "hint: list them under pip, or activate a conda environment that has them and use --env-manager local."
        )
    return Specification(python, tuple(requirements))


# -- making ---------------------------------------------------------------------------------------------------------------


def environments_directory() -> Path:
    """Where environments are kept: `RUNLORE_ENV_ROOT`, else `$XDG_CACHE_HOME/runlore/environments`, else below `~/.cache`."""
    if chosen := settings().environment_directory:
        return Path(chosen).expanduser()
    return Path(settings().cache_directory or "~/.cache").expanduser() / "runlore" / "environments"


def prepare(
    specification: Specification, env_manager: str | None = None, *, with_runlore: bool = True, tell: Tell | None = None
) -> Environment:
    """The environment of a specification; made if it is not there, which takes as long as the installer takes.

    `env_manager` is one of `ENV_MANAGERS`; None takes uv where it is installed, else virtualenv. `with_runlore` adds this very
    Runlore. Processes that want the same one at the same time wait for the one that makes it; one that is interrupted leaves
    nothing that would be used. Raises `InvalidState` with the installer's own words when it fails.
    """
    manager = checked_manager(env_manager)
    if manager == LOCAL:
        return Environment(None, Path(sys.executable))
    with tempfile.TemporaryDirectory(prefix="runlore-env-") as folder:
        wheel = pack_wheel(Path(folder)) if with_runlore else None
        facts = [3, manager, sys.platform, platform.machine(), specification.minor, specification.requirements]
        facts += [specification.build, hashlib.sha256(wheel.read_bytes()).hexdigest() if wheel else None]
        root = environments_directory() / hashlib.sha256(msgspec.json.encode(facts)).hexdigest()[:24]
        found = Environment(root, root / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))
        if not (root / _READY).is_file():
            root.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with _locked(root.with_suffix(".lock")):
                if not (root / _READY).is_file():
                    _make(found, specification, manager, wheel, tell or (lambda line: None))
    return found


def pack_environment(environment: Environment, folder: str | Path) -> Path:
    """An environment as a `.tar.gz` in a directory; returns its path.

    Unpacked anywhere, it runs on machines with the same system and the same Python at the same place. Its programs know where
    they were made: start them as modules, `bin/python -m …`. Raises `InvalidParameter` for the local environment.
    """
    if environment.root is None:
        raise InvalidParameter("The local environment can not be packed. Choose uv or virtualenv.")
    target = Path(folder) / f"{environment.root.name}.tar.gz"
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=".packing-")
    os.close(descriptor)
    try:
        with tarfile.open(name, "w:gz", compresslevel=1) as archive:
            archive.add(environment.root, arcname=environment.root.name)
        os.replace(name, target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return target


def checked_manager(env_manager: str | None) -> str:
    """One of `ENV_MANAGERS`; for None the best that there is. Raises `InvalidParameter` for any other."""
    if env_manager is None:
        return UV if shutil.which("uv") else VIRTUALENV
    if env_manager not in ENV_MANAGERS:
        more = " Runlore runs no conda: activate its environment and use local." if env_manager == "conda" else ""
        raise InvalidParameter(f"{env_manager!r} is no environment manager. Expected one of {', '.join(ENV_MANAGERS)}.{more}")
    return env_manager


def _make(environment: Environment, specification: Specification, manager: str, wheel: Path | None, tell: Tell) -> None:
    root = environment.root
    assert root is not None
    shutil.rmtree(root, ignore_errors=True)
    began = time.monotonic()
    count = len(specification.requirements)
    tell(f"Making an environment of Python {specification.minor} with {count} requirements ({manager}).")
    root.mkdir(mode=0o700)
    try:
        _install(environment, specification, manager, wheel)
    except BaseException:
        shutil.rmtree(root, ignore_errors=True)
        raise
    (root / _READY).touch()
    tell(f"Made {root} in {time.monotonic() - began:.1f} s.")


def _install(environment: Environment, specification: Specification, manager: str, wheel: Path | None) -> None:
    root = str(environment.root)
    listed = Path(root, "runlore-requirements.txt")
    listed.write_text("\n".join(specification.requirements), "utf-8")
    if manager == UV:
        if (uv := shutil.which("uv")) is None:
            raise MissingDependency("uv is not installed. hint: pip install uv, or --env-manager virtualenv")
        _run([uv, "venv", "--quiet", "--no-project", "--allow-existing", "--python", specification.minor, root])
        install = [uv, "pip", "install", "--quiet", "--python", str(environment.python)]
    else:
        _run([_interpreter(specification.minor), "-m", "venv", root])
        install = [str(environment.python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    if specification.build:
        _run([*install, "--", *specification.build])
    if specification.requirements or wheel:
        _run([*install, "-r", str(listed), *([] if wheel is None else [str(wheel)])])


def _interpreter(minor: str) -> str:
    """A Python of a version on this machine."""
    if minor == ".".join(platform.python_version_tuple()[:2]):
        return sys.executable
    if (found := shutil.which(f"python{minor}")) is None:
        raise InvalidState(f"There is no Python {minor} on this machine. hint: install uv, which brings one, or Python {minor}")
    return found


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL, check=False)
    if done.returncode:
        said = [line.rstrip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        raise InvalidState(
            f"{Path(command[0]).name} could not make the environment (exit code {done.returncode}):\n"
            + "\n".join(said[-MAX_LINES:])
        )


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Alone among the processes of this machine; the system gives the lock back when a process dies."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if sys.platform != "win32":
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX)
        else:
            _lock_on_windows(descriptor)
        yield
    finally:
        os.close(descriptor)


def _lock_on_windows(descriptor: int) -> None:
    import msvcrt

    module: Any = msvcrt
    while True:
        try:
            module.locking(descriptor, module.LK_NBLCK, 1)
            return
        except OSError:
            time.sleep(0.2)


def differences(specification: Specification) -> list[str]:
    """Which pinned requirements are not met here: `scikit-learn==1.7.2 (here: 1.9.1)`, `(not here)`."""
    found = []
    for text in specification.requirements:
        name, pin, wanted = text.partition(";")[0].partition("==")
        if not pin or "," in wanted or "*" in wanted:
            continue
        try:
            here = metadata.version(name.partition("[")[0])
        except metadata.PackageNotFoundError:
            found.append(f"{text} (not here)")
            continue
        if here.partition("+")[0] != wanted.partition("+")[0]:
            found.append(f"{text} (here: {here})")
    return found


def distribution_name(requirement: str) -> str:
    """The distribution that a requirement is for, in the spelling that compares (PEP 503)."""
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    return re.sub(r"[-_.]+", "-", found[0]).lower() if found else requirement
