"""`runlore import-csv`: tables of other tools become runs, and the same table twice becomes them once."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import polars
import pytest
from click.testing import CliRunner
from tests.running import forget_environment

from runlore.api.export import ReadPoints
from runlore.api.runs import SearchRuns
from runlore.cli.import_csv import import_csv
from runlore.entities import Run
from runlore.exceptions import InvalidParameter
from runlore.store.base import Store, open_store
from runlore.store.export import ExportPoints, ExportRuns, export_points, export_runs

RESULTS = """name,lr,optimizer,loss,acc,start_time,status,params.seed,tags.team,duration
a,0.1,adam,0.5,0.9,2026-01-02T10:00:00,finished,1,x,5
b,0.01,sgd,0.25,0.95,2026-01-02T12:00:00+01:00,crashed,2,,6
c,0.001,,nan,0.5,1767355200,finished,3,,7
"""


class Importer:
    """Runs the command on files of one directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def __call__(self, name: str, *options: str, text: str | None = None) -> dict[str, Any]:
        """What the command answers in JSON; raises what it raises."""
        path = self.directory / name
        if text is not None:
            path.write_text(text, encoding="utf-8")
        command = [str(path), "--store", str(self.directory / "store"), "-e", "fruit", "--json", *options]
        done = CliRunner().invoke(import_csv, command)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        answer: dict[str, Any] = json.loads(done.stdout)
        assert done.exit_code == (1 if answer["problems"] else 0)
        return answer

    def store(self) -> Store:
        return open_store(str(self.directory / "store"))

    def runs(self) -> dict[str, Run]:
        """The runs by name."""
        with closing(self.store()) as store:
            found = store.call(SearchRuns(experiment_ids=["1"], max_results=100)).runs
        return {run.info.run_name: run for run in found}

    def points(self, run: Run) -> list[tuple[str, int, int, float]]:
        """Key, step, time and value of every point."""
        with closing(self.store()) as store:
            series = store.call(ReadPoints(run_id=run.info.run_id)).series
        import numpy

        columns = [
            (item.key, *(numpy.frombuffer(raw, kind).tolist() for raw, kind in
                         ((item.steps, "<i8"), (item.times, "<i8"), (item.values, "<f8")))) for item in series
        ]  # fmt: skip
        return [(key, *point) for key, *parts in columns for point in zip(*parts, strict=True)]


@pytest.fixture
def importer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Importer:
    forget_environment(monkeypatch)
    return Importer(tmp_path)


def test_a_row_for_each_run(importer: Importer) -> None:
    answer = importer("results.csv", "--param", "lr", text=RESULTS)
    assert (answer["new"], answer["known"], answer["columns"]["layout"]) == (3, 0, "runs")
    assert answer["columns"]["ignored"] == ["duration"]
    runs = importer.runs()
    b = runs["b"]
    assert b.data.params == {"lr": "0.01", "optimizer": "sgd", "seed": "2"}
    assert b.data.metrics == {"loss": 0.25, "acc": 0.95}
    assert (b.info.status, b.info.start_time) == ("FAILED", 1_767_351_600_000)
    assert {run.info.start_time - b.info.start_time for run in runs.values()} == {-3_600_000, 0, 3_600_000}
    assert runs["a"].data.tags["team"] == "x"
    assert "optimizer" not in runs["c"].data.params


def test_the_same_file_again_adds_nothing_and_a_longer_one_what_is_new(importer: Importer) -> None:
    importer("results.csv", text=RESULTS)
    again = importer("results.csv", text=RESULTS + "d,1,adam,0.125,0.99,2026-01-03,finished,4,,\n")
    assert (again["new"], again["known"]) == (1, 3)
    runs = importer.runs()
    assert len(runs) == 4
    assert [len(importer.points(run)) for run in runs.values()] == [3, 3, 3, 3]


def test_a_row_for_each_step(importer: Importer) -> None:
    text = "                  epoch,  time,  train/loss, metrics/mAP50(B)\n 1, 12.5, 1.5, 0.25\n 2, 25.0, 0.75,\n"
    for _ in range(2):
        answer = importer("yolo.csv", "--run-name", "yolo 8", text=text)
    assert (answer["known"], answer["columns"]["layout"]) == (1, "steps")
    run = importer.runs()["yolo 8"]
    start = run.info.start_time
    assert sorted(importer.points(run)) == [
        ("metrics/mAP50(B)", 1, start + 12_500, 0.25),
        ("train/loss", 1, start + 12_500, 1.5),
        ("train/loss", 2, start + 25_000, 0.75),
    ]
    assert run.info.end_time == start + 25_000


