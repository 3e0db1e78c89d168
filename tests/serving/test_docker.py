"""The directory that docker builds from: what is in it is enough, and is what is meant."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import runlore.models
import runlore.pyfunc
from runlore.cli.models import models
from runlore.exceptions import InvalidParameter, InvalidState, MissingDependency
from runlore.serving.docker import generate_dockerfile

needs_uv = pytest.mark.skipif(shutil.which("uv") is None, reason="uv is not installed")


@pytest.fixture
def doubling(tmp_path: Path) -> Path:
    """A model that is a pickle, in a directory."""

    def double(model_input: Any) -> Any:
        return model_input * 2

    runlore.pyfunc.save_model(tmp_path / "doubling", python_model=double)
    return tmp_path / "doubling"


def entrypoint(directory: Path) -> list[str]:
    (line,) = re.findall(r"^ENTRYPOINT (.*)$", (directory / "Dockerfile").read_text(), re.MULTILINE)
    command: list[str] = json.loads(line)
    return command


@needs_uv
def test_what_is_in_the_directory_serves_the_model(doubling: Path, tmp_path: Path) -> None:
    """What the image would run, with an environment in the place of the image."""
    place = tmp_path / "image"
    answer = CliRunner().invoke(models, ["generate-dockerfile", "-m", str(doubling), "-d", str(place)])
    assert answer.exit_code == 0, answer.output
    assert sorted(path.name for path in place.iterdir()) == ["Dockerfile", "model", "requirements.txt", "wheels"]
    requirements = (place / "requirements.txt").read_text().splitlines()
    assert all("==" in line for line in requirements)
    environment = tmp_path / "environment"
    subprocess.run(["uv", "venv", "--quiet", "--python", sys.executable, str(environment)], check=True)
    wheels = ["--find-links", str(place / "wheels"), "-r", str(place / "requirements.txt")]
    subprocess.run(["uv", "pip", "install", "--quiet", "--python", str(environment / "bin/python"), *wheels], check=True)
    places = {
        "/opt/ml/model": str(place / "model"),
        "runlore": str(environment / "bin/runlore"),
        "0.0.0.0": "127.0.0.1",
        "8080": "0",
    }
    command = [places.get(word, word) for word in entrypoint(place)]
    variables = {**os.environ, "RUNLORE_CONFIG_DIR": str(tmp_path / "nobody's")}  # there is no key in an image
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=variables) as process:
        try:
            assert process.stderr is not None
            found = re.search(r"http://localhost:\d+", first := process.stderr.readline())
            assert found, first + process.stderr.read()
            body = json.dumps({"inputs": [1, 2]}).encode()
            request = urllib.request.Request(f"{found[0]}/invocations", body, {"Content-Type": "application/json"})
            with urllib.request.urlopen(request, timeout=60) as reply:
                assert json.load(reply) == {"predictions": [2, 4]}
        finally:
            process.terminate()


def test_the_image_is_small_and_careful(doubling: Path, tmp_path: Path) -> None:
    text = (generate_dockerfile(str(doubling), tmp_path / "image") / "Dockerfile").read_text()
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert re.findall(r"^FROM (.*)$", text, re.MULTILINE) == [f"python:{version}-slim AS build", f"python:{version}-slim"]
    lines = text.splitlines()
    assert lines.index("USER 10001") < next(number for number, line in enumerate(lines) if line.startswith("ENTRYPOINT"))
    assert "HEALTHCHECK" in text
    assert "jre" not in text
    assert "--allow-pickle" in text  # this installation wrote the model
    modes = {oct(path.stat().st_mode & 0o777) for path in (tmp_path / "image/model").iterdir()}
    assert modes == {"0o644"}
    assert (
        "default-jre" in (generate_dockerfile(str(doubling), tmp_path / "java", install_java=True) / "Dockerfile").read_text()
    )


def test_pickles_of_others_stay_refused_in_the_image(doubling: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNLORE_CONFIG_DIR", str(tmp_path / "another"))
    from runlore.settings import settings

    settings.cache_clear()
    assert "--allow-pickle" not in entrypoint(generate_dockerfile(str(doubling), tmp_path / "image"))


def test_an_image_without_a_model_serves_what_is_mounted(tmp_path: Path) -> None:
    place = generate_dockerfile(None, tmp_path / "image", "uv", base_image="registry.example/python:3.12")
    assert not (place / "model").exists()
    assert entrypoint(place)[-2:] == ["--env-manager", "uv"]
    assert "FROM registry.example/python:3.12\n" in (place / "Dockerfile").read_text()


def test_what_can_not_be_a_name_is_no_part_of_a_dockerfile(doubling: Path, tmp_path: Path) -> None:
    for name in ("python:3.11\nRUN evil", "a b", "", "-x", "$(evil)"):
        with pytest.raises(InvalidParameter, match="no name of an image"):
            generate_dockerfile(str(doubling), tmp_path / "image", base_image=name or " ")
    with pytest.raises(InvalidParameter, match="no name of an image"):
        runlore.models.build_docker(str(doubling), "--privileged")
    (doubling / "requirements.txt").write_text("numpy\nRUN evil")
    (doubling / "runlore-manifest.json").unlink()
    with pytest.raises(InvalidParameter, match="Not a plain requirement"):
        generate_dockerfile(str(doubling), tmp_path / "other")
    with pytest.raises(InvalidParameter, match="not empty"):
        generate_dockerfile(str(doubling), doubling)


def test_building_says_what_is_missing(doubling: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingDependency, match="generate-dockerfile"):
        runlore.models.build_docker(str(doubling))
    docker = tmp_path / "docker"
    docker.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/asked\nexit 1\n')
    docker.chmod(0o755)
    with pytest.raises(InvalidState, match="docker info"):
        runlore.models.build_docker(str(doubling), "iris:1")
    assert (tmp_path / "asked").read_text().startswith("build --tag iris:1 -- /")
