"""What a training is given: tables and arrays, described and sampled."""

from __future__ import annotations

import weakref
from typing import Any

from runlore.data import Dataset, from_numpy, from_pandas

SAMPLE = 5
"""Rows from which signature and input example are taken."""


class Origins:
    """What the data of a library was made of: its first rows, and all of it as long as somebody else keeps it alive."""

    def __init__(self) -> None:
        self._known: weakref.WeakKeyDictionary[Any, tuple[Any, Any]] = weakref.WeakKeyDictionary()

    def remember(self, data: Any, origin: Any) -> None:
        """Data in the library's form came from `origin`, a table or an array."""
        if (sample := sample_of(origin)) is not None:
            self._known[data] = (weakref.ref(origin), sample)

    def of(self, data: Any) -> Any:
        """The table or array that data was made of; None when it is gone or was something else."""
        known = self._known.get(data)
        return None if known is None else known[0]()

    def sample(self, data: Any) -> Any:
        """Its first rows."""
        known = self._known.get(data)
        return None if known is None else known[1]


def is_frame(value: Any) -> bool:
    """True for pandas frames."""
    return hasattr(value, "iloc") and hasattr(value, "dtypes") and getattr(value, "ndim", 0) == 2


def is_array(value: Any) -> bool:
    """True for numpy arrays."""
    return hasattr(value, "__array_interface__")


def sample_of(data: Any) -> Any:
    """The first rows of a table or an array, as a copy; None of anything else."""
    return data[:SAMPLE].copy() if is_frame(data) or is_array(data) else None


def described(data: Any, targets: Any, name: str) -> Dataset | None:
    """A table or an array as a dataset; None of anything else."""
    if is_frame(data):
        return from_pandas(data, name=name)
    if is_array(data):
        return from_numpy(data, targets=targets if is_array(targets) else None, name=name)
    return None
