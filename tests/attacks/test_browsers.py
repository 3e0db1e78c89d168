"""What a web page in the user's browser could try against a server on the same machine."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.server.live import House
from tests.server.wire import API, FILES

from runlore.api.operation import operations

JSON = {"Content-Type": "application/json"}
NAMED = json.dumps({"name": "by an attacker"}).encode()

KINDS_OF_REPLY = [
    "/",
    "/health",
    "/version",
    "/api/docs",
    "/api/openapi.json",
    "/nothing",
    FILES,
    f"{API}runs/get",
    "/assets/index-abc123.js",
]


def experiments(house: House) -> list[str]:
    found = house.ask("GET", API + "experiments/search?max_results=100").json()["experiments"]
    return [one["name"] for one in found]


# -- Host: DNS rebinding --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:5000", "127.0.0.1", "127.0.0.1:1", "[::1]", "[::1]:5000", "LOCALHOST", "[0:0:0:0:0:0:0:1]"]
)
def test_our_own_names_are_answered(house: House, host: str) -> None:
    assert house.ask("GET", "/health", {"Host": host}).status == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example", "evil.example:5000", "localhost.evil.example", "evil.example#localhost", "localhost@evil.example",
        "localhost:5000@evil.example", "127.0.0.1.evil.example", "127.0.0.1.nip.io", "localhost.", "localhost..", ".localhost",
        "0.0.0.0", "127.0.0.2", "10.0.0.1", "192.168.1.1", "169.254.169.254", "[::]", "[::ffff:127.0.0.1]", "[fe80::1]", "[::1",
        "::1", "127.1", "0x7f000001", "2130706433", "0177.0.0.1", "127.0.0.1/", "localhost/path", "localhost?x", "localhost:",
        "localhost:x", "localhost:99999", "localhost:5000:5000", "local host", "loc\u0131lhost", "localhost,evil.example",
        "user:pw@localhost", "\\localhost", "localhost%00", "-", "*", "a" * 300,
    ],
)  # fmt: skip
def test_other_names_are_refused_everywhere(house: House, host: str) -> None:
    for target in KINDS_OF_REPLY:
        answer = house.ask("GET", target, {"Host": host, "Accept": "text/html"})
        assert answer.status in (400, 403)
        assert answer.headers.get("content-type") != "text/html; charset=utf-8"
    assert house.ask("POST", API + "experiments/create", {**JSON, "Host": host}, NAMED).status in (400, 403)
    assert experiments(house) == ["Default"]


def test_a_missing_or_second_host_is_refused(house: House) -> None:
    with house.connect() as connection:
        connection.send(b"GET /health HTTP/1.1\r\n\r\n")
        assert connection.answer().status == 400
    with house.connect() as connection:
        connection.send(b"GET /health HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n")
        assert connection.answer().status == 400
    with house.connect() as connection:
        connection.send(b"GET /health HTTP/1.0\r\n\r\n")
        assert connection.answer().status == 400


def test_host_never_becomes_part_of_a_path(house: House) -> None:
    """CVE-2026-48710: path characters in Host changed the path that the checks looked at."""
    for host in ("localhost/api/docs?", "localhost/health#", "localhost\\@x"):
        assert house.ask("GET", "/api/docs", {"Host": host}).status == 403


def test_an_absolute_target_is_judged_by_its_host_header_alone(house: House) -> None:
    answer = house.ask("GET", "http://evil.example/health", {"Host": "localhost"})
    assert answer.status == 200
    assert b"evil" not in answer.body
    assert house.ask("GET", "http://localhost/health", {"Host": "evil.example"}).status == 403


def test_forwarded_headers_change_nothing(house: House) -> None:
    forwarded = {
        "X-Forwarded-Host": "localhost",
        "Forwarded": "host=localhost",
        "X-Forwarded-For": "127.0.0.1",
        "X-Real-IP": "::1",
    }
    assert house.ask("GET", "/health", {"Host": "evil.example", **forwarded}).status == 403


# -- CSRF ---------------------------------------------------------------------------------------------------------------


WRITES = [
    ("POST", API + "experiments/create", NAMED),
    ("POST", "/ajax-api/2.0/mlflow/experiments/create", NAMED),
    ("POST", "/ajax-api/3.0/mlflow/experiments/create", NAMED),
    ("PUT", f"{FILES}/0/f", b"x"),
    ("PUT", "/ajax-api/2.0/mlflow-artifacts/artifacts/0/f", b"x"),
    ("DELETE", f"{FILES}/0/known", b""),
    ("POST", "/api/v1/runs/query", b"{}"),
]


@pytest.mark.parametrize(("method", "target", "body"), WRITES)
@pytest.mark.parametrize(
    "sender",
    [
        {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "something-new"},
        {"Sec-Fetch-Site": "Same-Origin"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "http://127.0.0.1:{port}"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:{port}"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "http://127.0.0.1:{port}.evil.example"},
        {"Origin": "http://evil.example#127.0.0.1:{port}"},
        {"Origin": "http://evil.example/127.0.0.1:{port}"},
        {"Origin": "http://evil@127.0.0.1:{port}"},
        {"Origin": "chrome-extension://127.0.0.1:{port}"},
        {"Origin": "127.0.0.1:{port}"},
        {"Origin": "file://"},
    ],
    ids=str,
)
def test_pages_of_other_sites_change_nothing(
    house: House, method: str, target: str, body: bytes, sender: dict[str, str]
) -> None:
    house.ask("PUT", f"{FILES}/0/known", body=b"known")
    filled = {name: value.replace("{port}", str(house.port)) for name, value in sender.items()}
    answer = house.ask(method, target, {**JSON, **filled}, body)
    assert (answer.status, answer.code) == (403, "PERMISSION_DENIED")
    assert experiments(house) == ["Default"]
    (file,) = house.ask("GET", f"{FILES}?path=0").json()["files"]
    assert (file["path"], file["file_size"]) == ("known", 5)


@pytest.mark.parametrize(
    "sender",
    [{}, {"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}, {"Origin": "http://127.0.0.1:{port}"}],
    ids=str,
)
def test_our_own_pages_and_programs_may_write(house: House, sender: dict[str, str]) -> None:
    filled = {name: value.replace("{port}", str(house.port)) for name, value in sender.items()}
    assert house.ask("POST", API + "experiments/create", {**JSON, **filled}, NAMED).status == 200


@pytest.mark.parametrize(
    "kind",
    ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain; application/json",
     "application/jsonx", "text/json", "application/json,text/plain", "*/*"],
)  # fmt: skip
def test_bodies_that_browsers_send_without_asking_are_refused(house: House, kind: str) -> None:
    answer = house.ask("POST", API + "experiments/create", {"Content-Type": kind}, NAMED)
    assert (answer.status, answer.code) == (415, "BAD_REQUEST")
    assert house.ask("POST", API + "experiments/create", {"Content-Type": kind}, b"").status == 415
    assert experiments(house) == ["Default"]


@pytest.mark.parametrize("name", ["X-HTTP-Method-Override", "X-Method-Override", "X-HTTP-Method", "_method"])
def test_methods_can_not_be_overridden(house: House, name: str) -> None:
    house.ask("PUT", f"{FILES}/0/f", body=b"x")
    assert house.ask("GET", f"{FILES}/0/f?_method=DELETE", {name: "DELETE"}).body == b"x"
    assert house.ask("GET", f"{FILES}/0/f").body == b"x"


def test_no_operation_writes_on_get() -> None:
    for kind in operations():
        assert not ("GET" in (kind.route.method, *kind.route.also) and kind.writes())


def test_get_with_the_fields_of_a_write_writes_nothing(house: House) -> None:
    read = {kind.route.path for kind in operations() if "GET" in (kind.route.method, *kind.route.also)}
    for kind in operations():
        if kind.writes() and "{" not in kind.route.path:
            answer = house.ask("GET", f"{API}{kind.route.path}?name=x&experiment_id=0&new_name=y")
            assert answer.status in (400, 404, 405) or kind.route.path in read
    assert experiments(house) == ["Default"]


# -- what browsers are told -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", KINDS_OF_REPLY)
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST"])
def test_no_reply_opens_a_door(house: House, target: str, method: str) -> None:
    asked = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST", "Accept": "text/html"}
    answer = house.ask(method, target, asked, b"" if method == "POST" else None)
    assert not [name for name in answer.names if name.startswith("access-control-")]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cross-origin-opener-policy"] == "same-origin"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert "referrer-policy" in answer.headers
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert answer.names.count("content-security-policy") == 1
    assert "server" not in answer.names


@pytest.mark.parametrize(
    "text", ["<script>alert(1)</script>", "%3Cscript%3E", '"><img src=x onerror=alert(1)>'.replace(" ", "%20")]
)
def test_input_never_comes_back_as_html(house: House, text: str) -> None:
    for target in (
        f"/{text}",
        f"{API}{text}",
        f"{API}runs/get?run_id={text}",
        f"{FILES}/{text}",
        f"/get-artifact?run_id={text}&path=x",
    ):
        answer = house.ask("GET", target)
        assert answer.status in (400, 404)
        assert answer.headers["content-type"] == "application/json"


def test_websockets_are_not_spoken(house: House) -> None:
    asked: dict[str, Any] = {
        "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Key": "x3JJHMbDL1EzLkh9GBhXDw==",
        "Sec-WebSocket-Version": "13", "Origin": "https://evil.example",
    }  # fmt: skip
    assert house.ask("GET", "/health", asked).status != 101
