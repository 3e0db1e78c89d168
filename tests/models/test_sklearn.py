"""scikit-learn models: saved and loaded from a directory, logged to a store and loaded from there."""

from __future__ import annotations

import importlib
import os
import pickle
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from sklearn.cluster import Birch
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

import runlore.sklearn
from runlore.client import MlflowClient
from runlore.exceptions import InvalidParameter, NotFound, Untrusted
from runlore.models import ModelSignature, get_model_info, infer_signature, set_signature
from runlore.models.manifest import MANIFEST_FILE
from runlore.settings import settings

X, y = load_iris(return_X_y=True, as_frame=True)
FORMATS = ("skops", "pickle", "cloudpickle")


@pytest.fixture(scope="module")
def forest() -> Any:
    """A fitted forest."""
    return RandomForestClassifier(4, random_state=0).fit(X.values, y)


@pytest.fixture
def stranger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Call it to become another installation."""

    def become() -> None:
        monkeypatch.setenv("RUNLORE_CONFIG_DIR", str(tmp_path / "stranger"))
        settings.cache_clear()

    return become


def mlmodel(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((path / "MLmodel").read_text())
    return content


# -- directories ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("serialization_format", FORMATS)
def test_what_was_saved_here_loads_without_ceremony(forest: Any, serialization_format: str, tmp_path: Path) -> None:
    runlore.sklearn.save_model(forest, tmp_path / "model", serialization_format=serialization_format)
    loaded = runlore.sklearn.load_model(tmp_path / "model")
    assert np.array_equal(loaded.predict(X.values), forest.predict(X.values))
    assert np.array_equal(runlore.sklearn.load_model((tmp_path / "model").as_uri()).predict(X.values), forest.predict(X.values))


def test_the_directory_looks_as_mlflow_expects(forest: Any, tmp_path: Path) -> None:
    path = tmp_path / "model"
    runlore.sklearn.save_model(forest, str(path), input_example=X.values[:2], metadata={"team": "a"})
    assert {item.name for item in path.iterdir()} == {
        "MLmodel", "model.skops", "conda.yaml", "python_env.yaml", "requirements.txt", "input_example.json",
        "serving_input_example.json", MANIFEST_FILE,
    }  # fmt: skip
    content = mlmodel(path)
    assert content["flavors"]["sklearn"] | {"sklearn_version": ""} == {
        "pickled_model": "model.skops",
        "serialization_format": "skops",
        "sklearn_version": "",
        "code": None,
        "skops_trusted_types": ["sklearn.tree._tree.Tree"],
    }
    function = content["flavors"]["python_function"]
    assert (function["loader_module"], function["model_path"], function["predict_fn"]) == (
        "mlflow.sklearn",
        "model.skops",
        "predict",
    )
    assert function["env"] == {"conda": "conda.yaml", "virtualenv": "python_env.yaml"}
    assert content["metadata"] == {"team": "a"}
    assert content["signature"]["outputs"] == '[{"type": "tensor", "tensor-spec": {"dtype": "int64", "shape": [-1]}}]'
    lines = (path / "requirements.txt").read_text().splitlines()
    assert [line.partition("==")[0] for line in lines] == ["numpy", "scikit-learn", "scipy", "skops"]
    assert all("==" in line for line in lines)


def test_models_that_predict_nothing_have_no_function_flavor(tmp_path: Path) -> None:
    runlore.sklearn.save_model(StandardScaler().fit(X.values), tmp_path / "model")
    assert list(mlmodel(tmp_path / "model")["flavors"]) == ["sklearn"]


def test_a_full_directory_is_not_overwritten(forest: Any, tmp_path: Path) -> None:
    (tmp_path / "other").touch()
    with pytest.raises(InvalidParameter, match="already exists and is not empty"):
        runlore.sklearn.save_model(forest, tmp_path)
    with pytest.raises(InvalidParameter, match="Unrecognized serialization format: joblib"):
        runlore.sklearn.save_model(forest, tmp_path / "x", serialization_format="joblib")


@pytest.mark.parametrize("serialization_format", ["pickle", "cloudpickle"])
def test_a_strangers_pickle_needs_consent(forest: Any, serialization_format: str, tmp_path: Path, stranger: Any) -> None:
    runlore.sklearn.save_model(forest, tmp_path / "model", serialization_format=serialization_format)
    stranger()
    with pytest.raises(Untrusted, match=rf"{serialization_format} file.*load_model\(model_uri, allow_pickle=True\)"):
        runlore.sklearn.load_model(tmp_path / "model")
    with pytest.raises(Untrusted):
        runlore.sklearn.load_model(tmp_path / "model", trusted=["sklearn.ensemble._forest.RandomForestClassifier"])
    loaded = runlore.sklearn.load_model(tmp_path / "model", allow_pickle=True)
    assert np.array_equal(loaded.predict(X.values), forest.predict(X.values))


def test_a_strangers_skops_file_loads_after_its_checks(forest: Any, tmp_path: Path, stranger: Any) -> None:
    runlore.sklearn.save_model(forest, tmp_path / "model")
    stranger()
    assert np.array_equal(runlore.sklearn.load_model(tmp_path / "model").predict(X.values), forest.predict(X.values))


class Custom(LogisticRegression):
    """A type that only its author knows."""


def test_a_strangers_types_need_the_callers_word_not_the_files(tmp_path: Path, stranger: Any) -> None:
    name = f"{Custom.__module__}.Custom"
    runlore.sklearn.save_model(Custom(max_iter=500).fit(X.values, y), tmp_path / "model")
    assert mlmodel(tmp_path / "model")["flavors"]["sklearn"]["skops_trusted_types"] == [name]
    assert isinstance(runlore.sklearn.load_model(tmp_path / "model"), Custom)
    stranger()
    with pytest.raises(Untrusted, match="nobody vouched for"):
        runlore.sklearn.load_model(tmp_path / "model")
    assert isinstance(runlore.sklearn.load_model(tmp_path / "model", trusted=[name]), Custom)
    with pytest.raises(InvalidParameter, match="list of full type names"):
        runlore.sklearn.load_model(tmp_path / "model", trusted=name)  # type: ignore[arg-type]


class Bomb:
    """Runs code when it is unpickled."""

    def __reduce__(self) -> Any:
        return os.mkdir, ("exploded",)


def test_a_tampered_pickle_never_runs(forest: Any, tmp_path: Path) -> None:
    path = tmp_path / "model"
    runlore.sklearn.save_model(forest, path, serialization_format="pickle")
    (path / "model.pkl").write_bytes(pickle.dumps(Bomb()))
    for consent in (False, True):
        with pytest.raises(Untrusted, match=r"'model\.pkl' is not what was logged"):
            runlore.sklearn.load_model(path, allow_pickle=consent)
    (path / MANIFEST_FILE).unlink()
    with pytest.raises(Untrusted, match="allow_pickle=True"):
        runlore.sklearn.load_model(path)
    assert not Path("exploded").exists()


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "a/../../x", "C:x", None, 1])
def test_a_model_can_not_name_files_outside(forest: Any, name: Any, tmp_path: Path) -> None:
    path = tmp_path / "model"
    runlore.sklearn.save_model(forest, path, serialization_format="pickle")
    (tmp_path / "secret").write_bytes(pickle.dumps(Bomb()))
    content = mlmodel(path)
    content["flavors"]["sklearn"]["pickled_model"] = name
    (path / "MLmodel").write_text(yaml.safe_dump(content))
    (path / MANIFEST_FILE).unlink()
    with pytest.raises((InvalidParameter, NotFound)):
        runlore.sklearn.load_model(path, allow_pickle=True)
    assert not Path("exploded").exists()


def test_python_files_of_a_model_need_consent_too(forest: Any, tmp_path: Path, stranger: Any) -> None:
    source = tmp_path / "helper_of_a_model.py"
    source.write_text("import os\nos.mkdir('imported')\n")
    runlore.sklearn.save_model(forest, tmp_path / "model", code_paths=[str(source)])
    assert mlmodel(tmp_path / "model")["flavors"]["sklearn"]["code"] == "code"
    stranger()
    before = list(sys.path)
    with pytest.raises(Untrusted, match="Python files under code/"):
        runlore.sklearn.load_model(tmp_path / "model")
    assert sys.path == before
    runlore.sklearn.load_model(tmp_path / "model", allow_pickle=True)
    try:
        importlib.import_module("helper_of_a_model")
    finally:
        sys.path[:] = before
    assert Path("imported").is_dir()


def test_a_model_moved_elsewhere_still_loads(forest: Any, tmp_path: Path) -> None:
    runlore.sklearn.save_model(forest, tmp_path / "model", serialization_format="pickle", extra_files=[__file__])
    shutil.move(tmp_path / "model", tmp_path / "moved")
    assert runlore.sklearn.load_model(tmp_path / "moved").n_estimators == 4
    assert (tmp_path / "moved" / "extra_files" / Path(__file__).name).is_file()


# -- stores -----------------------------------------------------------------------------------------------------------------


def test_a_logged_model_is_found_by_every_name(forest: Any) -> None:
    with runlore.start_run() as run:
        runlore.log_param("depth", 3)
        runlore.log_metric("accuracy", 0.9)
        info = runlore.sklearn.log_model(forest, "forest", registered_model_name="Forest", params={"kind": "a"}, tags={"t": 1})
    assert info.model_uri == f"models:/{info.model_id}"
    assert (info.run_id, info.name, info.registered_model_version) == (run.info.run_id, "forest", 1)
    MlflowClient().set_registered_model_alias("Forest", "champion", "1")
    uris = [
        info.model_uri,
        f"runs:/{run.info.run_id}/forest",
        "models:/Forest/1",
        "models:/Forest@champion",
        "models:/Forest/latest",
    ]
    for uri in uris:
        assert np.array_equal(runlore.sklearn.load_model(uri).predict(X.values), forest.predict(X.values)), uri
    logged = MlflowClient().get_logged_model(info.model_id)
    assert (logged.status, logged.name, logged.source_run_id) == ("READY", "forest", run.info.run_id)
    assert logged.params == {"depth": "3", "kind": "a"}
    assert logged.tags["t"] == "1"
    assert [(metric.key, metric.value) for metric in logged.metrics] == [("accuracy", 0.9)]
    outputs = MlflowClient().get_run(run.info.run_id).outputs.model_outputs
    assert [output.model_id for output in outputs] == [info.model_id]
    assert len(MlflowClient().get_metric_history(run.info.run_id, "accuracy")) == 1


def test_without_a_run_the_model_goes_to_the_experiment(forest: Any) -> None:
    info = runlore.sklearn.log_model(forest, name="alone")
    assert runlore.active_run() is None
    assert info.run_id is None
    assert MlflowClient().get_logged_model(info.model_id).source_run_id is None
    assert runlore.sklearn.load_model(info.model_uri).n_estimators == 4
    with pytest.raises(InvalidParameter, match="not both"):
        runlore.sklearn.log_model(forest, "a", name="b")


def test_a_failed_save_is_visible_and_leaves_no_link() -> None:
    with runlore.start_run() as run, pytest.raises(InvalidParameter, match="serialization_format='cloudpickle'"):
        runlore.sklearn.log_model(Birch().fit(X.values), "broken")
    (found,) = MlflowClient().search_logged_models([run.info.experiment_id])
    assert found.status == "FAILED"
    assert MlflowClient().get_run(run.info.run_id).outputs.model_outputs == []


def test_a_file_changed_in_the_artifact_store_is_refused(forest: Any) -> None:
    info = runlore.sklearn.log_model(forest, name="victim", serialization_format="pickle")
    (place,) = Path.cwd().glob(f".runlore/artifacts/*/models/{info.model_id}/artifacts")
    (place / "model.pkl").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(Untrusted, match="is not what was logged"):
        runlore.sklearn.load_model(info.model_uri, allow_pickle=True)
    (place / MANIFEST_FILE).unlink()
    with pytest.raises(Untrusted, match="the store knows its digest"):
        runlore.sklearn.load_model(info.model_uri, allow_pickle=True)
    assert not Path("exploded").exists()


def test_downloads_go_where_the_caller_wants_and_nothing_stays_behind(
    forest: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary, wanted = tmp_path / "tmp", tmp_path / "wanted"
    temporary.mkdir()
    wanted.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    info = runlore.sklearn.log_model(forest, name="m")
    runlore.sklearn.load_model(info.model_uri)
    runlore.sklearn.load_model(info.model_uri, dst_path=str(wanted))
    assert (wanted / "MLmodel").is_file()
    assert list(temporary.iterdir()) == []
    with pytest.raises(NotFound, match="does not exist"):
        runlore.sklearn.load_model(info.model_uri, dst_path=str(tmp_path / "nowhere"))


def test_the_facts_of_a_model_are_read_without_loading_it(forest: Any, stranger: Any) -> None:
    info = runlore.sklearn.log_model(forest, name="m", input_example=X.values[:2], serialization_format="pickle")
    stranger()
    found = get_model_info(info.model_uri)
    assert (found.model_id, found.signature) == (info.model_id, info.signature)
    assert found.saved_input_example_info is not None
    assert found.saved_input_example_info["type"] == "ndarray"
    assert list(found.flavors) == ["python_function", "sklearn"]


def test_a_signature_can_be_set_later(forest: Any) -> None:
    info = runlore.sklearn.log_model(forest, name="m", serialization_format="pickle", registered_model_name="M")
    assert info.signature is None
    signature = infer_signature(X, forest.predict(X.values))
    set_signature(info.model_uri, signature)
    assert get_model_info(info.model_uri).signature == signature
    assert runlore.sklearn.load_model(info.model_uri).n_estimators == 4
    with pytest.raises(InvalidParameter, match="can not be changed"):
        set_signature("models:/M/1", signature)


def test_a_signature_never_vanishes_silently(forest: Any) -> None:
    with pytest.warns(UserWarning, match="can not predict its input example"):
        info = runlore.sklearn.log_model(forest, name="m", input_example=np.zeros((1, 2)))
    assert info.signature is not None
    assert info.signature.outputs is None
    given = ModelSignature(inputs=infer_signature(X).inputs)
    assert runlore.sklearn.log_model(forest, name="m", signature=given).signature == given
    assert runlore.sklearn.log_model(forest, name="m", signature=False, input_example=X.values[:1]).signature is None
