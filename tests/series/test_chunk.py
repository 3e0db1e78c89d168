"""Points go into bytes and come out as they were, or not at all."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.series.points import INT64, as_points, bits, columns, curve

from runlore.exceptions import Damaged
from runlore.series.chunk import Block, Points, Reference, Row, decode_row, encode_block, encode_row


@given(columns(), st.data())
def test_a_row_comes_out_as_it_went_in(points, data):
    steps, times, values, references = points
    series = data.draw(st.lists(INT64 | st.integers(0, 2_000), min_size=len(steps), max_size=len(steps)))

    row = decode_row(encode_row(Row(series, steps, times, values, references)))

    assert (list(row.series), list(row.steps), list(row.times)) == (series, steps, times)
    assert bits(row.values) == bits(values)
    assert list(row.references or [None] * len(steps)) == list(references or [None] * len(steps))


@given(columns(least=0, most=200))
@settings(max_examples=150)
def test_a_block_comes_out_as_it_went_in(points):
    steps, times, values, references = points

    block = Block(encode_block(as_points(*points)))

    assert block.count == len(steps)
    assert block.steps.tolist() == steps
    assert block.times.tolist() == times
    assert bits(block.values) == bits(values)
    assert list(block.references or [None] * len(steps)) == list(references or [None] * len(steps))


def test_a_full_chunk_with_every_kind_of_value_comes_out_as_it_went_in():
    points = curve(4_096)
    points.values[::7], points.values[1::50], points.values[2::50], points.values[3::50] = np.nan, np.inf, -np.inf, -0.0
    points.steps[::3] = np.iinfo(np.int64).min

    back = Block(encode_block(points)).points

    assert back.steps.tobytes() == points.steps.tobytes()
    assert back.times.tobytes() == points.times.tobytes()
    assert back.values.tobytes() == points.values.tobytes()


def test_a_merged_row_keeps_the_series_of_each_point():
    points, series = curve(300), np.repeat(np.arange(100), 3)

    block = Block(encode_block(points, series))

    assert block.series.tolist() == series.tolist()
    assert block.values.tolist() == points.values.tolist()


@pytest.mark.parametrize("encoded", ["row", "block"])
@given(data=st.data())
@settings(max_examples=200)
def test_a_changed_byte_or_a_cut_is_noticed(encoded, data):
    steps, times, values, references = [1, 2, 3], [7, 9, 8], [0.5, float("nan"), 2.0], [None, Reference("m-1", "d", None), None]
    if encoded == "row":
        raw = encode_row(Row([0, 1, 0], steps, times, values, references))
        decode = decode_row
    else:
        raw = encode_block(as_points(steps, times, values, references))
        decode = lambda damaged: Block(damaged).points  # noqa: E731
    place = data.draw(st.integers(0, len(raw) - 1))
    change = data.draw(st.integers(1, 255))

    with pytest.raises(Damaged):
        decode(raw[:place] + bytes([raw[place] ^ change]) + raw[place + 1 :])
    with pytest.raises(Damaged):
        decode(raw[:place])


def test_bytes_of_another_format_are_refused():
    row = encode_row(Row([0], [1], [2], [3.0]))
    with pytest.raises(Damaged, match="a format"):
        Block(row)
    with pytest.raises(Damaged):
        decode_row(b"")


def test_a_call_of_ten_metrics_costs_few_bytes():
    row = Row(list(range(10)), [123_456] * 10, [1_763_894_000_123] * 10, [index / 7 for index in range(10)])
    assert len(encode_row(row)) <= 12 * 10


def test_a_training_curve_costs_few_bytes():
    assert len(encode_block(curve(4_096))) < 4.5 * 4_096
    random = np.random.default_rng(1)
    full = Points(np.arange(4_096), curve(4_096).times, random.normal(size=4_096))  # all 52 bits are noise
    assert len(encode_block(full)) < 8 * 4_096
