"""From the bytes of a request to the bytes of its answer."""

from __future__ import annotations

import json
import logging
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest
from tests.server.live import House
from tests.server.wire import API

from runlore.api.operation import Public
from runlore.api.series import SeriesFrame
from runlore.server.routes import Endpoint, Routes
from runlore.web.http import Reply, Request

JSON = {"Content-Type": "application/json"}


def test_unknown_routes_say_so_in_mlflows_words(house: House) -> None:
    for method, path in [("GET", "/api/2.0/mlflow/traces"), ("POST", "/api/2.0/mlflow/nothing"), ("DELETE", "/nothing")]:
        answer = house.ask(method, path)
        assert (answer.status, answer.code) == (404, "ENDPOINT_NOT_FOUND")


def test_a_wrong_method_makes_clients_try_the_next_one(house: House) -> None:
    answer = house.ask("GET", API + "runs/create")
    assert (answer.status, answer.code) == (405, "ENDPOINT_NOT_FOUND")
    assert "POST" in answer.json()["message"]


@pytest.mark.parametrize("prefix", ["/api/2.0/", "/ajax-api/2.0/", "/api/3.0/", "/ajax-api/3.0/"])
def test_every_prefix_reaches_the_same_store(house: House, prefix: str) -> None:
    run_id = house.new_run()
    answer = house.ask("GET", f"{prefix}mlflow/runs/get?run_uuid={run_id}&run_id={run_id}")
    assert answer.json()["run"]["info"]["run_id"] == run_id
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("runs/log-metric", {"run_id": "f" * 32, "key": "a", "value": 1, "timestamp": 1}, 404, "RESOURCE_DOES_NOT_EXIST"),
        ("runs/log-metric", {"run_id": "f" * 32, "key": "a", "value": 1}, 400, "INVALID_PARAMETER_VALUE"),
        ("runs/log-metric", {"run_id": "../..", "key": "a", "value": 1, "timestamp": 1}, 404, "RESOURCE_DOES_NOT_EXIST"),
        ("experiments/create", {"name": "Default"}, 400, "RESOURCE_ALREADY_EXISTS"),
        ("experiments/delete", {"experiment_id": "99"}, 404, "RESOURCE_DOES_NOT_EXIST"),
    ],
)
def test_errors_have_mlflows_shape(house: House, path: str, body: object, status: int, code: str) -> None:
    answer = house.call("POST", path, body)
    assert (answer.status, answer.code) == (status, code)
    assert set(answer.json()) == {"error_code", "message"}


@pytest.mark.parametrize("body", [b"{", b"[]", b'"text"', b"\xff\xfe", b"1", b'{"run_id": }'])
def test_bodies_that_are_no_json_objects_are_refused(house: House, body: bytes) -> None:
    answer = house.ask("POST", API + "runs/log-batch", JSON, body)
    assert answer.status == 400
    assert answer.code in ("BAD_REQUEST", "INVALID_PARAMETER_VALUE")


def test_numbers_as_mlflow_clients_send_and_read_them(house: House) -> None:
    run_id = house.new_run()
    for step, value in enumerate(['"NaN"', '"Infinity"', '"-Infinity"', "1.5", '"2.5"']):
        body = f'{{"run_id":"{run_id}","run_uuid":"{run_id}","key":"m","value":{value},"timestamp":"7","step":"{step}"}}'
        assert house.ask("POST", API + "runs/log-metric", JSON, body.encode()).body == b"{}"
    answer = house.ask("GET", f"{API}metrics/get-history?run_id={run_id}&metric_key=m")
    assert [point["value"] for point in answer.json()["metrics"]] == ["NaN", "Infinity", "-Infinity", 1.5, 2.5]
    assert [point.get("step", 0) for point in answer.json()["metrics"]] == [0, 1, 2, 3, 4]


def test_delete_and_patch_carry_json_bodies(house: House) -> None:
    house.call("POST", "registered-models/create", {"name": "a model"})
    changed = house.call("PATCH", "registered-models/update", {"name": "a model", "description": "new"})
    assert changed.json()["registered_model"]["description"] == "new"
    assert house.call("DELETE", "registered-models/delete", {"name": "a model"}).body == b"{}"
    assert house.ask("GET", API + "registered-models/get?name=a%20model").status == 404


def test_values_in_the_path_win_over_the_body(house: House) -> None:
    made = house.call("POST", "logged-models", {"experiment_id": "0", "name": "m"}).json()["model"]["info"]
    other = "m-" + "0" * 32
    body = {"model_id": other, "tags": [{"key": "a/b", "value": "1"}]}
    tagged = house.call("PATCH", f"logged-models/{made['model_id']}/tags", body)
    assert tagged.json()["model"]["info"]["model_id"] == made["model_id"]
    assert house.ask("DELETE", f"{API}logged-models/{made['model_id']}/tags/a%2Fb").status == 200
    assert "tags" not in house.ask("GET", f"{API}logged-models/{made['model_id']}").json()["model"]["info"]


def test_repeated_query_parameters_are_lists(house: House) -> None:
    answer = house.ask("GET", API + "experiments/search?max_results=5&order_by=name%20ASC&order_by=creation_time")
    assert [found["name"] for found in answer.json()["experiments"]] == ["Default"]


def test_series_come_as_messagepack(house: House) -> None:
    run_id = house.new_run()
    house.call("POST", "runs/log-metric", {"run_id": run_id, "key": "m", "value": 3.0, "timestamp": 1})
    answer = house.ask("POST", "/api/v1/series", JSON, json.dumps({"run_ids": [run_id], "metrics": ["m"]}).encode())
    assert answer.headers["content-type"] == "application/msgpack"
    frame = msgspec.msgpack.decode(answer.body, type=SeriesFrame)
    assert [(line.run_id, line.key, line.points) for line in frame.series] == [(run_id, "m", 1)]


