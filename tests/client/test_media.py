"""Sounds, videos, histograms, tables of other libraries, nested params."""

from __future__ import annotations

import argparse
import dataclasses
import io
import json
import re
import wave
from datetime import date
from pathlib import Path
from typing import Any

import numpy
import polars
import pytest
from PIL import Image

import runlore
from runlore.client import RunloreClient
from runlore.client.params import flat_params
from runlore.exceptions import InvalidParameter


def files(client: RunloreClient, run_id: str, folder: str) -> list[str]:
    return [info.path for info in client.list_artifacts(run_id, folder)]


def content(client: RunloreClient, run_id: str, path: str) -> bytes:
    return Path(client.download_artifacts(run_id, path)).read_bytes()


def test_sounds(client: RunloreClient, run_id: str, tmp_path: Path) -> None:
    tone = numpy.sin(numpy.linspace(0, 100, 800))
    client.log_audio(run_id, tone, "val/tone", step=3, sample_rate=8_000, timestamp=42)
    [path] = files(client, run_id, "audio")
    assert path.startswith("audio/val~tone+step+3+timestamp+42+")
    with wave.open(io.BytesIO(content(client, run_id, path))) as sound:
        assert (sound.getframerate(), sound.getnframes(), sound.getnchannels()) == (8_000, 800, 1)
        samples = numpy.frombuffer(sound.readframes(800), "<i2")
    assert numpy.abs(samples / 32_767 - tone).max() < 1e-4
    client.log_audio(run_id, numpy.zeros((10, 2), "int16"), "stereo", sample_rate=8_000)
    recorded = tmp_path / "Recorded.MP3"
    recorded.write_bytes(b"ID3")
    client.log_audio(run_id, recorded, "file")
    assert sorted(path.rpartition(".")[2] for path in files(client, run_id, "audio")) == ["mp3", "wav", "wav"]
    for wrong, message in (
        (lambda: client.log_audio(run_id, tone, "k"), "sample_rate"),
        (lambda: client.log_audio(run_id, numpy.zeros((2, 2, 2)), "k", sample_rate=1), "samples of the shape"),
        (lambda: client.log_audio(run_id, tmp_path / "x.txt", "k"), "x.txt"),
        (lambda: client.log_audio(run_id, tone, "a:b", sample_rate=1), "Invalid key"),
    ):
        with pytest.raises(InvalidParameter, match=message):
            wrong()


def test_videos(client: RunloreClient, run_id: str) -> None:
    frames = numpy.zeros((4, 6, 8, 3), "uint8")
    frames[:, :, :, 0] = numpy.arange(4).reshape(4, 1, 1) * 60
    client.log_video(run_id, frames, "play", step=1, fps=10)
    [path] = files(client, run_id, "videos")
    film = Image.open(io.BytesIO(content(client, run_id, path)))
    assert (film.format, film.size, getattr(film, "n_frames", 1)) == ("WEBP", (8, 6), 4)
    with pytest.raises(InvalidParameter, match="at least one frame"):
        client.log_video(run_id, [], "play")
    with pytest.raises(InvalidParameter, match="fps"):
        client.log_video(run_id, frames, "play", fps=0)


def test_histograms(client: RunloreClient, run_id: str) -> None:
    client.log_histogram(run_id, [[0.0, 1.0], [1.0, float("nan")]], "grad/layer1", step=5, bins=2)
    [path] = files(client, run_id, "histograms")
    stored = json.loads(content(client, run_id, path))
    assert (stored["counts"], stored["edges"]) == ([1, 2], [0, 0.5, 1])
    assert (stored["count"], stored["non_finite"], stored["min"], stored["max"]) == (3, 1, 0, 1)
    client.log_histogram(run_id, [], "empty")
    with pytest.raises(InvalidParameter, match="expects numbers"):
        client.log_histogram(run_id, ["a"], "k")
    with pytest.raises(InvalidParameter, match="number of bins"):
        client.log_histogram(run_id, [1], "k", bins=0)


