"""What is asked of a saved model besides predictions: does it understand a request, what does it need, what may be changed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression

import runlore
import runlore.pyfunc
import runlore.sklearn
from runlore.exceptions import InvalidParameter, MlflowException, RestException, RunloreError, get_error_code
from runlore.models import (
    Model,
    get_model_info,
    infer_pip_requirements,
    infer_signature,
    update_model_requirements,
    validate_schema,
    validate_serving_input,
)
from runlore.models.manifest import MANIFEST_FILE
from runlore.models.trust import LocalModel
from runlore.types import ColSpec, DataType, ParamSpec, Schema, TensorSpec

X = pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": [0.5, 0.25, 1.0]})
y = pd.Series([2.0, 4.0, 6.0], name="y")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A saved model with an input example."""
    runlore.sklearn.save_model(LinearRegression().fit(X, y), tmp_path / "model", input_example=X.head(2))
    return tmp_path / "model"


def test_a_request_is_tried_before_it_is_served(place: Path) -> None:
    model = Model.load(place)
    request = model.get_serving_input(str(place))
    assert request is not None
    assert np.allclose(validate_serving_input(place, request), [2.0, 4.0])
    assert np.allclose(validate_serving_input(place, {"dataframe_records": [{"a": 3, "b": 1}]}), [6.0])
    with pytest.raises(RunloreError, match="missing inputs"):
        validate_serving_input(place, {"dataframe_records": [{"a": 3}]})
    with pytest.raises(RunloreError):
        validate_serving_input(place, json.dumps({"rows": []}))


def test_data_are_held_against_a_schema() -> None:
    schema = infer_signature(X).inputs
    assert schema is not None
    validate_schema(X, schema)
    with pytest.raises(InvalidParameter, match=r"missing inputs \['b'\]"):
        validate_schema(X[["a"]], schema)


def test_another_process_says_what_a_model_needs(place: Path) -> None:
    found = infer_pip_requirements(place, "sklearn")
    names = {requirement.partition("==")[0] for requirement in found}
    assert {"scikit-learn", "skops", "scipy"} <= names
    assert not {"runlore", "pytest"} & names
    assert all("==" in requirement for requirement in found)


def test_what_can_not_be_loaded_has_its_usual_requirements(place: Path) -> None:
    (place / "model.skops").write_bytes(b"")
    (place / MANIFEST_FILE).unlink()
    with pytest.warns(UserWarning, match=r"its usual ones.* in another process failed"):
        assert infer_pip_requirements(place, "sklearn", fallback=["scikit-learn"]) == ["scikit-learn"]


def test_requirements_of_a_logged_model_change_and_it_stays_ours() -> None:
    info = runlore.sklearn.log_model(LinearRegression().fit(X, y), "line", pip_requirements=["scikit-learn==1.5.0", "Numpy<3"])
    update_model_requirements(info.model_uri, "add", ["numpy==2.1", "pandas"])
    update_model_requirements(info.model_uri, "remove", ["Scikit_Learn"])
    for kind in ("pip", "conda"):
        text = Path(runlore.pyfunc.get_model_dependencies(info.model_uri, kind)).read_text()
        assert "numpy==2.1" in text
        assert "pandas" in text
        assert "scikit-learn" not in text
        assert "<3" not in text
    local: LocalModel | None = runlore.pyfunc.load_model(info.model_uri)._local
    assert local is not None
    assert local.ours
    with pytest.raises(InvalidParameter, match="Not a plain requirement"):
        update_model_requirements(info.model_uri, "add", ["-r other.txt"])
    with pytest.raises(InvalidParameter, match='"add" or "remove"'):
        update_model_requirements(info.model_uri, "drop", ["numpy"])  # type: ignore[arg-type]
    runlore.register_model(info.model_uri, "Line")
    with pytest.raises(InvalidParameter, match="versions can not be changed"):
        update_model_requirements("models:/Line/1", "add", ["numpy"])


