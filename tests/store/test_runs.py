"""Runs: creation, end, names, params, tags, the trash."""

from __future__ import annotations

import math
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import psycopg
import pytest

from runlore.api.experiments import CreateExperiment
from runlore.api.operation import Operation
from runlore.api.runs import (
    CreateRun,
    DeleteRun,
    DeleteTag,
    GetRun,
    LogBatch,
    LogParam,
    MetricPoint,
    ParamEntry,
    RestoreRun,
    SetTag,
    TagEntry,
    UpdateRun,
)
from runlore.entities import Run
from runlore.exceptions import InvalidParameter, NotFound
from runlore.store.base import Store, open_store

UNKNOWN = "f" * 32


def create(store: Store, **fields: object) -> str:
    return store.call(CreateRun(**fields)).run.info.run_id  # type: ignore[arg-type]


def get(store: Store, run_id: str) -> Run:
    return store.call(GetRun(run_id=run_id)).run


# -- creation -----------------------------------------------------------------------------------------------------------


def test_what_was_created_comes_back(store: Store) -> None:
    made = store.call(
        CreateRun(user_id="ann", run_name="first", start_time=1_700_000_000_123, tags=[TagEntry(key="a", value="ü")])
    ).run
    assert made == get(store, made.info.run_id)
    info = made.info
    assert (info.user_id, info.run_name, info.status, info.lifecycle_stage) == ("ann", "first", "RUNNING", "active")
    assert (info.start_time, info.end_time) == (1_700_000_000_123, None)
    assert (info.experiment_id, info.run_uuid) == ("0", info.run_id)
    assert info.artifact_uri == f"mlflow-artifacts:/0/{info.run_id}/artifacts"
    assert made.data.tags == {"a": "ü", "mlflow.runName": "first"}


def test_a_run_without_a_start_time_starts_now(store: Store) -> None:
    before = time.time_ns() // 1_000_000
    start = get(store, create(store)).info.start_time
    assert start is not None
    assert before <= start <= time.time_ns() // 1_000_000


def test_a_run_without_a_name_gets_one(store: Store) -> None:
    run = get(store, create(store))
    adjective, animal, number = run.info.run_name.split("-")
    assert (adjective.isalpha(), animal.isalpha(), number.isdigit()) == (True, True, True)
    assert run.data.tags["mlflow.runName"] == run.info.run_name


def test_the_name_tag_names_the_run(store: Store) -> None:
    run_id = create(store, tags=[TagEntry(key="mlflow.runName", value="tagged")])
    assert get(store, run_id).info.run_name == "tagged"
    with pytest.raises(InvalidParameter, match="different values"):
        create(store, run_name="other", tags=[TagEntry(key="mlflow.runName", value="tagged")])


def test_the_user_tag_is_the_user(store: Store) -> None:
    assert get(store, create(store, tags=[TagEntry(key="mlflow.user", value="bob")])).info.user_id == "bob"
    assert get(store, create(store, user_id="eve", tags=[TagEntry(key="mlflow.user", value="bob")])).info.user_id == "eve"


def test_creating_with_the_same_client_id_again_answers_the_same_run(store: Store) -> None:
    run_id = "0123456789ABCDEF" * 2
    first = store.call(CreateRun(client_run_id=run_id, run_name="one"))
    assert first.run.info.run_id == run_id.lower()
    assert store.call(CreateRun(client_run_id=run_id.lower(), run_name="one")) == first
    assert get(store, run_id) == first.run


