"""Registered models and versions: names, numbers, stages, aliases, tags, renames. Sources are in test_model_source.py."""

from __future__ import annotations

import threading
import unicodedata
from contextlib import closing, suppress

import pytest

from runlore.api.registry import (
    CreateModelVersion,
    CreateRegisteredModel,
    DeleteModelVersion,
    DeleteModelVersionTag,
    DeleteRegisteredModel,
    DeleteRegisteredModelAlias,
    DeleteRegisteredModelTag,
    GetLatestVersions,
    GetModelVersion,
    GetModelVersionByAlias,
    GetModelVersionDownloadUri,
    GetRegisteredModel,
    RenameRegisteredModel,
    SetModelVersionTag,
    SetRegisteredModelAlias,
    SetRegisteredModelTag,
    TransitionModelVersionStage,
    UpdateModelVersion,
    UpdateRegisteredModel,
)
from runlore.entities import ModelVersion, ModelVersionTag, RegisteredModel, RegisteredModelTag
from runlore.exceptions import AlreadyExists, InvalidParameter, NotFound
from runlore.store.base import Store, open_store

SOURCE = "s3://bucket/model"


def register(store: Store, name: str = "m", versions: int = 0) -> RegisteredModel:
    model = store.call(CreateRegisteredModel(name=name)).registered_model
    for _ in range(versions):
        add(store, name)
    return model


def add(store: Store, name: str = "m", **fields: object) -> ModelVersion:
    return store.call(CreateModelVersion(**{"name": name, "source": SOURCE, **fields})).model_version  # type: ignore[arg-type]


def get(store: Store, name: str = "m") -> RegisteredModel:
    return store.call(GetRegisteredModel(name=name)).registered_model


def version(store: Store, number: int | str, name: str = "m") -> ModelVersion:
    return store.call(GetModelVersion(name=name, version=str(number))).model_version


def move(store: Store, number: int, stage: str, archive: bool = False) -> ModelVersion:
    return store.call(
        TransitionModelVersionStage(name="m", version=str(number), stage=stage, archive_existing_versions=archive)
    ).model_version


# -- registered models -------------------------------------------------------------------------------------------------


def test_what_was_registered_comes_back(store: Store) -> None:
    made = store.call(
        CreateRegisteredModel(name="m", description="words", tags=[RegisteredModelTag(key="a", value="1")])
    ).registered_model
    assert made == get(store)
    assert (made.name, made.description, made.tags, made.aliases) == ("m", "words", {"a": "1"}, {})
    assert made.latest_versions == []
    assert made.creation_timestamp == made.last_updated_timestamp
    assert made.creation_timestamp


def test_a_second_registration_says_that_the_name_is_taken(store: Store) -> None:
    register(store)
    with pytest.raises(AlreadyExists, match=r"Registered Model \(name=m\) already exists") as caught:
        register(store)
    assert caught.value.error_code == "RESOURCE_ALREADY_EXISTS"


@pytest.mark.parametrize(
    "name",
    ["iris", "Iris v2", "iris-classifier_1.0", "модель", "モデル", "naïve", "a@b", "50%", "x" * 256, ".hidden", "a.b..c"],
)
def test_names_that_mlflow_takes_are_taken(store: Store, name: str) -> None:
    register(store, name)
    assert get(store, name).name == name
    assert add(store, name).name == name


@pytest.mark.parametrize(
    "name",
    ["a/b", "a:b", "/", ".", "..", " ", " a", "a ", "a\nb", "a\x00b", "a\u200bb", "a\u202eb", "m-" + "0" * 32, "x" * 257, ""],
)
def test_names_that_can_be_mistaken_are_refused(store: Store, name: str) -> None:
    with pytest.raises(InvalidParameter):
        register(store, name)
    register(store, "fine")
    with pytest.raises(InvalidParameter):
        store.call(RenameRegisteredModel(name="fine", new_name=name))


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("Iris", "iRIS"),
        ("Straße", "STRASSE"),
        (unicodedata.normalize("NFC", "Modèle"), unicodedata.normalize("NFD", "modèle")),
        ("Ω", "\u2126"),
    ],
)
def test_names_that_fold_together_are_one_name(store: Store, name: str, other: str) -> None:
    register(store, name, versions=1)
    with pytest.raises(AlreadyExists):
        register(store, other)
    assert get(store, other).name == name
    assert add(store, other).name == name
    assert version(store, 2, other).version == "2"
    store.call(SetRegisteredModelAlias(name=other, alias="a", version="1"))
    assert get(store, name).aliases == {"a": "1"}


def test_names_are_not_decoded(store: Store) -> None:
    register(store, "a%20b")
    with pytest.raises(NotFound):
        get(store, "a b")
    register(store, "a b")
    assert get(store, "a%20b").name == "a%20b"


