"""The dependency rule of docs/architecture.md, checked on every import statement, function-local ones included."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "runlore"

# A module may import modules of its own rank's group or of a lower rank. Equal ranks in different groups are forbidden.
RANKS: list[tuple[str, ...]] = [
    ("version", "exceptions", "settings"),
    ("entities",),
    ("query", "series", "web"),
    ("api",),
    ("blobs", "store"),
    # -- the SDK foot, left to right --
    ("spool",),
    ("types", "data"),
    ("client",),
    ("snapshot", "system_metrics"),
    ("console",),
    ("fluent",),
    ("artifacts",),
    ("own_wheel",),
    ("models",),
    ("environments",),
    ("projects",),
    ("pyfunc",),
    ("evaluation",),
    ("metrics",),
    ("autologging",),
    (
        "catboost",
        "h2o",
        "keras",
        "lightgbm",
        "onnx",
        "pmdarima",
        "prophet",
        "pytorch",
        "sentence_transformers",
        "sklearn",
        "spacy",
        "spark",
        "statsmodels",
        "transformers",
        "xgboost",
    ),
    ("tensorflow",),
    ("shap",),
    ("frameworks",),
    ("serving",),
    ("deployments",),
    ("tracking", "mlflow_alias", "config"),
    ("as_mlflow",),
    # -- edges --
    ("cli",),
]
SERVER_MAY_USE = {"version", "exceptions", "settings", "entities", "query", "series", "api", "blobs", "store", "web"}
SAME_RANK_FRIENDS = {("blobs", "store"), ("version", "exceptions"), ("tracking", "mlflow_alias")}
RANK = {name: rank for rank, names in enumerate(RANKS) for name in names}


def modules() -> list[Path]:
    return sorted(path for path in SOURCE.rglob("*.py") if "static" not in path.parts)


def room_of(path: Path) -> str:
    relative = path.relative_to(SOURCE)
    return relative.parts[0].removesuffix(".py")


def own_imports(path: Path) -> set[str]:
    """Rooms of runlore that a file imports, wherever the import statement stands."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names = [node.module] if node.module != "runlore" else [f"runlore.{alias.name}" for alias in node.names]
        else:
            continue
        found |= {name.split(".")[1] for name in names if name.startswith("runlore.")}
    return found


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_module_imports_only_lower_layers(path: Path) -> None:
    room = room_of(path)
    if room in ("__init__", "cli"):
        return
    for imported in own_imports(path) - {room}:
        if room == "server":
            assert imported in SERVER_MAY_USE, f"server/ may not import runlore.{imported}"
            continue
        assert imported in RANK, f"runlore.{imported} has no place in RANKS"
        assert room in RANK, f"runlore.{room} has no place in RANKS"
        friends = tuple(sorted((room, imported))) in {tuple(sorted(pair)) for pair in SAME_RANK_FRIENDS}
        assert RANK[imported] < RANK[room] or friends, f"{room} may not import runlore.{imported}"


def test_no_relative_imports() -> None:
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text())):
            assert not (isinstance(node, ast.ImportFrom) and node.level), f"{path}: write the import in full"


# store/ingest.py hands an operation's error to whoever waits for it: the writer thread has to go on for all others.
# spool/shipper.py keeps the journal, and the training going, whatever happens on the way to a store.
# autologging/patch.py stands between the objects of other libraries, which raise anything, and somebody's training.
# serving/ hands whatever a model or a reader of tables raises to the one client whose request it was.
BOUNDARIES = {
    "autologging/patch.py", "cli/main.py", "server/dispatch.py", "serving/app.py", "serving/predictions.py", "spool/shipper.py",
    "store/ingest.py",
}  # fmt: skip


def test_broad_excepts_stand_only_at_the_boundaries() -> None:
    found = set()
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ExceptHandler) and (
                node.type is None or (isinstance(node.type, ast.Name) and node.type.id == "Exception")
            ):
                found.add(str(path.relative_to(SOURCE)))
    assert found == BOUNDARIES, f"except Exception stands at {sorted(found)}"
