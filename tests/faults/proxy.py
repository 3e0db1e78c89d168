"""A TCP proxy that loses answers: the server has done what it was asked for, and the client does not hear of it. It also counts
what clients send, and can be away for a while."""

from __future__ import annotations

import random
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress


class Proxy:
    """Passes bytes on to a port of this machine; `loss` is the share of answers that is cut off, whole or in the middle."""

    def __init__(self, port: int, loss: float) -> None:
        self._target, self._loss = port, loss
        self._chance = random.Random(port)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=100)
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self.cut = 0
        """Answers that were cut off so far."""
        self.sent = 0
        """Bytes that clients have sent so far."""
        self._away = False
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._start(self._accept)

    def _start(self, work: object, *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._start(self._connect, client)

    def _connect(self, client: socket.socket) -> None:
        with ExitStack() as stack, suppress(OSError):
            stack.enter_context(closing(client))
            if self._away:
                return
            server = stack.enter_context(socket.create_connection(("127.0.0.1", self._target)))
            self._open |= {client, server}
            requests = threading.Thread(target=self._pass, args=(client, server), daemon=True)
            requests.start()
            with suppress(OSError):
                while data := server.recv(1 << 16):
                    if self._chance.random() < self._loss:
                        self.cut += 1
                        client.sendall(data[: self._chance.choice((0, 0, len(data) // 2))])
                        break
                    client.sendall(data)
            for end in (client, server):
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
            requests.join()
            self._open -= {client, server}

    def _pass(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while data := client.recv(1 << 16):
                server.sendall(data)
                self.sent += len(data)
        with suppress(OSError):
            server.shutdown(socket.SHUT_WR)

    def cut_off(self, away: bool = True) -> None:
        """Break every connection, and take no other one until this is called again with False."""
        self._away = away
        for end in list(self._open):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close everything."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for end in list(self._open):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)


@contextmanager
def proxied(port: int, loss: float) -> Iterator[Proxy]:
    """A proxy before a port for the time of the block."""
    with closing(Proxy(port, loss)) as proxy:
        yield proxy
