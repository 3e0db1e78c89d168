"""Evaluate models in many ways; print the metrics, files and tables of each as JSON. Runs with MLflow and with Runlore."""

import json
from pathlib import Path

import matplotlib as mpl
import mlflow
import mlflow.sklearn
import numpy as np
import pandas as pd
from mlflow.models import MetricThreshold, make_metric
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.linear_model import LinearRegression, LogisticRegression

mpl.use("Agg")
X3, y3 = load_iris(return_X_y=True, as_frame=True)
X2, y2 = load_breast_cancer(return_X_y=True, as_frame=True)
X2 = X2.iloc[:, :3]
XR, yR = load_diabetes(return_X_y=True, as_frame=True)
three = LogisticRegression(max_iter=500).fit(X3, y3)
two = LogisticRegression(max_iter=5000).fit(X2, y2)
line = LinearRegression().fit(XR, yR)
T3, T2, TR = X3.assign(target=y3), X2.assign(target=y2), XR.assign(target=yR)
plain = {"log_model_explainability": False}
answers = {}


def evaluated(name, *arguments, config=None, **more):
    with mlflow.start_run() as run:
        result = mlflow.evaluate(
            *arguments, targets=more.pop("targets", "target"), evaluator_config={**plain, **(config or {})}, **more
        )
    logged = mlflow.get_run(run.info.run_id).data.metrics
    answers[name] = {
        "metrics": {key: float(value) for key, value in result.metrics.items()},
        "logged": logged,
        "artifacts": {key: Path(item.uri).name for key, item in result.artifacts.items()},
        "tables": {key: table.to_dict("list") for key, table in result.tables.items()},
        "per_class": result.artifacts["per_class_metrics"].content.to_dict("list")
        if "per_class_metrics" in result.artifacts
        else 0,
    }
    return result


def error(predictions, targets):
    return mlflow.metrics.MetricValue(scores=(predictions - targets).tolist())


def share(predictions, targets, metrics, bmi, factor):
    return float((predictions * bmi).mean() * factor + metrics["r2_score"].aggregate_results["r2_score"])


def old_style(eval_df, builtin_metrics):
    return float((eval_df["prediction"] - eval_df["target"]).abs().max() - builtin_metrics["max_error"])


with mlflow.start_run():
    logged = {}
    for name, model in (("three", three), ("two", two), ("line", line)):
        logged[name] = mlflow.sklearn.log_model(model, name, serialization_format="cloudpickle").model_uri

classifier, regressor = {"model_type": "classifier"}, {"model_type": "regressor"}
evaluated("many classes", logged["three"], T3, config={"max_classes_for_multiclass_roc_pr": 2}, **classifier)
evaluated("two classes", logged["two"], T2, **classifier)
chosen = {"pos_label": 0, "metric_prefix": "val_", "sample_weights": np.arange(1, len(T2) + 1)}
evaluated("two classes, the other, weighted", logged["two"], T2, config=chosen, **classifier)
evaluated("words", data=pd.DataFrame({"t": list("abca"), "p": list("abcb")}), targets="t", predictions="p", **classifier)
evaluated("a third label", data=pd.DataFrame({"t": [1, 0, 1], "p": [1, 0, 2]}), targets="t", predictions="p", **classifier)
result = evaluated(
    "a line, measured further", logged["line"], TR, config={"col_mapping": {"factor": 2}}, **regressor,
    extra_metrics=[
        make_metric(eval_fn=error, greater_is_better=False, version="v1"),
        make_metric(eval_fn=share, greater_is_better=True),
        make_metric(eval_fn=old_style, greater_is_better=False, name="old"),
    ],
)  # fmt: skip
evaluated("a line, weighted", logged["line"], TR, config={"sample_weights": np.arange(1, len(TR) + 1)}, **regressor)
evaluated("answers", data=TR.assign(p=line.predict(XR)), predictions="p", **regressor)
evaluated("only what is asked for", logged["line"], TR, extra_metrics=[mlflow.metrics.mae()])
mlflow.validate_evaluation_results({"r2_score": MetricThreshold(threshold=0.5, greater_is_better=True)}, result)
result.save("result")
print(json.dumps(answers))
