"""The short way of a run's points into the journal.

What a training loop logs is nearly always what it logged before: the same names, floats, the next step. Such a call needs no
other check and few steps of the interpreter; everything else goes the long way (`Spool.log_points`, `Spool.accept`).
"""

from __future__ import annotations

from collections.abc import Callable
from time import time

from runlore.api.runs import ParamEntry
from runlore.exceptions import InvalidParameter
from runlore.spool.records import POINTS, encode

POINTS_A_RECORD = 1_000
LEAST, GREATEST = -(2**63), 2**63 - 1
_FLOATS = {float}


class Line:
    """What this process knows of a run that it logs to. Safe to use from many threads."""

    __slots__ = ("_append", "_run_id", "names", "params")

    def __init__(self, run_id: str, append: Callable[[int, bytes, str, int], int], params: dict[str, str] | None) -> None:
        self._run_id, self._append = run_id, append
        self.params = params
        """The params of the run; None: not known."""
        self.names: set[str] = set()
        """Names of metrics that take the short way. Whoever has a reason to look at the run again empties it."""

    def point(self, key: str, value: float, step: int | None) -> bool:
        """Accept one point with the present time. False: it has to go the long way."""
        if key not in self.names or type(value) is not float:
            return False
        if type(step) is int:
            if not LEAST <= step <= GREATEST:
                return False
        elif step is not None:
            return False
        self._append(POINTS, encode((self._run_id, int(time() * 1000), step, {key: value})), self._run_id, 1)
        return True

    def points(self, values: dict[str, float], step: int | None) -> bool:
        """Accept one point of each of several metrics, as `point` does."""
        if type(values) is not dict or not self.names.issuperset(values) or set(map(type, values.values())) != _FLOATS:
            return False
        if type(step) is int:
            if not LEAST <= step <= GREATEST:
                return False
        elif step is not None:
            return False
        if len(values) > POINTS_A_RECORD:
            return False
        record = encode((self._run_id, int(time() * 1000), step, values))
        self._append(POINTS, record, self._run_id, len(values))
        return True


def refuse_other_values(run_id: str, params: list[ParamEntry], known: dict[str, str]) -> None:
    """Raise what the store would say to a param that has another value already, and to one given twice; note the rest."""
    keys = [param.key for param in params]
    if len(set(keys)) < len(keys):
        twice = sorted({key for key in keys if keys.count(key) > 1})
        raise InvalidParameter(f"Duplicate parameter keys have been submitted: {twice}. Give one value for each key.")
    for param in params:
        if known.get(param.key, param.text) != param.text:
            raise InvalidParameter(
                f"Changing param values is not allowed. Param with key='{param.key}' was already logged with "
                f"value='{known[param.key]}' for run ID='{run_id}'. Attempted logging new value '{param.value}'."
            )
    known.update((param.key, param.text) for param in params)
