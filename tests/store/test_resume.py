"""Resumed runs: what was logged beyond the point of return is replaced, once, whatever becomes of deliveries."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from runlore.api.copies import CopyRuns
from runlore.api.dashboard import GetRunOverview
from runlore.api.delivery import Deliver, GetRunLives, JournalPoints, JournalRecord
from runlore.api.logged_models import CreateLoggedModel, GetLoggedModel
from runlore.api.metrics import GetMetricHistory, GetMetricHistoryBulkInterval, LogMetric
from runlore.api.operation import Operation
from runlore.api.resume import GetReplacedPoints, GetRunChanges, ReplacesFrom, ResumeRun
from runlore.api.runs import (
    CreateRun,
    DeleteRun,
    GetRun,
    LogBatch,
    LogParam,
    MetricPoint,
    ParamEntry,
    SearchRuns,
    TagEntry,
    UpdateRun,
)
from runlore.api.series import QuerySeries
from runlore.api.trash import PurgeTrash
from runlore.exceptions import InvalidParameter
from runlore.store.base import Store
from runlore.store.sql import resume
from runlore.store.sql.checkup import check_runs
from runlore.store.sql.database import Database
from runlore.store.sql.folding import fold_run
from runlore.store.sql.metrics import append_points
from runlore.store.sql.migrate import migrate
from runlore.store.sql.resume import begin_again
from runlore.store.sql.run_rows import run_key
from runlore.store.sql.sqlite import SqliteDatabase
from runlore.store.sql.store import answer

OLD, NEW, OTHER = "aa" * 16, "bb" * 16, "cc" * 16
SESSION = "dd" * 16


@pytest.fixture
def run_id(store: Store) -> str:
    return store.call(CreateRun()).run.info.run_id


class Writer:
    """Delivers points of one key as a process does, `value(step)` at each step."""

    def __init__(self, store: Store, run_id: str, writer_id: str, generation: int | None = 0) -> None:
        self.store, self.run_id, self.writer_id, self.generation = store, run_id, writer_id, generation
        self.seq, self.start = 0, int(writer_id[:2], 16) * 10_000_000

    def delivery(self, steps: range, scale: float = 1.0, key: str = "loss", **more: Any) -> Deliver:
        at = 1_000 * self.seq + self.start
        rows = [(self.seq + place, 0, step, at + place, scale * step) for place, step in enumerate(steps)]
        columns = list(zip(*rows, strict=True)) or [()] * 5
        data = b"".join(struct.pack(f"<{len(rows)}{form}", *column) for form, column in zip("qIqqd", columns, strict=True))
        after, self.seq = self.seq, self.seq + len(rows)
        return Deliver(
            run_id=self.run_id, writer_id=self.writer_id, after=after, next_seq=self.seq, generation=self.generation,
            points=JournalPoints(keys=[key] if rows else [], data=data), **more,
        )  # fmt: skip

    def log(self, steps: range, scale: float = 1.0, key: str = "loss", **more: Any) -> None:
        assert self.store.call(self.delivery(steps, scale, key, **more)).next_seq == self.seq


def resumed(store: Store, run_id: str, session: str = SESSION, **more: Any) -> int:
    store.call(UpdateRun(run_id=run_id, status="FAILED"))
    reply = store.call(ResumeRun(run_id=run_id, session_id=session, writer_id=NEW, **more))
    assert reply.resumed
    return reply.generation


def from_step(step: int, key: str = "loss") -> dict[str, Any]:
    return {"replaces": [ReplacesFrom(key=key, step=step)]}


def history(store: Store, run_id: str, key: str = "loss") -> list[tuple[int, float]]:
    found, token = [], ""
    while True:
        reply = store.call(GetMetricHistory(run_id=run_id, metric_key=key, page_token=token))
        found += [(point.step, point.value) for point in reply.metrics]
        token = reply.next_page_token or ""
        if not token:
            return found


def replaced(store: Store, run_id: str, key: str = "loss") -> list[tuple[int, float]]:
    found, token = [], ""
    while True:
        reply = store.call(GetReplacedPoints(run_id=run_id, metric_key=key, page_token=token))
        found += [(point.step, point.value) for point in reply.metrics]
        token = reply.next_page_token or ""
        if not token:
            return found


def check(store: Store, run_id: str, key: str = "loss") -> None:
    """Everything that is said of the metric is what would be said had only these points been logged."""
    points = store.call(GetMetricHistory(run_id=run_id, metric_key=key)).metrics
    other = store.call(CreateRun()).run.info.run_id
    fields = [MetricPoint(key=key, value=one.value, timestamp=one.timestamp, step=one.step) for one in points]
    for first in range(0, len(fields), 1_000):
        store.call(LogBatch(run_id=other, metrics=fields[first : first + 1_000]))
    rows = [next(row for row in store.call(GetRunOverview(run_id=one)).metrics if row.key == key) for one in (run_id, other)]
    assert rows[0] == rows[1]
    for width in (16, 512):
        charts = [store.call(QuerySeries(run_ids=[one], metrics=[key], width=width)).series[0] for one in (run_id, other)]
        assert [(chart.mean, chart.min, chart.count, chart.total) for chart in charts[:1]] == [
            (chart.mean, chart.min, chart.count, chart.total) for chart in charts[1:]
        ]


def test_steps_that_are_logged_again_are_replaced(store: Store, run_id: str) -> None:
    old, new = Writer(store, run_id, OLD), Writer(store, run_id, NEW)
    old.log(range(1_000))
    old.log(range(500), key="other")
    new.generation = resumed(store, run_id)
    new.log(range(900, 1_100), -1.0, **from_step(900))
    new.log(range(1_100, 1_200), -1.0)
    assert history(store, run_id) == [(n, float(n)) for n in range(900)] + [(n, -1.0 * n) for n in range(900, 1_200)]
    assert replaced(store, run_id) == [(n, float(n)) for n in range(900, 1_000)]
    assert len(history(store, run_id, "other")) == 500, "a metric that is not logged again stays"
    check(store, run_id)
    (change,) = store.call(GetRunChanges(run_id=run_id)).resumes
    assert (change.generation, change.points, change.metrics, change.from_step) == (1, 100, 1, 900)
    assert store.call(GetRunOverview(run_id=run_id)).changes.resumes == [change]


def test_repeated_lost_and_reordered_deliveries_replace_once(store: Store, run_id: str) -> None:
    """A retry never takes what the resumed process itself wrote."""
    Writer(store, run_id, OLD).log(range(100))
    new = Writer(store, run_id, NEW, resumed(store, run_id))
    deliveries = [new.delivery(range(60, 70), -1.0, **from_step(60))]
    deliveries += [new.delivery(range(n, n + 10), -1.0, **from_step(n)) for n in (70, 50, 80)]  # steps may go back
    pending, chance, rounds = deliveries * 3, random.Random(3), 0
    while pending:
        one = pending.pop(chance.randrange(len(pending)))
        mark = store.call(one).next_seq
        rounds += 1
        assert rounds < 1_000
        if mark < one.next_seq:
            pending.append(one)
    steps = [*range(60), *range(60, 70), *range(70, 80), *range(50, 60), *range(80, 90)]
    assert [step for step, _ in history(store, run_id)] == steps
    assert replaced(store, run_id) == [(n, float(n)) for n in range(60, 100)]


def test_what_the_old_process_left_behind_comes_too_late(store: Store, run_id: str) -> None:
    old, new = Writer(store, run_id, OLD), Writer(store, run_id, NEW)
    old.log(range(50))
    waiting = [
        old.delivery(range(50, 100), left_behind=True),
        old.delivery(range(10), key="late", left_behind=True),
    ]
    new.generation = resumed(store, run_id)
    new.log(range(80, 90), -1.0, **from_step(80))
    new.log(range(5, 10), -1.0, key="late", **from_step(5, "late"))
    for delivery_ in waiting:
        store.call(delivery_)
    due = [(n, float(n)) for n in range(50)] + [(n, -1.0 * n) for n in range(80, 90)] + [(n, float(n)) for n in range(50, 80)]
    assert history(store, run_id) == due
    assert replaced(store, run_id) == [(n, float(n)) for n in range(80, 100)]
    assert sorted(history(store, run_id, "late")) == sorted(
        [(n, float(n)) for n in range(5)] + [(n, -1.0 * n) for n in range(5, 10)]
    )
    (change,) = store.call(GetRunChanges(run_id=run_id)).resumes
    assert (change.points, change.metrics, change.from_step) == (25, 2, 5)
    check(store, run_id)


def test_what_it_said_of_the_run_too(store: Store, run_id: str) -> None:
    """An end of the run, and tags, that arrive late change nothing that was said since."""
    generation = resumed(store, run_id)
    store.call(UpdateRun(run_id=run_id, status="RUNNING"))
    tags = [TagEntry(key="phase", value="second")]
    record = JournalRecord(seq=0, log_batch=LogBatch(run_id=run_id, tags=tags))
    store.call(Deliver(run_id=run_id, writer_id=NEW, next_seq=1, generation=generation, records=[record]))
    late = [TagEntry(key="phase", value="first"), TagEntry(key="other", value="1")]
    records = [
        JournalRecord(seq=0, log_batch=LogBatch(run_id=run_id, tags=late)),
        JournalRecord(seq=1, update_run=UpdateRun(run_id=run_id, status="KILLED", end_time=5)),
    ]
    store.call(Deliver(run_id=run_id, writer_id=OLD, next_seq=2, generation=0, records=records, left_behind=True))
    run = store.call(GetRun(run_id=run_id)).run
    assert (run.data.tags["phase"], run.data.tags["other"], run.info.status) == ("second", "1", "RUNNING")


def test_points_without_a_step_replace_nothing(store: Store, run_id: str) -> None:
    """Nor do they go when a step follows them: they are the resumed process's own."""
    Writer(store, run_id, OLD).log(range(10))
    new = Writer(store, run_id, NEW, resumed(store, run_id))
    new.log(range(0, 1), -7.0)
    assert len(history(store, run_id)) == 11
    new.log(range(0, 3), -1.0, **from_step(0))
    assert [value for _, value in history(store, run_id)] == [-0.0, -0.0, -1.0, -2.0]
    check(store, run_id)


