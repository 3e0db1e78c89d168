"""Model files made to keep a loader busy or to fill its memory: read as they ask to be, each takes minutes or gigabytes."""

from __future__ import annotations

import io
import json
import os
import stat
import zipfile
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

import runlore.sklearn
from runlore.exceptions import InvalidParameter, RunloreError, Untrusted
from runlore.models import flavor, set_signature
from runlore.models.manifest import MANIFEST_FILE
from runlore.models.model import Model
from runlore.models.signature import infer_signature


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """A model that somebody else may have made."""
    path = tmp_path / "model"
    runlore.sklearn.save_model(LogisticRegression().fit(np.eye(4), [0, 1, 0, 1]), path)
    (path / MANIFEST_FILE).unlink()
    return path


def members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_a_compressed_model_is_no_bomb(foreign: Path) -> None:
    file = foreign / "model.skops"
    inside = members(file)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in inside.items():
            archive.writestr(name, content)
    assert runlore.sklearn.load_model(foreign).n_features_in_ == 4


@pytest.mark.parametrize("compression", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
@pytest.mark.parametrize("place", ["schema.json", "an array", "another file"])
def test_a_skops_file_that_unfolds_to_much(foreign: Path, compression: int, place: str) -> None:
    file = foreign / "model.skops"
    inside = members(file)
    array = next(name for name in inside if name.endswith(".npy"))
    swollen = {"schema.json": "schema.json", "an array": array, "another file": "notes.txt"}[place]
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, content in {"notes.txt": b"", **inside}.items():
            with archive.open(name, "w") as member:
                for _ in range(80 if name == swollen else 0):
                    member.write(b" " * 2**20)
                member.write(content)
    with pytest.raises(Untrusted, match="unfold"):
        runlore.sklearn.load_model(foreign)


def test_a_skops_file_that_lies_about_the_size_of_its_members(foreign: Path) -> None:
    """The size is in the archive's directory; the reader does not go beyond what it says."""
    file = foreign / "model.skops"
    inside = members(file)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in inside.items():
            archive.writestr(name, content + b" " * (80 * 2**20 if name == "schema.json" else 0))
        info = archive.getinfo("schema.json")
        info.file_size = 1_000
    with pytest.raises(InvalidParameter):
        runlore.sklearn.load_model(foreign)


@pytest.mark.parametrize("shape", [(10**10,), (2**62,), (10**5, 10**6), (-1,)])
def test_an_array_that_says_it_is_huge(foreign: Path, shape: tuple[int, ...]) -> None:
    file = foreign / "model.skops"
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": shape})
    inside = {name: header.getvalue() if name.endswith(".npy") else content for name, content in members(file).items()}
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in inside.items():
            archive.writestr(name, content)
    with pytest.raises(InvalidParameter, match="can not be loaded"):
        runlore.sklearn.load_model(foreign)


@pytest.mark.parametrize("schema", [b"[" * 100_000, b'{"a":' * 100_000, b"{}", b"[]", b"null", b"", b"\xff", b"1" * 100_000])
def test_a_schema_that_is_none(foreign: Path, schema: bytes) -> None:
    file = foreign / "model.skops"
    inside = members(file) | {"schema.json": schema}
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in inside.items():
            archive.writestr(name, content)
    with pytest.raises(InvalidParameter, match="can not be loaded"):
        runlore.sklearn.load_model(foreign)


def test_a_schema_that_contains_itself(foreign: Path) -> None:
    file = foreign / "model.skops"
    inside = members(file)
    schema = json.loads(inside["schema.json"])
    schema["content"]["content"]["coef_"] = {"__loader__": "CachedNode", "__id__": schema["__id__"]}
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in (inside | {"schema.json": json.dumps(schema).encode()}).items():
            archive.writestr(name, content)
    with pytest.raises(RunloreError):
        runlore.sklearn.load_model(foreign)


@pytest.mark.parametrize(
    "line",
    [
        "x: " + "1" * 3_000_000,
        "x: " + "1:" * 1_500_000 + "1",
        "x: -" + "59:" * 1_000_000 + "59",
        "x: " + "1:" * 1_500_000 + "1.5",
        "x: 0x" + "f" * 3_000_000,
        "x: 0b" + "1" * 3_000_000,
        "x: " + "1_" * 1_500_000 + "1",
        "x: [" + "1," * 1_000_000 + "1]",
        "x: {" + ",".join(f"a{number}" for number in range(400_000)) + "}",
        "x: [" + "[]," * 400_000 + "]",
        "x: " + "[" * 10_000,
        "self: 1",
        "x: !!python/object/apply:os.getcwd []",
        "x: !!python/name:os.system",
        "x: !!int 1" + "0" * 5_000,
    ],
    ids=lambda line: line[:12],
)
def test_an_mlmodel_file_that_takes_for_ever(foreign: Path, line: str) -> None:
    file = foreign / "MLmodel"
    file.write_text(f"{file.read_text()}\n{line}\n")
    with pytest.raises(InvalidParameter):
        runlore.sklearn.load_model(foreign)


def test_long_texts_are_no_numbers(foreign: Path) -> None:
    file = foreign / "MLmodel"
    file.write_text(
        f"{file.read_text()}\nmetadata:\n  note: '{'1' * 5_000}'\n  words: {'well ' * 5_000}\n  path: {'a/' * 3_000}\n"
    )
    assert runlore.sklearn.load_model(foreign).n_features_in_ == 4


@pytest.mark.skipif(os.name != "posix", reason="POSIX modes")
@pytest.mark.parametrize("shared", ["model.pkl", "MLmodel", ".", "..", "code"])
def test_nobody_can_exchange_a_file_between_its_check_and_its_use(
    tmp_path: Path, shared: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where others may write, the check and the use are made on a private copy."""
    place = tmp_path / "shared" / "model"
    place.parent.mkdir()
    helper = tmp_path / "helper.py"
    helper.write_text("x = 1")
    classifier = LogisticRegression().fit(np.eye(4), [0, 1, 0, 1])
    runlore.sklearn.save_model(classifier, place, serialization_format="pickle", code_paths=[str(helper)])
    (place / shared).chmod(0o777)
    check = flavor.check_manifest
    places = []

    def check_and_exchange(directory: Path, digest: str | None = None) -> bool:
        ours = check(directory, digest)
        places.append(directory)
        (place / "model.pkl").write_bytes(b"cos\ngetcwd\n(tR.")  # what the other user would do now
        return ours

    monkeypatch.setattr(flavor, "check_manifest", check_and_exchange)
    assert runlore.sklearn.load_model(place).n_features_in_ == 4
    assert places[0] != place
    assert stat.S_IMODE(places[0].parent.stat().st_mode) == 0o700 if places[0].parent.exists() else True


@pytest.mark.skipif(os.name != "posix", reason="POSIX modes")
def test_a_signature_reaches_a_model_in_a_shared_directory(tmp_path: Path) -> None:
    place = tmp_path / "model"
    runlore.sklearn.save_model(LogisticRegression().fit(np.eye(4), [0, 1, 0, 1]), place, serialization_format="pickle")
    place.chmod(0o777)
    signature = infer_signature(np.eye(4))
    set_signature(str(place), signature)
    assert Model.load(place).signature == signature
    assert runlore.sklearn.load_model(place).n_features_in_ == 4
