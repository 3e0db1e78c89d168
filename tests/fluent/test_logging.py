"""Logging into the active run."""

from __future__ import annotations

from pathlib import Path

import numpy
import pytest

import runlore
from runlore.entities import LoggedModelInput, Run
from runlore.exceptions import InvalidParameter, NotFound


def logged(run: Run) -> Run:
    return runlore.get_run(run.info.run_id)


def test_params_metrics_and_tags(experiment: str) -> None:
    with runlore.start_run() as run:
        assert runlore.log_param("a", 1.5) == 1.5
        runlore.log_params({"b": None, "c": [1]})
        runlore.log_metric("m", numpy.float64(2), step=3, timestamp=77)
        runlore.log_metrics({"x": 1, "y": 2}, step=4)
        runlore.set_tag("t", 1)
        runlore.set_tags({"u": 2, "v": 3})
        runlore.delete_tag("u")
    data = logged(run).data
    assert data.params == {"a": "1.5", "b": "None", "c": "[1]"}
    assert data.metrics == {"m": 2.0, "x": 1.0, "y": 2.0}
    assert (data.tags["t"], data.tags["v"], "u" in data.tags) == ("1", "3", False)
    [point] = runlore.MlflowClient().get_metric_history(run.info.run_id, "m")
    assert (point.step, point.timestamp) == (3, 77)


def test_another_run_can_be_named(experiment: str) -> None:
    with runlore.start_run() as first:
        pass
    with runlore.start_run() as second:
        runlore.log_metric("m", 1, run_id=first.info.run_id)
        runlore.log_params({"p": 1}, run_id=first.info.run_id)
        runlore.log_text("x", "t.txt", run_id=first.info.run_id)
    assert logged(first).data.metrics == {"m": 1}
    assert logged(second).data.metrics == {}


def test_asynchronous_logging_can_be_waited_for(experiment: str) -> None:
    with runlore.start_run() as run:
        assert runlore.log_metric("m", 1, synchronous=True) is None
        pending = runlore.log_metrics({"n": 2}, synchronous=False)
        assert pending is not None
        pending.wait()
        runlore.flush_async_logging()
    assert logged(run).data.metrics == {"m": 1, "n": 2}


def test_files(experiment: str, tmp_path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    (tmp_path / "f.txt").write_text("f")
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "g.txt").write_text("g")
    figure = pyplot.figure()
    with runlore.start_run() as run:
        runlore.log_artifact(str(tmp_path / "f.txt"), "files")
        runlore.log_artifacts(tmp_path / "tree", "tree")
        runlore.log_text("t", "t.txt")
        runlore.log_dict({"a": 1}, "d.json")
        runlore.log_figure(figure, "fig.png")
        runlore.log_image(numpy.zeros((2, 2)), "i.png")
        runlore.log_image(numpy.zeros((2, 2)), key="k", step=1)
        runlore.log_table({"a": [1, 2]}, "table.json")
        assert runlore.get_artifact_uri("files") == f"{run.info.artifact_uri}/files"
        assert runlore.artifacts.load_text(runlore.get_artifact_uri("t.txt")) == "t"
    pyplot.close(figure)
    names = [entry.path for entry in runlore.artifacts.list_artifacts(run_id=run.info.run_id)]
    assert names == ["d.json", "fig.png", "files", "i.png", "images", "t.txt", "table.json", "tree"]
    assert runlore.load_table("table.json")["a"].tolist() == [1, 2]
    assert runlore.load_table("table.json", run_ids=[run.info.run_id], extra_columns=["run_id"]).shape == (2, 2)


def test_datasets(experiment: str) -> None:
    import pandas

    frame = pandas.DataFrame({"x": [1, 2], "y": [0.5, None], "s": ["a", "b"]})
    dataset = runlore.data.from_pandas(frame, source="s3://bucket/x.csv", name="train", targets="y")
    array = runlore.data.from_numpy(numpy.zeros((2, 3)), targets=numpy.zeros(2))
    with runlore.start_run() as run:
        runlore.log_input(dataset, context="training", tags={"k": "v"})
        runlore.log_inputs([array], ["test"], [None])
        runlore.log_metric("rmse", 1.0, dataset=dataset)
        runlore.log_metrics({"mae": 2.0}, dataset=array)
    first, second = logged(run).inputs.dataset_inputs
    assert (first.dataset.name, first.dataset.source_type, first.dataset.source) == (
        "train",
        "s3",
        '{"uri": "s3://bucket/x.csv"}',
    )
    assert first.dataset.digest == dataset.digest
    assert first.dataset.schema is not None
    assert '{"type": "double", "name": "y", "required": false}' in first.dataset.schema
    assert {tag.key: tag.value for tag in first.tags} == {"k": "v", "mlflow.data.context": "training"}
    assert (second.dataset.name, second.dataset.source_type) == ("dataset", "code")
    [point] = runlore.MlflowClient().get_metric_history(run.info.run_id, "rmse")
    assert point.value == 1.0
    with pytest.raises(InvalidParameter, match="from_pandas"):
        runlore.log_input(frame)  # type: ignore[arg-type]


