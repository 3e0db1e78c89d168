"""The census: what is served, who may call it, and that nothing else is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.server.live import House, LiveServer
from tests.server.wire import API, FILES

from runlore.api.artifacts import FILE_ROUTES
from runlore.api.events import EVENTS
from runlore.api.operation import PREFIXES, Need, operations
from runlore.exceptions import PermissionDenied
from runlore.server.app import App
from runlore.server.auth import Target
from runlore.store.base import open_store
from runlore.store.sql.store import SqlStore
from runlore.web.http import Request

OPEN_PAGES = {
    "/",
    "/{path}",
    "/health",
    "/health/ready",
    "/version",
    "/api/docs",
    "/api/docs.css",
    "/api/openapi.json",
    "/assets/index-abc123.js",
}


class Nobody:
    """Refuses everything, and remembers what was asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[Need, Target]] = []

    def check(self, need: Need, target: Target, request: Request) -> None:
        self.asked.append((need, target))
        raise PermissionDenied("Nobody may do anything.")


@pytest.fixture
def closed(live_server: LiveServer, tmp_path: Path) -> Iterator[tuple[House, Nobody]]:
    """A server on which nobody has any right."""
    store = open_store(str(tmp_path / "store"))
    assert isinstance(store, SqlStore)
    access = Nobody()
    app = App(store, access=access, dashboard=tmp_path / "nothing")
    with live_server.serving(app):
        yield House(live_server, app, store, tmp_path), access


def expected() -> set[tuple[str, str, str]]:
    """Name, method and path of everything that the contract says is served."""
    found = {
        (kind.__name__, method, prefix + kind.route.path)
        for kind in operations()
        for prefix in PREFIXES[kind.route.base]
        for method in (kind.route.method, *kind.route.also)
    }
    found.add((EVENTS.name, "GET", EVENTS.path))
    first, other = PREFIXES["mlflow-artifacts"]
    for route in FILE_ROUTES:
        found.add((route.name, route.method, route.path))
        if route.path.startswith(first):
            found.add((route.name, route.method, other + route.path.removeprefix(first)))
    return found


def test_exactly_what_the_contract_says_is_served(house: House) -> None:
    served = {(endpoint.name, endpoint.method, endpoint.path) for endpoint in house.app.routes}
    pages = {entry for entry in served if entry[0] in ("Page", "Dashboard")}
    assert {path for _, _, path in pages} == OPEN_PAGES
    assert {method for _, method, _ in pages} == {"GET"}
    assert served - pages == expected()


def test_only_what_is_meant_to_be_public_is(house: House) -> None:
    public = {endpoint.name for endpoint in house.app.routes if endpoint.needs.right == "public"}
    assert public == {"Page", "Dashboard", "GetServerInfo"}
    signed = {endpoint.name for endpoint in house.app.routes if endpoint.needs.right == "signed"}
    assert signed == {"DownloadSigned", "UploadSigned"}


def test_the_right_of_each_endpoint_is_that_of_the_contract(house: House) -> None:
    needs = {kind.__name__: kind.route.needs for kind in operations()} | {route.name: route.needs for route in FILE_ROUTES}
    needs[EVENTS.name] = EVENTS.needs
    for endpoint in house.app.routes:
        assert endpoint.name in ("Page", "Dashboard") or endpoint.needs == needs[endpoint.name]
        assert (
            endpoint.needs.right == "public"
            or endpoint.method == "GET"
            or endpoint.needs.right in ("signed", "view", "edit", "manage")
        )


RUN, MODEL = "0" * 32, "m-" + "0" * 32
FIELDS: dict[str, object] = {
    "run_id": RUN, "run_ids": [RUN], "experiment_id": "7", "experiment_ids": ["7"], "experiment_name": "x", "model_id": MODEL,
    "name": "n", "new_name": "y", "key": "k", "value": "1", "timestamp": 1, "metric_key": "k", "metrics": [], "alias": "a",
    "version": "1", "stage": "Staging", "source": "s", "status": "FINISHED", "model_json": "{}", "tag_key": "t",
    "uris": [], "to_experiment_id": "7", "directory": "d", "path": "f", "num_parts": 1, "expiration": 60,
    "upload_id": "0" * 42 + "." + "0" * 32, "parts": [{"part_number": 1}],
    "writer_id": "0" * 32, "session_id": "0" * 32, "view_id": "0" * 10, "revision": 1, "state": {}, "text": "t",
    "columns": ["params.k"],
    "by": [{"column": "params.k"}], "webhook_id": "0", "url": "https://example.com", "secret": "s",
    "events": [{"entity": "MODEL_VERSION", "action": "CREATED"}],
}  # fmt: skip


