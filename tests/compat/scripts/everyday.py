"""What everyday MLflow scripts do, each step checked by what the client itself reads back."""

import json
import math
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import mlflow
import numpy as np
import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag, ViewType
from mlflow.exceptions import MlflowException
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

V3 = not mlflow.__version__.startswith("2.")
# Naming the requirements spares each log_model the seconds in which the client infers them.
FORMAT = {"pip_requirements": ["scikit-learn"], **({"serialization_format": "cloudpickle"} if V3 else {})}
DATA = load_iris(as_frame=True)
client = MlflowClient()


def refused(code, call, *arguments, **keywords):
    """Assert that a call is refused with an error code."""
    try:
        call(*arguments, **keywords)
    except MlflowException as error:
        refusal = error
    else:
        raise AssertionError(f"{call} was not refused")
    assert refusal.error_code == code, (refusal.error_code, str(refusal))


def experiments():
    first = mlflow.set_experiment("everyday")
    assert mlflow.get_experiment_by_name("everyday").experiment_id == first.experiment_id
    other = mlflow.create_experiment("other", tags={"team": "blue"})
    assert mlflow.get_experiment(other).tags["team"] == "blue"
    refused("RESOURCE_ALREADY_EXISTS", mlflow.create_experiment, "other")
    mlflow.set_experiment_tags({"mlflow.note.content": "about"})
    client.rename_experiment(other, "renamed")
    client.delete_experiment(other)
    assert client.get_experiment(other).lifecycle_stage == "deleted"
    assert {e.name for e in mlflow.search_experiments()} == {"Default", "everyday"}
    assert [e.name for e in mlflow.search_experiments(view_type=ViewType.DELETED_ONLY)] == ["renamed"]
    client.restore_experiment(other)
    assert [e.name for e in mlflow.search_experiments(filter_string="name LIKE 'ren%'")] == ["renamed"]
    assert [e.name for e in mlflow.search_experiments(order_by=["name ASC"])] == ["Default", "everyday", "renamed"]
    assert mlflow.get_experiment_by_name("missing") is None
    refused("RESOURCE_DOES_NOT_EXIST", client.get_experiment, "424242")


def autolog():
    mlflow.sklearn.autolog(log_datasets=True, **({"serialization_format": "cloudpickle"} if V3 else {}))
    with mlflow.start_run(run_name="autologged") as active:
        LogisticRegression(max_iter=200).fit(DATA.data, DATA.target)
    mlflow.sklearn.autolog(disable=True)
    run = mlflow.get_run(active.info.run_id)
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "autologged"
    assert run.data.params["max_iter"] == "200"
    assert run.data.metrics["training_accuracy_score"] > 0.9
    assert run.inputs.dataset_inputs[0].dataset.name == "dataset"
    loaded = mlflow.sklearn.load_model(f"runs:/{run.info.run_id}/model")
    assert loaded.score(DATA.data, DATA.target) > 0.9


def logging():
    with mlflow.start_run(description="by hand", tags={"stage": "test"}) as active:
        mlflow.log_param("lr", 0.1)
        mlflow.log_param("lr", 0.1)
        mlflow.log_params({"depth": 3, "name": "ü" * 10})
        mlflow.log_metric("loss", 0.5)
        for step in range(5):
            mlflow.log_metrics({"acc": step / 10, "loss": 1 / (step + 1)}, step=step)
        mlflow.log_metric("strange", float("nan"), step=0)
        mlflow.log_metric("strange", float("inf"), step=1)
        mlflow.log_metric("strange", float("-inf"), step=2)
        mlflow.set_tag("k", "v")
        mlflow.set_tags({"a": 1, "b": 2})
        mlflow.delete_tag("b")
        refused("INVALID_PARAMETER_VALUE", client.log_param, active.info.run_id, "lr", 0.2)
        refused("RESOURCE_DOES_NOT_EXIST", client.delete_tag, active.info.run_id, "missing")
    run = mlflow.get_run(active.info.run_id)
    assert run.data.params == {"lr": "0.1", "depth": "3", "name": "ü" * 10}
    assert run.data.metrics["acc"] == 0.4
    assert run.data.metrics["loss"] == 0.2
    assert run.data.metrics["strange"] == -math.inf
    assert run.data.tags["a"] == "1"
    assert "b" not in run.data.tags
    assert run.data.tags["mlflow.note.content"] == "by hand"
    history = client.get_metric_history(run.info.run_id, "acc")
    assert [(m.step, m.value) for m in history] == [(step, step / 10) for step in range(5)]
    values = [m.value for m in client.get_metric_history(run.info.run_id, "strange")]
    assert math.isnan(values[0])
    assert values[1:] == [math.inf, -math.inf]
    assert client.get_metric_history(run.info.run_id, "missing") == []


