"""Fits of scikit-learn's estimators become runs. The expected values are what MLflow 3.17 records of the same fits."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.cluster import KMeans
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier
from tests.running import forget_environment

import runlore
from runlore.client.connection import close_stores
from runlore.entities import Run

IRIS = load_iris(return_X_y=True)


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    forget_environment(monkeypatch)
    runlore.set_tracking_uri(tmp_path / "store")
    yield
    runlore.sklearn.autolog(disable=True)
    while runlore.active_run():
        runlore.end_run()
    close_stores()


def runs() -> list[Run]:
    """All runs, oldest first."""
    return runlore.search_runs(search_all_experiments=True, output_format="list")[::-1]


def files(run: Run) -> set[str]:
    return {info.path for info in runlore.MlflowClient().list_artifacts(run.info.run_id)}


def approximately(expected: dict[str, float]) -> Any:
    return pytest.approx(expected, rel=1e-3)


def test_a_classifier() -> None:
    runlore.sklearn.autolog()
    model = LogisticRegression(max_iter=500).fit(*IRIS)
    [run] = runs()
    assert run.info.status == "FINISHED"
    assert run.data.params["max_iter"] == "500"
    assert len(run.data.params) == len(model.get_params())
    assert run.data.metrics == approximately(
        {
            "training_precision_score": 0.97382, "training_recall_score": 0.97333, "training_f1_score": 0.97332,
            "training_accuracy_score": 0.97333, "training_log_loss": 0.11955, "training_roc_auc": 0.9984,
            "training_score": 0.97333,
        }
    )  # fmt: skip
    tags = run.data.tags
    assert (tags["mlflow.autologging"], tags["estimator_name"]) == ("sklearn", "LogisticRegression")
    assert tags["estimator_class"] == "sklearn.linear_model._logistic.LogisticRegression"
    assert files(run) == {"estimator.html", "training_confusion_matrix.png"}
    [data] = run.inputs.dataset_inputs
    assert {tag.key: tag.value for tag in data.tags} == {"mlflow.data.context": "train"}
    loaded = runlore.sklearn.load_model(f"runs:/{run.info.run_id}/model")
    assert (loaded.predict(IRIS[0]) == model.predict(IRIS[0])).all()
    assert runlore.models.get_model_info(f"runs:/{run.info.run_id}/model").signature is not None


def test_two_classes_have_two_pictures_more() -> None:
    runlore.sklearn.autolog(log_models=False)
    DecisionTreeClassifier(max_depth=2, random_state=0).fit(*load_breast_cancer(return_X_y=True))
    [run] = runs()
    assert files(run) >= {"training_roc_curve.png", "training_precision_recall_curve.png"}
    assert run.outputs.model_outputs == []


def test_a_pipeline_is_one_training() -> None:
    runlore.sklearn.autolog(log_models=False)
    make_pipeline(StandardScaler(), LinearRegression()).fit(*load_diabetes(return_X_y=True))
    [run] = runs()
    assert run.data.params["linearregression__fit_intercept"] == "True"
    assert run.data.metrics == approximately(
        {
            "training_mean_squared_error": 2859.696, "training_mean_absolute_error": 43.277, "training_r2_score": 0.51775,
            "training_root_mean_squared_error": 53.476, "training_score": 0.51775,
        }
    )  # fmt: skip


def test_a_search_has_runs_of_its_best_candidates_below_it() -> None:
    runlore.sklearn.autolog(max_tuning_runs=2)
    GridSearchCV(LogisticRegression(max_iter=500), {"C": [0.1, 1, 10]}, cv=3).fit(*IRIS)
    search, *candidates = sorted(runs(), key=lambda run: "mlflow.parentRunId" in run.data.tags)
    assert search.data.params["best_C"] == "1"
    assert "estimator__C" not in search.data.params
    assert search.data.metrics["best_cv_score"] == pytest.approx(0.97333, rel=1e-3)
    assert files(search) == {"cv_results.csv", "estimator.html", "training_confusion_matrix.png"}
    assert len(search.outputs.model_outputs) == 2
    table = runlore.artifacts.load_text(f"runs:/{search.info.run_id}/cv_results.csv").splitlines()
    assert len(table) == 4
    assert {run.data.tags["mlflow.parentRunId"] for run in candidates} == {search.info.run_id}
    assert {run.data.params["C"] for run in candidates} == {"1", "10"}
    assert {run.data.metrics["rank_test_score"] for run in candidates} == {1}


def test_what_only_prepares_data_is_no_training() -> None:
    runlore.sklearn.autolog(log_models=False)
    StandardScaler().fit(IRIS[0])
    assert runs() == []
    KMeans(3, n_init=1).fit_predict(IRIS[0])
    [run] = runs()
    assert (run.data.metrics, run.data.params["n_clusters"]) == ({}, "3")


def test_a_fit_in_a_run_of_ones_own_goes_there_unless_exclusive() -> None:
    runlore.sklearn.autolog(log_models=False, extra_tags={"team": "a"})
    with runlore.start_run() as mine:
        LogisticRegression(max_iter=500).fit(*IRIS)
        assert runlore.active_run() is mine
    [run] = runs()
    assert (run.data.tags["team"], "training_score" in run.data.metrics) == ("a", True)
    runlore.sklearn.autolog(exclusive=True)
    with runlore.start_run() as other:
        LogisticRegression(max_iter=500).fit(*IRIS)
    assert runlore.get_run(other.info.run_id).data.params == {}


def test_it_can_be_turned_off() -> None:
    runlore.sklearn.autolog()
    runlore.sklearn.autolog(disable=True)
    LogisticRegression(max_iter=500).fit(*IRIS)
    assert runs() == []


def test_a_fit_that_fails_raises_as_ever_and_fails_its_run() -> None:
    runlore.sklearn.autolog()
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        LogisticRegression().fit(IRIS[0], IRIS[1][:10])
    assert [run.info.status for run in runs()] == ["FAILED"]
    assert runlore.active_run() is None


def test_signatures_of_methods_stay() -> None:
    import inspect

    before = inspect.signature(LogisticRegression.fit)
    runlore.sklearn.autolog()
    assert inspect.signature(LogisticRegression.fit) == before


class Stubborn(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """An estimator whose predictions fail: what autologging asks of it can not be had."""

    def fit(self, X: Any, y: Any) -> Stubborn:
        self.classes_ = numpy.unique(y)
        return self

    def predict(self, X: Any) -> Any:
        raise RuntimeError("not now")


def test_what_can_not_be_recorded_is_said_and_harms_nothing(caplog: pytest.LogCaptureFixture) -> None:
    runlore.sklearn.autolog()
    with caplog.at_level(logging.WARNING, "runlore"):
        model = make_pipeline(StandardScaler(), Stubborn()).fit(*IRIS)
    assert model[-1].classes_.tolist() == [0, 1, 2]
    assert "Autologging left something out: RuntimeError: not now" in caplog.text
    assert [run.info.status for run in runs()] == ["FINISHED"]
    caplog.clear()
    runlore.sklearn.autolog(silent=True)
    make_pipeline(StandardScaler(), Stubborn()).fit(*IRIS)
    assert caplog.text == ""


def test_all_libraries_at_once_also_when_they_are_imported_later(tmp_path: Path) -> None:
    program = """
import runlore, sys
runlore.autolog(log_models=False)
assert "sklearn" not in sys.modules
from sklearn.linear_model import LinearRegression
LinearRegression().fit([[0], [1]], [0, 1])
[run] = runlore.search_runs(output_format="list")
print(run.data.tags["estimator_name"])
runlore.autolog(disable=True)
LinearRegression().fit([[0], [1]], [0, 1])
runlore.autolog(exclude_flavors=["sklearn"])
LinearRegression().fit([[0], [1]], [0, 1])
print(len(runlore.search_runs(output_format="list")))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stdout) == (0, "LinearRegression\n1\n"), done.stderr
