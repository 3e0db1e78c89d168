"""Which function answers which operation on a SQL store.

`@handles(LogMetric)` on `log_metric` is the whole wiring: operation `LogMetric` is answered by the function `log_metric` and
by nothing else (checked here, at import). A handler gets a `Transaction` and the operation, returns the reply or raises a
`RunloreError`; it never commits. It must be safe to run again from the start: a transaction that lost a race is retried.

A `@chore` is work off the request path, such as folding metric tails. It gets a transaction of its own on the writer's
connection when no operation waits (and now and then under steady load), must keep it short (aim: 20 ms), and returns True
while more is left to do.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

from runlore.api.operation import Operation
from runlore.store.sql.database import Transaction
from runlore.store.sql.replay import once

Reply = TypeVar("Reply")
Handler = Callable[[Transaction, Any], Any]
Chore = Callable[[Transaction], bool]

SHORT: set[type[Operation[Any]]] = set()
"""Operations that are done in about a millisecond, whatever they hold and whatever is stored: they may be carried out where
they came in (`ingest.py`)."""
HANDLERS: dict[type[Operation[Any]], Handler] = {}
CHORES: list[Chore] = []


def handler_name(kind: type[Operation[Any]]) -> str:
    """The name of the function that answers an operation: `LogMetric` -> `log_metric`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).lower()


def handles(
    kind: type[Operation[Reply]], *, short: bool = False
) -> Callable[[Callable[[Transaction, Any], Reply]], Callable[[Transaction, Any], Reply]]:
    """Register a function as the handler of an operation. Raises `TypeError` on another name or a second handler."""

    def register(function: Callable[[Transaction, Any], Reply]) -> Callable[[Transaction, Any], Reply]:
        if function.__name__ != handler_name(kind):
            raise TypeError(f"{kind.__name__} is handled by {handler_name(kind)!r}, not by {function.__name__!r}.")
        if kind in HANDLERS:
            raise TypeError(f"{kind.__name__} has two handlers: {HANDLERS[kind].__module__} and {function.__module__}.")
        HANDLERS[kind] = once(function) if "idempotency_key" in kind.__struct_fields__ else function
        if short:
            SHORT.add(kind)
        return function

    return register


def chore(function: Chore) -> Chore:
    """Register work that the writer does when nobody waits."""
    CHORES.append(function)
    return function
