"""The runs that match a filter and what they have in some columns, as arrays: what histograms and groups are made of."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from runlore.exceptions import InvalidParameter
from runlore.query import RUN_TABLE, Field, parse_filter
from runlore.store.sql.conditions import metric_value
from runlore.store.sql.database import Transaction
from runlore.store.sql.run_conditions import run_source
from runlore.store.sql.search_runs import RunSearch

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_RUNS = 200_000
_EXACT = 2.0**53
_DIGITS = re.compile(
    r"[-+]?\d+"
)  # whole numbers above it are not all different as floats: their spelling counts, as in filters
_RUN = run_source("x")
_BY_INDEX = {"metric": "last_value", "param": "number"}


class Cells(NamedTuple):
    """One column of the runs, by place. `number` holds the values that are numbers (a metric's may be NaN), `text` the others;
    a place that has neither is not `present`."""

    present: NDArray[Any]
    is_number: NDArray[Any]
    number: NDArray[Any]
    text: dict[int, str]


def edges_of(low: float, high: float, bins: int) -> NDArray[Any]:
    """The `bins + 1` edges of equal bins; the outer ones are `low` and `high` themselves."""
    import numpy as np

    part = np.arange(bins + 1) / bins
    return low * (1 - part) + high * part


def bins_of(values: NDArray[Any], low: float, high: float, bins: int) -> NDArray[Any]:
    """The number of the bin that each value falls into. A bin has its lower edge, the last one its upper edge too."""
    import numpy as np

    return np.minimum(np.searchsorted(edges_of(low, high, bins)[1:], values, side="right"), bins - 1)


class Matching:
    """The runs that match, in order of key."""

    def __init__(self, db: Transaction, experiment_ids: Sequence[str], filter_: str, view_type: str) -> None:
        import numpy as np

        self.db = db
        experiments = sorted({int(item) for item in experiment_ids}) if experiment_ids else None
        search = RunSearch(parse_filter(filter_, RUN_TABLE, db.now), (), experiments, view_type, numbers=True)
        condition = search.condition(db, scan=True)
        rows = db.all(
            f"SELECT r.run_key FROM run r WHERE {condition.text} ORDER BY r.run_key LIMIT {MOST_RUNS + 1}", condition.values
        )
        if len(rows) > MOST_RUNS:
            raise InvalidParameter(f"More than {MOST_RUNS:,} runs match. Narrow them by a filter or by fewer experiments.")
        self.keys: NDArray[Any] = np.fromiter((key for (key,) in rows), np.int64, len(rows))

    def __len__(self) -> int:
        return len(self.keys)

    def cells(self, field: Field) -> Cells:
        """What the runs have in a column."""
        match field.kind:
            case "metric":
                return self._numbers(self._rows(field, metric_value(field, "x"), "metric"), nan=True)
            case "param":
                return self._param(field)
            case "tag":
                return self._mixed(self._rows(field, "x.value", "run_tag"))
        rows = self._of_runs(_RUN.columns[field.key].text)
        return self._mixed([(key, str(value)) for key, value in rows] if field.key == "experiment_id" else rows)

    # -- reading -------------------------------------------------------------------------------------------------------

    @cached_property
    def _among(self) -> tuple[str, Any]:
        return self.db.among("x.run_key", self.keys.tolist() or [-1])

    @cached_property
    def _is_most(self) -> bool:
        """Whether so many of all runs match that reading an index from end to end costs less than looking up each run."""
        row = self.db.one("SELECT COUNT(*) FROM run")
        return row is not None and row[0] <= 4 * len(self.keys)

    def _rows(self, field: Field, value: str, table: str) -> list[Any]:
        if self._is_most and value == f"x.{_BY_INDEX.get(field.kind)}":
            return self.db.all(f"SELECT x.run_key, {value} FROM {table} x WHERE x.key = ?", (field.key,))
        among, parameter = self._among
        return self.db.all(f"SELECT x.run_key, {value} FROM {table} x WHERE {among} AND x.key = ?", (parameter, field.key))

    def _of_runs(self, value: str) -> list[Any]:
        among, parameter = self._among
        return self.db.all(f"SELECT x.run_key, {value} FROM run x WHERE {among}", (parameter,))

    def _param(self, field: Field) -> Cells:
        cells = self._numbers(self._rows(field, "x.number", "param"), nan=False)
        spelled = cells.present & (~cells.is_number | (abs(cells.number) > _EXACT))
        if spelled.any():
            among, parameter = self.db.among("x.run_key", self.keys[spelled].tolist())
            rows = self.db.all(f"SELECT x.run_key, x.value FROM param x WHERE {among} AND x.key = ?", (parameter, field.key))
            for place, (_, value) in zip(self._places([key for key, _ in rows]).tolist(), rows, strict=True):
                if not cells.is_number[place] or _DIGITS.fullmatch(value):
                    cells.text[place] = value
                    cells.is_number[place] = False
        return cells

    # -- arranging -----------------------------------------------------------------------------------------------------

    def _places(self, keys: Sequence[int]) -> NDArray[Any]:
        """Places of runs; -1 of those that do not match."""
        import numpy as np

        wanted = np.array(keys, np.int64)
        if not len(self.keys):
            return np.full(len(wanted), -1)
        places = np.searchsorted(self.keys, wanted)
        places[places == len(self.keys)] = 0
        places[self.keys[places] != wanted] = -1
        return places

    def _numbers(self, rows: Sequence[Any], nan: bool) -> Cells:
        """Of rows of run key and number; `nan` says that None is a NaN and not something else than a number."""
        import numpy as np

        cells = self._nothing()
        if not rows:
            return cells
        keys, column = zip(*rows, strict=True)
        places = self._places(keys)
        values = np.array(column, np.float64)  # None becomes NaN
        found = places >= 0
        cells.present[places[found]] = True
        cells.number[places[found]] = values[found]
        cells.is_number[:] = cells.present if nan else cells.present & ~np.isnan(cells.number)
        return cells

    def _mixed(self, rows: Sequence[Any]) -> Cells:
        """Of rows of run key and a text, a whole number or None."""
        cells = self._nothing()
        places = self._places([key for key, _ in rows])
        for place, (_, value) in zip(places.tolist(), rows, strict=True):
            if value is None or place < 0:
                continue
            cells.present[place] = True
            if isinstance(value, str):
                cells.text[place] = value
            else:
                cells.number[place] = value
                cells.is_number[place] = True
        return cells

    def _nothing(self) -> Cells:
        import numpy as np

        size = len(self.keys)
        return Cells(np.zeros(size, bool), np.zeros(size, bool), np.full(size, np.nan), {})
