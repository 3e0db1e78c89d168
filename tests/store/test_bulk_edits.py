"""Changing all runs that match a filter: each once, those left out left alone, in slices."""

from __future__ import annotations

from typing import Any

import pytest

from runlore.api.bulk_edits import DeleteFoundRuns, MoveFoundRuns, RestoreFoundRuns, TagFoundRuns
from runlore.api.dashboard import QueryRuns
from runlore.api.experiments import CreateExperiment, DeleteExperiment
from runlore.api.logged_models import CreateLoggedModel, GetLoggedModel
from runlore.api.operation import Operation
from runlore.api.runs import CreateRun, DeleteRun, GetRun, LogParam, TagEntry
from runlore.exceptions import InvalidParameter, NotFound
from runlore.store.base import Store


@pytest.fixture
def runs(store: Store) -> list[str]:
    """Four runs with a param `n`, and one in another experiment."""
    other = store.call(CreateExperiment(name="other")).experiment_id
    ids = [store.call(CreateRun(experiment_id=other if n == 4 else "0")).run.info.run_id for n in range(5)]
    for number, run_id in enumerate(ids):
        store.call(LogParam(run_id=run_id, key="n", value=str(number)))
    return ids


def change(store: Store, operation: type[Operation[Any]], token: str = "", **fields: Any) -> list[str]:
    """Change to the end; the runs that were changed."""
    changed: list[str] = []
    while True:
        reply = store.call(operation(**{"experiment_ids": ["0"], "page_token": token, **fields}))
        changed += reply.run_ids
        token = reply.next_page_token
        if not token:
            assert len(set(changed)) == len(changed)
            return sorted(changed)


def tags(store: Store, run_id: str) -> dict[str, str]:
    return {key: value for key, value in store.call(GetRun(run_id=run_id)).run.data.tags.items() if key != "mlflow.runName"}


def test_tags_are_set_and_removed(store: Store, runs: list[str]) -> None:
    red = [TagEntry(key="team", value="red"), TagEntry(key="old", value="1")]
    assert change(store, TagFoundRuns, filter="params.n >= 1", set_tags=red) == sorted(runs[1:4])
    assert [tags(store, run_id) for run_id in runs] == [{}, *[{"team": "red", "old": "1"}] * 3, {}]
    blue = [TagEntry(key="team", value="blue"), TagEntry(key="mlflow.runName", value="blue one")]
    changed = change(store, TagFoundRuns, set_tags=blue, remove_tags=["old", "none"], except_run_ids=[runs[3].upper()])
    assert changed == sorted(runs[:3])
    assert [tags(store, run_id) for run_id in runs[:4]] == [{"team": "blue"}] * 3 + [{"team": "red", "old": "1"}]
    assert [store.call(GetRun(run_id=run_id)).run.info.run_name for run_id in runs[:3]] == ["blue one"] * 3
    assert store.call(QueryRuns(filter="name = 'blue one'")).total == 3


def test_contradictions_and_empty_names_are_refused(store: Store, runs: list[str]) -> None:
    with pytest.raises(InvalidParameter, match="set and removed at once: 'a'"):
        change(store, TagFoundRuns, set_tags=[TagEntry(key="a", value="")], remove_tags=["a"])
    with pytest.raises(InvalidParameter, match="can not be empty"):
        change(store, TagFoundRuns, set_tags=[TagEntry(key="mlflow.runName", value="")])
    with pytest.raises(InvalidParameter, match="page token"):
        change(store, TagFoundRuns, token="x")
    with pytest.raises(NotFound):
        change(store, TagFoundRuns, experiment_ids=["99"])
    with pytest.raises(InvalidParameter):
        change(store, TagFoundRuns, experiment_ids=[])


def test_runs_go_to_the_trash_and_come_back(store: Store, runs: list[str]) -> None:
    assert change(store, DeleteFoundRuns, filter="params.n > 0", except_run_ids=runs[1:2]) == sorted(runs[2:4])
    assert change(store, DeleteFoundRuns, filter="params.n > 0", run_ids=runs[2:]) == []
    assert store.call(QueryRuns(experiment_ids=["0"])).total == 2
    assert change(store, RestoreFoundRuns, run_ids=[runs[2], "0" * 32]) == [runs[2]]
    assert store.call(GetRun(run_id=runs[3])).run.info.lifecycle_stage == "deleted"
    assert change(store, RestoreFoundRuns) == [runs[3]]


def test_nothing_is_restored_in_a_deleted_experiment(store: Store, runs: list[str]) -> None:
    store.call(DeleteExperiment(experiment_id="1"))
    with pytest.raises(InvalidParameter, match="active"):
        change(store, RestoreFoundRuns, experiment_ids=["1"])


def test_runs_are_moved_with_their_models(store: Store, runs: list[str]) -> None:
    model = store.call(CreateLoggedModel(experiment_id="0", source_run_id=runs[0])).model.info.model_id
    store.call(DeleteRun(run_id=runs[1]))
    moved = change(store, MoveFoundRuns, to_experiment_id="1", filter="params.n != 3")
    assert moved == sorted([runs[0], runs[2]])
    assert [store.call(GetRun(run_id=run_id)).run.info.experiment_id for run_id in runs] == ["1", "0", "1", "0", "1"]
    assert store.call(GetLoggedModel(model_id=model)).model.info.experiment_id == "1"
    with pytest.raises(NotFound):
        change(store, MoveFoundRuns, to_experiment_id="99")


def test_many_runs_are_changed_in_slices(store: Store) -> None:
    from runlore.store.sql.bulk_edits import SLICE

    ids = sorted(f"{number:08x}" + "0" * 24 for number in range(1, 2 * SLICE + 2))
    if type(store).__name__ == "HttpStore":
        pytest.skip("the same as on SQLite, and slow to fill")
    futures = [store.submit(CreateRun(client_run_id=run_id)) for run_id in ids]  # type: ignore[attr-defined]
    for future in futures:
        future.result()
    first = store.call(DeleteFoundRuns(experiment_ids=["0"]))
    assert (len(first.run_ids), first.run_ids) == (SLICE, ids[:SLICE])
    assert change(store, DeleteFoundRuns, first.next_page_token or "") == ids[SLICE:]
    assert store.call(QueryRuns(view_type="DELETED_ONLY")).total == 2 * SLICE + 1
