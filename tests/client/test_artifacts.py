"""Files of runs through the client, and files by URI."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path, PurePosixPath

import numpy
import pytest

import runlore
from runlore import artifacts
from runlore.client import Image, RunloreClient
from runlore.exceptions import InvalidParameter, MissingDependency, NotFound


def paths(client: RunloreClient, run_id: str, path: str | None = None) -> list[str]:
    return [entry.path for entry in client.list_artifacts(run_id, path)]


def test_files_up_and_down(client: RunloreClient, run_id: str, tmp_path: Path) -> None:
    folder = tmp_path / "déposé là"
    (folder / "unter ordner").mkdir(parents=True)
    (folder / "a b.txt").write_text("α")
    (folder / "unter ordner" / "c.bin").write_bytes(b"\0" * 3_000_000)
    client.log_artifacts(run_id, str(folder), "all")
    client.log_artifact(run_id, folder / "a b.txt")
    client.log_artifact(run_id, folder, "whole")
    assert paths(client, run_id) == ["a b.txt", "all", "whole"]
    assert paths(client, run_id, "all") == ["all/a b.txt", "all/unter ordner"]
    assert paths(client, run_id, "whole") == ["whole/déposé là"]
    [entry] = client.list_artifacts(run_id, "all/unter ordner")
    assert (entry.is_dir, entry.file_size) == (False, 3_000_000)

    target = tmp_path / "target"
    assert client.download_artifacts(run_id, "all", str(target)) == str(target / "all")
    assert (target / "all" / "unter ordner" / "c.bin").stat().st_size == 3_000_000
    assert Path(client.download_artifacts(run_id, "a b.txt")).read_text() == "α"
    with pytest.raises(NotFound):
        client.download_artifacts(run_id, "missing.txt")


def test_texts_dictionaries_and_streams(client: RunloreClient, run_id: str) -> None:
    client.log_text(run_id, "über", "notes/n.txt")
    client.log_dict(run_id, {"a": 1, "p": Path("x"), "n": numpy.int64(3), "v": numpy.arange(2)}, "d.json")
    client.log_dict(run_id, {"b": [1, 2], "n": numpy.float64(0.5), "v": numpy.arange(2), "p": PurePosixPath("x")}, "d.yaml")
    client.log_stream(run_id, io.BytesIO(b"abc" * 500_000), "s.bin")
    base = Path(client.download_artifacts(run_id, ""))
    assert (base / "notes/n.txt").read_text("utf-8") == "über"
    assert json.loads((base / "d.json").read_text()) == {"a": 1, "p": "x", "n": 3, "v": [0, 1]}
    assert (base / "d.yaml").read_text() == "b:\n- 1\n- 2\nn: 0.5\nv:\n- 0\n- 1\np: x\n"
    assert (base / "s.bin").stat().st_size == 1_500_000
    with pytest.raises(InvalidParameter, match="log_dict"):
        client.log_text(run_id, {"a": 1}, "t.txt")  # type: ignore[arg-type]


@pytest.mark.parametrize("path", ["../escape.txt", "/absolute.txt", "a/../../b", ""])
def test_paths_that_leave_the_run_are_refused(client: RunloreClient, run_id: str, path: str) -> None:
    with pytest.raises(InvalidParameter):
        client.log_text(run_id, "x", path)
    assert client.list_artifacts(run_id) == []


def test_figures(client: RunloreClient, run_id: str) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots()
    axes.plot([0, 1], [1, 0])
    client.log_figure(run_id, figure, "plots/f.png", save_kwargs={"dpi": 30})
    client.log_figure(run_id, figure, "f.svg")
    pyplot.close(figure)
    base = Path(client.download_artifacts(run_id, ""))
    assert (base / "plots/f.png").read_bytes().startswith(b"\x89PNG")
    assert b"<svg" in (base / "f.svg").read_bytes()
    with pytest.raises(InvalidParameter, match="matplotlib"):
        client.log_figure(run_id, "no figure", "x.png")


def test_images_by_file_name(client: RunloreClient, run_id: str) -> None:
    client.log_image(run_id, numpy.full((4, 6, 3), 0.5), "half.png")
    client.log_image(run_id, Image([[0, 255], [255, 0]]), "rows.png")
    client.log_image(run_id, numpy.zeros((4, 4, 1), dtype=bool), "dir/mask.png")
    image = artifacts.load_image(f"{client.get_run(run_id).info.artifact_uri}/half.png") if _is_default(client) else None
    assert image is None or (image.size, image.getpixel((0, 0))) == ((6, 4), (128, 128, 128))
    assert paths(client, run_id) == ["dir", "half.png", "rows.png"]
    with pytest.raises(InvalidParameter, match="0…255"):
        client.log_image(run_id, numpy.full((2, 2), 300), "x.png")
    with pytest.raises(InvalidParameter, match="shape"):
        client.log_image(run_id, numpy.zeros((2, 2, 2)), "x.png")
    with pytest.raises(InvalidParameter, match="got <U1"):
        client.log_image(run_id, numpy.array([["a"]]), "x.png")


@pytest.mark.parametrize(
    ("pixels", "kept", "said"),
    [
        ([[-1.0, 0.0], [1.0, 3.0]], [[0, 64], [128, 255]], "from -1 to 3"),
        ([[0.0, 128.0, 200.0]], [[0, 163, 255]], "from 0 to 200"),
        ([[5.0, 5.0]], [[0, 0]], "from 5 to 5"),
        ([[0.0, numpy.nan, 1.0, numpy.inf]], [[0, 0, 255, 0]], None),
        ([[numpy.nan]], [[0]], None),
    ],
)
def test_floats_outside_0_to_1_are_stretched(
    pixels: list[list[float]], kept: list[list[int]], said: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    assert Image(numpy.array(pixels)).to_array().tolist() == kept
    assert [said] == [said for record in caplog.records if said in record.message] if said else not caplog.records


def _is_default(client: RunloreClient) -> bool:
    runlore.set_tracking_uri(client.tracking_uri)
    return True


def test_images_by_key_and_step(client: RunloreClient, run_id: str) -> None:
    client.log_image(run_id, numpy.zeros((600, 300), dtype=numpy.uint8), key="val/preds", step=7, timestamp=42)
    names = sorted(path.removeprefix("images/") for path in paths(client, run_id, "images"))
    assert [name.startswith("val~preds+step+7+timestamp+42+") for name in names] == [True, True]
    assert [name.endswith(suffix) for name, suffix in zip(names, ["+compressed.webp", ".png"], strict=True)] == [True, True]
    assert client.get_run(run_id).data.tags["mlflow.loggedImages"] == "True"
    with pytest.raises(InvalidParameter, match="either"):
        client.log_image(run_id, numpy.zeros((2, 2)), "x.png", key="k")


def test_tables(client: RunloreClient, experiment: str, run_id: str) -> None:
    import pandas

    client.log_table(run_id, {"q": ["a", "b"], "score": [0.5, 1.0]}, "eval/t.json")
    client.log_table(run_id, pandas.DataFrame({"q": ["c"], "score": [0.1]}), "eval/t.json")
    client.log_table(run_id, {"q": "d", "score": 3}, "eval/t.json")
    table = client.load_table(experiment, "eval/t.json", extra_columns=["run_id"])
    assert table["q"].tolist() == ["a", "b", "c", "d"]
    assert table["score"].tolist() == [0.5, 1.0, 0.1, 3.0]
    assert set(table["run_id"]) == {run_id}
    noted = json.loads(client.get_run(run_id).data.tags["mlflow.loggedArtifacts"])
    assert noted == [{"path": "eval/t.json", "type": "table"}]
    with pytest.raises(NotFound):
        client.load_table(experiment, "other.json")
    with pytest.raises(InvalidParameter, match="parquet"):
        client.log_table(run_id, {"a": [1]}, "t.csv")


def test_a_missing_package_is_named_with_the_way_to_get_it(
    client: RunloreClient, run_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    monkeypatch.setitem(sys.modules, "PIL", None)
    for call in (
        lambda: client.log_table(run_id, {"a": [1]}, "t.parquet"),
        lambda: client.log_image(run_id, numpy.zeros((2, 2)), "x.png"),
    ):
        with pytest.raises(MissingDependency, match="pip install") as caught:
            call()
        assert isinstance(caught.value, ImportError)


def test_files_by_uri(client: RunloreClient, run_id: str, tmp_path: Path) -> None:
    runlore.set_tracking_uri(client.tracking_uri)
    client.log_text(run_id, "hello", "d/t.txt")
    client.log_dict(run_id, {"a": 1}, "d/j.json")
    assert artifacts.load_text(f"runs:/{run_id}/d/t.txt") == "hello"
    assert artifacts.load_dict(f"{client.get_run(run_id).info.artifact_uri}/d/j.json") == {"a": 1}
    with pytest.raises(InvalidParameter, match="JSON"):
        artifacts.load_dict(f"runs:/{run_id}/d/t.txt")

    target = tmp_path / "dst"
    found = Path(artifacts.download_artifacts(f"runs:/{run_id}/d", dst_path=str(target)))
    assert sorted(path.name for path in found.iterdir()) == ["j.json", "t.txt"]
    assert Path(artifacts.download_artifacts(run_id=run_id, artifact_path="d/t.txt")).read_text() == "hello"
    assert [entry.path for entry in artifacts.list_artifacts(run_id=run_id, artifact_path="d")] == ["d/j.json", "d/t.txt"]
    with pytest.raises(InvalidParameter, match="Exactly one"):
        artifacts.download_artifacts()


def test_local_paths_stay_where_they_are(tmp_path: Path) -> None:
    file = tmp_path / "é f.txt"
    file.write_text("here")
    assert artifacts.download_artifacts(str(file)) == str(file)
    assert artifacts.load_text(file.as_uri()) == "here"
    copy = artifacts.download_artifacts(str(file), dst_path=str(tmp_path / "copy"))
    assert Path(copy).read_text() == "here"
    with pytest.raises(NotFound):
        artifacts.download_artifacts(str(tmp_path / "missing"))


UPLOAD = """
import sys
from pathlib import Path
from runlore import RunloreClient
Path("large").mkdir()
for name in ("a.bin", "b.bin"):
    Path("large", name).write_bytes(bytes(5_000_000))
client = RunloreClient(sys.argv[1])
run_id = client.create_run("0").info.run_id
client.log_artifacts(run_id, "large")
client.log_text(run_id, "small", "small.txt")
print(sum(info.file_size or 0 for info in client.list_artifacts(run_id)))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
@pytest.mark.parametrize("wanted", [True, False])
def test_large_uploads_say_on_a_terminal_how_far_they_are(client: RunloreClient, wanted: bool) -> None:
    import pty

    theirs, ours = pty.openpty()
    command = [sys.executable, "-c", UPLOAD, client.tracking_uri]
    environment = {**os.environ, "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": str(wanted).lower()}
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=ours, text=True, env=environment, timeout=60, check=True)
    os.write(ours, b"end")
    shown = b""
    while not shown.endswith(b"end"):
        shown += os.read(theirs, 65_536)
    os.close(ours)
    os.close(theirs)
    assert done.stdout == "10000005\n"
    lines = shown.decode().split("\r")
    if wanted:
        assert lines[-2].startswith("Uploading large: 100% ████████████████████ 10.0 of 10.0 MB, ")
    else:
        assert lines == ["end"]
