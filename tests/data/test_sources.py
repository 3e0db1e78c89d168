"""Where data came from: as a run keeps it, and fetched from there again."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy
import pytest

import runlore
from runlore.data import (
    CodeSource,
    DatasetSource,
    DeltaSource,
    FileSource,
    HttpSource,
    HuggingFaceSource,
    SparkSource,
    from_numpy,
    get_dataset_source_from_json,
    get_source,
)
from runlore.exceptions import InvalidParameter, MissingDependency, NotFound, RunloreError

SOURCES: list[tuple[DatasetSource, str, str]] = [
    (FileSource("data/x.csv"), "local", '{"uri": "data/x.csv"}'),
    (FileSource("s3://bucket/x.csv"), "s3", '{"uri": "s3://bucket/x.csv"}'),
    (FileSource("abfss://c@a/x"), "abfss", '{"uri": "abfss://c@a/x"}'),
    (HttpSource("https://example.org/x.csv"), "http", '{"url": "https://example.org/x.csv"}'),
    (CodeSource({"mlflow.source.name": "train.py"}), "code", '{"tags": {"mlflow.source.name": "train.py"}}'),
    (SparkSource(table_name="a.b"), "spark", '{"table_name": "a.b"}'),
    (DeltaSource(path="/a/b", delta_table_version=3), "delta_table", '{"path": "/a/b", "delta_table_version": 3}'),
    (
        HuggingFaceSource("imdb", split="train"),
        "hugging_face",
        '{"path": "imdb", "config_name": null, "data_dir": null, "data_files": null, "split": "train", "revision": null}',
    ),
]
"""A source, and kind and JSON as MLflow 3.17 writes them."""


@pytest.mark.parametrize(("source", "kind", "text"), SOURCES, ids=[kind for _, kind, _ in SOURCES])
def test_every_kind_is_written_as_mlflow_writes_it_and_read_again(source: DatasetSource, kind: str, text: str) -> None:
    assert (source.kind, source.to_json()) == (kind, text)
    again = get_dataset_source_from_json(text, kind)
    assert (type(again), again) == (type(source), source)


def test_the_source_of_what_a_run_has_kept(tmp_path: Path) -> None:
    runlore.set_tracking_uri(tmp_path / "store")
    (tmp_path / "x.npy").write_bytes(b"123")
    made = from_numpy(numpy.arange(3), source=str(tmp_path / "x.npy"))
    assert json.loads(made.to_json())["source_type"] == "local"
    with runlore.start_run() as run:
        runlore.log_input(made)
        runlore.log_input(from_numpy(numpy.arange(4)))
    first, second = runlore.get_run(run.info.run_id).inputs.dataset_inputs
    assert get_source(first) == get_source(first.dataset) == get_source(made) == FileSource(str(tmp_path / "x.npy"))
    assert get_source(first).load() == str(tmp_path / "x.npy")
    copy = get_source(first).load(str(tmp_path / "copy"))
    assert (Path(copy).parent, Path(copy).read_bytes()) == (tmp_path / "copy", b"123")
    with pytest.raises(NotImplementedError, match="came from the program"):
        get_source(second).load()


@pytest.fixture
def web() -> Iterator[str]:
    """A web server that has one file, under two names."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if "x.csv" in self.path else 404)
            if "called" in self.path:
                self.send_header("Content-Disposition", 'attachment; filename="../../etc/evil name.csv"')
            self.end_headers()
            self.wfile.write(b"a,b\n1,2\n")

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_files_of_the_web_are_fetched_and_named_without_leaving_the_directory(web: str, tmp_path: Path) -> None:
    for address, name in ((f"{web}/data/x.csv?sig=1", "x.csv"), (f"{web}/called/x.csv", "evil name.csv")):
        path = Path(HttpSource(address).load(str(tmp_path / "here")))
        assert (path.parent, path.name, path.read_text()) == (tmp_path / "here", name, "a,b\n1,2\n")
    with pytest.raises(RunloreError, match="answered 404"):
        HttpSource(f"{web}/other").load()


def test_what_can_not_be_fetched_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotFound, match="no file or directory"):
        FileSource(str(tmp_path / "gone")).load()
    with pytest.raises(InvalidParameter, match="hint: fetch it with its own tool"):
        FileSource("hdfs://host/x").load()
    for name in ("datasets", "pyspark", "pyspark.sql"):
        monkeypatch.setitem(sys.modules, name, None)  # not installed
    with pytest.raises(MissingDependency, match="hint: pip install datasets"):
        HuggingFaceSource("imdb").load()
    with pytest.raises(MissingDependency, match="hint: pip install pyspark"):
        SparkSource(path="x").load()
    with pytest.raises(MissingDependency, match="hint: pip install pyspark"):
        runlore.data.load_delta(path="x", version="1")


def test_what_is_no_source() -> None:
    with pytest.raises(InvalidParameter, match="Unrecognized dataset type"):
        get_source(3)  # type: ignore[arg-type]
    for text, kind, said in (("{}", "tape", "Unrecognized source type"), ("nonsense", "s3", "JSON"), ("[1]", "s3", "object"),
                             ("{}", "s3", "describes no"), ('{"url": "file:///etc/passwd"}', "http", "no address"),
                             ("{}", "spark", "exactly one")):  # fmt: skip
        with pytest.raises(InvalidParameter, match=said):
            get_dataset_source_from_json(text, kind)
