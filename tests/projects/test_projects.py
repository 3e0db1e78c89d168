"""Projects run as with MLflow: parameters, environments, git, and what is recorded. Real processes, real repositories."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import runlore
from runlore.cli.main import group
from runlore.exceptions import ExecutionException, InvalidParameter
from runlore.projects import SubmittedRun
from runlore.settings import settings

PROJECT = """
name: tutorial
entry_points:
  main:
    parameters:
      alpha: {type: float, default: 0.5}
      name: {type: string, default: "a b"}
      l1: float
      data: {type: path, default: data.csv}
      place: {type: uri, default: "s3://bucket/x"}
    command: "python show.py --alpha {alpha} --l1 {l1} --name '{name}' --data {data} --place {place}"
  shell:
    parameters:
      word: string
    command: "python show.py {word} && python show.py \\"$RUNLORE_RUN_ID\\" {word}"
  log:
    command: python log.py
  fail:
    command: "python -c 'import sys; sys.exit(3)'"
  slow:
    command: "python slow.py"
  braces:
    command: "python show.py {nothing}"
  absent:
    command: "no-such-program-here"
"""
SHOW = "import json, sys\nwith open('said.jsonl', 'a') as file:\n    file.write(json.dumps(sys.argv[1:]) + '\\n')\n"
LOG = "import mlflow, os\nwith mlflow.start_run():\n    mlflow.log_metric('m', 1)\n    mlflow.log_param('where', os.getcwd())\n"
SLOW = "import mlflow, time\nmlflow.start_run()\nmlflow.log_metric('m', 1)\nopen('started', 'w').close()\ntime.sleep(600)\n"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project beside a store of its own."""
    place = tmp_path / "a project"
    place.mkdir()
    files = {"MLproject": PROJECT, "show.py": SHOW, "log.py": LOG, "slow.py": SLOW, "data.csv": "a,b\n"}
    for name, text in files.items():
        (place / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    before = runlore.get_tracking_uri()
    runlore.set_tracking_uri(tmp_path / "store")
    yield place
    runlore.set_tracking_uri(before)
    settings.cache_clear()


def said(project: Path) -> list[list[str]]:
    """The arguments that `show.py` got, call by call."""
    return [json.loads(line) for line in (project / "said.jsonl").read_text().splitlines()]


def start(project: Path, entry_point: str = "main", **options: Any) -> SubmittedRun:
    return runlore.run(str(project), entry_point, env_manager="local", **options)


def test_a_project_is_run_with_its_parameters(project: Path) -> None:
    submitted = start(project, parameters={"l1": 0.1, "more": "x y; touch hacked"}, experiment_name="E1", run_name="rn")
    (arguments,) = said(project)
    assert arguments == [
        "--alpha", "0.5", "--l1", "0.1", "--name", "a b", "--data", str(project / "data.csv"), "--place", "s3://bucket/x",
        "--more", "x y; touch hacked",
    ]  # fmt: skip
    run = runlore.get_run(submitted.run_id)
    assert (run.info.status, run.info.run_name, submitted.get_status(), submitted.wait()) == (
        "FINISHED",
        "rn",
        "FINISHED",
        True,
    )
    assert runlore.get_experiment(run.info.experiment_id).name == "E1"
    assert run.data.params == {
        "alpha": "0.5", "name": "a b", "l1": "0.1", "data": "data.csv", "place": "s3://bucket/x", "more": "x y; touch hacked",
    }  # fmt: skip
    tags = {
        key: value for key, value in run.data.tags.items() if "git" not in key and key not in ("mlflow.user", "mlflow.runName")
    }
    assert tags == {
        "mlflow.source.name": str(project), "mlflow.source.type": "PROJECT", "mlflow.project.entryPoint": "main",
        "mlflow.project.backend": "local",
    }  # fmt: skip


def test_the_process_logs_to_the_run_of_the_project(project: Path) -> None:
    with runlore.start_run() as parent:
        submitted = start(project, "log")
    run = runlore.get_run(submitted.run_id)
    assert (run.data.metrics, run.data.params) == ({"m": 1.0}, {"where": str(project)})
    assert (run.info.status, run.data.tags["mlflow.parentRunId"]) == ("FINISHED", parent.info.run_id)


def test_scripts_are_entry_points_too(project: Path) -> None:
    start(project, "show.py", parameters={"a": 1})
    assert said(project) == [["--a", "1"]]


HOSTILE = [
    "$(touch hacked)", "`touch hacked`", "; touch hacked", "'; touch hacked; '", '"; touch hacked; "', "a\nb", "{word}",
]  # fmt: skip


@pytest.mark.parametrize("value", HOSTILE)
def test_values_are_values_whatever_they_hold(project: Path, value: str) -> None:
    """With a shell, where the command asks for one, and without."""
    submitted = start(project, "shell", parameters={"word": value})
    start(project, parameters={"l1": 1, "name": value})
    first, second, third = said(project)
    assert (first, second) == ([value], [submitted.run_id, value])
    assert third[5] == value
    assert not (project / "hacked").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "No value given for missing parameters: 'l1'"),
        ({"parameters": {"l1": "abc"}}, "Expected a number for parameter l1"),
        ({"parameters": {"l1": 1, "data": "nope.csv"}}, "no such file or directory"),
        ({"parameters": {"l1": 1, "place": "not a uri"}}, "Expected URI for parameter place"),
        ({"entry_point": "nope"}, "Could not find nope among entry points"),
        ({"entry_point": "../outside.py"}, "Could not find ../outside.py"),
        ({"entry_point": "braces"}, "which is no parameter"),
        ({"entry_point": "absent"}, "no program 'no-such-program-here'"),
        ({"version": "v1"}, "only supported for Git project URIs"),
    ],
)
def test_what_can_not_be_run_says_why(project: Path, options: dict[str, Any], message: str) -> None:
    (project.parent / "outside.py").write_text("")
    with pytest.raises(ExecutionException) as refused:
        start(project, **options)
    assert message in refused.value.message
    assert [run.info.status for run in runlore.search_runs(output_format="list")] in ([], ["FAILED"])


