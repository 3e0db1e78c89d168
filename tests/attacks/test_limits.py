"""Every input has a number: what is larger is refused early, and the server goes on."""

from __future__ import annotations

import gzip
import json
import time

import pytest
from tests.server.live import House
from tests.server.wire import API, FILES

from runlore.server.dispatch import MAX_DEPTH, MAX_QUERY_FIELDS
from runlore.web.http import MAX_JSON_BODY
from runlore.web.security import MAX_HEADER_BYTES, MAX_URL_BYTES

JSON = {"Content-Type": "application/json"}
CREATE = API + "experiments/create"


def test_a_body_that_announces_too_much_is_refused_unread(house: House) -> None:
    with house.connect() as connection:
        head = f"POST {CREATE} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        connection.send(f"{head}Content-Length: {MAX_JSON_BODY + 1}\r\n\r\n".encode())
        assert connection.answer().status == 413
        connection.send(b" " * (MAX_JSON_BODY + 1))  # the rest is read and thrown away: the client gets to see its answer
        assert connection.request("GET", "/health").status == 200


def test_a_body_in_chunks_is_counted_while_it_comes(house: House) -> None:
    with house.connect() as connection:
        head = (
            f"POST {CREATE} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        connection.send(head.encode())
        chunk = b"10000\r\n" + b" " * 65_536 + b"\r\n"
        for _ in range(MAX_JSON_BODY // 65_536 + 1):
            connection.send(chunk)
        assert connection.answer().status == 413


def test_the_largest_body_is_taken(house: House) -> None:
    body = json.dumps({"name": "x"}).encode()
    assert house.ask("POST", CREATE, JSON, body + b" " * (MAX_JSON_BODY - len(body))).status == 200
    assert house.ask("POST", CREATE, JSON, body + b" " * (MAX_JSON_BODY - len(body) + 1)).status == 413


@pytest.mark.parametrize("shape", ["[{}]", '{{"a":{}}}', '[{{ "a" :\n\t[{}]}}]'])
@pytest.mark.parametrize("path", ["experiments/create", "logged-models/m-00000000000000000000000000000000/tags"])
def test_deep_bodies_are_refused(house: House, shape: str, path: str) -> None:
    levels = shape.count("[") + shape.count("{{")

    def nested(depth: int) -> bytes:
        value = "1"
        for _ in range(depth // levels):
            value = shape.format(value)
        return f'{{"name":"deep","model_id":"","tags":[],"x":{value}}}'.encode()

    method = "PATCH" if "logged" in path else "POST"
    for depth in (MAX_DEPTH + levels, 500, 100_000):
        answer = house.ask(method, API + path, JSON, nested(depth))
        assert answer.status == 400
        assert "levels" in answer.json()["message"]
    assert "levels" not in house.ask(method, API + path, JSON, nested(MAX_DEPTH - levels)).body.decode()


def test_brackets_in_text_are_not_levels(house: House) -> None:
    name = "[{" * 200 + '"\\'
    assert house.ask("POST", CREATE, JSON, json.dumps({"name": name}).encode()).status == 200


def test_closing_brackets_in_text_do_not_hide_levels(house: House) -> None:
    deep = '["]",' * 100 + "1" + "]" * 100
    assert house.ask("POST", CREATE, JSON, f'{{"name":"x","y":{deep}}}'.encode()).status == 400


@pytest.mark.parametrize("target", ["/", "/health", API + "runs/get", "/nothing"])
def test_long_addresses_and_headers_are_refused(house: House, target: str) -> None:
    longest = target + "?" + "x" * (MAX_URL_BYTES - len(target))
    assert house.ask("GET", longest).status != 414
    assert house.ask("GET", longest + "xx").status == 414
    assert house.ask("GET", target + "/" + "x" * MAX_URL_BYTES).status == 414
    assert house.ask("GET", target, {"X-Long": "x" * MAX_HEADER_BYTES}).status == 431
    assert house.ask("GET", target, {f"X-{i}": "x" * 100 for i in range(200)}).status == 431
    assert house.ask("GET", target, {"X-Long": "x" * (MAX_HEADER_BYTES - 200)}).status != 431


def test_query_strings_have_a_number_of_fields(house: House) -> None:
    many = "&".join(["a=1"] * (MAX_QUERY_FIELDS + 1))
    assert len(many) < MAX_URL_BYTES
    assert house.ask("GET", f"{API}experiments/search?{many}").status == 400


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("runs/log-batch", {"metrics": [{"key": "m", "value": 1, "timestamp": 1}] * 1_001}),
        ("runs/log-batch", {"params": [{"key": f"p{i}", "value": "1"} for i in range(101)]}),
        ("runs/log-batch", {"tags": [{"key": f"t{i}", "value": "1"} for i in range(101)]}),
        ("runs/set-tag", {"key": "k" * 251, "value": "1"}),
        ("runs/set-tag", {"key": "k", "value": "v" * 8_001}),
        ("runs/log-parameter", {"key": "k", "value": "v" * 6_001}),
        ("runs/log-metric", {"key": "", "value": 1, "timestamp": 1}),
        ("runs/log-metric", {"key": "k", "value": 1, "timestamp": 2**63}),
        ("runs/log-metric", {"key": "k", "value": 1, "timestamp": 1, "step": -(2**63) - 1}),
        ("experiments/create", {"name": "n" * 501}),
        ("runs/search", {"max_results": 50_001}),
        ("runs/search", {"max_results": 0}),
        ("runs/search", {"filter": "a" * 8_193}),
        ("runs/search", {"order_by": ["metrics.a"] * 21}),
    ],
)
def test_fields_have_their_limits(house: House, path: str, fields: dict[str, object]) -> None:
    answer = house.call("POST", path, {"run_id": house.new_run(), **fields})
    assert (answer.status, answer.code) == (400, "INVALID_PARAMETER_VALUE")


def test_compressed_bodies_are_not_inflated(house: House) -> None:
    bomb = gzip.compress(b" " * 50_000_000)
    assert house.ask("POST", CREATE, {**JSON, "Content-Encoding": "gzip"}, bomb).status == 400


def test_many_ranges_cost_nothing(house: House) -> None:
    """CVE-2025-62727: merging ranges took quadratic time."""
    house.ask("PUT", f"{FILES}/0/f", body=b"x" * 1_000)
    began = time.process_time()
    for _ in range(20):
        answer = house.ask("GET", f"{FILES}/0/f", {"Range": "bytes=" + ",".join(f"{i}-{i}" for i in range(1_000))})
        assert (answer.status, len(answer.body)) == (200, 1_000)
    assert time.process_time() - began < 5


def test_numbers_of_a_thousand_digits_are_refused_quickly(house: House) -> None:
    run_id = house.new_run()
    for number in ("9" * 100_000, "1e999999999", "-" + "9" * 5_000, "0." + "3" * 100_000):
        body = f'{{"run_id":"{run_id}","key":"k","value":1,"timestamp":{number}}}'.encode()
        assert house.ask("POST", API + "runs/log-metric", JSON, body).status == 400
        body = f'{{"run_id":"{run_id}","key":"k","value":1,"timestamp":"{number}"}}'.encode()
        assert house.ask("POST", API + "runs/log-metric", JSON, body).status == 400
