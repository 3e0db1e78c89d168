"""What a reverse proxy says about a request: believed when the proxy is one of those that the administrator named.

A header of this kind that comes from anybody else counts for nothing. The `Host` with which the proxy reaches this server must
be one of the server's own in any case (`security.py`), and so must the one that the proxy says the browser used: a page that
rebinds a name to this machine gains nothing by pretending to be a proxy on it.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable

from runlore.exceptions import InvalidParameter
from runlore.web.http import Headers, Scope

PREFIX = re.compile(r"(?:/(?!\.{1,2}(?:/|\Z))[A-Za-z0-9._~-]{1,100}){1,10}")
"""The path under which a proxy serves this server."""

_FORWARDED = (b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"x-forwarded-prefix")
_KEY = "runlore.prefix"


def checked_prefix(text: str) -> str:
    """A prefix as it was configured, without a slash at its end. Raises `InvalidParameter`."""
    prefix = text.rstrip("/")
    if prefix and not PREFIX.fullmatch(prefix):
        raise InvalidParameter(f"{text!r} is no path prefix: write one such as /runlore.")
    return prefix


def prefix_of(scope: Scope) -> str:
    """The path before every address of this server, as the client sees it; "" when there is none."""
    found: str = scope.get(_KEY, "")
    return found


class Proxies:
    """The proxies that are believed, and the prefix that they, or all, use."""

    def __init__(self, trusted: Iterable[str] = (), prefix: str = "") -> None:
        """`trusted` are addresses, networks (`10.0.0.0/8`), or `unix` for a proxy on a socket file."""
        self._prefix = checked_prefix(prefix)
        self._unix = False
        self._networks = []
        for entry in trusted:
            if entry == "unix":
                self._unix = True
                continue
            try:
                self._networks.append(ipaddress.ip_network(entry, strict=False))
            except ValueError:
                raise InvalidParameter(f"{entry!r} is no proxy: give an address or a network such as 10.0.0.0/8.") from None

    def adopt(self, scope: Scope) -> None:
        """Change a request into the one that the client sent to the proxy."""
        if self._prefix:
            scope[_KEY] = self._prefix
            path: str = scope["path"]
            if path == self._prefix or path.startswith(self._prefix + "/"):  # a proxy that hands the path on as it is
                scope["path"] = path[len(self._prefix) :] or "/"
        if (self._networks or self._unix) and self._trusts(scope.get("client")):
            self._believe(scope)

    def _trusts(self, client: tuple[str, int] | None) -> bool:
        if not client or not client[0]:
            return self._unix
        try:
            address = ipaddress.ip_address(client[0])
        except ValueError:
            return False
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
            address = address.ipv4_mapped
        return any(address in network for network in self._networks)

    def _believe(self, scope: Scope) -> None:
        headers: Headers = scope["headers"]
        said = {name: value.decode("latin-1") for name, value in headers if name in _FORWARDED}
        scheme = _last(said.get(b"x-forwarded-proto", "")).lower()
        if scheme in ("http", "https"):
            scope["scheme"] = scheme
        if host := _last(said.get(b"x-forwarded-host", "")):
            scope["headers"] = [(name, host.encode("latin-1") if name == b"host" else value) for name, value in headers]
        prefix = _last(said.get(b"x-forwarded-prefix", "")).rstrip("/")
        if PREFIX.fullmatch(prefix):
            scope[_KEY] = prefix
        for client in reversed([part.strip() for part in said.get(b"x-forwarded-for", "").split(",")]):
            if not _is_address(client):
                break
            scope["client"] = (client, 0)
            if not self._trusts(scope["client"]):
                break


def _last(value: str) -> str:
    """What the nearest proxy said: earlier values came from further away."""
    return value.rpartition(",")[2].strip()


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