@pytest.mark.parametrize(
    "options",
    [
        {"backend": "databricks"}, {"backend": "kubernetes", "backend_config": {"a": 1}}, {"env_manager": "conda"},
        {"env_manager": "x"}, {"docker_args": {"gpus": "all"}}, {"build_image": True},
        {"experiment_name": "a", "experiment_id": "0"},
    ],
)  # fmt: skip
def test_what_is_not_offered_is_refused(project: Path, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidParameter):
        runlore.run(str(project), "log", **({"env_manager": "local"} | options))


@pytest.mark.parametrize(
    "uri", ["ext::sh -c touch% hacked", "--upload-pack=touch hacked", "ftp://example.com/x", "s3://b/x", "a::b", "nowhere"]
)
def test_places_of_no_project_are_refused(project: Path, uri: str) -> None:
    with pytest.raises((InvalidParameter, ExecutionException)):
        runlore.run(uri, env_manager="local")
    assert not (project.parent / "hacked").exists()


@pytest.mark.parametrize(
    "content",
    ["- 1", "entry_points: 3", "entry_points: {main: {}}", "entry_points: {main: {command: x, parameters: [1]}}",
     "entry_points: {main: {command: x, parameters: {a: {type: 3}}}}", "docker_env: {image: x}", "python_env: ../x.yaml",
     "python_env: a.yaml\nconda_env: b.yaml", "nonsense: 1", "!!python/object/apply:os.system ['touch hacked']"],
)  # fmt: skip
def test_files_that_describe_no_project_are_refused(project: Path, content: str) -> None:
    (project / "MLproject").write_text(content)
    with pytest.raises((InvalidParameter, ExecutionException)):
        start(project)


def test_types_that_mean_nothing_are_texts(project: Path) -> None:
    (project / "MLproject").write_text(
        "entry_points: {main: {command: 'echo {n} > said', parameters: {n: {type: int, default: 3}}}}"
    )
    start(project)
    assert (project / "said").read_text().strip() == "3"


