"""Tail rows read together hold what each of them holds, in the order of arrival."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.series.points import as_points, bits, columns

from runlore.exceptions import Damaged
from runlore.series.chunk import Block, Row, decode_row, encode_block, encode_row
from runlore.series.tail import gather, gather_all


@st.composite
def tails(draw: st.DrawFn) -> list[bytes]:
    """Rows of a training loop, rows of any other kind, and merged rows."""
    rows = []
    for _ in range(draw(st.integers(0, 6))):
        steps, times, values, references = draw(columns(most=90))
        series = draw(st.lists(st.integers(0, 5) | st.integers(0, 70_000), min_size=len(steps), max_size=len(steps)))
        if draw(st.integers(0, 3)) == 0:
            rows.append(encode_block(as_points(steps, times, values, references), np.array(series, np.int64)))
        else:
            rows.append(encode_row(Row(series, steps, times, values, references)))
        for number in range(draw(st.sampled_from([0, 1, 12]))):
            rows.append(encode_row(Row(series, [step // 2 + number for step in steps], times, values)))
    return draw(st.permutations(rows))


@given(tails())
@settings(max_examples=50, deadline=None)
def test_rows_together_hold_what_each_of_them_holds(rows):
    expected = []
    for data in rows:
        if data[:1] == b"R":
            row = decode_row(data)
        else:
            block = Block(data)
            row = Row(*(column.tolist() for column in (block.series, block.steps, block.times, block.values)), block.references)
        references = row.references or [None] * len(row.values)
        expected += list(zip(row.series, row.steps, row.times, bits(row.values), references, strict=True))

    series, points = gather_all(rows)

    found = zip(series.tolist(), points.steps.tolist(), points.times.tolist(), bits(points.values), strict=True)
    references = list(points.references or [None] * len(series))
    assert [(*point, reference) for point, reference in zip(found, references, strict=True)] == expected

    wanted = {0, 1, 2, 70_001}
    for number, part in gather(rows, wanted).items():
        mine = [point[1:] for point in expected if point[0] == number]
        assert list(zip(part.steps.tolist(), part.times.tolist(), bits(part.values), strict=True)) == [p[:3] for p in mine]
        assert list(part.references or [None] * len(mine)) == [point[3] for point in mine]
    assert gather(rows, wanted).keys() == {point[0] for point in expected} & wanted


@pytest.mark.parametrize("place", [0, 1, 7, 20, -1])
def test_a_wrong_byte_among_many_rows_is_found(place):
    rows = [encode_row(Row([0, 1], [step, step], [step] * 2, [0.5, 1.5])) for step in range(50)]
    damaged = bytearray(rows[30])
    damaged[place] ^= 0x40

    with pytest.raises(Damaged):
        gather_all([*rows[:30], bytes(damaged), *rows[31:]])
