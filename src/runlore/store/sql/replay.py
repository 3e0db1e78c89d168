"""Creations that are sent again: the same key gets the same answer, and nothing is made twice.

The answer is kept in the transaction that makes the thing. An error is no answer: what was refused may be tried again.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from typing import Any

import msgspec

from runlore.api.operation import Operation
from runlore.exceptions import InvalidParameter
from runlore.store.sql.database import Transaction

KEPT_MILLIS = 24 * 3_600_000
"""How long an answer is kept: longer than any client repeats a request."""
_FORGOTTEN = 100  # old answers that one creation clears away, at most


def once(handler: Callable[[Transaction, Any], Any]) -> Callable[[Transaction, Any], Any]:
    """The handler of a creation, which answers one key once."""

    def answer(db: Transaction, operation: Operation[Any]) -> Any:
        key: str | None = operation.idempotency_key  # type: ignore[attr-defined]  # whoever wraps a handler looked
        if key is None:
            return handler(db, operation)
        kind = type(operation)
        name = f"{kind.__name__} {key}"
        request = blake2b(msgspec.msgpack.encode(operation), digest_size=16).hexdigest()
        row = db.one("SELECT request, reply FROM replay WHERE key = ?", (name,))
        if row is None:
            reply = handler(db, operation)
            values = (name, request, msgspec.msgpack.encode(reply), db.now)
            db.execute("INSERT INTO replay (key, request, reply, time) VALUES (?, ?, ?, ?)", values)
            _forget(db)
            return reply
        if row[0] != request:
            raise InvalidParameter(f"The idempotency key {key!r} was used for another request. Make a new one for each.")
        return msgspec.msgpack.decode(row[1], type=kind.reply_type())

    return answer


def _forget(db: Transaction) -> None:
    db.execute(
        f"DELETE FROM replay WHERE key IN (SELECT key FROM replay WHERE time < ? ORDER BY time LIMIT {_FORGOTTEN})",
        (db.now - KEPT_MILLIS,),
    )
