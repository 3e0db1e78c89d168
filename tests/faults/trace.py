"""What a server did to its files and connections, as strace saw it, and what the disk could hold had the power failed then.

A crash image has everything that was synced and, of what was not, any choice of 512-byte sectors: torn and out of order.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

SECTOR = 512
CALLS = "pwrite64,write,writev,sendto,sendmsg,read,recvfrom,recvmsg,fsync,fdatasync,ftruncate,unlink"
OPTIONS = ["--seccomp-bpf", "-yy", "-xx", "-s", "100000", "-e", f"trace={CALLS}"]

_CALL = re.compile(r"(?P<thread>\d+) +(?P<name>\w+)\((?P<rest>.*)")
_RESUMED = re.compile(r"(?P<thread>\d+) +<\.\.\. \w+ resumed>(?P<rest>.*)")
_HEX = re.compile(r"(?:\\x[0-9a-f]{2})+")
_PEER = re.compile(r"TCP[^\[]*\[\S+->\S+?:(\d+)\]")


@dataclass
class Call:
    """One system call. `begin` and `end` are places in the trace: a crash may fall between them."""

    name: str
    begin: int
    end: int
    file: str
    """The path of the file, or the port of the client."""
    data: bytes
    numbers: list[int] = field(default_factory=list)
    """The last arguments that are numbers: length and offset of a write, length of a truncation."""
    failed: bool = False


def read(path: Path) -> list[Call]:
    """All calls on files and connections, in the order in which they began."""
    calls: list[Call] = []
    open_calls: dict[str, tuple[int, str, str]] = {}
    lines = path.read_text("ascii").splitlines()
    for place, line in enumerate(lines):
        if found := _CALL.match(line):
            thread, name, rest = found["thread"], found["name"], found["rest"]
            if rest.endswith("<unfinished ...>"):
                open_calls[thread] = place, name, rest.removesuffix("<unfinished ...>")
            else:
                calls.append(_call(name, place, place, rest))
        elif (found := _RESUMED.match(line)) and found["thread"] in open_calls:
            begin, name, rest = open_calls.pop(found["thread"])
            calls.append(_call(name, begin, place, rest + found["rest"]))
    calls += [_call(name, begin, len(lines), rest) for begin, name, rest in open_calls.values()]
    return sorted(calls, key=lambda call: call.begin)


def _call(name: str, begin: int, end: int, rest: str) -> Call:
    strings = [bytes.fromhex(text.replace("\\x", "")) for text in _HEX.findall(rest.split('"')[1])] if '"' in rest else []
    arguments, finished, result = rest.rpartition(") = ")
    arguments = arguments if finished else rest
    where = _HEX.sub(lambda text: bytes.fromhex(text[0].replace("\\x", "")).decode("latin-1"), rest.split('"')[0])
    peer = _PEER.search(where)
    file = peer[1] if peer else where.partition("<")[2].partition(">")[0]
    data = strings[0] if strings else b""
    if name == "unlink":
        file = data.decode()
    numbers = [int(number) for number in re.findall(r", (\d+)(?=,|$|\)| )", '"'.join(arguments.split('"')[2:]) or arguments)]
    return Call(name, begin, end, file, data, numbers, result.startswith("-") and bool(finished))


class Disk:
    """The database files of a trace, at any moment of it."""

    def __init__(self, calls: list[Call], database: str) -> None:
        self.names = [database, f"{database}-wal", f"{database}-journal"]
        writing = ("pwrite64", "write", "ftruncate", "unlink")
        self.changes = {name: [c for c in calls if c.file == name and c.name in writing] for name in self.names}
        self.syncs = {name: [c for c in calls if c.file == name and c.name in ("fsync", "fdatasync") and not c.failed]
                      for name in self.names}  # fmt: skip

    def crash(self, place: int, chance: random.Random, directory: Path) -> None:
        """Write what the disk may hold when the power fails at a place of the trace."""
        latest = max((s.begin for syncs in self.syncs.values() for s in syncs if s.end < place), default=-1)
        share = chance.choice((0.0, 0.1, 0.5, 0.9, 1.0))
        for name in self.names:
            target = directory / Path(name).name
            target.unlink(missing_ok=True)
            content = self._content(name, place, latest, chance, share)
            if content is not None:
                target.write_bytes(content)

    def _content(self, name: str, place: int, latest: int, chance: random.Random, share: float) -> bytes | None:
        synced = max((s.begin for s in self.syncs[name] if s.end < place), default=-1)
        content: bytearray | None = None
        loose: dict[int, list[bytes]] = {}
        seen = bytearray()  # the file as the process sees it
        for change in self.changes[name]:
            if change.begin >= place:
                break
            if change.name == "unlink":
                if change.end < latest or chance.random() < 0.5:  # a later sync of another file takes it along
                    content, seen, loose = None, bytearray(), {}
                continue
            certain = change.end < synced
            content = bytearray() if content is None else content
            if change.name == "ftruncate":
                if certain or chance.random() < 0.5:
                    _resize(content, change.numbers[-1])
                _resize(seen, change.numbers[-1])
                continue
            start = change.numbers[-1] if change.name == "pwrite64" else len(seen)
            _put(seen, start, change.data)
            if certain:
                _put(content, start, change.data)
                continue
            for sector in range(start // SECTOR, -(-(start + len(change.data)) // SECTOR)):
                loose.setdefault(sector, []).append(bytes(seen[sector * SECTOR : (sector + 1) * SECTOR]))
        if content is None:
            return None
        for sector, versions in loose.items():
            if chance.random() < share:
                _put(content, sector * SECTOR, chance.choice(versions))
        return bytes(content)


def _put(content: bytearray, start: int, data: bytes) -> None:
    if len(content) < start:
        content.extend(bytes(start - len(content)))
    content[start : start + len(data)] = data


def _resize(content: bytearray, size: int) -> None:
    del content[size:]
    content.extend(bytes(size - len(content)))


def answers(calls: list[Call], port: int) -> Iterator[tuple[Call, Call]]:
    """Each request of a connection that was answered with 200: the call that read its end, the call that began the answer."""
    request = None
    for call in calls:
        if call.file != str(port):
            continue
        if call.name in ("read", "recvfrom", "recvmsg") and call.data:
            request = call
        elif call.data.startswith(b"HTTP/1.1 200") and request is not None:
            yield request, call
            request = None
