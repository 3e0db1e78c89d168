"""Datasets from polars, torch, Hugging Face and files: name, digest, schema, source."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import polars
import pytest

import runlore
from runlore.data import from_files, from_polars, from_torch
from runlore.exceptions import InvalidParameter, NotFound

FRAME = polars.DataFrame({"x": [1, 2], "y": [0.5, None], "s": ["a", "b"], "d": [date(2026, 1, 1)] * 2, "l": [[1], [2, 3]]})


def test_a_polars_frame_as_it_is_stored() -> None:
    stored = from_polars(FRAME, source="s3://bucket/x.parquet", name="train", targets="y").to_entity()
    assert (stored.name, stored.source_type, stored.source) == ("train", "s3", '{"uri": "s3://bucket/x.parquet"}')
    columns = json.loads(stored.schema or "")["mlflow_colspec"]
    assert [(column["name"], column["type"], column["required"]) for column in columns] == [
        ("x", "long", True), ("y", "double", False), ("s", "string", True), ("d", "datetime", True), ("l", "string", True),
    ]  # fmt: skip
    assert json.loads(stored.profile or "") == {"num_rows": 2, "num_elements": 10}
    with pytest.raises(InvalidParameter, match="targets column 'z'"):
        from_polars(FRAME, targets="z")


def test_the_digest_is_of_the_content() -> None:
    digest = from_polars(FRAME).digest
    assert (
        digest == from_polars(FRAME.clone()).digest == from_polars(polars.concat([FRAME[:1], FRAME[1:]], rechunk=False)).digest
    )
    others = [
        FRAME.reverse(), FRAME.rename({"x": "z"}), FRAME.with_columns(x=polars.Series([1, 3])),
        FRAME.with_columns(y=polars.lit(0.5)),
        FRAME.with_columns(polars.col("x").cast(polars.Int32)), FRAME.with_columns(l=polars.Series([[1], [2, 4]])),
        FRAME.with_columns(y=polars.Series([0.5, float("nan")])),
    ]  # fmt: skip
    assert len({digest, *(from_polars(frame).digest for frame in others)}) == len(others) + 1


def test_files(tmp_path: Path) -> None:
    images = tmp_path / "images"
    (images / "cats").mkdir(parents=True)
    (images / "cats" / "1.png").write_bytes(b"meow")
    (images / "index.csv").write_text("a,b\n")
    dataset = from_files(images)
    stored = dataset.to_entity()
    assert (stored.name, stored.source_type, stored.schema) == ("images", "local", None)
    assert json.loads(stored.profile or "") == {"num_files": 2, "num_bytes": 8}
    assert json.loads(stored.source) == {"uri": images.as_posix()}
    copy = tmp_path / "copy"
    images.rename(copy)
    assert from_files(copy).digest == dataset.digest
    (copy / "index.csv").rename(copy / "other.csv")
    assert from_files(copy).digest != dataset.digest
    single = from_files(copy / "other.csv", name="table", source="https://example.org/x.csv")
    assert (single.to_entity().source_type, single.profile["num_files"]) == ("http", 1)
    with pytest.raises(NotFound):
        from_files(tmp_path / "nothing")


class Tensor:
    """What a torch tensor can do that matters here; torch itself is too large for these tests."""

    def __init__(self, values: Any) -> None:
        import numpy

        self._values = numpy.asarray(values)

    def detach(self) -> Tensor:
        return self

    def cpu(self) -> Tensor:
        return self

    def numpy(self) -> Any:
        return self._values


def test_tensors_are_arrays() -> None:
    import numpy

    values = numpy.arange(6.0).reshape(2, 3)
    assert from_torch(Tensor(values)).digest == runlore.data.from_numpy(values).digest

    class TensorDataset:
        tensors = (Tensor(values), Tensor([0, 1]))

    both = from_torch(TensorDataset(), name="train")
    assert both.digest == runlore.data.from_numpy(values, targets=numpy.array([0, 1])).digest
    assert both.name == "train"
    with pytest.raises(InvalidParameter, match="Expected a torch tensor"):
        from_torch([1, 2])


def test_datasets_are_inputs_of_runs(tmp_path: Path) -> None:
    runlore.set_tracking_uri(tmp_path / "store")
    (tmp_path / "x.bin").write_bytes(b"12")
    with runlore.start_run() as run:
        runlore.log_input(from_polars(FRAME, name="frame"), context="training")
        runlore.log_input(from_files(tmp_path / "x.bin"), context="test")
    inputs = runlore.get_run(run.info.run_id).inputs.dataset_inputs
    assert {(item.dataset.name, item.tags[0].value) for item in inputs} == {("frame", "training"), ("x.bin", "test")}
