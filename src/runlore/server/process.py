"""A server process, or several: bind, say what is served and where, serve, stop after the last answer."""

from __future__ import annotations

import errno
import ipaddress
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterable
from contextlib import closing
from urllib.parse import urlsplit

import msgspec
import uvicorn

from runlore.exceptions import InvalidState, Unavailable
from runlore.server.app import App
from runlore.server.observer import LogForm, Observer
from runlore.server.protocol import BoundedProtocol, BoundedServer
from runlore.server.proxies import Proxies
from runlore.server.security import is_loopback
from runlore.server.workers import supervise
from runlore.store.base import is_postgresql, open_store
from runlore.store.http import HttpStore
from runlore.store.sql.postgresql import connections_of_a_process, psycopg
from runlore.store.sql.store import SqlStore
from runlore.version import __version__

DEFAULT_PORT = 5000
GRACE_SECONDS = 10
KEEP_ALIVE_SECONDS = 75
BACKLOG = 1_024

Tell = Callable[[str], object]


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What `runlore server` was asked for."""

    store: str | None = None
    artifacts: str | None = None
    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    allowed_hosts: tuple[str, ...] = ()
    insecure_no_auth: bool = False
    trusted_proxies: tuple[str, ...] = ()
    """Addresses and networks of reverse proxies whose `X-Forwarded-…` headers are believed."""
    prefix: str = ""
    """The path under which a proxy serves this server, such as `/runlore`."""
    access_log: LogForm | None = None
    """One line on standard output for each request."""
    metrics: bool = False
    """Whether `/metrics` answers Prometheus."""
    workers: int = 1
    """Processes, on a PostgreSQL store on Linux; one process serves all others."""


def serve(options: Options, tell: Tell, on_ready: Callable[[str], object] | None = None) -> None:
    """Serve a store until SIGINT or SIGTERM. `tell` shows a line to the user; `on_ready` gets the URL when it answers.

    Raises `InvalidState` when the address may not or can not be used, `Unavailable` when the disk failed and it had to stop: a
    supervisor that starts it again is right.
    """
    _check_exposure(options)
    Proxies(options.trusted_proxies, options.prefix)  # what is wrong with them is said before anything begins
    os.umask(0o077)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.WARNING)
    with closing(bind(options.host, options.port)) as listener:
        if options.workers > 1 and (reason := _why_one_process(options)):
            tell(reason)
        elif options.workers > 1:
            port: int = listener.getsockname()[1]
            listener.close()
            _serve_with_workers(msgspec.structs.replace(options, port=port), tell)
            return
        url = address_of(listener)

        def introduce(store: SqlStore) -> None:
            _introduce(options, tell, store.uri, url)

        _serve_on(listener, options, introduce, (lambda: on_ready(url)) if on_ready else None)


def _why_one_process(options: Options) -> str | None:
    if not is_postgresql(options.store):
        return (
            "One process serves it: a SQLite database has one writer at a time, and several processes would wait for each "
            f"other. --workers {options.workers} needs --store postgresql://…"
        )
    return None if sys.platform == "linux" else "One process serves it: --workers works on Linux."


def _serve_with_workers(options: Options, tell: Tell) -> None:
    psycopg()  # here, for all
    with closing(bind(options.host, options.port, shared=True)) as reserved:  # keeps the port while nobody listens
        url = address_of(reserved)

        def work(ready: Callable[[], object], orphaned: Callable[[], bool]) -> None:
            with closing(bind(options.host, options.port, shared=True)) as listener:
                _serve_on(listener, options, lambda store: None, ready, orphaned)

        supervise(options.workers, work, tell, lambda: _introduce(options, tell, options.store or "", url))


def _introduce(options: Options, tell: Tell, uri: str, url: str) -> None:
    place = without_password(uri)
    if is_postgresql(uri):
        count = options.workers * connections_of_a_process()
        processes = f"{options.workers} processes" if options.workers > 1 else "1 process"
        place += f" ({processes}, {count} connections at most)"
    tell(f"Runlore {__version__} serves {place} at {url}")
    if options.insecure_no_auth and not is_loopback(options.host):
        tell(_WARNING.format(place=url))


def _serve_on(
    listener: socket.socket,
    options: Options,
    introduce: Callable[[SqlStore], object],
    on_ready: Callable[[], object] | None,
    orphaned: Callable[[], bool] = bool,
) -> None:
    store = open_store(options.store, options.artifacts)
    try:
        if isinstance(store, HttpStore) or not isinstance(store, SqlStore):
            raise InvalidState(f"{store.uri} is a server itself. hint: point clients at it, or give a directory or database.")
        running = BoundedServer(configuration(_application(store, options)), on_ready, lambda: store.must_restart or orphaned())
        _stop_on_signals(running)
        introduce(store)
        running.run(sockets=[listener])
        if store.must_restart:
            raise Unavailable(f"Stopped, because nothing more can be acknowledged. {store.failure}")
    finally:
        store.close()


def _application(store: SqlStore, options: Options) -> App:
    behind = options.trusted_proxies or options.prefix
    proxies = Proxies(options.trusted_proxies, options.prefix) if behind else None
    app = App(store, options.host, options.allowed_hosts, proxies=proxies)
    if options.access_log or options.metrics:
        app.observe(Observer(options.access_log, metrics=options.metrics))
    return app


def without_password(uri: str) -> str:
    """A URI as it may be shown."""
    parts = urlsplit(uri)
    if parts.password is None:
        return uri
    user, _, host = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{user.partition(':')[0]}:***@{host}").geturl()


_WARNING = (
    "WARNING: --insecure-no-auth: everybody who can reach {place} can read, change and delete everything in this store, "
    "without a password."
)


def _check_exposure(options: Options) -> None:
    if not is_loopback(options.host) and not options.insecure_no_auth:
        raise InvalidState(
            f"Refused to listen on {options.host}: others could reach it, and nothing asks who they are. Listen on 127.0.0.1 "
            "and let a reverse proxy or an SSH tunnel in front of it do so, or add --insecure-no-auth if everybody on that "
            "network may read, change and delete everything."
        )


def bind(host: str, port: int, shared: bool = False) -> socket.socket:
    """A listening socket, or one that may listen on a port beside others of this user (Linux).

    Raises `InvalidState` when the port is taken, with the number of one that is free.
    """
    host = "127.0.0.1" if host.lower() == "localhost" else host
    try:
        family, kind, _, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except OSError as error:
        raise InvalidState(f"{host!r} is no address of this machine: {error.strerror or error}.") from None
    listener = socket.socket(family, kind)
    try:
        if os.name != "nt":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(place)
        if not shared:
            listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise InvalidState(
                f"Port {port} of {host} is taken by another program. hint: --port {free_port(host, port)}"
            ) from None
        if error.errno == errno.EACCES:
            raise InvalidState(f"Port {port} is reserved for the system. hint: --port {max(port, 1_024) + 4_000}") from None
        raise InvalidState(f"Can not listen on {host}:{port}: {error.strerror}.") from None
    listener.setblocking(False)
    return listener


def free_port(host: str, taken: int) -> int:
    """A port near `taken` that is free now."""
    for port in [*range(taken + 1, min(taken + 50, 65_536)), 0]:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            try:
                probe.bind((host, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    return 0


def address_of(listener: socket.socket) -> str:
    """The URL that reaches a listening socket from this machine."""
    host, port = listener.getsockname()[:2]
    address = ipaddress.ip_address(host)
    if address.is_unspecified or address == ipaddress.ip_address("127.0.0.1"):
        return f"http://localhost:{port}" if not address.is_unspecified else f"http://127.0.0.1:{port}"
    return f"http://[{host}]:{port}" if address.version == 6 else f"http://{host}:{port}"


def configuration(app: App) -> uvicorn.Config:
    """How uvicorn runs the application."""
    return uvicorn.Config(
        app,
        http=BoundedProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )


def _stop_on_signals(running: BoundedServer) -> None:
    """Before uvicorn listens to them, these signals must not be lost; when it has stopped, it sends them again."""

    def stop(*_: object) -> None:
        running.should_exit = True

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)


def names_of(entries: Iterable[str]) -> tuple[str, ...]:
    """Host names from options that may each hold several, parted by commas."""
    return tuple(name.strip() for entry in entries for name in entry.split(",") if name.strip())
