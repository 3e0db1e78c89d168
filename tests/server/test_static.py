"""The dashboard's files, the pages beside them, and what the API says about itself."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

from tests.server.live import House, LiveServer

from runlore.api.openapi import document
from runlore.server.app import App
from runlore.store.base import open_store
from runlore.store.sql.store import SqlStore
from runlore.version import __version__

PAGE = {"Accept": "text/html,application/xhtml+xml"}


def test_the_page_answers_for_every_route_of_the_dashboard(house: House) -> None:
    for path in ("/", "/experiments/0", "/runs/abc?tab=metrics", "/models/a%20b"):
        answer = house.ask("GET", path, PAGE)
        assert answer.status == 200
        assert b"<title>Runlore</title>" in answer.body
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert answer.headers["cache-control"] == "no-cache"


def test_programs_that_miss_a_route_hear_so(house: House) -> None:
    assert house.ask("GET", "/experiments/0").code == "ENDPOINT_NOT_FOUND"
    for path in ("/api/v1/nothing", "/ajax-api/2.0/x", "/assets/missing.js"):
        assert house.ask("GET", path, PAGE).status == 404


def test_hashed_files_are_kept_for_ever_and_compressed(house: House) -> None:
    plain = house.ask("GET", "/assets/index-abc123.js")
    assert plain.headers["content-type"] == "text/javascript; charset=utf-8"
    assert "immutable" in plain.headers["cache-control"]
    small = house.ask("GET", "/assets/index-abc123.js", {"Accept-Encoding": "gzip, br"})
    assert small.headers["content-encoding"] == "gzip"
    assert gzip.decompress(small.body) == plain.body
    assert len(small.body) < len(plain.body)
    assert house.ask("GET", "/assets/index-abc123.js", {"If-None-Match": plain.headers["etag"]}).status == 304


def test_without_a_built_dashboard_the_page_says_how_to_build_it(live_server: LiveServer, tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "store"))
    assert isinstance(store, SqlStore)
    app = App(store, dashboard=tmp_path / "nothing")
    with live_server.serving(app):
        answer = House(live_server, app, store, tmp_path).ask("GET", "/", PAGE)
    assert answer.status == 200
    assert b"make ui" in answer.body


def test_health_and_version(house: House) -> None:
    assert house.ask("GET", "/health").body == b"OK"
    version = house.ask("GET", "/version")
    assert re.fullmatch(rb"3\.\d+\.\d+", version.body)
    assert version.headers["x-runlore-version"] == __version__


def test_the_openapi_document_is_served_as_it_is_printed(house: House) -> None:
    answer = house.ask("GET", "/api/openapi.json")
    assert answer.json() == document()


def test_the_reference_needs_no_network_and_no_script(house: House) -> None:
    page = house.ask("GET", "/api/docs").body.decode()
    assert "<script" not in page
    assert "style=" not in page
    assert "http://" not in page
    assert "https://" not in page
    for path, methods in document()["paths"].items():
        assert f"<code>{path}</code>" in page
        for item in methods.values():
            assert f'id="{item["operationId"]}"' in page
    targets = set(re.findall(r'href="#([^"]+)"', page))
    assert targets <= set(re.findall(r'id="([^"]+)"', page))
    assert house.ask("GET", "/api/docs.css").headers["content-type"] == "text/css; charset=utf-8"
