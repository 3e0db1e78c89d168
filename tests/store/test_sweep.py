"""Files of purged runs and models: counted, removed, kept when something is made of them, found again after a crash."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from runlore.api.experiments import CreateExperiment
from runlore.api.logged_models import CreateLoggedModel, DeleteLoggedModel
from runlore.api.registry import CreateModelVersion, CreateRegisteredModel, DeleteModelVersion
from runlore.api.runs import CreateRun, DeleteRun
from runlore.api.trash import GetReleasedFiles, PurgeTrash
from runlore.blobs import sweep
from runlore.blobs.base import ArtifactPath
from runlore.blobs.sweep import census, measure, remove, remove_released
from runlore.blobs.uri import open_blobs, open_root
from runlore.entities import Run
from runlore.exceptions import NotFound
from runlore.store.base import Store, open_store


def new_run(store: Store, experiment_id: str = "0") -> Run:
    """A run with two files of 10 bytes together."""
    run = store.call(CreateRun(experiment_id=experiment_id)).run
    put(store, run.info.artifact_uri, "model/weights.bin", b"1234567")
    put(store, run.info.artifact_uri, "log.txt", b"890")
    return run


def put(store: Store, uri: str, path: str, data: bytes) -> None:
    open_blobs(uri, store).write(ArtifactPath(path), iter([data]))


def names(store: Store, path: str = "") -> list[str]:
    return [info.path for info in open_root(store).list(ArtifactPath(path))]


def purge(store: Store, *runs: Run) -> None:
    for run in runs:
        store.call(DeleteRun(run_id=run.info.run_id))
    while store.call(PurgeTrash()).more:
        pass


def test_files_of_purged_runs_go(store: Store) -> None:
    kept, gone, empty = new_run(store), new_run(store), store.call(CreateRun()).run
    assert measure(store, [gone.info.artifact_uri, kept.info.artifact_uri, "s3://elsewhere/x"]).size == 20
    purge(store, gone, empty)
    assert len(names(store, "0")) == 2  # rows go first
    done = remove_released(store)
    assert (done.directories, done.files, done.size, done.more, done.kept) == (1, 2, 10, False, [])
    assert names(store, "0") == [f"0/{kept.info.run_id}"]
    assert store.call(GetReleasedFiles()).uris == []
    assert remove_released(store).directories == 0


def test_files_of_model_versions_stay(store: Store) -> None:
    run = new_run(store)
    model = store.call(CreateLoggedModel(experiment_id="0")).model.info
    put(store, model.artifact_uri, "MLmodel", b"x")
    store.call(CreateRegisteredModel(name="fruit"))
    store.call(CreateModelVersion(name="fruit", source=f"runs:/{run.info.run_id}/model"))
    store.call(CreateModelVersion(name="fruit", source=f"models:/{model.model_id}"))
    store.call(DeleteLoggedModel(model_id=model.model_id))
    purge(store, run)
    done = remove_released(store)
    assert (done.files, len(done.kept)) == (0, 2)
    assert measure(store, [run.info.artifact_uri, model.artifact_uri]).files == 3
    store.call(DeleteModelVersion(name="fruit", version="1"))
    done = remove_released(store)
    assert (done.files, len(done.kept)) == (2, 1)
    assert measure(store, [run.info.artifact_uri, model.artifact_uri]).files == 1


def test_files_in_foreign_places_are_left_and_named(store: Store) -> None:
    key = store.call(CreateExperiment(name="far", artifact_location="s3://elsewhere/x")).experiment_id
    run = store.call(CreateRun(experiment_id=key)).run
    purge(store, run)
    done = remove_released(store)
    assert done.more is False
    assert [(item.id, "outside the artifact root" in item.reason) for item in done.kept] == [
        (f"s3://elsewhere/x/{run.info.run_id}", True)
    ]


def test_with_a_wrong_artifact_root_the_list_is_kept(tmp_path: Path) -> None:
    place = str(tmp_path / "store")
    with closing(open_store(place)) as store:
        purge(store, new_run(store))
    with closing(open_store(place, artifacts=str(tmp_path / "wrong"))) as store:
        (kept,) = remove_released(store).kept
        assert "artifact root is empty" in kept.reason
    with closing(open_store(place)) as store:
        assert remove_released(store).files == 2


def test_what_a_crash_left_goes_the_next_time(new_store: Callable[[str], Store]) -> None:
    """The rows are gone, some of the files too, and the list was not shortened."""
    store = new_store("sqlite")
    first, second = new_run(store), new_run(store)
    purge(store, first, second)
    open_blobs(first.info.artifact_uri, store).delete(ArtifactPath("model"))
    done = remove_released(store)
    assert (done.directories, done.files) == (2, 3)
    assert names(store, "0") == []


def test_long_lists_take_several_calls(new_store: Callable[[str], Store], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "_BATCH", 2)
    store = new_store("sqlite")
    purge(store, *(new_run(store) for _ in range(5)))
    calls = [remove_released(store, seconds=0) for _ in range(3)]
    assert [(call.files, call.more) for call in calls] == [(4, True), (4, True), (2, False)]


def test_directories_without_an_owner_are_found_and_nothing_else(store: Store) -> None:
    run = new_run(store)
    key = store.call(CreateExperiment(name="deep", artifact_location="mlflow-artifacts:/team/a")).experiment_id
    deep = new_run(store, key)
    model = store.call(CreateLoggedModel(experiment_id="0")).model.info
    put(store, model.artifact_uri, "MLmodel", b"x")
    waiting = new_run(store)
    purge(store, waiting)
    strangers = [f"mlflow-artifacts:/0/{'ab' * 16}", f"mlflow-artifacts:/0/models/m-{'ab' * 16}"]
    for uri in strangers:
        put(store, uri, "artifacts/f", b"12345")
    put(store, "mlflow-artifacts:/0/notes", "n.txt", b"x")
    found = census(store)
    assert sorted(found.unowned) == strangers
    assert found.owned == 4
    assert measure(store, found.unowned).size == 10
    assert [remove(store, uri).size for uri in found.unowned] == [5, 5]
    assert remove(store, strangers[0]).size == 0
    assert census(store).unowned == []
    assert measure(store, [run.info.artifact_uri, deep.info.artifact_uri, model.artifact_uri]).files == 5
    with pytest.raises(NotFound):
        open_blobs(strangers[0], store).stat(ArtifactPath("artifacts"))
