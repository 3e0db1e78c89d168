"""Who may do what. One question, asked with the parsed request by every endpoint that answers something of the store's.

In local mode the server listens on loopback and its one user may do everything that some route declares. Roles, tokens and
sessions become further `Access` classes; nothing else has to change for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from runlore.api.operation import Need
from runlore.web.http import Request

Target = str | Sequence[str] | None


class Access(Protocol):
    """Decides about one request."""

    def check(self, need: Need, target: Target, request: Request) -> None:
        """Return if the caller has the right `need` on the object that `target` names.

        `target` is the parsed value that the endpoint goes on to use: an id, several ids, a name, or None for the whole
        server. Raises `Unauthenticated`, `PermissionDenied`, or `NotFound` for an object that may not even be seen.
        """
        ...


class LocalAccess:
    """Everything is allowed to whoever reaches the socket."""

    def check(self, need: Need, target: Target, request: Request) -> None:
        """Allow."""
