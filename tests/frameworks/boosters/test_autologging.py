"""Trainings of XGBoost, LightGBM and statsmodels become runs. The expected values are what MLflow 3.17 records of them."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sklearn.model_selection import GridSearchCV, train_test_split
from tests.frameworks.boosters.zoo import IRIS, KIND, PATIENTS, PROGRESS, SERIES

import runlore
from runlore.entities import Run

xgboost = pytest.importorskip("xgboost", reason="`make test-frameworks` installs it in .venvs/boosters")
lightgbm = pytest.importorskip("lightgbm", reason="`make test-frameworks` installs it in .venvs/boosters")
sm = pytest.importorskip("statsmodels.api", reason="`make test-frameworks` installs it in .venvs/boosters")

X, X_valid, y, y_valid = train_test_split(PATIENTS, PROGRESS, random_state=0)
SMALL = {"objective": "regression", "verbose": -1, "num_leaves": 7}


@pytest.fixture(autouse=True)
def off_after_it() -> Iterator[None]:
    yield
    for framework in (runlore.xgboost, runlore.lightgbm, runlore.statsmodels, runlore.sklearn):
        framework.autolog(disable=True)


def runs() -> list[Run]:
    """All runs, oldest first."""
    return runlore.search_runs(search_all_experiments=True, output_format="list")[::-1]


def files(run: Run) -> set[str]:
    return {info.path for info in runlore.MlflowClient().list_artifacts(run.info.run_id)}


def history(run: Run, key: str) -> list[tuple[int, float]]:
    points = runlore.MlflowClient().get_metric_history(run.info.run_id, key)
    return [(point.step, round(point.value, 3)) for point in points]


def datasets(run: Run) -> list[tuple[str, str]]:
    return sorted((item.dataset.name, item.tags[0].value) for item in run.inputs.dataset_inputs)


def matrices() -> tuple[Any, Any]:
    return xgboost.DMatrix(X, label=y), xgboost.DMatrix(X_valid, label=y_valid)


# -- XGBoost --------------------------------------------------------------------------------------------------------------


def test_a_training_of_xgboost_that_stops_early() -> None:
    runlore.xgboost.autolog(log_input_examples=True, registered_model_name="boosted")
    train, valid = matrices()
    booster = xgboost.train(
        {"objective": "reg:squarederror", "max_depth": 3, "eval_metric": ["rmse", "mae"]}, train, 40,
        evals=[(train, "train"), (valid, "valid")], early_stopping_rounds=3, verbose_eval=False,
    )  # fmt: skip
    [run] = runs()
    assert (run.info.status, run.data.tags["mlflow.autologging"]) == ("FINISHED", "xgboost")
    assert run.data.params == {
        "custom_metric": "None", "early_stopping_rounds": "3", "eval_metric": "['rmse', 'mae']", "max_depth": "3",
        "maximize": "None", "num_boost_round": "40", "objective": "reg:squarederror", "verbose_eval": "False",
    }  # fmt: skip
    metrics = {f"{data}-{name}" for data in ("train", "valid") for name in ("rmse", "mae")}
    assert set(run.data.metrics) == {*metrics, "best_iteration", "stopped_iteration"}
    best, last = int(run.data.metrics["best_iteration"]), int(run.data.metrics["stopped_iteration"])
    assert (best, last) == (booster.best_iteration, booster.num_boosted_rounds() - 1)
    points = history(run, "valid-mae")
    assert [step for step, _ in points] == list(range(last + 2))
    assert points[-1][1] == points[best][1] == min(value for _, value in points)
    assert files(run) == {"feature_importance_weight.json", "feature_importance_weight.png"}
    scores = json.loads(runlore.artifacts.load_text(f"runs:/{run.info.run_id}/feature_importance_weight.json"))
    assert scores == booster.get_score(importance_type="weight")
    assert datasets(run) == [("dataset", "train"), ("train", "eval"), ("valid", "eval")]
    loaded = runlore.pyfunc.load_model("models:/boosted/1")
    assert (loaded.predict(X_valid) == booster.predict(valid)).all()
    assert loaded.metadata.saved_input_example_info["type"] == "dataframe"
    assert loaded.metadata.signature.inputs.input_names() == list(X.columns)
    [model] = runlore.search_logged_models(output_format="list")
    assert {metric.key for metric in model.metrics} == metrics  # those of the best iteration


def test_an_estimator_of_xgboost() -> None:
    runlore.xgboost.autolog()
    model = xgboost.XGBClassifier(n_estimators=4, early_stopping_rounds=2, max_depth=2)
    model.fit(IRIS, KIND, eval_set=[(IRIS, KIND)], verbose=False)
    [run] = runs()
    some = {"max_depth": "2", "num_boost_round": "4", "num_class": "3", "objective": "multi:softprob", "booster": "None"}
    assert {key: run.data.params[key] for key in some} == some
    assert len(run.data.params) == 38
    assert set(run.data.metrics) == {"best_iteration", "stopped_iteration", "validation_0-mlogloss"}
    loaded = runlore.xgboost.load_model(f"runs:/{run.info.run_id}/model")
    assert isinstance(loaded, xgboost.XGBClassifier)
    assert (loaded.predict(IRIS) == model.predict(IRIS)).all()
    assert datasets(run) == [("dataset", "train"), ("validation_0", "eval")]


def test_kinds_of_importance_and_formats_can_be_chosen() -> None:
    runlore.xgboost.autolog(importance_types=["gain", "cover"], model_format="json", log_datasets=False)
    xgboost.train({"max_depth": 2}, xgboost.DMatrix(X.to_numpy(), label=y), 3)  # the array itself is gone by then
    [run] = runs()
    assert files(run) == {f"feature_importance_{kind}.{form}" for kind in ("gain", "cover") for form in ("json", "png")}
    assert run.inputs.dataset_inputs == []
    info = runlore.models.get_model_info(f"runs:/{run.info.run_id}/model")
    assert (info.flavors["xgboost"]["model_format"], info.signature is not None) == ("json", True)


def test_metrics_are_there_while_it_trains_and_callbacks_of_ones_own_stay() -> None:
    runlore.xgboost.autolog(log_models=False)
    seen = []

    class Look(xgboost.callback.TrainingCallback):  # type: ignore[misc]
        def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
            run = runlore.active_run()
            assert run is not None
            seen.append(len(history(run, "valid-rmse")))
            return epoch == 2

    train, valid = matrices()
    xgboost.train({}, train, 9, evals=[(valid, "valid")], callbacks=[Look()], verbose_eval=False)
    assert seen == [1, 2, 3]


# -- LightGBM -------------------------------------------------------------------------------------------------------------


def test_a_training_of_lightgbm_that_stops_early() -> None:
    runlore.lightgbm.autolog()
    train = lightgbm.Dataset(X, label=y)
    valid = lightgbm.Dataset(X_valid, label=y_valid, reference=train)
    booster = lightgbm.train(
        {**SMALL, "metric": ["l2", "l1"]}, train, 200, valid_sets=[train, valid], valid_names=["train", "valid"],
        callbacks=[lightgbm.early_stopping(3, verbose=False)],
    )  # fmt: skip
    [run] = runs()
    assert run.data.params == {
        "keep_training_booster": "False", "metric": "['l2', 'l1']", "num_boost_round": "200", "num_leaves": "7",
        "objective": "regression", "verbose": "-1",
    }  # fmt: skip
    best, last = int(run.data.metrics["best_iteration"]), int(run.data.metrics["stopped_iteration"])
    assert best == booster.best_iteration < last < 200
    points = history(run, "valid-l2")
    assert [step for step, _ in points] == list(range(last + 1))
    assert points[-1][1] == points[best - 1][1] == round(booster.best_score["valid"]["l2"], 3)
    assert files(run) == {f"feature_importance_{kind}.{form}" for kind in ("gain", "split") for form in ("json", "png")}
    assert datasets(run) == [("dataset", "train"), ("train", "eval"), ("valid", "eval")]
    loaded = runlore.pyfunc.load_model(f"runs:/{run.info.run_id}/model")
    assert loaded.predict(X_valid) == pytest.approx(booster.predict(X_valid))


def test_an_estimator_of_lightgbm_and_names_of_metrics() -> None:
    runlore.lightgbm.autolog(extra_tags={"team": "a"})
    model = lightgbm.LGBMRanker(n_estimators=2, verbose=-1)
    model.fit(IRIS, KIND, group=[150], eval_X=IRIS, eval_y=KIND, eval_group=[[150]], eval_at=[3])
    [run] = runs()
    assert (run.data.tags["team"], "training-ndcg_at_3" in run.data.metrics) == ("a", True)
    loaded = runlore.lightgbm.load_model(f"runs:/{run.info.run_id}/model")
    assert isinstance(loaded, lightgbm.LGBMRanker)
    assert loaded.predict(IRIS) == pytest.approx(model.predict(IRIS))


def test_data_of_lightgbm_that_is_used_twice() -> None:
    """After its first training LightGBM has let go of the table."""
    runlore.lightgbm.autolog()
    data = lightgbm.Dataset(X, label=y)
    for _ in range(2):
        lightgbm.train(SMALL, data, 2)
    assert [datasets(run) for run in runs()] == [[("dataset", "train")]] * 2
    for run in runs():
        assert runlore.models.get_model_info(f"runs:/{run.info.run_id}/model").signature is not None


# -- statsmodels ----------------------------------------------------------------------------------------------------------


def test_a_fit_of_statsmodels() -> None:
    runlore.statsmodels.autolog()
    results = sm.OLS(PROGRESS, sm.add_constant(PATIENTS)).fit(cov_type="HC0")
    [run] = runs()
    assert run.data.params == {"cov_kwds": "None", "cov_type": "HC0", "method": "pinv", "use_t": "None"}
    assert set(run.data.metrics) == {
        "aic", "bic", "centered_tss", "condition_number", "df_model", "df_resid", "ess", "f_pvalue", "fvalue", "llf",
        "mse_model", "mse_resid", "mse_total", "rsquared", "rsquared_adj", "scale", "ssr", "uncentered_tss",
    }  # fmt: skip
    assert run.data.metrics["rsquared"] == results.rsquared
    assert "OLS Regression Results" in runlore.artifacts.load_text(f"runs:/{run.info.run_id}/model_summary.txt")
    assert datasets(run) == [("dataset", "train")]
    loaded = runlore.statsmodels.load_model(f"runs:/{run.info.run_id}/model")
    assert loaded.params.equals(results.params)


def test_a_fit_that_fits_others_inside_is_one_run(caplog: pytest.LogCaptureFixture) -> None:
    runlore.statsmodels.autolog(log_models=False)
    with caplog.at_level(logging.WARNING, "runlore"):
        sm.tsa.arima.ARIMA(SERIES, order=(1, 0, 0)).fit()
        sm.RLM(PROGRESS, sm.add_constant(PATIENTS)).fit()
    assert [sorted(run.data.metrics) for run in runs()] == [
        ["aic", "bic", "df_model", "df_resid", "llf", "scale"], ["df_model", "df_resid", "scale"],
    ]  # fmt: skip
    assert caplog.text == ""


# -- what holds for all ---------------------------------------------------------------------------------------------------


def test_a_training_that_fails_raises_as_ever_and_fails_its_run() -> None:
    runlore.xgboost.autolog()
    runlore.lightgbm.autolog()
    with pytest.raises(xgboost.core.XGBoostError, match="nosuch"):
        xgboost.train({"objective": "nosuch"}, matrices()[0], 2)
    with pytest.raises(lightgbm.basic.LightGBMError, match="Length of labels"):
        lightgbm.LGBMRegressor(verbose=-1).fit(X, y[:10])
    assert [run.info.status for run in runs()] == ["FAILED", "FAILED"]
    assert runlore.active_run() is None


def test_off_exclusive_and_inside_of_a_run() -> None:
    runlore.xgboost.autolog(exclusive=True)
    runlore.lightgbm.autolog(log_models=False)
    with runlore.start_run() as mine:
        xgboost.train({}, matrices()[0], 2)
        lightgbm.train(SMALL, lightgbm.Dataset(X, label=y), 2)
        assert runlore.active_run() is mine
    [run] = runs()
    assert run.data.params["num_leaves"] == "7"
    assert "maximize" not in run.data.params
    runlore.xgboost.autolog(disable=True)
    xgboost.train({}, matrices()[0], 2)
    assert len(runs()) == 1


def test_what_can_not_be_recorded_is_said_and_harms_nothing(caplog: pytest.LogCaptureFixture) -> None:
    runlore.xgboost.autolog(importance_types=["nosuch", "weight"])
    train, valid = matrices()
    with caplog.at_level(logging.WARNING, "runlore"):
        booster = xgboost.train({}, train, 3, evals=[(valid, "what?")], verbose_eval=False)
    assert booster.num_boosted_rounds() == 3
    assert "Unknown importance type" in caplog.text or "nosuch" in caplog.text
    [run] = runs()
    assert (run.info.status, "feature_importance_weight.json" in files(run)) == ("FINISHED", True)
    caplog.clear()
    runlore.xgboost.autolog(importance_types=["nosuch"], silent=True)
    xgboost.train({}, train, 1)
    assert caplog.text == ""


def test_a_search_over_an_estimator_is_scikit_learns() -> None:
    runlore.autolog(log_models=False, log_datasets=False)
    GridSearchCV(lightgbm.LGBMClassifier(n_estimators=2, verbose=-1), {"num_leaves": [3, 5]}, cv=2).fit(IRIS, KIND)
    assert {run.data.tags["mlflow.autologging"] for run in runs()} == {"sklearn"}
    assert len(runs()) == 3


def test_all_libraries_at_once_also_when_they_are_imported_later(tmp_path: Path) -> None:
    program = """
