"""Values of params and tags that are too long, from MLflow's clients: cut, as MLflow's server does.

Scripts that run with MLflow log texts of any length and rely on that; a refusal would end a training that
MLflow lets go on.
Everybody else is told: Runlore's own client cuts with a warning, or refuses, before it sends.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import msgspec

from runlore.api.experiments import SetExperimentTag
from runlore.api.operation import Operation
from runlore.api.runs import CreateRun, LogBatch, LogParam, SetTag

PARAM, TAG = 6_000, 8_000
"""Characters of a value, as in `api/operation.py`."""
_SINGLE: dict[type[Operation[Any]], int] = {LogParam: PARAM, SetTag: TAG, SetExperimentTag: TAG}
_LISTS = {"params": PARAM, "tags": TAG}

logger = logging.getLogger("runlore.server")


def shortened(kind: type[Operation[Any]], body: bytes, user_agent: bytes | None) -> bytes | None:
    """The body of a request with shorter values; None when there is nothing to cut, or the client is not one of MLflow's."""
    if not (user_agent or b"").startswith(b"mlflow-") or kind not in (*_SINGLE, LogBatch, CreateRun):
        return None
    try:
        values = msgspec.json.decode(body)
    except ValueError:  # msgspec's errors are ValueErrors, and numbers of a thousand digits are
        return None
    long = [(pair, limit) for pair, limit in _pairs(values, kind) if _is_long(pair, limit)]
    for pair, limit in long:
        logger.info(
            "%s: the value of %r is cut from %d characters to %d", kind.__name__, pair.get("key"), len(pair["value"]), limit
        )
        pair["value"] = pair["value"][:limit]
    return msgspec.json.encode(values) if long else None


def _pairs(values: Any, kind: type[Operation[Any]]) -> Iterator[tuple[Any, int]]:
    """What may be a key with its value, and the limit of the value. Nothing has been checked yet."""
    if kind in _SINGLE:
        yield values, _SINGLE[kind]
    elif isinstance(values, dict):
        for name, limit in _LISTS.items():
            listed = values.get(name)
            yield from ((pair, limit) for pair in listed) if isinstance(listed, list) else ()


def _is_long(pair: Any, limit: int) -> bool:
    return isinstance(pair, dict) and isinstance(pair.get("value"), str) and len(pair["value"]) > limit
