"""A scoring server on a real socket: limits, batches, errors, what it says about itself."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.server.live import LiveServer
from tests.server.wire import Answer, Wire
from tests.serving import waiting_models
from tests.serving.waiting_models import Doubling, Gate, Secretive, Total

import runlore.pyfunc
from runlore.models import infer_signature
from runlore.serving.app import ScoringApp, Service
from runlore.serving.predictions import Limits

JSON = {"Content-Type": "application/json"}
ROWS = pd.DataFrame({"x": [1.0, 2.0]})


class Served(Wire):
    """A model that is served."""

    def __init__(self, port: int, app: ScoringApp, pool: ThreadPoolExecutor) -> None:
        super().__init__(port)
        self.app, self._pool = app, pool

    def predict(self, *values: Any, **more: Any) -> Answer:
        body = json.dumps({"dataframe_records": [{"x": value} for value in values], **more}).encode()
        return self.ask("POST", "/invocations", JSON, body)

    def later(self, *values: Any, **more: Any) -> Future[Answer]:
        """Ask in a thread; the first request is in the model when this returns, each further one waits."""
        expected = self.app.predictions.waiting + 1
        first = not gate.seen
        future = self.send(*values, **more)
        deadline = time.monotonic() + 30
        while not gate.seen if first else self.app.predictions.waiting < expected:
            assert time.monotonic() < deadline
            time.sleep(0.002)
        return future

    def send(self, *values: Any, **more: Any) -> Future[Answer]:
        """Ask in a thread."""
        return self._pool.submit(self.predict, *values, **more)


Serve = Callable[..., Served]
gate: Gate


@pytest.fixture(autouse=True)
def closed_gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    global gate
    gate = Gate()
    monkeypatch.setattr(waiting_models, "gate", gate)
    yield
    gate.open.set()


@pytest.fixture
def serve(live_server: LiveServer, tmp_path: Path) -> Iterator[Serve]:
    contexts = []
    pool = ThreadPoolExecutor(16)

    def start(model: Any, limits: Limits | None = None, **service: Any) -> Served:
        place = tmp_path / "model"
        runlore.pyfunc.save_model(place, python_model=model, signature=infer_signature(ROWS, params={"times": 1.0}))
        chosen = Service(name="a <b>model", limits=limits or Limits(threads=1), **service)
        app = ScoringApp(runlore.pyfunc.load_model(place), chosen, place)
        contexts.append(live_server.serving(app))
        contexts[-1].__enter__()
        return Served(live_server.port, app, pool)

    yield start
    gate.open.set()
    for context in contexts:
        context.__exit__(None, None, None)
    pool.shutdown()


def test_more_than_can_wait_are_told_to_come_back(serve: Serve) -> None:
    model = serve(Doubling(), Limits(threads=1, waiting=2))
    taken = [model.later(1.0), model.later(2.0), model.later(3.0)]
    refused = model.predict(4.0)
    assert (refused.status, refused.code, refused.headers["retry-after"]) == (503, "TEMPORARILY_UNAVAILABLE", "1")
    assert model.ask("GET", "/ping").status == 200  # while every thread is busy
    gate.open.set()
    assert [answer.result().json() for answer in taken] == [{"predictions": [{"x": 2.0 * value}]} for value in (1, 2, 3)]
    numbers = model.ask("GET", "/metrics").body.decode()
    assert "runlore_prediction_refusals_total 1\n" in numbers
    assert "runlore_predicted_requests_total 3\n" in numbers
    assert 'runlore_requests_total{method="POST",status="503"} 1\n' in numbers


def test_what_nobody_waits_for_is_not_predicted(serve: Serve) -> None:
    model = serve(Doubling(), Limits(threads=1), timeout=0.05)
    late = [model.later(1.0), model.later(2.0, 2.0)]
    assert [(answer.result().status, answer.result().code) for answer in late] == [(504, "DEADLINE_EXCEEDED")] * 2
    gate.open.set()
    while model.predict(3.0).status == 504:  # a slow machine
        pass
    assert set(gate.seen) == {1}
    assert "runlore_prediction_queue 0\n" in model.ask("GET", "/metrics").body.decode()


def test_requests_that_wait_are_predicted_together(serve: Serve) -> None:
    model = serve(Doubling(), Limits(threads=1, batch=10))
    first = model.later(1.0)
    more = [model.later(2.0), model.later(3.0, 4.0), model.later(5.0)]
    apart = [model.later(6.0, params={"times": 10.0}), model.later("x"), model.later(None)]
    gate.open.set()
    assert first.result().json() == {"predictions": [{"x": 2.0}]}
    assert [answer.result().json()["predictions"] for answer in more] == [[{"x": 4.0}], [{"x": 6.0}, {"x": 8.0}], [{"x": 10.0}]]
    assert [answer.result().status for answer in apart] == [200, 400, 200]
    assert apart[0].result().json() == {"predictions": [{"x": 120.0}]}
    assert apart[2].result().json() == {"predictions": [{"x": None}]}
    assert gate.seen[0] == 1
    assert sorted(gate.seen[1:]) == [1, 5]  # the params alone; the rest, the gap too, on top of each other


def test_one_bad_request_does_not_spoil_its_batch(serve: Serve) -> None:
    model = serve(Doubling(), Limits(threads=1, batch=10))
    first = model.later(0.0)
    answers = [model.later(1.0), model.later(-1.0), model.later(2.0)]
    gate.open.set()
    assert first.result().status == 200
    assert [answer.result().status for answer in answers] == [200, 400, 200]
    bad = answers[1].result().json()
    assert bad["message"] == "The model could not predict this input. ValueError: negative values are not doubled"
    assert bad.keys() == {"error_code", "message"}


def test_a_model_that_looks_at_all_rows_is_found_out(serve: Serve) -> None:
    model = serve(Total(), Limits(threads=1, batch=10))
    first = model.later(1.0)
    together = [model.later(2.0), model.later(3.0)]
    gate.open.set()
    assert [answer.result().json()["predictions"] for answer in (first, *together)] == [[1.0], [2.0], [3.0]]
    gate.seen.clear()
    assert model.predict(4.0, 5.0).json() == {"predictions": [9.0]}
    assert gate.seen == [2]


def test_a_thread_waits_for_a_batch_to_fill_when_told_so(serve: Serve) -> None:
    model = serve(Doubling(), Limits(threads=1, batch=2, delay=60.0))
    gate.open.set()
    answers = [model.send(1.0), model.send(2.0)]
    assert [answer.result().json()["predictions"] for answer in answers] == [[{"x": 2.0}], [{"x": 4.0}]]
    assert gate.seen == [2]


def test_errors_tell_no_secrets(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    answer = serve(Secretive()).predict(1.0)
    assert (answer.status, answer.code) == (400, "BAD_REQUEST")
    assert "password" not in answer.body.decode()
    assert "see the log of the server" in answer.json()["message"]
    assert "password.txt" in caplog.text


def test_stack_traces_are_shown_when_asked_for(serve: Serve) -> None:
    answer = serve(Secretive(), stack_traces=True).predict(1.0)
    assert "password.txt" in answer.json()["stack_trace"]


def test_the_pages_of_a_server(serve: Serve) -> None:
    model = serve(Doubling())
    for path in ("/ping", "/health"):
        assert (model.ask("GET", path).status, model.ask("GET", path).body) == (200, b"\n")
        assert model.ask("HEAD", path).body == b""
    assert model.ask("GET", "/version").body.decode().startswith("3.")
    assert model.ask("GET", "/version").headers["x-runlore-version"]
    assert (model.ask("GET", "/invocations").status, model.ask("POST", "/ping", JSON, b"").status) == (405, 405)
    assert model.ask("GET", "/no/such/page").status == 404
    page = model.ask("GET", "/docs").body.decode()
    assert "<h1>a &lt;b&gt;model</h1>" in page
    assert "<td><code>x</code></td><td>double</td>" in page
    described = model.ask("GET", "/openapi.json").json()
    choices = described["paths"]["/invocations"]["post"]["requestBody"]["content"]["application/json"]["schema"]["oneOf"]
    assert [choice["required"] for choice in choices] == [["dataframe_split"], ["dataframe_records"], ["instances"], ["inputs"]]
    assert choices[1]["properties"]["params"]["properties"] == {"times": {"type": "number", "format": "double", "default": 1.0}}


def test_who_may_ask(serve: Serve) -> None:
    model = serve(Doubling(), allowed_hosts=("model.example.org",), max_body=1_000)
    gate.open.set()
    assert model.ask("GET", "/ping", {"Host": "evil.example"}).status == 403
    assert model.ask("GET", "/ping", {"Host": "model.example.org"}).status == 200
    body = b'{"dataframe_records": [{"x": 1}]}'
    assert model.ask("POST", "/invocations", {**JSON, "Origin": "http://evil.example"}, body).status == 403
    assert model.ask("POST", "/invocations", {**JSON, "Sec-Fetch-Site": "cross-site"}, body).status == 403
    assert model.ask("POST", "/invocations", JSON, body).status == 200
    assert model.ask("POST", "/invocations", JSON, body + b" " * 1_000).status == 413


def test_parquet_is_read(serve: Serve) -> None:
    polars = pytest.importorskip("polars")
    model = serve(Doubling())
    gate.open.set()
    from io import BytesIO

    stream = BytesIO()
    polars.DataFrame({"x": [1.0, None]}).write_parquet(stream)
    answer = model.ask("POST", "/invocations", {"Content-Type": "application/vnd.apache.parquet"}, stream.getvalue())
    assert answer.json() == {"predictions": [{"x": 2.0}, {"x": None}]}


def test_many_clients_get_their_own_answers(serve: Serve) -> None:
    model = serve(Doubling(), Limits(threads=3, waiting=200, batch=16))
    gate.open.set()
    wrong = []

    def ask(first: int) -> None:
        for value in range(first, first + 25):
            if model.predict(float(value)).json() != {"predictions": [{"x": 2.0 * value}]}:
                wrong.append(value)

    threads = [threading.Thread(target=ask, args=(1_000 * number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert sum(gate.seen) == 150


TIME = pd.Timestamp("2024-01-01")
TABLE = pd.DataFrame({"a": [1], "t": [pd.NaT], "n": pd.array([None], dtype="Int64"), "b": [b"x"]})


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (np.array([1.5, np.nan, np.inf]), "[1.5,null,null]"),
        (TABLE, '[{"a":1,"t":null,"n":null,"b":"eA=="}]'),
        (pd.Series([1, 2]), '[{"0":1},{"0":2}]'),
        ({"a": np.float32(1.5), "b": [np.array([[1]]), TIME]}, '{"a":1.5,"b":[[[1]],"2024-01-01T00:00:00"]}'),
        ("text", '"text"'),
    ],
    ids=["array", "table", "series", "dictionary", "text"],
)
def test_predictions_as_json(value: Any, text: str) -> None:
    from runlore.serving.outputs import encode

    assert encode(value) == f'{{"predictions":{text}}}'.encode()
    assert encode(value, bare=True) == text.encode()


@pytest.mark.parametrize(
    ("media", "body"),
    [
        ("text/csv", b"," * 60_000),
        ("application/json", b'{"dataframe_split": {"data": [[' + b"1," * 60_000 + b"1]]}}"),
        ("application/json", json.dumps({"dataframe_records": [dict.fromkeys(map(str, range(60_000)), 1)]}).encode()),
    ],
    ids=["csv", "split", "records"],
)
def test_a_short_request_can_not_hold_a_thread_for_long(serve: Serve, media: str, body: bytes) -> None:
    answer = serve(Doubling()).ask("POST", "/invocations", {"Content-Type": media}, body)
    assert (answer.status, answer.code) == (400, "BAD_REQUEST")
    assert "more than 50,000 columns" in answer.json()["message"]
    assert gate.seen == []


@pytest.mark.parametrize(
    "body", [b'{"inputs": ' + b"[" * 100_000, b'{"inputs": 1' + b"0" * 5_000 + b"}", b"\x00", b"\xef\xbb\xbf{}"]
)
def test_what_no_reader_expects_is_a_bad_request(serve: Serve, body: bytes) -> None:
    answer = serve(Doubling()).ask("POST", "/invocations", JSON, body)
    assert (answer.status, answer.code) == (400, "BAD_REQUEST")