def test_facts_of_a_model_have_those_of_its_logged_model() -> None:
    info = runlore.sklearn.log_model(LinearRegression().fit(X, y), "line", params={"depth": 3}, tags={"team": "a"})
    found = get_model_info(info.model_uri)
    assert (found.name, found.params, found.tags["team"]) == ("line", {"depth": "3"}, "a")
    assert found.tags["mlflow.source.type"] == "LOCAL"
    assert found.creation_timestamp is not None


def test_scripts_written_for_mlflow_find_these_names_where_mlflow_has_them() -> None:
    program = """import runlore; runlore.install_as_mlflow()
from mlflow.models.signature import ModelSignature, infer_signature, set_signature
from mlflow.models.evaluation import MetricThreshold, EvaluationResult
from mlflow.models.evaluation.base import EvaluationMetric, make_metric
from mlflow.models.evaluation.artifacts import CsvEvaluationArtifact
from mlflow.models.evaluation.validation import ModelValidationFailedException
from mlflow.metrics import MetricValue, mae
from mlflow.models.model import Model
from mlflow.pyfunc.model import PythonModelContext
from mlflow.types.schema import Array, Object, Property, AnyType, Map
from mlflow.exceptions import MlflowException, RestException
import mlflow.config, mlflow.models
assert mlflow.models.evaluate is mlflow.evaluate"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


class OwnFlavor:
    """A flavor of another library: a module with `save_model`."""

    @staticmethod
    def save_model(path: str, mlflow_model: Model, text: str) -> None:
        Path(path).mkdir()
        Path(path, "text.txt").write_text(text)
        mlflow_model.add_flavor("own", file="text.txt")
        mlflow_model.save(Path(path, "MLmodel"))


def test_flavors_of_other_libraries_are_logged() -> None:
    with runlore.start_run() as run:
        info = Model.log("poem", OwnFlavor, text="hello", metadata={"by": "me"})
    assert get_model_info(f"runs:/{run.info.run_id}/poem").flavors == {"own": {"file": "text.txt"}}
    assert info.metadata == {"by": "me"}
    assert runlore.artifacts.load_text(f"{info.model_uri}/text.txt") == "hello"


def test_an_error_is_made_of_a_servers_answer() -> None:
    error = RestException({"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no such run"})
    assert (error.error_code, error.get_http_status_code()) == ("RESOURCE_DOES_NOT_EXIST", 404)
    assert str(error) == "RESOURCE_DOES_NOT_EXIST: no such run"
    assert MlflowException("wrong", 1000).get_http_status_code() == 400
    assert [get_error_code(status) for status in (404, 400, 429, 501, 418)] == [
        "RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE", "REQUEST_LIMIT_EXCEEDED", "NOT_IMPLEMENTED", "INTERNAL_ERROR",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "item", [ColSpec("long", "a", False), TensorSpec(np.dtype("float32"), (-1, 2), "t"), ParamSpec("p", "double", 1.5)]
)
def test_parts_of_schemas_are_made_of_their_json(item: Any) -> None:
    assert type(item).from_json_dict(**item.to_dict()) == item


def test_types_know_their_values() -> None:
    assert DataType.check_type(DataType.long, 3)
    assert not DataType.check_type(DataType.long, "3")
    assert ParamSpec.validate_param_spec(2, ParamSpec("p", "double", 1.5)) == 2.0
    assert ParamSpec.validate_type_and_shape("p", [1, 2], DataType.long, (-1,)) == [1, 2]
    with pytest.raises(InvalidParameter, match="Tensors have no Spark schema"):
        Schema([TensorSpec(np.dtype("float32"), (-1,))]).as_spark_schema()
    with pytest.raises(ImportError, match="pip install pyspark"):
        DataType.long.to_spark()
    with pytest.raises(ImportError, match="pip install pyspark"):
        runlore.pyfunc.spark_udf(None, "models:/m-0")
