"""Which store a URI, a directory or nothing at all names."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

import pytest

from runlore.api.runs import CreateRun, GetRun
from runlore.exceptions import InvalidParameter, InvalidState
from runlore.settings import settings
from runlore.store.base import artifact_uri, open_store
from runlore.store.location import locate, nearest


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in an empty directory, without `RUNLORE_DIR`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RUNLORE_DIR", raising=False)
    settings.cache_clear()


def test_without_git_the_store_is_here(tmp_path: Path) -> None:
    assert locate() == tmp_path / ".runlore"
    assert not (tmp_path / ".runlore").exists()


def test_a_new_store_is_at_the_git_root(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    assert locate(inner) == tmp_path / ".runlore"


def test_the_nearest_store_upwards_wins(tmp_path: Path) -> None:
    inner = tmp_path / "a" / "b" / "c"
    inner.mkdir(parents=True)
    (tmp_path / ".runlore").mkdir()
    (tmp_path / "a" / ".runlore").mkdir()
    (tmp_path / "a" / "b" / ".git").mkdir()
    assert locate(inner) == tmp_path / "a" / ".runlore"


def test_the_environment_wins_over_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".runlore").mkdir()
    monkeypatch.setenv("RUNLORE_DIR", "elsewhere")
    settings.cache_clear()
    assert locate() == tmp_path / "elsewhere"
    assert nearest(tmp_path) == tmp_path / ".runlore"
    settings.cache_clear()


def test_a_place_where_nothing_can_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InvalidState, match=r"file/\.runlore' can not be made: .*\. hint: RUNLORE_DIR="):
        open_store(str(tmp_path / "file" / ".runlore"))


def test_the_local_store_can_be_moved(tmp_path: Path) -> None:
    with closing(open_store()) as store:
        run = store.call(CreateRun()).run
        assert store.artifact_root == (tmp_path / ".runlore" / "artifacts").as_uri()
    (tmp_path / ".runlore").rename(tmp_path / "moved")
    for name in ("moved", str(tmp_path / "moved"), (tmp_path / "moved").as_uri()):
        with closing(open_store(name)) as store:
            assert store.call(GetRun(run_id=run.info.run_id)).run == run
            assert store.artifact_root == (tmp_path / "moved" / "artifacts").as_uri()


def test_git_ignores_the_store_it_was_made_in(tmp_path: Path) -> None:
    open_store().close()
    assert (tmp_path / ".runlore" / ".gitignore").read_text() == "*\n"


def test_sqlite_uris(tmp_path: Path) -> None:
    for uri in ("sqlite:///a/x.db", f"sqlite:///{tmp_path}/a/x.db"):
        with closing(open_store(uri)) as store:
            assert store.uri == uri
            assert store.artifact_root == (tmp_path / "a" / "artifacts").as_uri()
    assert (tmp_path / "a" / "x.db").is_file()


@pytest.mark.parametrize(
    "uri", ["sqlite://", "sqlite:///", "sqlite:x.db", "sqlite:///x.db?mode=ro", "mysql://x/y", "databricks:", "x.db"]
)
def test_what_names_no_store_is_refused_with_advice(uri: str) -> None:
    with pytest.raises(InvalidParameter, match=r"sqlite:///"):
        open_store(uri)
    assert os.listdir() == []


def test_a_database_of_mlflow_is_not_touched(tmp_path: Path) -> None:
    from runlore.store.sql.sqlite import driver

    with closing(driver().connect("mlflow.db")) as connection:
        connection.execute("CREATE TABLE alembic_version (version_num TEXT)")
        connection.commit()
    with pytest.raises(InvalidState, match="MLflow"):
        open_store("sqlite:///mlflow.db")


def test_artifacts_may_be_anywhere(tmp_path: Path) -> None:
    with closing(open_store("s", artifacts="s3://bucket/prefix/")) as store:
        assert store.artifact_root == "s3://bucket/prefix"
    with closing(open_store("s", artifacts="files")) as store:
        assert store.artifact_root == (tmp_path / "files").as_uri()
    assert artifact_uri("C:\\x").startswith("file:")


def test_a_server_knows_its_own_artifacts() -> None:
    with pytest.raises(InvalidParameter, match="http://localhost:1"):
        open_store("http://localhost:1", artifacts="elsewhere")


@pytest.mark.skipif(os.name != "posix", reason="POSIX modes")
@pytest.mark.parametrize("mode", [0o777, 0o702, 0o707, 0o773])
def test_a_directory_that_everybody_may_write_is_refused(tmp_path: Path, mode: int) -> None:
    """Whoever may exchange the files could have this user read and write anything."""
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(mode)
    for uri, artifacts in (
        (str(shared), None),
        (f"file://{shared}", None),
        (f"sqlite:///{shared}/runlore.db", None),
        (f"sqlite:///{tmp_path}/own/runlore.db", str(shared)),
    ):
        with pytest.raises(InvalidState, match="chmod o-w"):
            open_store(uri, artifacts)
    assert list(shared.iterdir()) == []


@pytest.mark.skipif(os.name != "posix", reason="POSIX modes")
@pytest.mark.parametrize("mode", [0o1777, 0o775, 0o755, 0o700])
def test_other_directories_are_fine(tmp_path: Path, mode: int) -> None:
    """A group may be the user's own; in a directory like `/tmp` only owners may exchange files."""
    place = tmp_path / "place"
    place.mkdir()
    place.chmod(mode)
    with closing(open_store(f"sqlite:///{place}/runlore.db")):
        assert (place / "runlore.db").stat().st_mode & 0o777 == 0o600
    with closing(open_store(str(place / "new"))):
        assert (place / "new").stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(os.name != "posix" or os.getuid() != 0, reason="only root can make files of others")
def test_root_passes_over_what_another_user_left_in_a_shared_directory(tmp_path: Path) -> None:
    shared, home = tmp_path / "shared", tmp_path / "home"
    for place in (shared, home):
        (place / ".runlore").mkdir(parents=True)
        os.chown(place / ".runlore", 12_345, 12_345)
    os.chown(home, 12_345, 12_345)
    with pytest.raises(InvalidState, match="another user"):
        nearest(shared)
    (shared / "work").mkdir()
    assert locate(shared / "work") == shared / "work" / ".runlore"
    assert locate(home) == home / ".runlore"
