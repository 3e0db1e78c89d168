"""The one wrapper that every request passes before anything looks at its path.

Loopback is not a trust boundary: any page in the user's browser can send requests to it. What browsers can not forge is the
`Host` that they think they talk to, and `Sec-Fetch-Site` and `Origin`; these are checked here, for every route, from the
parsed headers alone. Nothing here or behind it reads a URL that was put together from `Host`.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable

from runlore.exceptions import BadRequest, InvalidParameter, PermissionDenied, RunloreError
from runlore.web.http import (
    WHOLE,
    WRITE_WHOLE,
    Application,
    Headers,
    Message,
    Receive,
    Refused,
    Scope,
    Send,
    error_reply,
    send_whole,
)
from runlore.web.proxies import Proxies

MAX_HEADER_BYTES = 16 * 2**10
MAX_URL_BYTES = 8 * 2**10

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_NAME = r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?"
_HOST = re.compile(rf"(?P<name>{_NAME}|\[[0-9A-Fa-f:.]{{2,45}}\])(?::(?P<port>[0-9]{{1,5}}))?")
_ORIGIN = re.compile(r"https?://(?P<place>[^/?#@\\]{1,300})")

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; "
    "connect-src 'self'; media-src 'self' blob:; frame-src 'self' blob:; worker-src 'self'; manifest-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""For pages and all else. A reply that brings a policy of its own (an artifact) keeps that."""

_POLICY = (b"content-security-policy", CONTENT_SECURITY_POLICY.encode())
_ALWAYS: Headers = [
    (b"x-content-type-options", b"nosniff"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"referrer-policy", b"same-origin"),
]


class Security:
    """Refuses requests that did not come from where they should, and adds the headers that keep browsers careful.

    `host` is the address that the server is bound to, `allowed_hosts` are further names, addresses or networks
    (`10.0.0.0/8`) under which it is reached.
    """

    def __init__(
        self,
        application: Application,
        host: str = "127.0.0.1",
        allowed_hosts: Iterable[str] = (),
        proxies: Proxies | None = None,
    ) -> None:
        self._application = application
        self._hosts = HostList((host, *allowed_hosts))
        self._proxies = proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a good request on; answer a bad one."""
        if scope["type"] != "http":
            return

        async def send_with_headers(message: Message) -> None:
            kind = message["type"]
            if kind == WHOLE:
                await send_whole(message["status"], _careful(message["headers"]), message["body"], scope.get(WRITE_WHOLE), send)
                return
            if kind == "http.response.start":
                message["headers"] = _careful(message["headers"])
            await send(message)

        try:
            self.check(scope)
        except RunloreError as error:
            await error_reply(error).send(send_with_headers, without_body=scope["method"] == "HEAD")
            return
        await self._application(scope, receive, send_with_headers)

    def check(self, scope: Scope) -> None:
        """Raise `Refused` unless URL and headers are within their limits, Host is ours, and the sender is not another site."""
        if len(scope["raw_path"]) + len(scope["query_string"]) > MAX_URL_BYTES:
            raise Refused(414, BadRequest.error_code, f"The URL is longer than {MAX_URL_BYTES:,} bytes.")
        size = 0
        hosts: list[bytes] = []
        origin = site = None
        for name, value in scope["headers"]:
            size += len(name) + len(value) + 4
            if name == b"host":
                hosts.append(value)
            elif name == b"origin":
                origin = value
            elif name == b"sec-fetch-site":
                site = value
        if size > MAX_HEADER_BYTES:
            raise Refused(431, BadRequest.error_code, f"The headers are longer than {MAX_HEADER_BYTES:,} bytes.")
        self._check_host(hosts, scope)
        if self._proxies:
            self._proxies.adopt(scope)
            hosts = [value for name, value in scope["headers"] if name == b"host"]
            self._check_host(hosts, scope)
        if scope["method"] not in _SAFE:
            _check_sender(hosts[0], origin, site)

    def _check_host(self, hosts: list[bytes], scope: Scope) -> None:
        if len(hosts) != 1:
            raise Refused(400, BadRequest.error_code, "Expected exactly one Host header.")
        host = hosts[0].decode("latin-1")
        server = scope.get("server")
        if not self._hosts.allows(host, server[0] if server else None):
            raise Refused(
                403,
                PermissionDenied.error_code,
                f"This server does not answer to the host name {host[:200]!r}. If that is its right name, start it with "
                "--allowed-hosts and that name.",
            )


def _careful(headers: Headers) -> Headers:
    own = any(name == b"content-security-policy" for name, _ in headers)
    return [*headers, *_ALWAYS] if own else [*headers, *_ALWAYS, _POLICY]


def _check_sender(host: bytes, origin: bytes | None, site: bytes | None) -> None:
    """The rule of Fetch metadata: state is changed by the server's own pages, and by programs, which send neither header."""
    if site is not None:
        if site in (b"same-origin", b"none"):
            return
        raise _cross_site(f"Sec-Fetch-Site is {site[:50].decode('latin-1')!r}")
    if origin is None:
        return
    found = _ORIGIN.fullmatch(origin.decode("latin-1"))
    if not found or found["place"].lower() != host.decode("latin-1").lower():
        raise _cross_site(f"Origin is {origin[:200].decode('latin-1')!r}")


def _cross_site(reason: str) -> Refused:
    return Refused(403, PermissionDenied.error_code, f"Refused a request from another site: {reason}, not this server.")


class HostList:
    """The names and addresses under which this server may be asked. Addresses are compared as numbers, never as text."""

    def __init__(self, entries: Iterable[str]) -> None:
        self._names = {"localhost"}
        self._networks: list[_Network] = [ipaddress.ip_network("127.0.0.1"), ipaddress.ip_network("::1")]
        self._known: dict[tuple[str, str | None], bool] = {}
        for entry in entries:
            self._add(entry.strip())

    def _add(self, entry: str) -> None:
        bare = entry.removeprefix("[").removesuffix("]")
        try:
            network = ipaddress.ip_network(bare, strict=False)
        except ValueError:
            found = _HOST.fullmatch(entry)
            if not found or found["port"]:
                raise InvalidParameter(
                    f"Invalid host {entry!r}: expected a name without port, an address, or a network such as 10.0.0.0/8."
                ) from None
            self._names.add(entry.lower())
            return
        if not network.network_address.is_unspecified or "/" in bare:
            self._networks.append(network)

    def allows(self, host: str, reached_at: str | None) -> bool:
        """True for a `Host` value that is ours. `reached_at`, the address on which the connection came in, always is."""
        key = (host, reached_at)
        if (known := self._known.get(key)) is None:
            known = self._decide(host, reached_at)
            if len(self._known) < 1_000:
                self._known[key] = known
        return known

    def _decide(self, host: str, reached_at: str | None) -> bool:
        found = _HOST.fullmatch(host)
        if not found or int(found["port"] or 0) > 65_535:
            return False
        address = _address(found["name"])
        if address is None:
            return found["name"].lower() in self._names
        if reached_at is not None and address == _address(reached_at):
            return True
        return any(address in network for network in self._networks)


def _address(text: str) -> _Address | None:
    try:
        return ipaddress.ip_address(text.removeprefix("[").removesuffix("]"))
    except ValueError:
        return None


def is_loopback(host: str) -> bool:
    """True for an address, or the name, that only this machine can reach."""
    address = _address(host)
    return address.is_loopback if address else host.lower() == "localhost"
