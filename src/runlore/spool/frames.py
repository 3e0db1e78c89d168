"""How journal records lie in a segment file, and how they are found again when the file is damaged.

    segment:  magic, 8 bytes | frames and padding
    frame:    crc32 u32 | payload length u32 | record number u64 | kind u8 | payload

All little-endian. The file is divided into blocks of 32 kB, and no frame crosses from one into the next: a record that does
not fit into the rest of its block begins in the next one, after zeros; one that is longer than a block is cut into pieces. So
after damage a reader finds its way again at the next block: what is lost is what lies in the block that was hit. The checksum
is that of all the bytes behind it, and a frame whose checksum is wrong is never a record.
"""

from __future__ import annotations

import struct
from typing import NamedTuple
from zlib import crc32

MAGIC = b"RUNLORE1"
"""The first bytes of every segment: the last one is the version of the format."""
BLOCK = 32 * 1024
FRAME = struct.Struct("<IIQB")
"""What stands before a payload."""
_CHECKED = struct.Struct("<IQB")  # the same without the checksum
_FIRST, _MIDDLE, _LAST, _PIECE = 0x20, 0x40, 0x60, 0x60


class Record(NamedTuple):
    """One record: its number, what kind it is (1 to 31), its bytes."""

    seq: int
    kind: int
    payload: bytes


class Scan(NamedTuple):
    """What was found in a part of a segment.

    `end` is where the next frame begins, in the file. `damage` counts places that are neither frames nor padding. `cut` says
    that the part ends in the middle of a frame.
    """

    records: list[Record]
    end: int
    damage: int
    cut: bool


def frames(seq: int, kind: int, payload: bytes, offset: int) -> bytes:
    """The bytes of a record that begins at `offset` of its file, padding included."""
    room = BLOCK - offset % BLOCK
    size = len(payload)
    if size + FRAME.size <= room:
        return frame(seq, kind, payload)
    padding = bytes(room) if room < BLOCK else b""
    most = BLOCK - FRAME.size
    if size <= most:
        return padding + frame(seq, kind, payload)
    pieces = [payload[start : start + most] for start in range(0, size, most)]
    parts = [_FIRST, *[_MIDDLE] * (len(pieces) - 2), _LAST]
    return padding + b"".join(frame(seq, kind | part, piece) for part, piece in zip(parts, pieces, strict=True))


def frame(seq: int, kind: int, payload: bytes) -> bytes:
    """One frame."""
    body = _CHECKED.pack(len(payload), seq, kind) + payload
    return crc32(body).to_bytes(4, "little") + body


def scan(data: bytes, offset: int, whole: bool = True) -> Scan:
    """The records in `data`, which begins at `offset` of its file, at a frame.

    With `whole` the file ends with `data`, and a frame that goes on beyond it is damage.
    """
    records: list[Record] = []
    at, damage, end = 0, 0, len(data)
    begun: list[bytes] = []  # pieces of a long record
    begun_at = 0
    while at < end:
        left = BLOCK - (offset + at) % BLOCK
        if left < FRAME.size:
            at += left
            continue
        if at + FRAME.size > end:
            break
        crc, size, seq, kind = FRAME.unpack_from(data, at)
        if size == 0 or size + FRAME.size > left:
            if not whole and at + left + FRAME.size > end and not any(data[at : at + left]):
                break  # padding, and what comes after it has not been read yet
            damage += not _is_padding(data, at, left)
            begun.clear()
            at += left
            continue
        stop = at + FRAME.size + size
        if stop > end:
            break
        payload = data[at + FRAME.size : stop]
        if crc != crc32(memoryview(data)[at + 4 : stop]):
            damage += 1
            begun.clear()
            at += left
            continue
        part = kind & _PIECE
        if not part:
            records.append(Record(seq, kind, payload))
        elif part == _FIRST:
            begun, begun_at = [payload], at
        elif begun:
            begun.append(payload)
            if part == _LAST:
                records.append(Record(seq, kind & ~_PIECE, b"".join(begun)))
                begun = []
        at = stop
    cut = bool(begun) or at < end
    if cut and whole:
        return Scan(records, offset + end, damage + 1, True)
    return Scan(records, offset + (begun_at if begun else min(at, end)), damage, cut)


def _is_padding(data: bytes, at: int, left: int) -> bool:
    """Zeros up to the end of a block because the frame behind it did not fit: it is written together with them."""
    after = at + left
    if any(data[at:after]) or after + FRAME.size > len(data):
        return False
    _, size, _, kind = FRAME.unpack_from(data, after)
    return bool(kind & _PIECE) or size + FRAME.size > left
