"""Environments are read from what lies beside a model, made once, and whole or not there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path

import pytest

import runlore.pyfunc
from runlore.environments import (
    Specification,
    differences,
    environments_directory,
    pack_environment,
    prepare,
    read_specification,
)
from runlore.exceptions import InvalidParameter, InvalidState, NotFound
from runlore.settings import settings

needs_uv = pytest.mark.skipif(shutil.which("uv") is None, reason="uv is not installed")


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RUNLORE_ENV_ROOT", str(tmp_path / "environments"))
    settings.cache_clear()
    return tmp_path / "environments"


def write(folder: Path, **files: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)
    return folder


def test_the_three_files_are_read(tmp_path: Path) -> None:
    python_env = "python: 3.11.4\nbuild_dependencies: [setuptools==70]\ndependencies: [-r requirements.txt, pandas>=2]\n"
    folder = write(tmp_path / "a", python_env__yaml=python_env, requirements__txt="# pins\nnumpy==2.1\n\nscipy\n")
    found = read_specification(folder)
    assert found == Specification("3.11.4", ("numpy==2.1", "scipy", "pandas>=2"), ("setuptools==70",))
    assert found.minor == "3.11"
    conda = "name: x\nchannels: [conda-forge]\ndependencies: [python=3.12, pip<=25, {pip: [numpy==2.1]}]\n"
    assert read_specification(write(tmp_path / "b", conda__yaml=conda)) == Specification("3.12", ("numpy==2.1",))
    assert read_specification(write(tmp_path / "c", requirements__txt="numpy") / "requirements.txt").requirements == ("numpy",)
    with pytest.raises(NotFound, match=r"python_env\.yaml"):
        read_specification(write(tmp_path / "d"))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("dependencies: ['--index-url=http://evil.example']", "Not a plain requirement"),
        ("dependencies: ['numpy; rm -rf $HOME']", "Not a plain requirement"),
        ("dependencies: ['-r ../outside.txt']", "not beside it"),
        ("dependencies: ['-r /etc/passwd']", "not beside it"),
        ("channels: [x]\ndependencies: [python=3.11, cudatoolkit=11]", "asks conda for cudatoolkit=11"),
        ("- a list", "does not describe an environment"),
    ],
)
def test_what_a_foreign_file_may_not_say(text: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidParameter, match=reason):
        read_specification(write(tmp_path / "x", python_env__yaml=text) / "python_env.yaml")


def test_overrides_take_the_place_of_the_same_distribution() -> None:
    found = Specification("3.11", ("Scikit_Learn==1.4", "numpy==2.0")).overridden(["scikit-learn==1.5", "pandas"])
    assert found.requirements == ("numpy==2.0", "scikit-learn==1.5", "pandas")
    assert found.completed("Pandas>=2", "scipy").requirements == (*found.requirements, "scipy")


def test_what_is_other_than_it_was_is_named() -> None:
    here = metadata.version("numpy")
    absent = "nothing-real==1; python_version>'3'"
    wanted = Specification(None, ("numpy==0.1", f"numpy=={here}+cpu", "numpy>=1", "numpy==1.*", absent))
    assert differences(wanted) == [f"numpy==0.1 (here: {here})", f"{absent} (not here)"]


def test_local_is_the_interpreter_that_runs() -> None:
    assert str(prepare(Specification("2.7", ("nothing-real",)), "local").python) == sys.executable


def test_managers_that_are_not_there_are_refused_with_a_way_out() -> None:
    with pytest.raises(InvalidParameter, match="activate its environment"):
        prepare(Specification(), "conda")
    with pytest.raises(InvalidParameter, match=r"local, uv, virtualenv"):
        prepare(Specification(), "poetry")
    with pytest.raises(InvalidParameter, match="no version of Python"):
        prepare(Specification("3; import os"), "virtualenv")


@needs_uv
def test_processes_that_want_the_same_environment_make_it_once(place: Path) -> None:
    program = (
        "from runlore.environments import Specification, differences, prepare\n"
        "print(prepare(Specification(None, ('iniconfig',)), 'uv', with_runlore=False, tell=print).python)"
    )

    def want(_: int) -> list[str]:
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=dict(os.environ))
        return done.stdout.splitlines()

    with ThreadPoolExecutor(3) as pool:
        said = list(pool.map(want, range(3)))
    assert sorted(map(len, said)) == [1, 1, 3]  # one of them told what it was doing
    (python,) = {lines[-1] for lines in said}
    assert Path(python).is_relative_to(place)
    subprocess.run([python, "-c", "import iniconfig"], check=True)


@needs_uv
def test_a_failure_leaves_nothing_and_says_what_the_installer_said(place: Path) -> None:
    with pytest.raises(InvalidState, match="definitely-not-a-distribution"):
        prepare(Specification(None, ("definitely-not-a-distribution==0",)), "uv", with_runlore=False)
    assert [path for path in place.iterdir() if path.is_dir()] == []


@needs_uv
def test_one_that_was_left_half_made_is_made_again(place: Path) -> None:
    first = prepare(Specification(), "uv", with_runlore=False)
    assert first.root is not None
    (first.root / ".runlore-ready").unlink()
    shutil.rmtree(first.python.parent)
    assert prepare(Specification(), "uv", with_runlore=False) == first
    assert first.python.exists()
    variables = first.variables()
    assert variables["PATH"].split(os.pathsep)[0] == str(first.python.parent)
    assert "PYTHONHOME" not in variables


@needs_uv
def test_an_environment_can_be_taken_along(tmp_path: Path) -> None:
    packed = pack_environment(prepare(Specification(None, ("iniconfig",)), "uv", with_runlore=False), tmp_path / "packed")
    with tarfile.open(packed) as archive:
        archive.extractall(tmp_path / "elsewhere", filter="fully_trusted")
    (python,) = (tmp_path / "elsewhere").glob("*/bin/python")
    subprocess.run([python, "-c", "import iniconfig"], check=True)
    runlore.pyfunc.save_model(tmp_path / "model", python_model=lambda model_input: model_input)
    with pytest.raises(InvalidParameter, match="can not be packed"):
        runlore.pyfunc.build_model_env(tmp_path / "model", tmp_path, "local")


def test_environments_are_kept_in_the_cache_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RUNLORE_ENV_ROOT")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    settings.cache_clear()
    assert environments_directory() == tmp_path / "cache" / "runlore" / "environments"
    monkeypatch.setenv("MLFLOW_ENV_ROOT", str(tmp_path / "theirs"))
    settings.cache_clear()
    assert environments_directory() == tmp_path / "theirs"
