"""`runlore runs compare` and `runlore export`: what they print, to people and to programs, and the files they write."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from runlore.api.delivery import Deliver
from runlore.api.runs import CreateRun, LogBatch, MetricPoint, ParamEntry, UpdateRun
from runlore.cli.main import group
from runlore.cli.output import duration_text
from runlore.store.base import Store, open_store
from runlore.store.sql import delivery

Ask = Callable[..., Result]


@pytest.fixture
def runs(tmp_path: Path) -> list[str]:
    """Two runs in a store."""
    store: Store = open_store(str(tmp_path / "store"))
    ids = []
    for number in range(2):
        run_id = store.call(CreateRun(run_name=f"run {number}", start_time=number)).run.info.run_id
        points = [MetricPoint(key="loss", value=number + step / 3, timestamp=step, step=step) for step in range(3)]
        params = [ParamEntry(key="lr", value=f"{number}.0"), ParamEntry(key="same", value="x" * 200)]
        store.call(LogBatch(run_id=run_id, metrics=points, params=params))
        ids.append(run_id)
    store.close()
    return ids


@pytest.fixture
def ask(tmp_path: Path) -> Ask:
    """Runs a command on that store."""

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(group, [*arguments, "--store", str(tmp_path / "store")])

    return run


def test_what_differs(ask: Ask, runs: list[str]) -> None:
    done = ask("runs", "compare", runs[0][:8], runs[1][:8])
    assert done.exit_code == 0
    lines = [line.split() for line in done.stdout.splitlines()]
    assert lines[0] == ["run", "0", runs[0][:8], "run", "1", runs[1][:8]]
    assert ["params.lr", "0.0", "1.0"] in lines
    assert ["metrics.loss", "0.666667", "1.66667"] in lines
    assert ["metrics.loss@min", "0", "1"] in lines
    assert not any(line[0] == "params.same" for line in lines)
    assert "1 of 2 params" in done.stderr
    assert "params.same" in ask("runs", "compare", *runs, "--all").stdout


def test_times_are_written_as_people_write_them(ask: Ask, runs: list[str], tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "store"))
    for number, took in enumerate((350, 7_503_000)):
        store.call(UpdateRun(run_id=runs[number], status="FINISHED", end_time=number + took))
    store.close()
    shown = {line.split()[0]: line for line in ask("runs", "compare", *runs).stdout.splitlines()[1:]}
    assert shown["attributes.duration"].split() == ["attributes.duration", "0.350", "s", "2", "h", "5", "min"]
    assert re.search(r"1970-01-01 \d\d:\d\d:\d\d|1969-12-31 ", shown["attributes.end_time"])
    answer = json.loads(ask("runs", "compare", *runs, "--json").stdout)["attributes"]
    assert answer["values"][answer["keys"].index("duration")] == [350, 7_503_000]


@pytest.mark.parametrize(
    ("millis", "text"),
    [
        (0, "0.000 s"), (9_999, "9.999 s"), (12_000, "12.0 s"), (59_499, "59.5 s"), (59_999, "1 min 0 s"),
        (303_000, "5 min 3 s"), (3_600_000, "1 h 0 min"), (266_400_000, "3 d 2 h"),
    ],
)  # fmt: skip
def test_durations(millis: int, text: str) -> None:
    assert duration_text(millis) == text


def test_the_comparison_as_json(ask: Ask, runs: list[str]) -> None:
    answer = json.loads(ask("runs", "compare", *runs, "--json").stdout)
    assert answer["run_ids"] == runs
    assert (answer["params"]["keys"], answer["params"]["values"]) == (["lr"], [["0.0", "1.0"]])


def test_one_run_is_too_few(ask: Ask, runs: list[str]) -> None:
    done = ask("runs", "compare", runs[0], runs[0])
    assert done.exit_code == 2
    assert "two runs or more" in done.stderr


def test_copies(ask: Ask, runs: list[str]) -> None:
    done = ask("runs", "copy", runs[0][:8], runs[1], "--to", "Default")
    assert done.exit_code == 0, done.output
    made = done.stdout.split()
    assert len(made) == 2
    assert "2 runs copied to experiment 0 (Default)." in done.stderr
    assert "0 of 2 params" in ask("runs", "compare", runs[0], made[0]).stderr


def test_files_of_runs(ask: Ask, runs: list[str], tmp_path: Path) -> None:
    file = tmp_path / "runs.csv"
    done = ask("export", "runs", str(file), "--column", "params.lr", "--column", "metrics.loss@max", "--order-by", "start_time")
    assert done.exit_code == 0, done.output
    assert done.stderr == "2 runs written.\n"
    with file.open(newline="") as opened:
        assert list(csv.reader(opened))[1:] == [[runs[n], f"{n}.0", repr(n + 2 / 3)] for n in range(2)]
    assert [path.name for path in tmp_path.iterdir() if "part" in path.name] == []
    lines = ask("export", "runs", "-", "--format", "jsonl", "--filter", "params.lr > 0.5").stdout.splitlines()
    assert [json.loads(line)["run_id"] for line in lines] == runs[1:]


def test_files_of_points(ask: Ask, runs: list[str], tmp_path: Path) -> None:
    file = tmp_path / "points.csv"
    assert ask("export", "metrics", str(file), "--run", runs[1][:8], "--metric", "loss").stderr == "3 points written.\n"
    assert file.read_text().splitlines()[1] == f"{runs[1]},loss,0,0,1.0"
    assert ask("export", "metrics", str(file)).stderr == "6 points written.\n"


def test_a_file_that_fails_leaves_the_old_one(ask: Ask, runs: list[str], tmp_path: Path) -> None:
    file = tmp_path / "runs.csv"
    file.write_text("old")
    assert ask("export", "runs", str(file), "--column", "nonsense.x").exit_code == 1
    assert ask("export", "runs", str(tmp_path / "runs.xlsx")).exit_code == 1
    assert file.read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["runs.csv", "store"]


def test_runs_that_were_not_heard_of_are_lost(
    ask: Ask, runs: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(str(tmp_path / "store"))
    store.call(Deliver(run_id=runs[0], writer_id="f" * 32))
    store.close()

    def shown() -> tuple[dict[str, str], str]:
        rows = [line.split() for line in ask("runs", "list").stdout.splitlines()[1:]]
        described = [line.split() for line in ask("runs", "describe", runs[0]).stdout.splitlines()]
        return {row[0]: row[4] for row in rows}, next(words[1] for words in described if words[0] == "status")

    assert shown() == ({runs[0]: "RUNNING", runs[1]: "RUNNING"}, "RUNNING")
    monkeypatch.setattr(delivery, "LOST_AFTER_MILLIS", -1)  # whoever was heard of now is late
    assert shown() == ({runs[0]: "LOST", runs[1]: "RUNNING"}, "LOST")
    assert "LOST" not in ask("runs", "list", "--json").stdout  # MLflow's word
