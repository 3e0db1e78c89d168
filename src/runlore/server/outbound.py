"""The only way out: requests of the server to addresses that users name.

Whoever may name an address could have the server ask machines that only the server reaches. So a name is resolved once, every
address it stands for is looked at, the connection is made to that very address, and nothing that is answered is shown: no
redirect is followed, of the answer only the status is kept.
"""

from __future__ import annotations

import http.client
import ipaddress
import re
import socket
import ssl
import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

from runlore.exceptions import InvalidParameter

CONNECT_SECONDS = 3.0
ANSWER_SECONDS = 10.0
"""From the connection to the status of the answer, at most."""
_MOST_READ = 1_024
_MOST_ADDRESSES = 4  # that are tried, of one name

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_NAT64 = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("64:ff9b:1::/48"))
_INSIDE = tuple(map(ipaddress.ip_network, ("192.0.0.0/24", "168.63.129.16/32")))
"""Of clouds: machines ask these addresses about themselves, and not every Python calls the first ones private."""
_NUMERIC = re.compile(r"(?:.*\.)?(?:[0-9]+|0[xX][0-9a-fA-F]*)\.?")
"""What some resolvers take for an address: 127.1, 2130706433, 0x7f.1."""
_CLEAN = re.compile(r"[!-\[\]-~]+")  # printable ASCII without blanks and backslashes


class Refused(InvalidParameter):
    """The address may not be asked. Trying again is no use."""


class Unreachable(Exception):
    """No answer. `reason` is fit to be shown: it says nothing about what was found at the address."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class Answer(NamedTuple):
    """All that is kept of an answer."""

    status: int
    retry_after: int
    """Seconds for which the receiver asked to be left alone."""


class _Place(NamedTuple):
    secure: bool
    host: str
    port: int
    target: str
    authority: str


class Outbound:
    """Posts to public addresses by https; to addresses of `networks` also where they are private, and by http."""

    def __init__(self, networks: Iterable[Network] = ()) -> None:
        self._networks = tuple(networks)
        self._tls: ssl.SSLContext | None = None
        self._open: set[socket.socket] = set()

    def check(self, url: str) -> None:
        """Refuse a URL that could never be asked. Names are not resolved: what they stand for is looked at with each request.

        Raises `Refused`.
        """
        place = _place(url)
        if not place.secure and not self._networks:
            raise Refused(
                "Invalid webhook URL scheme: 'http'. Allowed schemes are: https. hint: whoever runs the server may allow http "
                "to networks of their own: runlore server --webhook-networks 10.0.0.0/8"
            )
        with suppress(ValueError):
            self._check_address(ipaddress.ip_address(place.host), place.secure)
        if place.host == "localhost" or place.host.endswith(".localhost"):
            self._check_address(ipaddress.ip_address("127.0.0.1"), place.secure)

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Send, and wait for the status. Raises `Refused`, `Unreachable`."""
        place = _place(url)
        connection = self._connect(place)
        over = threading.Timer(ANSWER_SECONDS, _cut, (connection,))
        over.daemon = True
        over.start()
        self._open.add(connection)
        try:
            return self._exchange(connection, place, headers, body)
        except TimeoutError:
            raise Unreachable(f"No answer within {ANSWER_SECONDS:.0f} s.") from None
        except ssl.SSLCertVerificationError as error:
            raise Unreachable(f"The certificate of {place.host} is not valid: {error.verify_message}.") from None
        except (OSError, http.client.HTTPException, ValueError):
            raise Unreachable("The connection ended without an answer in HTTP.") from None
        finally:
            over.cancel()
            self._open.discard(connection)
            connection.close()

    def cut(self) -> None:
        """End what is under way: the server stops."""
        for connection in list(self._open):
            _cut(connection)

    def _exchange(self, connection: socket.socket, place: _Place, headers: Mapping[str, str], body: bytes) -> Answer:
        asking = http.client.HTTPConnection(place.host, place.port)
        asking.sock = self._secured(connection, place.host) if place.secure else connection
        try:
            asking.request("POST", place.target, body, {"Host": place.authority, **headers})
            answer = asking.getresponse()
            answer.read(_MOST_READ)
            after = answer.headers.get("Retry-After", "")
            return Answer(answer.status, int(after) if after.isascii() and after.isdigit() and len(after) < 6 else 0)
        finally:
            asking.close()

    def _secured(self, connection: socket.socket, host: str) -> ssl.SSLSocket:
        if self._tls is None:
            self._tls = ssl.create_default_context()
        return self._tls.wrap_socket(connection, server_hostname=host)

    def _connect(self, place: _Place) -> socket.socket:
        failure = "refused"
        for address in self._addresses(place)[:_MOST_ADDRESSES]:
            try:
                connection = socket.create_connection((str(address), place.port), CONNECT_SECONDS)
            except TimeoutError:
                failure = f"not made within {CONNECT_SECONDS:.0f} s"
                continue
            except OSError:
                continue
            if _unwrapped(ipaddress.ip_address(connection.getpeername()[0].partition("%")[0])) != _unwrapped(address):
                connection.close()
                raise Refused("The connection led to another address than the one that was looked at.")
            connection.settimeout(ANSWER_SECONDS)
            return connection
        raise Unreachable(f"The connection was {failure}.")

    def _addresses(self, place: _Place) -> list[Address]:
        """What the host stands for, every one of them allowed."""
        try:
            found = socket.getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            raise Unreachable(f"The name {place.host} can not be resolved.") from None
        addresses = list(dict.fromkeys(ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found))
        for address in addresses:
            self._check_address(address, place.secure)
        return addresses

    def _check_address(self, address: Address, secure: bool) -> None:
        address = _unwrapped(address)
        if any(address in network for network in self._networks):
            return
        if not _is_public(address):
            raise Refused(
                f"{address} is no public address. hint: whoever runs the server may allow networks of their own: "
                "runlore server --webhook-networks 10.0.0.0/8"
            )
        if not secure:
            raise Refused(f"{address} may only be asked by https.")


