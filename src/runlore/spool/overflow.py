"""What to do with records when the disk takes none: keep some in memory, count the rest."""

from __future__ import annotations

from collections import Counter, deque

from runlore.spool.frames import Record

MOST_BYTES = 32 * 2**20
_OVERHEAD = 200  # of a record in memory, about


class Overflow:
    """Records that the journal could not write. They come after everything that is in it."""

    def __init__(self) -> None:
        self._records: deque[Record] = deque()
        self._size = 0
        self.dropped: Counter[str] = Counter()
        """Points and other entries that were dropped, by run."""

    def __bool__(self) -> bool:
        return bool(self._records)

    def put(self, record: Record, run_id: str, entries: int) -> None:
        """Keep a record, or count it when there is no room for it. The journal's lock is held."""
        size = len(record.payload) + _OVERHEAD
        if self._size + size > MOST_BYTES:
            self.dropped[run_id] += entries
            return
        self._records.append(record)
        self._size += size

    def take(self, most: int = 2_000) -> list[Record]:
        """The oldest records, out of memory: whoever takes them delivers them. The journal's lock is held."""
        taken = [self._records.popleft() for _ in range(min(most, len(self._records)))]
        self._size -= sum(len(record.payload) + _OVERHEAD for record in taken)
        return taken

    def take_dropped(self) -> Counter[str]:
        """What was dropped since this was last asked. The journal's lock is held."""
        dropped, self.dropped = self.dropped, Counter()
        return dropped
