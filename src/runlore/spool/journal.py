"""The journal of one process and one store: an append-only list of records in segment files.

`append` returns when the kernel has the record (`write(2)`, no buffer of Python's): it survives the end of the process, however
that comes. It survives power loss when `sync` was called since. A write that fails or stops half-way is undone before anything
else is written; what the disk does not take is kept in memory up to a limit (`overflow.py`), then counted and dropped. Many
threads may write, one may read back.
"""

from __future__ import annotations

import errno
import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec

from runlore.spool.frames import BLOCK, FRAME, MAGIC, Record, frame, frames, scan
from runlore.spool.overflow import Overflow
from runlore.spool.places import open_here
from runlore.spool.write import error_of_write, write_now

SEGMENT_BYTES = 4 * 2**20
HEADER = 31
"""The kind of the first record of a segment."""
SUFFIX = ".journal"
CORRUPT = ".corrupt"
_READ = 256 * 1024
_MOST_READ = 256 * 2**20
"""A longer segment is none of ours: one ends soon after `SEGMENT_BYTES`."""
_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
_sync = getattr(os, "fdatasync", os.fsync)


class Header(msgspec.Struct, frozen=True):
    """What a segment says about itself. `store` is the URI that its records are for; empty: the store it lies in."""

    writer_id: str
    first_seq: int
    store: str


class Segment:
    """One file of a journal: where it is, the number of its first record, and how far it is written."""

    __slots__ = ("end", "first_seq", "path")

    def __init__(self, path: Path, first_seq: int, end: int) -> None:
        self.path, self.first_seq, self.end = path, first_seq, end


class Journal:
    """The records of one writer, in a directory of its own. Files are made when there is something to write."""

    def __init__(self, directory: Path, writer_id: str, store: str = "") -> None:
        self.directory, self.writer_id = directory, writer_id
        self._store = store
        self._lock = threading.Lock()
        self._fd = -1
        self._offset = 0
        self._room = 0  # records that end below this offset are written as they are, without another look
        self._dirty = False
        self._unsynced: list[int] = []  # full segments
        self._count = 0
        self.next_seq = 0
        """The number of the next record."""
        self.overflow = Overflow()
        self.failure: OSError | None = None
        """The last error of the disk; whoever looks at it takes it away."""
        self.segments: list[Segment] = []
        """The segments that are still there, oldest first."""
        self._present = Segment(directory, 0, 0)  # the one that is written; none yet
        self._read_fd = -1
        self._read_segment: Segment | None = None
        self._read_at = 0
        self.damage = 0
        """Places in which what was read back is not what was written."""

    def append(self, kind: int, payload: bytes, run_id: str = "", entries: int = 1) -> int:
        """Write one record (kinds are 1 to 30, payloads are not empty) and return its number. `run_id` and `entries` are for
        the count of what is dropped, if it comes to that."""
        size = len(payload) + FRAME.size
        with self._lock:
            seq = self.next_seq
            self.next_seq = seq + 1
            at = self._offset
            if at + size <= self._room:
                data = frame(seq, kind, payload)
                if write_now(self._fd, data, size) == size:
                    self._offset = self._present.end = at + size
                    self._dirty = True
                    return seq
                self._take_back(at)
            self._append_elsewhere(Record(seq, kind, payload), run_id, entries)
            return seq

    def _append_elsewhere(self, record: Record, run_id: str, entries: int) -> None:
        """What `append` does at the end of a block or a segment, after an error, and for long records."""
        if self.overflow:  # what is in memory comes first
            self.overflow.put(record, run_id, entries)
            return
        try:
            if self._fd < 0 or self._offset >= SEGMENT_BYTES:
                self._next_segment(record.seq)
            self._write(frames(*record, self._offset), self._offset)
            self._room = min(SEGMENT_BYTES, self._offset - self._offset % BLOCK + BLOCK)
        except OSError as error:
            self.overflow.put(record, run_id, entries)
            self.failure = error

    def sync(self) -> None:
        """Put everything on stable storage. Raises `OSError`."""
        with self._lock:
            waiting, self._unsynced = self._unsynced, []
            if self._dirty and self._fd >= 0:
                self._dirty = False
                waiting.append(os.dup(self._fd))
        try:
            for descriptor in waiting:  # without the lock: others go on writing
                _sync(descriptor)
        finally:
            for descriptor in waiting:
                os.close(descriptor)

    def read(self) -> list[Record]:
        """The next records that have not been read yet, about 256 kB of them; `[]` when all have been. Those that were kept in
        memory are forgotten here."""
        limit = _READ
        while True:
            with self._lock:
                segment = self._reading()
                if segment is None:
                    return self.overflow.take()
                end, start = segment.end, self._read_at
                last = segment is self.segments[-1]
            if self._read_fd < 0:
                self._read_fd = os.open(segment.path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0))
            stop = min(end, start + limit)
            os.lseek(self._read_fd, start, os.SEEK_SET)
            data = _exactly(self._read_fd, stop - start)
            found = scan(data, start, whole=not last and stop == end)
            self.damage += found.damage
            self._read_at = found.end
            records = [record for record in found.records if record.kind != HEADER]
            if records:
                return records
            if found.end == start == end:
                continue
            if found.end == start:  # one record that is longer than the limit
                limit *= 2

    def dropped(self) -> dict[str, int]:
        """How many entries of each run were dropped since this was last asked."""
        with self._lock:
            return dict(self.overflow.take_dropped())

    def release(self, below: int) -> None:
        """Remove the segments whose records all have smaller numbers than `below` and were read; one that was damaged is kept
        as `.corrupt`."""
        with self._lock:
            gone = []
            while len(self.segments) > 1 and self.segments[1].first_seq <= below and self.segments[0] is not self._read_segment:
                gone.append(self.segments.pop(0))
        for segment in gone:
            self._remove(segment)

    def close(self, remove: bool = False) -> None:
        """Close the files; with `remove` everything has arrived, and they go."""
        with self._lock:
            for descriptor in (self._fd, self._read_fd, *self._unsynced):
                if descriptor >= 0:
                    os.close(descriptor)
            self._unsynced = []
            self._fd = self._read_fd = -1
            self._room = 0
            segments, self.segments = self.segments, []
        for segment in segments if remove else ():
            self._remove(segment)

    def abandon(self) -> None:
        """Close the files of a journal that came through a fork. Without the lock: a thread that is not here may hold it."""
        for descriptor in (self._fd, self._read_fd, *self._unsynced):
            if descriptor >= 0:
                os.close(descriptor)

    def _remove(self, segment: Segment) -> None:
        try:
            if self.damage:
                segment.path.replace(segment.path.with_suffix(CORRUPT))
            else:
                segment.path.unlink()
        except FileNotFoundError:
            return  # somebody has removed the spool

    def _reading(self) -> Segment | None:
        """The segment to read from: the next one when the present one has been read to its end."""
        if not self.segments:
            return None
        present = self._read_segment
        if present is None or (self._read_at >= present.end and present is not self.segments[-1]):
            place = 0 if present is None else self.segments.index(present) + 1
            self._read_segment, self._read_at = self.segments[place], len(MAGIC)
            if self._read_fd >= 0:
                os.close(self._read_fd)
                self._read_fd = -1
        segment = self._read_segment
        assert segment is not None
        return None if self._read_at >= segment.end and segment is self.segments[-1] else segment

    def _next_segment(self, seq: int) -> None:
        self._count += 1
        path = self.directory / f"{self._count:08d}{SUFFIX}"
        header = msgspec.msgpack.encode(Header(self.writer_id, seq, self._store))
        descriptor = os.open(path, _FLAGS, 0o600)
        try:
            head = MAGIC + frames(seq, HEADER, header, len(MAGIC))
            if os.write(descriptor, head) != len(head):
                raise OSError(errno.ENOSPC, "No space left on device")
        except OSError:
            os.close(descriptor)
            path.unlink(missing_ok=True)
            raise
        if self._fd >= 0:
            self._unsynced.append(self._fd)
        self._fd, self._offset, self._dirty = descriptor, len(head), True
        self._present = Segment(path, seq, len(head))
        self.segments.append(self._present)

    def _write(self, data: bytes, at: int) -> None:
        """Write all of `data` or nothing: what came half-way is cut off before anything else is written."""
        size = len(data)
        try:
            written = write_now(self._fd, data, size)
            if written != size:
                raise error_of_write() if written < 0 else OSError(errno.ENOSPC, "No space left on device")
        except OSError:
            self._take_back(at)
            raise
        self._offset = self._present.end = at + size
        self._dirty = True

    def _take_back(self, at: int) -> None:
        """Cut off what came half-way, behind the offset `at`."""
        self._room = 0
        try:
            os.ftruncate(self._fd, at)
        except OSError:  # then nobody writes behind it: the next record begins a new segment
            os.close(self._fd)
            self._fd = -1


