"""The trash: what is in it, taking it out, deleting for good in slices, whose files may go; and moving runs."""

from __future__ import annotations

import pytest

from runlore.api.experiments import CreateExperiment, DeleteExperiment, GetExperiment, RestoreExperiment
from runlore.api.logged_models import (
    CreateLoggedModel,
    DeleteLoggedModel,
    GetLoggedModel,
    SearchLoggedModels,
    SetLoggedModelTags,
)
from runlore.api.registry import CreateModelVersion, CreateRegisteredModel, DeleteModelVersion, GetModelVersionDownloadUri
from runlore.api.runs import (
    CreateRun,
    DeleteRun,
    GetRun,
    LogBatch,
    MetricPoint,
    ParamEntry,
    RestoreRun,
    SearchRuns,
    SetTag,
    TagEntry,
)
from runlore.api.trash import (
    SLICE,
    ForgetReleasedFiles,
    GetOwnedFiles,
    GetReleasedFiles,
    GetTrash,
    MoveRuns,
    Purged,
    PurgeTrash,
    RestoreLoggedModel,
    Trash,
)
from runlore.entities import LoggedModelTag, Run
from runlore.exceptions import InvalidParameter, InvalidState, NotFound
from runlore.store.base import Store

DAY = 86_400_000


def new_experiment(store: Store, name: str = "fruit") -> str:
    return store.call(CreateExperiment(name=name)).experiment_id


def new_run(store: Store, experiment_id: str = "0", **fields: object) -> Run:
    return store.call(CreateRun(experiment_id=experiment_id, **fields)).run  # type: ignore[arg-type]


def new_model(store: Store, experiment_id: str = "0", **fields: object) -> str:
    return store.call(CreateLoggedModel(experiment_id=experiment_id, **fields)).model.info.model_id  # type: ignore[arg-type]


def fill(store: Store, run_id: str, model_id: str | None = None) -> None:
    """Rows in every table of a run."""
    points = [MetricPoint(key="loss", value=i, timestamp=i, step=i, model_id=model_id) for i in range(50)]
    store.call(
        LogBatch(run_id=run_id, metrics=points, params=[ParamEntry(key="a", value="1")], tags=[TagEntry(key="t", value="2")])
    )


def purge(store: Store, **fields: object) -> Purged:
    """Purge to the end; the counts of all slices together."""
    runs = models = experiments = 0
    for _ in range(1_000):
        done = store.call(PurgeTrash(**fields))  # type: ignore[arg-type]
        runs, models, experiments = runs + done.runs, models + done.logged_models, experiments + done.experiments
        if not done.more:
            return Purged(runs=runs, logged_models=models, experiments=experiments, kept=done.kept)
    raise AssertionError("The purge does not end.")


def trash(store: Store, kind: str = "run", **fields: object) -> Trash:
    return store.call(GetTrash(kind=kind, **fields))  # type: ignore[arg-type]


def ids(found: Trash) -> list[str]:
    return [item.id for item in found.items]


def released(store: Store) -> list[str]:
    return sorted(store.call(GetReleasedFiles()).uris)


def directory(run: Run) -> str:
    return run.info.artifact_uri.removesuffix("/artifacts")


# -- looking ---------------------------------------------------------------------------------------------------------------


def test_the_trash_lists_what_was_deleted(store: Store) -> None:
    assert trash(store) == Trash()
    key = new_experiment(store)
    kept, gone, within = new_run(store), new_run(store, run_name="pear"), new_run(store, key)
    model_id = new_model(store, name="quince")
    store.call(DeleteRun(run_id=gone.info.run_id))
    store.call(DeleteLoggedModel(model_id=model_id))
    store.call(DeleteExperiment(experiment_id=key))

    found = trash(store)
    assert ids(found) == [gone.info.run_id]
    assert (found.experiments, found.runs, found.logged_models) == (1, 2, 1)
    (item,) = found.items
    assert (item.name, item.experiment_id, item.artifact_uri) == ("pear", "0", gone.info.artifact_uri)
    assert item.deleted_time > 0
    assert sorted(ids(trash(store, within_experiments=True))) == sorted([gone.info.run_id, within.info.run_id])
    (experiment,) = trash(store, "experiment").items
    assert (experiment.id, experiment.name, experiment.runs) == (key, "fruit", 1)
    (model,) = trash(store, "logged_model").items
    assert (model.id, model.name) == (model_id, "quince")
    assert ids(trash(store, older_than=DAY)) == []
    assert store.call(GetRun(run_id=kept.info.run_id)).run.info.lifecycle_stage == "active"


