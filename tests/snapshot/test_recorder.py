"""What a script leaves behind of what produced its run."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest
from tests.snapshot.conftest import SCRIPT, files, git, stored, text

import runlore
from runlore.exceptions import NotFound

Ran = Callable[..., str]


def test_the_commit_the_command_and_the_packages(project: Path, ran: Ran) -> None:
    run_id = ran(project, "--lr", "0.1", "--api-key", "abc")
    snapshot, tags = stored(run_id), runlore.get_run(run_id).data.tags
    commit = git(project, "rev-parse", "HEAD")
    assert snapshot["command"]["entry_point"] == "train.py"
    assert snapshot["command"]["arguments"] == ["--lr", "0.1", "--api-key", "***"]
    assert snapshot["command"]["working_directory"] == str(project)
    assert snapshot["python"]["version"] == sys.version.split()[0]
    assert snapshot["packages"]["msgspec"] == version("msgspec")
    assert snapshot["host"]["system"]
    assert snapshot["git"] | {"root": ""} == {
        "root": "", "commit": commit, "branch": "main", "remote": "https://git.example.org/team/project.git",
        "dirty": False, "untracked": [], "left_out": [],
    }  # fmt: skip
    assert {key: tags[f"mlflow.source.git.{key}"] for key in ("commit", "branch", "repoURL")} == {
        "commit": commit, "branch": "main", "repoURL": "https://git.example.org/team/project.git"
    }  # fmt: skip
    assert tags["runlore.git.dirty"] == "false"
    assert files(run_id) == {"snapshot.json"}


def test_the_patch_brings_the_code_back(project: Path, ran: Ran, tmp_path: Path) -> None:
    (project / "model.py").write_text("LAYERS = 4\n")
    (project / "new").mkdir()
    (project / "new" / "häuser.py").write_text("no = 'newline at the end'")
    (project / "empty.py").write_text("")
    run_id = ran(project)
    assert runlore.get_run(run_id).data.tags["runlore.git.dirty"] == "true"
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", str(project), str(clone))
    (tmp_path / "changes.patch").write_text(text(run_id, "changes.patch"))
    git(clone, "apply", str(tmp_path / "changes.patch"))
    for name in ("model.py", "new/häuser.py", "empty.py", "train.py"):
        assert (clone / name).read_bytes() == (project / name).read_bytes()


def test_what_is_no_source_or_holds_secrets_stays_out(project: Path, ran: Ran) -> None:
    (project / "weights.pt").write_bytes(b"\0" * 10)
    (project / ".env").write_text("API_KEY=topsecretvalue\n")
    (project / "credentials.json").write_text("{}")
    (project / "large.json").write_text("1" * 300_000)
    (project / "use.py").write_text(
        "API_TOKEN = 'abcdef'\nurl = 'https://me:hunter22@example.org'\nother = 'fromtheenvironment'\n"
    )
    (project / "link.py").symlink_to("/etc/hostname")
    run_id = ran(project, MY_SECRET="fromtheenvironment")
    snapshot, patch = stored(run_id), text(run_id, "changes.patch")
    assert (snapshot["git"]["untracked"], snapshot["git"]["left_out"]) == (["use.py"], ["large.json"])
    assert "+API_TOKEN = '***'\n+url = 'https://***@example.org'\n+other = '***'\n" in patch
    assert "topsecret" not in patch


def test_without_a_repository_the_script_itself_is_kept(tmp_path: Path, ran: Ran) -> None:
    place = tmp_path / "plain"
    place.mkdir()
    (place / "train.py").write_text(
        "# the whole program\n" + (Path(__file__).parent / "conftest.py").read_text().split('"""')[3]
    )
    (place / "requirements.txt").write_text("numpy==2.0\n")
    run_id = ran(place)
    assert "git" not in stored(run_id)
    assert text(run_id, "code/train.py").startswith("# the whole program\n")
    assert text(run_id, "lock/requirements.txt") == "numpy==2.0\n"


def test_without_a_git_binary_the_commit_is_still_known(project: Path, ran: Ran, tmp_path: Path) -> None:
    run_id = ran(project, PATH=str(tmp_path / "nothing here"))
    assert stored(run_id)["git"]["commit"] == git(project, "rev-parse", "HEAD")
    assert "dirty" not in stored(run_id)["git"]
    assert "runlore.git.dirty" not in runlore.get_run(run_id).data.tags


