"""Models as functions: predictions that respect the signature, and models written by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from scipy.sparse import csr_matrix
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

import runlore.pyfunc
import runlore.sklearn
from runlore.exceptions import InvalidParameter, Untrusted
from runlore.models import ModelSignature, infer_signature
from runlore.models.enforce import enforce_params, enforce_schema
from runlore.models.manifest import MANIFEST_FILE
from runlore.settings import settings
from runlore.types import Array, ColSpec, ParamSchema, ParamSpec, Schema, TensorSpec

X, y = load_iris(return_X_y=True, as_frame=True)


@pytest.fixture(scope="module")
def model() -> Any:
    """A fitted classifier."""
    return LogisticRegression(max_iter=500).fit(X, y)


def test_a_model_predicts_by_its_signature(model: Any, tmp_path: Path) -> None:
    runlore.sklearn.save_model(model, tmp_path / "model", signature=infer_signature(X, y))
    loaded = runlore.pyfunc.load_model(tmp_path / "model")
    shuffled = X[X.columns[::-1]].assign(more=1)
    assert np.array_equal(loaded.predict(shuffled), model.predict(X))
    assert np.array_equal(loaded.predict(X.to_dict("list")), model.predict(X))
    assert isinstance(loaded.get_raw_model(), LogisticRegression)
    assert loaded.metadata.signature == infer_signature(X, y)
    with pytest.raises(InvalidParameter, match=r"missing inputs \['sepal length \(cm\)'\]"):
        loaded.predict(X.drop(columns="sepal length (cm)"))
    with pytest.raises(InvalidParameter, match=r"Can not safely convert .* to double"):
        loaded.predict(X.assign(**{"petal width (cm)": "wide"}))


def test_the_chosen_prediction_is_used(model: Any, tmp_path: Path) -> None:
    runlore.sklearn.save_model(model, tmp_path / "model", pyfunc_predict_fn="predict_proba")
    assert runlore.pyfunc.load_model(tmp_path / "model").predict(X).shape == (150, 3)


@pytest.mark.parametrize("change", [{"loader_module": "os"}, {"predict_fn": "__class__"}])
def test_the_file_does_not_choose_what_is_imported_or_called(model: Any, change: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "model"
    runlore.sklearn.save_model(model, path)
    content = yaml.safe_load((path / "MLmodel").read_text())
    content["flavors"]["python_function"] |= change
    (path / "MLmodel").write_text(yaml.safe_dump(content))
    (path / MANIFEST_FILE).unlink()
    with pytest.raises(InvalidParameter):
        runlore.pyfunc.load_model(path, allow_pickle=True)


class Adder(runlore.pyfunc.PythonModel):
    """Adds what its artifact says."""

    def load_context(self, context: Any) -> None:
        self.amount = int(Path(context.artifacts["amount"]).read_text())

    def predict(self, context: Any, model_input: Any, params: dict[str, Any] | None = None) -> Any:
        return model_input + self.amount * (params or {}).get("times", 1)


def test_a_model_written_by_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    amount = tmp_path / "amount.txt"
    amount.write_text("5")
    signature = infer_signature(np.zeros(1), params={"times": 1})
    info = runlore.pyfunc.log_model("adder", python_model=Adder(), artifacts={"amount": str(amount)}, signature=signature)
    amount.unlink()
    loaded = runlore.pyfunc.load_model(info.model_uri)
    assert loaded.predict(np.array([1.0])).tolist() == [6.0]
    assert loaded.predict(np.array([1.0]), params={"times": 2}).tolist() == [11.0]
    assert isinstance(loaded.unwrap_python_model(), Adder)
    with pytest.raises(InvalidParameter, match="has no parameters"):
        loaded.predict(np.array([1.0]), params={"other": 2})
    monkeypatch.setenv("RUNLORE_CONFIG_DIR", str(tmp_path / "stranger"))
    settings.cache_clear()
    with pytest.raises(Untrusted, match="allow_pickle=True"):
        runlore.pyfunc.load_model(info.model_uri)
    assert runlore.pyfunc.load_model(info.model_uri, allow_pickle=True).predict(np.array([1.0])).tolist() == [6.0]


def test_a_function_is_a_model_too(tmp_path: Path) -> None:
    runlore.pyfunc.save_model(tmp_path / "model", python_model=lambda data: data * 2, input_example=np.ones(2))
    loaded = runlore.pyfunc.load_model(tmp_path / "model")
    assert loaded.predict(np.ones(2)).tolist() == [2.0, 2.0]
    assert loaded.metadata.signature == infer_signature(np.ones(2), np.ones(2))
    with pytest.raises(InvalidParameter, match="must be a PythonModel, a function"):
        runlore.pyfunc.save_model(tmp_path / "other", python_model=3)


# -- enforcement ------------------------------------------------------------------------------------------------------------


def one(kind: Any, required: bool = True) -> Schema:
    return Schema([ColSpec(kind, "a", required)])


@pytest.mark.parametrize(
    ("kind", "values", "dtype"),
    [
        ("long", [1, 2], "int64"),
        ("long", [1.0, 2.0], "int64"),
        ("long", [1.0, None], "float64"),
        ("integer", [1, None, 3], "float64"),
        ("double", [1, 2], "float64"),
        ("double", [1.5, None], "float64"),
        ("float", [1.5], "float32"),
        ("string", ["x", None], None),
        ("boolean", [True, False], "bool"),
        ("boolean", [True, None], "object"),
        ("datetime", ["2024-01-02"], None),
        ("binary", [b"x"], "object"),
        (Array("long"), [[1], [2, 3]], "object"),
    ],
)
def test_values_that_fit_are_taken_gaps_included(kind: Any, values: list[Any], dtype: str | None) -> None:
    column = enforce_schema(pd.DataFrame({"a": values}), one(kind))["a"]
    assert len(column) == len(values)
    assert column.isna().tolist() == [value is None for value in values]
    assert dtype is None or column.dtype == dtype


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("long", [1.5]),
        ("long", ["1"]),
        ("integer", [2**40]),
        ("double", ["x"]),
        ("string", [1]),
        ("boolean", [1]),
        ("datetime", [1]),
    ],
)
def test_values_that_do_not_fit_are_refused(kind: str, values: list[Any]) -> None:
    with pytest.raises(InvalidParameter, match="Can not safely convert"):
        enforce_schema(pd.DataFrame({"a": values}), one(kind))


def test_optional_columns_may_be_missing() -> None:
    schema = Schema([ColSpec("long", "a"), ColSpec("long", "b", required=False)])
    assert list(enforce_schema(pd.DataFrame({"a": [1]}), schema).columns) == ["a"]


def test_columns_without_names_are_counted() -> None:
    schema = Schema([ColSpec("double"), ColSpec("double")])
    assert enforce_schema(np.ones((2, 3)), schema).shape == (2, 2)
    with pytest.raises(InvalidParameter, match="2 columns expected, got 1"):
        enforce_schema(np.ones((2, 1)), schema)


def test_arrays_are_held_to_type_and_shape() -> None:
    schema = Schema([TensorSpec(np.dtype("float32"), (-1, 2))])
    assert enforce_schema(np.ones((3, 2)), schema).dtype == np.float32
    assert enforce_schema([[1, 2]], Schema([TensorSpec(np.dtype("int64"), (-1, 2))])).shape == (1, 2)
    assert enforce_schema(csr_matrix(np.ones((3, 2))), schema).shape == (3, 2)
    with pytest.raises(InvalidParameter, match="Shape of input"):
        enforce_schema(np.ones((3, 3)), schema)
    with pytest.raises(InvalidParameter, match="dtype of input"):
        enforce_schema(np.ones((3, 2)), Schema([TensorSpec(np.dtype("int64"), (-1, 2))]))
    named = Schema([TensorSpec(np.dtype("float64"), (-1,), "x")])
    assert list(enforce_schema({"x": np.ones(2), "z": 1}, named)) == ["x"]
    with pytest.raises(InvalidParameter, match=r"missing inputs \['x'\]"):
        enforce_schema({"z": 1}, named)


def test_without_a_signature_nothing_is_touched() -> None:
    given = object()
    assert enforce_schema(given, None) is given
    assert enforce_params({"a": 1}, None) == {"a": 1}


def test_parameters_have_their_defaults_and_types() -> None:
    schema = ParamSchema([ParamSpec("n", "double", 1.5), ParamSpec("names", "string", ["x"], (-1,))])
    assert enforce_params({"n": 2}, schema) == {"n": 2.0, "names": ["x"]}
    with pytest.raises(InvalidParameter, match="must be of type double"):
        enforce_params({"n": "many"}, schema)
    with pytest.raises(ValueError, match="at least one"):
        ModelSignature()
