"""The HTTP store against servers that misbehave: real sockets, answers made to order."""

from __future__ import annotations

import gzip
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import msgspec
import pytest

from runlore.api.experiments import CreateExperiment, GetExperiment
from runlore.api.metrics import LogMetric
from runlore.exceptions import EndpointNotFound, LimitExceeded, NotFound, RunloreError, Unauthenticated, Unavailable
from runlore.settings import Settings
from runlore.store import http, pace
from runlore.store.http import HttpStore

EXPERIMENT = b'{"experiment": {"experiment_id": "5", "name": "e", "unknown": [1]}}'
Answer = tuple[int, dict[str, str], bytes]
GET = GetExperiment(experiment_id="5")
POINT = LogMetric(run_id="0" * 32, key="m", value=float("nan"), timestamp=1)


class Script:
    """What the server shall answer, one after the other, and what it has seen."""

    def __init__(self) -> None:
        self.answers: list[Answer | None] = []
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []
        self.url = ""

    def store(self, patience: float = 30.0, **credentials: str) -> HttpStore:
        return HttpStore(self.url, Settings(**credentials), patience)


@pytest.fixture
def script() -> Iterator[Script]:
    """A server that answers by script; `None` closes the connection without an answer."""
    script = Script()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            script.requests.append((self.command, self.path, headers, body))
            answer = script.answers.pop(0)
            if answer is None:
                self.close_connection = True
                return
            status, headers, content = answer
            self.send_response(status)
            for name, value in {"content-type": "application/json", **headers}.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = handle_one

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        script.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield script
        server.shutdown()
        thread.join()


def ok(content: bytes = EXPERIMENT) -> Answer:
    return 200, {}, content


def error(status: int, code: str, **headers: str) -> Answer:
    return status, {name.replace("_", "-"): value for name, value in headers.items()}, f'{{"error_code": "{code}"}}'.encode()


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_passing_trouble_is_waited_out(script: Script, status: int) -> None:
    script.answers = [error(status, "TEMPORARILY_UNAVAILABLE"), ok()]
    store = script.store()
    assert store.call(GET).experiment.name == "e"
    assert len(script.requests) == 2
    store.close()


def test_a_lost_answer_is_asked_for_again(script: Script) -> None:
    script.answers = [None, ok(b"{}")]
    store = script.store()
    store.call(POINT)
    assert script.requests[0][3] == script.requests[1][3]
    assert b'"value":"NaN"' in script.requests[0][3]
    store.close()


def test_an_answer_that_breaks_off_anywhere_is_asked_for_again() -> None:
    """Cut after each of its bytes: also in the middle of its head, which leaves a status of 200 and no body."""
    whole = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(EXPERIMENT), EXPERIMENT)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            for end in [*range(0, len(whole), 7), len(whole)]:
                with listener.accept()[0] as connection:
                    connection.recv(1 << 16)
                    connection.sendall(whole[:end])

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("runlore.store.http._pause", lambda attempt: 0.0)
            store = HttpStore(f"http://127.0.0.1:{listener.getsockname()[1]}", Settings(), patience=30.0)
            assert store.call(GET).experiment.name == "e"
        store.close()
        thread.join()


@pytest.mark.parametrize("trouble", [None, error(502, "INTERNAL_ERROR")])
def test_a_creation_is_not_repeated_when_it_may_have_happened(script: Script, trouble: Answer | None) -> None:
    script.answers = [(200, {"x-runlore-version": "0"}, b"3.17.0"), trouble]
    with pytest.raises(RunloreError):
        script.store().call(CreateExperiment(name="e"))
    assert [path for _, path, *_ in script.requests[1:]] == ["/api/2.0/mlflow/experiments/create"]


