"""`runlore experiments`, `runs` and `gc`: what they print, to people and to programs, and what they do."""

from __future__ import annotations

import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Callable
from contextlib import closing
from fcntl import ioctl
from pathlib import Path
from typing import Any

import pytest
from tests.server.live import House

from runlore.api.experiments import CreateExperiment, DeleteExperiment
from runlore.api.registry import CreateModelVersion, CreateRegisteredModel
from runlore.api.runs import CreateRun, DeleteRun, GetRun, LogBatch, MetricPoint, ParamEntry
from runlore.blobs.base import ArtifactPath
from runlore.blobs.uri import open_blobs
from runlore.cli.output import cut, fitted, plain, size_text, width
from runlore.exceptions import NotFound
from runlore.store.base import Store, open_store

RUNLORE = [sys.executable, "-m", "runlore.cli.main"]
Ask = Callable[..., "subprocess.CompletedProcess[str]"]


def environment(**more: str) -> dict[str, str]:
    """The environment without what would choose a store or a colour."""
    kept = {
        key: value for key, value in os.environ.items() if not key.startswith(("RUNLORE_", "MLFLOW_")) and key != "NO_COLOR"
    }
    return kept | more


@pytest.fixture
def ask(tmp_path: Path) -> Ask:
    """Run a command on the store in the working directory."""

    def run(*arguments: str, code: int = 0, **more: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [*RUNLORE, *arguments],
            cwd=tmp_path,
            env=environment(**more),
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done

    return run


def filled(tmp_path: Path) -> dict[str, str]:
    """A store with the experiment "fruit" and two runs of it, each with a file of 1,000 bytes; ids by name."""
    with closing(open_store(str(tmp_path / ".runlore"))) as store:
        key = store.call(CreateExperiment(name="fruit")).experiment_id
        found = {"fruit": key}
        for name in ("apple", "pear"):
            run = new_run(store, key, name)
            found[name] = run
    return found


def new_run(store: Store, experiment_id: str, name: str) -> str:
    info = store.call(CreateRun(experiment_id=experiment_id, run_name=name, user_id="me")).run.info
    point = MetricPoint(key="loss", value=0.25, timestamp=1)
    store.call(LogBatch(run_id=info.run_id, metrics=[point], params=[ParamEntry(key="lr", value="1e-3")]))
    open_blobs(info.artifact_uri, store).write(ArtifactPath("a/b.bin"), iter([b"x" * 1_000]))
    return info.run_id


def read(answer: subprocess.CompletedProcess[str]) -> Any:
    return json.loads(answer.stdout)


def test_lists_in_words_and_in_json(tmp_path: Path, ask: Ask) -> None:
    ids = filled(tmp_path)
    lines = ask("experiments", "list").stdout.splitlines()
    assert lines[0].split() == ["ID", "NAME", "RUNS", "LAST", "ACTIVITY", "STAGE"]
    assert lines[1].split()[:3] == [ids["fruit"], "fruit", "2"]
    assert [item["name"] for item in read(ask("experiments", "list", "--json"))] == ["fruit", "Default"]
    runs = read(ask("runs", "list", "--json", "--filter", "attributes.run_name = 'pear'", "-e", "fruit"))
    assert [item["info"]["run_id"] for item in runs] == [ids["pear"]]
    table = ask("runs", "list").stdout
    assert ids["apple"] in table
    assert "\x1b" not in table
    assert "more than these 1" in ask("runs", "list", "--max", "1").stderr


def test_one_of_each_described(tmp_path: Path, ask: Ask) -> None:
    ids = filled(tmp_path)
    assert re.search(r"^name +fruit$", ask("experiments", "describe", "fruit").stdout, re.MULTILINE)
    assert read(ask("experiments", "describe", ids["fruit"], "--json"))["name"] == "fruit"
    words = ask("runs", "describe", ids["pear"][:8]).stdout
    assert re.search(r"^param lr +1e-3$", words, re.MULTILINE)
    assert re.search(r"^metric loss +0.25$", words, re.MULTILINE)
    assert read(ask("runs", "describe", ids["pear"], "--json"))["info"]["run_name"] == "pear"


def test_into_the_trash_and_out(tmp_path: Path, ask: Ask) -> None:
    ids = filled(tmp_path)
    ask("runs", "delete", ids["pear"], ids["apple"])
    assert {item["info"]["run_id"] for item in read(ask("runs", "list", "--deleted", "--json"))} == {ids["pear"], ids["apple"]}
    ask("runs", "restore", ids["apple"][:10])
    ask("experiments", "delete", "fruit")
    assert [item["name"] for item in read(ask("experiments", "list", "--deleted", "--json"))] == ["fruit"]
    ask("experiments", "restore", ids["fruit"])
    assert [item["info"]["run_name"] for item in read(ask("runs", "list", "--json"))] == ["apple"]


def test_moving(tmp_path: Path, ask: Ask) -> None:
    ids = filled(tmp_path)
    assert "1 run moved to experiment 0 (Default)." in ask("runs", "move", ids["pear"], "--to", "Default").stderr
    assert [item["info"]["run_name"] for item in read(ask("runs", "list", "-e", "0", "--json"))] == ["pear"]


def test_deleting_for_good(tmp_path: Path, ask: Ask) -> None:
    ids = filled(tmp_path)
    ask("runs", "delete", ids["pear"])
    nothing = {"dry_run": False, "experiments": 0, "runs": 0, "logged_models": 0, "files": 0, "size": 0, "kept": []}
    assert read(ask("gc", "--json")) == nothing  # not in the trash for 30 days
    assert "not for so long: 1 run. `--older-than 0` takes" in ask("gc", "--dry-run").stdout
    assert "not for so long" not in ask("gc", "--dry-run", "--older-than", "0").stdout
    going = nothing | {"dry_run": True, "runs": 1, "files": 1, "size": 1_000}
    assert read(ask("gc", "--json", "--dry-run", "--older-than", "0")) == going
    assert "1 run, 0 logged models, 1 file: 1.0 kB." in ask("gc", "--older-than", "0").stdout
    with closing(open_store(str(tmp_path / ".runlore"))) as store:
        with pytest.raises(NotFound):
            store.call(GetRun(run_id=ids["pear"]))
        assert store.call(GetRun(run_id=ids["apple"])).run.info.run_name == "apple"
    assert [path.name for path in (tmp_path / ".runlore" / "artifacts" / ids["fruit"]).iterdir()] == [ids["apple"]]


def test_what_stays_is_said(tmp_path: Path, ask: Ask) -> None:
    ids = filled(tmp_path)
    with closing(open_store(str(tmp_path / ".runlore"))) as store:
        store.call(CreateRegisteredModel(name="basket"))
        store.call(CreateModelVersion(name="basket", source=f"runs:/{ids['pear']}/a"))
        store.call(DeleteRun(run_id=ids["pear"]))
    for options in (["--dry-run"], []):
        words = ask("gc", "--older-than", "0", *options).stdout
        assert "1 run, 0 logged models, 0 files" in words
        assert "Model version basket/1" in words
    assert (tmp_path / ".runlore" / "artifacts" / ids["fruit"] / ids["pear"]).is_dir()


def test_directories_without_an_owner(tmp_path: Path, ask: Ask) -> None:
    filled(tmp_path)
    artifacts = tmp_path / ".runlore" / "artifacts"
    stranger = artifacts / "7" / ("ab" * 16) / "artifacts"
    stranger.mkdir(parents=True)
    (stranger / "f").write_bytes(b"12345")
    assert read(ask("gc", "--json"))["files"] == 0
    assert read(ask("gc", "--json", "--unowned", "-n"))["size"] == 5
    assert stranger.is_dir()
    assert read(ask("gc", "--json", "--unowned"))["size"] == 5
    assert not stranger.parent.exists()
    with closing(open_store(str(tmp_path / "other"))):
        pass
    refused = ask("gc", "--unowned", "--store", "other", "--artifacts", str(artifacts), code=1)
    assert "None of the 2 directories" in refused.stderr
    assert len(list(artifacts.rglob("b.bin"))) == 2


def test_over_http(house: House, ask: Ask) -> None:
    key = house.store.call(CreateExperiment(name="fruit")).experiment_id
    run_id = new_run(house.store, key, "pear")
    house.store.call(DeleteExperiment(experiment_id=key))
    place = ["--store", house.server.url]
    assert read(ask("experiments", "list", "--deleted", "--json", *place))[0]["experiment_id"] == key
    assert read(ask("gc", "--older-than", "0", "--dry-run", "--json", *place))["size"] == 1_000
    done = read(ask("gc", "--older-than", "0", "--json", *place))
    assert (done["experiments"], done["runs"], done["files"]) == (1, 1, 1)
    assert not (house.artifacts / key / run_id).exists()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["runs", "list", "--store", "nowhere"], 1, "There is no store"),
        (["runs", "describe", "zz"], 1, "no run id"),
        (["runs", "describe", "abcd"], 1, "No run has"),
        (["runs", "describe", "0" * 32], 1, "not found"),
        (["experiments", "describe", "nobody"], 1, "nobody"),
        (["runs", "list", "--filter", "metrics."], 1, "metrics."),
        (["gc", "--older-than", "soon"], 2, "Examples: 30d"),
        (["runs", "delete"], 2, "RUN"),
        (["experiments", "nothing"], 2, "nothing"),
    ],
)
def test_mistakes_are_told_in_one_line_and_by_the_exit_code(
    tmp_path: Path, ask: Ask, arguments: list[str], code: int, words: str
) -> None:
    filled(tmp_path)
    done = ask(*arguments, code=code)
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_looking_makes_no_store(tmp_path: Path, ask: Ask) -> None:
    assert "There is no store" in ask("runs", "list", code=1, RUNLORE_DIR=str(tmp_path / "none")).stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["experiments", "runs", "gc", "backup", "doctor"])
