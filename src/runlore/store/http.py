"""The store that lives behind a server: each operation becomes the request that the contract says it is.

Nothing here knows an endpoint: path, method, body and reply type come from the operation. The file is about what goes wrong
between two machines: lost connections, overloaded or restarting servers, answers that are not what they should be.
"""

from __future__ import annotations

import logging
import os
import random
import re
import threading
import time
import uuid
from itertools import count
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlencode, urlsplit, urlunsplit

import msgspec

from runlore.api.operation import Operation, to_request
from runlore.api.runs import CreateRun
from runlore.exceptions import EndpointNotFound, PermissionDenied, RunloreError, Unauthenticated, Unavailable, error_from_code
from runlore.settings import Settings, settings
from runlore.store.pace import paced

if TYPE_CHECKING:
    import urllib3

Reply = TypeVar("Reply")

MAX_REPLY_BYTES = 512 * 2**20
"""A longer reply is an error, not a full memory. 50,000 runs of 10 kB each fit."""

CONNECT_SECONDS = 10.0
READ_SECONDS = 120.0
FIRST_PATIENCE_SECONDS = 10.0
"""How long to keep trying a server that has never answered: long enough for one that is starting, short for a typing error."""
PATIENCE_SECONDS = 60.0
"""How long to keep trying a server that has answered before."""
_PROBES = 6
"""How often to ask a server what it honours, when its answers get lost."""

SILENCE_SECONDS = 2.0
"""How long to try without telling the user why nothing happens."""

RETRIED = frozenset({408, 429, 500, 502, 503, 504})
UNDONE = frozenset({408, 429, 503})
"""Statuses that say that nothing was done. After the other retried ones, or a lost answer, it may have been."""

ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts"

logger = logging.getLogger("runlore.store")

_ERROR_OF_STATUS = {401: Unauthenticated, 403: PermissionDenied, 404: EndpointNotFound, 503: Unavailable}


class ErrorBody(msgspec.Struct):
    """What servers send with a status of 400 and above."""

    error_code: str
    message: str = ""