def test_the_same_run_made_by_two_servers_at_once_is_one_run(postgres_uri: str) -> None:
    columns = "run_key, run_id, experiment_id, name, user_id, status, start_time, artifact_uri, last_activity"
    run_id = "ab" * 16
    blocked = "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    with (
        closing(open_store(postgres_uri, artifacts="file:///nowhere")) as server,
        psycopg.connect(postgres_uri) as other,
        psycopg.connect(postgres_uri, autocommit=True) as observer,
        ThreadPoolExecutor(1) as thread,
    ):
        row = (int(run_id[:16], 16) >> 1, run_id, 0, "theirs", "", "RUNNING", 0, "mlflow-artifacts:/0/x/artifacts", 0)
        other.execute(f"INSERT INTO run ({columns}) VALUES ({', '.join(['%s'] * 9)})", row)
        answer = thread.submit(server.call, CreateRun(client_run_id=run_id))
        while observer.execute(blocked).fetchone() == (0,):
            assert not answer.done()
            time.sleep(0.01)
        other.commit()
        assert answer.result().run.info.run_name == "theirs"


def test_a_client_id_belongs_to_one_experiment(store: Store) -> None:
    other = store.call(CreateExperiment(name="other")).experiment_id
    create(store, client_run_id="ab" * 16)
    with pytest.raises(InvalidParameter, match="exists already"):
        create(store, client_run_id="ab" * 16, experiment_id=other)


def test_client_ids_that_share_their_first_half_are_told_apart(store: Store) -> None:
    create(store, client_run_id="1" * 16 + "2" * 16)
    with pytest.raises(InvalidParameter, match="Make another"):
        create(store, client_run_id="1" * 16 + "3" * 16)
    with pytest.raises(NotFound):
        get(store, "1" * 16 + "3" * 16)


def test_runs_need_an_experiment(store: Store) -> None:
    with pytest.raises(NotFound, match="No Experiment with id=5 exists"):
        create(store, experiment_id="5")


def test_an_unknown_run_is_not_found(store: Store) -> None:
    operations: list[Operation[Any]] = [
        GetRun(run_id=UNKNOWN),
        UpdateRun(run_id=UNKNOWN, status="FINISHED"),
        DeleteRun(run_id=UNKNOWN),
        RestoreRun(run_id=UNKNOWN),
        LogParam(run_id=UNKNOWN, key="a", value="b"),
        SetTag(run_id=UNKNOWN, key="a", value="b"),
        DeleteTag(run_id=UNKNOWN, key="a"),
        LogBatch(run_id=UNKNOWN),
    ]
    for operation in operations:
        with pytest.raises(NotFound, match=f"Run with id={UNKNOWN} not found"):
            store.call(operation)


@pytest.mark.parametrize("run_id", ["x" * 32, "a" * 31, "a" * 33, "a" * 32 + "\n", "' OR 1=1 --"])
def test_a_malformed_run_id_names_no_run(store: Store, run_id: str) -> None:
    with pytest.raises(NotFound, match=f"^Run with id={run_id} not found$"):
        get(store, run_id)


def test_a_run_id_is_required(store: Store) -> None:
    with pytest.raises(InvalidParameter, match=r"^Missing value for required parameter 'run_id'"):
        get(store, "")


# -- update -------------------------------------------------------------------------------------------------------------


def test_a_run_ends(store: Store) -> None:
    run_id = create(store, run_name="kept")
    reply = store.call(UpdateRun(run_id=run_id, status="FINISHED", end_time=99))
    assert (reply.run_info.status, reply.run_info.end_time, reply.run_info.run_name) == ("FINISHED", 99, "kept")
    assert get(store, run_id).info == reply.run_info


def test_a_run_that_goes_on_has_no_end(store: Store) -> None:
    run_id = create(store)
    store.call(UpdateRun(run_id=run_id, status="FAILED", end_time=99))
    info = store.call(UpdateRun(run_id=run_id, status="RUNNING")).run_info
    assert (info.status, info.end_time) == ("RUNNING", None)


def test_an_update_changes_only_what_it_says(store: Store) -> None:
    run_id = create(store)
    store.call(UpdateRun(run_id=run_id, status="FINISHED", end_time=5))
    info = store.call(UpdateRun(run_id=run_id, run_name="later")).run_info
    assert (info.status, info.end_time, info.run_name) == ("FINISHED", 5, "later")