def test_a_project_that_fails_says_so(project: Path) -> None:
    with pytest.raises(ExecutionException, match="failed"):
        start(project, "fail")
    (run,) = runlore.search_runs(output_format="list")
    assert run.info.status == "FAILED"


def test_a_project_in_the_background_can_be_ended(project: Path) -> None:
    submitted = start(project, "slow", synchronous=False)
    assert submitted.get_status() == "RUNNING"
    while not (project / "started").exists():
        time.sleep(0.01)
    submitted.cancel()
    assert (submitted.get_status(), submitted.wait()) == ("KILLED", False)
    run = runlore.get_run(submitted.run_id)
    assert (run.info.status, run.data.metrics) == ("KILLED", {"m": 1.0})


# -- git ----------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project in a subdirectory of a repository: once at a tag, changed on the default branch, and on another one."""
    place = tmp_path_factory.mktemp("repository")
    (place / "part").mkdir()
    git(place, "init", "-q", "-b", "main", ".")
    for version in ("one", "two", "three"):
        if version == "three":
            git(place, "checkout", "-q", "-b", "side/branch")
        (place / "part" / "log.py").write_text(f"import mlflow\nmlflow.log_param('version', '{version}')\n")
        git(place, "add", "-A")
        git(place, "commit", "-q", "-m", version)
        if version == "one":
            git(place, "tag", "v1")
    git(place, "checkout", "-q", "main")
    return place


def git(place: Path, *arguments: str) -> str:
    names = {f"GIT_{role}_{part}": f"{role}@example.com" for role in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")}
    return subprocess.run(
        ["git", *arguments], cwd=place, env=os.environ | names, capture_output=True, text=True, check=True
    ).stdout


@pytest.mark.parametrize(("version", "found"), [(None, "two"), ("v1", "one"), ("side/branch", "three"), ("commit", "one")])
def test_versions_of_a_repository(project: Path, repository: Path, version: str | None, found: str) -> None:
    commit = git(repository, "rev-parse", {"one": "v1", "two": "main", "three": "side/branch"}[found]).strip()
    uri = f"{repository.as_uri()}#part"
    submitted = runlore.run(uri, "log.py", version=commit if version == "commit" else version, env_manager="local")
    run = runlore.get_run(submitted.run_id)
    assert run.data.params == {"version": found}
    assert run.data.tags["mlflow.source.git.commit"] == commit
    assert run.data.tags["mlflow.source.git.repoURL"] == repository.as_uri()
    assert run.data.tags["mlflow.source.name"] == uri


@pytest.mark.parametrize(
    ("part", "version"),
    [("part", "nope"), ("part", "--orphan=x"), ("part", "a b"), ("none", None), ("../..", None), ("/etc", None)],
)
def test_what_a_repository_does_not_have(project: Path, repository: Path, part: str, version: str | None) -> None:
    with pytest.raises((ExecutionException, InvalidParameter)):
        runlore.run(f"{repository.as_uri()}#{part}", "log.py", version=version, env_manager="local")


# -- the command line ---------------------------------------------------------------------------------------------------------


def test_the_command_line_takes_mlflows_options(project: Path) -> None:
    options = ["-e", "main", "-P", "l1=2", "--param-list", "name=x=y", "--env-manager", "local", "--experiment-name", "E2"]
    result = CliRunner().invoke(group, ["run", str(project), *options, "--run-name", "rn"])
    assert result.exit_code == 0, result.output
    (run,) = runlore.search_runs(experiment_names=["E2"], output_format="list")
    assert (run.info.run_name, run.data.params["l1"], run.data.params["name"]) == ("rn", "2", "x=y")


@pytest.mark.parametrize("arguments", [["-P", "x"], ["-P", "=x"], ["-P", "l1=1", "-P", "l1=2"], ["further"], ["--nonsense"]])
def test_wrong_use_is_told(project: Path, arguments: list[str]) -> None:
    assert CliRunner().invoke(group, ["run", str(project), *arguments]).exit_code != 0


def test_options_of_projects_are_not_for_scripts(project: Path) -> None:
    result = CliRunner().invoke(group, ["run", "--run-name", "x", str(project / "show.py")])
    assert "--run-name goes with a project" in result.output
