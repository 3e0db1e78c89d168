"""Models of each library: their files, loading, predictions, trust; and MLflow's own, both ways."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy
import pytest
import yaml
from tests.frameworks.boosters.zoo import MAKERS, PATIENTS, PROGRESS, Kept, kept, plain

import runlore
from runlore.exceptions import InvalidParameter, Untrusted

xgboost = pytest.importorskip("xgboost", reason="`make test-frameworks` installs it in .venvs/boosters")
for library in ("lightgbm", "statsmodels", "onnxruntime", "pmdarima"):
    pytest.importorskip(library, reason="`make test-frameworks` installs it in .venvs/boosters")


@pytest.fixture(params=MAKERS)
def one(request: pytest.FixtureRequest) -> Kept:
    pytest.importorskip(request.param.partition("_")[0], reason="left out of .venvs/boosters")
    return kept(request.param)


def ours(one: Kept) -> Any:
    return import_module(f"runlore.{one.framework}")


def mlmodel(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((path / "MLmodel").read_text())
    return content


def test_a_model_is_kept_as_mlflow_keeps_it(one: Kept, tmp_path: Path) -> None:
    path = tmp_path / "model"
    ours(one).save_model(one.model, path, input_example=one.data, metadata={"team": "a"})
    content = mlmodel(path)
    flavor = content["flavors"][one.framework]
    versions = {key for key in flavor if key.endswith("_version")}
    assert {key: value for key, value in flavor.items() if key not in versions and key != "skops_trusted_types"} == one.flavor
    assert len(versions) == 1
    function = content["flavors"]["python_function"]
    assert (function["loader_module"], function["data"]) == (f"mlflow.{one.framework}", one.file)
    assert content["signature"]["inputs"]
    assert content["signature"]["outputs"]
    expected = {one.file, "MLmodel", "conda.yaml", "python_env.yaml", "requirements.txt", "input_example.json"}
    assert expected <= {item.name for item in path.iterdir()}
    lines = (path / "requirements.txt").read_text().splitlines()
    assert all("==" in line for line in lines)
    assert any(line.startswith(one.framework) for line in lines)


def test_what_is_logged_loads_from_everywhere(one: Kept) -> None:
    expected = plain(runlore.pyfunc.load_model(_logged(one)).predict(one.data))
    [version] = runlore.search_model_versions()
    for uri in (f"models:/m/{version.version}", f"runs:/{version.run_id}/model"):
        assert plain(runlore.pyfunc.load_model(uri).predict(one.data)) == expected
    loaded = ours(one).load_model(f"models:/m/{version.version}")
    assert type(loaded) is type(one.model)
    assert runlore.pyfunc.load_model("models:/m/1").get_raw_model() is not None


def _logged(one: Kept) -> str:
    with runlore.start_run():
        info = ours(one).log_model(one.model, name="model", input_example=one.data, registered_model_name="m")
    assert (info.signature is not None, info.registered_model_version) == (True, 1)
    return str(info.model_uri)


def test_predictions_are_the_librarys_own(one: Kept, tmp_path: Path) -> None:
    """After a round trip through the library's own file."""
    if not hasattr(one.model, "predict") or one.framework in ("pmdarima", "prophet") or "start" in one.data:
        pytest.skip("its predictions are asked for in another form")
    data = xgboost.DMatrix(one.data) if isinstance(one.model, xgboost.Booster) else one.data
    ours(one).save_model(one.model, tmp_path / "model")
    found = runlore.pyfunc.load_model(tmp_path / "model").predict(one.data)
    assert plain(found) == plain(one.model.predict(data))


def test_data_is_held_against_the_signature() -> None:
    one = kept("xgboost_booster")
    model = runlore.pyfunc.load_model(_logged(one))
    with pytest.raises(InvalidParameter, match="missing inputs"):
        model.predict(one.data.drop(columns="bmi"))
    assert plain(model.predict(one.data[one.data.columns[::-1]])) == plain(model.predict(one.data))


