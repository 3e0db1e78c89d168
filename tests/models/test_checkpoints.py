"""Checkpoints that lie somewhere already become logged models."""

from __future__ import annotations

from pathlib import Path

import pytest

import runlore
from runlore.exceptions import InvalidParameter, NotFound


def test_each_checkpoint_is_an_external_model_once(tmp_path: Path) -> None:
    place = tmp_path / "checkpoints"
    (place / "step-1").mkdir(parents=True)
    (place / "step-2.pt").write_bytes(b"weights")
    (place / ".partial").write_bytes(b"")
    with runlore.start_run() as run:
        models = runlore.import_checkpoints(str(place), model_prefix="net-")
    assert [model.name for model in models] == ["net-step-1", "net-step-2_pt"]
    assert {(model.status, model.source_run_id, model.tags["mlflow.model.isExternal"]) for model in models} == {
        ("READY", run.info.run_id, "true")
    }
    assert models[1].tags["runlore.model.checkpoint"] == str(place / "step-2.pt")
    (place / "step-3.pt").write_bytes(b"more")
    again = runlore.import_checkpoints(str(place), run.info.run_id, "net-")
    assert [model.model_id for model in again[:2]] == [model.model_id for model in models]
    anew = runlore.import_checkpoints(str(place), run.info.run_id, "net-", overwrite_checkpoints=True)
    assert not {model.model_id for model in anew} & {model.model_id for model in again}
    found = runlore.search_logged_models(output_format="list")
    assert sorted(model.name for model in found) == ["net-step-1", "net-step-2_pt", "net-step-3_pt"]


def test_checkpoints_in_a_run_are_named_by_their_uri(tmp_path: Path) -> None:
    with runlore.start_run() as run:
        runlore.log_text("weights", "checkpoints/step-1.pt")
        (model,) = runlore.import_checkpoints(f"runs:/{run.info.run_id}/checkpoints")
    assert model.tags["runlore.model.checkpoint"] == f"runs:/{run.info.run_id}/checkpoints/step-1.pt"


def test_what_is_no_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no directory of checkpoints"):
        runlore.import_checkpoints(str(tmp_path / "nowhere"))
    with pytest.raises(InvalidParameter, match="path or URI"):
        runlore.import_checkpoints("")
