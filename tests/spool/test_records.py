"""Log calls become columns: each point with its own number, name, step, time and value, whatever the calls before had."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from runlore.api.delivery import POINT_BYTES
from runlore.spool.frames import Record
from runlore.spool.records import POINTS, Parcel, encode, in_parcels

RUN = "0" * 32
NAMES = ["loss", "acc", "val/loss", "ß"]
shapes = st.lists(st.sampled_from(NAMES), max_size=4, unique=True)
calls = st.lists(st.tuples(shapes, st.integers(1, 5)), max_size=12)


@given(calls)
def test_points_of_calls_come_out_as_they_went_in(shaped: list[tuple[list[str], int]]) -> None:
    """Calls of the same names stand together, as in a training; other names, another order and none at all come between."""
    said = [names for names, times in shaped for _ in range(times)]
    records, expected = [], []
    for seq, names in enumerate(said, 7):
        time, step, values = 10**12 + seq, -seq, {name: seq + place / 8 for place, name in enumerate(names)}
        records.append(Record(seq, POINTS, encode((RUN, time, step, values))))
        expected += [(seq, name, step, time, value) for name, value in values.items()]
    parcels = in_parcels(records)
    assert len(parcels) == bool(said)
    for parcel in parcels:
        assert isinstance(parcel, Parcel)
        assert (parcel.count, parcel.next_seq) == (sum(map(bool, said)), 7 + len(said))
        operation = parcel.delivery("ab" * 16, 0)
        points, count = operation.points, len(expected)
        assert len(points.data) == count * POINT_BYTES
        columns = [
            struct.unpack_from(f"<{count}{form}", points.data, count * at)
            for form, at in (("q", 0), ("I", 8), ("q", 12), ("q", 20), ("d", 28))
        ]
        found = [
            (number, points.keys[place], step, time, value) for number, place, step, time, value in zip(*columns, strict=True)
        ]
        assert found == expected == parcel.points()
