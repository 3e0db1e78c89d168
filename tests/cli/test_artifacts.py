"""`runlore artifacts` on a store of this machine and on a server."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from runlore import RunloreClient
from runlore.client.connection import close_stores

RUNLORE = [sys.executable, "-m", "runlore.cli.main", "artifacts"]


class Place:
    """A run, and the command line beside it."""

    def __init__(self, store: str, directory: Path) -> None:
        self.store, self.directory = store, directory
        self.run_id = RunloreClient(store).create_run("0").info.run_id
        close_stores()
        (directory / "plots/deep").mkdir(parents=True)
        (directory / "plots/a.txt").write_text("a")
        (directory / "plots/deep/é b.txt").write_text("bb")
        (directory / "model.bin").write_bytes(bytes(3_000))

    def do(self, command: str, *arguments: str, code: int = 0, answer: str | None = None) -> subprocess.CompletedProcess[str]:
        line = [*RUNLORE, command, self.run_id[:8], *arguments, "--store", self.store]
        done = subprocess.run(line, cwd=self.directory, input=answer, capture_output=True, text=True, timeout=60)
        assert done.returncode == code, done.stderr
        return done


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    kind = getattr(request, "param", "local")
    return Place(str(tmp_path / "store") if kind == "local" else request.getfixturevalue("server"), tmp_path)


@pytest.mark.parametrize("place", ["local", "server"], indirect=True)
def test_files_go_in_are_listed_and_come_out(place: Place) -> None:
    place.do("log", "model.bin", "plots", "--to", "results")
    place.do("log", "plots", "--contents")
    digest = hashlib.sha256(b"a").hexdigest()
    shown = place.do("list")
    assert [" ".join(line.split()) for line in shown.stdout.splitlines()] == [
        f"├── a.txt 1 B {digest[:12]}",
        "├── deep/",
        f"│ └── é b.txt 2 B {hashlib.sha256(b'bb').hexdigest()[:12]}",
        "└── results/",
        f"├── model.bin 3.0 kB {hashlib.sha256(bytes(3_000)).hexdigest()[:12]}",
        "└── plots/",
        f"├── a.txt 1 B {digest[:12]}",
        "└── deep/",
        f"└── é b.txt 2 B {hashlib.sha256(b'bb').hexdigest()[:12]}",
    ]
    assert shown.stderr == "5 files, 3.0 kB\n"
    assert place.do("list", "-L", "1").stdout.count("\n") == 3
    listed = json.loads(place.do("list", "results/plots", "--json").stdout)
    assert listed[0] == {"path": "results/plots/a.txt", "is_dir": False, "file_size": 1, "sha256": digest}
    assert [entry["path"] for entry in listed] == ["results/plots/a.txt", "results/plots/deep/é b.txt"]
    assert json.loads(place.do("list", "a.txt", "--json").stdout)[0]["sha256"] == digest
    assert place.do("download", "results", "--to", "down").stdout == f"{Path('down/results')}\n"
    assert (place.directory / "down/results/plots/deep/é b.txt").read_text() == "bb"
    (place.directory / "down/results/model.bin").write_bytes(b"changed")
    place.do("download", "--to", "down")
    assert (place.directory / "down/results/model.bin").read_bytes() == bytes(3_000)


def test_files_are_deleted_when_one_says_so(place: Place) -> None:
    place.do("log", "model.bin", "plots")
    assert "Delete plots/deep/ for good?" in place.do("rm", "plots/deep", answer="n\n", code=1).stderr
    place.do("rm", "plots/deep", answer="y\n")
    place.do("rm", "-y", "model.bin")
    assert [entry["path"] for entry in json.loads(place.do("list", "--json").stdout)] == ["plots/a.txt"]
    assert "name of a file or directory is needed" in place.do("rm", "-y", "", code=1).stderr


def test_mistakes_are_said(place: Place) -> None:
    assert "There is no file or directory 'nothing'" in place.do("log", "nothing", code=1).stderr
    assert "/artifacts/nothing'" in place.do("list", "nothing", code=1).stderr
    assert "/artifacts/nothing'" in place.do("download", "nothing", code=1).stderr
    assert "Invalid artifact path" in place.do("rm", "-y", "../x", code=1).stderr
    (place.directory / "plots/leads out").symlink_to("/etc/passwd")
    said = place.do("log", "plots", code=1).stderr
    assert "1 of 3 entries of 'plots' could not be stored; the others are." in said
    assert "the link leads out of the directory" in said
    assert len(json.loads(place.do("list", "--json").stdout)) == 2
