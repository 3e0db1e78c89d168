"""Evaluations: what is measured, drawn and logged, and what is refused. Values are compared with MLflow's in tests/compat."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

import runlore
import runlore.data
import runlore.metrics
import runlore.sklearn
from runlore.evaluation import EvaluationResult, MetricValue, ModelValidationFailedException
from runlore.exceptions import InvalidParameter, Untrusted
from runlore.models import MetricThreshold, evaluate, list_evaluators, make_metric

X, y = load_iris(return_X_y=True, as_frame=True)
TABLE = X.assign(target=y)
ANSWERS = pd.DataFrame({"truth": [1.0, 2.0, 4.0], "said": [1.0, 3.0, 4.0], "size": [10, 20, 30]})
STATIC: dict[str, Any] = {"data": ANSWERS, "targets": "truth", "predictions": "said", "model_type": "regressor"}


def files(run_id: str) -> list[str]:
    return sorted(item.path for item in runlore.MlflowClient().list_artifacts(run_id))


def test_a_classifier_is_measured_drawn_and_linked() -> None:
    with runlore.start_run() as run:
        info = runlore.sklearn.log_model(LogisticRegression(max_iter=500).fit(X, y), "iris")
        data = runlore.data.from_pandas(TABLE, targets="target", name="flowers")
        result = evaluate(info.model_uri, data, model_type="classifier", evaluator_config={"metric_prefix": "val_"})
    assert result.run_id == run.info.run_id
    logged = runlore.get_run(run.info.run_id)
    assert logged.data.metrics == pytest.approx(result.metrics)
    assert result.metrics["val_accuracy_score"] == result.metrics["val_score"] > 0.95
    plots = ["calibration_curve_plot", "confusion_matrix", "precision_recall_curve_plot", "roc_curve_plot"]
    assert files(result.run_id) == sorted(["val_per_class_metrics.csv", *(f"val_{name}.png" for name in plots)])
    assert all(result.artifacts[name].content.size == (864, 648) for name in plots)
    assert result.artifacts["per_class_metrics"].content["positive_class"].tolist() == [0, 1, 2]
    (given,) = logged.inputs.dataset_inputs
    assert (given.dataset.name, [(tag.key, tag.value) for tag in given.tags]) == ("flowers", [("mlflow.data.context", "val_")])
    assert [model.model_id for model in logged.inputs.model_inputs] == [info.model_id]
    point = next(item for item in logged.data.metric_list if item.key == "val_accuracy_score")
    assert (point.model_id, point.dataset_name) == (info.model_id, "flowers")


def test_without_a_run_there_is_one_for_the_call() -> None:
    result = evaluate(**STATIC)
    assert runlore.active_run() is None
    run = runlore.get_run(str(result.run_id))
    assert run.info.status == "FINISHED"
    assert run.data.metrics["max_error"] == 1.0


@pytest.mark.parametrize(
    ("model", "more"),
    [
        (lambda table: pd.DataFrame({"said": table["size"] * 0.0, "sure": 1.0}), {"predictions": "said"}),
        (lambda table: np.zeros((len(table), 1)), {}),
        (lambda table: [0] * len(table), {}),
    ],
)
def test_answers_of_every_form_are_predictions(model: Any, more: dict[str, Any]) -> None:
    result = evaluate(model, ANSWERS[["truth", "size"]], targets="truth", model_type="regressor", **more)
    assert result.metrics["max_error"] == 4.0


@pytest.mark.parametrize(
    ("data", "targets"),
    [
        (ANSWERS[["size"]].to_numpy(), ANSWERS["truth"].to_numpy()),
        ([[10], [20], [30]], [1.0, 2.0, 4.0]),
        (ANSWERS[["size"]], ANSWERS["truth"]),
        (runlore.data.from_numpy(ANSWERS[["size"]].to_numpy(), targets=ANSWERS["truth"].to_numpy()), None),
    ],
)
def test_data_of_every_form_is_taken(data: Any, targets: Any) -> None:
    seen = []
    result = evaluate(lambda table: (seen.append(list(table.columns)), table.iloc[:, 0] / 10)[1], data, targets=targets,
                      model_type="regressor")  # fmt: skip
    assert (result.metrics["max_error"], result.metrics["example_count"]) == (1.0, 3)
    assert seen in ([["size"]], [["feature_1"]])


def test_polars_tables_are_taken() -> None:
    assert evaluate(**{**STATIC, "data": pl.DataFrame(ANSWERS.to_dict("list"))}).metrics["max_error"] == 1.0


def error(predictions: Any, targets: Any) -> MetricValue:
    return MetricValue(scores=(predictions - targets).tolist(), justifications=["so"] * len(targets))


def test_own_metrics_get_what_they_ask_for_and_their_scores_become_a_table() -> None:
    def weighted(predictions: Any, size: Any, metrics: dict[str, MetricValue], factor: float, bonus: float = 0.5) -> float:
        assert metrics["error"].aggregate_results is not None
        return float((predictions * size).sum() * factor + metrics["error"].aggregate_results["mean"] + bonus)

    extra = [
        make_metric(eval_fn=error, greater_is_better=False),
        make_metric(eval_fn=weighted, greater_is_better=True, version="v2"),
        make_metric(eval_fn=lambda predictions: None, greater_is_better=True, name="nothing"),
        runlore.metrics.mae(),
    ]
    result = evaluate(**{**STATIC, "model_type": None}, extra_metrics=extra, evaluator_config={"col_mapping": {"factor": 2}})
    assert result.metrics == pytest.approx({
        "error/mean": 1 / 3, "error/variance": 2 / 9, "error/p90": 0.8, "weighted/v2": 380 + 1 / 3 + 0.5,
        "mean_absolute_error": 1 / 3,
    })  # fmt: skip
    table = result.tables["eval_results_table"]
    assert list(table.columns) == ["size", "truth", "said", "error/score", "error/justification"]
    assert table["error/score"].tolist() == [0.0, 1.0, 0.0]
    assert runlore.load_table("eval_results_table.json", [str(result.run_id)])["size"].tolist() == [10, 20, 30]


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (lambda predictions, unheard: 1.0, r"asks for \['unheard'\]; there are .*'size'.*col_mapping"),
        (lambda predictions, targets: 1 / 0, r"'mine' failed: ZeroDivisionError"),
    ],
)
def test_a_metric_that_can_not_be_had_is_named(function: Any, why: str) -> None:
    with pytest.raises(InvalidParameter, match=why):
        evaluate(**STATIC, extra_metrics=[make_metric(eval_fn=function, greater_is_better=True, name="mine")])


def test_functions_of_a_table_and_what_was_measured_may_name_them_as_they_like() -> None:
    def furthest(table: Any, _measured: dict[str, float]) -> float:
        return float((table["prediction"] - table["target"]).abs().max() + _measured["max_error"])

    result = evaluate(**STATIC, extra_metrics=[make_metric(eval_fn=furthest, greater_is_better=False)])
    assert result.metrics["furthest"] == 2 * result.metrics["max_error"] > 0


def made(eval_df: Any, builtin_metrics: dict[str, float], artifacts_dir: str) -> dict[str, Any]:
    from matplotlib.figure import Figure

    figure = Figure()
    figure.subplots().plot(eval_df["target"], eval_df["prediction"])
    path = Path(artifacts_dir, "notes.txt")
    path.write_text(f"{builtin_metrics['max_error']}")
    return {
        "curve": figure, "frame": eval_df, "array": np.arange(3), "facts": {"a": [1]}, "words": "many words", "notes": path,
        "json": "[1, 2]", "thing": {1, 2},
    }  # fmt: skip


def test_own_files_are_kept_saved_and_loaded(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    result = evaluate(**STATIC, custom_artifacts=[made])
    assert "'thing' is a set, which is kept as a pickle" in caplog.text
    names = ["array.npy", "curve.png", "facts.json", "frame.csv", "json.json", "notes.txt", "thing.pickle", "words.txt"]
    assert files(str(result.run_id)) == names
    result.save(tmp_path / "result")
    for found in (EvaluationResult.load(tmp_path / "result"), result):
        contents = {name: item.content for name, item in found.artifacts.items() if name != "thing"}
        assert contents["array"].tolist() == [0, 1, 2]
        assert contents["frame"]["prediction"].tolist() == [1.0, 3.0, 4.0]
        assert (contents["facts"], contents["words"], contents["notes"], contents["json"]) == (
            {"a": [1]}, "many words", "1.0", [1, 2],
        )  # fmt: skip
        assert contents["curve"].format in (None, "PNG")
        assert found.metrics == result.metrics
    with pytest.raises(Untrusted, match="allow_pickle=True"):
        _ = EvaluationResult.load(tmp_path / "result").artifacts["thing"].content
    assert EvaluationResult.load(tmp_path / "result", allow_pickle=True).artifacts["thing"].content == {1, 2}
    facts = tmp_path / "result/artifacts_metadata.json"
    facts.write_text(facts.read_text().replace('"array"', '"../../array"'))
    with pytest.raises(InvalidParameter):
        EvaluationResult.load(tmp_path / "result")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"model_type": "text"}, "language models"),
        ({"model_type": "clusterer"}, "Unknown model_type 'clusterer'"),
        ({"model_type": None}, "only extra_metrics are measured"),
        ({"targets": None}, "give `targets`"),
        ({"targets": "nothing"}, "no column 'nothing' of targets"),
        ({"predictions": None}, "Nothing to evaluate"),
        ({"data": None}, "needs data"),
        ({"data": [1, 2]}, "two dimensions"),
        ({"model": LogisticRegression()}, "Pass model.predict"),
        ({"model": "endpoints:/x"}, "Endpoints are not evaluated"),
        ({"model": lambda table: [1]}, "3 rows of data and 1 predictions"),
        ({"model": lambda table: pd.DataFrame({"a": [1], "b": [1]}), "predictions": None}, r"columns \['a', 'b'\]"),
        ({"evaluators": "mine"}, "Unknown evaluators"),
        ({"evaluators": ["classifier"]}, "can not evaluate a model of type 'regressor'"),
        ({"evaluator_config": {"averages": 1}}, r"Unknown options \['averages'\]"),
        ({"env_manager": "conda"}, "in this environment"),
        ({"model_type": "classifier", "data": ANSWERS.assign(truth=1, said=1)}, "at least two labels"),
        ({"extra_metrics": [error]}, "made by make_metric"),
        ({"custom_artifacts": [lambda *_: 3]}, "files or values by name"),
    ],
)
def test_what_can_not_be_evaluated_is_refused(change: dict[str, Any], why: str) -> None:
    with pytest.raises(InvalidParameter, match=why):
        evaluate(**{**STATIC, **change})


def test_a_lambda_needs_a_name() -> None:
    with pytest.raises(InvalidParameter, match="needs a name"):
        make_metric(eval_fn=lambda predictions: 1, greater_is_better=True)
    assert list_evaluators() == ["default", "classifier", "regressor", "shap"]


# -- thresholds ---------------------------------------------------------------------------------------------------------------

BETTER, BEFORE = EvaluationResult({"a": 1.1, "loss": 0.5}, {}), EvaluationResult({"a": 1.0, "loss": 1.0, "zero": 0.0}, {})


@pytest.mark.parametrize(
    ("name", "threshold", "good"),
    [
        ("a", MetricThreshold(threshold=1.1, greater_is_better=True), True),
        ("a", MetricThreshold(threshold=1.2, greater_is_better=True), False),
        ("a", MetricThreshold(threshold=1.2, greater_is_better=False), True),
        ("a", MetricThreshold(min_absolute_change=0.1, greater_is_better=True), True),
        ("a", MetricThreshold(min_absolute_change=0.11, greater_is_better=True), False),
        ("a", MetricThreshold(min_relative_change=0.1, greater_is_better=True), True),
        ("loss", MetricThreshold(min_relative_change=0.5, greater_is_better=False), True),
        ("loss", MetricThreshold(min_relative_change=0.51, greater_is_better=False), False),
        ("loss", MetricThreshold(min_absolute_change=0.1, greater_is_better=True), False),
        ("other", MetricThreshold(threshold=1, greater_is_better=True), False),
    ],
)
def test_thresholds_are_reached_or_not(name: str, threshold: MetricThreshold, good: bool) -> None:
    if good:
        runlore.validate_evaluation_results({name: threshold}, BETTER, BEFORE)
        return
    with pytest.raises(ModelValidationFailedException, match=name):
        runlore.validate_evaluation_results({name: threshold}, BETTER, BEFORE)


def test_a_change_needs_a_baseline_and_every_failure_is_told() -> None:
    changes = {name: MetricThreshold(min_relative_change=0.1, greater_is_better=True) for name in ("a", "loss")}
    with pytest.raises(ModelValidationFailedException, match=r"(?s)a: there is no value.*loss: there is no value"):
        runlore.validate_evaluation_results(changes, BETTER)
    against_zero = EvaluationResult({"zero": 0.1}, {})
    rule = {"zero": MetricThreshold(min_relative_change=0.9, greater_is_better=True)}
    runlore.validate_evaluation_results(rule, against_zero, BEFORE)
    with pytest.raises(ModelValidationFailedException, match="not better than the baseline's 0"):
        runlore.validate_evaluation_results(rule, EvaluationResult({"zero": 0.0}, {}), BEFORE)
    with pytest.raises(InvalidParameter, match="dictionary of MetricThresholds"):
        runlore.validate_evaluation_results({"a": 1}, BETTER)  # type: ignore[dict-item]


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"threshold": 1},
        {"threshold": "x", "greater_is_better": True},
        {"min_absolute_change": 0, "greater_is_better": True},
        {"min_relative_change": 2, "greater_is_better": True},
        {"greater_is_better": True},
    ],
)
def test_a_threshold_that_says_nothing_is_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(InvalidParameter, match="Not a MetricThreshold"):
        MetricThreshold(**arguments)
