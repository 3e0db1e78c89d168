"""Experiments: names, tags, the trash, and where artifacts may be."""

from __future__ import annotations

import pytest

from runlore.api.experiments import (
    CreateExperiment,
    DeleteExperiment,
    DeleteExperimentTag,
    GetExperiment,
    GetExperimentByName,
    RestoreExperiment,
    SetExperimentTag,
    UpdateExperiment,
)
from runlore.api.runs import CreateRun, DeleteRun, GetRun
from runlore.entities import Experiment, ExperimentTag
from runlore.exceptions import AlreadyExists, InvalidParameter, InvalidState, NotFound
from runlore.store.base import Store


def create(store: Store, name: str = "fruit", **fields: object) -> str:
    return store.call(CreateExperiment(name=name, **fields)).experiment_id  # type: ignore[arg-type]


def get(store: Store, experiment_id: str) -> Experiment:
    return store.call(GetExperiment(experiment_id=experiment_id)).experiment


def run_stage(store: Store, run_id: str) -> str:
    return store.call(GetRun(run_id=run_id)).run.info.lifecycle_stage


def test_a_new_store_holds_the_default_experiment(store: Store) -> None:
    default = get(store, "0")
    assert (default.name, default.lifecycle_stage) == ("Default", "active")
    assert default.artifact_location == "mlflow-artifacts:/0"
    assert default.creation_time is not None


def test_what_was_created_comes_back(store: Store) -> None:
    key = create(store, tags=[ExperimentTag(key="team", value="a"), ExperimentTag(key="note", value="ü\n" * 100)])
    made = get(store, key)
    assert made.name == "fruit"
    assert made.tags == {"team": "a", "note": "ü\n" * 100}
    assert made.artifact_location == f"mlflow-artifacts:/{key}"
    assert made.creation_time == made.last_update_time


def test_ids_count_up(store: Store) -> None:
    assert [create(store, name) for name in "abc"] == ["1", "2", "3"]


def test_leading_zeros_of_an_id_do_not_matter(store: Store) -> None:
    assert get(store, "000").experiment_id == "0"


def test_an_active_name_is_taken(store: Store) -> None:
    create(store)
    with pytest.raises(AlreadyExists, match=r"Experiment\(name=fruit\) already exists"):
        create(store)


def test_names_differ_by_case(store: Store) -> None:
    assert create(store, "fruit") != create(store, "Fruit")


def test_an_unknown_experiment_is_not_found(store: Store) -> None:
    with pytest.raises(NotFound, match="No Experiment with id=77 exists"):
        get(store, "77")
    with pytest.raises(NotFound, match="nobody"):
        store.call(GetExperimentByName(experiment_name="nobody"))


@pytest.mark.parametrize("experiment_id", ["", "abc", "-1", "1\n", "9" * 19, "1;"])
def test_an_id_that_is_no_number_is_refused(store: Store, experiment_id: str) -> None:
    with pytest.raises(InvalidParameter):
        get(store, experiment_id)


@pytest.mark.parametrize("name", ["", "x" * 501])
def test_names_have_a_length(store: Store, name: str) -> None:
    with pytest.raises(InvalidParameter):
        create(store, name)


def test_renaming(store: Store) -> None:
    key = create(store)
    create(store, "taken")
    store.call(UpdateExperiment(experiment_id=key, new_name="vegetables"))
    assert store.call(GetExperimentByName(experiment_name="vegetables")).experiment.experiment_id == key
    with pytest.raises(AlreadyExists):
        store.call(UpdateExperiment(experiment_id=key, new_name="taken"))
    store.call(UpdateExperiment(experiment_id=key, new_name="vegetables"))  # its own name is free to it
    assert get(store, key).name == "vegetables"


def test_deleting_takes_the_runs_along_and_restoring_brings_those_back(store: Store) -> None:
    key = create(store)
    kept, gone = (store.call(CreateRun(experiment_id=key)).run.info.run_id for _ in range(2))
    store.call(DeleteRun(run_id=gone))
    store.call(DeleteExperiment(experiment_id=key))
    assert get(store, key).lifecycle_stage == "deleted"
    assert [run_stage(store, run_id) for run_id in (kept, gone)] == ["deleted", "deleted"]
    store.call(RestoreExperiment(experiment_id=key))
    assert get(store, key).lifecycle_stage == "active"
    assert [run_stage(store, run_id) for run_id in (kept, gone)] == ["active", "deleted"]


