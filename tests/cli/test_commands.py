"""What holds for every command: help with examples, JSON for programs, exit codes, colours, the Tab key."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import click
import pytest

from runlore.api.experiments import CreateExperiment
from runlore.api.runs import CreateRun, LogBatch, MetricPoint
from runlore.cli.main import group
from runlore.store.base import open_store

PROGRAM = [sys.executable, "-m", "runlore.cli.main"]
NO_ANSWER = {
    "server", "ui", "run", "models serve", "models predict", "models build-docker", "models generate-dockerfile",
    "models update-pip-requirements", "deployments predict", "deployments run-local", "deployments help", "deployments delete",
    "artifacts download", "artifacts log", "artifacts rm", "webhooks delete",
}  # fmt: skip
"""Commands that run something of their own, print what it prints, or say nothing that a program would read."""
COMPATIBLE = {"--no-conda"}
"""Options that do nothing, for scripts that were written for MLflow."""


def commands(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    """Every command below one, groups too, by what is typed."""
    if path:
        yield " ".join(path), command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from commands(below, (*path, name))


COMMANDS = dict(commands(group))


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store with two runs in the experiment fruit."""
    place = tmp_path / "mein store ß"
    with closing(open_store(str(place))) as opened:
        experiment_id = opened.call(CreateExperiment(name="fruit salad")).experiment_id
        for number in (1, 2):
            run_id = f"{number}{'a' * 31}"
            opened.call(CreateRun(experiment_id=experiment_id, run_name=f"run {number}", client_run_id=run_id))
            opened.call(LogBatch(run_id=run_id, metrics=[MetricPoint("loss", number / 2, 1, 1)]))
    return place


def ran(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **variables}
    return subprocess.run([*PROGRAM, *arguments], capture_output=True, text=True, encoding="utf-8", env=environment, timeout=60)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_examples(name: str) -> None:
    text, group_text = (COMMANDS[word].help or "" if word else "" for word in (name, name.rpartition(" ")[0]))
    assert text
    assert f"runlore {name}" in text.partition("Example")[2] or "Example" in group_text
    for parameter in COMMANDS[name].params:
        if isinstance(parameter, click.Option) and not COMPATIBLE & set(parameter.opts):
            assert parameter.help, f"{parameter.opts} says nothing"


@pytest.mark.parametrize("name", [name for name in COMMANDS if not isinstance(COMMANDS[name], click.Group)])
def test_every_command_that_answers_answers_in_json(name: str) -> None:
    options = {option for parameter in COMMANDS[name].params for option in parameter.opts}
    assert "--json" in options or name in NO_ANSWER


@pytest.mark.parametrize("arguments", [["--help"], ["runs", "-h"], ["runs", "move", "-h"], ["import-csv", "--help"]])
def test_help_is_printed(arguments: list[str]) -> None:
    done = ran(*arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Usage: runlore ")


def test_json_of_what_changes_something(store: Path) -> None:
    place = ("--store", str(store), "--json")
    one, two = "1" + "a" * 31, "2" + "a" * 31
    assert json.loads(ran("runs", "delete", "1aaa", "2aaa", *place).stdout) == {"run_ids": [one, two]}
    assert json.loads(ran("runs", "restore", "1aaa", *place).stdout) == {"run_ids": [one]}
    assert json.loads(ran("runs", "move", "1aaa", "--to", "0", *place).stdout) == {"run_ids": [one]}
    assert json.loads(ran("experiments", "delete", "fruit salad", *place).stdout) == {"experiment_ids": ["1"]}
    points = store.parent / "points.csv"
    assert json.loads(ran("export", "metrics", str(points), *place).stdout) == {"file": str(points), "rows": 1}


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["runs", "describe", "9999"], 1, "Error: No run has an id that begins with '9999'."),
        (["runs", "describe"], 2, "Usage: "),
        (["experiments", "describe", "no such"], 1, "Error: "),
        (["nonsense"], 2, "No such command 'nonsense'"),
    ],
)
def test_exit_codes_and_one_line_of_what_is_wrong(store: Path, arguments: list[str], code: int, said: str) -> None:
    done = ran(*arguments, RUNLORE_TRACKING_URI=str(store))
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_the_tab_key_in_bash(store: Path, tmp_path: Path) -> None:
    """The script that bash is given is run by bash, which asks for what follows."""
    program = tmp_path / "bin" / "runlore"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\nexec '{sys.executable}' -m runlore.cli.main \"$@\"\n")
    program.chmod(0o755)
    script = tmp_path / "complete.bash"
    environment = {**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}", "RUNLORE_TRACKING_URI": str(store)}
    script.write_text(ran(_RUNLORE_COMPLETE="bash_source").stdout)
    asked = """
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
_runlore_completion runlore
printf '%s\\n' "${COMPREPLY[@]}"
"""

    def offered(*words: str) -> list[str]:
        command = ["bash", "-c", asked, "bash", str(script), "runlore", *words]
        return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60).stdout.split("\n")[:-1]

    assert offered("imp") == ["import-csv"]
    assert offered("runs", "describe", "1a") == ["1" + "a" * 31]
    assert offered("runs", "list", "--experiment", "fr") == ["fruit salad"]
    assert offered("runs", "move", "1aaa", "--to", "fr") == ["fruit salad"]
    assert "--json" in offered("runs", "describe", "--")
