"""What to tell others about an installation."""

from __future__ import annotations

import sys

import pytest

import runlore


def test_versions_uris_and_variables_without_secrets(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RUNLORE_TRACKING_URI", "http://ada:hunter22@example.org")
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "abcdefgh")
    monkeypatch.setenv("RUNLORE_EXPERIMENT_NAME", "fruit")
    runlore.doctor()
    said = capsys.readouterr().out
    assert f"Runlore: {runlore.__version__}" in said
    assert f"Python: {sys.version.split()[0]}" in said
    assert "Tracking URI: http://***@example.org\n" in said
    assert "RUNLORE_EXPERIMENT_NAME: fruit\n" in said
    assert "MLFLOW_TRACKING_TOKEN: ***\n" in said
    assert "hunter22" not in said
    runlore.doctor(mask_envs=True)
    assert "RUNLORE_EXPERIMENT_NAME: ***\n" in capsys.readouterr().out
