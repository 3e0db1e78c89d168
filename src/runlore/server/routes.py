"""The table of everything that is served. Adding an endpoint without the right that it needs is an error at start.

A path that has no placeholder is found by one look-up in a dictionary; the few others are grouped by the text before their
first placeholder.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import NamedTuple

from runlore.api.operation import Need
from runlore.exceptions import EndpointNotFound
from runlore.web.http import Refused, Reply, Request

Handler = Callable[[Request], Awaitable[Reply]]

_WHOLE_TAIL = frozenset({"{path}", "{directory}", "{tag_key}"})
"""Placeholders that may hold slashes. They stand last."""


class Endpoint(NamedTuple):
    """One method on one path: who may call it, and what answers."""

    name: str
    method: str
    path: str
    needs: Need
    handle: Handler


class _Pattern:
    """What follows the fixed beginning of a path with placeholders."""

    def __init__(self, tail: str) -> None:
        self.parts = tail.split("/")
        self.whole_tail = self.parts[-1] in _WHOLE_TAIL
        self.methods: dict[str, Endpoint] = {}

    def match(self, tail: str) -> dict[str, str] | None:
        """The values of the placeholders, or None when the path is another one. Values are never empty."""
        found = tail.split("/", len(self.parts) - 1) if self.whole_tail else tail.split("/")
        if len(found) != len(self.parts):
            return None
        values = {}
        for part, text in zip(self.parts, found, strict=True):
            if part[0] == "{" and text:
                values[part[1:-1]] = text
            elif part != text:
                return None
        return values


class Routes:
    """Endpoints by path and method."""

    def __init__(self) -> None:
        self._fixed: dict[str, dict[str, Endpoint]] = {}
        self._patterns: dict[str, list[_Pattern]] = {}
        self.otherwise: Endpoint | None = None
        """What answers its method on every path that nothing else is served on."""

    def __iter__(self) -> Iterator[Endpoint]:
        """Every endpoint: the census of what is served."""
        for methods in self._fixed.values():
            yield from methods.values()
        for patterns in self._patterns.values():
            for pattern in patterns:
                yield from pattern.methods.values()
        if self.otherwise:
            yield self.otherwise

    def add(self, endpoint: Endpoint) -> None:
        """Serve an endpoint. Raises `TypeError` when it says no right, or when its method and path are taken."""
        if not isinstance(endpoint.needs, Need):
            raise TypeError(f"{endpoint.name} does not say which right it needs.")
        methods = self._methods(endpoint.path)
        if endpoint.method in methods:
            raise TypeError(f"{endpoint.method} {endpoint.path} is both {methods[endpoint.method].name} and {endpoint.name}.")
        methods[endpoint.method] = endpoint

    def _methods(self, path: str) -> dict[str, Endpoint]:
        head, brace, tail = path.partition("{")
        if not brace:
            return self._fixed.setdefault(path, {})
        patterns = self._patterns.setdefault(head, [])
        wanted = _Pattern(brace + tail)
        for pattern in patterns:
            if pattern.parts == wanted.parts:
                return pattern.methods
        patterns.append(wanted)
        return wanted.methods

    def find(self, method: str, path: str) -> tuple[Endpoint, dict[str, str]]:
        """The endpoint for a request and the values in its path.

        Raises `EndpointNotFound`, with status 405 when only the method is wrong; MLflow's clients read both as "try the next
        spelling".
        """
        if methods := self._fixed.get(path):
            if endpoint := methods.get(method):
                return endpoint, {}
            raise _wrong_method(method, path, methods)
        for head, patterns in self._patterns.items():
            if not path.startswith(head):
                continue
            tail = path[len(head) :]
            for pattern in patterns:
                if (values := pattern.match(tail)) is not None:
                    if endpoint := pattern.methods.get(method):
                        return endpoint, values
                    raise _wrong_method(method, path, pattern.methods)
        if self.otherwise and method == self.otherwise.method:
            return self.otherwise, {}
        raise nothing_at(method, path)


def nothing_at(method: str, path: str) -> EndpointNotFound:
    """The error for a path where nothing is served."""
    return EndpointNotFound(f"There is nothing at {method} {path[:200]}. The API is described at /api/docs.")


def _wrong_method(method: str, path: str, methods: dict[str, Endpoint]) -> Refused:
    allowed = ", ".join(sorted(methods))
    return Refused(405, EndpointNotFound.error_code, f"{path[:200]} does not answer {method}; it answers {allowed}.")
