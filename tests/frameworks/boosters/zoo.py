"""One fitted model of each kind, with data to predict, as MLflow and Runlore are both given them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.datasets import load_diabetes, load_iris

IRIS, KIND = load_iris(return_X_y=True, as_frame=True)
PATIENTS, PROGRESS = load_diabetes(return_X_y=True, as_frame=True)
SERIES = np.sin(np.arange(60)) + 0.1 * np.arange(60)


class Kept(NamedTuple):
    """A model, the framework that keeps it, and what it is asked."""

    framework: str
    model: Any
    data: Any
    file: str
    flavor: dict[str, Any]
    """What the `MLmodel` file says of it, beside versions."""
    needs_consent: bool = False


def xgboost_booster() -> Kept:
    import xgboost

    model = xgboost.train({"max_depth": 3}, xgboost.DMatrix(PATIENTS, label=PROGRESS), 3)
    about = {"data": "model.ubj", "model_class": "xgboost.core.Booster", "model_format": "ubj", "code": None}
    return Kept("xgboost", model, PATIENTS.head(3), "model.ubj", about)


def xgboost_classifier() -> Kept:
    import xgboost

    about = {"data": "model.ubj", "model_class": "xgboost.sklearn.XGBClassifier", "model_format": "ubj", "code": None}
    return Kept("xgboost", xgboost.XGBClassifier(n_estimators=3).fit(IRIS, KIND), IRIS.head(3), "model.ubj", about)


def lightgbm_booster() -> Kept:
    import lightgbm

    model = lightgbm.train({"objective": "regression", "verbose": -1}, lightgbm.Dataset(PATIENTS, label=PROGRESS), 3)
    about = {"data": "model.lgb", "model_class": "lightgbm.basic.Booster", "serialization_format": "skops", "code": None}
    return Kept("lightgbm", model, PATIENTS.head(3), "model.lgb", about)


def lightgbm_classifier() -> Kept:
    import lightgbm

    model = lightgbm.LGBMClassifier(n_estimators=3, verbose=-1).fit(IRIS, KIND)
    about = {
        "data": "model.skops", "model_class": "lightgbm.sklearn.LGBMClassifier", "serialization_format": "skops", "code": None,
    }  # fmt: skip
    return Kept("lightgbm", model, IRIS.head(3), "model.skops", about)


def catboost_classifier() -> Kept:
    import catboost

    model = catboost.CatBoostClassifier(iterations=3, verbose=0, allow_writing_files=False).fit(IRIS, KIND)
    about = {"data": "model.cb", "model_type": "CatBoostClassifier", "save_format": "cbm", "code": None}
    return Kept("catboost", model, IRIS.head(3), "model.cb", about)


def catboost_plain() -> Kept:
    import catboost

    settings = {"iterations": 3, "verbose": 0, "loss_function": "RMSE", "allow_writing_files": False}
    about = {"data": "model.cb", "model_type": "CatBoost", "save_format": "cbm", "code": None}
    return Kept("catboost", catboost.CatBoost(settings).fit(PATIENTS, PROGRESS), PATIENTS.head(3), "model.cb", about)


def statsmodels_ols() -> Kept:
    import statsmodels.api as sm

    data = sm.add_constant(PATIENTS)
    about = {"data": "model.statsmodels", "code": None}
    return Kept("statsmodels", sm.OLS(PROGRESS, data).fit(), data.head(3), "model.statsmodels", about, True)


def statsmodels_arima() -> Kept:
    from statsmodels.tsa.arima.model import ARIMA

    days = pd.date_range("2024-01-01", periods=60, freq="D")
    model = ARIMA(pd.Series(SERIES, index=days), order=(1, 0, 0)).fit()
    asked = pd.DataFrame({"start": [60], "end": [64]})
    return Kept("statsmodels", model, asked, "model.statsmodels", {"data": "model.statsmodels", "code": None}, True)


def onnx_sum() -> Kept:
    """Two inputs, and a tensor that is large enough to lie in a file beside the model."""
    from onnx import TensorProto, helper, numpy_helper

    large = numpy_helper.from_array(np.arange(1000, dtype=np.float32), "large")
    nodes = [helper.make_node("Add", ["a", "b"], ["c"]), helper.make_node("ReduceMax", ["large"], ["m"], keepdims=1),
             helper.make_node("Add", ["c", "m"], ["sum"])]  # fmt: skip
    ins = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows"]) for name in ("a", "b")]
    outs = [helper.make_tensor_value_info("sum", TensorProto.FLOAT, ["rows"])]
    graph = helper.make_graph(nodes, "sum", ins, outs, [large])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    about = {
        "data": "model.onnx", "providers": ["CUDAExecutionProvider", "CPUExecutionProvider"], "onnx_session_options": None,
        "code": None,
    }  # fmt: skip
    data = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]}, dtype="float32")
    return Kept("onnx", model, data, "model.onnx", about)


def pmdarima_arima() -> Kept:
    import pmdarima

    asked = pd.DataFrame({"n_periods": [3], "return_conf_int": [True], "alpha": [0.1]})
    about = {"data": "model.pmd", "model_type": "ARIMA", "code": None}
    return Kept("pmdarima", pmdarima.ARIMA((1, 0, 0)).fit(SERIES), asked, "model.pmd", about, True)


def prophet_line() -> Kept:
    import prophet

    logging.getLogger("cmdstanpy").disabled = True
    table = pd.DataFrame({"ds": pd.date_range("2024-01-01", periods=60), "y": np.arange(60.0)})
    model = prophet.Prophet(uncertainty_samples=0).fit(table)
    about = {"data": "model.pr", "model_type": "Prophet", "code": None}
    return Kept("prophet", model, model.make_future_dataframe(3).tail(3), "model.pr", about)


MAKERS: dict[str, Callable[[], Kept]] = {
    maker.__name__: maker
    for maker in (
        xgboost_booster, xgboost_classifier, lightgbm_booster, lightgbm_classifier, catboost_classifier, catboost_plain,
        statsmodels_ols, statsmodels_arima, onnx_sum, pmdarima_arima, prophet_line,
    )
}  # fmt: skip


@cache
def kept(name: str) -> Kept:
    """The model of that name, fitted once."""
    return MAKERS[name]()


def plain(prediction: Any) -> Any:
    """Numbers of a prediction, in whatever form it came."""
    if isinstance(prediction, dict):
        return {name: plain(value) for name, value in prediction.items()}
    if isinstance(prediction, pd.DataFrame):
        numbers = prediction.select_dtypes("number")
        return {str(name): plain(numbers[name]) for name in numbers.columns}
    return [round(value, 6) for value in np.asarray(prediction, dtype=float).ravel().tolist()]
