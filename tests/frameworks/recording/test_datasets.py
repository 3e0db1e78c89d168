"""Datasets of libraries that are too large for the other tests; nothing is fetched from a network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import runlore
from runlore.data import FileSource, HuggingFaceSource, from_huggingface, from_pandas, get_source
from runlore.exceptions import InvalidParameter

datasets = pytest.importorskip("datasets", reason="needs Hugging Face's datasets: `make .venvs/recording/.ready`")
ROWS = {"text": ["good", "bad", "fine"], "label": [1, 0, 1], "score": [0.5, 0.25, None], "tokens": [[1], [2, 3], []]}


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


def test_a_split_as_it_is_kept_with_a_run() -> None:
    made = from_huggingface(
        datasets.Dataset.from_dict(ROWS), path="team/reviews", revision="main", targets="label", name="train"
    )
    with runlore.start_run() as run:
        runlore.log_input(made, context="training")
    [kept] = runlore.get_run(run.info.run_id).inputs.dataset_inputs
    assert (kept.dataset.name, kept.dataset.source_type, kept.dataset.digest) == ("train", "hugging_face", made.digest)
    columns = [(item["name"], item["type"]) for item in json.loads(kept.dataset.schema)["mlflow_colspec"]]
    assert columns == [("text", "string"), ("label", "long"), ("score", "double"), ("tokens", "string")]
    assert json.loads(kept.dataset.profile)["num_rows"] == 3
    assert get_source(kept) == HuggingFaceSource("team/reviews", revision="main")


def test_the_digest_is_of_the_rows_whichever_files_they_lie_in(tmp_path: Path) -> None:
    data = datasets.Dataset.from_dict(ROWS)
    digest = from_huggingface(data).digest
    data.save_to_disk(tmp_path / "saved", num_shards=3)
    parts = datasets.concatenate_datasets([data.select([0]), data.select([1, 2])])
    assert {from_huggingface(same).digest for same in (datasets.load_from_disk(tmp_path / "saved"), parts)} == {digest}
    others: list[Any] = [
        data.select([1, 0, 2]),
        data.rename_column("label", "y"),
        data.map(lambda row: {"label": row["label"] + 1}),
    ]
    assert len({digest, *(from_huggingface(other).digest for other in others)}) == 4


def test_files_are_loaded_again_from_what_the_run_says(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("a,b\n1,u\n2,v\n")
    loaded = datasets.load_dataset("csv", data_files={"train": str(tmp_path / "x.csv")}, split="train")
    made = from_huggingface(loaded, path="csv", data_files={"train": str(tmp_path / "x.csv")})
    again = get_source(made.to_entity()).load()
    assert from_huggingface(again, path="csv").digest == made.digest
    assert get_source(from_huggingface(loaded, source=str(tmp_path / "x.csv"))) == FileSource(str(tmp_path / "x.csv"))


def test_code_of_a_dataset_is_not_run_because_a_run_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}
    monkeypatch.setattr(datasets, "load_dataset", lambda *places, **options: asked.update(options))
    source = HuggingFaceSource("team/reviews", trust_remote_code=True)
    runlore.data.get_dataset_source_from_json(source.to_json(), "hugging_face").load()
    assert asked == {}


def test_what_is_no_split() -> None:
    with pytest.raises(InvalidParameter, match="choose one split"):
        from_huggingface(datasets.DatasetDict({"train": datasets.Dataset.from_dict(ROWS)}))
    with pytest.raises(InvalidParameter, match="targets column 'y'"):
        from_huggingface(datasets.Dataset.from_dict(ROWS), targets="y")
    with pytest.raises(InvalidParameter, match="either `path` or `source`"):
        from_huggingface(datasets.Dataset.from_dict(ROWS), path="x", source="y")


def test_a_frame_of_pandas_has_a_source_object() -> None:
    pandas = pytest.importorskip("pandas", reason="needs pandas")
    made = from_pandas(pandas.DataFrame({"a": [1]}), source=FileSource("s3://bucket/x.csv"))
    assert (made.source, made.to_entity().source_type) == (FileSource("s3://bucket/x.csv"), "s3")
