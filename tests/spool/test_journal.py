"""The journal: what was accepted is read back, and damage costs no more than the block that it hits."""

from __future__ import annotations

import itertools
import os
import resource
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runlore.spool import journal as journals
from runlore.spool import overflow
from runlore.spool.frames import BLOCK, MAGIC, Record, frame, frames, scan
from runlore.spool.journal import CORRUPT, SUFFIX, Journal, Leftover

WRITER = "ab" * 16
payloads = st.lists(
    st.one_of(
        st.binary(min_size=1, max_size=300),
        st.integers(1, 3 * BLOCK).map(lambda size: bytes([size % 251]) * size),
        st.integers(BLOCK - 60, BLOCK).map(bytes),  # zeros, and the edge of a block
    ),
    min_size=1,
    max_size=60,
)

places = st.integers(0, 10**9)


def image(contents: list[bytes]) -> tuple[bytes, list[Record]]:
    """A segment, and the records in it."""
    data, records = MAGIC, []
    for seq, payload in enumerate(contents):
        data += frames(seq, seq % 30 + 1, payload, len(data))
        records.append(Record(seq, seq % 30 + 1, payload))
    return data, records


def read(data: bytes) -> tuple[list[Record], int]:
    found = scan(data[len(MAGIC) :], len(MAGIC))
    return found.records, found.damage


