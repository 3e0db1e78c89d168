"""A server process, or several: bind, say what is served and where, serve, stop after the last answer."""

from __future__ import annotations

import logging
import os
import socket
import sys
from collections.abc import Callable
from contextlib import closing
from urllib.parse import urlsplit

import msgspec

from runlore.exceptions import InvalidState, Unavailable
from runlore.server.app import App
from runlore.server.outbound import networks_of
from runlore.store.base import is_postgresql, open_store
from runlore.store.http import HttpStore
from runlore.store.sql.postgresql import connections_of_a_process, psycopg
from runlore.store.sql.store import SqlStore
from runlore.version import __version__
from runlore.web.listening import address_of, bind, configuration, stop_on_signals
from runlore.web.observer import LogForm, Observer
from runlore.web.protocol import BoundedServer
from runlore.web.proxies import Proxies
from runlore.web.security import is_loopback
from runlore.web.workers import supervise

DEFAULT_PORT = 5000

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
    webhook_networks: tuple[str, ...] = ()
    """Addresses and networks that webhooks may reach although they are private, also by http."""


def serve(options: Options, tell: Tell, on_ready: Callable[[str], object] | None = None) -> None:
    """Serve a store until SIGINT or SIGTERM. `tell` shows a line to the user; `on_ready` gets the URL when it answers.

    Raises `InvalidState` when the address may not or can not be used, `Unavailable` when the disk failed and it had to stop: a
    supervisor that starts it again is right.
    """
    _check_exposure(options)
    Proxies(options.trusted_proxies, options.prefix)  # what is wrong with them is said before anything begins
    networks_of(options.webhook_networks)
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
        stop_on_signals(running)
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
    app.webhooks.allow(networks_of(options.webhook_networks))
    if options.access_log or options.metrics:
        app.observe(Observer(options.access_log), metrics=options.metrics)
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
