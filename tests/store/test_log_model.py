"""MLflow 2 clients note each model that they log in a tag of the run."""

from __future__ import annotations

import json
from typing import Any

import pytest

from runlore.api.runs import CreateRun, DeleteRun, GetRun, LogModel, SetTag
from runlore.exceptions import InvalidParameter
from runlore.store.base import Store

TAG = "mlflow.log-model.history"


def described(run_id: str, path: str = "model", **more: Any) -> str:
    fields = {"run_id": run_id, "artifact_path": path, "utc_time_created": "2026-01-01", "flavors": {"sklearn": {}}, "size": 5}
    return json.dumps(fields | more)


def history(store: Store, run_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(store.call(GetRun(run_id=run_id)).run.data.tags[TAG])
    return found


@pytest.fixture
def run_id(store: Store) -> str:
    return store.call(CreateRun()).run.info.run_id


def test_models_are_listed_once_in_the_order_of_logging(store: Store, run_id: str) -> None:
    for path in ("one", "two", "two"):
        store.call(LogModel(run_id=run_id, model_json=described(run_id, path)))
    assert [entry["artifact_path"] for entry in history(store, run_id)] == ["one", "two"]
    assert set(history(store, run_id)[0]) == {"run_id", "artifact_path", "utc_time_created", "flavors"}


def test_the_oldest_give_way_when_the_tag_is_full(store: Store, run_id: str) -> None:
    for number in range(5):
        store.call(LogModel(run_id=run_id, model_json=described(run_id, f"m{number}", flavors={"x": "y" * 3_000})))
    assert [entry["artifact_path"] for entry in history(store, run_id)] == ["m3", "m4"]


def test_a_tag_that_somebody_else_wrote_is_replaced(store: Store, run_id: str) -> None:
    store.call(SetTag(run_id=run_id, key=TAG, value="not json"))
    store.call(LogModel(run_id=run_id, model_json=described(run_id)))
    assert len(history(store, run_id)) == 1


@pytest.mark.parametrize("text", ["", "[]", "{", '{"artifact_path": "x"}'])
def test_what_is_no_model_is_refused(store: Store, run_id: str, text: str) -> None:
    with pytest.raises(InvalidParameter, match="model_json"):
        store.call(LogModel(run_id=run_id, model_json=text))


def test_deleted_runs_take_no_models(store: Store, run_id: str) -> None:
    store.call(DeleteRun(run_id=run_id))
    with pytest.raises(InvalidParameter):
        store.call(LogModel(run_id=run_id, model_json=described(run_id)))
