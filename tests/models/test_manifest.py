"""The seal: what this installation wrote, unchanged, is told from everything else."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from runlore.exceptions import InvalidState, Untrusted
from runlore.models.manifest import MANIFEST_FILE, check_manifest, installation_key, key_path, write_manifest
from runlore.settings import settings


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Files of a model, sealed."""
    place = tmp_path / "model"
    (place / "code").mkdir(parents=True)
    (place / "MLmodel").write_text("flavors: {}")
    (place / "code" / "part.py").write_text("pass")
    write_manifest(place)
    return place


def test_own_files_are_recognised(model: Path) -> None:
    assert check_manifest(model) is True


def test_the_key_is_private_and_stays(model: Path, installation: Path) -> None:
    assert key_path() == installation / "model.key"
    assert stat.S_IMODE(key_path().stat().st_mode) == 0o600
    assert stat.S_IMODE(installation.stat().st_mode) == 0o700
    before = installation_key()
    assert installation_key(create=True) == before is not None


@pytest.mark.parametrize("name", ["MLmodel", "code/part.py"])
def test_a_changed_file_is_refused(model: Path, name: str) -> None:
    (model / name).write_text("changed!")
    with pytest.raises(Untrusted, match=f"file '{name}' is not what was logged"):
        check_manifest(model)


def test_a_missing_file_is_refused(model: Path) -> None:
    (model / "MLmodel").unlink()
    with pytest.raises(Untrusted, match="'MLmodel' is missing"):
        check_manifest(model)


def test_a_file_that_was_added_makes_the_model_foreign(model: Path) -> None:
    (model / "code" / "more.py").write_text("pass")
    assert check_manifest(model) is False


def test_what_mlflow_adds_at_download_is_no_change(model: Path) -> None:
    (model / "registered_model_meta").write_text("model_name: x")
    assert check_manifest(model) is True


def test_a_link_is_refused(model: Path) -> None:
    (model / "link").symlink_to("/etc/passwd")
    with pytest.raises(Untrusted, match="symbolic link"):
        check_manifest(model)


def test_a_forged_manifest_makes_the_model_foreign(model: Path) -> None:
    path = model / MANIFEST_FILE
    manifest = json.loads(path.read_text())
    (model / "code" / "more.py").write_text("evil")
    write_manifest(model, seal=False)
    forged = json.loads(path.read_text())
    path.write_text(json.dumps({**forged, "seal": manifest["seal"]}))
    assert check_manifest(model) is False


def test_another_installation_is_foreign(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNLORE_CONFIG_DIR", str(tmp_path / "other"))
    settings.cache_clear()
    assert check_manifest(model) is False
    write_manifest(tmp_path / "model")
    assert check_manifest(model) is True


def test_the_store_knows_the_digest(model: Path) -> None:
    digest = write_manifest(model)
    assert check_manifest(model, digest) is True
    with pytest.raises(Untrusted, match="the store expects"):
        check_manifest(model, "0" * 64)
    (model / MANIFEST_FILE).unlink()
    assert check_manifest(model) is False
    with pytest.raises(Untrusted, match="is missing"):
        check_manifest(model, digest)


def test_a_key_that_others_may_read_is_refused(model: Path) -> None:
    os.chmod(key_path(), 0o644)
    with pytest.raises(InvalidState, match="chmod 600"):
        check_manifest(model)


def test_a_damaged_key_is_named(model: Path) -> None:
    key_path().write_bytes(b"short")
    with pytest.raises(InvalidState, match="is not a key"):
        check_manifest(model)


def test_a_damaged_manifest_is_named(model: Path) -> None:
    (model / MANIFEST_FILE).write_text("{")
    with pytest.raises(InvalidState, match="can not be read"):
        check_manifest(model)