def test_a_deleted_experiment_is_not_written_to(store: Store) -> None:
    key = create(store, tags=[ExperimentTag(key="a", value="b")])
    store.call(DeleteExperiment(experiment_id=key))
    with pytest.raises(InvalidParameter, match="must be in the 'active' state"):
        store.call(CreateRun(experiment_id=key))
    with pytest.raises(InvalidParameter, match="must be in the 'active' state"):
        store.call(SetExperimentTag(experiment_id=key, key="a", value="c"))
    with pytest.raises(InvalidParameter, match="must be in the 'active' state"):
        store.call(DeleteExperimentTag(experiment_id=key, key="a"))
    with pytest.raises(InvalidState, match="Cannot rename a non-active experiment"):
        store.call(UpdateExperiment(experiment_id=key, new_name="other"))
    with pytest.raises(NotFound):
        store.call(DeleteExperiment(experiment_id=key))
    assert get(store, key).tags == {"a": "b"}


def test_the_name_of_a_deleted_experiment_is_free(store: Store) -> None:
    first = create(store)
    store.call(DeleteExperiment(experiment_id=first))
    second = create(store)

    def by_name() -> str:
        return store.call(GetExperimentByName(experiment_name="fruit")).experiment.experiment_id

    assert by_name() == second
    with pytest.raises(AlreadyExists):
        store.call(RestoreExperiment(experiment_id=first))
    store.call(DeleteExperiment(experiment_id=second))
    assert by_name() == second  # deleted last
    store.call(RestoreExperiment(experiment_id=first))
    assert by_name() == first


def test_an_active_experiment_can_not_be_restored(store: Store) -> None:
    with pytest.raises(NotFound):
        store.call(RestoreExperiment(experiment_id="0"))


def test_tags_are_set_replaced_and_deleted(store: Store) -> None:
    for value in ("1", "2"):
        store.call(SetExperimentTag(experiment_id="0", key="mlflow.note.content", value=value))
    assert get(store, "0").tags == {"mlflow.note.content": "2"}
    store.call(DeleteExperimentTag(experiment_id="0", key="mlflow.note.content"))
    assert get(store, "0").tags == {}
    with pytest.raises(NotFound, match="No tag with name: nope"):
        store.call(DeleteExperimentTag(experiment_id="0", key="nope"))
    with pytest.raises(NotFound):
        store.call(SetExperimentTag(experiment_id="12", key="a", value="b"))


@pytest.mark.parametrize(
    "location",
    [
        "mlflow-artifacts:/a/b",
        "s3://bucket/a b",
        "gs://bucket",
        "az://c/d",
        "abfss://c@account.dfs.core.windows.net/x",
        "r2://b/k",
    ],
)
def test_locations_in_object_stores_and_behind_the_proxy_are_kept(store: Store, location: str) -> None:
    key = create(store, artifact_location=location + "/")
    assert get(store, key).artifact_location == location
    run = store.call(CreateRun(experiment_id=key)).run
    assert run.info.artifact_uri == f"{location}/{run.info.run_id}/artifacts"


@pytest.mark.parametrize(
    "location",
    [
        "/etc", "etc", "file:///etc", "file:/etc", "http://169.254.169.254/latest", "https://x", "ftp://x", "dbfs:/x",
        "runs:/x/y", "mlflow-artifacts:/../etc", "mlflow-artifacts:/a//b", "mlflow-artifacts:/%2e%2e/etc",
        "mlflow-artifacts:/a\\b", "mlflow-artifacts://host/a", "mlflow-artifacts:a", "MLFLOW-ARTIFACTS:/a",
        "s3://bucket/../x", "s3:///x", "s3://b/?x=y%00", "s3://user:pw@host/x", "s3:bucket", " s3://b", "s3://b\n",
    ],
)  # fmt: skip
def test_locations_that_make_the_server_touch_files_or_hosts_are_refused(store: Store, location: str) -> None:
    with pytest.raises(InvalidParameter):
        create(store, artifact_location=location)
    assert create(store) == "1"  # the refused one left nothing behind