def test_name_and_name_tag_stay_in_step(store: Store) -> None:
    run_id = create(store)
    store.call(UpdateRun(run_id=run_id, run_name="two"))
    assert get(store, run_id).data.tags["mlflow.runName"] == "two"
    store.call(SetTag(run_id=run_id, key="mlflow.runName", value="three"))
    assert get(store, run_id).info.run_name == "three"
    store.call(LogBatch(run_id=run_id, tags=[TagEntry(key="mlflow.runName", value="four")]))
    assert get(store, run_id).info.run_name == get(store, run_id).data.tags["mlflow.runName"] == "four"
    store.call(SetTag(run_id=run_id, key="mlflow.runName", value=""))
    assert get(store, run_id).info.run_name == get(store, run_id).data.tags["mlflow.runName"] == "four"


# -- params -------------------------------------------------------------------------------------------------------------


def test_params_come_back_as_text(store: Store) -> None:
    run_id = create(store)
    values = {"lr": "0.1", "empty": "", "unicode": "Größe 🙂", "long": "x" * 6_000, "quote": "a'b\"c?%s"}
    for key, value in values.items():
        store.call(LogParam(run_id=run_id, key=key, value=value))
    assert get(store, run_id).data.params == values


def test_a_param_keeps_its_value(store: Store) -> None:
    run_id = create(store)
    for _ in range(2):
        store.call(LogParam(run_id=run_id, key="lr", value="0.1"))
    with pytest.raises(
        InvalidParameter, match=r"Changing param values is not allowed\. Param with key='lr' was already logged"
    ):
        store.call(LogParam(run_id=run_id, key="lr", value="0.10"))
    assert get(store, run_id).data.params == {"lr": "0.1"}


def test_limits_of_params_and_tags(store: Store) -> None:
    run_id = create(store)
    for operation in (
        LogParam(run_id=run_id, key="k", value="x" * 6_001),
        LogParam(run_id=run_id, key="k" * 251, value="x"),
        LogParam(run_id=run_id, key="", value="x"),
        SetTag(run_id=run_id, key="k", value="x" * 8_001),
        LogBatch(run_id=run_id, params=[ParamEntry(key=str(i), value="") for i in range(101)]),
        LogBatch(run_id=run_id, tags=[TagEntry(key=str(i), value="") for i in range(101)]),
        LogBatch(run_id=run_id, metrics=[MetricPoint(key="m", value=0.0, timestamp=0)] * 1_001),
    ):
        with pytest.raises(InvalidParameter):
            store.call(operation)
    assert get(store, run_id).data.params == {}


@pytest.mark.parametrize("text", ["a\0b", "\0"])
def test_text_that_a_database_can_not_hold_is_refused_by_all(store: Store, text: str) -> None:
    run_id = create(store)
    for operation in (
        LogParam(run_id=run_id, key="k", value=text),
        SetTag(run_id=run_id, key=text, value="v"),
        LogBatch(run_id=run_id, tags=[TagEntry(key="k", value=text)]),
    ):
        with pytest.raises(InvalidParameter, match="must not contain the character NUL"):
            store.call(operation)
    store.call(LogParam(run_id=run_id, key="k", value="\\u0000"))  # six ordinary characters
    assert get(store, run_id).data.params == {"k": "\\u0000"}


# -- tags ---------------------------------------------------------------------------------------------------------------


def test_tags_are_set_replaced_and_deleted(store: Store) -> None:
    run_id = create(store, run_name="n")
    for value in ("1", "2"):
        store.call(SetTag(run_id=run_id, key="color", value=value))
    assert get(store, run_id).data.tags == {"color": "2", "mlflow.runName": "n"}
    store.call(DeleteTag(run_id=run_id, key="color"))
    assert get(store, run_id).data.tags == {"mlflow.runName": "n"}
    with pytest.raises(NotFound, match="No tag with name: color in run with id"):
        store.call(DeleteTag(run_id=run_id, key="color"))


def test_keys_differ_by_case_and_come_sorted(store: Store) -> None:
    run_id = create(store, run_name="n")
    store.call(LogBatch(run_id=run_id, params=[ParamEntry(key=key, value=key) for key in "bBäaA"]))
    assert list(get(store, run_id).data.params) == ["A", "B", "a", "b", "ä"]


