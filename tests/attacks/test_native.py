"""The native API under attack: names that are none, values that are too much, text that wants to be code."""

from __future__ import annotations

import csv
import io
import json
from typing import Any
from urllib.parse import quote

import pytest
from tests.server.live import House
from tests.server.wire import Answer

from runlore.api.runs import LogBatch, MetricPoint, ParamEntry

JSON = {"Content-Type": "application/json"}
SCRIPT = "<script>alert(1)</script>"
V1 = "/api/v1/"


def send(house: House, method: str, path: str, body: object, headers: dict[str, str] | None = None) -> Answer:
    return house.ask(method, V1 + path, {**JSON, **(headers or {})}, json.dumps(body).encode())


@pytest.fixture
def view_id(house: House) -> str:
    return str(send(house, "POST", "views", {"state": {"a": 1}, "name": "mine"}).json()["view"]["view_id"])


# -- saved views -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "..",
        "../../etc",
        "%2e%2e",
        "x" * 11,
        "x" * 9,
        "aaaaaaaaa\n",
        "aaaaaaaaa%0a",
        "ａａａａａａａａａａ",
        "' OR 1=1 --",
        "%00" * 10,
    ],
)
def test_a_view_is_found_by_its_id_and_by_nothing_else(house: House, view_id: str, name: str) -> None:
    path = V1 + "views/" + quote(name, safe="%.")
    for method, body in (("GET", None), ("DELETE", b""), ("PATCH", b'{"revision": 1, "name": "yours"}')):
        answer = house.ask(method, path, JSON if body is not None else {}, body)
        assert answer.status in (400, 404, 405), (method, answer.body)
    assert house.ask("GET", f"{V1}views/{view_id}").json()["view"]["name"] == "mine"


@pytest.mark.parametrize(
    "state",
    [
        {"a": "x" * 1_100_000},
        {"a": json.loads("[" * 40 + "]" * 40)},
        {"a": "nul \0"},
        [1],
        "text",
        None,
    ],
    ids=["large", "deep", "nul", "list", "text", "null"],
)
def test_a_state_that_is_too_much_is_refused(house: House, view_id: str, state: Any) -> None:
    assert send(house, "POST", "views", {"state": state, "name": "n"}).status == 400
    changed = send(house, "PATCH", f"views/{view_id}", {"revision": 1, "state": state, "name": "mine"})
    assert changed.status == (200 if state is None else 400)  # null: the state stays
    assert house.ask("GET", f"{V1}views/{view_id}").json()["view"]["state"] == {"a": 1}


def test_a_state_comes_back_as_data(house: House) -> None:
    state = {"__proto__": {"admin": True}, "constructor": SCRIPT, "\u202e": "\u2028</script>"}
    view_id = send(house, "POST", "views", {"state": state, "name": SCRIPT}).json()["view"]["view_id"]
    answer = house.ask("GET", f"{V1}views/{view_id}", {"Accept": "text/html"})
    assert answer.json()["view"]["state"] == state
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "script-src 'self'" in answer.headers["content-security-policy"]


@pytest.mark.parametrize("headers", [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}])
def test_no_other_page_changes_views_and_notes(house: House, view_id: str, headers: dict[str, str]) -> None:
    run_id = house.new_run()
    for method, path, body in [
        ("POST", "views", {"state": {}}),
        ("PATCH", f"views/{view_id}", {"revision": 1, "name": "x"}),
        ("DELETE", f"views/{view_id}", {}),
        ("PUT", f"runs/{run_id}/note", {"text": "x"}),
        ("PUT", "experiments/0/note", {"text": "x"}),
    ]:
        assert send(house, method, path, body, headers).status == 403
        simple = house.ask(method, V1 + path, {"Content-Type": "text/plain"}, json.dumps(body).encode())
        assert simple.status == 415


# -- notes -------------------------------------------------------------------------------------------------------------


def test_a_note_is_text_and_has_a_bound(house: House) -> None:
    path = f"runs/{house.new_run()}/note"
    assert send(house, "PUT", path, {"text": SCRIPT}).status == 200
    answer = house.ask("GET", V1 + path, {"Accept": "text/html"})
    assert (answer.json()["text"], answer.headers["content-type"]) == (SCRIPT, "application/json")
    for text in ("x" * 70_000, "nul \0"):
        assert send(house, "PUT", path, {"text": text}).status == 400
    assert send(house, "PUT", f"runs/{'0' * 32}/note", {"text": "x"}).status == 404


# -- exports -----------------------------------------------------------------------------------------------------------


