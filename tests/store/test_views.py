"""Saved views and notes: what people write about runs, and how they arranged a page."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from runlore.api.dashboard import QueryRuns
from runlore.api.experiments import CreateExperiment, DeleteExperiment, GetExperiment
from runlore.api.notes import GetExperimentNote, GetRunNote, SetExperimentNote, SetRunNote
from runlore.api.runs import CreateRun, DeleteRun, GetRun, SetTag
from runlore.api.trash import PurgeTrash
from runlore.api.views import (
    MAX_STATE,
    CreateSavedView,
    DeleteSavedView,
    GetSavedView,
    ListSavedViews,
    SavedView,
    UpdateSavedView,
)
from runlore.exceptions import InvalidParameter, NotFound, RunloreError
from runlore.store.base import Store

STATE = {"filter": "metrics.loss < 1", "columns": ["params.lr"], "sizes": {"a": 1.5, "b": None}, "on": True}


def save(store: Store, **fields: object) -> SavedView:
    return store.call(CreateSavedView(**{"state": STATE, **fields})).view  # type: ignore[arg-type]


def listed(store: Store, experiment_id: str | None = None) -> list[str]:
    return [view.name for view in store.call(ListSavedViews(experiment_id=experiment_id)).views]


def test_a_view_comes_back_as_it_was_saved(store: Store) -> None:
    view = save(store, name="mine", experiment_id="0")
    assert re.fullmatch(r"[0-9A-Za-z]{10}", view.view_id)
    assert view.revision == 1
    again = store.call(GetSavedView(view_id=view.view_id)).view
    assert again == view
    assert again.state == STATE
    assert save(store).view_id != view.view_id


def test_views_are_listed_by_experiment_without_their_states(store: Store) -> None:
    save(store, name="zero", experiment_id="0")
    save(store, name="all")
    save(store, name="")
    assert (listed(store, "0"), listed(store)) == (["zero"], ["all"])
    assert [view.state for view in store.call(ListSavedViews(experiment_id="0")).views] == [{}]
    with pytest.raises(NotFound):
        listed(store, "99")


def test_a_view_can_be_changed_by_who_saw_it_last(store: Store) -> None:
    view = save(store, name="mine", experiment_id="0")
    renamed = store.call(UpdateSavedView(view_id=view.view_id, revision=1, name="ours")).view
    assert (renamed.name, renamed.revision, renamed.state) == ("ours", 2, STATE)
    changed = store.call(UpdateSavedView(view_id=view.view_id, revision=2, state={"x": 1})).view
    assert (changed.name, changed.revision, changed.state) == ("ours", 3, {"x": 1})
    with pytest.raises(RunloreError, match="revision 3; the change was made to revision 1") as error:
        store.call(UpdateSavedView(view_id=view.view_id, revision=1, name="theirs"))
    assert (error.value.error_code, error.value.get_http_status_code()) == ("RESOURCE_CONFLICT", 409)
    assert store.call(GetSavedView(view_id=view.view_id)).view == changed


def test_a_change_that_is_sent_again_is_answered(store: Store) -> None:
    view = save(store)
    change = UpdateSavedView(view_id=view.view_id, revision=1, state={"x": 1})
    first = store.call(change)
    assert store.call(change) == first


def test_of_those_who_change_a_view_at_once_one_wins(store: Store) -> None:
    view = save(store)

    def change(number: int) -> int:
        try:
            store.call(UpdateSavedView(view_id=view.view_id, revision=1, state={"by": number}))
        except RunloreError:
            return -1
        return number

    with ThreadPoolExecutor(8) as pool:
        winners = [number for number in pool.map(change, range(8)) if number >= 0]
    assert len(winners) == 1
    assert store.call(GetSavedView(view_id=view.view_id)).view.state == {"by": winners[0]}


def test_deleting_a_view_twice_is_harmless(store: Store) -> None:
    view = save(store, name="mine", experiment_id="0")
    store.call(DeleteSavedView(view_id=view.view_id))
    store.call(DeleteSavedView(view_id=view.view_id))
    assert listed(store, "0") == []
    with pytest.raises(NotFound, match="may have been deleted"):
        store.call(GetSavedView(view_id=view.view_id))


def test_a_state_has_a_limit(store: Store) -> None:
    fits = {"x": "a" * (MAX_STATE - len('{"x":""}'))}
    assert store.call(GetSavedView(view_id=save(store, state=fits).view_id)).view.state == fits
    with pytest.raises(InvalidParameter, match="1,048,577 bytes as JSON; at most 1,048,576"):
        save(store, state={"x": fits["x"] + "a"})


def test_views_go_with_their_experiment(store: Store) -> None:
    experiment = store.call(CreateExperiment(name="fruit")).experiment_id
    view = save(store, name="mine", experiment_id=experiment)
    store.call(DeleteExperiment(experiment_id=experiment))
    assert listed(store, experiment) == ["mine"]
    with pytest.raises(InvalidParameter, match="active"):
        save(store, experiment_id=experiment)
    while store.call(PurgeTrash(experiment_ids=[experiment])).more:
        pass
    with pytest.raises(NotFound):
        store.call(GetSavedView(view_id=view.view_id))


# -- notes -------------------------------------------------------------------------------------------------------------


def test_the_note_of_a_run_is_the_tag_that_mlflow_clients_know(store: Store) -> None:
    run_id = store.call(CreateRun()).run.info.run_id
    assert store.call(GetRunNote(run_id=run_id)).text == ""
    text = "# Why\n\n" + "ö" * 65_529
    store.call(SetRunNote(run_id=run_id, text=text))
    assert store.call(GetRunNote(run_id=run_id)).text == text
    assert store.call(GetRun(run_id=run_id)).run.data.tags["mlflow.note.content"] == text
    store.call(SetTag(run_id=run_id, key="mlflow.note.content", value="short"))
    assert store.call(GetRunNote(run_id=run_id)).text == "short"
    store.call(SetRunNote(run_id=run_id, text=""))
    assert "mlflow.note.content" not in store.call(GetRun(run_id=run_id)).run.data.tags
    with pytest.raises(InvalidParameter):
        store.call(SetRunNote(run_id=run_id, text="a" * 65_537))
    store.call(DeleteRun(run_id=run_id))
    with pytest.raises(InvalidParameter, match="active"):
        store.call(SetRunNote(run_id=run_id, text="late"))


def test_notes_are_a_column_and_a_field_of_filters(store: Store) -> None:
    noted, _ = [store.call(CreateRun()).run.info.run_id for _ in range(2)]
    store.call(SetRunNote(run_id=noted, text="the best otter"))
    table = store.call(QueryRuns(filter="notes LIKE '%otter%'", columns=["notes"]))
    assert (table.run_ids, table.columns) == ([noted], {"notes": ["the best otter"]})
    assert store.call(QueryRuns(columns=["notes"], sort=[])).columns["notes"].count(None) == 1


def test_the_note_of_an_experiment(store: Store) -> None:
    experiment = store.call(CreateExperiment(name="fruit")).experiment_id
    store.call(SetExperimentNote(experiment_id=experiment, text="*ripe*"))
    assert store.call(GetExperimentNote(experiment_id=experiment)).text == "*ripe*"
    tags = store.call(GetExperiment(experiment_id=experiment)).experiment.tag_list
    assert [(tag.key, tag.value) for tag in tags] == [("mlflow.note.content", "*ripe*")]
    store.call(DeleteExperiment(experiment_id=experiment))
    with pytest.raises(InvalidParameter, match="active"):
        store.call(SetExperimentNote(experiment_id=experiment, text="late"))
    assert store.call(GetExperimentNote(experiment_id=experiment)).text == "*ripe*"