def test_tables_without_pandas(client: RunloreClient, experiment: str, run_id: str) -> None:
    client.log_table(run_id, polars.DataFrame({"a": [1, 2], "when": [date(2026, 1, 2)] * 2}), "t.json")
    client.log_table(run_id, {"a": [3, float("nan")], "more": numpy.array(["x", "y"])}, "t.json")
    table = json.loads(content(client, run_id, "t.json"))
    assert table == {
        "columns": ["a", "when", "more"],
        "data": [[1, "2026-01-02", None], [2, "2026-01-02", None], [3, None, "x"], [None, None, "y"]],
    }
    with pytest.raises(InvalidParameter, match="same length; these have 'a': 1, 'b': 2"):
        client.log_table(run_id, {"a": [1], "b": [1, 2]}, "t.json")
    with pytest.raises(InvalidParameter, match="got list"):
        client.log_table(run_id, [1], "t.json")  # type: ignore[arg-type]


def test_parquet_by_polars(client: RunloreClient, run_id: str) -> None:
    client.log_table(run_id, polars.DataFrame({"a": [1, 2]}), "t.parquet")
    client.log_table(run_id, polars.DataFrame({"a": [3.5], "b": ["x"]}), "t.parquet")
    table = polars.read_parquet(io.BytesIO(content(client, run_id, "t.parquet")))
    assert table.to_dict(as_series=False) == {"a": [1, 2, 3.5], "b": [None, None, "x"]}


@dataclasses.dataclass
class Optimizer:
    name: str = "adam"
    betas: tuple[float, float] = (0.9, 0.99)


@pytest.mark.parametrize(
    ("params", "flat"),
    [
        ({"lr": 0.1, "model": {"layers": 3, "head": {"size": 10}}}, {"lr": 0.1, "model.layers": 3, "model.head.size": 10}),
        ({"a": {}, "l": [1, 2]}, {"a": {}, "l": [1, 2]}),
        ({"optimizer": Optimizer()}, {"optimizer.name": "adam", "optimizer.betas": (0.9, 0.99)}),
        (argparse.Namespace(lr=1, data=argparse.Namespace(path="x")), {"lr": 1, "data.path": "x"}),
        ({1: {2: 3}}, {"1.2": 3}),
    ],
)
def test_nested_params(params: Any, flat: dict[str, Any]) -> None:
    assert flat_params(params) == flat


def test_params_that_get_one_name_are_refused() -> None:
    with pytest.raises(InvalidParameter, match=r"Two values have the name 'a\.b'"):
        flat_params({"a.b": 1, "a": {"b": 2}})


@pytest.mark.parametrize("as_frame", [False, True])
def test_images_in_tables_are_files_that_cells_name(
    client: RunloreClient, experiment: str, run_id: str, as_frame: bool
) -> None:
    pandas = pytest.importorskip("pandas")
    pixels = numpy.zeros((600, 300, 3), dtype=numpy.uint8)
    data: Any = {"word": ["a", "b"], "picture": [runlore.Image(pixels), runlore.Image(pixels).to_pil()]}
    client.log_table(run_id, pandas.DataFrame(data) if as_frame else data, "out/seen.json")
    client.log_table(run_id, {"word": "c", "picture": runlore.Image(pixels)}, "out/seen.json")
    table = client.load_table(experiment, "out/seen.json", [run_id])
    runlore.set_tracking_uri(client.tracking_uri)
    assert list(table["word"]) == ["a", "b", "c"]
    for cell in table["picture"]:
        assert cell["type"] == "image"
        assert re.fullmatch(r"table_images/out/seen/[0-9a-f-]{36}\.png", cell["filepath"])
        assert runlore.artifacts.load_image(f"runs:/{run_id}/{cell['filepath']}").size == (300, 600)
        assert runlore.artifacts.load_image(f"runs:/{run_id}/{cell['compressed_filepath']}").size == (128, 256)