@pytest.mark.parametrize("kind", ["run", "experiment", "logged_model"])
def test_the_trash_comes_in_pages(store: Store, kind: str) -> None:
    for number in range(5):
        if kind == "run":
            store.call(DeleteRun(run_id=new_run(store).info.run_id))
        elif kind == "experiment":
            store.call(DeleteExperiment(experiment_id=new_experiment(store, f"e{number}")))
        else:
            store.call(DeleteLoggedModel(model_id=new_model(store)))
    whole = ids(trash(store, kind))
    assert len(set(whole)) == 5
    pages, token = [], ""
    while True:
        page = trash(store, kind, max_results=2, page_token=token)
        pages.append(ids(page))
        if not page.next_page_token:
            break
        token = page.next_page_token
    assert [len(page) for page in pages] == [2, 2, 1]
    assert [item for page in pages for item in page] == whole
    with pytest.raises(InvalidParameter, match="not a page token"):
        trash(store, kind, page_token="x")


def test_a_logged_model_comes_back(store: Store) -> None:
    model_id = new_model(store)
    store.call(DeleteLoggedModel(model_id=model_id))
    with pytest.raises(NotFound):
        store.call(GetLoggedModel(model_id=model_id))
    for _ in range(2):
        store.call(RestoreLoggedModel(model_id=model_id))
    assert store.call(GetLoggedModel(model_id=model_id)).model.info.model_id == model_id
    with pytest.raises(NotFound):
        store.call(RestoreLoggedModel(model_id="m-" + "0" * 32))


# -- purging ---------------------------------------------------------------------------------------------------------------


def test_purging_removes_what_is_deleted_and_nothing_else(store: Store) -> None:
    key = new_experiment(store)
    kept, gone, within = new_run(store), new_run(store), new_run(store, key)
    models = [new_model(store), new_model(store), new_model(store, key)]
    for run in (kept, gone, within):
        fill(store, run.info.run_id, models[0])
    store.call(DeleteRun(run_id=gone.info.run_id))
    store.call(DeleteLoggedModel(model_id=models[1]))
    store.call(DeleteExperiment(experiment_id=key))

    outlook = store.call(PurgeTrash(dry_run=True))
    assert outlook == Purged(experiments=1, runs=2, logged_models=2)
    assert purge(store) == outlook
    assert purge(store) == Purged()
    for run in (gone, within):
        with pytest.raises(NotFound):
            store.call(GetRun(run_id=run.info.run_id))
    with pytest.raises(NotFound):
        store.call(GetExperiment(experiment_id=key))
    assert store.call(GetRun(run_id=kept.info.run_id)).run.data.metrics == {"loss": 49.0}
    model = store.call(GetLoggedModel(model_id=models[0])).model
    assert {metric.run_id for metric in model.data.metrics} == {kept.info.run_id}
    assert released(store) == sorted(
        [
            directory(gone),
            directory(within),
            f"mlflow-artifacts:/0/models/{models[1]}",
            f"mlflow-artifacts:/{key}/models/{models[2]}",
        ]
    )
    assert trash(store) == Trash()


def test_only_what_is_old_enough_goes(store: Store) -> None:
    run_id = new_run(store).info.run_id
    store.call(DeleteRun(run_id=run_id))
    assert purge(store, older_than=DAY) == Purged()
    assert ids(trash(store)) == [run_id]