def test_everything_on_a_missing_model_is_not_found(store: Store) -> None:
    for operation in [
        GetRegisteredModel(name="no"),
        UpdateRegisteredModel(name="no", description="x"),
        RenameRegisteredModel(name="no", new_name="yes"),
        DeleteRegisteredModel(name="no"),
        GetLatestVersions(name="no"),
        SetRegisteredModelTag(name="no", key="a", value="b"),
        DeleteRegisteredModelTag(name="no", key="a"),
        SetRegisteredModelAlias(name="no", alias="a", version="1"),
        DeleteRegisteredModelAlias(name="no", alias="a"),
        GetModelVersionByAlias(name="no", alias="a"),
        CreateModelVersion(name="no", source=SOURCE),
        GetModelVersion(name="no", version="1"),
    ]:
        with pytest.raises(NotFound, match="Registered Model with name=no not found"):
            store.call(operation)


def test_the_description_changes(store: Store) -> None:
    register(store)
    assert store.call(UpdateRegisteredModel(name="m", description="new")).registered_model.description == "new"
    assert get(store).description == "new"


def test_tags_of_a_model_are_replaced_and_removed(store: Store) -> None:
    register(store)
    for value in ("1", "2"):
        store.call(SetRegisteredModelTag(name="m", key="a", value=value))
    assert get(store).tags == {"a": "2"}
    for _ in range(2):
        store.call(DeleteRegisteredModelTag(name="m", key="a"))
    assert get(store).tags == {}


def test_a_rename_takes_everything_along(store: Store) -> None:
    register(store, "old", versions=2)
    store.call(SetRegisteredModelTag(name="old", key="a", value="1"))
    store.call(SetModelVersionTag(name="old", version="2", key="b", value="2"))
    store.call(SetRegisteredModelAlias(name="old", alias="champion", version="2"))
    renamed = store.call(RenameRegisteredModel(name="old", new_name="new")).registered_model
    assert renamed == get(store, "new")
    assert (renamed.name, renamed.tags, renamed.aliases) == ("new", {"a": "1"}, {"champion": "2"})
    moved = version(store, 2, "new")
    assert (moved.name, moved.tags, moved.aliases) == ("new", {"b": "2"}, ["champion"])
    assert add(store, "new").version == "3"
    with pytest.raises(NotFound):
        get(store, "old")
    register(store, "old")


def test_a_rename_can_correct_the_case_but_not_take_a_name(store: Store) -> None:
    register(store, "one", versions=1)
    register(store, "two")
    assert store.call(RenameRegisteredModel(name="one", new_name="One")).registered_model.name == "One"
    assert version(store, 1, "one").name == "One"
    with pytest.raises(AlreadyExists):
        store.call(RenameRegisteredModel(name="one", new_name="TWO"))
    assert get(store, "one").name == "One"


def test_deleting_a_model_deletes_its_versions(store: Store) -> None:
    register(store, versions=1)
    store.call(DeleteRegisteredModel(name="m"))
    with pytest.raises(NotFound):
        get(store)
    register(store)
    with pytest.raises(NotFound, match=r"Model Version \(name=m, version=1\) not found"):
        version(store, 1)


# -- versions ------------------------------------------------------------------------------------------------------------


def test_what_was_versioned_comes_back(store: Store) -> None:
    register(store)
    made = add(store, tags=[ModelVersionTag(key="a", value="1")], run_link="https://ci/run/1", description="words")
    assert made == version(store, 1)
    assert (made.name, made.version, made.current_stage, made.status) == ("m", "1", "None", "READY")
    assert (made.source, made.run_link, made.description, made.tags) == (SOURCE, "https://ci/run/1", "words", {"a": "1"})
    assert made.creation_timestamp == made.last_updated_timestamp
    assert get(store).last_updated_timestamp == made.creation_timestamp
    assert store.call(GetModelVersionDownloadUri(name="m", version="1")).artifact_uri == SOURCE


def test_numbers_are_never_given_twice(store: Store) -> None:
    register(store, versions=2)
    store.call(DeleteModelVersion(name="m", version="2"))
    assert add(store).version == "3"
    with pytest.raises(NotFound):
        version(store, 2)