class HttpStore:
    """Operations over HTTP, to a Runlore server, or to an MLflow server for the operations that it knows.

    Keeps connections alive and shares them between threads. Failed connections and the statuses 408, 429, 500, 502, 503 and
    504 are tried again, at growing and random intervals or when `Retry-After` says, until `patience` seconds have passed. A
    creation carries a key with which the server makes it once; a server that knows no keys is not asked again when it may have
    carried it out. Redirects are never followed, so that credentials go to no other host. `headers` go with every request and
    carry the credentials; `blobs/http.py` sends them too.
    """

    def __init__(self, uri: str, credentials: Settings | None = None, patience: float | None = None) -> None:
        parts = urlsplit(uri.rstrip("/"))
        host = parts.netloc.rpartition("@")[2]
        self.uri = urlunsplit((parts.scheme, host, parts.path, "", ""))
        self.artifact_root = self.uri + ARTIFACTS
        self.headers = _headers(credentials or settings(), parts.username, parts.password)
        self._patience = patience
        self._answered = False
        self._keys: bool | None = None
        self._lock = threading.Lock()
        self._pool: urllib3.PoolManager | None = None
        self._pid = 0

    def call(self, operation: Operation[Reply]) -> Reply:
        """Carry out one operation on the server. Raises what the server answered, or `Unavailable`."""
        repeatable = True
        if "idempotency_key" in operation.__struct_fields__:
            named = isinstance(operation, CreateRun) and operation.client_run_id is not None
            repeatable = named or self._honours_keys()
            if repeatable and not named and operation.idempotency_key is None:  # type: ignore[attr-defined]  # it is a field
                operation = msgspec.structs.replace(operation, idempotency_key=uuid.uuid4().hex)
        method, path, query, body = to_request(operation)
        url = self.uri + path + ("?" + urlencode(query) if query else "")
        status, content_type, raw = self._send(method, url, body, repeatable)
        if status >= 300:
            raise _refusal(status, f"{method} {url.partition('?')[0]}", raw, content_type)
        return _decode(raw, content_type, operation.reply_type(), url.partition("?")[0])  # type: ignore[no-any-return]

    def _honours_keys(self) -> bool:
        """Whether the server makes nothing twice for one key. MLflow's does not, and older ones of Runlore do not."""
        import urllib3

        for attempt in range(_PROBES):
            if self._keys is not None:
                break
            try:
                answer = self.connections().request(
                    "GET", self.uri + "/version", headers=self.headers, redirect=False, timeout=CONNECT_SECONDS
                )
            except urllib3.exceptions.ProtocolError:  # the answer was lost
                if self._seconds_to_try() <= 0:
                    return False
                time.sleep(_pause(attempt))
            except (urllib3.exceptions.HTTPError, OSError):
                return False  # perhaps it is starting: it is asked again next time
            else:
                if answer.status != 200:
                    return False
                self._keys = "idempotency-key" in answer.headers.get("x-runlore-honours", "")
        return bool(self._keys)

    def close(self) -> None:
        """Close idle connections. The store can be used again; it opens new ones."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.clear()

    def _send(self, method: str, url: str, body: bytes, repeatable: bool) -> tuple[int, str, bytes]:
        """One answer: (status, content type, body), after as many attempts as patience allows."""
        import urllib3

        deadline = time.monotonic() + self._seconds_to_try()
        patience = _Patience(self.uri, deadline)
        for attempt in count():
            wait = _pause(attempt)
            try:
                answer, retry_after = self._attempt(method, url, body)
                if answer[0] not in RETRIED or not (repeatable or answer[0] in UNDONE):
                    patience.over()
                    return answer
                if time.monotonic() + max(wait, retry_after) > deadline:
                    return answer
                wait = max(wait, retry_after)
                patience.tested(wait, f"answers {answer[0]}")
            except (urllib3.exceptions.HTTPError, OSError) as error:
                unsent = isinstance(error, urllib3.exceptions.NewConnectionError | urllib3.exceptions.ConnectTimeoutError)
                if time.monotonic() + wait > deadline or not (repeatable or unsent):
                    raise self._unavailable(url, error, repeatable or unsent) from error
                patience.tested(wait, "does not answer")
            time.sleep(wait)
        raise AssertionError("patience ends before the attempts do")

    def _attempt(self, method: str, url: str, body: bytes) -> tuple[tuple[int, str, bytes], float]:
        import urllib3

        response = self.connections().request(
            method, url, body=body or None, headers=self.headers, preload_content=False, redirect=False
        )
        try:
            content_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
            raw = _read(response, url)
            headers = response.headers
            if not raw and response.status != 204 and "content-length" not in headers and "transfer-encoding" not in headers:
                raise urllib3.exceptions.ProtocolError("The answer broke off in its head.")  # http.client sees an empty body
            self._answered = True
            if 300 <= response.status < 400:
                target = response.headers.get("location", "nowhere")
                raise RunloreError(
                    f"{url.partition('?')[0]} redirects to {target[:200]}; redirects are not followed. "
                    "If that address is right, use it as the tracking URI."
                )
            return (response.status, content_type, raw), _seconds(response.headers.get("retry-after"))
        finally:
            response.release_conn()

    def connections(self) -> urllib3.PoolManager:
        """The pool of this process: a forked child must not speak on its parent's sockets. It makes no retries."""
        import urllib3

        with self._lock:
            if self._pool is None or self._pid != os.getpid():
                options: dict[str, Any] = {
                    "maxsize": 16,
                    "retries": False,
                    "timeout": urllib3.Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS),
                }
                proxy = _proxy(self.uri)
                self._pool = paced(urllib3.ProxyManager(proxy, **options) if proxy else urllib3.PoolManager(**options))
                self._pid = os.getpid()
            return self._pool

    def _seconds_to_try(self) -> float:
        if self._patience is not None:
            return self._patience
        return PATIENCE_SECONDS if self._answered else FIRST_PATIENCE_SECONDS

    def _unavailable(self, url: str, error: Exception, certain: bool) -> Unavailable:
        doubt = "" if certain else " The connection broke after the request was sent: it may have been carried out."
        return Unavailable(
            f"No answer from {url.partition('?')[0]}: {error}.{doubt} Is the server at {self.uri} running? "
            "Start one with `runlore server`, or set another tracking URI."
        )


