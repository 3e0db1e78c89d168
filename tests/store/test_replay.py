"""Creations with a key: however often they are sent, one thing is made, and the answer is the same."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import pytest

from runlore.api.experiments import CreateExperiment, SearchExperiments
from runlore.api.logged_models import CreateLoggedModel, SearchLoggedModels
from runlore.api.operation import Operation
from runlore.api.registry import CreateModelVersion, CreateRegisteredModel, SearchModelVersions
from runlore.api.runs import CreateRun, SearchRuns
from runlore.api.views import CreateSavedView, ListSavedViews
from runlore.exceptions import AlreadyExists, InvalidParameter, NotFound
from runlore.store.base import Store

SOURCE = "s3://bucket/model"
CREATIONS: list[Operation[Any]] = [
    CreateExperiment(name="fruit", idempotency_key="k"),
    CreateRun(idempotency_key="k"),
    CreateLoggedModel(experiment_id="0", idempotency_key="k"),
    CreateRegisteredModel(name="pear", idempotency_key="k"),
    CreateModelVersion(name="fig", source=SOURCE, idempotency_key="k"),
    CreateSavedView(state={"a": 1}, name="mine", idempotency_key="k"),
]


def made(store: Store) -> tuple[int, ...]:
    """How many there are of everything."""
    return (
        len(store.call(SearchExperiments(max_results=100)).experiments),
        len(store.call(SearchRuns(experiment_ids=["0"])).runs),
        len(store.call(SearchLoggedModels(experiment_ids=["0"])).models),
        len(store.call(SearchModelVersions()).model_versions),
        len(store.call(ListSavedViews()).views),
    )


@pytest.mark.parametrize("creation", CREATIONS, ids=lambda creation: type(creation).__name__)
def test_a_creation_that_is_sent_again_is_answered_again(store: Store, creation: Operation[Any]) -> None:
    store.call(CreateRegisteredModel(name="fig"))
    before = made(store)
    first = store.call(creation)
    after = made(store)
    assert [store.call(creation) for _ in range(3)] == [first] * 3
    assert made(store) == after
    assert sum(after) == sum(before) + (type(creation) is not CreateRegisteredModel)


def test_another_key_or_none_makes_another_thing(store: Store) -> None:
    creation = CreateSavedView(state={})
    ids = {store.call(creation).view.view_id for _ in range(2)}
    ids |= {store.call(msgspec.structs.replace(creation, idempotency_key=key)).view.view_id for key in ("a", "b", "a")}
    assert len(ids) == 4


def test_a_key_belongs_to_one_request(store: Store) -> None:
    store.call(CreateExperiment(name="fruit", idempotency_key="k"))
    with pytest.raises(InvalidParameter, match="'k' was used for another request"):
        store.call(CreateExperiment(name="nuts", idempotency_key="k"))
    store.call(CreateRun(idempotency_key="k"))


def test_what_was_refused_may_be_tried_again(store: Store) -> None:
    version = CreateModelVersion(name="fig", source=SOURCE, idempotency_key="k")
    with pytest.raises(NotFound):
        store.call(version)
    store.call(CreateRegisteredModel(name="fig", idempotency_key="k"))
    assert store.call(version).model_version.version == "1"
    with pytest.raises(AlreadyExists):
        store.call(CreateRegisteredModel(name="fig", idempotency_key="other"))


def test_the_same_creation_many_times_at_once(store: Store) -> None:
    creation = CreateExperiment(name="fruit", idempotency_key="k")
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: store.call(creation), range(8)))
    assert len({answer.experiment_id for answer in answers}) == 1
