"""Behind a reverse proxy: who is believed, where the server thinks that it lives, and what it writes about requests."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.server.live import House, LiveServer

from runlore.exceptions import InvalidParameter
from runlore.server.app import App
from runlore.store.base import open_store
from runlore.store.sql.store import SqlStore
from runlore.web.observer import Observer
from runlore.web.proxies import Proxies

PAGE = {"Accept": "text/html"}
JSON = {"Content-Type": "application/json"}
OUTSIDE = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "runlore.example.org", "X-Forwarded-Prefix": "/lore"}
Serve = Callable[..., House]


@pytest.fixture
def serve(live_server: LiveServer, tmp_path: Path) -> Iterator[Serve]:
    """Serves a store that is reached under the name runlore.example.org too."""
    dashboard = tmp_path / "dashboard"
    dashboard.mkdir()
    (dashboard / "index.html").write_text(
        '<!doctype html><head><script src="./theme.js"></script><link href="./assets/a.css"></head>'
    )
    (dashboard / "theme.js").write_text("1")
    contexts = []

    def start(observer: Observer | None = None, proxies: Proxies | None = None, metrics: bool = False) -> House:
        store = open_store(str(tmp_path / "store"))
        assert isinstance(store, SqlStore)
        app = App(store, allowed_hosts=["runlore.example.org"], dashboard=dashboard, proxies=proxies)
        if observer:
            app.observe(observer, metrics=metrics)
        context = live_server.serving(app)
        context.__enter__()
        contexts.append(context)
        return House(live_server, app, store, tmp_path)

    yield start
    for context in contexts:
        context.__exit__(None, None, None)


def address(house: House, headers: dict[str, str]) -> str:
    """The address that the server gives for a part of an upload: what it thinks that the client calls it."""
    body = json.dumps({"path": "x/a.bin", "num_parts": 1}).encode()
    answer = house.ask("POST", "/api/2.0/mlflow-artifacts/mpu/create/0/r/artifacts", {**JSON, **headers}, body)
    assert answer.status == 200, answer.body
    return str(answer.json()["credentials"][0]["url"]).partition("/api/")[0]


def test_a_trusted_proxy_says_how_the_server_is_reached(serve: Serve) -> None:
    house = serve(proxies=Proxies(["127.0.0.0/8"]))
    assert address(house, OUTSIDE) == "https://runlore.example.org/lore"
    page = house.ask("GET", "/e/0/runs", {**PAGE, **OUTSIDE}).body.decode()
    assert '<meta name="runlore-prefix" content="/lore">' in page
    assert 'src="/lore/theme.js"' in page
    assert 'href="/lore/assets/a.css"' in page
    browser = {"Origin": "https://runlore.example.org", **OUTSIDE}
    assert house.ask("POST", "/api/2.0/mlflow/runs/create", {**JSON, **browser}, b'{"experiment_id": "0"}').status == 200


@pytest.mark.parametrize("trusted", [None, ["10.0.0.0/8"], ["unix"], ["::1"]])
def test_nobody_else_is_believed(serve: Serve, trusted: list[str] | None) -> None:
    house = serve(proxies=None if trusted is None else Proxies(trusted))
    assert address(house, {"Host": "localhost", **OUTSIDE}) == "http://localhost"
    page = house.ask("GET", "/e/0/runs", {**PAGE, **OUTSIDE}).body.decode()
    assert "runlore-prefix" not in page
    assert 'src="/theme.js"' in page


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example", "X-Forwarded-Host": "localhost"}, 403),  # a page that rebound its name to this machine
        ({"X-Forwarded-Host": "evil.example"}, 403),
        ({"X-Forwarded-Host": "localhost, evil.example"}, 403),
        ({"X-Forwarded-Host": "runlore.example.org/../x"}, 403),
        ({"X-Forwarded-Host": "evil.example, runlore.example.org"}, 200),  # what came from further away counts for nothing
        ({"X-Forwarded-Host": ""}, 200),
    ],
)
def test_a_proxy_opens_no_door_for_other_names(serve: Serve, headers: dict[str, str], status: int) -> None:
    assert serve(proxies=Proxies(["127.0.0.1"])).ask("GET", "/health", headers).status == status


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("X-Forwarded-Prefix", "//evil.example"), ("X-Forwarded-Prefix", '/"><script>'), ("X-Forwarded-Prefix", "/a/../b//"),
        ("X-Forwarded-Prefix", "/%2e"), ("X-Forwarded-Proto", "javascript"), ("X-Forwarded-For", "<script>"),
    ],
)  # fmt: skip
def test_odd_words_of_a_proxy_are_ignored(serve: Serve, header: str, value: str) -> None:
    house = serve(proxies=Proxies(["127.0.0.1"]))
    assert address(house, {"Host": "localhost", header: value}) == "http://localhost"
    assert b"runlore-prefix" not in house.ask("GET", "/", {**PAGE, header: value}).body


def test_a_configured_prefix_is_taken_off_or_left_to_the_proxy(serve: Serve) -> None:
    house = serve(proxies=Proxies(prefix="/runlore/"))
    for path in ("/runlore/health", "/health"):
        assert house.ask("GET", path).body == b"OK"
    for path in ("/runlore", "/runlore/", "/runlore/e/0/runs", "/"):
        assert b'content="/runlore"' in house.ask("GET", path, PAGE).body, path
    assert house.ask("GET", "/runlore/theme.js").body == b"1"
    assert house.ask("GET", "/runlorehealth").status == 404
    assert address(house, {"Host": "localhost"}) == "http://localhost/runlore"


@pytest.mark.parametrize("prefix", ["runlore", "//x", "/a b", "/a?b", "/x/../y//z", '/"'])
def test_a_prefix_that_is_none_is_refused(prefix: str) -> None:
    with pytest.raises(InvalidParameter, match="no path prefix"):
        Proxies(prefix=prefix)


@pytest.mark.parametrize("entry", ["nginx", "10.0.0.0/99", "", "*"])
def test_a_proxy_that_is_none_is_refused(entry: str) -> None:
    with pytest.raises(InvalidParameter, match="no proxy"):
        Proxies([entry])


# -- what the server writes about requests -----------------------------------------------------------------------------


def written(capfd: pytest.CaptureFixture[str], count: int) -> list[str]:
    """So many lines: each is written after its answer."""
    out, deadline = "", time.monotonic() + 20
    while out.count("\n") < count:
        assert time.monotonic() < deadline, out
        out += capfd.readouterr().out
        time.sleep(0.01)
    return out.splitlines()


def test_each_request_is_one_line(serve: Serve, capfd: pytest.CaptureFixture[str]) -> None:
    house = serve(observer=Observer("json"), proxies=Proxies(["127.0.0.1"]))
    house.ask("GET", "/health?secret=1", {"X-Forwarded-For": "203.0.113.7"})
    house.ask("GET", "/nothing/%0a%1b[2J")
    house.ask("GET", "/health", {"Host": "evil.example"})
    lines = [json.loads(line) for line in written(capfd, 3)]
    seen = [(line["client"], line["method"], line["path"], line["status"]) for line in lines]
    assert seen == [
        ("203.0.113.7", "GET", "/health", 200),
        ("127.0.0.1", "GET", "/nothing/%0a%1b[2J", 404),
        ("127.0.0.1", "GET", "/health", 403),
    ]
    assert lines[0]["bytes"] == 2
    assert lines[0]["milliseconds"] >= 0


def test_the_text_form_is_one_line_too(serve: Serve, capfd: pytest.CaptureFixture[str]) -> None:
    serve(observer=Observer("text")).ask("GET", "/version?q=hidden")
    (line,) = written(capfd, 1)
    assert re.fullmatch(r"\S+\+00:00 127\.0\.0\.1 GET /version 200 \d+ B [\d.]+ ms", line)


def test_prometheus_reads_what_happened(serve: Serve) -> None:
    house = serve(observer=Observer(), metrics=True)
    house.new_run()
    house.ask("GET", "/nothing")
    answer = house.ask("GET", "/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = answer.body.decode().splitlines()
    assert 'runlore_requests_total{method="POST",status="200"} 1' in lines
    assert 'runlore_requests_total{method="GET",status="404"} 1' in lines
    assert "runlore_request_seconds_count 2" in lines
    assert 'runlore_request_seconds_bucket{le="+Inf"} 2' in lines
    assert "runlore_event_listeners 0" in lines
    values = {line.split(" ")[0]: float(line.split(" ")[1]) for line in lines if not line.startswith("#")}
    assert values["process_resident_memory_bytes"] > 10e6
    described = {line.split(" ")[2] for line in lines if line.startswith("# TYPE")}
    assert {re.sub(r"(_bucket|_sum|_count)?(\{.*)?$", "", name) for name in values} == described


def test_numbers_are_for_those_who_may_look(live_server: LiveServer, serve: Serve) -> None:
    house = serve(observer=Observer("text"))
    assert house.ask("GET", "/metrics").status == 404