import runlore, sys
runlore.autolog(disable=True)
runlore.autolog(log_models=False)
assert not {"xgboost", "lightgbm", "statsmodels"} & set(sys.modules)
import numpy, xgboost
table = numpy.arange(40.0).reshape(20, 2)
xgboost.train({}, xgboost.DMatrix(table, label=table[:, 0]), 1)
runlore.autolog(exclude_flavors=["xgboost"], disable=True)
xgboost.train({}, xgboost.DMatrix(table, label=table[:, 0]), 1)
print([run.data.tags["mlflow.autologging"] for run in runlore.search_runs(output_format="list")])
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stdout) == (0, "['xgboost', 'xgboost']\n"), done.stderr


def test_an_unchanged_mlflow_script(tmp_path: Path) -> None:
    script = Path(__file__).parent / "scripts/train_boosters.py"
    command = [sys.executable, "-m", "runlore.cli.main", "run", "--as-mlflow", str(script)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "mlflow 111 Booster"
    boosted, fitted = runlore.search_runs(experiment_names=["boosters"], output_format="list", order_by=["start_time"])
    assert (boosted.info.run_name, len(history(boosted, "test-rmse"))) == ("xgb", 5)
    assert (fitted.data.tags["mlflow.autologging"], len(history(fitted, "valid_0-l2"))) == ("lightgbm", 5)
    names = {model.name for model in runlore.search_logged_models(output_format="list", experiment_ids=["1"])}
    assert names == {"model", "by-hand"}