def test_every_operation_asks_before_it_acts(closed: tuple[House, Nobody]) -> None:
    """With no rights at all every endpoint refuses, under every prefix, and asks about the very value that it would use."""
    house, access = closed
    for kind in operations():
        need = kind.route.needs
        if need.right == "public":
            continue
        fields = {item: FIELDS[item] for item in kind.__struct_fields__ if item in FIELDS}
        fields |= {"status": "LOGGED_MODEL_READY"} if kind.__name__ == "FinalizeLoggedModel" else {}
        fields |= {"metrics": ["k"]} if kind.__name__ in ("QuerySeries", "ReadPoints", "ExportPoints") else {}
        fields |= {"run_ids": [RUN, "1" * 32]} if kind.__name__ == "CompareRuns" else {}
        fields |= {"events": ["run.failed"]} if kind.__name__ == "CreateAlert" else {}
        fields |= {"status": "ACTIVE"} if kind.__name__ in ("CreateWebhook", "UpdateWebhook") else {}
        fields |= {"run_id": [RUN]} if kind.__name__ == "GetMetricHistoryBulk" else {}
        fields |= {"size": 1, "sha256": "0" * 64} if kind.__name__ in ("OpenUpload", "CompleteUpload") else {}
        for prefix in PREFIXES[kind.route.base]:
            path = kind.route.path
            for name in kind.route.fields:
                path = path.replace(f"{{{name}}}", str(FIELDS[name]))
            if kind.route.method == "GET":
                pairs = [(k, i) for k, v in fields.items() for i in (v if isinstance(v, list) else [v])]
                answer = house.ask("GET", f"{prefix}{path}?" + "&".join(f"{name}={value}" for name, value in pairs))
            else:
                import json

                body = json.dumps(fields).encode()
                answer = house.ask(kind.route.method, prefix + path, {"Content-Type": "application/json"}, body)
            assert (answer.status, answer.code) == (403, "PERMISSION_DENIED"), (kind.__name__, answer.body)
            assert access.asked.pop() == (need, fields[need.field] if need.field else None)
    assert access.asked == []


def test_every_file_route_asks_before_it_acts(closed: tuple[House, Nobody]) -> None:
    house, access = closed
    for method in ("GET", "PUT", "DELETE"):
        for base in (FILES, FILES.replace("/api/", "/ajax-api/")):
            assert house.ask(method, f"{base}/7/f", body=b"x" if method == "PUT" else None).status == 403
            need, target = access.asked.pop()
            assert (need.kind, target) == ("experiment", "7")
    assert house.ask("PUT", f"/api/v1/uploads/{'0' * 42}.{'0' * 32}/1/7/f", body=b"x").status == 403
    need, target = access.asked.pop()
    assert (need.kind, target) == ("experiment", "7")
    for target, about in [
        (f"/get-artifact?run_id={RUN}&path=f", RUN),
        ("/model-versions/get-artifact?name=n&version=1&path=f", "n"),
        (f"/ajax-api/2.0/mlflow/logged-models/{MODEL}/artifacts/files?artifact_file_path=f", MODEL),
    ]:
        assert house.ask("GET", target).status == 403
        assert access.asked.pop()[1] == about
    upload = f"/ajax-api/2.0/mlflow/upload-artifact?run_uuid={RUN}&path=f"
    assert house.ask("POST", upload, body=b"x").status == 403
    assert access.asked.pop()[1] == RUN
    model = {"model_id": MODEL, "path": "f"}
    assert house.call("POST", "artifacts/presigned-upload-url", model).status == 403
    assert [target for _, target in access.asked] == [MODEL]
    assert not (house.artifacts / "store" / "artifacts" / "7").exists()


def test_the_stream_of_changes_asks_before_it_begins(closed: tuple[House, Nobody]) -> None:
    house, access = closed
    answer = house.ask("GET", EVENTS.path)
    assert (answer.status, answer.code) == (403, "PERMISSION_DENIED")
    assert access.asked == [(EVENTS.needs, None)]


def test_a_signed_address_is_the_only_right_to_it(closed: tuple[House, Nobody]) -> None:
    house, access = closed
    for method in ("GET", "PUT"):
        for query in ("", "?expires=99999999999&signature=" + "0" * 32, "?expires=x&signature=%FF", "?expires=1&part=-1"):
            answer = house.ask(
                method, FILES.replace("/artifacts", "/signed/7/f") + query, body=b"x" if method == "PUT" else None
            )
            assert (answer.status, answer.code) == (403, "PERMISSION_DENIED"), (method, query, answer.body)
    assert access.asked == []
    assert not (house.artifacts / "store" / "artifacts" / "7").exists()


@pytest.mark.parametrize(
    "path",
    ["/graphql", "/metrics", "/signup", "/api/2.0/mlflow/users/create", "/api/2.0/mlflow/gateway-proxy", "/static-files/x",
     "/api/3.0/mlflow/traces", "/v1/traces", "/ajax-api/3.0/mlflow/ui-telemetry", "/.env", "/.git/config", "/runlore.db",
     "/assets/../index.html", "/assets/%2e%2e/index.html", "/index.html", "/.vite/manifest.json", "/api", "/api/", "/api/v1",
     f"{API}runs/create/", f"{API}/runs/get", f"{API}runs//get", f"{API}runs/%67et/", "/API/2.0/mlflow/runs/get"],
)  # fmt: skip
def test_nothing_else_is_served(house: House, path: str) -> None:
    for method in ("GET", "POST", "PUT", "DELETE", "PATCH", "TRACE", "OPTIONS", "PROPFIND"):
        answer = house.ask(method, path)
        assert answer.status in (404, 405), (method, path, answer.status)
