"""Deliveries of journals: once each, however often they come, and no refusal holds up the rest."""

from __future__ import annotations

import math
import random
import struct
import uuid

import pytest

from runlore.api.delivery import (
    Deliver,
    GetRunLives,
    JournalPoints,
    JournalRecord,
)
from runlore.api.metrics import GetMetricHistory
from runlore.api.runs import (
    CreateRun,
    DeleteRun,
    GetRun,
    LogBatch,
    LogInputs,
    LogParam,
    MetricPoint,
    ParamEntry,
    TagEntry,
    UpdateRun,
)
from runlore.api.trash import PurgeTrash
from runlore.entities import Dataset, DatasetInput
from runlore.exceptions import InvalidParameter, NotFound
from runlore.store.base import Store
from runlore.store.sql import delivery

WRITER = "ab" * 16


@pytest.fixture
def run_id(store: Store) -> str:
    """An open run."""
    return store.call(CreateRun(client_run_id=uuid.uuid4().hex)).run.info.run_id


def packed(points: list[tuple[int, str, int, int, float]]) -> JournalPoints:
    """(record number, key, step, time, value) of each point as columns."""
    keys = list(dict.fromkeys(key for _, key, *_ in points))
    columns = list(zip(*points, strict=True)) or [()] * 5
    forms = ("q", "I", "q", "q", "d")
    filled = [columns[0], [keys.index(key) for key in columns[1]], *columns[2:]]
    data = b"".join(struct.pack(f"<{len(points)}{form}", *column) for form, column in zip(forms, filled, strict=True))
    return JournalPoints(keys=keys, data=data)


def history(store: Store, run_id: str, key: str) -> list[tuple[int, int, float]]:
    points = store.call(GetMetricHistory(run_id=run_id, metric_key=key)).metrics
    return [(point.step, point.timestamp, point.value) for point in points]


def test_everything_in_a_delivery_is_stored(store: Store, run_id: str) -> None:
    dataset = DatasetInput(dataset=Dataset(name="d", digest="1", source_type="local", source="x"))
    batch = LogBatch(run_id=run_id, params=[ParamEntry(key="p", value="1")], tags=[TagEntry(key="t", value="2")])
    reply = store.call(
        Deliver(
            run_id=run_id,
            writer_id=WRITER,
            next_seq=9,
            records=[
                JournalRecord(seq=1, log_batch=batch),
                JournalRecord(seq=4, log_inputs=LogInputs(run_id=run_id, datasets=[dataset])),
                JournalRecord(seq=8, update_run=UpdateRun(run_id=run_id, status="FINISHED", end_time=5)),
            ],
            points=packed([(2, "a", 1, 10, 0.5), (2, "b", 1, 10, math.inf), (3, "a", 2, 11, math.nan)]),
        )
    )
    assert (reply.next_seq, reply.refused) == (9, [])
    run = store.call(GetRun(run_id=run_id)).run
    assert (run.data.params, run.data.tags["t"], run.info.status, run.info.end_time) == ({"p": "1"}, "2", "FINISHED", 5)
    assert [item.dataset.name for item in run.inputs.dataset_inputs] == ["d"]
    assert history(store, run_id, "b") == [(1, 10, math.inf)]
    first, second = history(store, run_id, "a")
    assert (first, second[:2], math.isnan(second[2])) == ((1, 10, 0.5), (2, 11), True)


def test_repeated_and_shuffled_deliveries_change_nothing(store: Store, run_id: str) -> None:
    """Tags show it: a delivery that was applied again would set an old value."""
    deliveries = []
    for number in range(30):
        batch = LogBatch(run_id=run_id, tags=[TagEntry(key="last", value=str(number))])
        deliveries.append(
            Deliver(
                run_id=run_id, writer_id=WRITER, after=3 * number, next_seq=3 * number + 3,
                records=[JournalRecord(seq=3 * number, log_batch=batch)],
                points=packed([(3 * number + 1, "m", number, number, 0.5)]),
            )
        )  # fmt: skip
    pending, chance = deliveries * 3, random.Random(5)
    done = 0
    while pending:
        one = pending.pop(chance.randrange(min(20, len(pending))))
        mark = store.call(one).next_seq
        if mark < one.next_seq:
            assert mark < one.after, "a delivery that fits was not taken"
            pending.append(one)
        done = max(done, mark)
    assert done == 90
    assert history(store, run_id, "m") == [(number, number, 0.5) for number in range(30)]
    assert store.call(GetRun(run_id=run_id)).run.data.tags["last"] == "29"