def test_a_failure_inside_is_told_by_a_number_only(house: House, caplog: pytest.LogCaptureFixture) -> None:
    async def broken(request: Request) -> Reply:
        raise ZeroDivisionError("the secret reason")

    house.app.routes.add(Endpoint("Broken", "GET", "/broken", Public, broken))
    with caplog.at_level(logging.ERROR, "runlore.server"):
        answer = house.ask("GET", "/broken")
    assert (answer.status, answer.code) == (500, "INTERNAL_ERROR")
    assert b"secret" not in answer.body
    assert b"Traceback" not in answer.body
    assert answer.json()["request_id"] in caplog.text
    assert "the secret reason" in caplog.text


def test_a_store_that_can_not_write_asks_to_come_back(house: House) -> None:
    run_id = house.new_run()
    house.store.close()
    answer = house.call("POST", "runs/set-tag", {"run_id": run_id, "key": "a", "value": "b"})
    assert (answer.status, answer.code) == (503, "TEMPORARILY_UNAVAILABLE")
    assert int(answer.headers["retry-after"]) >= 1


def test_one_connection_answers_many_requests(house: House) -> None:
    with house.connect() as connection:
        for _ in range(3):
            assert connection.request("GET", "/health").body == b"OK"
        assert connection.request("HEAD", "/health").headers["content-length"] == "2"
        assert connection.request("GET", "/version").body == b"3.17.2"
        assert connection.request("GET", "/nothing").status == 404
        assert connection.request("GET", "/health").body == b"OK"


def test_pipelined_requests_are_answered_in_order(house: House) -> None:
    with house.connect() as connection:
        for path in ("/health", "/version"):
            connection.send(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        assert [connection.answer().body for _ in range(2)] == [b"OK", b"3.17.2"]


def test_many_writers_at_once_all_get_their_answers(house: House) -> None:
    run_id = house.new_run()

    def write(worker: int) -> list[int]:
        with house.connect() as connection:
            found = []
            for step in range(20):
                point = {"run_id": run_id, "key": f"m{worker}", "value": step, "timestamp": 1, "step": step}
                found.append(connection.request("POST", API + "runs/log-metric", JSON, json.dumps(point).encode()).status)
            return found

    with ThreadPoolExecutor(8) as pool:
        assert {status for statuses in pool.map(write, range(8)) for status in statuses} == {200}
    metrics = house.ask("GET", f"{API}runs/get?run_id={run_id}").json()["run"]["data"]["metrics"]
    assert {metric["key"]: metric["value"] for metric in metrics} == {f"m{worker}": 19 for worker in range(8)}


def test_a_body_in_chunks_is_a_body(house: House) -> None:
    body = json.dumps({"experiment_id": "0"}).encode()
    chunks = b"".join(b"%x\r\n%s\r\n" % (1, body[i : i + 1]) for i in range(len(body))) + b"0\r\n\r\n"
    with house.connect() as connection:
        head = f"POST {API}runs/create HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json; charset=utf-8\r\n"
        connection.send(head.encode() + b"Transfer-Encoding: chunked\r\n\r\n" + chunks)
        assert connection.answer().status == 200


def test_an_endpoint_without_a_right_is_not_served() -> None:
    async def handle(request: Request) -> Reply:
        raise NotImplementedError

    routes = Routes()
    with pytest.raises(TypeError, match="does not say which right"):
        routes.add(Endpoint("Open", "GET", "/open", None, handle))  # type: ignore[arg-type]
    routes.add(Endpoint("One", "GET", "/one", Public, handle))
    with pytest.raises(TypeError, match="both One and Two"):
        routes.add(Endpoint("Two", "GET", "/one", Public, handle))


@pytest.mark.parametrize(
    ("path", "field", "limit"),
    [
        ("runs/log-parameter", None, 6_000),
        ("runs/set-tag", None, 8_000),
        ("runs/log-batch", "params", 6_000),
        ("runs/log-batch", "tags", 8_000),
    ],
)
def test_long_values_are_cut_for_mlflows_clients_alone(house: House, path: str, field: str | None, limit: int) -> None:
    run_id = house.new_run()
    pair = {"key": "k", "value": "ü" * (limit + 1)}
    body = json.dumps({"run_id": run_id, **({field: [pair, "junk"][:1]} if field else pair)}).encode()
    headers = {"Content-Type": "application/json"}
    assert house.ask("POST", API + path, headers, body).status == 400
    assert house.ask("POST", API + path, {**headers, "User-Agent": "mlflow-python-client/3.17.2"}, body).status == 200
    data = house.ask("GET", f"{API}runs/get?run_id={run_id}").json()["run"]["data"]
    (kept,) = [item["value"] for item in [*data.get("params", []), *data["tags"]] if item["key"] == "k"]
    assert kept == "ü" * limit


@pytest.mark.parametrize(
    "body",
    [
        b"[1]",
        b'{"run_id": 5, "params": 7}',
        b'{"run_id": "", "tags": [5, {"value": 1}]}',
        b"[" * 9,
        b'{"run_id": ' + b"9" * 9_000 + b"}",
    ],
)
def test_what_can_not_be_cut_is_refused(house: House, body: bytes) -> None:
    headers = {"Content-Type": "application/json", "User-Agent": "mlflow-python-client/3.17.2"}
    assert house.ask("POST", API + "runs/log-batch", headers, body).status == 400
