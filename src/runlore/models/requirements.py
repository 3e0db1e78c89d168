"""What a model needs to be loaded elsewhere: `requirements.txt`, `conda.yaml`, `python_env.yaml`.

Versions are read from the distributions installed here. Nothing is run: no pip, no shell, no second interpreter.
Requirements that a caller gives are parsed and written back normalised; options, paths and addresses are refused, because
these files are later handed to an installer.
"""

from __future__ import annotations

import platform
import re
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

from runlore.exceptions import InvalidParameter

_REQUIREMENT = re.compile(
    r"""(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)        # distribution
        \s*(?P<extras>\[[A-Za-z0-9._,\s-]*\])?                      # [extras]
        \s*(?P<versions>\(?(?:(?:===|==|~=|!=|<=|>=|<|>)\s*[A-Za-z0-9.*+!_-]+\s*,?\s*)*\)?)
        (?P<marker>;[A-Za-z0-9_.'"()<>=!~,\s-]+)?\Z""",
    re.VERBOSE,
)


def pinned(distribution: str) -> str:
    """`name==version` for an installed distribution, the bare name for one that is not installed here."""
    try:
        version = metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return distribution
    return f"{distribution}=={version.partition('+')[0]}"


def needed_by(*values: object) -> list[str]:
    """Pinned distributions of the classes of the given objects and of what their `get_params()` holds."""
    modules = {kind.__module__.partition(".")[0] for value in _parts(values) for kind in type(value).__mro__}
    foreign = {name for name in modules if name not in ("builtins", "__main__", "abc", "collections", "runlore", "sklearn")}
    if not foreign:
        return []
    owners = metadata.packages_distributions()
    return sorted({pinned(owners[name][0]) for name in foreign if name in owners})


def _parts(values: Iterable[object]) -> Iterable[object]:
    for value in values:
        yield value
        parameters = getattr(value, "get_params", None)
        if callable(parameters) and not isinstance(value, type):
            yield from parameters(deep=True).values()


def parse_requirements(given: str | Path | Iterable[str]) -> list[str]:
    """Normalised requirements from a list, or from the lines of a file (comments allowed, `-r` and other options not)."""
    lines = Path(given).read_text(encoding="utf-8").splitlines() if isinstance(given, str | Path) else list(given)
    texts = (line.partition(" #")[0].strip() for line in lines if isinstance(line, str) and not line.lstrip().startswith("#"))
    return [_normalised(text) for text in texts if text]


def _normalised(text: str) -> str:
    found = _REQUIREMENT.fullmatch(text)
    if found is None:
        raise InvalidParameter(
            f"Not a plain requirement: {text[:200]!r}. Write a distribution with versions, such as 'numpy>=2,<3'; "
            "options, paths and web addresses are not allowed."
        )
    versions = re.sub(r"[\s()]", "", found["versions"]).strip(",")
    return "".join((found["name"], re.sub(r"\s", "", found["extras"] or ""), versions, (found["marker"] or "").rstrip()))


def write_requirements(
    directory: Path,
    default: list[str],
    given: str | Path | Iterable[str] | None = None,
    extra: str | Path | Iterable[str] | None = None,
    conda_env: str | Path | dict[str, Any] | None = None,
) -> None:
    """Write the three files. `given` replaces the defaults, `extra` adds to them, `conda_env` replaces all."""
    import yaml

    if conda_env is not None:
        if given is not None or extra is not None:
            raise InvalidParameter("Give either conda_env or pip requirements, not both.")
        environment = conda_env if isinstance(conda_env, dict) else yaml.safe_load(Path(conda_env).read_text(encoding="utf-8"))
        requirements = parse_requirements(_pip_part(environment))
    else:
        requirements = parse_requirements(default if given is None else given) + parse_requirements(extra or [])
        requirements = list(dict.fromkeys(requirements))
        environment = default_conda_env(requirements)
    (directory / "conda.yaml").write_text(yaml.safe_dump(environment, default_flow_style=False), encoding="utf-8")
    (directory / "requirements.txt").write_text("\n".join(requirements), encoding="utf-8")
    python_env = {
        "python": platform.python_version(),
        "build_dependencies": [pinned(name) for name in ("pip", "setuptools", "wheel")],
        "dependencies": ["-r requirements.txt"],
    }
    (directory / "python_env.yaml").write_text(yaml.safe_dump(python_env, sort_keys=False), encoding="utf-8")


def default_conda_env(requirements: list[str]) -> dict[str, Any]:
    """A conda environment of this Python with the given pip requirements."""
    return {
        "name": "mlflow-env",
        "channels": ["conda-forge"],
        "dependencies": [f"python={platform.python_version()}", "pip", {"pip": list(requirements)}],
    }


def _pip_part(environment: Any) -> list[str]:
    parts = environment.get("dependencies", []) if isinstance(environment, dict) else []
    return [text for part in parts if isinstance(part, dict) for text in part.get("pip", [])]


def changed_requirements(directory: Path, operation: str, given: list[str]) -> list[str]:
    """Add requirements to the files beside a model, or remove them by name; the names of the files that were written."""
    import yaml

    changes = {_project(text): text for text in parse_requirements(given)}
    written = []
    plain = directory / "requirements.txt"
    if plain.is_file():
        plain.write_text("\n".join(_changed(parse_requirements(plain), operation, changes)), encoding="utf-8")
        written.append(plain.name)
    conda = directory / "conda.yaml"
    if conda.is_file():
        environment = yaml.safe_load(conda.read_text(encoding="utf-8"))
        for part in environment.get("dependencies", []):
            if isinstance(part, dict) and "pip" in part:
                part["pip"] = _changed(parse_requirements(part["pip"]), operation, changes)
        conda.write_text(yaml.safe_dump(environment, default_flow_style=False), encoding="utf-8")
        written.append(conda.name)
    return written


def _changed(present: list[str], operation: str, changes: dict[str, str]) -> list[str]:
    kept = [text for text in present if _project(text) not in changes]
    return kept if operation == "remove" else [*kept, *changes.values()]


def _project(requirement: str) -> str:
    """The distribution's name, as the package index compares it."""
    name = re.split(r"[\[(=~!<>;\s]", requirement, maxsplit=1)[0]
    return re.sub(r"[-_.]+", "-", name).lower()