def long_values():
    with mlflow.start_run() as active:
        mlflow.log_param("long", "x" * 7_000)
        mlflow.log_params({"longer": "ü" * 20_000, "short": ""})
        mlflow.set_tag("long", "y" * 9_000)
        mlflow.set_tags({"longer": "z" * 20_000, "short": ""})
        mlflow.set_experiment_tag("long", "e" * 9_000)
    data = mlflow.get_run(active.info.run_id).data
    assert data.params == {"long": "x" * 6_000, "longer": "ü" * 6_000, "short": ""}
    assert {key: data.tags[key] for key in ("long", "longer", "short")} == {
        "long": "y" * 8_000,
        "longer": "z" * 8_000,
        "short": "",
    }


def batches():
    run = client.create_run(mlflow.get_experiment_by_name("everyday").experiment_id, run_name="batch")
    now = int(time.time() * 1000)
    metrics = [Metric(f"m{i % 10}", float(i), now + i, i) for i in range(1000)]
    for _ in range(2):  # the same points again are harmless
        client.log_batch(run.info.run_id, metrics, [Param("p", "1")], [RunTag("t", "1")])
    assert len(client.get_metric_history(run.info.run_id, "m3")) == 100
    client.set_terminated(run.info.run_id, "KILLED", end_time=now + 5)
    found = client.get_run(run.info.run_id)
    assert (found.info.status, found.info.end_time) == ("KILLED", now + 5)
    client.update_run(run.info.run_id, name="renamed batch")
    assert client.get_run(run.info.run_id).info.run_name == "renamed batch"
    refused("RESOURCE_DOES_NOT_EXIST", client.get_run, "0" * 32)
    refused("RESOURCE_DOES_NOT_EXIST", client.log_metric, "0" * 32, "x", 1.0)
    refused("INVALID_PARAMETER_VALUE", client.search_runs, ["0"], "metrics.x ~ 3")


def artifacts():
    with TemporaryDirectory() as folder, mlflow.start_run() as active:
        run_id = active.info.run_id
        mlflow.log_text("hello", "notes/hello world.txt")
        mlflow.log_dict({"a": [1, 2]}, "config.json")
        mlflow.log_dict({"a": [1, 2]}, "config.yaml")
        figure, axes = plt.subplots()
        axes.plot([1, 2, 3])
        mlflow.log_figure(figure, "plots/line.png")
        mlflow.log_image(np.zeros((8, 8, 3), dtype=np.uint8), "image.png")
        mlflow.log_table({"x": [1, 2], "y": ["a", "b"]}, "table.json")
        mlflow.log_table({"x": [3], "y": ["c"]}, "table.json")
        local = Path(folder, "out")
        (local / "deep" / "er").mkdir(parents=True)
        (local / "deep" / "er" / "file.bin").write_bytes(bytes(range(256)) * 20_000)
        (local / "empty").write_bytes(b"")
        mlflow.log_artifacts(str(local), "tree")
        mlflow.log_artifact(str(local / "empty"))
        assert len(mlflow.load_table("table.json", run_ids=[run_id])) == 3
        names = [(f.path, f.is_dir) for f in client.list_artifacts(run_id)]
        assert ("config.json", False) in names
        assert ("tree", True) in names
        assert [f.path for f in client.list_artifacts(run_id, "tree/deep")] == ["tree/deep/er"]
        assert client.list_artifacts(run_id, "tree/deep/er")[0].file_size == 256 * 20_000
        assert client.list_artifacts(run_id, "missing") == []
        assert client.list_artifacts(run_id, "config.json") == []
        where = mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path="tree", dst_path=folder)
        assert Path(where, "deep/er/file.bin").read_bytes() == bytes(range(256)) * 20_000
        assert Path(where, "empty").read_bytes() == b""
        assert mlflow.artifacts.load_text(mlflow.get_artifact_uri("notes/hello world.txt")) == "hello"
        assert mlflow.artifacts.load_dict(f"runs:/{run_id}/config.json") == {"a": [1, 2]}
        assert mlflow.artifacts.load_image(f"runs:/{run_id}/image.png").size == (8, 8)
        tags = client.get_run(run_id).data.tags
        assert json.loads(tags["mlflow.loggedArtifacts"])[0]["path"] == "table.json"


