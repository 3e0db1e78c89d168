"""Histograms of columns."""

from __future__ import annotations

from collections import Counter

from runlore.api.histograms import ColumnHistogram, GetHistograms, Histograms, TopValue
from runlore.query import parse_column
from runlore.store.sql.database import Transaction
from runlore.store.sql.handlers import handles
from runlore.store.sql.matching import Cells, Matching, bins_of

_SHOWN = 200
"""Characters of a text."""


@handles(GetHistograms)
def get_histograms(db: Transaction, op: GetHistograms) -> Histograms:
    """One statement for the runs and one, or two, for each column."""
    fields = {name: parse_column(name) for name in op.columns}
    runs = Matching(db, op.experiment_ids, op.filter, op.view_type)
    return Histograms(
        columns={name: _histogram(op, runs.cells(field)) for name, field in fields.items()},
        runs=len(runs),
    )


def _histogram(op: GetHistograms, cells: Cells) -> ColumnHistogram:
    if cells.text:
        return _texts(op, cells)
    import numpy as np

    values = cells.number[cells.is_number]
    finite = values[np.isfinite(values)]
    histogram = ColumnHistogram(runs=len(values), numeric=len(values) > 0, non_finite=len(values) - len(finite))
    if not len(finite):
        return histogram
    low, high = float(finite.min()), float(finite.max())
    counts = [len(finite)] if low == high else np.bincount(bins_of(finite, low, high, op.bins), minlength=op.bins).tolist()
    return ColumnHistogram(
        runs=len(values),
        numeric=True,
        distinct=len(np.unique(finite)),
        minimum=low,
        maximum=high,
        counts=counts,
        non_finite=len(values) - len(finite),
    )


def _texts(op: GetHistograms, cells: Cells) -> ColumnHistogram:
    found = Counter(cells.text.values())
    found.update(repr(value).removesuffix(".0") for value in cells.number[cells.is_number].tolist())
    top = sorted(found.items(), key=lambda item: (-item[1], item[0]))[: op.top]
    runs = int(cells.present.sum())
    return ColumnHistogram(
        runs=runs,
        distinct=len(found),
        top=[TopValue(value=value[:_SHOWN], runs=count) for value, count in top],
        others=runs - sum(count for _, count in top),
    )