@pytest.mark.parametrize("trouble", [None, error(502, "INTERNAL_ERROR")])
def test_a_creation_is_repeated_with_its_key_where_the_server_honours_keys(script: Script, trouble: Answer | None) -> None:
    honours = (200, {"x-runlore-honours": "idempotency-key"}, b"3.17.0")
    script.answers = [honours, trouble, trouble, ok(b'{"experiment_id": "7"}'), ok(b'{"experiment_id": "8"}')]
    store = script.store()
    assert store.call(CreateExperiment(name="e")).experiment_id == "7"
    assert store.call(CreateExperiment(name="f")).experiment_id == "8"
    keys = [msgspec.json.decode(body)["idempotency_key"] for *_, body in script.requests[1:]]
    assert [len(key) for key in keys] == [32] * 4
    assert keys[0] == keys[1] == keys[2] != keys[3]


def test_a_creation_is_repeated_when_nothing_was_done(script: Script) -> None:
    script.answers = [ok(b"3.17.0"), error(503, "TEMPORARILY_UNAVAILABLE"), ok(b'{"experiment_id": "7"}')]
    store = script.store()
    assert store.call(CreateExperiment(name="e")).experiment_id == "7"
    store.close()


def test_patience_ends(script: Script) -> None:
    script.answers = [error(429, "REQUEST_LIMIT_EXCEEDED", retry_after="3600")]
    with pytest.raises(LimitExceeded):
        script.store(patience=5).call(GET)
    with pytest.raises(Unavailable, match=r"http://127.0.0.1:9\b"):
        HttpStore("http://127.0.0.1:9", Settings(), patience=0.2).call(GET)


def test_errors_keep_their_code_and_words(script: Script) -> None:
    script.answers = [(404, {}, b'{"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "No experiment 5"}')]
    with pytest.raises(NotFound, match="No experiment 5"):
        script.store().call(GET)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ((200, {"content-type": "text/html"}, b"<html>Sign in</html>"), RunloreError),
        ((200, {}, b'{"experiment": {"name": 3}}'), RunloreError),
        ((200, {}, b"\xff\xfe"), RunloreError),
        ((404, {"content-type": "text/html"}, b"<html>"), EndpointNotFound),
        ((401, {"content-type": "text/plain"}, b"who are you"), Unauthenticated),
        ((302, {"location": "http://evil.example/"}, b""), RunloreError),
    ],
)
def test_what_is_no_tracking_server_is_named(script: Script, answer: Answer, kind: type[RunloreError]) -> None:
    script.answers = [answer]
    with pytest.raises(kind, match=f"{script.url}/api/2.0/mlflow/experiments/get"):
        script.store().call(GET)
    assert len(script.requests) == 1


def test_credentials_go_with_every_request(script: Script) -> None:
    ways: list[tuple[Callable[[], HttpStore], str]] = [
        (lambda: script.store(username="ada", password="ü"), "Basic YWRhOsO8"),
        (lambda: script.store(token="t0k", username="ada"), "Bearer t0k"),
        (lambda: HttpStore(script.url.replace("//", "//ada:pw@"), Settings()), "Basic YWRhOnB3"),
    ]
    for make, expected in ways:
        script.answers = [ok()]
        store = make()
        assert "pw" not in store.uri
        store.call(GET)
        assert script.requests[-1][2]["authorization"] == expected
        store.close()


def test_a_path_before_the_api_is_kept(script: Script) -> None:
    script.answers = [ok()]
    store = HttpStore(f"{script.url}/tracking/", Settings())
    store.call(GET)
    assert script.requests[0][1] == "/tracking/api/2.0/mlflow/experiments/get?experiment_id=5"
    store.close()


