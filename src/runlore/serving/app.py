"""The scoring server's ASGI application: MLflow's four addresses, and beside them numbers, a description, and limits."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import msgspec

from runlore.exceptions import EndpointNotFound, RunloreError
from runlore.models.example import SERVING_FILE
from runlore.pyfunc import PyFuncModel
from runlore.serving import describe
from runlore.serving.inputs import media_type
from runlore.serving.predictions import Limits, Predictions
from runlore.version import MLFLOW_VERSION, __version__
from runlore.web.http import (
    Application,
    Disconnected,
    Receive,
    Refused,
    Reply,
    Request,
    Scope,
    Send,
    error_reply,
    json_reply,
    text_reply,
)
from runlore.web.observer import LogForm, Observer, prometheus
from runlore.web.security import Security

_log = logging.getLogger("runlore.serving")

MAX_EXAMPLE = 20_000
"""Characters of an input example that the page shows."""

Page = Callable[[], Reply]


@dataclass(frozen=True)
class Service:
    """How a model is served."""

    name: str = "model"
    host: str = "127.0.0.1"
    allowed_hosts: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)
    timeout: float = 60.0
    """Seconds that a request may take, waiting included."""
    max_body: int = 64 * 2**20
    """Bytes of a request."""
    stack_traces: bool = False
    """Whether clients see where in the model an error happened."""
    access_log: LogForm | None = None


class ScoringApp:
    """One model behind `/invocations`. `directory` is where its files are, for its input example."""

    def __init__(self, model: PyFuncModel, service: Service, directory: Path | None = None) -> None:
        self._model, self._service = model, service
        self.predictions = Predictions(model, model.metadata.signature, service.limits, service.stack_traces)
        self._observer = Observer(service.access_log)
        self._pages = _pages(model, service, directory, self._numbers)
        guarded = Security(self._answer, service.host, service.allowed_hosts)
        self._guarded: Application = self._observer.observing(guarded)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or follow the server's start and stop."""
        if scope["type"] == "http":
            await self._guarded(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._live(receive, send)
        else:
            await send({"type": "websocket.close", "code": 1003})

    async def _live(self, receive: Receive, send: Send) -> None:
        while (await receive())["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        await asyncio.to_thread(self.close)
        await send({"type": "lifespan.shutdown.complete"})

    def close(self) -> None:
        """Finish what waits, and end the threads. Twice is harmless."""
        self.predictions.close()

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive, {})
        try:
            reply = await self._reply(request)
        except RunloreError as error:
            reply = error_reply(error)
        except Disconnected:
            return
        except Exception:  # noqa: BLE001  # the boundary: a client learns that it is our fault, the log learns why
            _log.exception("%s %s", request.method, request.path)
            reply = error_reply(RunloreError("The server could not answer. See its log."))
        await reply.send(send, receive, without_body=request.method == "HEAD")

    def _reply(self, request: Request) -> Awaitable[Reply]:
        if request.path == "/invocations":
            return self._invoke(request)
        return self._page(request)

    async def _page(self, request: Request) -> Reply:
        if (page := self._pages.get(request.path)) is None:
            raise EndpointNotFound(f"There is no {request.path[:200]!r} here. Predictions are at POST /invocations.")
        if request.method not in ("GET", "HEAD"):
            raise _not_allowed(request, "GET")
        return page()

    async def _invoke(self, request: Request) -> Reply:
        if request.method != "POST":
            raise _not_allowed(request, "POST")
        declared = request.header(b"content-type")
        media = media_type(declared.decode("latin-1") if declared is not None else None)
        self.predictions.check()  # before the body is read: who can not be served costs no memory
        body = await request.body(self._service.max_body)
        return json_reply(await self.predictions.answer(body, media, self._service.timeout or None))

    def _numbers(self) -> Reply:
        return self._observer.reply(_numbers(self._service.name, self._model, self.predictions))


def _not_allowed(request: Request, method: str) -> Refused:
    return Refused(405, "METHOD_NOT_ALLOWED", f"{request.path} takes {method}, got {request.method[:20]!r}.")


def _numbers(name: str, model: PyFuncModel, predictions: Predictions) -> Iterator[str]:
    counts = predictions.counts
    version = model.metadata.model_id or model.metadata.model_uuid
    labels = f'{{name={json.dumps(name)},model_id="{version}"}}'
    yield from prometheus("runlore_served_model_info", "gauge", "What is served, as labels.", [(labels, 1)])
    for metric, kind, about, value in (
        ("runlore_predicted_requests_total", "counter", "Requests that a model was asked for.", counts.requests),
        ("runlore_prediction_batches_total", "counter", "Predictions, of one request or of several.", counts.batches),
        ("runlore_prediction_seconds_total", "counter", "Time in predictions, of all threads.", round(counts.seconds, 6)),
        ("runlore_prediction_failures_total", "counter", "Requests that the model could not predict.", counts.failed),
        ("runlore_prediction_refusals_total", "counter", "Requests refused because too many waited.", counts.refused),
        ("runlore_prediction_queue", "gauge", "Requests that wait for a thread.", predictions.waiting),
    ):
        yield from prometheus(metric, kind, about, [("", value)])


def _pages(model: PyFuncModel, service: Service, directory: Path | None, numbers: Page) -> dict[str, Page]:
    example = _example(directory)
    title = service.name
    return {
        "/ping": partial(json_reply, b"\n"),
        "/health": partial(json_reply, b"\n"),
        "/version": _version,
        "/metrics": numbers,
        "/openapi.json": lambda: json_reply(msgspec.json.encode(describe.document(model.metadata, title))),
        "/docs": lambda: text_reply(describe.page(model.metadata, title, example), "text/html; charset=utf-8"),
        "/docs.css": partial(text_reply, describe.STYLE, "text/css; charset=utf-8"),
    }


def _version() -> Reply:
    return Reply(MLFLOW_VERSION.encode(), _VERSION_HEADERS)


_VERSION_HEADERS = [(b"content-type", b"application/json"), (b"x-runlore-version", __version__.encode())]


def _example(directory: Path | None) -> str | None:
    path = directory / SERVING_FILE if directory else None
    if path is None or not path.is_file() or path.stat().st_size > MAX_EXAMPLE:
        return None
    try:
        return json.dumps(json.loads(path.read_bytes()))
    except ValueError:
        return None