def test_purging_what_is_named(store: Store) -> None:
    keys = [new_experiment(store, name) for name in "ab"]
    runs = [new_run(store).info.run_id, new_run(store).info.run_id, new_run(store, keys[0]).info.run_id]
    models = [new_model(store), new_model(store)]
    for run_id in runs[:2]:
        store.call(DeleteRun(run_id=run_id))
    for model_id in models:
        store.call(DeleteLoggedModel(model_id=model_id))
    for key in keys:
        store.call(DeleteExperiment(experiment_id=key))
    named = {"run_ids": [runs[0].upper()], "model_ids": [models[0]], "experiment_ids": [keys[0]]}
    outlook = store.call(PurgeTrash(dry_run=True, **named))  # type: ignore[arg-type]
    assert outlook == Purged(experiments=1, runs=2, logged_models=1)
    assert purge(store, **named) == outlook
    assert purge(store, **named) == Purged()  # gone already: nothing to do
    assert ids(trash(store, "run")) == [runs[1]]
    assert ids(trash(store, "logged_model")) == [models[1]]
    assert ids(trash(store, "experiment")) == [keys[1]]


def test_what_is_not_in_the_trash_is_not_purged(store: Store) -> None:
    key, run_id, model_id = new_experiment(store), new_run(store).info.run_id, new_model(store)
    for fields in ({"experiment_ids": [key]}, {"run_ids": [run_id]}, {"model_ids": [model_id]}):
        with pytest.raises(InvalidState, match="is not in the trash"):
            purge(store, **fields)


def test_an_experiment_with_active_runs_stays(store: Store) -> None:
    key = new_experiment(store)
    back, gone = new_run(store, key).info.run_id, new_run(store, key).info.run_id
    store.call(DeleteExperiment(experiment_id=key))
    store.call(RestoreRun(run_id=back))
    assert store.call(PurgeTrash(dry_run=True)).experiments == 0
    done = purge(store)
    assert (done.runs, done.experiments) == (1, 0)
    (kept,) = done.kept
    assert (kept.kind, kept.id) == ("experiment", key)
    assert "1 runs that are active" in kept.reason
    store.call(RestoreExperiment(experiment_id=key))
    assert [run.info.run_id for run in store.call(SearchRuns(experiment_ids=[key])).runs] == [back]
    with pytest.raises(NotFound):
        store.call(GetRun(run_id=gone))


def test_the_default_experiment_itself_stays(store: Store) -> None:
    store.call(DeleteRun(run_id=new_run(store).info.run_id))
    store.call(DeleteExperiment(experiment_id="0"))
    assert purge(store) == Purged(runs=1)
    store.call(RestoreExperiment(experiment_id="0"))
    assert new_run(store).info.experiment_id == "0"


def test_ids_of_purged_experiments_are_not_given_again(store: Store) -> None:
    first = new_experiment(store)
    store.call(DeleteExperiment(experiment_id=first))
    purge(store)
    assert int(new_experiment(store)) > int(first)


def test_a_long_run_goes_in_slices_and_does_not_come_back(store: Store) -> None:
    run_id = new_run(store).info.run_id
    other = new_run(store).info.run_id
    for start in range(0, 3 * SLICE, 100):
        params = [ParamEntry(key=f"p{number}", value="x") for number in range(start, start + 100)]
        store.call(LogBatch(run_id=run_id, params=params))
    fill(store, run_id)
    for item in (run_id, other):
        store.call(DeleteRun(run_id=item))
    first = store.call(PurgeTrash(run_ids=[run_id]))
    assert (first.runs, first.more) == (0, True)
    with pytest.raises(NotFound):
        store.call(GetRun(run_id=run_id))
    with pytest.raises(NotFound):
        store.call(RestoreRun(run_id=run_id))
    assert ids(trash(store)) == [other]
    assert released(store) == []  # its files have an owner until its row is gone
    store.call(RestoreRun(run_id=other))
    assert purge(store).runs == 1
    assert len(released(store)) == 1