def _place(url: str) -> _Place:
    """Where a URL leads, if there is only one way to read it. Raises `Refused`."""
    if not _CLEAN.fullmatch(url):
        raise Refused("Invalid webhook URL: it may hold printable ASCII characters only, no blanks and no backslashes.")
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError as error:
        raise Refused(f"Invalid webhook URL: {error}.") from None
    if parts.scheme not in ("https", "http"):
        raise Refused(f"Invalid webhook URL scheme: {parts.scheme!r}. Allowed schemes are: https.")
    if "@" in parts.netloc:
        raise Refused("Invalid webhook URL: it must not hold a user name or password.")
    if not host or port == 0:
        raise Refused("Invalid webhook URL: it names no host, or no port.")
    _check_host(host, bracketed="[" in parts.netloc)
    secure = parts.scheme == "https"
    return _Place(secure, host, port or (443 if secure else 80), _target(parts), parts.netloc)


def _target(parts: SplitResult) -> str:
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _check_host(host: str, bracketed: bool) -> None:
    """Raises `Refused` for what one resolver takes for an address and another one for a name."""
    try:
        clear = bracketed == (ipaddress.ip_address(host).version == 6)
    except ValueError:
        clear = not bracketed and not _NUMERIC.fullmatch(host)
    if not clear or "%" in host:
        raise Refused(f"Invalid webhook URL: {host[:100]!r} is no name, and no address in its usual form.")


def _unwrapped(address: Address) -> Address:
    """The IPv4 address that an IPv6 address stands for, where it does."""
    if isinstance(address, ipaddress.IPv6Address):
        inside = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
        if inside is None and any(address in network for network in _NAT64):
            inside = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
        return inside or address
    return address


def _is_public(address: Address) -> bool:
    special = any(address in network for network in _INSIDE)
    special = (
        special
        or address.is_multicast
        or address.is_reserved
        or address.is_loopback
        or getattr(address, "is_site_local", False)
    )
    return address.is_global and not special and not address.is_unspecified and not address.is_link_local


def _cut(connection: socket.socket) -> None:
    """The time is over, whatever trickles in."""
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def networks_of(texts: Iterable[str]) -> tuple[Network, ...]:
    """Networks from options: addresses and networks, parted by commas. Raises `InvalidParameter`."""
    found = []
    for text in (part.strip() for entry in texts for part in entry.split(",")):
        if text:
            try:
                found.append(ipaddress.ip_network(text))
            except ValueError:
                raise InvalidParameter(f"{text!r} is no address and no network. Example: 10.1.0.0/16") from None
    return tuple(found)