def test_clients_that_know_no_generations_replace_nothing(store: Store, run_id: str) -> None:
    """MLflow's clients, and Runlore's of earlier versions."""
    Writer(store, run_id, OLD).log(range(10))
    new = Writer(store, run_id, NEW, resumed(store, run_id))
    new.log(range(5, 8), -1.0, **from_step(5))
    store.call(LogMetric(run_id=run_id, key="loss", value=1.5, timestamp=1, step=6))
    store.call(LogBatch(run_id=run_id, metrics=[MetricPoint(key="loss", value=2.5, timestamp=1, step=7)]))
    Writer(store, run_id, OTHER, None).log(range(6, 7), 0.5)
    assert len(history(store, run_id)) == 11


# -- params ------------------------------------------------------------------------------------------------------------------


def param(store: Store, run_id: str, value: str, seq: int, generation: int | None, writer: str = NEW) -> list[str]:
    """Deliver a param; returns what is said to it."""
    batch = LogBatch(run_id=run_id, params=[ParamEntry(key="lr", value=value)])
    records = [JournalRecord(seq=seq, log_batch=batch)]
    reply = store.call(
        Deliver(run_id=run_id, writer_id=writer, after=seq, next_seq=seq + 1, generation=generation, records=records)
    )
    return [refused.message for refused in reply.refused]