def test_equal_data_has_an_equal_digest() -> None:
    import pandas

    frame = pandas.DataFrame({"a": [1, 2], "b": ["x", "y"], "c": [[1], {"k": 2}]})
    digest = runlore.data.from_pandas(frame).digest
    assert runlore.data.from_pandas(frame.copy()).digest == digest
    assert len(digest) <= 36
    for other in (frame.iloc[::-1], frame.rename(columns={"a": "z"}), frame.assign(a=[1, 3]), frame.astype({"a": float})):
        assert runlore.data.from_pandas(other).digest != digest
    arrays = {"l": numpy.arange(6).reshape(2, 3), "r": numpy.array(["a", "b"])}
    assert runlore.data.from_numpy(arrays).digest == runlore.data.from_numpy(dict(reversed(arrays.items()))).digest
    assert runlore.data.from_numpy(numpy.zeros((2, 3))).digest != runlore.data.from_numpy(numpy.zeros((3, 2))).digest


def test_metrics_are_linked_to_the_active_model(experiment: str) -> None:
    model = runlore.initialize_logged_model("m")
    runlore.finalize_logged_model(model.model_id, "READY")
    with runlore.start_run() as run:
        with runlore.set_active_model(model_id=model.model_id):
            assert runlore.get_active_model_id() == model.model_id
            runlore.log_metric("acc", 0.5)
            runlore.log_metrics({"f1": 0.25})
        assert runlore.get_active_model_id() is None
        runlore.log_metric("loss", 1.0)
    assert logged(run).inputs.model_inputs == [LoggedModelInput(model_id=model.model_id)]
    assert {metric.key for metric in runlore.get_logged_model(model.model_id).metrics} == {"acc", "f1"}


def test_logged_models(experiment: str) -> None:
    with runlore.start_run() as run:
        model = runlore.initialize_logged_model("inside", tags={"a": "1"})
        assert model.source_run_id == run.info.run_id
    external = runlore.create_external_model("outside", params={"p": "1"})
    assert external.status == "READY"
    last = runlore.last_logged_model()
    assert last is not None
    assert last.model_id == external.model_id
    runlore.log_model_params({"q": "2"}, external.model_id)
    runlore.set_logged_model_tags(external.model_id, {"t": "1"})
    runlore.delete_logged_model_tag(external.model_id, "t")
    assert runlore.get_logged_model(external.model_id).params == {"p": "1", "q": "2"}
    found = runlore.search_logged_models(output_format="list")
    assert {model.name for model in found} == {"inside", "outside"}
    frame = runlore.search_logged_models(filter_string="name = 'inside'")
    assert frame["model_id"].tolist() == [model.model_id]
    assert runlore.set_active_model(name="outside").model_id == external.model_id


def test_registering_a_model(experiment: str) -> None:
    name = f"registered {experiment}"
    with runlore.start_run() as run:
        runlore.log_text("weights", "net/w.txt")
    for expected in ("1", "2"):
        version = runlore.register_model(f"runs:/{run.info.run_id}/net", name, tags={"k": "v"})
        assert (version.version, version.run_id, version.tags) == (expected, run.info.run_id, {"k": "v"})
    for misspelt in ("ney", "net/v.txt"):
        with pytest.raises(NotFound, match=f"Unable to find a logged model or files at 'runs:/.*/{misspelt}'"):
            runlore.register_model(f"runs:/{run.info.run_id}/{misspelt}", f"{name} 2")
    runlore.set_model_version_tag(name, "1", "stage", "old")
    assert [model.name for model in runlore.search_registered_models(filter_string=f"name = '{name}'")] == [name]
    found = runlore.search_model_versions(filter_string=f"name = '{name}'", order_by=["version_number ASC"])
    assert [(version.version, version.tags) for version in found] == [("1", {"k": "v", "stage": "old"}), ("2", {"k": "v"})]
    assert runlore.artifacts.load_text(f"models:/{name}/2/w.txt") == "weights"


def test_nested_params_and_media_of_the_active_run(experiment: str) -> None:
    with runlore.start_run() as run:
        runlore.log_params({"model": {"layers": 3, "sizes": [4, 5]}})
        runlore.log_histogram([1, 2, 3], "weights", step=1)
        runlore.log_audio(numpy.zeros(10), "silence", sample_rate=8_000)
        runlore.log_video([numpy.zeros((4, 4))] * 2, "black")
    assert logged(run).data.params == {"model.layers": "3", "model.sizes": "[4, 5]"}
    folders = {info.path for info in runlore.MlflowClient().list_artifacts(run.info.run_id)}
    assert folders == {"histograms", "audio", "videos"}
