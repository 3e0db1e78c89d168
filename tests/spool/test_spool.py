"""Logging through the journal: mistakes are errors at once, everything else arrives, and is seen by whoever wrote it."""

from __future__ import annotations

import math
import os
import threading
from pathlib import Path

import msgspec
import pytest

from runlore.client import RunloreClient
from runlore.entities import Dataset, DatasetInput, Metric, Param, RunTag
from runlore.exceptions import InvalidParameter, NotFound
from runlore.spool.frames import BLOCK
from runlore.spool.places import spool_of
from runlore.store.base import open_store


@pytest.fixture
def client(uri: str) -> RunloreClient:
    """A client that has logged nothing yet."""
    return RunloreClient(uri)


@pytest.fixture
def run_id(client: RunloreClient) -> str:
    """An open run."""
    return client.create_run("0").info.run_id


def spool(client: RunloreClient) -> Path:
    return spool_of(client.tracking_uri)[0]


def test_what_is_logged_is_read_back(client: RunloreClient, run_id: str) -> None:
    for step in range(2_500):
        client.log_metrics(run_id, {"a": step / 2, "b": math.nan, "ß/ü": -math.inf}, step=step)
    client.log_metric(run_id, "late", 1, step=-3, timestamp=7)
    client.log_param(run_id, "p", "v" * 6_000)
    client.set_tag(run_id, "t", "1")
    client.log_inputs(run_id, [DatasetInput(dataset=Dataset(name="d", digest="x", source_type="s", source="o"))])
    run = client.get_run(run_id)
    assert (run.data.metrics["a"], run.data.metrics["ß/ü"], run.data.params["p"], run.data.tags["t"]) == (
        1249.5, -math.inf, "v" * 6_000, "1",
    )  # fmt: skip
    assert run.inputs.dataset_inputs[0].dataset.name == "d"
    assert [point.step for point in client.get_metric_history(run_id, "a")] == list(range(2_500))
    assert [(p.step, p.timestamp) for p in client.get_metric_history(run_id, "late")] == [(-3, 7)]


def test_every_kind_of_call_keeps_its_order(client: RunloreClient, run_id: str) -> None:
    """Tags tell: the last value stays."""
    for number in range(50):
        client.set_tag(run_id, "n", number)
        client.log_batch(
            run_id, [Metric(key="m", value=number, timestamp=number, step=number)], tags=[RunTag(key="k", value=str(number))]
        )
        if number % 10 == 9:
            client.delete_tag(run_id, "n")
    client.set_tag(run_id, "n", "last")
    tags = client.get_run(run_id).data.tags
    assert (tags["n"], tags["k"]) == ("last", "49")


def test_a_thousand_names_and_more_in_one_call(client: RunloreClient, run_id: str) -> None:
    client.log_metrics(run_id, {f"metric {number:05d} {'x' * 200}": float(number) for number in range(3_500)})
    metrics = client.get_run(run_id).data.metrics
    assert (len(metrics), max(metrics.values())) == (3_500, 3_499.0)
    assert BLOCK < 200 * 1_000, "one record is longer than a block"


def test_mistakes_are_errors_at_once_and_nothing_is_written(client: RunloreClient, run_id: str) -> None:
    client.log_param(run_id, "lr", 0.1)
    for call in (
        lambda: client.log_metric(run_id, "../up", 1.0),
        lambda: client.log_metric(run_id, "nul\0", 1.0),
        lambda: client.log_metric(run_id, "m", 1.0, step=2**63),
        lambda: client.log_metric(run_id, "m", 1.0, timestamp=-(2**70)),
        lambda: client.log_metrics(run_id, {"m": 1.0, "k" * 251: 1.0}),
        lambda: client.log_param(run_id, "lr", 0.2),
        lambda: client.log_batch(run_id, [Metric(key="m", value=1, timestamp=1)], [Param(key="lr", value="0.3")]),
        lambda: client.log_batch(run_id, params=[Param(key="x", value="1"), Param(key="x", value="2")]),
        lambda: client.set_tag(run_id, "a//b", 1),
        lambda: client.set_tag(run_id, "t", "\0"),
    ):
        with pytest.raises(InvalidParameter):
            call()  # type: ignore[no-untyped-call]
    with pytest.raises(NotFound):
        client.log_metric("0" * 32, "m", 1.0)
    data = client.get_run(run_id).data
    assert (data.metrics, data.params) == ({}, {"lr": "0.1"})


def test_a_run_in_the_trash_takes_nothing(client: RunloreClient, run_id: str) -> None:
    client.log_metric(run_id, "m", 1)
    client.delete_run(run_id)
    with pytest.raises(InvalidParameter, match="deleted"):
        client.log_metric(run_id, "m", 2)
    client.restore_run(run_id)
    client.log_metric(run_id, "m", 3)
    assert client.get_run(run_id).data.metrics == {"m": 3}