def test_a_resumed_run_may_change_params(store: Store, run_id: str) -> None:
    store.call(LogParam(run_id=run_id, key="lr", value="0.1"))
    generation = resumed(store, run_id)
    assert param(store, run_id, "0.2", 0, generation) == []
    assert param(store, run_id, "0.2", 0, generation) == [], "a repeat"
    assert param(store, run_id, "0.2", 1, generation) == []
    assert "Changing param values is not allowed" in param(store, run_id, "0.3", 2, generation)[0]
    with pytest.raises(InvalidParameter, match="Changing param values is not allowed"):
        store.call(LogParam(run_id=run_id, key="lr", value="0.1"))
    assert store.call(GetRun(run_id=run_id)).run.data.params == {"lr": "0.2"}
    again = resumed(store, run_id, "ee" * 16)
    assert param(store, run_id, "0.1", 3, again) == []
    assert param(store, run_id, "0.5", 0, 0, OLD) == [], "what an earlier generation says late is a former value at most"
    former = store.call(GetRunChanges(run_id=run_id)).params
    assert [(item.key, item.value) for item in former] == [("lr", "0.1"), ("lr", "0.2")]
    assert former[0].until <= former[1].until
    assert store.call(GetRunOverview(run_id=run_id)).changes.params == former
    found = store.call(SearchRuns(experiment_ids=["0"], filter="params.lr = '0.1'")).runs
    assert [run.info.run_id for run in found] == [run_id]