def test_help_has_examples(ask: Ask, command: str) -> None:
    assert f"runlore {command}" in ask(command, "--help").stdout.partition("Examples:")[2]


def test_the_tab_key(tmp_path: Path, ask: Ask) -> None:
    ids = filled(tmp_path)

    def complete(words: str) -> list[str]:
        variables = {"_RUNLORE_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
        done = subprocess.run(
            ["runlore"], cwd=tmp_path, env=environment(PATH=PATH, **variables), capture_output=True, text=True
        )
        return [line.partition(",")[2] for line in done.stdout.splitlines()]

    PATH = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    assert complete("runlore exp") == ["experiments", "export"]
    assert complete("runlore expe") == ["experiments"]
    assert complete("runlore experiments describe fr") == ["fruit"]
    assert complete(f"runlore runs describe {ids['pear'][:6]}") == [ids["pear"]]


def on_a_terminal(arguments: list[str], cwd: Path, columns: int, **more: str) -> str:
    """What a command writes to a terminal of that width."""
    keyboard, screen = pty.openpty()
    ioctl(screen, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    more = {"TERM": "xterm", "COLUMNS": "", **more}
    with subprocess.Popen([*RUNLORE, *arguments], cwd=cwd, env=environment(**more), stdin=screen, stdout=screen, stderr=screen):
        os.close(screen)
        written = b""
        try:
            while data := os.read(keyboard, 65_536):
                written += data
        except OSError:  # the other end is closed
            pass
    os.close(keyboard)
    return written.decode()


def test_tables_fit_the_terminal(tmp_path: Path) -> None:
    with closing(open_store(str(tmp_path / ".runlore"))) as store:
        store.call(CreateExperiment(name="日本語の実験 " * 20 + "\x1b]0;title\x07"))
    text = on_a_terminal(["experiments", "list"], tmp_path, 72)
    assert "\x1b[1m" in text  # the titles are bold
    assert "\x1b]0" not in text
    rows = re.sub(r"\x1b\[\d*m", "", text).splitlines()
    assert max(width(row) for row in rows) <= 72
    assert "…" in text
    assert "\x1b" not in on_a_terminal(["experiments", "list"], tmp_path, 72, NO_COLOR="1")


def test_pieces_of_tables() -> None:
    assert fitted([4, 40, 40], 50) == [4, 21, 21]
    assert fitted([20, 20], 5) == [8, 8]
    assert (width("日本"), width("e\u0301"), cut("日本語", 5), cut("abc", 3)) == (4, 1, "日本…", "abc")
    assert plain("a\tb\u202ec\x9b") == "a�b�c�"
    assert [size_text(size) for size in (0, 999, 1_000, 1_500_000, 2 * 10**15)] == [
        "0 B",
        "999 B",
        "1.0 kB",
        "1.5 MB",
        "2000.0 TB",
    ]