def test_an_export_is_a_file_and_no_page(house: House) -> None:
    house.store.call(LogBatch(run_id=house.new_run(), params=[ParamEntry(key=SCRIPT, value=SCRIPT)]))
    for kind in ("csv", "jsonl"):
        answer = _export(house, f"export/runs?format={kind}")
        assert answer["content-disposition"].startswith("attachment")
        assert answer["x-content-type-options"] == "nosniff"
        assert "html" not in answer["content-type"]
        assert "content-security-policy" in answer


def test_a_spreadsheet_gets_no_formulas(house: House) -> None:
    for value in ("=1+1", "+1+cmd()", "-cmd|' /C calc'!A0", "@SUM(1)", "\t=1", "\r=1"):
        house.store.call(LogBatch(run_id=house.new_run(), params=[ParamEntry(key="p", value=value)]))
    with house.connect() as connection:
        text = _body(connection, house.port, "export/runs?format=csv&spreadsheet=true&columns=params.p").decode("utf-8-sig")
    cells = [row["params.p"] for row in csv.DictReader(io.StringIO(text, newline=""))]
    assert len(cells) == 6
    assert [cell for cell in cells if cell[:1] in "=+-@\t\r"] == []


@pytest.mark.parametrize(
    "query",
    [
        "format=exe",
        "format=../x",
        "columns=" + "x" * 400,
        "filter=" + "(" * 200,
        "experiment_ids=..",
        "view_type=x",
        "format=csv%00",
    ],
)
def test_a_bad_wish_is_refused_before_a_file_begins(house: House, query: str) -> None:
    answer = house.ask("GET", f"{V1}export/runs?{query}")
    assert (answer.status, answer.headers["content-type"]) == (400, "application/json"), answer.body[:200]


def test_exports_that_nobody_reads_keep_nobody_waiting(house: House) -> None:
    run_id = house.new_run()
    for batch in range(60):
        points = [MetricPoint("loss", float(step), step, batch * 1_000 + step) for step in range(1_000)]
        house.store.call(LogBatch(run_id=run_id, metrics=points))
    waiting = [house.connect() for _ in range(30)]
    for connection in waiting:
        connection.send(f"GET {V1}export/points HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    assert house.ask("GET", f"{V1}runs/{run_id}/overview").status == 200
    assert house.call("POST", "runs/set-tag", {"run_id": run_id, "key": "a", "value": "b"}).status == 200
    for connection in waiting:
        connection.socket.close()
    assert house.ask("GET", f"{V1}runs/{run_id}/overview").status == 200


# -- questions ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("runs/compare", {"run_ids": ["0" * 32] * 5_000}),
        ("runs/compare", {"run_ids": ["../x", "y"]}),
        ("runs/group", {"by": [{"column": "params.a"}] * 1_000}),
        ("runs/group", {"by": [{"column": "params.a\0"}]}),
        ("columns/histograms", {"columns": ["params.a"], "bins": 10**9}),
        ("columns/histograms", {"columns": ["params.a"] * 10_001}),
        ("series", {"run_ids": ["0" * 32], "metrics": ["a"], "width": 10**9}),
        ("runs/query", {"filter": "NOT " * 2_000 + "metrics.a > 1"}),
        ("runs/query", {"filter": "params.a ~ '(a+)+" + "x" * 8_000 + "'"}),
    ],
)
def test_questions_without_measure_are_refused(house: House, path: str, body: dict[str, Any]) -> None:
    answer = send(house, "POST", path, body)
    assert answer.status == 400, answer.body[:300]


def test_cursors_are_no_way_in(house: House) -> None:
    for cursor in (
        "' OR 1=1 --",
        "0" * 8 + ".1:2:3); DROP TABLE run;--",
        "0" * 8 + ".9999999999999999999999",
        "x" * 5_000,
        "%00",
    ):
        answer = house.ask("GET", f"{V1}changes?cursor={quote(cursor)}")
        assert answer.status == 400, (cursor, answer.body)
    far = house.ask("GET", f"{V1}changes?cursor={'0' * 8}.{'9' * 19}").json()
    assert far["reset"] is True


def _export(house: House, path: str) -> dict[str, str]:
    """The head of an export; its body is left."""
    with house.connect() as connection:
        connection.send(f"GET {V1}{path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        head = connection._until(b"\r\n\r\n").decode("latin-1").split("\r\n")
    assert " 200 " in head[0]
    return {name.lower(): value for name, value in (line.split(": ", 1) for line in head[1:] if line)}


def _body(connection: Any, port: int, path: str) -> bytes:
    """The whole of an export, which comes in chunks."""
    connection.send(f"GET {V1}{path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    connection._until(b"\r\n\r\n")
    body = b""
    while size := int(connection._until(b"\r\n"), 16):
        body += connection._exactly(size)
        connection._exactly(2)
    return body