def test_params_of_a_run_that_others_made_keep_their_values(client: RunloreClient, run_id: str) -> None:
    client.store.call(msgspec.convert({"run_id": run_id, "key": "p", "value": "theirs"}, _log_param()))
    fresh = RunloreClient(client.tracking_uri)
    other = fresh.create_run("0").info.run_id
    fresh.store.call(msgspec.convert({"run_id": other, "key": "p", "value": "theirs"}, _log_param()))
    fresh.log_param(other, "p", "ours")  # nobody here can know
    fresh.log_metric(other, "m", 1)
    run = fresh.get_run(other)
    assert (run.data.params, run.data.metrics) == ({"p": "theirs"}, {"m": 1})
    refused = [msgspec.json.decode(line) for line in (spool(client) / "refused.jsonl").read_text().splitlines()]
    assert [(line["run_id"], line["error_code"]) for line in refused] == [(other, "INVALID_PARAMETER_VALUE")]
    assert "ours" in str(refused[0]["record"])


def _log_param() -> type:
    from runlore.api.runs import LogParam

    return LogParam


def test_waiting_says_what_was_refused(client: RunloreClient, run_id: str) -> None:
    client.store.call(msgspec.convert({"run_id": run_id, "key": "p", "value": "theirs"}, _log_param()))
    pending = client.log_param(run_id, "p", "ours", synchronous=False)
    with pytest.raises(InvalidParameter, match="theirs"):
        pending.wait()
    done = client.log_metric(run_id, "m", 1, synchronous=False)
    assert done is not None
    done.wait()
    with pytest.raises(InvalidParameter, match="Changing param values"):
        client.log_param(run_id, "p", "ours", synchronous=True)


def test_strict_mode_waits_for_the_store(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNLORE_STRICT", "1")
    client = RunloreClient(uri)
    run_id = client.create_run("0").info.run_id
    client.log_metrics(run_id, {"m": 1.0})
    client.log_param(run_id, "p", 1)
    assert not [path for path in spool(client).glob("*") if path.is_dir()]
    assert client.get_run(run_id).data.metrics == {"m": 1}


def test_many_threads_log_at_once(client: RunloreClient, run_id: str) -> None:
    def work(worker: int) -> None:
        for step in range(500):
            client.log_metric(run_id, f"m{worker}", worker * 1000 + step, step=step)

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for worker in range(8):
        points = client.get_metric_history(run_id, f"m{worker}")
        assert [point.value for point in points] == [worker * 1000 + step for step in range(500)]


def test_nothing_is_left_when_all_has_arrived(client: RunloreClient, run_id: str) -> None:
    from runlore.client.connection import close_stores

    client.log_metric(run_id, "m", 1)
    (directory,) = [path for path in spool(client).iterdir() if path.is_dir()]
    assert (directory.stat().st_mode & 0o777, [p.stat().st_mode & 0o777 for p in directory.iterdir()]) == (0o700, [0o600] * 2)
    client.set_terminated(run_id)
    close_stores()
    assert list(spool(client).iterdir()) == []
    assert client.get_run(run_id).info.status == "FINISHED"


def test_where_there_is_no_place_for_a_journal_the_store_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: str, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "a file").write_text("")
    monkeypatch.setenv("RUNLORE_SPOOL_DIR", str(tmp_path / "a file" / "spool"))
    client = RunloreClient(server.replace("127.0.0.1", "localhost"))
    run_id = client.create_run("0").info.run_id
    client.log_metric(run_id, "m", 1)
    assert "no place for a journal" in caplog.text
    assert client.get_run(run_id).data.metrics == {"m": 1}


def test_an_mlflow_store_of_old_gets_plain_operations(tmp_path: Path) -> None:
    """A server that knows no deliveries: the operations that MLflow has are sent instead."""
    from runlore.exceptions import EndpointNotFound
    from runlore.spool.delivery import Delivery, deliver_all
    from runlore.spool.journal import Journal
    from runlore.spool.records import POINTS, encode

    store = open_store(str(tmp_path / "store"))
    client = RunloreClient(tmp_path / "store")
    run_id = client.create_run("0").info.run_id

    class Old:
        uri, artifact_root = store.uri, store.artifact_root

        def call(self, operation):  # type: ignore[no-untyped-def]
            if operation.route.base != "mlflow":
                raise EndpointNotFound("no such route")
            return store.call(operation)

        def close(self) -> None: ...

    journal = Journal(tmp_path, "ab" * 16)
    for step in range(30):
        journal.append(POINTS, encode((run_id, step, step, {"m": float(step)})))
    delivery = Delivery(Old, "ab" * 16, tmp_path)
    deliver_all(delivery, journal.read())
    assert len(client.get_metric_history(run_id, "m")) == 30
    store.close()
    assert os.listdir(tmp_path / "store")