def test_params_of_a_prediction_are_the_librarys(tmp_path: Path) -> None:
    one = kept("xgboost_booster")
    signature = runlore.models.infer_signature(one.data, PROGRESS.to_numpy()[:3], params={"pred_leaf": False})
    runlore.xgboost.save_model(one.model, tmp_path / "model", signature=signature)
    model = runlore.pyfunc.load_model(tmp_path / "model")
    assert model.predict(one.data).shape == (3,)
    assert model.predict(one.data, params={"pred_leaf": True}).shape == (3, 3)
    with pytest.raises(InvalidParameter, match="no parameters"):
        model.predict(one.data, params={"nosuch": 1})


def test_a_strangers_model_needs_consent_only_where_it_is_a_pickle(
    one: Kept, tmp_path: Path, stranger: Callable[[], None]
) -> None:
    ours(one).save_model(one.model, tmp_path / "model")
    stranger()
    loaders = (ours(one).load_model, runlore.pyfunc.load_model)
    for load in loaders:
        if one.needs_consent:
            with pytest.raises(Untrusted, match="allow_pickle=True"):
                load(tmp_path / "model")
        assert load(tmp_path / "model", allow_pickle=one.needs_consent) is not None


@pytest.mark.parametrize("serialization_format", ["pickle", "cloudpickle"])
def test_an_estimator_of_lightgbm_as_a_pickle(serialization_format: str, tmp_path: Path, stranger: Callable[[], None]) -> None:
    one = kept("lightgbm_classifier")
    runlore.lightgbm.save_model(one.model, tmp_path / "model", serialization_format=serialization_format)
    assert plain(runlore.lightgbm.load_model(tmp_path / "model").predict(one.data)) == plain(one.model.predict(one.data))
    stranger()
    with pytest.raises(Untrusted):
        runlore.lightgbm.load_model(tmp_path / "model")
    with pytest.raises(InvalidParameter, match="serialization_format"):
        runlore.lightgbm.save_model(one.model, tmp_path / "other", serialization_format="joblib")


def test_the_class_that_a_file_names_is_one_of_the_library(tmp_path: Path, stranger: Callable[[], None]) -> None:
    """A file that names another class could run its code; the class of a user needs consent as a pickle does."""
    for name, value in (("xgboost_classifier", "subprocess.Popen"), ("lightgbm_booster", "subprocess.Popen")):
        path = tmp_path / name
        ours(kept(name)).save_model(kept(name).model, path)
        content = mlmodel(path)
        content["flavors"][kept(name).framework]["model_class"] = value
        (path / "MLmodel").write_text(yaml.safe_dump(content))
        (path / "runlore-manifest.json").unlink(missing_ok=True)
    stranger()
    for name in ("xgboost_classifier", "lightgbm_booster"):
        with pytest.raises((Untrusted, InvalidParameter)):
            ours(kept(name)).load_model(tmp_path / name)


def test_json_of_xgboost_and_catboost(tmp_path: Path) -> None:
    one = kept("xgboost_classifier")
    runlore.xgboost.save_model(one.model, tmp_path / "x", model_format="json")
    json.loads((tmp_path / "x/model.json").read_text())
    assert plain(runlore.xgboost.load_model(tmp_path / "x").predict(one.data)) == plain(one.model.predict(one.data))
    with pytest.raises(InvalidParameter, match="model_format"):
        runlore.xgboost.save_model(one.model, tmp_path / "y", model_format="pickle")
    pytest.importorskip("catboost", reason="left out of .venvs/boosters")
    other = kept("catboost_classifier")
    runlore.catboost.save_model(other.model, tmp_path / "c", format="json")
    assert plain(runlore.catboost.load_model(tmp_path / "c").predict(other.data)) == plain(other.model.predict(other.data))


