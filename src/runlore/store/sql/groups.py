"""Groups of runs: each run gets a label in each of the columns, and runs with the same labels are a group."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from runlore.api.dashboard import Cell
from runlore.api.groups import GroupedColumn, GroupKey, GroupRuns, GroupTable
from runlore.exceptions import InvalidParameter, RunloreError
from runlore.query import RUN_TABLE, parse_column, parse_filter
from runlore.query.writer import written_comparison
from runlore.store.sql.database import Transaction
from runlore.store.sql.handlers import handles
from runlore.store.sql.matching import Cells, Matching, bins_of, edges_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SIZE = "size"


@handles(GroupRuns)
def group_runs(db: Transaction, op: GroupRuns) -> GroupTable:
    """Reads each column of all runs that match; what is asked of the members is computed for the groups of the window."""
    import numpy as np

    known = {name: parse_column(name) for name in dict.fromkeys([*(key.column for key in op.by), *op.columns])}
    if op.sort.column not in (*known, _SIZE):
        raise InvalidParameter(
            f"Groups can be sorted by {_SIZE!r}, a column they are grouped by or one of `columns`, not by {op.sort.column!r}."
        )
    runs = Matching(db, op.experiment_ids, op.filter, op.view_type)
    cells = {name: runs.cells(field) for name, field in known.items()}
    labels = [_labels(key, cells[key.column]) for key in op.by]
    if not len(runs):
        return GroupTable()
    codes = np.stack([label.codes for label in labels])
    groups, members, sizes = np.unique(codes, axis=1, return_inverse=True, return_counts=True)
    members = members.ravel()
    order = _order(op, labels, groups, sizes, cells, members)
    window = order[op.offset : op.offset + op.limit]
    chosen = [[label.meanings[code] for label, code in zip(labels, groups[:, group], strict=True)] for group in window]
    return GroupTable(
        keys={key.column: [meanings[place].value for meanings in chosen] for place, key in enumerate(op.by)},
        upper_edges={key.column: [meanings[place].upper for meanings in chosen] for place, key in enumerate(op.by) if key.bins},
        sizes=sizes[window].tolist(),
        filters=[_filter(op.filter, [meaning.filter for meaning in meanings]) for meanings in chosen],
        columns={name: _summary(cells[name], _Members(members, window, sizes)) for name in op.columns},
        total=groups.shape[1],
        runs=len(runs),
    )


# -- labels ------------------------------------------------------------------------------------------------------------


class _Meaning(NamedTuple):
    """What a label stands for, and the filter that finds it (None where it can not be written)."""

    value: Cell
    filter: str | None
    upper: float | None = None


class _Labels(NamedTuple):
    """The label of each run in one column. Codes of numbers are in order, those of texts follow, also in order, then NaN and
    then nothing."""

    codes: NDArray[Any]
    meanings: list[_Meaning]


def _labels(key: GroupKey, cells: Cells) -> _Labels:
    import numpy as np

    field = parse_column(key.column)
    codes = np.zeros(len(cells.present), np.int64)
    meanings: list[_Meaning] = []
    numbers = cells.is_number & ~np.isnan(cells.number)
    finite = numbers & np.isfinite(cells.number)
    if key.bins and finite.any():
        low, high = float(cells.number[finite].min()), float(cells.number[finite].max())
        edges = edges_of(low, high, key.bins).tolist()
        of_runs = bins_of(cells.number[finite], low, high, key.bins)
        used, codes[finite] = np.unique(of_runs, return_inverse=True)
        for number in used.tolist():
            below = "<=" if number == key.bins - 1 or low == high else "<"
            upper = high if low == high else edges[number + 1]
            parts = [written_comparison(field, ">=", edges[number]), written_comparison(field, below, upper)]
            meanings.append(_Meaning(edges[number], " AND ".join(map(str, parts)) if all(parts) else None, upper))
        numbers &= ~finite
    values, places = np.unique(cells.number[numbers], return_inverse=True)
    codes[numbers] = len(meanings) + places
    meanings += [_Meaning(_plain(field.kind, value), written_comparison(field, "=", value)) for value in values.tolist()]
    texts = {text: len(meanings) + place for place, text in enumerate(sorted(set(cells.text.values())))}
    for place, text in cells.text.items():
        codes[place] = texts[text]
    meanings += [_Meaning(text, written_comparison(field, "=", text)) for text in texts]
    codes[cells.is_number & np.isnan(cells.number)] = len(meanings)
    has = written_comparison(field, "IS NOT NULL")
    meanings.append(_Meaning(math.nan, has and f"{has} AND NOT {written_comparison(field, '<=', math.inf)}"))
    codes[~cells.present] = len(meanings)
    meanings.append(_Meaning(None, written_comparison(field, "IS NULL")))
    return _Labels(codes, meanings)


def _plain(kind: str, value: float) -> Cell:
    """Attributes are whole numbers."""
    return int(value) if kind == "attribute" else value


def _filter(base: str, parts: list[str | None]) -> str | None:
    """The filter of the members of a group; None when it can not be written, or is longer or deeper than filters may be."""
    if None in parts:
        return None
    text = " AND ".join([*([f"({base})"] if base.strip() else []), *map(str, parts)])
    try:
        parse_filter(text, RUN_TABLE)
    except RunloreError:
        return None
    return text


# -- order -------------------------------------------------------------------------------------------------------------


def _order(
    op: GroupRuns, labels: list[_Labels], groups: NDArray[Any], sizes: NDArray[Any], cells: dict[str, Cells], members: Any
) -> NDArray[Any]:
    """Numbers of the groups in the order asked for; ties in the order of the labels."""
    import numpy as np

    column, sign = op.sort.column, -1 if op.sort.descending else 1
    by = [key.column for key in op.by]
    if column == _SIZE:
        return np.argsort(sign * sizes, kind="stable")
    if column in by:
        codes = groups[by.index(column)]
        last = len(labels[by.index(column)].meanings) - 2  # NaN and nothing come last
        return np.lexsort((np.where(codes >= last, codes, sign * codes), codes >= last))
    everything = np.arange(len(sizes))
    means = np.array(_summary(cells[column], _Members(members, everything, sizes)).mean, np.float64)
    return np.lexsort((np.where(np.isnan(means), 0, sign * means), np.isnan(means)))


# -- members -----------------------------------------------------------------------------------------------------------


class _Members(NamedTuple):
    """The group of each run, the groups that are asked for, and the sizes of all."""

    group: NDArray[Any]
    window: NDArray[Any]
    sizes: NDArray[Any]


def _summary(cells: Cells, members: _Members) -> GroupedColumn:
    """Deviations are taken from each group's own mean: sums of squares would lose small ones beside a large mean."""
    import numpy as np

    size = len(members.sizes)
    finite = cells.is_number & np.isfinite(cells.number)
    values, groups = cells.number[finite], members.group[finite]
    count = np.bincount(groups, minlength=size)
    low, high = np.full(size, np.inf), np.full(size, -np.inf)
    np.minimum.at(low, groups, values)
    np.maximum.at(high, groups, values)
    with np.errstate(all="ignore"):
        mean = np.bincount(groups, values, minlength=size) / count
        mean = np.clip(mean, low, high)  # rounding must not put the mean of equal values beside them
        squares = np.bincount(groups, (values - mean[groups]) ** 2, minlength=size)
        std = np.sqrt(squares / (count - 1))
    window = members.window
    return GroupedColumn(
        count=count[window].tolist(),
        mean=_where(count >= 1, mean, window),
        std=_where(count >= 2, std, window),
        minimum=_where(count >= 1, low, window),
        maximum=_where(count >= 1, high, window),
        value=_shared(cells, members, np.where((count == members.sizes) & (low == high), low, np.nan)),
    )


def _where(known: NDArray[Any], values: NDArray[Any], window: NDArray[Any]) -> list[float | None]:
    return [value if is_known else None for value, is_known in zip(values[window].tolist(), known[window], strict=True)]


def _shared(cells: Cells, members: _Members, numbers: NDArray[Any]) -> list[Cell]:
    """The value that all members of a group have, None where there is none."""
    first: dict[int, str | None] = {}
    seen: dict[int, int] = {}
    for place, group in zip(cells.text, members.group[list(cells.text)].tolist() if cells.text else (), strict=True):
        text = cells.text[place]
        seen[group] = seen.get(group, 0) + 1
        if first.setdefault(group, text) != text:
            first[group] = None
    shared: list[Cell] = []
    for group in members.window.tolist():
        if seen.get(group) == members.sizes[group]:
            shared.append(first[group])
        else:
            number = float(numbers[group])
            shared.append(None if math.isnan(number) else number)
    return shared