# -- batches ------------------------------------------------------------------------------------------------------------


def test_a_batch_writes_everything(store: Store) -> None:
    run_id = create(store, run_name="n")
    points = [MetricPoint(key=f"m{i}", value=i / 2, timestamp=i, step=i) for i in range(10)]
    params = [ParamEntry(key=f"p{i}", value=str(i)) for i in range(100)]
    store.call(LogBatch(run_id=run_id, metrics=points, params=params, tags=[TagEntry(key="t", value="v")]))
    data = get(store, run_id).data
    assert data.metrics == {f"m{i}": i / 2 for i in range(10)}
    assert data.params == {f"p{i}": str(i) for i in range(100)}
    assert data.tags == {"t": "v", "mlflow.runName": "n"}


def test_sending_a_batch_again_changes_nothing(store: Store) -> None:
    run_id = create(store)
    batch = LogBatch(
        run_id=run_id,
        metrics=[MetricPoint(key="m", value=math.nan, timestamp=1, step=1)],
        params=[ParamEntry(key="p", value="1")],
        tags=[TagEntry(key="t", value="v")],
    )
    store.call(batch)
    before = get(store, run_id)
    store.call(batch)
    assert repr(get(store, run_id)) == repr(before)  # NaN is not equal to itself


def test_a_bad_batch_leaves_nothing(store: Store) -> None:
    run_id = create(store, run_name="n")
    store.call(LogParam(run_id=run_id, key="b", value="1"))
    with pytest.raises(InvalidParameter, match="key='b'"):
        store.call(
            LogBatch(
                run_id=run_id,
                metrics=[MetricPoint(key="m", value=1.0, timestamp=1)],
                params=[ParamEntry(key=key, value="2") for key in "abc"],
                tags=[TagEntry(key="t", value="v"), TagEntry(key="mlflow.runName", value="new")],
            )
        )
    run = get(store, run_id)
    assert (run.data.params, run.data.metrics, run.info.run_name) == ({"b": "1"}, {}, "n")


def test_a_batch_may_not_say_two_things(store: Store) -> None:
    run_id = create(store, run_name="n")
    with pytest.raises(InvalidParameter, match=r"Duplicate parameter keys have been submitted: \['a'\]"):
        store.call(LogBatch(run_id=run_id, params=[ParamEntry(key=key, value=key) for key in "aba"]))
    store.call(LogBatch(run_id=run_id, tags=[TagEntry(key="t", value=value) for value in "12"]))
    assert get(store, run_id).data.tags == {"t": "2", "mlflow.runName": "n"}  # the last one


def test_an_empty_batch_is_fine(store: Store) -> None:
    store.call(LogBatch(run_id=create(store)))


# -- the trash ----------------------------------------------------------------------------------------------------------


def test_a_deleted_run_is_not_written_to(store: Store) -> None:
    run_id = create(store, run_name="n")
    for _ in range(2):
        store.call(DeleteRun(run_id=run_id))
    operations: list[Operation[Any]] = [
        LogParam(run_id=run_id, key="a", value="b"),
        SetTag(run_id=run_id, key="a", value="b"),
        DeleteTag(run_id=run_id, key="mlflow.runName"),
        LogBatch(run_id=run_id, metrics=[MetricPoint(key="m", value=1.0, timestamp=1)]),
        UpdateRun(run_id=run_id, status="FINISHED"),
    ]
    for operation in operations:
        with pytest.raises(InvalidParameter, match="must be in the 'active' state"):
            store.call(operation)
    run = get(store, run_id)
    assert (run.info.lifecycle_stage, run.info.status, run.data.tags) == ("deleted", "RUNNING", {"mlflow.runName": "n"})
    for _ in range(2):
        store.call(RestoreRun(run_id=run_id))
    store.call(LogParam(run_id=run_id, key="a", value="b"))
    assert get(store, run_id).info.lifecycle_stage == "active"