def test_a_delivery_that_was_taken_in_part_goes_on_where_it_was(store: Store, run_id: str) -> None:
    points = [(number, "m", number, number, float(number)) for number in range(10)]
    store.call(Deliver(run_id=run_id, writer_id=WRITER, next_seq=4, points=packed(points[:4])))
    assert store.call(Deliver(run_id=run_id, writer_id=WRITER, next_seq=10, points=packed(points))).next_seq == 10
    assert len(history(store, run_id, "m")) == 10
    assert store.call(Deliver(run_id=run_id, writer_id=WRITER)).next_seq == 10


def test_every_writer_and_run_has_its_own_mark(store: Store, run_id: str) -> None:
    other = store.call(CreateRun()).run.info.run_id
    for number, (run, writer) in enumerate([(run_id, WRITER), (run_id, "cd" * 16), (other, WRITER)]):
        reply = store.call(Deliver(run_id=run, writer_id=writer, next_seq=1, points=packed([(0, "m", number, 0, 1.0)])))
        assert reply.next_seq == 1
    assert [len(history(store, run, "m")) for run in (run_id, other)] == [2, 1]


def test_what_is_refused_is_named_and_holds_nothing_up(store: Store, run_id: str) -> None:
    store.call(LogParam(run_id=run_id, key="p", value="1"))
    conflict = LogBatch(
        run_id=run_id,
        params=[ParamEntry(key="p", value="2"), ParamEntry(key="q", value="3")],
        tags=[TagEntry(key="t", value="x")],
        metrics=[MetricPoint(key="m", value=1, timestamp=1)],
    )
    reply = store.call(
        Deliver(
            run_id=run_id,
            writer_id=WRITER,
            next_seq=4,
            records=[JournalRecord(seq=0, log_batch=conflict), JournalRecord(seq=1)],
            points=packed([(2, "../up", 1, 1, 1.0), (3, "fine", 1, 1, 1.0)]),
        )
    )
    assert reply.next_seq == 4
    assert [(refused.seq, refused.error_code) for refused in reply.refused] == [
        (0, "INVALID_PARAMETER_VALUE"), (1, "INVALID_PARAMETER_VALUE"), (2, "INVALID_PARAMETER_VALUE"),
    ]  # fmt: skip
    assert "Changing param values is not allowed" in reply.refused[0].message
    run = store.call(GetRun(run_id=run_id)).run
    assert (run.data.params, run.data.tags["t"], run.data.metrics) == ({"p": "1", "q": "3"}, "x", {"m": 1, "fine": 1})


def test_runs_that_are_gone_take_no_deliveries(store: Store, run_id: str) -> None:
    with pytest.raises(NotFound):
        store.call(Deliver(run_id="0" * 32, writer_id=WRITER))
    store.call(Deliver(run_id=run_id, writer_id=WRITER, next_seq=1))
    store.call(DeleteRun(run_id=run_id))
    with pytest.raises(InvalidParameter, match="deleted"):
        store.call(Deliver(run_id=run_id, writer_id=WRITER))
    assert store.call(PurgeTrash(run_ids=[run_id])).runs == 1
    with pytest.raises(NotFound):
        store.call(Deliver(run_id=run_id, writer_id=WRITER))


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (JournalPoints(keys=["a"], data=b"x" * 35), "no multiple of 36"),
        (JournalPoints(keys=[], data=bytes(36)), "names key 0"),
    ],
)
def test_columns_have_to_fit_together(store: Store, run_id: str, points: JournalPoints, message: str) -> None:
    with pytest.raises(InvalidParameter, match=message):
        store.call(Deliver(run_id=run_id, writer_id=WRITER, next_seq=1, points=points))
    assert store.call(Deliver(run_id=run_id, writer_id=WRITER)).next_seq == 0


def test_lost_is_a_running_run_that_is_not_heard_of(store: Store, run_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def life() -> tuple[str, bool]:
        (found,) = store.call(GetRunLives(run_ids=[run_id, "0" * 32])).runs
        return found.status, found.last_heard is not None

    assert life() == ("RUNNING", False)
    store.call(Deliver(run_id=run_id, writer_id=WRITER))
    assert life() == ("RUNNING", True)
    monkeypatch.setattr(delivery, "LOST_AFTER_MILLIS", -1)  # whoever was heard of now is late
    assert life() == ("LOST", True)
    assert store.call(GetRun(run_id=run_id)).run.info.status == "RUNNING"  # MLflow's clients know no other word
    monkeypatch.undo()
    assert life() == ("RUNNING", True)
    store.call(UpdateRun(run_id=run_id, status="FINISHED"))
    monkeypatch.setattr(delivery, "LOST_AFTER_MILLIS", -1)
    assert life() == ("FINISHED", True)