def inputs():
    dataset = mlflow.data.from_pandas(DATA.frame, source="https://example.com/iris.csv", name="iris", targets="target")
    with mlflow.start_run() as active:
        mlflow.log_input(dataset, context="training")
        mlflow.log_input(dataset, context="training")
    (found,) = mlflow.get_run(active.info.run_id).inputs.dataset_inputs
    assert found.dataset.name == "iris"
    assert found.dataset.digest == dataset.digest
    assert found.tags[0].value == "training"


def nesting():
    with mlflow.start_run(run_name="parent") as parent:
        with mlflow.start_run(run_name="child", nested=True) as child:
            mlflow.log_metric("x", 1)
        mlflow.log_metric("x", 2)
    assert mlflow.get_parent_run(child.info.run_id).info.run_id == parent.info.run_id
    found = mlflow.search_runs(filter_string=f"tags.mlflow.parentRunId = '{parent.info.run_id}'")
    assert list(found["run_id"]) == [child.info.run_id]
    with mlflow.start_run(run_id=parent.info.run_id):
        mlflow.log_metric("y", 3)
    assert mlflow.get_run(parent.info.run_id).data.metrics == {"x": 2.0, "y": 3.0}
    try:
        with mlflow.start_run() as failing:
            raise ZeroDivisionError
    except ZeroDivisionError:
        assert mlflow.get_run(failing.info.run_id).info.status == "FAILED"


def models():
    model = LogisticRegression(max_iter=200).fit(DATA.data, DATA.target)
    with mlflow.start_run() as active:
        info = mlflow.sklearn.log_model(model, "clf", input_example=DATA.data.head(2), registered_model_name="Reg M", **FORMAT)
        mlflow.sklearn.log_model(model, "clf2", registered_model_name="Reg M", **FORMAT)
    version = mlflow.register_model(f"runs:/{active.info.run_id}/clf", "Reg M", tags={"how": "by uri"})
    assert str(version.version) == "3"
    assert version.run_id == active.info.run_id
    client.set_registered_model_alias("Reg M", "champ", "1")
    expected = model.predict(DATA.data)
    for uri in (
        "models:/Reg M@champ", "models:/Reg M/1", "models:/Reg M/2", "models:/Reg M/3", "models:/Reg M/latest",
        f"runs:/{active.info.run_id}/clf", info.model_uri,
    ):  # fmt: skip
        assert (mlflow.sklearn.load_model(uri).predict(DATA.data) == expected).all(), uri
    assert (mlflow.pyfunc.load_model("models:/Reg M@champ").predict(DATA.data) == expected).all()
    client.transition_model_version_stage("Reg M", "2", "Production")
    assert (mlflow.sklearn.load_model("models:/Reg M/Production").predict(DATA.data) == expected).all()
    assert [v.version for v in client.get_latest_versions("Reg M", ["Production"])] in (["2"], [2])
    client.transition_model_version_stage("Reg M", "3", "Production", archive_existing_versions=True)
    assert client.get_model_version("Reg M", "2").current_stage == "Archived"
    client.update_registered_model("Reg M", "a model")
    client.update_model_version("Reg M", "1", "the first")
    client.set_registered_model_tag("Reg M", "a", "1")
    client.set_model_version_tag("Reg M", "1", "b", "2")
    found = client.get_registered_model("Reg M")
    assert (found.description, found.tags["a"], found.aliases) == ("a model", "1", {"champ": "1"})
    first = client.get_model_version_by_alias("Reg M", "champ")
    assert (str(first.version), first.description, first.tags["b"]) == ("1", "the first", "2")
    client.delete_registered_model_tag("Reg M", "a")
    client.delete_model_version_tag("Reg M", "1", "b")
    assert [m.name for m in mlflow.search_registered_models(filter_string="name ILIKE 'reg%'")] == ["Reg M"]
    assert len(mlflow.search_model_versions(filter_string="name = 'Reg M'")) == 3
    assert len(mlflow.search_model_versions(filter_string=f"run_id = '{active.info.run_id}'")) == 3
    client.delete_registered_model_alias("Reg M", "champ")
    refused("INVALID_PARAMETER_VALUE", client.get_model_version_by_alias, "Reg M", "champ")
    client.delete_model_version("Reg M", "2")
    refused("RESOURCE_DOES_NOT_EXIST", client.get_model_version, "Reg M", "2")
    refused("RESOURCE_ALREADY_EXISTS", client.create_registered_model, "Reg M")
    client.rename_registered_model("Reg M", "Renamed")
    assert client.get_registered_model("Renamed").name == "Renamed"
    client.delete_registered_model("Renamed")
    refused("RESOURCE_DOES_NOT_EXIST", client.get_registered_model, "Renamed")