def test_a_model_with_many_tags_goes_in_slices(store: Store) -> None:
    model_id = new_model(store)
    for start in range(0, 2 * SLICE, 500):
        tags = [LoggedModelTag(key=str(number), value="x") for number in range(start, start + 500)]
        store.call(SetLoggedModelTags(model_id=model_id, tags=tags))
    store.call(DeleteLoggedModel(model_id=model_id))
    assert store.call(PurgeTrash()).more
    with pytest.raises(NotFound):
        store.call(RestoreLoggedModel(model_id=model_id))
    assert purge(store).logged_models == 1


def test_many_runs_go_in_slices(store: Store) -> None:
    runs = [new_run(store, tags=[TagEntry(key="a", value="b")]).info.run_id for _ in range(150)]
    for run_id in runs:
        store.call(DeleteRun(run_id=run_id))
    assert store.call(PurgeTrash()).more
    assert 0 < len(released(store)) < 150
    purge(store)
    assert len(released(store)) == 150


# -- files -----------------------------------------------------------------------------------------------------------------


def test_released_files_are_forgotten_when_they_are_gone(store: Store) -> None:
    runs = [new_run(store) for _ in range(3)]
    for run in runs:
        store.call(DeleteRun(run_id=run.info.run_id))
    purge(store)
    places = sorted(directory(run) for run in runs)
    assert released(store) == places
    store.call(ForgetReleasedFiles(uris=[*places[:2], "mlflow-artifacts:/0/unknown"]))
    assert released(store) == places[2:]


def test_files_of_model_versions_stay_until_the_version_is_deleted(store: Store) -> None:
    run, model_id = new_run(store), new_model(store)
    store.call(CreateRegisteredModel(name="fruit"))
    sources = [f"runs:/{run.info.run_id}/model", f"models:/{model_id}"]
    for source in sources:
        store.call(CreateModelVersion(name="fruit", source=source))
    place = store.call(GetModelVersionDownloadUri(name="fruit", version="1")).artifact_uri
    store.call(DeleteRun(run_id=run.info.run_id))
    store.call(DeleteLoggedModel(model_id=model_id))
    assert trash(store).items[0].pinned_by == ["fruit/1"]
    assert trash(store, "logged_model").items[0].pinned_by == ["fruit/2"]

    assert purge(store) == Purged(runs=1, logged_models=1)
    files = store.call(GetReleasedFiles())
    assert files.uris == []
    reasons = {item.id: item.reason for item in files.kept}
    assert "fruit/1" in reasons[directory(run)]
    assert "fruit/2" in reasons[f"mlflow-artifacts:/0/models/{model_id}"]
    store.call(ForgetReleasedFiles(uris=[item.id for item in files.kept]))  # they are needed: not forgotten
    assert len(store.call(GetReleasedFiles()).kept) == 2
    assert store.call(GetModelVersionDownloadUri(name="fruit", version="1")).artifact_uri == place

    store.call(CreateModelVersion(name="fruit", source="models:/fruit/1"))
    store.call(DeleteModelVersion(name="fruit", version="1"))
    assert released(store) == []  # version 3 is made of the same files
    for version in "32":
        store.call(DeleteModelVersion(name="fruit", version=version))
    assert len(released(store)) == 2


def test_files_that_an_experiment_keeps_inside_a_run_s_directory_stay(store: Store) -> None:
    run = new_run(store)
    store.call(CreateExperiment(name="inside", artifact_location=run.info.artifact_uri))
    store.call(DeleteRun(run_id=run.info.run_id))
    purge(store)
    assert released(store) == []
    assert [item.id for item in store.call(GetReleasedFiles()).kept] == [directory(run)]