def test_steps_of_several_runs_in_json_lines(importer: Importer) -> None:
    rows: list[Any] = [
        {"run": run, "step": step, "loss": 1 / (step + 1), "model": {"name": "mlp", "layers": [1, 2]}, "fast": True}
        for run in ("p", "q")
        for step in range(1_500)
    ]
    importer("steps.jsonl", text="".join(json.dumps(row) + "\n" for row in rows))
    runs = importer.runs()
    assert set(runs) == {"p", "q"}
    assert runs["q"].data.params == {"model.name": "mlp", "model.layers": "[1, 2]", "fast": "True"}
    assert [point[1] for point in importer.points(runs["p"])] == list(range(1_500))


@pytest.mark.parametrize("form", ["csv", "parquet", "jsonl"])
def test_what_was_exported_comes_back_under_its_ids(importer: Importer, form: str, tmp_path: Path) -> None:
    importer("results.csv", text=RESULTS)
    importer("more.csv", text="step,loss\n1,0.5\n2,0.25\n")
    before = importer.runs()
    with closing(importer.store()) as store:
        runs = b"".join(export_runs(store.call, ExportRuns(format=form)))  # type: ignore[arg-type]
        history = b"".join(export_points(store.call, ExportPoints(format="parquet" if form == "parquet" else "csv")))
    points = {name: sorted(map(repr, importer.points(run))) for name, run in before.items()}
    other = Importer(tmp_path / "other")
    other.directory.mkdir()
    (other.directory / f"runs.{form}").write_bytes(runs)
    (other.directory / f"points.{'parquet' if form == 'parquet' else 'csv'}").write_bytes(history)
    assert other(f"runs.{form}", "--ignore", "metrics.*")["new"] == 4
    assert other(f"points.{'parquet' if form == 'parquet' else 'csv'}")["known"] == 4
    after = other.runs()
    for name, run in before.items():
        assert (after[name].info.run_id, after[name].info.start_time) == (run.info.run_id, run.info.start_time)
        assert after[name].data.params == run.data.params
        assert sorted(map(repr, other.points(after[name]))) == points[name]  # NaN is NaN


def test_parquet_and_other_signs_between_cells(importer: Importer, tmp_path: Path) -> None:
    polars.DataFrame({"name": ["a"], "params.lr": [0.5], "loss": [0.25]}).write_parquet(tmp_path / "one.parquet")
    importer("one.parquet")
    importer("two.tsv", text="\ufeffname\tloss\nb ß\t0.5\n")
    importer("three.csv", text='name;note;loss\nc;"two\nlines; one cell";1\n')
    runs = importer.runs()
    assert (runs["a"].data.params, runs["b ß"].data.metrics) == ({"lr": "0.5"}, {"loss": 0.5})
    assert runs["c"].data.params == {"note": "two\nlines; one cell"}


@pytest.mark.parametrize(
    ("text", "options", "expected"),
    [
        ("step,loss\n1,0.5\nx,0.25\n", [], "line 3: 'x' is no number"),
        ("step,loss\n1,0.5\n2.5,1\n", [], "line 3: '2.5' is no whole number"),
        ("name,metrics.loss\na,low\nb,high\n", [], "line 2: metrics.loss: 'low' is no number.\n"),
        ("name,loss\na,1,2\n", [], "line 2: 3 cells under 2 columns"),
        ("name,loss\na,\"1\n", [], "line 2: unexpected end of data"),
        ("run,step,lr,loss\na,1,x,1\na,2,y,1\n", [], "line 3: lr is 'y', which line 2 began as 'x'"),
        ("name,status\na,lost\n", [], "line 2: status: 'lost' is no status"),
        ("name,start_time\na,yesterday\n", [], "line 2: start_time: Invalid isoformat"),
        ("a,a\n1,2\n", [], "two columns of the name 'a'"),
        ("", [], "has no columns"),
        ("a,b\n1,2\n", ["--step", "epoch"], "no column 'epoch'. It has: a, b."),
        ("a,b\n1,2\n", ["--layout", "points"], "hint: --key COLUMN"),
    ],
)  # fmt: skip
def test_mistakes_are_named_by_line_and_nothing_is_imported(
    importer: Importer, text: str, options: list[str], expected: str
) -> None:
    with pytest.raises(InvalidParameter) as raised:
        importer("bad.csv", *options, text=text)
    assert expected in raised.value.message
    assert not (importer.directory / "store").exists()


def test_a_dry_run_changes_nothing(importer: Importer) -> None:
    answer = importer("results.csv", "--dry-run", text=RESULTS)
    assert (len(answer["runs"]), answer["new"], answer["dry_run"]) == (3, 0, True)
    assert not (importer.directory / "store").exists()


def test_what_the_store_refuses_is_said_and_the_rest_imported(importer: Importer) -> None:
    importer("one.csv", text=f"run_id,name,params.lr\n{'a' * 32},a,1\n")
    answer = importer("two.csv", text=f"run_id,name,params.lr\n{'a' * 32},a,2\n{'b' * 32},b,2\n")
    [problem] = answer["problems"]
    assert problem.startswith("two.csv, line 2: ")
    assert "lr" in problem
    assert importer.runs()["b"].data.params == {"lr": "2"}