class _Patience:
    """Tells the user, once for each call, that it waits for a server, and when that is over."""

    def __init__(self, uri: str, deadline: float) -> None:
        self._uri, self._began, self._deadline = uri, time.monotonic(), deadline
        self._told = False

    def tested(self, wait: float, what: str) -> None:
        """An attempt failed and the next one comes in `wait` seconds."""
        now = time.monotonic()
        if not self._told and now + wait - self._began >= SILENCE_SECONDS:
            self._told = True
            seconds = max(1, round(self._deadline - now))
            logger.warning("The server at %s %s. Trying again for up to %d s.", self._uri, what, seconds)

    def over(self) -> None:
        """It answered."""
        if self._told:
            logger.warning("The server at %s answers again.", self._uri)


def _headers(credentials: Settings, username: str | None, password: str | None) -> dict[str, str]:
    import base64

    headers = {"Content-Type": "application/json", "Accept": "application/json, application/msgpack", "User-Agent": "runlore"}
    username, password = username or credentials.username, password or credentials.password
    if credentials.token:
        headers["Authorization"] = f"Bearer {credentials.token}"
    elif username:
        pair = f"{username}:{password or ''}".encode()
        headers["Authorization"] = "Basic " + base64.b64encode(pair).decode()
    return headers


def _proxy(uri: str) -> str | None:
    """The proxy that the environment names for this address (`HTTPS_PROXY`, `NO_PROXY` …)."""
    from urllib.request import getproxies, proxy_bypass

    parts = urlsplit(uri)
    return None if proxy_bypass(parts.hostname or "") else getproxies().get(parts.scheme)


def _pause(attempt: int) -> float:
    """0.1 s, 0.2 s, 0.4 s … up to 8 s, each times a random factor from 0.5 to 1 so that clients do not return in step."""
    return float(min(8.0, 0.1 * 2 ** min(attempt, 10)) * random.uniform(0.5, 1.0))


def _seconds(retry_after: str | None) -> float:
    """`Retry-After` in seconds; a date, or nothing, is 0."""
    return float(retry_after) if retry_after and re.fullmatch(r"[0-9]{1,9}", retry_after.strip()) else 0.0


def _read(response: urllib3.BaseHTTPResponse, url: str) -> bytes:
    pieces = []
    size = 0
    if (coding := response.headers.get("content-encoding", "identity")) != "identity":
        response.close()
        raise RunloreError(f"{url.partition('?')[0]} answered in the coding {coding[:100]!r}, which was not asked for.")
    while piece := response.read(1 << 20, decode_content=False):
        size += len(piece)
        if size > MAX_REPLY_BYTES:
            response.close()
            raise RunloreError(
                f"The reply of {url.partition('?')[0]} is longer than {MAX_REPLY_BYTES:,} bytes; ask for less at once."
            )
        pieces.append(piece)
    return b"".join(pieces)


def _decode(raw: bytes, content_type: str, type_: Any, url: str) -> Any:
    try:
        if content_type.endswith("msgpack"):
            return msgspec.msgpack.decode(raw, type=type_)
        return msgspec.json.decode(raw or b"{}", type=type_, strict=False)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        kind = content_type or "something of no type"
        raise RunloreError(
            f"{url} answered {kind}, not the expected JSON ({error}); it begins with {raw[:80]!r}. "
            "Is this the address of a Runlore or MLflow server?"
        ) from None


def _harmless(text: str) -> str:
    """A server's words without characters that steer a terminal, and no more of them than a person reads."""
    return "".join(letter if letter.isprintable() or letter in "\n\t" else "�" for letter in text[:20_000])


def _refusal(status: int, request: str, raw: bytes, content_type: str) -> RunloreError:
    try:
        body = msgspec.json.decode(raw, type=ErrorBody)
        return error_from_code(body.error_code, _harmless(body.message))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        kind = _ERROR_OF_STATUS.get(status, RunloreError)
        text = f"; it begins with {raw[:80]!r}" if raw else ""
        return kind(
            f"{request} answered status {status} with {content_type or 'no body'}, not a JSON error{text}. "
            "Is this the address of a Runlore or MLflow server?"
        )
