"""`runlore models serve` and its family as processes: signals, several workers, environments, files, consent."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from tests.serving.waiting_models import BetweenFiles

import runlore
import runlore.pyfunc
import runlore.sklearn
from runlore.exceptions import InvalidParameter
from runlore.models import infer_signature
from runlore.serving.files import predict

ROOT = Path(__file__).parents[2]
X, Y = load_iris(return_X_y=True, as_frame=True)
needs_uv = pytest.mark.skipif(shutil.which("uv") is None, reason="uv is not installed")


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "runlore.cli.main", "models", *arguments]


@contextmanager
def serving(*arguments: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The address of a server process, and the process."""
    variables = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command("serve", "--port", "0", *arguments), stderr=subprocess.PIPE, text=True, env=variables
    ) as process:
        assert process.stderr is not None
        said = ""
        while not (found := re.search(r"http://localhost:\d+", said)):
            line = process.stderr.readline()
            assert line, said
            said += line
        try:
            yield found[0].replace("localhost", "127.0.0.1"), process
        finally:
            process.send_signal(signal.SIGTERM)
            rest = process.stderr.read()
            assert process.wait(timeout=30) in (0, 143, -signal.SIGTERM), rest


def ask(url: str, body: Any) -> Any:
    request = urllib.request.Request(f"{url}/invocations", json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


@pytest.fixture
def iris(tmp_path: Path) -> Path:
    """A model of scikit-learn, in a directory."""
    model = LogisticRegression(max_iter=300).fit(X, Y)
    runlore.sklearn.save_model(model, tmp_path / "iris", signature=infer_signature(X, model.predict(X)), input_example=X[:1])
    return tmp_path / "iris"


@pytest.mark.skipif(sys.platform != "linux", reason="--workers works on Linux")
def test_a_signal_to_stop_lets_the_last_request_finish(tmp_path: Path) -> None:
    runlore.pyfunc.save_model(tmp_path / "model", python_model=BetweenFiles(tmp_path))
    with serving("-m", str(tmp_path / "model"), "--workers", "2") as (url, process), ThreadPoolExecutor() as pool:
        answer = pool.submit(ask, url, {"inputs": [1, 2]})
        while not (tmp_path / "asked").exists():
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        (tmp_path / "go on").touch()
        assert answer.result() == {"predictions": [1, 2]}
        assert process.wait(timeout=30) == 0


def test_models_of_others_are_served_with_consent_alone(iris: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runlore.pyfunc.save_model(tmp_path / "model", python_model=BetweenFiles(tmp_path))
    monkeypatch.setenv("RUNLORE_CONFIG_DIR", str(tmp_path / "another installation"))
    done = subprocess.run(command("serve", "-m", str(tmp_path / "model")), capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "allow_pickle=True" in done.stderr
    assert "Traceback" not in done.stderr
    with serving("-m", str(iris)) as (url, _):  # skops files load by their types
        assert ask(url, {"inputs": [X.iloc[0].to_dict()]}) == {"predictions": [0]}


@needs_uv
def test_files_and_requests_are_predicted_in_an_environment_of_the_model(tmp_path: Path) -> None:
    def double(model_input: Any) -> Any:
        import iniconfig  # what it asks for

        return model_input * (2 if iniconfig else 0)

    runlore.pyfunc.save_model(tmp_path / "model", python_model=double, pip_requirements=["iniconfig", "cloudpickle"])
    asked = ("-m", str(tmp_path / "model"), "--env-manager", "uv")
    rows, answers = tmp_path / "rows.csv", tmp_path / "answers.csv"
    rows.write_text("x\n1\n2\n")
    files = ("-i", str(rows), "-t", "csv", "-o", str(answers))
    done = subprocess.run(command("predict", *asked, *files), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert answers.read_text() == "x\n2\n4\n"
    assert "Making an environment of Python 3." in done.stderr
    with serving(*asked) as (url, process):
        assert ask(url, {"inputs": [5]}) == {"predictions": [10]}
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        if children.exists():  # Linux
            (child,) = children.read_text().split()
            assert str(tmp_path / "environments") in Path(f"/proc/{child}/cmdline").read_text()


def test_predict_in_this_environment(iris: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    predict(str(iris), X[:2], env_manager="local")
    assert json.loads(capsys.readouterr().out) == {"predictions": [0, 0]}
    predict(str(iris), X[:2], content_type="csv", output_path=str(tmp_path / "out.json"), env_manager="local")
    assert json.loads((tmp_path / "out.json").read_text()) == {"predictions": [0, 0]}
    (tmp_path / "in.json").write_text(json.dumps({"dataframe_records": X[:1].to_dict(orient="records")}))
    predict(str(iris), input_path=str(tmp_path / "in.json"), env_manager="local")
    assert json.loads(capsys.readouterr().out) == {"predictions": [0]}
    with pytest.raises(InvalidParameter, match="not both"):
        predict(str(iris), X, input_path="x")
    with pytest.raises(InvalidParameter, match="json, csv"):
        predict(str(iris), X, content_type="xml", env_manager="local")
    with pytest.raises(InvalidParameter, match="must not be local"):
        predict(str(iris), X, env_manager="local", pip_requirements_override=["numpy"])
