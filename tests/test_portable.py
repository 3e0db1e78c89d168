"""Linux, macOS and Windows by construction: what mypy does not see when `make lint` has it look as each of them does."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "runlore"
POSIX_MODULES = {"fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty"}
WINDOWS_MODULES = {"msvcrt", "winreg", "_winapi", "winsound"}


def branches(path: Path) -> list[tuple[int, str]]:
    """Lines that import a module of one system alone, where neither a branch nor the function says which system this is."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Import | ast.ImportFrom):
            continue
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
        special = {name.partition(".")[0] for name in names} & (POSIX_MODULES | WINDOWS_MODULES)
        if not special:
            continue
        around: list[ast.AST] = []
        above: ast.AST = node
        while above in parents:
            above = parents[above]
            around.append(above)
        asked = any(isinstance(place, ast.If) and "platform" in ast.unparse(place.test) for place in around)
        caught = any(isinstance(place, ast.Try) for place in around)
        function = next((place for place in around if isinstance(place, ast.FunctionDef)), None)
        told = function is not None and (
            "sys.platform" in ast.unparse(function) or "windows" in function.name or special <= WINDOWS_MODULES
        )
        if not (asked or caught or told):
            found.append((node.lineno, ", ".join(sorted(special))))
    return found


@pytest.mark.parametrize(
    "path",
    [path for path in SOURCE.rglob("*.py") if "static" not in path.parts],
    ids=lambda path: str(path.relative_to(SOURCE)),
)
def test_modules_of_one_system_stand_behind_a_branch(path: Path) -> None:
    assert branches(path) == []


@pytest.mark.skipif(sys.platform == "win32", reason="the module is there")
def test_the_test_sees_what_it_looks_for(tmp_path: Path) -> None:
    (tmp_path / "bare.py").write_text("import fcntl\ndef f():\n    import pwd\n")
    (tmp_path / "told.py").write_text('import sys\nif sys.platform != "win32":\n    import fcntl\n')
    assert branches(tmp_path / "bare.py") == [(1, "fcntl"), (3, "pwd")]
    assert branches(tmp_path / "told.py") == []