# -- who resumes, who joins ---------------------------------------------------------------------------------------------------


def test_asking_again_changes_nothing(store: Store, run_id: str) -> None:
    first = resumed(store, run_id)
    assert resumed(store, run_id) == first
    assert resumed(store, run_id, "ee" * 16) == first + 1
    assert [item.generation for item in store.call(GetRunChanges(run_id=run_id)).resumes] == [1, 2]
    assert resumed(store, run_id) == first


def test_a_run_that_lives_elsewhere_is_joined(store: Store, run_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def ask(session: str, **more: Any) -> tuple[int, bool, list[str]]:
        reply = store.call(ResumeRun(run_id=run_id, session_id=session, writer_id=NEW, **more))
        return reply.generation, reply.resumed, reply.living

    assert ask("01" * 16) == (0, False, []), "it was made a moment ago, by a client that leaves no marks"
    Writer(store, run_id, OLD).log(range(3))
    assert ask("01" * 16) == (0, False, [OLD])
    assert ask("02" * 16, mode="always") == (1, True, [])
    assert ask("03" * 16, gone=[OTHER]) == (1, False, [OLD])
    assert ask("03" * 16, gone=[OLD]) == (2, True, [])
    assert store.call(GetRun(run_id=run_id)).run.info.status == "RUNNING"
    reply = store.call(ResumeRun(run_id=run_id, session_id="05" * 16, writer_id=OTHER))
    assert (reply.generation, reply.resumed, reply.living) == (2, False, [NEW]), "whoever asks at the same time joins"
    Writer(store, run_id, OTHER, 2).log(range(3))
    assert ask("04" * 16) == (2, False, [OTHER])
    monkeypatch.setattr(resume, "LOST_AFTER_MILLIS", -1)
    assert ask("04" * 16) == (3, True, [])


def test_a_process_that_is_known_to_be_gone_keeps_no_run_alive(store: Store, run_id: str) -> None:
    def life() -> tuple[str, int]:
        (found,) = store.call(GetRunLives(run_ids=[run_id])).runs
        return found.status, found.generation

    old = Writer(store, run_id, OLD)
    old.log(range(3))
    assert life() == ("RUNNING", 0)
    old.log(range(3, 5), left_behind=True)
    assert life() == ("LOST", 0)
    store.call(ResumeRun(run_id=run_id, session_id=SESSION, writer_id=NEW))
    Writer(store, run_id, NEW, 1).log(range(5, 6), **from_step(5))
    assert life() == ("RUNNING", 1)


def test_a_process_that_has_ended_the_run_keeps_it_alive_no_more(store: Store, run_id: str) -> None:
    """Another one may have resumed it since, and be gone."""
    ended = JournalRecord(seq=0, update_run=UpdateRun(run_id=run_id, status="FINISHED"))
    store.call(Deliver(run_id=run_id, writer_id=OLD, next_seq=1, records=[ended]))
    reply = store.call(ResumeRun(run_id=run_id, session_id="01" * 16, writer_id=OTHER))
    assert (reply.generation, reply.resumed) == (1, True)
    reply = store.call(ResumeRun(run_id=run_id, session_id="02" * 16, writer_id=NEW, gone=[OTHER]))
    assert (reply.generation, reply.resumed) == (2, True)


# -- what else runs are subject to -------------------------------------------------------------------------------------------


def test_copies_and_deleted_runs(store: Store, run_id: str) -> None:
    store.call(LogParam(run_id=run_id, key="lr", value="0.1"))
    Writer(store, run_id, OLD).log(range(10))
    new = Writer(store, run_id, NEW, resumed(store, run_id))
    new.log(range(5, 8), -1.0, **from_step(5))
    param(store, run_id, "0.2", new.seq, new.generation)
    (copy,) = store.call(CopyRuns(run_ids=[run_id], to_experiment_id="0")).run_ids
    assert store.call(GetRunChanges(run_id=copy)) == store.call(GetRunChanges(run_id=run_id))
    assert replaced(store, copy) == replaced(store, run_id) != []
    store.call(DeleteRun(run_id=run_id))
    assert store.call(PurgeTrash(run_ids=[run_id])).runs == 1
    assert len(replaced(store, copy)) == 5


def test_metrics_of_logged_models_are_found_again(store: Store, run_id: str) -> None:
    model = store.call(CreateLoggedModel(experiment_id="0", name="m", source_run_id=run_id)).model.info.model_id
    points = [MetricPoint(key="loss", value=float(n), timestamp=n, step=n, model_id=model) for n in range(10)]
    store.call(LogBatch(run_id=run_id, metrics=points))
    new = Writer(store, run_id, NEW, resumed(store, run_id))
    new.log(range(4, 5), -1.0, **from_step(4))
    metrics = store.call(GetLoggedModel(model_id=model)).model.data.metrics
    assert [(metric.key, metric.value, metric.step) for metric in metrics] == [("loss", 3.0, 3)]


# -- folded points: a database without a store around it, where nothing folds but the test ------------------------------------


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    if request.param == "sqlite":
        opened: Database = SqliteDatabase(tmp_path / "runlore.db")
    else:
        from runlore.store.sql.postgresql import PostgresDatabase

        opened = PostgresDatabase(request.getfixturevalue("postgres_uri"))
    with closing(opened):
        migrate(opened)
        yield opened


def change(database: Database, *operations: Operation[Any], fold: str = "") -> Any:
    db = database.write()
    replies = [answer(db, operation) for operation in operations]
    if fold:
        fold_run(db, run_key(fold))
    db.commit()
    return replies


def ask(database: Database, operation: Operation[Any]) -> Any:
    with database.read() as db:
        return answer(db, operation)


def points(size: int, start: int = 0, sign: float = 1.0, wild: bool = False) -> list[MetricPoint]:
    numbers = np.random.default_rng(start).permutation(size) if wild else np.arange(size)
    return [
        MetricPoint(key="x", value=sign * (1 + step * 7 % 1_000), step=int(step), timestamp=1_000 + start + place)
        for place, step in enumerate((numbers + start).tolist())
    ]


def filled(database: Database, *parts: list[MetricPoint], fold: bool = True) -> str:
    """A run with these points, folded after each part."""
    (reply,) = change(database, CreateRun(start_time=0))
    run_id = str(reply.run.info.run_id)
    for part in parts:
        db = database.write()
        append_points(db, run_key(run_id), part)
        if fold:
            fold_run(db, run_key(run_id))
        db.commit()
    return run_id


def again(database: Database, run_id: str, more: list[MetricPoint], cut: int) -> None:
    """What a delivery of a resumed run does."""
    db = database.write()
    begin_again(db, run_key(run_id), 1, [ReplacesFrom(key="x", step=cut)], ["x"])
    append_points(db, run_key(run_id), more)
    db.commit()


def said(database: Database, run_id: str) -> list[Any]:
    (row,) = ask(database, GetRunOverview(run_id=run_id)).metrics
    first = ask(database, GetMetricHistory(run_id=run_id, metric_key="x"))
    charts = [ask(database, QuerySeries(run_ids=[run_id], metrics=["x"], width=width)).series[0] for width in (16, 512, 4_096)]
    columns = [(one.mean, one.min, one.max, one.count, one.total, one.blur) for one in charts]
    sample = ask(database, GetMetricHistoryBulkInterval(run_ids=[run_id], metric_key="x"))
    return [row, [(one.step, one.value) for one in first.metrics], columns, len(sample.metrics)]


@pytest.mark.parametrize(
    ("cut", "wild"), [(0, False), (1, True), (10_000, False), (12_288, False), (16_383, True), (19_990, False)]
)
def test_folded_points_are_replaced(database: Database, cut: int, wild: bool) -> None:
    """Chunks and the pyramid are cut, in any order of steps; what follows is folded onto them."""
    old, new = points(20_000, wild=wild), points(9_000, cut, -1.0)
    run_id = filled(database, old[:13_000], old[13_000:])
    again(database, run_id, new, cut)
    due = filled(database, [one for one in old if one.step < cut] + new, fold=False)
    assert said(database, run_id) == said(database, due)
    change(database, fold=run_id)
    change(database, fold=due)
    assert said(database, run_id) == said(database, due)
    assert checkup(database) == []


def test_a_long_metric_is_not_read_as_a_whole(tmp_path: Path) -> None:
    """Its summary comes from the pyramid and the chunks that hold what it names."""
    with closing(SqliteDatabase(tmp_path / "runlore.db")) as database:
        migrate(database)
        old, new = points(700_000), points(50, 600_001, -1.0)
        run_id, due = filled(database, old), filled(database, old[:600_001])
        again(database, run_id, new, 600_001)
        db = database.write()
        append_points(db, run_key(due), new)
        db.commit()
        for one in (run_id, due):
            change(database, fold=one)
        found, wanted = said(database, run_id), said(database, due)
        assert found[0] == msgspec.structs.replace(wanted[0], mean=found[0].mean)
        assert (found[0].mean, found[1:]) == (pytest.approx(wanted[0].mean), wanted[1:])
        kept = ask(database, GetReplacedPoints(run_id=run_id, metric_key="x"))
        assert kept.metrics[0].step == 600_001
        assert kept.next_page_token


def checkup(database: Database) -> list[str]:
    """What `runlore doctor` finds wrong."""
    return [finding.what for finding in check_runs(database) if finding.level != "ok"]


def test_nobody_is_ahead_of_the_run(store: Store, run_id: str) -> None:
    """A delivery with a generation that the run has not reached does not decide over those that it will have."""
    Writer(store, run_id, OLD, 2**31).log(range(10), replaces=[ReplacesFrom(key="loss", step=0)])
    generation = store.call(ResumeRun(run_id=run_id, session_id=SESSION, writer_id=NEW, mode="always")).generation
    assert generation == 1
    Writer(store, run_id, NEW, generation).log(range(5, 15), scale=2.0, replaces=[ReplacesFrom(key="loss", step=5)])
    points = store.call(GetMetricHistory(run_id=run_id, metric_key="loss")).metrics
    assert [(point.step, point.value) for point in points] == [(step, step * (2.0 if step > 4 else 1.0)) for step in range(15)]