def test_an_onnx_model_takes_tables_arrays_and_dictionaries(tmp_path: Path) -> None:
    one = kept("onnx_sum")
    runlore.onnx.save_model(one.model, tmp_path / "model", onnx_session_options={"intra_op_num_threads": 1})
    assert (tmp_path / "model/model.onnx.data").stat().st_size == 4000
    model = runlore.pyfunc.load_model(tmp_path / "model")
    assert plain(model.predict(one.data)) == {"sum": [1003.0, 1005.0]}
    assert plain(model.predict({name: one.data[name].to_numpy() for name in "ab"})) == {"sum": [1003.0, 1005.0]}
    with pytest.raises(InvalidParameter, match="inputs"):
        model.predict(one.data["a"].to_numpy())
    with pytest.raises(InvalidParameter, match="refuses the data"):
        model.predict({"a": numpy.zeros(2), "b": numpy.zeros(3)})


def test_options_that_name_files_are_not_a_strangers(tmp_path: Path, stranger: Callable[[], None]) -> None:
    options = {"optimized_model_filepath": str(tmp_path / "written")}
    runlore.onnx.save_model(kept("onnx_sum").model, tmp_path / "model", onnx_session_options=options)
    stranger()
    with pytest.raises(InvalidParameter, match="optimized_model_filepath"):
        runlore.pyfunc.load_model(tmp_path / "model")
    assert not (tmp_path / "written").exists()
    runlore.onnx.save_model(kept("onnx_sum").model, tmp_path / "other", onnx_execution_providers=[("CPUExecutionProvider", {})])
    (tmp_path / "other" / "runlore-manifest.json").unlink(missing_ok=True)
    with pytest.raises(Untrusted, match="execution providers"):
        runlore.pyfunc.load_model(tmp_path / "other")
    assert runlore.pyfunc.load_model(tmp_path / "other", allow_pickle=True) is not None


def test_forecasts_are_asked_for_by_a_table_of_one_row(tmp_path: Path) -> None:
    for name in ("statsmodels_arima", "pmdarima_arima"):
        one = kept(name)
        ours(one).save_model(one.model, tmp_path / name)
        model = runlore.pyfunc.load_model(tmp_path / name)
        assert len(model.predict(one.data)) == {"statsmodels_arima": 5, "pmdarima_arima": 3}[name]
        with pytest.raises(InvalidParameter):
            model.predict(PATIENTS)
    found = model.predict(kept("pmdarima_arima").data)
    assert list(found.columns) == ["yhat", "yhat_lower", "yhat_upper"]


def test_statsmodels_can_leave_the_data_out(tmp_path: Path) -> None:
    one = kept("statsmodels_ols")
    sizes = []
    for remove in (False, True):
        import statsmodels.api as sm

        model = sm.OLS(PROGRESS, sm.add_constant(PATIENTS)).fit()
        runlore.statsmodels.save_model(model, tmp_path / str(remove), remove_data=remove)
        sizes.append((tmp_path / str(remove) / one.file).stat().st_size)
        assert plain(runlore.pyfunc.load_model(tmp_path / str(remove)).predict(one.data)) == plain(one.model.predict(one.data))
    assert sizes[1] < sizes[0]


def test_mlflow_and_runlore_load_each_others_models(
    one: Kept, tmp_path: Path, stranger: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real MLflow loads what Runlore saved, and the other way round, and both predict the same."""
    mlflow = pytest.importorskip("mlflow", reason="left out of .venvs/boosters")
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "true")
    signature = runlore.models.infer_signature(one.data)
    ours(one).save_model(one.model, tmp_path / "ours", signature=signature)
    theirs = import_module(f"mlflow.{one.framework}")
    copied = mlflow.models.Model.load(str(tmp_path / "ours")).signature
    theirs.save_model(one.model, str(tmp_path / "theirs"), signature=copied, pip_requirements=["numpy"])
    assert type(theirs.load_model(str(tmp_path / "ours"))) is type(one.model)
    expected = plain(mlflow.pyfunc.load_model(str(tmp_path / "theirs")).predict(one.data))
    assert plain(mlflow.pyfunc.load_model(str(tmp_path / "ours")).predict(one.data)) == expected
    stranger()
    consent = one.needs_consent
    for place in ("ours", "theirs"):
        assert plain(runlore.pyfunc.load_model(tmp_path / place, allow_pickle=consent).predict(one.data)) == expected
        assert type(ours(one).load_model(tmp_path / place, allow_pickle=consent)) is type(one.model)