def test_a_reply_without_end_is_cut(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runlore.store.http.MAX_REPLY_BYTES", 1_000)
    script.answers = [ok(EXPERIMENT + b" " * 10_000)]
    with pytest.raises(RunloreError, match="longer than 1,000 bytes"):
        script.store().call(GET)


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd", "gzip, gzip", "x" * 1_000])
@pytest.mark.parametrize("status", [200, 400])
def test_nothing_is_inflated_that_was_not_asked_for(script: Script, coding: str, status: int) -> None:
    """A small answer can unfold to any size before it can be counted."""
    script.answers = [(status, {"content-encoding": coding}, gzip.compress(EXPERIMENT + b" " * 200_000_000))]
    with pytest.raises(RunloreError, match="answered in the coding"):
        script.store().call(GET)
    assert script.requests[0][2]["accept-encoding"] == "identity"


@pytest.mark.parametrize("content", [b"[" * 1_000_000, b'{"experiment":' * 100_000, b'{"x":' + b"[" * 100_000])
@pytest.mark.parametrize("status", [200, 400])
def test_deep_answers_are_refused(script: Script, content: bytes, status: int) -> None:
    script.answers = [(status, {}, content)]
    with pytest.raises(RunloreError, match=script.url):
        script.store().call(GET)


@pytest.mark.parametrize("wait", ["²", "9" * 400, "-1", "1e9", "nan", "Wed, 21 Oct 2055 07:28:00 GMT", "", "١"])
def test_odd_times_to_wait_are_no_trouble(script: Script, wait: str) -> None:
    value = wait.encode().decode("latin-1")
    script.answers = [error(503, "TEMPORARILY_UNAVAILABLE", retry_after=value), ok()]
    assert script.store().call(GET).experiment.experiment_id == "5"


@pytest.mark.parametrize("part", ["head", "body", "chunks"])
def test_a_server_that_drips_holds_nobody_for_ever(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each byte comes in good time, the answer never ends."""
    monkeypatch.setattr(pace, "ANSWER_SECONDS", 0.3)
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
    begun = {
        "head": head + b"X-Long: ",
        "body": head + b"Content-Length: 1000000\r\n\r\n",
        "chunks": head + b"Transfer-Encoding: chunked\r\n\r\n",
    }[part]
    drop = b"1\r\nx\r\n" if part == "chunks" else b"x"
    ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def drip() -> None:
            with suppress(OSError):
                while not ended.is_set():
                    connection, _ = server.accept()
                    with connection, suppress(OSError):
                        connection.recv(65_536)
                        connection.sendall(begun)
                        while not ended.wait(0.02):
                            connection.sendall(drop)

        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        store = HttpStore(f"http://127.0.0.1:{server.getsockname()[1]}", Settings(), patience=0.0)
        with pytest.raises(Unavailable, match="timed out"):
            store.call(GET)
        store.close()
        ended.set()


def test_a_slow_answer_that_comes_is_waited_for(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "ANSWER_SECONDS", 5.0)
    monkeypatch.setattr(pace, "SLOWEST", 1_000_000_000)
    script.answers = [(200, {}, EXPERIMENT)]
    assert script.store().call(GET).experiment.name == "e"


def test_the_user_is_told_that_the_server_does_not_answer(
    script: Script, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "SILENCE_SECONDS", 0.2)
    script.answers = [None, None, None, None, (200, {}, EXPERIMENT)]
    script.store().call(GET)
    assert [record.message.partition(". ")[0] for record in caplog.records] == [
        f"The server at {script.url} does not answer",
        f"The server at {script.url} answers again.",
    ]


def test_short_trouble_is_not_worth_a_word(script: Script, caplog: pytest.LogCaptureFixture) -> None:
    script.answers = [None, (503, {}, b""), (200, {}, EXPERIMENT)]
    script.store().call(GET)
    assert caplog.records == []


def test_words_of_a_server_steer_no_terminal(script: Script) -> None:
    words = "no such run\x1b]0;title\x07\x1b[2J\u202e\nindeed"
    script.answers = [(404, {}, msgspec.json.encode({"error_code": "RESOURCE_DOES_NOT_EXIST", "message": words}))]
    with pytest.raises(NotFound) as refused:
        script.store().call(GET)
    assert refused.value.message == "no such run�]0;title��[2J�\nindeed"
