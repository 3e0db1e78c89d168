"""The change feed: who follows a cursor hears of all that was committed, whoever committed it and in whatever order."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import Any

import psycopg
import pytest

from runlore.api.events import Changes, GetChanges, RunChange
from runlore.api.experiments import CreateExperiment, DeleteExperiment, SetExperimentTag
from runlore.api.logged_models import CreateLoggedModel, FinalizeLoggedModel
from runlore.api.metrics import LogMetric
from runlore.api.operation import Operation, operations
from runlore.api.registry import (
    CreateModelVersion,
    CreateRegisteredModel,
    RenameRegisteredModel,
    SetRegisteredModelAlias,
)
from runlore.api.runs import CreateRun, DeleteRun, GetRun, LogBatch, LogParam, MetricPoint, SetTag, TagEntry, UpdateRun
from runlore.api.trash import MoveRuns, PurgeTrash
from runlore.exceptions import InvalidParameter
from runlore.store.base import Store, open_store
from runlore.store.sql.marks import COVER_SECONDS, OPEN_SECONDS, prune
from runlore.store.sql.store import SqlStore
from runlore.store.sql.touched import PARTS


class Listener:
    """Somebody who follows a store from now on."""

    def __init__(self, store: Store, cursor: str = "") -> None:
        self.store = store
        self.cursor = cursor or store.call(GetChanges()).cursor

    def hear(self) -> Changes:
        changes = self.store.call(GetChanges(cursor=self.cursor))
        self.cursor = changes.cursor
        return changes

    def until_settled(self) -> Iterator[Changes]:
        """Everything up to a moment after which nothing more was committed."""
        while not (changes := self.hear()).settled:
            yield changes
            time.sleep(0.05)
        yield changes


def new_run(store: Store) -> str:
    return str(store.call(CreateRun(experiment_id="0")).run.info.run_id)


def log(store: Store, run_id: str, value: float, key: str = "loss") -> None:
    store.call(LogMetric(run_id=run_id, key=key, value=value, timestamp=1, step=int(value)))


def settle(listener: Listener) -> None:
    for _ in listener.until_settled():
        pass


def heard(listener: Listener) -> dict[str, set[str]]:
    """What one answer says, as text: `run <id>` and the like, with the parts that changed."""
    changes = listener.hear()
    said: dict[str, set[Any]] = {f"run {run.run_id}": set(run.changed) for run in changes.runs}
    said |= {f"experiment {each.experiment_id}": set(each.changed) for each in changes.experiments}
    said |= {f"registered_model {each.name}": set(each.changed) for each in changes.registered_models}
    said |= {f"logged_model {each.model_id}": set(each.changed) for each in changes.logged_models}
    return said | {f"other {name}": {name} for name in changes.other}


def test_nothing_is_told_without_a_change(store: Store) -> None:
    listener = Listener(store)
    assert listener.hear() == Changes(cursor=listener.cursor)


def test_each_change_is_told_with_what_changed(store: Store) -> None:
    listener = Listener(store)
    run = new_run(store)
    assert listener.hear().runs == [RunChange(run_id=run, changed=["created"], experiment_id="0", status="RUNNING")]
    settle(listener)
    changes: list[tuple[Operation[Any], set[str]]] = [
        (LogBatch(run_id=run, metrics=[MetricPoint("loss", 1.0, 1)], tags=[TagEntry("a", "b")]), {"metrics", "tags"}),
        (LogParam(run_id=run, key="lr", value="1"), {"params"}),
        (SetTag(run_id=run, key="a", value="c"), {"tags"}),
        (UpdateRun(run_id=run, status="FINISHED", end_time=1), {"status"}),
        (DeleteRun(run_id=run), {"lifecycle"}),
    ]
    for operation, parts in changes:
        store.call(operation)
        assert heard(listener)[f"run {run}"] >= parts
    (last,) = list(listener.until_settled())[-1].runs
    assert (last.status, last.metrics) == ("FINISHED", ["loss"])
    settle(listener)
    assert heard(listener) == {}


def test_a_change_alone_is_told_without_others(store: Store) -> None:
    run = new_run(store)
    listener = Listener(store)
    settle(listener)
    log(store, run, 1, key="acc")
    (change,) = listener.hear().runs
    assert (change.changed, change.metrics) == (["metrics"], ["acc"])


def test_many_metrics_are_not_named(store: Store) -> None:
    run = new_run(store)
    listener = Listener(store)
    settle(listener)
    store.call(LogBatch(run_id=run, metrics=[MetricPoint(f"m{i}", 1.0, 1) for i in range(100)]))
    (change,) = listener.hear().runs
    assert (change.changed, change.metrics) == (["metrics"], None)


def test_other_objects_are_told(store: Store) -> None:
    run, listener = new_run(store), Listener(store)
    settle(listener)
    experiment = store.call(CreateExperiment(name="e")).experiment_id
    store.call(SetExperimentTag(experiment_id=experiment, key="a", value="b"))
    store.call(CreateRegisteredModel(name="m"))
    store.call(CreateModelVersion(name="m", source=f"runs:/{run}/model", run_id=run))
    store.call(SetRegisteredModelAlias(name="m", alias="best", version="1"))
    store.call(RenameRegisteredModel(name="m", new_name="n"))
    model = store.call(CreateLoggedModel(experiment_id=experiment, source_run_id=run)).model.info.model_id
    store.call(FinalizeLoggedModel(model_id=model, status="LOGGED_MODEL_READY"))
    said = heard(listener)
    assert said.pop(f"run {run}") == {"models"}
    assert said.pop(f"experiment {experiment}") == {"created"}
    assert said.pop("registered_model m") >= {"created", "lifecycle"}
    assert said.pop("registered_model n") == {"created"}
    assert said.pop(f"logged_model {model}") == {"created"}
    assert not said


def test_runs_that_move_or_are_purged_are_told(store: Store) -> None:
    run = new_run(store)
    target = store.call(CreateExperiment(name="target")).experiment_id
    listener = Listener(store)
    settle(listener)
    store.call(MoveRuns(run_ids=[run], to_experiment_id=target))
    (change,) = listener.hear().runs
    assert (change.changed, change.experiment_id) == (["lifecycle"], target)
    store.call(DeleteRun(run_id=run))
    store.call(DeleteExperiment(experiment_id=target))
    store.call(PurgeTrash())
    changes = listener.hear()
    assert {"runs", "trash"} <= set(changes.other)
    (gone,) = changes.runs
    assert gone.experiment_id is None
    assert "purged" in gone.changed


def test_the_table_of_changes_names_operations_that_exist() -> None:
    assert set(PARTS) <= {kind.__name__ for kind in operations()}


def test_what_failed_is_not_told(store: Store) -> None:
    run = new_run(store)
    store.call(LogParam(run_id=run, key="lr", value="1"))
    listener = Listener(store)
    settle(listener)
    with pytest.raises(InvalidParameter):
        store.call(LogParam(run_id=run, key="lr", value="2"))
    assert heard(listener) == {}


def test_a_cursor_that_can_not_be_used_is_told_to_begin_anew(store: Store) -> None:
    mine = store.call(GetChanges()).cursor
    with pytest.raises(InvalidParameter, match="no cursor"):
        store.call(GetChanges(cursor="yesterday"))
    other = "00000000" + mine[8:]
    assert store.call(GetChanges(cursor=other)).reset
    for _ in range(3):
        new_run(store)
    later = store.call(GetChanges(cursor=mine))
    assert not later.reset
    assert len(later.runs) == 3


def test_marks_that_are_gone_are_not_missed_in_silence(new_store: Callable[[str], Store]) -> None:
    for kind in ("sqlite", "postgres"):
        store = new_store(kind)
        assert isinstance(store, SqlStore)
        early = store.call(GetChanges()).cursor
        for _ in range(3):
            new_run(store)
        middle = Listener(store)
        settle(middle)
        new_run(store)
        time.sleep(0.01)
        db = store._database.write()
        prune(db, keep_seconds=0)
        db.commit()
        assert store.call(GetChanges(cursor=early)).reset
        assert len(store.call(GetChanges(cursor=middle.cursor)).runs) == 1  # the newest mark stays


# -- several processes -----------------------------------------------------------------------------------------------


@pytest.fixture(params=["sqlite", "postgres"])
def shared_uri(request: pytest.FixtureRequest) -> str:
    """A store that several processes open."""
    return str(request.getfixturevalue(f"{request.param}_uri"))


@contextmanager
def writing(uri: str, run_ids: list[str]) -> Iterator[subprocess.Popen[str]]:
    """A process that logs to these runs in bursts, and says each number when it is acknowledged."""
    command = [sys.executable, "-m", "tests.store.child", "burst", uri, ",".join(run_ids)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("ending", ["at its end", "killed"])
def test_who_looks_when_told_has_seen_everything(shared_uri: str, ending: str) -> None:
    """Two processes log in bursts; a listener in a third looks at a run whenever it is told that it changed, and never else.
    In the end it has seen the last point of each run, although one writer was killed without a word."""
    with closing(open_store(shared_uri)) as store:
        runs = [new_run(store) for _ in range(4)]
        listener = Listener(store)
        seen: dict[str, float] = {}

        def look(changes: Changes) -> None:
            for change in changes.runs:
                metrics = store.call(GetRun(run_id=change.run_id)).run.data.metrics
                seen.update({change.run_id: metrics["loss"]} if "loss" in metrics else {})

        with writing(shared_uri, runs[:2]) as one, writing(shared_uri, runs[2:]) as other:
            for process in (one, other):
                assert process.stdout is not None
                process.stdout.readline()
            end = time.monotonic() + 2.0
            while time.monotonic() < end:
                look(listener.hear())
                time.sleep(0.03)
            if ending == "killed":
                one.send_signal(signal.SIGKILL)
            else:
                one.send_signal(signal.SIGTERM)
            other.send_signal(signal.SIGTERM)
            for process in (one, other):
                process.communicate(timeout=30)
        for changes in listener.until_settled():
            look(changes)
        final = {run: store.call(GetRun(run_id=run)).run.data.metrics["loss"] for run in runs}
        assert all(value > 10 for value in final.values())
        assert seen == final


def test_a_version_tells_of_commits_of_other_processes(shared_uri: str) -> None:
    with closing(open_store(shared_uri)) as store, closing(open_store(shared_uri)) as other:
        assert isinstance(store, SqlStore)
        before = store.version()
        assert store.version() == before
        run = new_run(other)
        after = store.version()
        assert after != before
        log(store, run, 1)
        assert store.version() != after


_SLOW_COMMIT = """
CREATE FUNCTION wait_a_while() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(%s); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON %s DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION wait_a_while();
"""


def test_a_commit_that_began_earlier_and_ended_later_is_told(postgres_uri: str) -> None:
    with closing(open_store(postgres_uri)) as slow, closing(open_store(postgres_uri)) as quick, ThreadPoolExecutor(1) as thread:
        first, second = new_run(quick), new_run(quick)
        listener = Listener(quick)
        settle(listener)
        with psycopg.connect(postgres_uri, autocommit=True) as connection:
            connection.execute(_SLOW_COMMIT % (0.6, "param"))
        waiting = thread.submit(slow.call, LogParam(run_id=first, key="a", value="1"))
        time.sleep(0.2)
        log(quick, second, 1)
        assert [change.run_id for change in listener.hear().runs] == [second]
        assert not waiting.done()
        waiting.result()
        assert first in [change.run_id for change in listener.hear().runs]


def test_a_commit_that_outlives_the_mark_that_covers_it_is_told(postgres_uri: str) -> None:
    with closing(open_store(postgres_uri)) as store:
        run = new_run(store)
        time.sleep(COVER_SECONDS)
        log(store, run, 1)
        listener = Listener(store)
        with psycopg.connect(postgres_uri, autocommit=True) as connection:
            connection.execute(_SLOW_COMMIT % (2 * OPEN_SECONDS, "metric_tail"))
        with ThreadPoolExecutor(1) as thread:
            waiting = thread.submit(log, store, run, 2)
            settle(listener)
            assert not waiting.done()
            waiting.result()
        deadline = time.monotonic() + 10
        while not listener.hear().runs:
            assert time.monotonic() < deadline
            time.sleep(0.02)
