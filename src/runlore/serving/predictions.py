"""The threads that predict, and the bounded queue before them.

A request is parsed, predicted and encoded by one thread; the event loop only hands over bytes, so that health checks are
answered however long a prediction takes. More requests than the queue holds are refused at once, those that waited too long are
dropped before they cost anything.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, Protocol

from runlore.exceptions import BadRequest, InvalidState, RunloreError, Unavailable
from runlore.models.signature import ModelSignature
from runlore.serving.batching import batch_key, join, part
from runlore.serving.inputs import Question, parse
from runlore.serving.outputs import encode

_log = logging.getLogger("runlore.serving")

LEAVE_SECONDS = 5.0
"""How long `close` waits for predictions that nobody waits for any more."""
SAID = 300
"""Characters of a model's own error that its client sees."""
_OF_THE_DATA = (ValueError, TypeError, LookupError, ArithmeticError, AttributeError)
"""Errors of a model that speak of its input; of others the client learns no more than that there was one."""


class Model(Protocol):
    """What is served: a `PyFuncModel`."""

    def predict(self, data: Any, params: dict[str, Any] | None = None) -> Any:
        """A prediction."""
        ...


class ModelFailed(RunloreError):
    """The model raised an error. MLflow's code word and status for it are those of a bad request."""

    error_code = BadRequest.error_code
    status = BadRequest.status


@dataclass(frozen=True)
class Limits:
    """How much is done at once, and how long it may take."""

    threads: int = 2
    waiting: int = 100
    """Requests that wait for a thread, at most."""
    batch: int = 1
    """Requests in one prediction, at most; 1 predicts each by itself."""
    delay: float = 0.0
    """Seconds that a thread waits for a batch to fill. At 0 it takes what is there."""


@dataclass(slots=True)
class Job:
    """One request on its way."""

    body: bytes
    media: str
    done: Callable[[bytes | RunloreError], object]
    question: Question | None = None
    dropped: bool = False