def test_whose_files_have_an_owner(store: Store) -> None:
    live, gone, purged = new_run(store), new_run(store), new_run(store)
    model_id = new_model(store)
    store.call(DeleteRun(run_id=purged.info.run_id))
    purge(store)
    store.call(DeleteRun(run_id=gone.info.run_id))
    owned = [
        directory(live), directory(gone), directory(purged), f"mlflow-artifacts:/0/models/{model_id}", "mlflow-artifacts:/0/x",
    ]  # fmt: skip
    unknown = [f"mlflow-artifacts:/0/{'ab' * 16}", f"mlflow-artifacts:/0/models/m-{'ab' * 16}"]
    assert store.call(GetOwnedFiles(uris=[*owned, *unknown])).uris == owned
    store.call(ForgetReleasedFiles(uris=[directory(purged)]))
    assert store.call(GetOwnedFiles(uris=[directory(purged)])).uris == []


# -- moving ----------------------------------------------------------------------------------------------------------------


def test_moved_runs_keep_their_files(store: Store) -> None:
    key = new_experiment(store)
    run, other = new_run(store), new_run(store)
    fill(store, run.info.run_id)
    model_id = new_model(store, source_run_id=run.info.run_id)
    moved = store.call(MoveRuns(run_ids=[run.info.run_id.upper()], to_experiment_id=key))
    assert moved.run_ids == [run.info.run_id]
    found = store.call(GetRun(run_id=run.info.run_id)).run
    assert (found.info.experiment_id, found.info.artifact_uri) == (key, run.info.artifact_uri)
    assert found.data.metrics == {"loss": 49.0}
    assert [item.info.run_id for item in store.call(SearchRuns(experiment_ids=["0"])).runs] == [other.info.run_id]
    assert [item.info.model_id for item in store.call(SearchLoggedModels(experiment_ids=[key])).models] == [model_id]
    assert store.call(MoveRuns(run_ids=[run.info.run_id], to_experiment_id=key)).run_ids == []  # it is there
    store.call(DeleteExperiment(experiment_id="0"))
    purge(store)
    assert released(store) == [directory(other)]
    fill(store, run.info.run_id)


def test_children_come_along_when_asked(store: Store) -> None:
    key = new_experiment(store)
    parent = new_run(store).info.run_id
    children = [new_run(store, tags=[TagEntry(key="mlflow.parentRunId", value=parent)]).info.run_id for _ in range(2)]
    grandchild = new_run(store).info.run_id
    store.call(SetTag(run_id=grandchild, key="mlflow.parentRunId", value=children[0]))
    store.call(SetTag(run_id=parent, key="mlflow.parentRunId", value=grandchild))  # a circle ends
    assert store.call(MoveRuns(run_ids=[parent], to_experiment_id=key)).run_ids == [parent]
    moved = store.call(MoveRuns(run_ids=[parent], to_experiment_id=key, children=True)).run_ids
    assert moved == sorted([*children, grandchild])


def test_moves_that_are_refused_change_nothing(store: Store) -> None:
    key, gone = new_experiment(store), new_experiment(store, "gone")
    store.call(DeleteExperiment(experiment_id=gone))
    run, deleted = new_run(store).info.run_id, new_run(store).info.run_id
    store.call(DeleteRun(run_id=deleted))
    with pytest.raises(InvalidParameter, match="must be in the 'active' state"):
        store.call(MoveRuns(run_ids=[run, deleted], to_experiment_id=key))
    with pytest.raises(NotFound):
        store.call(MoveRuns(run_ids=[run, "0" * 32], to_experiment_id=key))
    with pytest.raises(InvalidParameter):
        store.call(MoveRuns(run_ids=[run], to_experiment_id=gone))
    with pytest.raises(NotFound):
        store.call(MoveRuns(run_ids=[run], to_experiment_id="77"))
    with pytest.raises(InvalidParameter):
        store.call(MoveRuns(run_ids=[], to_experiment_id=key))
    assert store.call(GetRun(run_id=run)).run.info.experiment_id == "0"
