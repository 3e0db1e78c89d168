"""The active experiment, and runs as a table."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import runlore
from runlore.entities import ViewType
from runlore.exceptions import InvalidParameter, MissingDependency, NotFound


def test_an_experiment_is_made_once_and_becomes_active(tracking_uri: str, request: pytest.FixtureRequest) -> None:
    name = f"{request.node.nodeid} ç"
    made = runlore.set_experiment(name)
    assert made.name == name
    assert runlore.set_experiment(name) == made
    assert runlore.set_experiment(experiment_id=made.experiment_id) == made
    with runlore.start_run() as run:
        assert run.info.experiment_id == made.experiment_id
    runlore.set_experiment_tag("a", 1)
    runlore.set_experiment_tags({"b": 2, "c": 3})
    runlore.delete_experiment_tag("c")
    assert runlore.get_experiment(made.experiment_id).tags == {"a": "1", "b": "2"}
    assert [e.name for e in runlore.search_experiments(filter_string=f"name = '{name}'")] == [name]


def test_set_experiment_needs_one_name(tracking_uri: str) -> None:
    for arguments in ({}, {"experiment_name": "a", "experiment_id": "0"}):
        with pytest.raises(InvalidParameter, match="Must specify exactly one of: `experiment_id` or `experiment_name`"):
            runlore.set_experiment(**arguments)  # type: ignore[arg-type]
    with pytest.raises(NotFound):
        runlore.set_experiment(experiment_id="123456789")


def test_a_deleted_experiment_says_how_to_get_it_back(experiment: str) -> None:
    name = runlore.get_experiment(experiment).name
    runlore.delete_experiment(experiment)
    with pytest.raises(InvalidParameter, match=f"Cannot set a deleted experiment.*restore_experiment.*{experiment}"):
        runlore.set_experiment(name)
    runlore.restore_experiment(experiment)
    runlore.set_experiment(name)


def test_without_an_experiment_runs_go_to_default(tracking_uri: str) -> None:
    with runlore.start_run() as run:
        assert runlore.get_experiment(run.info.experiment_id).name == "Default"


@pytest.mark.parametrize("prefix", ["RUNLORE", "MLFLOW"])
def test_the_environment_names_the_experiment(prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{prefix}_EXPERIMENT_NAME", "by name")
    with runlore.start_run() as run:
        assert runlore.get_experiment(run.info.experiment_id).name == "by name"
    other = runlore.create_experiment("by id")
    monkeypatch.setenv(f"{prefix}_EXPERIMENT_ID", other)
    with runlore.start_run() as run:
        assert run.info.experiment_id == other
    monkeypatch.setenv(f"{prefix}_EXPERIMENT_ID", "777")
    with pytest.raises(InvalidParameter, match="777"):
        runlore.start_run()


def test_child_processes_log_into_the_active_experiment(experiment: str) -> None:
    subprocess.run([sys.executable, "-c", "import runlore; runlore.log_metric('m', 1)"], check=True, timeout=60)
    [run] = runlore.search_runs(output_format="list")
    assert (run.info.experiment_id, run.data.metrics) == (experiment, {"m": 1})


def test_the_active_experiment_belongs_to_its_store(tmp_path: Path) -> None:
    for name in ("a", "b"):
        runlore.set_experiment(name)
    runlore.set_tracking_uri(tmp_path / "other")
    with runlore.start_run() as run:
        assert runlore.get_experiment(run.info.experiment_id).name == "Default"


@pytest.fixture
def three_runs(experiment: str) -> list[str]:
    """Runs with different metrics, params and tags."""
    ids = []
    for index, metrics in enumerate([{"a": 1.0}, {"a": 2.0, "b": 5.0}, {}]):
        with runlore.start_run(tags={"only": "0"} if index == 0 else {}) as run:
            runlore.log_metrics(metrics)
            runlore.log_param(f"p{index}", index)
        ids.append(run.info.run_id)
    return ids


def test_runs_as_a_frame(three_runs: list[str], experiment: str) -> None:
    import pandas

    frame = runlore.search_runs(order_by=["attributes.start_time ASC", "metrics.a ASC"]).set_index("run_id").loc[three_runs]
    assert frame["metrics.a"].isna().tolist() == [False, False, True]
    assert frame["metrics.b"].tolist()[1] == 5.0
    for name, texts in (("params.p1", ["", "1", ""]), ("tags.only", ["0", "", ""])):
        assert frame[name].fillna("").tolist() == texts
        assert frame[name].isna().tolist() == [text == "" for text in texts]
    assert set(frame["status"]) == {"FINISHED"}
    assert set(frame["experiment_id"]) == {experiment}
    for name in ("start_time", "end_time"):
        assert isinstance(frame[name].dtype, pandas.DatetimeTZDtype)
        assert str(frame[name].dt.tz) == "UTC"
    assert (frame["end_time"] >= frame["start_time"]).all()


def test_the_order_of_columns_is_mlflows(three_runs: list[str]) -> None:
    columns = list(runlore.search_runs().columns)
    assert columns[:6] == ["run_id", "experiment_id", "status", "artifact_uri", "start_time", "end_time"]
    kinds = [name.partition(".")[0] for name in columns[6:]]
    assert kinds == sorted(kinds, key=["metrics", "params", "tags"].index)


def test_no_runs_make_an_empty_frame(experiment: str) -> None:
    frame = runlore.search_runs()
    assert (len(frame), len(frame.columns)) == (0, 6)


def test_where_runs_are_searched(three_runs: list[str], experiment: str) -> None:
    name = runlore.get_experiment(experiment).name
    assert len(runlore.search_runs(experiment_names=[name, "no such experiment"], output_format="list")) == 3
    assert len(runlore.search_runs([experiment], "metrics.a > 1", output_format="list")) == 1
    assert len(runlore.search_runs(max_results=2, output_format="list")) == 2
    assert set(three_runs) <= {r.info.run_id for r in runlore.search_runs(search_all_experiments=True, output_format="list")}
    runlore.delete_run(three_runs[0])
    assert len(runlore.search_runs(run_view_type=ViewType.DELETED_ONLY, output_format="list")) == 1
    with pytest.raises(InvalidParameter, match="not both"):
        runlore.search_runs([experiment], experiment_names=[name])
    with pytest.raises(ValueError, match="Unsupported output format: csv"):
        runlore.search_runs(output_format="csv")  # type: ignore[call-overload]


def test_without_pandas_the_list_still_works(three_runs: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    assert len(runlore.search_runs(output_format="list")) == 3
    with pytest.raises(MissingDependency, match="pip install pandas"):
        runlore.search_runs()
