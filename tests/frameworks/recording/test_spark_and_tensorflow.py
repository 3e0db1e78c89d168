"""Datasets of Spark and TensorFlow, where somebody has installed them: they are too large for the tests' own environments."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import runlore
from runlore.data import DeltaSource, get_source
from runlore.exceptions import InvalidParameter

pytestmark = pytest.mark.filterwarnings("ignore")


def test_spark_frames_and_delta_tables(tmp_path: Path) -> None:
    sql = pytest.importorskip("pyspark.sql", reason="needs pyspark and Java")
    builder = sql.SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false")
    session = builder.config("spark.sql.shuffle.partitions", "1").getOrCreate()
    frame = session.createDataFrame([(1, "a", 0.5), (2, "b", None)], "x long, s string, y double")
    made = runlore.data.from_spark(frame, path="/data/x", targets="y", name="train")
    assert made.profile == {"num_rows": 2}
    assert made.schema["mlflow_colspec"][0] == {"type": "long", "name": "x", "required": False}
    assert made.to_entity().source == '{"path": "/data/x"}'
    assert runlore.data.from_spark(frame.orderBy("x", ascending=False).repartition(2)).digest == made.digest
    assert runlore.data.from_spark(frame.limit(1)).digest != made.digest
    frame.write.parquet(str(tmp_path / "x"))
    assert get_source(runlore.data.from_spark(frame, path=str(tmp_path / "x")).to_entity()).load().count() == 2
    with pytest.raises(InvalidParameter, match="at most one"):
        runlore.data.from_spark(frame, path="a", sql="b")
    session.stop()


def test_tensors_and_pipelines_of_tensorflow() -> None:
    tf = pytest.importorskip("tensorflow", reason="needs TensorFlow")
    import numpy

    values = numpy.arange(6, dtype="float32").reshape(3, 2)
    assert runlore.data.from_tensorflow(tf.constant(values)).digest == runlore.data.from_numpy(values).digest
    pipeline = tf.data.Dataset.from_tensor_slices({"x": values, "s": [b"a", b"b", b"c"]})
    made = runlore.data.from_tensorflow(pipeline, targets=tf.data.Dataset.range(3), source="s3://b/x", name="train")
    assert made.profile == {"features_cardinality": 3, "targets_cardinality": 3}
    assert [item["name"] for item in json.loads(made.schema["mlflow_tensorspec"]["features"])] == ["s", "x"]
    assert runlore.data.from_tensorflow(pipeline, targets=tf.data.Dataset.range(3)).digest == made.digest
    assert runlore.data.from_tensorflow(pipeline.skip(1)).digest != runlore.data.from_tensorflow(pipeline).digest
    filtered = runlore.data.from_tensorflow(pipeline.filter(lambda row: row["x"][0] > 0))
    assert filtered.profile == {"features_cardinality": 2}
    with pytest.raises(InvalidParameter, match="endless"):
        runlore.data.from_tensorflow(pipeline.repeat())
    assert runlore.data.from_tensorflow(pipeline.repeat(), digest="d").digest == "d"
    with pytest.raises(InvalidParameter, match="Expected a tensor"):
        runlore.data.from_tensorflow([1, 2])


def test_versions_of_a_delta_table(tmp_path: Path) -> None:
    sql = pytest.importorskip("pyspark.sql", reason="needs pyspark and Java")
    delta = pytest.importorskip("delta", reason="needs delta-spark, and its jars")
    jars = Path(sql.__file__).parents[1] / "jars"
    if not list(jars.glob("delta-spark*.jar")):
        pytest.skip("needs Delta's jars among those of pyspark")
    builder = sql.SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false")
    for key, value in (("extensions", "io.delta.sql.DeltaSparkSessionExtension"),
                       ("catalog.spark_catalog", "org.apache.spark.sql.delta.catalog.DeltaCatalog")):  # fmt: skip
        builder = builder.config(f"spark.sql.{key}", value)
    session = builder.getOrCreate()
    assert delta
    for number in (1, 2):
        session.createDataFrame([(number,)], "x long").write.format("delta").mode("append").save(str(tmp_path / "t"))
    newest = runlore.data.load_delta(str(tmp_path / "t"), targets="x")
    assert newest.source == DeltaSource(path=str(tmp_path / "t"), delta_table_version=1)
    first = runlore.data.load_delta(str(tmp_path / "t"), version="0")
    assert (first.profile, newest.profile) == ({"num_rows": 1}, {"num_rows": 2})
    assert get_source(first.to_entity()).load().count() == 1
    session.stop()