@dataclass
class Counts:
    """What happened so far."""

    requests: int = 0
    batches: int = 0
    failed: int = 0
    refused: int = 0
    seconds: float = 0.0
    """In predictions, of all threads."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, requests: int, seconds: float, failed: int = 0) -> None:
        """Note a prediction."""
        with self._lock:
            self.requests += requests
            self.batches += 1
            self.seconds += seconds
            self.failed += failed


class Predictions:
    """Answers requests to one model with a few threads. Started by the first request; `close` ends the threads."""

    def __init__(self, model: Model, signature: ModelSignature | None, limits: Limits, stack_traces: bool = False) -> None:
        self.counts = Counts()
        self._model, self._signature, self._limits, self._stack_traces = model, signature, limits, stack_traces
        self._waiting: deque[Job] = deque()
        self._changed = threading.Condition()
        self._threads: list[threading.Thread] = []
        self._closed = False
        self._batching = limits.batch > 1

    @property
    def waiting(self) -> int:
        """Requests that wait for a thread."""
        return len(self._waiting)

    def check(self) -> None:
        """Raise `Unavailable` when no request more can wait."""
        if len(self._waiting) >= self._limits.waiting:
            self.counts.refused += 1
            raise Unavailable(f"{self._limits.waiting} requests wait for the model already. Try again in a moment.")

    async def answer(self, body: bytes, media: str, timeout: float | None) -> bytes:
        """The body of an answer. Raises `RunloreError`; after `timeout` seconds DEADLINE_EXCEEDED (504)."""
        self.check()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[bytes | RunloreError] = loop.create_future()

        def deliver(result: bytes | RunloreError) -> None:
            if not future.done():
                future.set_result(result)

        job = Job(body, media, lambda result: loop.call_soon_threadsafe(deliver, result))
        self._submit(job)
        try:
            result = await asyncio.wait_for(future, timeout)
        except TimeoutError:
            raise RunloreError(f"No answer within {timeout} s.", error_code="DEADLINE_EXCEEDED") from None
        finally:
            job.dropped = True  # a client that left, or was told no, has nothing predicted for it any more
        if isinstance(result, RunloreError):
            raise result
        return result

    def _submit(self, job: Job) -> None:
        with self._changed:
            if self._closed:
                raise Unavailable("The server stops.")
            if not self._threads:
                self._threads = [
                    threading.Thread(target=self._work, name=f"runlore-predict-{number}", daemon=True)
                    for number in range(self._limits.threads)
                ]
                for thread in self._threads:
                    thread.start()
            self._waiting.append(job)
            self._changed.notify()

    def close(self) -> None:
        """Finish what waits, and end the threads; one that a model holds for more than 5 s is left. Twice is harmless."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        deadline = time.monotonic() + LEAVE_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    # -- in a thread ------------------------------------------------------------------------------------------------------

    def _work(self) -> None:
        while jobs := self._take():
            groups: dict[Hashable, list[Job]] = {}
            for number, job in enumerate(jobs):
                if self._parsed(job):
                    assert job.question is not None
                    key = batch_key(job.question) if len(jobs) > 1 else None
                    groups.setdefault(number if key is None else key, []).append(job)
            for group in groups.values():
                self._predict(group)

    def _take(self) -> list[Job]:
        """The requests of the next prediction; none when it is time to stop."""
        with self._changed:
            while True:
                while not self._waiting and not self._closed:
                    self._changed.wait()
                most = self._limits.batch if self._batching else 1
                if self._limits.delay and len(self._waiting) < most:
                    self._changed.wait_for(self._full, self._limits.delay)
                taken = [self._waiting.popleft() for _ in range(min(most, len(self._waiting)))]
                if self._waiting:
                    self._changed.notify()  # a call meant for another thread may have ended the wait of this one
                if taken or self._closed:
                    return taken

    def _full(self) -> bool:
        return self._closed or len(self._waiting) >= self._limits.batch

    def _parsed(self, job: Job) -> bool:
        if job.dropped:
            return False
        try:
            job.question = parse(job.body, job.media, self._signature)
        except RunloreError as error:
            job.done(error)
            return False
        except Exception:  # noqa: BLE001  # a body that no reader of tables foresaw
            _log.warning("A request could not be read:\n%s", traceback.format_exc())
            job.done(BadRequest("The body can not be read as a model's input."))
            return False
        return True

    def _predict(self, jobs: list[Job]) -> None:
        began = time.perf_counter()
        if len(jobs) == 1:
            result = self._answer(jobs[0])
            self.counts.add(1, time.perf_counter() - began, isinstance(result, RunloreError))
            jobs[0].done(result)
            return
        try:
            data, sizes = join([job.question for job in jobs if job.question])
            parts = part(self._model.predict(data), sizes)
            answers = [encode(item) for item in parts]
        except InvalidState as error:
            self._batching = False
            _log.warning("%s From now on each is predicted by itself.", error.message)
        except Exception:  # noqa: BLE001  # one of them is wrong: who is told so is found out one by one
            _log.debug("A batch failed:\n%s", traceback.format_exc())
        else:
            self.counts.add(len(jobs), time.perf_counter() - began)
            for job, answer in zip(jobs, answers, strict=True):
                job.done(answer)
            return
        for job in jobs:
            self._predict([job])

    def _answer(self, job: Job) -> bytes | RunloreError:
        question = job.question
        assert question is not None
        try:
            return encode(self._model.predict(question.data, params=question.params), bare=question.bare)
        except RunloreError as error:
            return error
        except Exception as error:  # noqa: BLE001  # whatever a model raises is an answer, and no end to the others
            trace = traceback.format_exc()
            _log.warning("The model could not answer a request:\n%s", trace)
            about = " ".join(str(error).split())[:SAID] if isinstance(error, _OF_THE_DATA) else "see the log of the server"
            more = {"stack_trace": trace} if self._stack_traces else {}
            return ModelFailed(f"The model could not predict this input. {type(error).__name__}: {about}", **more)
