"""Sockets and processes of a server: bind, say what went wrong, run, stop on a signal."""

from __future__ import annotations

import errno
import ipaddress
import signal
import socket
import sys
from collections.abc import Iterable

import uvicorn

from runlore.exceptions import InvalidState
from runlore.web.http import Application
from runlore.web.protocol import BoundedProtocol, BoundedServer

GRACE_SECONDS = 10
KEEP_ALIVE_SECONDS = 75
BACKLOG = 1_024


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
        if sys.platform != "win32":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared and sys.platform != "win32":
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


def configuration(app: Application, grace: float = GRACE_SECONDS) -> uvicorn.Config:
    """How uvicorn runs the application. `grace` is how many seconds requests may go on after a signal to stop."""
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
        timeout_graceful_shutdown=round(grace),
    )


def stop_on_signals(running: BoundedServer) -> None:
    """Before uvicorn listens to them, these signals must not be lost; when it has stopped, it sends them again."""

    def stop(*_: object) -> None:
        running.should_exit = True

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)


def names_of(entries: Iterable[str]) -> tuple[str, ...]:
    """Host names from options that may each hold several, parted by commas."""
    return tuple(name.strip() for entry in entries for name in entry.split(",") if name.strip())
