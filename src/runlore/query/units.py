"""Dates, ages, spans of time and sizes as people write them, as numbers: Unix milliseconds, milliseconds, bytes."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

DAY = 86_400_000
"""Milliseconds."""
_SPANS = {"ms": 1, "s": 1_000, "m": 60_000, "min": 60_000, "h": 3_600_000, "d": DAY, "w": 7 * DAY}
_SIZES = {"b": 1} | {
    prefix.lower() + suffix: base**power
    for power, prefix in enumerate("KMGTP", 1)
    for suffix, base in (("b", 1_000), ("ib", 1_024))
}
SPAN_UNITS, SIZE_UNITS = ", ".join(_SPANS), "B, kB, MB, GB, TB, PB, KiB, MiB, GiB, TiB, PiB"

_SPAN = re.compile(r"([-+]?)((?:\d++(?:\.\d++)?[A-Za-z]++)++)", re.ASCII)
_PART = re.compile(r"(\d++(?:\.\d++)?)([A-Za-z]++)", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d(?:[T ].{1,20})?", re.ASCII)
_LONGEST = 2**53
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def milliseconds(text: str) -> int | None:
    """`2h`, `1h30m` or `-7d` in milliseconds; None when it is not a span of time."""
    return _measure(text, _SPANS)


def size(text: str) -> float | None:
    """`10GB` or `1.5MiB` in bytes; None when it is not a size."""
    found = _measure(text, _SIZES)
    return None if found is None else float(found)


def _measure(text: str, units: dict[str, int]) -> int | None:
    match = _SPAN.fullmatch(text)
    if match is None:
        return None
    total = 0.0
    for number, unit in _PART.findall(match[2]):
        if unit.lower() not in units:
            return None
        total += float(number) * units[unit.lower()]
    if total > _LONGEST:
        return None
    return -round(total) if match[1] == "-" else round(total)


def moment(text: str, now: int) -> int | None:
    """A date (`2026-01-31`), a date and time (UTC unless it says otherwise), `now`, or an age such as `-7d`, in Unix
    milliseconds; None when it is none of these."""
    if text.lower() == "now":
        return now
    if _DATE.fullmatch(text):
        try:
            found = datetime.fromisoformat(text)
        except ValueError:
            return None
        found = found if found.tzinfo else found.replace(tzinfo=UTC)
        return (found - _EPOCH) // timedelta(milliseconds=1)
    age = milliseconds(text) if text[:1] in "+-" else None
    return None if age is None else now + age


def is_day(text: str) -> bool:
    """True of a date without a time."""
    return len(text) == 10 and _DATE.fullmatch(text) is not None
