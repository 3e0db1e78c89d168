"""Starting a scoring server: fetch the model once, in the environment that it needs, with one process or several."""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from types import FrameType

import msgspec

from runlore.environments import LOCAL, Environment, differences, prepare, read_specification
from runlore.exceptions import InvalidParameter, NotFound
from runlore.models.flavor import fetch
from runlore.models.model import Model
from runlore.models.trust import Consent, LocalModel
from runlore.pyfunc import FLAVOR_NAME, load_model
from runlore.serving.app import ScoringApp, Service
from runlore.serving.predictions import Limits
from runlore.version import __version__
from runlore.web.listening import address_of, bind, configuration, stop_on_signals
from runlore.web.observer import LogForm
from runlore.web.protocol import BoundedServer
from runlore.web.security import HostList, is_loopback
from runlore.web.workers import supervise

DEFAULT_PORT = 5000
GRACE_SECONDS = 10.0
"""How long requests may go on after a signal to stop, at least; as long as one may take, at most."""

Tell = Callable[[str], object]


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What `runlore models serve` was asked for. Each field is an option of the command of the same name."""

    model_uri: str
    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    timeout: float = 60.0
    workers: int = 1
    threads: int = 0
    """Of each process; 0 takes as many as there are processors, at most 4."""
    max_waiting: int = 100
    max_batch_size: int = 1
    max_batch_delay: float = 0.0
    """Milliseconds."""
    max_request_size: int = 64
    """MiB."""
    env_manager: str | None = LOCAL
    allowed_hosts: tuple[str, ...] = ()
    access_log: LogForm | None = None
    stack_traces: bool = False
    allow_pickle: bool = False
    trusted: tuple[str, ...] = ()
    name: str | None = None
    """What the server calls the model; None: what `model_uri` says."""
    parent: int = 0
    """The process without which this one ends."""
    ready_file: str | None = None
    """Gets the server's address when it answers."""

    @property
    def title(self) -> str:
        """What the server calls the model."""
        return self.name or (self.model_uri if ":/" in self.model_uri else Path(self.model_uri).resolve().name)

    @property
    def consent(self) -> Consent:
        """What the caller vouches for."""
        return Consent.of(self.allow_pickle, self.trusted)

    def service(self) -> Service:
        """How the application serves."""
        threads = self.threads or min(4, os.cpu_count() or 1)
        limits = Limits(threads, self.max_waiting, self.max_batch_size, self.max_batch_delay / 1_000)
        return Service(
            name=self.title,
            host=self.host,
            allowed_hosts=self.allowed_hosts,
            limits=limits,
            timeout=self.timeout,
            max_body=self.max_request_size * 2**20,
            stack_traces=self.stack_traces,
            access_log=self.access_log,
        )


def serve(options: Options, tell: Tell) -> int:
    """Serve a model until SIGINT or SIGTERM; requests under way are answered first. Returns an exit code.

    The model is checked by the same gate as by `load_model`. Raises what that raises, `InvalidState` when the address can not
    be used, and what `prepare` raises when the model asks for an environment of its own.
    """
    HostList(options.allowed_hosts)  # what is wrong with them is said before anything begins
    os.umask(0o077)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.WARNING)
    local = fetch(options.model_uri, consent=options.consent)
    local.model.flavor(FLAVOR_NAME)
    environment = environment_of(local, options.env_manager, (lambda line: None) if options.parent else tell)
    several = options.workers > 1 and sys.platform == "linux"
    if environment.root is not None or (several and str(local.path) != options.model_uri):
        # Processes of one server are forked, which wants a process without threads: fetching may have started some.
        here = msgspec.structs.replace(options, name=options.title, model_uri=str(local.path), env_manager=LOCAL)
        return run_in(environment, "serve", msgspec.structs.replace(here, parent=os.getpid()))
    if options.workers > 1 and not several:
        tell("One process serves it: --workers works on Linux.")
    with closing(bind(options.host, options.port, shared=several)) as listener:
        url = address_of(listener)
        if several:
            _serve_with_workers(msgspec.structs.replace(options, port=listener.getsockname()[1]), url, tell)
        else:
            _serve_on(listener, options, lambda: _introduce(options, url, tell), local)
    return 0


def environment_of(local: LocalModel, env_manager: str | None, tell: Tell, overrides: list[str] | None = None) -> Environment:
    """The environment that a model asks for, with what predicting needs beside it. The local one is as it is."""
    if env_manager == LOCAL:
        with suppress(NotFound, InvalidParameter):
            if other := differences(read_specification(local.path)):
                tell(f"The model was made with other versions: {', '.join(other)}. hint: --env-manager uv")
        return Environment(None, Path(sys.executable))
    wanted = read_specification(local.path).overridden(overrides)
    return prepare(wanted.completed("pandas>=2.1"), env_manager, tell=tell)


def _serve_with_workers(options: Options, url: str, tell: Tell) -> None:
    def work(ready: Callable[[], object], orphaned: Callable[[], bool]) -> None:
        with closing(bind(options.host, options.port, shared=True)) as listener:
            _serve_on(listener, options, ready, orphaned=orphaned)

    supervise(options.workers, work, tell, lambda: _introduce(options, url, tell))


def _serve_on(
    listener: socket.socket,
    options: Options,
    on_ready: Callable[[], object],
    local: LocalModel | None = None,
    orphaned: Callable[[], bool] = bool,
) -> None:
    place = options.model_uri if local is None else str(local.path)
    schema = Model.load(place).get_input_schema()
    if schema is not None and not schema.is_tensor_spec() and find_spec("pandas"):
        import pandas  # noqa: F401  # half a second that the first request need not wait
    model = load_model(place, allow_pickle=options.allow_pickle, trusted=list(options.trusted))
    app = ScoringApp(model, options.service(), Path(place))
    lost = (lambda: os.getppid() != options.parent) if options.parent else orphaned
    running = BoundedServer(configuration(app, max(GRACE_SECONDS, options.timeout)), on_ready, lost)
    stop_on_signals(running)
    running.run(sockets=[listener])


def _introduce(options: Options, url: str, tell: Tell) -> None:
    processes = f" ({options.workers} processes)" if options.workers > 1 and sys.platform == "linux" else ""
    tell(f"Runlore {__version__} serves {options.title} at {url}{processes}")
    if options.ready_file:
        draft = Path(f"{options.ready_file}.new")
        draft.write_text(url, "utf-8")
        os.replace(draft, options.ready_file)
    if not is_loopback(options.host):
        tell(f"WARNING: whoever can reach {url} can ask this model. Nothing asks who they are.")


def run_in(
    environment: Environment,
    task: str,
    options: msgspec.Struct,
    body: bytes | None = None,
    further: dict[str, str] | None = None,
) -> int:
    """Run a task of `runlore.serving` in another environment, or another process of this one; returns its exit code.

    `body` is its standard input, `further` are environment variables. Signals to stop are passed on. What the task has to say,
    it says itself.
    """
    command = [str(environment.python), "-P", "-m", "runlore.serving", task, msgspec.json.encode(options).decode()]
    variables = {**environment.variables(), **(further or {})}
    process = subprocess.Popen(command, env=variables, stdin=None if body is None else subprocess.PIPE)
    with _passing_signals_to(process):
        process.communicate(body)
        return process.returncode


@contextmanager
def _passing_signals_to(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """SIGINT and SIGTERM end the other process, and this one after it."""

    def stop(number: int, frame: FrameType | None) -> None:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)

    if threading.current_thread() is not threading.main_thread():  # signals are none of its business
        yield
        return
    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
