"""Following a store from a script: locally and behind a server."""

from __future__ import annotations

import itertools
import threading

import pytest
from tests.server.live import House

from runlore.api.metrics import LogMetric
from runlore.client import RunloreClient


@pytest.fixture(params=["local", "server"])
def client(request: pytest.FixtureRequest, house: House) -> RunloreClient:
    """A client of a store, with or without a server between."""
    return RunloreClient(house.store.uri if request.param == "local" else f"http://127.0.0.1:{house.port}")


def test_a_watcher_hears_what_others_do(client: RunloreClient, house: House) -> None:
    run_id = house.new_run()
    heard = client.watch(seconds=30)

    def log() -> None:
        house.store.call(LogMetric(run_id=run_id, key="loss", value=1.0, timestamp=1))

    threading.Timer(0.7, log).start()  # when the creation is told and settled
    metrics = (run.metrics for changes in heard for run in changes.runs if run.run_id == run_id and "metrics" in run.changed)
    assert next(metrics) == ["loss"]


def test_a_watcher_of_a_run_hears_of_that_run_alone(client: RunloreClient, house: House) -> None:
    wanted, other = house.new_run(), house.new_run()
    watcher = client.watch(run_ids=[wanted], seconds=30)
    client.create_experiment("e")
    client.set_tag(other, "a", "b")
    client.set_tag(wanted, "a", "b")
    for changes in itertools.islice(watcher, 2):
        assert [run.run_id for run in changes.runs] == [wanted]
        assert not changes.experiments


def test_watching_ends_after_its_time_and_goes_on_from_a_cursor(client: RunloreClient, house: House) -> None:
    first = list(client.watch(seconds=0))
    assert first == []
    watcher = client.watch(seconds=30)
    run_id = house.new_run()
    cursor = next(watcher).cursor
    later = house.new_run()
    (changes, *_) = client.watch(cursor=cursor, seconds=5)
    assert later in [run.run_id for run in changes.runs]
    assert run_id != later