def test_environment_variables_are_chosen_and_masked(project: Path, ran: Ran) -> None:
    run_id = ran(project, CUDA_VISIBLE_DEVICES="1", OTHER="x", APP_MODE="fast", APP_TOKEN="y", RUNLORE_SNAPSHOT_ENV="APP_*")
    variables = stored(run_id)["variables"]
    assert variables["CUDA_VISIBLE_DEVICES"] == "1"
    assert (variables["APP_MODE"], variables["APP_TOKEN"]) == ("fast", "***")
    assert "OTHER" not in variables


def test_seeds_that_can_be_read(project: Path, ran: Ran) -> None:
    program = (project / "train.py").read_text()
    (project / "train.py").write_text(f"import numpy\nnumpy.random.seed(1234)\n{program}")
    assert stored(ran(project, PYTHONHASHSEED="7"))["seeds"] == {"PYTHONHASHSEED": "7", "numpy": 1234}


@pytest.mark.parametrize(
    ("choice", "expected"),
    {
        "0": None,
        "packages": {"packages"},
        "-changes,-untracked,-host,-variables,-seeds,-packages": {"command", "python", "git"},
    }.items(),
)
def test_parts_can_be_left_out(project: Path, ran: Ran, choice: str, expected: set[str] | None) -> None:
    (project / "model.py").write_text("LAYERS = 5\n")
    run_id = ran(project, RUNLORE_SNAPSHOT=choice)
    if expected is None:
        with pytest.raises(NotFound):
            stored(run_id)
        assert files(run_id) == set()
    else:
        assert stored(run_id).keys() - {"version", "time"} == expected
        assert files(run_id) == {"snapshot.json"}


def test_an_unknown_part_is_named_and_harms_nothing(project: Path) -> None:
    script = [sys.executable, "train.py"]
    environment = {"RUNLORE_SNAPSHOT": "gti", "PATH": "/usr/bin:/bin"}
    done = subprocess.run(script, cwd=project, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0
    assert "RUNLORE_SNAPSHOT='gti' names an unknown part 'gti'" in done.stderr
    assert files(done.stdout.strip()) == set()


def test_a_process_that_goes_on_with_a_run_keeps_its_own(project: Path, ran: Ran) -> None:
    run_id = ran(project)
    assert ran(project, "--again", RUNLORE_RUN_ID=run_id) == run_id
    assert stored(run_id)["command"]["arguments"] == []
    [folder] = files(run_id) - {"snapshot.json"}
    assert folder.startswith("resumed-")
    assert '"--again"' in text(run_id, f"{folder}/snapshot.json")


def test_other_ranks_leave_it_to_the_first(project: Path, ran: Ran) -> None:
    run_id = ran(project, RANK="0")
    ran(project, RUNLORE_RUN_ID=run_id, RANK="1")
    assert files(run_id) == {"snapshot.json"}


def test_before_the_first_commit_everything_is_new(tmp_path: Path, ran: Ran) -> None:
    place = tmp_path / "begun"
    place.mkdir()
    git(place, "init", "-q")
    (place / "train.py").write_text(SCRIPT)
    (place / "staged.py").write_text("A = 1\n")
    git(place, "add", "staged.py")
    run_id = ran(place)
    assert stored(run_id)["git"]["dirty"] is True
    patch = text(run_id, "changes.patch")
    assert "+++ b/staged.py\n" in patch
    assert "+++ b/train.py\n" in patch


def test_a_script_that_git_ignores_is_kept_as_it_is(project: Path, ran: Ran) -> None:
    (project / ".gitignore").write_text("train.py\n")
    git(project, "rm", "-q", "--cached", "train.py")
    git(project, "add", ".gitignore")
    git(project, "commit", "-qm", "Ignore it")
    assert text(ran(project), "code/train.py") == SCRIPT


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="file names are text there")
def test_names_that_are_no_text_are_written_out(tmp_path: Path, ran: Ran) -> None:
    place = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff odd"))
    place.mkdir()
    (place / "train.py").write_text(SCRIPT)
    assert stored(ran(place, "caf\udce9"))["command"]["working_directory"].endswith("/\udcff odd")
