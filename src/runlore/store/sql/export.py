"""Reading whole tables in pages: what exports are made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from runlore.api.export import PointColumns, PointPage, ReadPoints, ReadRuns, RunPage
from runlore.exceptions import InvalidParameter
from runlore.query import RUN_TABLE, And, Comparison, Field, parse_column, parse_filter
from runlore.store.sql import points
from runlore.store.sql.cells import Cells
from runlore.store.sql.database import Transaction
from runlore.store.sql.handlers import handles
from runlore.store.sql.pages import page_of
from runlore.store.sql.run_rows import existing_run
from runlore.store.sql.search import parse_orders
from runlore.store.sql.search_runs import RunSearch

PAGE_POINTS = 100_000
_RUN_ID = Field("attribute", "run_id")


@handles(ReadRuns)
def read_runs(db: Transaction, op: ReadRuns) -> RunPage:
    """The keys of the page, then one statement for each kind of column."""
    page = page_of(op, op.page_token, op.max_results)
    tree = parse_filter(op.filter, RUN_TABLE, db.now)
    if op.run_ids:
        tree = And((tree, Comparison(_RUN_ID, "IN", tuple(sorted({run_id.lower() for run_id in op.run_ids})))))
    experiments = sorted({int(item) for item in op.experiment_ids}) or None
    columns = {name: parse_column(name) for name in op.columns}
    search = RunSearch(tree, parse_orders(op.order_by, RUN_TABLE), experiments, op.view_type, numbers=True)
    found = search.keys(db, page.offset, page.size + 1, search.begin(db, page))
    keys, token = page.cut_keys(found, lambda key: search.place(db, key) or [])
    cells = Cells(db, keys, set(columns.values()))
    return RunPage(
        run_ids=cells.column(_RUN_ID),
        columns={name: cells.column(field) for name, field in columns.items()},
        next_page_token=token,
    )


@handles(ReadPoints)
def read_points(db: Transaction, op: ReadPoints) -> PointPage:
    """Metrics whose points are all in the tail are read together: they lie in the same rows."""
    run = existing_run(db, op.run_id)
    first, start = _place(op.page_token)
    condition, values = "key >= ?", [first]
    if op.metrics:
        among, parameter = db.among("key", op.metrics)
        condition, values = f"{condition} AND {among}", [first, parameter]
    rows = db.all(
        f"SELECT key, series, folded, count FROM metric WHERE run_key = ? AND {condition} ORDER BY key", (run, *values)
    )
    pieces: list[_Piece] = []
    room, token = PAGE_POINTS, None
    for key, number, folded, count in rows:
        begin = start if key == first else 0
        if room <= 0:
            token = f"{begin}:{key}"
            break
        end = min(count, begin + room)
        pieces.append(_Piece(key, number, folded, begin, end))
        room -= end - begin
        if end < count:
            token = f"{end}:{key}"
            break
    return PointPage(series=_read(db, run, pieces), next_page_token=token)


class _Piece(NamedTuple):
    """Points of one metric, by arrival number."""

    key: str
    series: int
    folded: int
    begin: int
    end: int


def _read(db: Transaction, run: int, pieces: Sequence[_Piece]) -> list[PointColumns]:
    short = {piece.series for piece in pieces if not piece.folded}
    tails = points.tail_of(db, run, short) if short else {}
    found = []
    for piece in pieces:
        if piece.folded:
            part = points.read_points(db, run, piece.series, piece.folded, piece.begin, piece.end)
        elif piece.series in tails:
            part = points.cut(tails[piece.series], piece.begin, piece.end)
        else:
            continue
        columns = (part.steps.astype("<i8"), part.times.astype("<i8"), part.values.astype("<f8"))
        steps, times, values = (column.tobytes() for column in columns)
        found.append(PointColumns(key=piece.key, steps=steps, times=times, values=values))
    return found


def _place(token: str) -> tuple[str, int]:
    """The metric that a page begins with, and the number of its first point."""
    if not token:
        return "", 0
    number, colon, key = token.partition(":")
    if not (colon and number.isascii() and number.isdigit() and len(number) < 19):
        raise InvalidParameter(f"Invalid page token {token[:100]!r}. Use next_page_token of the previous answer as it is.")
    return key, int(number)
