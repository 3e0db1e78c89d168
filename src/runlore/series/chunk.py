"""Points of metrics as bytes: small rows that are cheap to write, large blocks that are small to keep.

A *row* is what one log call leaves behind. It is packed with `struct` alone, because the call waits for it:

    magic "R", version, flags u8 | count u32 | series, step, time columns | values f64 | [references] | crc32 u32

A *block* holds thousands of points, compressed with pcodec (typical training curves: 3 to 7 bytes a point). Folding makes
blocks, off the request path. A chunk is a block of one series; a merged tail row is a block with a series column:

    magic "B", version, flags u8 | count u32 | [series], step, time, value columns | [references] | crc32 u32

Integers of a row are `kind u8, base, offsets`, the base and the offsets each as narrow as the column allows. Columns of a block
are `kind u8, length u32, payload`. References (which model and dataset a point belongs to) are a table in MessagePack and a
column of numbers into it, 0 = none. Everything is little-endian. Values come out with the bits that went in.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from runlore.exceptions import Damaged

if TYPE_CHECKING:
    from numpy.typing import NDArray

CHUNK_POINTS = 4_096
"""Points of a full chunk. All chunks of a series but the last one are full."""

_ROW, _BLOCK, _VERSION = 0x52, 0x42, 1
_HAS_REFERENCES, _HAS_SERIES = 1, 2
_HEADER = struct.Struct("<BBBI")
_CRC = struct.Struct("<I")
_COLUMN = struct.Struct("<BI")
_PROGRESSION = struct.Struct("<qQ")

_OFFSETS = {0: "", 1: "B", 2: "H", 4: "I"}
_BASES = {1: struct.Struct("<Bb"), 2: struct.Struct("<Bh"), 4: struct.Struct("<Bi"), 8: struct.Struct("<Bq")}
_WIDE = 0x0F  # kind of a column without a base, 8 bytes a number


class Reference(NamedTuple):
    """What a point was measured on."""

    model_id: str | None = None
    dataset_name: str | None = None
    dataset_digest: str | None = None


References = Sequence[Reference | None] | None


class Row(NamedTuple):
    """The points of one log call, in order of arrival."""

    series: Sequence[int]
    steps: Sequence[int]
    times: Sequence[int]
    values: Sequence[float]
    references: References = None


class Points(NamedTuple):
    """Points of one series in order of arrival: int64, int64 and float64 columns of the same length."""

    steps: NDArray[Any]
    times: NDArray[Any]
    values: NDArray[Any]
    references: References = None


# -- rows: no numpy ------------------------------------------------------------------------------------------------------


def encode_row(row: Row) -> bytes:
    """Pack the points of one log call. Steps and times are 64-bit integers; there must be at least one point."""
    count = len(row.values)
    flags = _HAS_REFERENCES if row.references is not None and any(row.references) else 0
    body = (
        _HEADER.pack(_ROW, _VERSION, flags, count)
        + _pack_integers(row.series)
        + _pack_integers(row.steps)
        + _pack_integers(row.times)
        + struct.pack(f"<{count}d", *row.values)
    )
    if flags:
        table, numbers = _number_references(row.references or ())
        body += _CRC.pack(len(table)) + table + _pack_integers(numbers)
    return body + _CRC.pack(zlib.crc32(body))


def decode_row(data: bytes) -> Row:
    """The inverse of `encode_row`. Raises `Damaged` when a byte is wrong."""
    flags, count = _open(data, _ROW)
    try:
        series, at = _unpack_integers(data, _HEADER.size, count)
        steps, at = _unpack_integers(data, at, count)
        times, at = _unpack_integers(data, at, count)
        values = struct.unpack_from(f"<{count}d", data, at)
        if not flags & _HAS_REFERENCES:
            return Row(series, steps, times, values)
        at += 8 * count
        (length,) = _CRC.unpack_from(data, at)
        table = _references(data[at + 4 : at + 4 + length])
        numbers, _ = _unpack_integers(data, at + 4 + length, count)
        return Row(series, steps, times, values, [table[number] for number in numbers])
    except (struct.error, IndexError, KeyError, msgspec.MsgspecError) as error:
        raise Damaged(f"A packed row of metric points can not be read: {error}.") from None


class RowLayout:
    """Where the columns lie in a packed row without references, and in all rows that look like it.

    Rows of one length look alike when they have the same bytes at `marks`; a training loop makes hundreds of them.
    """

    __slots__ = ("_columns", "_values", "count", "marks")

    def __init__(self, data: bytes) -> None:
        _, self.count = _open(data, _ROW)
        self.marks = list(range(_HEADER.size))
        self._columns: list[tuple[int, int, int]] = []  # start, bytes of the base (0 = none), bytes of an offset
        at = _HEADER.size
        for _ in range(3):
            kind = data[at]
            size, width = (0, 8) if kind == _WIDE else (kind >> 4, kind & 0x0F)
            self.marks.append(at)
            self._columns.append((at + 1, size, width))
            at += 1 + size + width * self.count
        self._values = at
        if len(data) != at + 8 * self.count + _CRC.size:
            raise Damaged(f"A packed row of metric points has {len(data)} bytes instead of {at + 8 * self.count + _CRC.size}.")

    def columns(self, rows: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]:
        """Series, steps, times and values of such rows (uint8, a row of the array each): one row of each result per row."""
        series, steps, times = [self._integers(rows, *column) for column in self._columns]
        return series, steps, times, self._cut(rows, self._values, "<f8", self.count)

    def _integers(self, rows: NDArray[Any], start: int, size: int, width: int) -> NDArray[Any]:
        import numpy as np

        if not size:
            return self._cut(rows, start, "<i8", self.count)
        bases = self._cut(rows, start, f"<i{size}", 1).astype(np.int64)
        if not width:
            return np.repeat(bases, self.count, axis=1)
        offsets: NDArray[Any] = bases + self._cut(rows, start + size, f"<u{width}", self.count).astype(np.int64)
        return offsets

    @staticmethod
    def _cut(rows: NDArray[Any], start: int, kind: str, count: int) -> NDArray[Any]:
        import numpy as np

        width = int(kind[-1])
        return np.ascontiguousarray(rows[:, start : start + width * count]).view(kind)


def encode_arrays(points: Points, series: NDArray[Any]) -> bytes:
    """The same bytes as those of `encode_row`, from arrays. There must be at least one point, and none with a reference."""
    columns = b"".join(_pack_array(column) for column in (series, points.steps, points.times))
    values = points.values.astype("<f8").tobytes()
    body: bytes = _HEADER.pack(_ROW, _VERSION, 0, len(points.values)) + columns + values
    return body + _CRC.pack(zlib.crc32(body))


def _pack_integers(column: Sequence[int]) -> bytes:
    low = min(column)
    head, width = _base(low, max(column))
    if width == 0:
        return head
    if width == 8:
        return head + struct.pack(f"<{len(column)}q", *column)
    offsets = [number - low for number in column]
    return head + (bytes(offsets) if width == 1 else struct.pack(f"<{len(offsets)}{_OFFSETS[width]}", *offsets))


def _pack_array(column: NDArray[Any]) -> bytes:
    low = int(column.min())
    head, width = _base(low, int(column.max()))
    if width == 0:
        return head
    offsets: bytes = (column if width == 8 else column - low).astype("<i8" if width == 8 else f"<u{width}").tobytes()
    return head + offsets


def _base(low: int, high: int) -> tuple[bytes, int]:
    """How a column of integers begins, and the bytes of each of its numbers: offsets from the least, or whole numbers (8)."""
    span = high - low
    if span > 0xFFFF_FFFF:
        return bytes((_WIDE,)), 8
    width = 0 if span == 0 else 1 if span < 256 else 2 if span < 65_536 else 4
    size = 1 if -128 <= low < 128 else 2 if -32_768 <= low < 32_768 else 4 if -(2**31) <= low < 2**31 else 8
    return _BASES[size].pack(size << 4 | width, low), width


def _unpack_integers(data: bytes, at: int, count: int) -> tuple[Sequence[int], int]:
    kind = data[at]
    if kind == _WIDE:
        return struct.unpack_from(f"<{count}q", data, at + 1), at + 1 + 8 * count
    size, width = kind >> 4, kind & 0x0F
    _, low = _BASES[size].unpack_from(data, at)
    at += 1 + size
    if width == 0:
        return [low] * count, at
    end = at + width * count
    offsets = data[at:end] if width == 1 else struct.unpack_from(f"<{count}{_OFFSETS[width]}", data, at)
    if len(offsets) != count:
        raise struct.error("the column is cut short")
    return [low + offset for offset in offsets], end


# -- blocks ----------------------------------------------------------------------------------------------------------------


def encode_block(points: Points, series: NDArray[Any] | None = None) -> bytes:
    """Compress points; `series` gives the series number of each point where they are not all of one series."""
    import numpy as np

    flags = _HAS_REFERENCES if points.references is not None and any(points.references) else 0
    flags |= _HAS_SERIES if series is not None else 0
    parts: list[bytes] = [_HEADER.pack(_BLOCK, _VERSION, flags, len(points.values))]
    parts += [] if series is None else [pack_column(series)]
    parts += [pack_column(points.steps), pack_column(points.times), pack_column(points.values)]
    if flags & _HAS_REFERENCES:
        table, numbers = _number_references(points.references or ())
        parts += [_CRC.pack(len(table)), table, pack_column(np.array(numbers, np.int64))]
    body: bytes = b"".join(parts)
    return body + _CRC.pack(zlib.crc32(body))


class Block:
    """A block whose columns are decompressed when first asked for. Raises `Damaged` when a byte is wrong."""

    __slots__ = ("_at", "_data", "_flags", "count")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._flags, self.count = _open(data, _BLOCK)
        self._at: list[int] = []
        at = _HEADER.size
        try:
            for _ in range(4 if self._flags & _HAS_SERIES else 3):
                self._at.append(at)
                at += _COLUMN.size + _COLUMN.unpack_from(data, at)[1]
        except struct.error as error:
            raise Damaged(f"A block of metric points can not be read: {error}.") from None
        self._at.append(at)

    def _column(self, place: int, kind: str) -> NDArray[Any]:
        return unpack_column(self._data, self._at[place], self.count, kind)[0]

    @property
    def series(self) -> NDArray[Any]:
        """Series number of each point; only where `encode_block` was given them."""
        if not self._flags & _HAS_SERIES:
            raise Damaged("A merged row of metric points has no series numbers.")
        return self._column(0, "<i8")

    @property
    def steps(self) -> NDArray[Any]:
        """Step of each point."""
        return self._column(-4, "<i8")

    @property
    def times(self) -> NDArray[Any]:
        """Unix milliseconds of each point."""
        return self._column(-3, "<i8")

    @property
    def values(self) -> NDArray[Any]:
        """Value of each point."""
        return self._column(-2, "<f8")

    @property
    def references(self) -> References:
        """Model and dataset of each point, None where no point has any."""
        if not self._flags & _HAS_REFERENCES:
            return None
        try:
            at = self._at[-1]
            (length,) = _CRC.unpack_from(self._data, at)
            table = _references(self._data[at + 4 : at + 4 + length])
            numbers, _ = unpack_column(self._data, at + 4 + length, self.count, "<i8")
            return [table[number] for number in numbers.tolist()]
        except (struct.error, IndexError, msgspec.MsgspecError) as error:
            raise Damaged(f"A block of metric points can not be read: {error}.") from None

    @property
    def points(self) -> Points:
        """All columns."""
        return Points(self.steps, self.times, self.values, self.references)


_ARITHMETIC, _PCODEC, _RAW = 0, 1, 2


def pack_column(column: NDArray[Any]) -> bytes:
    """One int64 or float64 column as `kind, length, payload`."""
    import numpy as np
    from pcodec import ChunkConfig, standalone

    if column.dtype.kind != "f":
        numbers = np.ascontiguousarray(column, "<i8")
        bits = numbers.view("<u8")
        differences = bits[1:] - bits[:-1]
        if not len(differences) or (differences == differences[0]).all():
            start, step = (int(numbers[0]) if len(numbers) else 0), (int(differences[0]) if len(differences) else 0)
            return _COLUMN.pack(_ARITHMETIC, _PROGRESSION.size) + _PROGRESSION.pack(start, step)
    else:
        numbers = np.ascontiguousarray(column, "<f8")
    raw: bytes = numbers.tobytes()
    payload: bytes = standalone.simple_compress(numbers, ChunkConfig(compression_level=4))
    # A compressor that is wrong once in 10⁹ numbers would lose data for good; asking it costs 10 µs a chunk.
    if len(payload) < len(raw) and standalone.simple_decompress(payload).tobytes() == raw:
        return _COLUMN.pack(_PCODEC, len(payload)) + payload
    return bytes(_COLUMN.pack(_RAW, len(raw)) + raw)


def unpack_column(data: bytes, at: int, count: int, dtype: str) -> tuple[NDArray[Any], int]:
    """The column that starts at `at`, and where it ends. Raises `Damaged` when it does not hold `count` numbers."""
    import numpy as np
    from pcodec import standalone

    try:
        kind, length = _COLUMN.unpack_from(data, at)
        at += _COLUMN.size
        end = at + length
        if kind == _ARITHMETIC:
            start, step = _PROGRESSION.unpack_from(data, at)
            if step == 0:
                return np.full(count, start, "<i8"), end
            bits = np.arange(count, dtype="<u8") * np.uint64(step) + np.uint64(start % 2**64)
            return bits.view("<i8"), end
        if kind == _RAW:
            column = np.frombuffer(data, dtype, count, at)
        else:
            column = standalone.simple_decompress(data[at:end])
    except (struct.error, ValueError, RuntimeError, TypeError) as error:
        raise Damaged(f"A column of metric points can not be read: {error}.") from None
    if column is None or len(column) != count or column.dtype != np.dtype(dtype):
        raise Damaged(f"A column of metric points holds {0 if column is None else len(column)} numbers instead of {count}.")
    return column, end


def skip_column(data: bytes, at: int) -> int:
    """Where the column that starts at `at` ends."""
    try:
        length: int = _COLUMN.unpack_from(data, at)[1]
    except struct.error as error:
        raise Damaged(f"A column of metric points can not be read: {error}.") from None
    return at + _COLUMN.size + length


# -- both ------------------------------------------------------------------------------------------------------------------


def is_row(data: bytes) -> bool:
    """True for a packed row, False for anything else."""
    return data[:1] == b"R"


def has_references(data: bytes) -> bool:
    """True for a row or block some of whose points have a reference."""
    return bool(data[2] & _HAS_REFERENCES)


def check(data: bytes) -> int:
    """The number of points of a row or block. Raises `Damaged` when a byte is wrong."""
    return _open(data, _ROW if is_row(data) else _BLOCK)[1]


def _open(data: bytes, magic: int) -> tuple[int, int]:
    """Flags and count of intact bytes."""
    if len(data) < _HEADER.size + 4:
        raise Damaged(f"Metric points are cut short: {len(data)} bytes.")
    kind, version, flags, count = _HEADER.unpack_from(data)
    if kind != magic or version != _VERSION:
        raise Damaged(f"Metric points start with {data[:2]!r}: not a format that this version of Runlore reads.")
    if zlib.crc32(memoryview(data)[:-4]) != _CRC.unpack_from(data, len(data) - 4)[0]:
        raise Damaged(f"Metric points are damaged: the checksum of {len(data)} bytes does not match.")
    return flags, count


def _number_references(references: Iterable[Reference | None]) -> tuple[bytes, list[int]]:
    numbers: dict[Reference | None, int] = {None: 0}
    column = [numbers.setdefault(reference or None, len(numbers)) for reference in references]
    return msgspec.msgpack.encode([list(reference) for reference in numbers if reference]), column


def _references(table: bytes) -> list[Reference | None]:
    entries = msgspec.msgpack.decode(table, type=list[tuple[str | None, str | None, str | None]])
    return [None, *(Reference(*entry) for entry in entries)]
