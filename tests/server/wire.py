"""Requests byte for byte as written: what a browser, a client library or an attacker could send, uncorrected."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Self

API = "/api/2.0/mlflow/"
FILES = "/api/2.0/mlflow-artifacts/artifacts"


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes
    names: list[str] = field(default_factory=list)

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        return str(self.json()["error_code"])


class Connection:
    """One kept connection."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self._waiting = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, raw: bytes) -> None:
        self.socket.sendall(raw)

    def request(self, method: str, target: str, headers: dict[str, str] | None = None, body: bytes | None = None) -> Answer:
        """Send a request; Host and Content-Length are added unless given (as "" to leave them out)."""
        given = {"Host": f"127.0.0.1:{self.port}", **({"Content-Length": str(len(body))} if body is not None else {})}
        for name, value in (headers or {}).items():
            given = {known: text for known, text in given.items() if known.lower() != name.lower()}
            if value:
                given[name] = value
        lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in given.items()), "", ""]
        self.send("\r\n".join(lines).encode("utf-8", "surrogateescape") + (body or b""))
        return self.answer(method)

    def answer(self, method: str = "GET") -> Answer:
        """Read one answer."""
        head = self._until(b"\r\n\r\n")
        status, *lines = head.decode("latin-1").split("\r\n")
        pairs = [line.split(": ", 1) for line in lines if line]
        headers = {name.lower(): value for name, value in pairs}
        number = int(status.split(" ")[1])
        body = b""
        if headers.get("transfer-encoding") == "chunked":
            body = b"".join(self._chunks())
        elif method != "HEAD" and number != 304:
            body = self._exactly(int(headers["content-length"]))
        return Answer(number, headers, body, [name.lower() for name, _ in pairs])

    def ended(self) -> bool:
        """True when the server closes (or resets) the connection without another byte."""
        try:
            return self.socket.recv(1) == b""
        except ConnectionError:
            return True

    def _until(self, mark: bytes) -> bytes:
        while mark not in self._waiting:
            self._more()
        head, _, self._waiting = self._waiting.partition(mark)
        return head

    def _exactly(self, size: int) -> bytes:
        while len(self._waiting) < size:
            self._more()
        body, self._waiting = self._waiting[:size], self._waiting[size:]
        return body

    def _chunks(self) -> Iterator[bytes]:
        while size := int(self._until(b"\r\n"), 16):
            yield self._exactly(size)
            self._exactly(2)
        self._exactly(2)

    def _more(self) -> None:
        got = self.socket.recv(1 << 20)
        if not got:
            raise ConnectionError("the server closed the connection")
        self._waiting += got


class Wire:
    """A served store, spoken to on the wire."""

    def __init__(self, port: int) -> None:
        self.port = port

    def connect(self) -> Connection:
        return Connection(self.port)

    def ask(self, method: str, target: str, headers: dict[str, str] | None = None, body: bytes | None = None) -> Answer:
        """One request on a connection of its own."""
        with self.connect() as connection:
            return connection.request(method, target, headers, body)

    def call(self, method: str, path: str, body: object) -> Answer:
        """A JSON request as MLflow's clients send it."""
        return self.ask(method, API + path, {"Content-Type": "application/json"}, json.dumps(body).encode())

    def new_run(self) -> str:
        """The id of a new run in the default experiment."""
        answer = self.call("POST", "runs/create", {"experiment_id": "0"})
        return str(answer.json()["run"]["info"]["run_id"])
