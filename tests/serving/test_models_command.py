"""`runlore models list` and `describe`, and changing what a model asks for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

import runlore
import runlore.pyfunc
from runlore.cli.models import models


def run(*arguments: str) -> str:
    answer = CliRunner().invoke(models, list(arguments))
    assert answer.exit_code == 0, (answer.output, answer.exception)
    return answer.stdout


@pytest.fixture
def store(tmp_path: Path) -> str:
    """Two registered models; the first has two versions and an alias."""
    place = str(tmp_path / "store")
    runlore.set_tracking_uri(place)
    client = runlore.MlflowClient()
    for name, count in (("it's iris", 2), ("wine", 1)):
        client.create_registered_model(name, description=f"About {name}", tags={"team": "flowers"})
        for _ in range(count):
            info = runlore.pyfunc.log_model(python_model=lambda model_input: model_input, name="model")
            client.create_model_version(name, info.model_uri)
    client.set_registered_model_alias("it's iris", "champion", "2")
    return place


def test_registered_models_are_listed_and_described(store: str) -> None:
    listed = run("list", "--store", store)
    assert [line.split("  ")[0] for line in listed.splitlines()] == ["NAME", "it's iris", "wine"]
    assert "champion → 2" in listed
    found = json.loads(run("list", "--store", store, "--filter", "name LIKE 'w%'", "--json"))
    assert [model["name"] for model in found] == ["wine"]
    assert len(json.loads(run("list", "--store", store, "--max", "1", "--json"))) == 1
    shown = run("describe", "it's iris", "--store", store)
    assert "About it's iris" in shown
    assert "flowers" in shown
    versions = json.loads(run("describe", "it's iris", "--store", store, "--json"))["model_versions"]
    assert [(item["version"], item.get("aliases", [])) for item in versions] == [("2", ["champion"]), ("1", [])]
    assert CliRunner().invoke(models, ["describe", "nobody", "--store", store]).exit_code != 0


def test_requirements_are_changed(tmp_path: Path) -> None:
    place = tmp_path / "model"
    runlore.pyfunc.save_model(place, python_model=lambda model_input: model_input, pip_requirements=["numpy==1.0", "scipy"])
    run("update-pip-requirements", "-m", str(place), "add", "numpy>=2", "pandas")
    assert set((place / "requirements.txt").read_text().split()) == {"scipy", "numpy>=2", "pandas"}
    run("update-pip-requirements", "-m", str(place), "remove", "SciPy")
    assert set((place / "requirements.txt").read_text().split()) == {"numpy>=2", "pandas"}
    assert json.loads(run("prepare-env", "-m", str(place), "--env-manager", "local", "--json"))["directory"] is None
