"""docs/architecture.md speaks of files that exist, and of every room of the package."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "runlore"
TEXT = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
TREE = TEXT.split("```")[1]
ABOVE = ("src/", "tests/", "docs/", "ui/", "bench/", "examples/", ".ci/", "hatch_build.py")


def names_of_paths() -> list[str]:
    """What stands in backticks and looks like a path."""
    return re.findall(r"`([\w./-]+(?:/|\.(?:py|md|sql|tsx?))|[\w.-]+/[\w./-]+)`", TEXT.replace("```", ""))


def test_every_path_exists() -> None:
    found = names_of_paths()
    assert len(found) > 40
    missing = [name for name in found if not (ROOT / name if name.startswith(ABOVE) else SOURCE / name).exists()]
    assert missing == [".runlore/"]  # where users keep their runs


def test_every_room_is_in_the_tree() -> None:
    rooms = {f"{path.name}/" if path.is_dir() else path.name for path in SOURCE.iterdir() if not path.name.startswith("__p")}
    assert sorted(room for room in rooms - {"py.typed"} if not re.search(rf"(?<![\w/]){re.escape(room)}", TREE)) == []


def test_the_tree_has_nothing_that_does_not_exist() -> None:
    entries = re.findall(r"^ *((?:[\w.]+/ ?)+|[\w.]+\.py)(?= )", TREE, re.MULTILINE)
    names = [name.rstrip("/") for entry in entries for name in entry.split()]
    places = (ROOT, SOURCE, SOURCE / "store")
    assert len(names) > 20
    assert [name for name in names if not any((place / name).exists() for place in places)] == []


def test_every_question_has_files_that_answer_it() -> None:
    rows = [row for row in TEXT.partition("| Question | File |")[2].splitlines()[2:] if row.startswith("|")]
    assert len(rows) >= 20
    for row in rows:
        files = re.findall(r"`((?:src|ui|docs|\.ci|hatch)[^`]*)`", row.split("|")[2])
        assert files, row
        assert all((ROOT / file).exists() for file in files), row