def blocks_of(data: bytes, records: list[Record]) -> dict[Record, set[int]]:
    """The blocks in which each record lies."""
    where, at = {}, len(MAGIC)
    for record in records:
        written = frames(record.seq, record.kind, record.payload, at)
        padding = BLOCK - at % BLOCK if at % BLOCK and at // BLOCK != (at + len(written) - 1) // BLOCK else 0
        where[record] = set(range((at + padding) // BLOCK, (at + len(written) - 1) // BLOCK + 1))
        at += len(written)
    assert at == len(data)
    return where


@given(payloads)
@settings(deadline=None, max_examples=100)
def test_what_is_written_is_read(contents: list[bytes]) -> None:
    data, records = image(contents)
    assert read(data) == (records, 0)


@given(payloads, places)
@settings(deadline=None, max_examples=200)
def test_a_cut_loses_only_what_lies_behind_it(contents: list[bytes], place: int) -> None:
    data, records = image(contents)
    size = len(MAGIC) + place % (len(data) - len(MAGIC) + 1)
    found, damage = read(data[:size])
    assert found == records[: len(found)]
    whole = [record for record, end in zip(records, ends(contents), strict=True) if end <= size]
    assert found == whole
    assert (damage > 0) == (size not in {len(MAGIC), *ends(contents)})


def ends(contents: list[bytes]) -> list[int]:
    at, found = len(MAGIC), []
    for seq, payload in enumerate(contents):
        at += len(frames(seq, seq % 30 + 1, payload, at))
        found.append(at)
    return found


@given(payloads, st.lists(st.tuples(places, st.integers(0, 7)), min_size=1, max_size=3))
@settings(deadline=None, max_examples=300)
def test_changed_bits_cost_the_block_and_nothing_else(contents: list[bytes], chosen: list[tuple[int, int]]) -> None:
    data, records = image(contents)
    flips = [(len(MAGIC) + place % (len(data) - len(MAGIC)), bit) for place, bit in chosen]
    changed = bytearray(data)
    for place, bit in flips:
        changed[place] ^= 1 << bit
    hit = {place // BLOCK for place, _ in flips}
    found, damage = read(bytes(changed))
    assert set(found) <= set(records), "a record that nobody wrote"
    assert [record.seq for record in found] == sorted({record.seq for record in found})
    spared = {record for record, blocks in blocks_of(data, records).items() if not blocks & hit}
    assert spared <= set(found)
    assert damage > 0 or bytes(changed) == data or found == records


def test_no_two_changed_bits_make_a_record() -> None:
    whole = frame(7, 1, b"x")
    for one, other in itertools.combinations(range(len(whole) * 8), 2):
        changed = bytearray(whole)
        changed[one // 8] ^= 1 << one % 8
        changed[other // 8] ^= 1 << other % 8
        assert scan(bytes(changed), len(MAGIC)).records == []


@given(payloads, places, st.sampled_from([0, 1, 4096, BLOCK]))
@settings(deadline=None, max_examples=200)
def test_zeros_at_the_end_are_not_taken_for_records(contents: list[bytes], place: int, more: int) -> None:
    data, records = image(contents)
    size = len(MAGIC) + place % (len(data) - len(MAGIC))
    found, damage = read(data[:size] + bytes(len(data) - size + more))
    assert found == records[: len(found)]
    assert len(found) >= sum(end <= size for end in ends(contents))
    assert damage > 0 or found == records


def test_a_part_may_end_anywhere() -> None:
    """Reading goes on where the part ended, and takes no cut for damage."""
    data, records = image([b"x" * 1_000] * 40 + [b"y" * 700] * 60)
    for size in [*range(len(MAGIC), 3_000), *range(BLOCK - 2_000, BLOCK + 2_000), *range(2 * BLOCK - 1_500, 2 * BLOCK + 1_500)]:
        first = scan(data[len(MAGIC) : size], len(MAGIC), whole=False)
        rest = scan(data[first.end :], first.end)
        assert (first.damage, rest.damage) == (0, 0), size
        assert first.records + rest.records == records


@given(payloads, st.lists(st.integers(1, 70), max_size=20), st.sampled_from([200, 40_000, 10**9]))
@settings(deadline=None, max_examples=60)
def test_reading_follows_writing(contents: list[bytes], pauses: list[int], segment: int) -> None:
    with TemporaryDirectory() as place, pytest.MonkeyPatch.context() as patch:
        patch.setattr(journals, "SEGMENT_BYTES", segment)
        patch.setattr(journals, "_READ", 5_000)
        journal = Journal(Path(place), WRITER)
        pending, got = set(pauses), []
        for number, payload in enumerate(contents):
            assert journal.append(1, payload) == number
            if number in pending:
                got += iter_read(journal)
                journal.release(number)
        got += iter_read(journal)
        assert [(record.seq, record.payload) for record in got] == list(enumerate(contents))
        journal.sync()
        assert journal.damage == 0
        journal.release(len(contents))
        assert len(journal.segments) == 1
        journal.close(remove=True)
        assert list(Path(place).iterdir()) == []


def iter_read(journal: Journal) -> list[Record]:
    found = []
    while records := journal.read():
        found += records
    return found


def test_what_is_left_behind_is_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journals, "SEGMENT_BYTES", 2_000)
    directory = left_behind(tmp_path, 100)
    left = Leftover(directory)
    assert (left.store, left.writer_id) == ("http://server", WRITER)
    assert [record.payload for record in left.records()] == [f"record {number}".encode() * 20 for number in range(100)]
    assert left.damaged == {}
    left.remove()
    assert list(directory.iterdir()) == []


def left_behind(tmp_path: Path, count: int) -> Path:
    directory = tmp_path / WRITER
    directory.mkdir()
    journal = Journal(directory, WRITER, "http://server")
    for number in range(count):
        journal.append(2, f"record {number}".encode() * 20)
    journal.close()
    return directory


def test_missing_repeated_and_foreign_segments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journals, "SEGMENT_BYTES", 2_000)
    directory = left_behind(tmp_path, 100)
    segments = sorted(directory.iterdir())
    assert len(segments) > 5
    lost = {record.seq for record in scan(segments[2].read_bytes()[8:], 8).records}
    segments[2].unlink()
    shutil.copy(segments[3], directory / f"00000000{SUFFIX}")  # sorts first, and is not the first
    (directory / f"99{SUFFIX}").write_bytes(b"GIF89a" + os.urandom(5_000))
    (directory / f"98{SUFFIX}").write_bytes(b"")
    other = Journal(tmp_path / "elsewhere", "cd" * 16)
    other.directory.mkdir()
    other.append(2, b"another journal's")
    other.close()
    shutil.move(other.directory / f"00000001{SUFFIX}", directory / f"97{SUFFIX}")
    left = Leftover(directory)
    assert {record.seq for record in left.records()} == set(range(100)) - lost
    assert {path.name for path in left.damaged} == {f"99{SUFFIX}", f"97{SUFFIX}"}
    left.remove()
    assert sorted(path.name for path in directory.iterdir()) == [f"97{CORRUPT}", f"99{CORRUPT}"]


def test_a_write_that_stops_halfway_is_undone(tmp_path: Path) -> None:
    """The limit on the size of files makes the kernel write a part of the record."""
    import signal

    journal = Journal(tmp_path, WRITER)
    journal.append(1, b"first")
    limits, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    size = os.path.getsize(journal.segments[0].path)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100, limits[1]))
        assert journal.append(1, b"x" * 500) == 1
        assert isinstance(journal.failure, OSError)
        assert os.path.getsize(journal.segments[0].path) == size
        assert journal.append(1, b"in memory too: the order stays") == 2
        assert os.path.getsize(journal.segments[0].path) == size
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    read = iter_read(journal)
    journal.append(1, b"last")  # to the disk again
    assert os.path.getsize(journal.segments[0].path) > size
    read += iter_read(journal)
    assert [(record.seq, record.payload[:2]) for record in read] == [(0, b"fi"), (1, b"xx"), (2, b"in"), (3, b"la")]
    journal.close()


def test_what_finds_no_room_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overflow, "MOST_BYTES", 10_000)
    journal = Journal(tmp_path / "there is no such directory", WRITER)
    for number in range(100):
        journal.append(1, b"x" * 300, "a run", entries=2 + number % 2)
    kept = iter_read(journal)
    assert [record.seq for record in kept] == list(range(20))
    assert journal.dropped() == {"a run": 200}
    (tmp_path / "there is no such directory").mkdir()
    assert journal.append(1, b"y") == 100
    assert [record.seq for record in iter_read(journal)] == [100]
    journal.close()


def test_files_are_private(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    journal = Journal(tmp_path / "own", WRITER)
    journal.append(1, b"x")
    assert [path.stat().st_mode & 0o777 for path in (tmp_path / "own").iterdir()] == [0o600]
    journal.close()
