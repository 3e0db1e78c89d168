"""Which of a user's own Python files a model needs: found by reading import statements, without running anything."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

_FOREIGN = ("site-packages", "dist-packages")


def own_code(start: Any) -> list[Path]:
    """Files and packages at the top of the working directory that a model needs.

    `start` is a module's name, the path of a Python file, or an object whose class or function is defined somewhere. The file
    of a model from code is kept anyway and is not among them.
    """
    root = Path.cwd()
    names: list[str]
    if isinstance(start, str | Path) and Path(start).suffix == ".py":
        names = list(_imports(Path(start)))
    elif isinstance(start, str):
        names = [start]
    else:
        module = start.__module__ if hasattr(start, "__name__") else type(start).__module__
        main = getattr(sys.modules.get("__main__"), "__file__", None)
        names = [module] if module != "__main__" else list(_imports(Path(main)) if main else ())
    found: dict[str, Path] = {}
    waiting = [name.partition(".")[0] for name in names]
    while waiting:
        name = waiting.pop()
        place = None if name in found else _place(name, root)
        if place is None:
            continue
        found[name] = place
        files = sorted(place.rglob("*.py")) if place.is_dir() else [place]
        waiting += [other.partition(".")[0] for file in files for other in _imports(file)]
    return sorted(found.values())


def _place(name: str, root: Path) -> Path | None:
    """The file or package of a top-level module that lies in the working directory."""
    if name in sys.stdlib_module_names:
        return None
    spec = PathFinder.find_spec(name, [str(root), *sys.path])
    if spec is None or spec.origin in (None, "built-in", "frozen"):
        return None
    file = Path(str(spec.origin)).resolve()
    place = file.parent if spec.submodule_search_locations else file
    inside = place.parent == root.resolve()
    return place if inside and not any(part in _FOREIGN for part in place.parts) else None


def _imports(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"), str(file))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module
