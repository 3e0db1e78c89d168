"""What an alert waits for, as text: a state of a run, or a bound of a metric in the words of the filter language."""

from __future__ import annotations

import math
import re
from typing import Literal

import msgspec

from runlore.exceptions import InvalidParameter
from runlore.query.ast import Comparison, Expression
from runlore.query.fields import RUN_TABLE
from runlore.query.parser import parse_column, parse_filter

RunWord = Literal["finished", "failed", "killed", "lost"]
RUN_EVENTS: dict[str, RunWord] = {
    "run.finished": "finished",
    "run.failed": "failed",
    "run.killed": "killed",
    "run.lost": "lost",
}
_NAN = re.compile(r"(?P<column>.+?)\s+is\s+nan", re.IGNORECASE | re.DOTALL)
_BOUNDS = ("<", "<=", ">", ">=")
_HINT = f"hint: {', '.join(RUN_EVENTS)}, 'metrics.loss > 10' (with <, <=, >, >=) or 'metrics.loss is nan'"


class Bound(msgspec.Struct, frozen=True):
    """A metric goes beyond a value, or (without operator) stops being a finite number."""

    key: str
    operator: Literal["<", "<=", ">", ">="] | None = None
    value: float = math.nan

    def is_beyond(self, least: float | None, greatest: float | None, non_finite: bool) -> bool:
        """Whether values between these, some of which may not be finite, go beyond the bound."""
        match self.operator:
            case None:
                return non_finite
            case "<":
                return least is not None and least < self.value
            case "<=":
                return least is not None and least <= self.value
            case ">":
                return greatest is not None and greatest > self.value
            case ">=":
                return greatest is not None and greatest >= self.value


def read_alert_event(text: str) -> RunWord | Bound:
    """What a text means. Raises `InvalidParameter` for one that means nothing."""
    text = text.strip()
    if word := RUN_EVENTS.get(text.lower()):
        return word
    found = _NAN.fullmatch(text)
    try:
        if found:
            field = parse_column(found["column"])
            if field.kind == "metric" and field.aggregate == "last":
                return Bound(field.key)
        else:
            return _bound(parse_filter(text, RUN_TABLE), text)
    except InvalidParameter as error:
        raise InvalidParameter(f"{text!r} is no event of an alert. {_HINT} ({error.message})") from None
    raise InvalidParameter(f"{text!r} is no event of an alert. {_HINT}")


def _bound(tree: Expression, text: str) -> Bound:
    if (
        isinstance(tree, Comparison)
        and (tree.field.kind, tree.field.aggregate) == ("metric", "last")
        and tree.operator in _BOUNDS
        and isinstance(tree.value, int | float)
    ):
        return Bound(tree.field.key, tree.operator, float(tree.value))  # type: ignore[arg-type]  # one of the four
    raise InvalidParameter("It must compare a metric with a number.")