class Leftover:
    """The segments that a process left behind. What is in them is read; nothing is written."""

    def __init__(self, directory: Path) -> None:
        self.directory, self.writer_id = directory, directory.name
        self.store: str | None = None
        """The URI that the records are for (empty: the store that the journal lies in); None when no segment says so."""
        self.damaged: dict[Path, int] = {}
        """Damaged segments, and the number of places in each."""
        order: list[tuple[int, Path]] = []
        for path in sorted(directory.glob(f"*{SUFFIX}")):
            first = scan(_head(path), len(MAGIC), whole=False).records
            header = _header(first[0]) if first and first[0].kind == HEADER else None
            if header is not None and header.writer_id != self.writer_id:
                self.damaged[path] = 1  # another journal's, whoever put it here
                continue
            self.store = header.store if header is not None and self.store is None else self.store
            order.append((first[0].seq if first else len(order), path))
        self._paths = [path for _, path in sorted(order, key=lambda item: item[0])]

    def records(self) -> Iterator[Record]:
        """All records that are whole, in order of their numbers, each once."""
        last = -1
        for path in self._paths:
            data = _content(path, _MOST_READ)
            found = scan(data[len(MAGIC) :], len(MAGIC))
            if damage := found.damage + (data[: len(MAGIC)] != MAGIC and data != b""):
                self.damaged[path] = damage
            for record in found.records:
                if record.kind != HEADER and record.seq > last:
                    last = record.seq
                    yield record

    def remove(self) -> None:
        """Everything has arrived: remove the segments; damaged ones are kept as `.corrupt`."""
        for path in self._paths:
            if path not in self.damaged:
                path.unlink(missing_ok=True)
        for path in self.damaged:
            path.replace(path.with_suffix(CORRUPT))


def _head(path: Path) -> bytes:
    return _content(path, BLOCK)[len(MAGIC) :]


def _content(path: Path, most: int) -> bytes:
    """The first bytes of a file. Raises `OSError` for what is no file, and for one that is too long to be a segment."""
    descriptor = open_here(path, os.O_RDONLY)
    try:
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode) or about.st_size > _MOST_READ:
            raise OSError(errno.EINVAL, "Not a journal", str(path))
        return _exactly(descriptor, min(about.st_size, most))
    finally:
        os.close(descriptor)


def _header(record: Record) -> Header | None:
    try:
        return msgspec.msgpack.decode(record.payload, type=Header)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _exactly(descriptor: int, size: int) -> bytes:
    pieces = []
    while size > 0 and (piece := os.read(descriptor, size)):
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)
