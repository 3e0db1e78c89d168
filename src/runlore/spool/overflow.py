"""What to do with records when the disk takes none: keep some in memory, count the rest. System metrics give way first."""

from __future__ import annotations

from collections import Counter, deque
from typing import NamedTuple

from runlore.spool.frames import Record

MOST_BYTES = 32 * 2**20
_OVERHEAD = 200  # of a record in memory, about
_SYSTEM, _LOOKED_AT = b"system/", 300


class _Kept(NamedTuple):
    record: Record
    run_id: str
    entries: int
    size: int


class Overflow:
    """Records that the journal could not write. They come after everything that is in it."""

    def __init__(self) -> None:
        self._records: deque[_Kept] = deque()
        self._size = 0
        self._system = 0  # records of system metrics among them
        self.dropped: Counter[str] = Counter()
        """Points and other entries that were dropped, by run."""

    def __bool__(self) -> bool:
        return bool(self._records)

    def put(self, record: Record, run_id: str, entries: int) -> None:
        """Keep a record, or count it when there is no room for it. The journal's lock is held."""
        kept = _Kept(record, run_id, entries, len(record.payload) + _OVERHEAD)
        if self._size + kept.size > MOST_BYTES and self._system and not _is_system(record):
            self._give_way()
        if self._size + kept.size > MOST_BYTES:
            self.dropped[run_id] += entries
            return
        self._records.append(kept)
        self._size += kept.size
        self._system += _is_system(record)

    def _give_way(self) -> None:
        """Drop all system metrics: one pass over what is kept, once in a long while."""
        stays = deque(kept for kept in self._records if not _is_system(kept.record))
        for kept in self._records:
            if _is_system(kept.record):
                self.dropped[kept.run_id] += kept.entries
                self._size -= kept.size
        self._records, self._system = stays, 0

    def take(self, most: int = 2_000) -> list[Record]:
        """The oldest records, out of memory: whoever takes them delivers them. The journal's lock is held."""
        taken = [self._records.popleft() for _ in range(min(most, len(self._records)))]
        self._size -= sum(kept.size for kept in taken)
        self._system -= sum(_is_system(kept.record) for kept in taken)
        return [kept.record for kept in taken]

    def take_dropped(self) -> Counter[str]:
        """What was dropped since this was last asked. The journal's lock is held."""
        dropped, self.dropped = self.dropped, Counter()
        return dropped


def _is_system(record: Record) -> bool:
    """Whether a record brings system metrics: the name of its first metric comes early."""
    return _SYSTEM in record.payload[:_LOOKED_AT]