def test_versions_made_at_the_same_time_get_different_numbers(store: Store) -> None:
    register(store)
    numbers: list[str] = []
    threads = [threading.Thread(target=lambda: numbers.extend(add(store).version for _ in range(5))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(int, numbers)) == list(range(1, 21))


def test_two_servers_on_one_database_agree_on_names_and_numbers(postgres_uri: str) -> None:
    with closing(open_store(postgres_uri)) as one, closing(open_store(postgres_uri)) as two:
        made: list[str] = []

        def work(store: Store) -> None:
            for number in range(10):
                with suppress(AlreadyExists):
                    made.append(register(store, f"name {number}").name)
                made.append(add(store, f"name {number}").version)

        threads = [threading.Thread(target=work, args=(store,)) for store in (one, two)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(made) == sorted([f"name {number}" for number in range(10)] + ["1", "2"] * 10)


def test_everything_on_a_missing_version_is_not_found(store: Store) -> None:
    register(store)
    for operation in [
        GetModelVersion(name="m", version="7"),
        UpdateModelVersion(name="m", version="7", description="x"),
        TransitionModelVersionStage(name="m", version="7", stage="Staging"),
        DeleteModelVersion(name="m", version="7"),
        GetModelVersionDownloadUri(name="m", version="7"),
        SetModelVersionTag(name="m", version="7", key="a", value="1"),
        DeleteModelVersionTag(name="m", version="7", key="a"),
        SetRegisteredModelAlias(name="m", alias="a", version="7"),
    ]:
        with pytest.raises(NotFound, match=r"Model Version \(name=m, version=7\) not found"):
            store.call(operation)


def test_a_version_is_described_and_tagged(store: Store) -> None:
    register(store, versions=1)
    assert store.call(UpdateModelVersion(name="m", version="1", description="new")).model_version.description == "new"
    for value in ("1", "2"):
        store.call(SetModelVersionTag(name="m", version="1", key="a", value=value))
    assert version(store, 1).tags == {"a": "2"}
    for _ in range(2):
        store.call(DeleteModelVersionTag(name="m", version="1", key="a"))
    assert version(store, 1).tags == {}


# -- stages --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "stage"), [("production", "Production"), ("STAGING", "Staging"), ("aRchived", "Archived"), ("none", "None")]
)
def test_stages_are_known_in_any_case(store: Store, word: str, stage: str) -> None:
    register(store, versions=1)
    assert move(store, 1, word).current_stage == stage == version(store, 1).current_stage


def test_an_unknown_stage_is_refused(store: Store) -> None:
    register(store, versions=1)
    with pytest.raises(InvalidParameter, match="Invalid Model Version stage: Live"):
        move(store, 1, "Live")
    with pytest.raises(InvalidParameter, match="Invalid Model Version stage"):
        store.call(GetLatestVersions(name="m", stages=["Live"]))


def test_the_latest_version_of_each_stage(store: Store) -> None:
    register(store, versions=6)
    for number, stage in ((1, "Production"), (2, "Production"), (3, "Staging"), (5, "Archived")):
        move(store, number, stage)

    def latest(*stages: str) -> list[tuple[str, str]]:
        found = store.call(GetLatestVersions(name="m", stages=list(stages))).model_versions
        return [(entry.current_stage, entry.version) for entry in found]

    every = [("None", "6"), ("Staging", "3"), ("Production", "2"), ("Archived", "5")]
    assert latest() == every
    assert latest("production", "staging") == [("Staging", "3"), ("Production", "2")]
    assert [(entry.current_stage, entry.version) for entry in get(store).latest_versions] == every
    store.call(DeleteModelVersion(name="m", version="3"))
    assert latest("Staging") == []


def test_a_transition_archives_what_was_there_when_asked(store: Store) -> None:
    register(store, versions=4)
    for number in (1, 2):
        move(store, number, "Production")
    move(store, 3, "Staging")
    move(store, 4, "Production", archive=True)
    assert [version(store, number).current_stage for number in (1, 2, 3, 4)] == [
        "Archived",
        "Archived",
        "Staging",
        "Production",
    ]
    move(store, 4, "Production", archive=True)
    assert version(store, 4).current_stage == "Production"
    with pytest.raises(InvalidParameter, match="is not an Active stage"):
        move(store, 3, "Archived", archive=True)


# -- aliases -------------------------------------------------------------------------------------------------------------


def test_an_alias_points_moves_and_goes(store: Store) -> None:
    register(store, versions=2)

    def pointed() -> str:
        return store.call(GetModelVersionByAlias(name="m", alias="champion")).model_version.version

    store.call(SetRegisteredModelAlias(name="m", alias="champion", version="1"))
    store.call(SetRegisteredModelAlias(name="m", alias="second", version="1"))
    assert pointed() == "1"
    assert version(store, 1).aliases == ["champion", "second"]
    store.call(SetRegisteredModelAlias(name="m", alias="champion", version="2"))
    assert pointed() == "2"
    assert get(store).aliases == {"champion": "2", "second": "1"}
    assert [entry.aliases for entry in get(store).latest_versions] == [["champion"]]
    for _ in range(2):
        store.call(DeleteRegisteredModelAlias(name="m", alias="champion"))
    with pytest.raises(InvalidParameter, match="Registered model alias champion not found"):
        pointed()


def test_deleting_a_version_deletes_its_aliases(store: Store) -> None:
    register(store, versions=2)
    store.call(SetRegisteredModelAlias(name="m", alias="a", version="2"))
    store.call(DeleteModelVersion(name="m", version="2"))
    assert get(store).aliases == {}


@pytest.mark.parametrize("alias", ["latest", "LATEST", "v1", "V27", "a b", "a/b", "a@b", "a.b", "a\n", "x" * 256])
def test_reserved_and_odd_aliases_are_refused(store: Store, alias: str) -> None:
    register(store, versions=1)
    with pytest.raises(InvalidParameter):
        store.call(SetRegisteredModelAlias(name="m", alias=alias, version="1"))
    assert get(store).aliases == {}


def test_latest_is_an_alias_that_is_always_there(store: Store) -> None:
    register(store)
    with pytest.raises(NotFound, match="Latest version not found for model m"):
        store.call(GetModelVersionByAlias(name="m", alias="latest"))
    for _ in range(11):
        add(store)
    move(store, 11, "Archived")
    assert store.call(GetModelVersionByAlias(name="m", alias="Latest")).model_version.version == "11"
