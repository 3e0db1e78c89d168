"""What README and guides say, works: their Python runs, the commands they name exist, and so do the pages they link."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click import Command, Context, Group
from click.testing import CliRunner

from runlore.cli.main import group

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs/guides").glob("*.md"))]
WITH_PYTHON = [page for page in PAGES if "```python\n" in page.read_text("utf-8")]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text("utf-8"), re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("page", WITH_PYTHON, ids=lambda page: page.name)
def test_the_python_of_a_page_runs_from_top_to_bottom(page: Path, tmp_path: Path) -> None:
    place = tmp_path / "an empty directory"
    place.mkdir()
    (place / "notes.md").write_text("A file of the reader's.")
    script = tmp_path / "script.py"
    script.write_text("\n".join(blocks(page, "python")), "utf-8")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "RUNLORE_", "XDG_"))}
    environment["RUNLORE_CONFIG_DIR"] = str(tmp_path / "config")
    done = subprocess.run(
        [sys.executable, "-W", "error", str(script)],
        cwd=place, env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


def command_lines() -> list[tuple[str, str]]:
    """Every `runlore …` and `make …` that a block of a page tells to type."""
    lines = [(page.name, line) for page in PAGES for block in blocks(page, "") for line in block.splitlines()]
    return [(name, line.partition("#")[0].strip()) for name, line in lines if line.startswith(("runlore ", "make "))]


@pytest.mark.parametrize(("page", "line"), command_lines())
def test_commands_and_their_options_exist(page: str, line: str) -> None:
    program, name, *rest = line.split()
    if program == "make":
        assert re.search(rf"^{name}:", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
        return
    command = group.get_command(Context(group), name)
    if isinstance(command, Group):
        name, *rest = rest
        command = command.get_command(Context(command), name)
    assert isinstance(command, Command), f"{page} names {line!r}"
    assert CliRunner().invoke(command, ["--help"]).exit_code == 0
    known = {option for parameter in command.params for option in parameter.opts}
    options = [word for word in rest if word.startswith("-")]
    assert set(options if name != "run" else options[:1]) <= known


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "docs/architecture.md"], ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#:]+)\)", page.read_text("utf-8"))
    assert [target for target in targets if not (page.parent / target).exists()] == []
