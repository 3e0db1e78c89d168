"""What the dispatcher asks of a request besides its body: the key of a creation in a header, and a second right."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.server.live import House, LiveServer

from runlore.api.copies import CopyRuns
from runlore.api.operation import Need
from runlore.api.runs import CreateRun
from runlore.exceptions import PermissionDenied
from runlore.server.app import App
from runlore.server.auth import Target
from runlore.store.base import open_store
from runlore.store.sql.store import SqlStore
from runlore.web.http import Request

JSON = {"Content-Type": "application/json"}


def create(house: House, key: str, name: str = "fruit") -> tuple[int, str]:
    body = json.dumps({"name": name}).encode()
    answer = house.ask("POST", "/api/2.0/mlflow/experiments/create", JSON | {"Idempotency-Key": key}, body)
    return answer.status, answer.body.decode()


def test_a_key_in_a_header_is_honoured_for_every_client(house: House) -> None:
    first = create(house, "k")
    assert first == (200, '{"experiment_id":"1"}')
    assert create(house, "k") == first
    status, text = create(house, "other")
    assert (status, "already exists" in text) == (400, True)
    status, text = create(house, "k", name="nuts")
    assert (status, "another request" in text) == (400, True)
    assert house.ask("GET", "/version").headers["x-runlore-honours"] == "idempotency-key"


@pytest.mark.parametrize("key", ["k" * 201, "é"])
def test_a_key_has_its_limits(house: House, key: str) -> None:
    status, text = create(house, key)
    assert (status, "Idempotency-Key" in text) == (400, True)


class OnlyFrom:
    """Allows everything but the second right of what puts things somewhere."""

    def __init__(self) -> None:
        self.asked: list[tuple[Need, Target]] = []

    def check(self, need: Need, target: Target, request: Request) -> None:
        self.asked.append((need, target))
        if len(self.asked) == 2:
            raise PermissionDenied("Not there.")


@pytest.mark.parametrize("path", ["runs/move", "runs/copy", "runs/found/move"])
def test_where_runs_are_put_is_asked_about_too(live_server: LiveServer, tmp_path: Path, path: str) -> None:
    store = open_store(str(tmp_path / "store"))
    assert isinstance(store, SqlStore)
    run_id = store.call(CreateRun()).run.info.run_id
    access = OnlyFrom()
    app = App(store, access=access, dashboard=tmp_path / "nothing")
    with live_server.serving(app):
        house = House(live_server, app, store, tmp_path)
        body = json.dumps({"run_ids": [run_id], "experiment_ids": ["0"], "to_experiment_id": "7"}).encode()
        assert house.ask("POST", f"/api/v1/{path}", JSON, body).status == 403
    assert len({need.field for need, _ in access.asked}) == 2
    assert ("edit", "7") in [(need.right, target) for need, target in access.asked]
    assert CopyRuns.writes()
