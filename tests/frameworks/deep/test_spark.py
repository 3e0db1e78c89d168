"""Models of Spark ML: where PySpark and Java are installed, which are too large to ask for everywhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pyspark", reason="PySpark is not installed here: it is tested by hand")

import pandas as pd
from pyspark.ml import Pipeline
from pyspark.ml.feature import VectorAssembler
from pyspark.ml.regression import LinearRegression
from pyspark.sql import SparkSession

import runlore
import runlore.pyfunc
import runlore.spark
from runlore.exceptions import InvalidParameter, Untrusted
from runlore.models import get_model_info

TABLE = pd.DataFrame({"a": [1.0, 2.0], "b": [2.0, 4.0]})


@pytest.fixture(scope="module")
def session() -> Iterator[Any]:
    builder: Any = SparkSession.builder
    local = builder.master("local[1]").config("spark.ui.enabled", "false").config("spark.driver.bindAddress", "127.0.0.1")
    made = local.config("spark.driver.host", "127.0.0.1").getOrCreate()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def fitted(session: Any) -> Any:
    data = session.createDataFrame([(float(i), 2.0 * i, 3.0 * i + 1) for i in range(10)], ["a", "b", "y"])
    stages = [VectorAssembler(inputCols=["a", "b"], outputCol="v"), LinearRegression(featuresCol="v", labelCol="y")]
    return Pipeline(stages=stages).fit(data)


def test_a_logged_pipeline_predicts_the_same(fitted: Any) -> None:
    with runlore.start_run():
        info = runlore.spark.log_model(fitted, "line", input_example=TABLE, registered_model_name="lines")
    assert runlore.pyfunc.load_model("models:/lines/1").predict(TABLE) == pytest.approx([4, 7])
    assert type(runlore.spark.load_model(info.model_uri)) is type(fitted)
    assert get_model_info(info.model_uri).flavors["spark"]["model_class"] == "pyspark.ml.pipeline.PipelineModel"


def test_pipelines_of_others_need_consent(fitted: Any, tmp_path: Path) -> None:
    runlore.spark.save_model(fitted, tmp_path / "m")
    (tmp_path / "m" / "runlore-manifest.json").unlink()
    with pytest.raises(Untrusted, match="allow_pickle=True"):
        runlore.spark.load_model(tmp_path / "m")
    assert runlore.pyfunc.load_model(tmp_path / "m", allow_pickle=True).predict(TABLE) == pytest.approx([4, 7])
    with pytest.raises(InvalidParameter, match="fitted model"):
        runlore.spark.save_model(LinearRegression(), tmp_path / "n")