def logged_models():
    if not V3:
        return
    model = LogisticRegression(max_iter=200).fit(DATA.data, DATA.target)
    dataset = mlflow.data.from_pandas(DATA.frame, name="eval")
    with mlflow.start_run() as active:
        info = mlflow.sklearn.log_model(model, name="lm", params={"p": "1"}, tags={"t": "1"}, **FORMAT)
        mlflow.log_metric("rmse", 0.5, model_id=info.model_id, dataset=dataset)
    found = mlflow.get_logged_model(info.model_id)
    assert (found.name, str(found.status), found.source_run_id) == ("lm", "READY", active.info.run_id)
    assert found.params["p"] == "1"
    assert found.tags["t"] == "1"
    assert [(m.key, m.value, m.dataset_name) for m in found.metrics] == [("rmse", 0.5, "eval")]
    client.set_logged_model_tags(info.model_id, {"u": "2"})
    client.delete_logged_model_tag(info.model_id, "t")
    assert mlflow.get_logged_model(info.model_id).tags["u"] == "2"
    here = [mlflow.get_experiment_by_name("everyday").experiment_id]
    frame = mlflow.search_logged_models(here, filter_string="name = 'lm' AND metrics.rmse < 1", output_format="list")
    assert [m.model_id for m in frame] == [info.model_id]
    assert mlflow.get_run(active.info.run_id).outputs.model_outputs[0].model_id == info.model_id
    assert any(f.path == "MLmodel" for f in client.list_logged_model_artifacts(info.model_id))
    client.delete_logged_model(info.model_id)
    refused("RESOURCE_DOES_NOT_EXIST", mlflow.get_logged_model, info.model_id)


def trash():
    with mlflow.start_run() as active:
        mlflow.log_metric("x", 1)
    mlflow.delete_run(active.info.run_id)
    assert mlflow.get_run(active.info.run_id).info.lifecycle_stage == "deleted"
    deleted = mlflow.search_runs(run_view_type=ViewType.DELETED_ONLY)
    assert list(deleted["run_id"]) == [active.info.run_id]
    refused("INVALID_PARAMETER_VALUE", client.log_metric, active.info.run_id, "x", 2.0)
    client.restore_run(active.info.run_id)
    assert mlflow.get_run(active.info.run_id).info.lifecycle_stage == "active"


def asynchronous():
    with mlflow.start_run() as active:
        for step in range(50):
            mlflow.log_metric("later", step, step=step, synchronous=False)
        mlflow.log_params({"q": 1}, synchronous=False).wait()
        mlflow.flush_async_logging()
    assert mlflow.get_run(active.info.run_id).data.metrics["later"] == 49
    assert len(client.get_metric_history(active.info.run_id, "later")) == 50


def searches():
    experiment = mlflow.create_experiment("searched")
    ids = []
    for i in range(25):
        run = client.create_run(experiment, start_time=1_700_000_000_000 + i, run_name=f"run-{i:02d}")
        client.log_batch(run.info.run_id, [Metric("score", i / 10, 1, 0)], [Param("kind", "even" if i % 2 == 0 else "odd")])
        ids.append(run.info.run_id)
    page = client.search_runs([experiment], max_results=10)
    seen = [run.info.run_id for run in page]
    while page.token:
        page = client.search_runs([experiment], max_results=10, page_token=page.token)
        seen += [run.info.run_id for run in page]
    assert seen == ids[::-1]
    best = client.search_runs([experiment], "metrics.score > 1 AND params.kind = 'even'", order_by=["metrics.score ASC"])
    assert [run.data.metrics["score"] for run in best] == [1.2, 1.4, 1.6, 1.8, 2.0, 2.2, 2.4]
    named = client.search_runs([experiment], "attributes.run_name LIKE 'run-0%'")
    assert len(named) == 10
    frame = mlflow.search_runs([experiment], filter_string="params.kind = 'odd'", order_by=["attributes.start_time ASC"])
    assert isinstance(frame, pd.DataFrame)
    assert list(frame["run_id"]) == ids[1::2]
    assert len(mlflow.search_runs(experiment_names=["searched"], output_format="list")) == 25


STEPS = (
    experiments, autolog, logging, long_values, batches, artifacts, inputs, nesting, models, logged_models, trash,
    asynchronous, searches,
)  # fmt: skip

failures = 0
for step in STEPS:
    try:
        mlflow.end_run()
        step()
        print("ok", step.__name__, flush=True)
    except Exception:  # noqa: BLE001  # all steps are tried, each failure is shown
        import traceback

        failures += 1
        print("FAILED", step.__name__, flush=True)
        traceback.print_exc()
sys.exit(failures > 0)
